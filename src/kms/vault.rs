//! HashiCorp Vault and OpenBao: the transit engine.
//!
//! `vault:https://HOST:PORT/MOUNT/KEY`, with `?namespace=NAME` if need be. The wrap context is the associated data of
//! transit's AEAD keys.
//!
//! Credentials, by the variables that `vault` and `bao` read themselves (each also as `BAO_…`): a token, an AppRole, or
//! a TLS certificate.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use ::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::remote::http::{self, Http, HttpResponse, LazyHttp, TlsIdentity, secret_header};
use super::remote::refusal::{Complaint, Meaning, RefusalRule, means, rule, shortened};
use super::remote::secret_text::{SecretText, json};
use super::remote::token_cache::{CachedToken, TokenCache};
use super::remote::{Provider, does_not_unwrap, malformed, parameters, remote_client};
use super::settings::{Settings, read_secret};
use crate::keys::{DataKey, KmsKeyInfo, KmsKeyRef, KmsKeyState, Timestamp, WrapContext};
use crate::{Error, ErrorKind, Result, Secret};

remote_client! {
    /// The transit engine of HashiCorp Vault or OpenBao.
    pub struct VaultKms(VaultProvider);
}

struct VaultProvider {
    settings: Settings,
    http: LazyHttp,
    /// Tokens by server and namespace.
    tokens: TokenCache<(String, Option<String>)>,
}

/// The location of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
struct VaultKeyLocation {
    /// `https://host:port`
    server: String,
    mount: String,
    name: String,
    namespace: Option<String>,
}

/// Reads a key out of a response.
fn key_bytes(text: &SecretText) -> Result<Secret<Vec<u8>>> {
    STANDARD
        .decode(text.expose())
        .map(Secret::new)
        .map_err(|_| Error::new(ErrorKind::ProviderDown, "the key in Vault's response is not base64"))
}

#[derive(Deserialize)]
struct VaultData<T> {
    data: T,
}

#[derive(Deserialize)]
struct VaultKeyDescription {
    #[serde(rename = "type")]
    kind: String,
    latest_version: u64,
    min_decryption_version: u64,
    supports_encryption: bool,
    supports_decryption: bool,
    #[serde(default)]
    soft_deleted: bool,
    #[serde(default)]
    imported_key: bool,
    #[serde(default)]
    auto_rotate_period: Value,
    keys: HashMap<String, Value>,
}

impl VaultProvider {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            http: LazyHttp::default(),
            tokens: TokenCache::default(),
        }
    }
}

impl Provider for VaultProvider {
    type Location = VaultKeyLocation;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn locate(key: &KmsKeyRef) -> Result<VaultKeyLocation> {
        VaultKeyLocation::parse(key)
    }

    fn describe(&self, location: &VaultKeyLocation) -> Result<KmsKeyInfo> {
        let response = self.request(location, "GET", &format!("keys/{}", location.name), None)?;
        let VaultData::<VaultKeyDescription> { data } = response.json()?;
        if self.settings.is_approved_only() && data.kind.contains("chacha20") {
            let message = format!("the transit key is of type {}, which NIST has not approved", data.kind);
            return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint("use a key of type aes256-gcm96"));
        }
        // Transit also has keys that only sign or compute an HMAC.
        let state = match (data.soft_deleted, data.supports_encryption && data.supports_decryption) {
            (true, _) => KmsKeyState::PendingDeletion,
            (false, true) => KmsKeyState::Enabled,
            (false, false) => KmsKeyState::Unavailable,
        };
        let rotation = match data.auto_rotate_period.as_u64() {
            None | Some(0) => "by hand".to_owned(),
            Some(seconds) => format!("every {} h", seconds / 3_600),
        };
        let info = KmsKeyInfo::new(
            "vault",
            format!("{}/{}/{}", location.server, location.mount, location.name),
            state,
        )
        .with_usage(data.kind)
        .with_origin(if data.imported_key { "imported" } else { "Vault" })
        .with_rotation(format!(
            "{rotation}; version {}, decrypts from {} on",
            data.latest_version, data.min_decryption_version
        ));
        let first = data.keys.get("1").and_then(Value::as_u64);
        Ok(match first {
            Some(seconds) => info.with_created(Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))),
            None => info,
        })
    }

    /// Generates a key by `datakey`; for lengths that it does not know, encrypts random bytes of Vault.
    fn generate(&self, location: &VaultKeyLocation, length: usize, context: &WrapContext) -> Result<DataKey> {
        if self.settings.is_approved_only() {
            // For its type.
            self.describe(location)?;
        }
        // `datakey` makes keys of 128, 256 and 512 bits. A key for direct use has 48 or 56 bytes, too.
        if !matches!(length, 16 | 32 | 64) {
            #[derive(Deserialize)]
            struct RandomBytes {
                random_bytes: SecretText,
            }
            let response = self.request(location, "POST", &format!("random/{length}"), Some(json(&json!({}))))?;
            let plaintext = key_bytes(&response.json::<VaultData<RandomBytes>>()?.data.random_bytes)?;
            let wrapped = self.wrap(location, &plaintext, context)?;
            return Ok(DataKey { plaintext, wrapped });
        }
        #[derive(Deserialize)]
        struct GeneratedKey {
            plaintext: SecretText,
            ciphertext: String,
        }
        let body = json!({ "bits": 8 * length, "associated_data": STANDARD.encode(context.to_bytes()) });
        let response = self.request(
            location,
            "POST",
            &format!("datakey/plaintext/{}", location.name),
            Some(json(&body)),
        )?;
        let made = response.json::<VaultData<GeneratedKey>>()?.data;
        let plaintext = key_bytes(&made.plaintext)?;
        // Old servers do not bind the context: unwrapping shows it before the key is in use.
        self.unwrap(location, made.ciphertext.as_bytes(), context)?;
        Ok(DataKey {
            plaintext,
            wrapped: made.ciphertext.into_bytes(),
        })
    }

    fn wrap(&self, location: &VaultKeyLocation, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        // Transit creates a missing key if the token may. This client creates none.
        self.describe(location)?;
        #[derive(Deserialize)]
        struct EncryptedData {
            ciphertext: String,
        }
        #[derive(Serialize)]
        struct PlaintextData {
            plaintext: SecretText,
            associated_data: String,
        }
        let body = json(&PlaintextData {
            plaintext: SecretText::new(STANDARD.encode(plaintext.expose())),
            associated_data: STANDARD.encode(context.to_bytes()),
        });
        let response = self.request(location, "POST", &format!("encrypt/{}", location.name), Some(body))?;
        Ok(response
            .json::<VaultData<EncryptedData>>()?
            .data
            .ciphertext
            .into_bytes())
    }

    fn unwrap(&self, location: &VaultKeyLocation, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let not_ours = || Error::bad_input("the wrapped bytes are not from Vault");
        let wrapped = std::str::from_utf8(wrapped).map_err(|_| not_ours())?;
        let (prefix, rest) = wrapped.split_at_checked(7).unwrap_or((wrapped, ""));
        // The form is checked here, since Vault answers with status 400 to most mistakes.
        if prefix != "vault:v" || rest.is_empty() {
            return Err(not_ours());
        }
        // Decoders ignore bits of the last base64 digit: changes of them must not pass.
        let canonical = rest.split_once(':').is_some_and(|(version, text)| {
            version.bytes().all(|byte| byte.is_ascii_digit())
                && STANDARD.decode(text).is_ok_and(|bytes| STANDARD.encode(bytes) == text)
        });
        if !canonical {
            return Err(does_not_unwrap());
        }
        #[derive(Deserialize)]
        struct DecryptedData {
            plaintext: SecretText,
        }
        let body = json!({ "ciphertext": wrapped, "associated_data": STANDARD.encode(context.to_bytes()) });
        let response = self.request(
            location,
            "POST",
            &format!("decrypt/{}", location.name),
            Some(json(&body)),
        )?;
        key_bytes(&response.json::<VaultData<DecryptedData>>()?.data.plaintext)
    }
}

impl VaultProvider {
    /// Sends a request to the transit engine. If it is refused, and we can log in, sends it once more with a new token.
    fn request(
        &self,
        location: &VaultKeyLocation,
        method: &str,
        path: &str,
        body: Option<Secret<Vec<u8>>>,
    ) -> Result<HttpResponse> {
        let http = self.http()?;
        let uri = format!("{}/v1/{}/{path}", location.server, location.mount);
        let what = path.split('/').next().unwrap_or_default().to_owned();
        let mut token = self.token(&http, location, None)?;
        loop {
            let mut headers = vec![
                ("x-vault-token", token.header.clone()),
                // Vault's agent may require this header: a server that is tricked into fetching a URL
                // does not send it.
                ("x-vault-request", HeaderValue::from_static("true")),
            ];
            headers.extend(location.namespace_header()?);
            let response = http.send(&what, &http::request(method, &uri, &headers, body.as_ref())?)?;
            match response.status {
                200..=299 => return Ok(response),
                // Vault has one status for a token that was revoked and for a policy that refuses. So a
                // new login is tried once; a token that was given to us has no login behind it, and its
                // refusal is final.
                403 if token.expires.is_some() => {
                    let next = self.token(&http, location, Some(&token))?;
                    // The login gave the same token: nothing has changed, and the refusal stands.
                    if next.header == token.header {
                        return Err(refusal(&response));
                    }
                    // A second refusal counts.
                    token = CachedToken { expires: None, ..next };
                }
                _ => return Err(refusal(&response)),
            }
        }
    }

    fn http(&self) -> Result<Http> {
        self.http.get(&self.settings, || {
            let identity = TlsIdentity::default().trusting(self.variable("CACERT"))?;
            match (self.variable("CLIENT_CERT"), self.variable("CLIENT_KEY")) {
                (Some(certificate), Some(key)) => identity.showing(certificate, key),
                _ => Ok(identity),
            }
        })
    }

    /// Returns the variable `VAULT_…`, or else `BAO_…`.
    fn variable(&self, name: &str) -> Option<&str> {
        // OpenBao is a fork of Vault, with names of its own for the same variables.
        ["VAULT", "BAO"]
            .iter()
            .find_map(|prefix| self.settings.get(&format!("{prefix}_{name}")))
    }

    fn secret(&self, name: &str) -> Result<Option<Secret<String>>> {
        match self.settings.secret(&format!("VAULT_{name}"))? {
            Some(secret) => Ok(Some(secret)),
            None => self.settings.secret(&format!("BAO_{name}")),
        }
    }

    /// Returns a token for the server, other than the one that was `rejected`.
    fn token(&self, http: &Http, location: &VaultKeyLocation, rejected: Option<&CachedToken>) -> Result<CachedToken> {
        let server = (location.server.clone(), location.namespace.clone());
        self.tokens.get(server, rejected, || self.log_in(http, location))
    }

    fn log_in(&self, http: &Http, location: &VaultKeyLocation) -> Result<CachedToken> {
        let role = self.variable("ROLE_ID");
        let method = self.variable("AUTH_METHOD").unwrap_or(match role {
            Some(_) => "approle",
            None => "token",
        });
        let mount = self.variable("AUTH_MOUNT").unwrap_or(method);
        let body = match method {
            "token" => {
                let token = match self.secret("TOKEN")? {
                    Some(token) => token,
                    None => self.token_helper()?,
                };
                let (header, expires) = (secret_header(token.expose())?, None);
                return Ok(CachedToken { header, expires });
            }
            "approle" => {
                let role = role.ok_or_else(|| missing_variable("VAULT_ROLE_ID", "the AppRole login"))?;
                #[derive(Serialize)]
                struct RoleLogin<'a> {
                    role_id: &'a str,
                    #[serde(skip_serializing_if = "Option::is_none")]
                    secret_id: Option<&'a str>,
                }
                let secret = self.secret("SECRET_ID")?;
                json(&RoleLogin {
                    role_id: role,
                    secret_id: secret.as_ref().map(|secret| secret.expose().as_str()),
                })
            }
            "cert" => {
                for name in ["CLIENT_CERT", "CLIENT_KEY"] {
                    self.variable(name)
                        .ok_or_else(|| missing_variable(&format!("VAULT_{name}"), "the TLS certificate login"))?;
                }
                match self.variable("CERT_ROLE") {
                    Some(role) => json(&json!({ "name": role })),
                    None => json(&json!({})),
                }
            }
            _ => {
                return Err(Error::bad_input("VAULT_AUTH_METHOD is not one of token, approle, cert"));
            }
        };
        #[derive(Deserialize)]
        struct LoginResponse {
            auth: LoginAuth,
        }
        #[derive(Deserialize)]
        struct LoginAuth {
            client_token: SecretText,
            lease_duration: u64,
        }
        let headers: Vec<_> = location.namespace_header()?.into_iter().collect();
        let uri = format!("{}/v1/auth/{mount}/login", location.server);
        let response = http.send("login", &http::request("POST", &uri, &headers, Some(&body))?)?;
        if !(200..=299).contains(&response.status) {
            let message = format!(
                "`{}` refused the {method} login: {}",
                location.server,
                complaint(&response)
            );
            return Err(Error::new(ErrorKind::NotAllowed, message).with_hint(
                "check role, secret id (each may end, or serve a number of times) or certificate, \
                 and where the login is mounted",
            ));
        }
        let LoginResponse { auth } = response.json()?;
        // A lease of 0 does not expire; log in again every hour.
        let lifetime = match auth.lease_duration {
            0 => Duration::from_secs(4_000),
            seconds => Duration::from_secs(seconds),
        };
        Ok(CachedToken::with_lifetime(
            secret_header(auth.client_token.expose())?,
            lifetime,
        ))
    }

    /// Reads the token that `vault login` keeps in a file.
    fn token_helper(&self) -> Result<Secret<String>> {
        let path = self
            .settings
            .get("HOME")
            .map(|home| std::path::Path::new(home).join(".vault-token"));
        match path.filter(|path| path.exists()) {
            Some(path) => read_secret(&path),
            None => Err(
                Error::new(ErrorKind::NotAllowed, "no credentials found for Vault").with_hint(
                    "set VAULT_TOKEN or VAULT_TOKEN_FILE, or VAULT_ROLE_ID and VAULT_SECRET_ID, or \
                 VAULT_AUTH_METHOD=cert with VAULT_CLIENT_CERT \
                 and VAULT_CLIENT_KEY; or run `vault login`",
                ),
            ),
        }
    }
}

impl VaultKeyLocation {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let (url, mut parameters) = parameters(key)?;
        let namespace = parameters.remove("namespace");
        if let Some(name) = parameters.keys().next() {
            return Err(malformed(key, &format!("unknown parameter `{name}`")).with_hint(
                "the only parameter is \
             `namespace`",
            ));
        }
        let form = || malformed(key, "the form is wrong").with_hint("write `vault:https://host:8200/transit/NAME`");
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        let (host, path) = rest.split_once('/').ok_or_else(form)?;
        let (mount, name) = path.rsplit_once('/').ok_or_else(form)?;
        // Mount and name become parts of a path. `..`, `%` or `?` in them would reach another endpoint of
        // Vault with our token.
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .split('/')
                    .all(|part| !part.is_empty() && part != "." && part != "..")
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        };
        if host.is_empty() || !plain(mount) || !plain(name) {
            return Err(form());
        }
        Ok(Self {
            server: format!("{scheme}://{host}"),
            mount: mount.to_owned(),
            name: name.to_owned(),
            namespace,
        })
    }

    fn namespace_header(&self) -> Result<Option<(&'static str, HeaderValue)>> {
        // The header type refuses line feeds, with which a namespace could add headers of its own.
        let header = self.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let header =
            header.map_err(|_| Error::bad_input("the namespace has characters that no HTTP header can carry"))?;
        Ok(header.map(|header| ("x-vault-namespace", header)))
    }
}

fn missing_variable(variable: &str, login: &str) -> Error {
    Error::new(ErrorKind::NotAllowed, format!("{login} to Vault needs {variable}")).with_hint(format!("set {variable}"))
}

/// Returns Vault's error messages. They name paths and keys, never a plaintext or a token.
fn complaint(response: &HttpResponse) -> String {
    #[derive(Deserialize)]
    struct VaultErrors {
        errors: Vec<String>,
    }
    match serde_json::from_slice::<VaultErrors>(response.body.expose()) {
        Ok(VaultErrors { errors }) if !errors.is_empty() => shortened(&errors.join("; ")),
        _ => format!("HTTP {}", response.status),
    }
}

/// Refusals by the status, and by the cause that [`cause`] reads from the words.
const REFUSALS: [RefusalRule; 10] = [
    rule(
        403,
        "",
        ErrorKind::NotAllowed,
        "the token may have expired (log in again), or its policy does not allow this path: see the manual for \
         the policy",
    ),
    rule(
        404,
        "no engine",
        ErrorKind::KeyNotFound,
        "no transit engine is mounted there: `vault secrets list` shows where it is",
    ),
    means(404, "", Meaning::NoSuchKey, ""),
    // Decrypt answers 400 for a key that does not exist; reading it gives 404.
    means(400, "no key", Meaning::NoSuchKey, ""),
    rule(
        400,
        "soft-deleted",
        ErrorKind::KeyNotUsable,
        "`bao write -f MOUNT/keys/NAME/soft-delete-restore` restores the key",
    ),
    rule(
        400,
        "too old",
        ErrorKind::KeyNotUsable,
        "the key's min_decryption_version excludes the version that wrapped this: lower it, rewrap the data \
         keys, raise it",
    ),
    means(400, "does not unwrap", Meaning::DoesNotUnwrap, ""),
    rule(
        307,
        "",
        ErrorKind::ProviderDown,
        "the server redirects to another node: name the active one, or the address of the cluster",
    ),
    rule(
        400,
        "",
        ErrorKind::KeyNotUsable,
        "the key must be of an AEAD type: aes256-gcm96, aes128-gcm96, chacha20-poly1305",
    ),
    rule(
        0,
        "",
        ErrorKind::ProviderDown,
        "see the server's log, or run this again later",
    ),
];

fn refusal(response: &HttpResponse) -> Error {
    let message = complaint(response);
    Complaint {
        service: "Vault",
        status: response.status,
        code: cause(&message).to_owned(),
        message: message.clone(),
    }
    .error(&REFUSALS)
}

/// Returns the cause of a refusal: Vault has no codes, so its words are all there is to tell causes apart.
fn cause(message: &str) -> &'static str {
    [
        ("no handler", "no engine"),
        ("encryption key not found", "no key"),
        ("soft-deleted", "soft-deleted"),
        ("too old", "too old"),
        ("authentication failed", "does not unwrap"),
        ("invalid ciphertext", "does not unwrap"),
        ("too new", "does not unwrap"),
    ]
    .iter()
    .find(|(words, _)| message.contains(words))
    .map_or("", |(_, cause)| cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let location = |text: &str| VaultKeyLocation::parse(&text.parse().unwrap());
        let parsed = location("vault:https://kms.example:8200/team/transit/main?namespace=eu%2Fsales").unwrap();
        assert_eq!(parsed.server, "https://kms.example:8200");
        assert_eq!((parsed.mount.as_str(), parsed.name.as_str()), ("team/transit", "main"));
        assert_eq!(parsed.namespace.as_deref(), Some("eu/sales"));
        for bad in [
            "vault:main",
            "vault:https://host",
            "vault:https://host/main",
            "vault:https://host/transit/",
            // Would leave the transit engine.
            "vault:https://host/transit/../x",
            "vault:https://host/transit/a b",
            "vault:https://host/transit/main?region=x",
        ] {
            assert_eq!(location(bad).unwrap_err().kind(), ErrorKind::BadInput, "{bad}");
        }
    }
}
