//! HashiCorp Vault and OpenBao: the transit engine.
//!
//! `vault:https://HOST:PORT/MOUNT/KEY`, with `?namespace=NAME` if need be. The wrap context is the associated data of transit's AEAD keys.
//!
//! Who we are, by the variables that `vault` and `bao` read themselves (each also as `BAO_…`): a token, an AppRole, or a TLS certificate.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroize;

use super::Settings;
use super::remote::http::{Answer, Http, Identity, request, secret_header};
use super::remote::{Queue, does_not_unwrap, malformed, no_such_key, parameters};
use super::settings::read_secret;
use crate::keys::{DataKey, KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState, Timestamp, WrapContext, random};
use crate::{Error, ErrorKind, Result, Secret};

/// The transit engine of HashiCorp Vault or OpenBao.
#[derive(Clone, Debug)]
pub struct VaultKms {
    inner: Arc<Inner>,
    queue: Queue,
}

struct Inner {
    settings: Settings,
    http: Mutex<Option<Http>>,
    /// Tokens by server and namespace. Held while one is fetched, so that it is fetched once.
    tokens: Mutex<HashMap<(String, Option<String>), Token>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    /// When to log in again; none for a token that was given to us.
    expires: Option<Instant>,
}

/// Where a key is.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    /// `https://host:port`
    server: String,
    mount: String,
    name: String,
    namespace: Option<String>,
}

impl VaultKms {
    /// A client with these settings. Nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        let queue = Queue::new(settings.patience());
        let (http, tokens) = (Mutex::default(), Mutex::default());
        Self {
            inner: Arc::new(Inner { settings, http, tokens }),
            queue,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        key: &KmsKeyRef,
        work: impl FnOnce(&Inner, &Place) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = Place::parse(key)?;
        let inner = Arc::clone(&self.inner);
        self.queue.run(move || work(&inner, &place)).await
    }
}

#[async_trait]
impl KmsClient for VaultKms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        self.run(key, Inner::describe).await
    }

    async fn generate_data_key(&self, key: &KmsKeyRef, length: usize, context: &WrapContext) -> Result<DataKey> {
        let context = context.to_bytes();
        self.run(key, move |inner, place| inner.generate(place, length, &context))
            .await
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let (plaintext, context) = (plaintext.clone(), context.to_bytes());
        self.run(key, move |inner, place| inner.encrypt(place, &plaintext, &context))
            .await
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let wrapped =
            String::from_utf8(wrapped.to_vec()).map_err(|_| Error::bad_input("the wrapped bytes are not of Vault"))?;
        let context = context.to_bytes();
        self.run(key, move |inner, place| inner.decrypt(place, &wrapped, &context))
            .await
    }

    async fn random(&self, length: usize) -> Result<Secret<Vec<u8>>> {
        // Without a key there is no server to ask.
        random::secret(length)
    }
}

/// Text that the server gives, wiped afterwards.
#[derive(Deserialize)]
#[serde(transparent)]
struct Hidden(String);

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Hidden {
    fn bytes(&self) -> Result<Secret<Vec<u8>>> {
        STANDARD
            .decode(&self.0)
            .map(Secret::new)
            .map_err(|_| Error::new(ErrorKind::ProviderDown, "Vault gives a key that is not base64"))
    }
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Description {
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

impl Inner {
    fn describe(&self, place: &Place) -> Result<KmsKeyInfo> {
        let answer = self.ask(place, "GET", &format!("keys/{}", place.name), None)?;
        let Data::<Description> { data } = answer.json()?;
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
            format!("{}/{}/{}", place.server, place.mount, place.name),
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

    /// By `datakey`; lengths that it does not know, by Vault's random bytes, encrypted.
    fn generate(&self, place: &Place, length: usize, context: &[u8]) -> Result<DataKey> {
        if !matches!(length, 16 | 32 | 64) {
            #[derive(Deserialize)]
            struct Random {
                random_bytes: Hidden,
            }
            let answer = self.ask(place, "POST", &format!("random/{length}"), Some(json!({})))?;
            let plaintext = answer.json::<Data<Random>>()?.data.random_bytes.bytes()?;
            let wrapped = self.encrypt(place, &plaintext, context)?;
            return Ok(DataKey { plaintext, wrapped });
        }
        #[derive(Deserialize)]
        struct Made {
            plaintext: Hidden,
            ciphertext: String,
        }
        let body = json!({ "bits": 8 * length, "associated_data": STANDARD.encode(context) });
        let answer = self.ask(place, "POST", &format!("datakey/plaintext/{}", place.name), Some(body))?;
        let made = answer.json::<Data<Made>>()?.data;
        let plaintext = made.plaintext.bytes()?;
        // A server that did not bind the context, as old ones do not, is noticed before the key is in use.
        self.decrypt(place, &made.ciphertext, context)?;
        Ok(DataKey {
            plaintext,
            wrapped: made.ciphertext.into_bytes(),
        })
    }

    fn encrypt(&self, place: &Place, plaintext: &Secret<Vec<u8>>, context: &[u8]) -> Result<Vec<u8>> {
        // Transit makes a key that is not there if it may. We make none.
        self.describe(place)?;
        #[derive(Deserialize)]
        struct Encrypted {
            ciphertext: String,
        }
        let body =
            json!({ "plaintext": STANDARD.encode(plaintext.expose()), "associated_data": STANDARD.encode(context) });
        let answer = self.ask(place, "POST", &format!("encrypt/{}", place.name), Some(body))?;
        Ok(answer.json::<Data<Encrypted>>()?.data.ciphertext.into_bytes())
    }

    fn decrypt(&self, place: &Place, wrapped: &str, context: &[u8]) -> Result<Secret<Vec<u8>>> {
        // Anything else could be an answer to another question.
        let (prefix, rest) = wrapped.split_at_checked(7).unwrap_or((wrapped, ""));
        if prefix != "vault:v" || rest.is_empty() {
            return Err(Error::bad_input("the wrapped bytes are not of Vault"));
        }
        // A last digit of base64 has bits that decoders pass over.
        let canonical = rest.split_once(':').is_some_and(|(version, text)| {
            version.bytes().all(|byte| byte.is_ascii_digit())
                && STANDARD.decode(text).is_ok_and(|bytes| STANDARD.encode(bytes) == text)
        });
        if !canonical {
            return Err(does_not_unwrap());
        }
        #[derive(Deserialize)]
        struct Decrypted {
            plaintext: Hidden,
        }
        let body = json!({ "ciphertext": wrapped, "associated_data": STANDARD.encode(context) });
        let answer = self.ask(place, "POST", &format!("decrypt/{}", place.name), Some(body))?;
        answer.json::<Data<Decrypted>>()?.data.plaintext.bytes()
    }

    /// Asks the transit engine; after a refusal once more with a new token, where we can log in.
    fn ask(&self, place: &Place, method: &str, path: &str, body: Option<Value>) -> Result<Answer> {
        let http = self.http()?;
        let uri = format!("{}/v1/{}/{path}", place.server, place.mount);
        let what = path.split('/').next().unwrap_or_default().to_owned();
        let mut token = self.token(&http, place, None)?;
        loop {
            let mut headers = vec![
                ("x-vault-token", token.header.clone()),
                ("x-vault-request", HeaderValue::from_static("true")),
            ];
            headers.extend(place.namespace_header()?);
            let answer = http.ask(&what, &request(method, &uri, &headers, body.as_ref())?)?;
            match answer.status {
                200..=299 => return Ok(answer),
                403 if token.expires.is_some() => {
                    let next = self.token(&http, place, Some(&token))?;
                    if next.header == token.header {
                        return Err(refused(&answer, place));
                    }
                    token = Token { expires: None, ..next };
                }
                _ => return Err(refused(&answer, place)),
            }
        }
    }

    fn http(&self) -> Result<Http> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = &*http {
            return Ok(http.clone());
        }
        let mut identity = Identity::default().trusting(self.variable("CACERT"))?;
        if let (Some(certificate), Some(key)) = (self.variable("CLIENT_CERT"), self.variable("CLIENT_KEY")) {
            identity = identity.showing(certificate, key)?;
        }
        Ok(http.insert(Http::new(self.settings.patience(), identity)).clone())
    }

    /// `VAULT_…`, or else `BAO_…`.
    fn variable(&self, name: &str) -> Option<&str> {
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

    /// A token for this server: the one we have, unless it ends soon or is the one that was `refused`.
    fn token(&self, http: &Http, place: &Place, refused: Option<&Token>) -> Result<Token> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let server = (place.server.clone(), place.namespace.clone());
        if let Some(token) = tokens.get(&server)
            && token.expires.is_none_or(|expires| Instant::now() < expires)
            && refused.is_none_or(|refused| refused.header != token.header)
        {
            return Ok(token.clone());
        }
        let token = self.log_in(http, place)?;
        tokens.insert(server, token.clone());
        Ok(token)
    }

    fn log_in(&self, http: &Http, place: &Place) -> Result<Token> {
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
                return Ok(Token { header, expires });
            }
            "approle" => {
                let role = role.ok_or_else(|| not_said("VAULT_ROLE_ID", "the AppRole login"))?;
                let mut body = json!({ "role_id": role });
                if let Some(secret) = self.secret("SECRET_ID")? {
                    body["secret_id"] = secret.expose().as_str().into();
                }
                body
            }
            "cert" => {
                for name in ["CLIENT_CERT", "CLIENT_KEY"] {
                    self.variable(name)
                        .ok_or_else(|| not_said(&format!("VAULT_{name}"), "the TLS certificate login"))?;
                }
                match self.variable("CERT_ROLE") {
                    Some(role) => json!({ "name": role }),
                    None => json!({}),
                }
            }
            _ => {
                return Err(Error::bad_input("VAULT_AUTH_METHOD is not one of token, approle, cert"));
            }
        };
        #[derive(Deserialize)]
        struct LoggedIn {
            auth: Auth,
        }
        #[derive(Deserialize)]
        struct Auth {
            client_token: Hidden,
            lease_duration: u64,
        }
        let headers: Vec<_> = place.namespace_header()?.into_iter().collect();
        let uri = format!("{}/v1/auth/{mount}/login", place.server);
        let answer = http.ask("login", &request("POST", &uri, &headers, Some(&body))?)?;
        if !(200..=299).contains(&answer.status) {
            let message = format!("`{}` refuses the {method} login: {}", place.server, complaint(&answer));
            return Err(Error::new(ErrorKind::NotAllowed, message)
                .with_hint("check role, secret id (each may end, or serve a number of times) or certificate, and where the login is mounted"));
        }
        let LoggedIn { auth } = answer.json()?;
        // A little before the lease ends, so that no question comes too late.
        let expires = match auth.lease_duration {
            0 => Duration::from_secs(3_600),
            seconds => Duration::from_secs(seconds) * 9 / 10,
        };
        Ok(Token {
            header: secret_header(&auth.client_token.0)?,
            expires: Some(Instant::now() + expires),
        })
    }

    /// The file where `vault login` keeps a person's token.
    fn token_helper(&self) -> Result<Secret<String>> {
        let path = self
            .settings
            .get("HOME")
            .map(|home| std::path::Path::new(home).join(".vault-token"));
        match path.filter(|path| path.exists()) {
            Some(path) => read_secret(&path),
            None => Err(Error::new(ErrorKind::NotAllowed, "nothing says who we are to Vault").with_hint(
                "set VAULT_TOKEN or VAULT_TOKEN_FILE, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_AUTH_METHOD=cert with VAULT_CLIENT_CERT \
                 and VAULT_CLIENT_KEY; or run `vault login`",
            )),
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Place {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let (url, mut parameters) = parameters(key)?;
        let namespace = parameters.remove("namespace");
        if let Some(name) = parameters.keys().next() {
            return Err(malformed(key, &format!("there is no parameter `{name}`")).with_hint("there is `namespace`"));
        }
        let form = || malformed(key, "it has another form").with_hint("write `vault:https://host:8200/transit/NAME`");
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        let (host, path) = rest.split_once('/').ok_or_else(form)?;
        let (mount, name) = path.rsplit_once('/').ok_or_else(form)?;
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
        let header = self.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let header =
            header.map_err(|_| Error::bad_input("the namespace has characters that no HTTP header can carry"))?;
        Ok(header.map(|header| ("x-vault-namespace", header)))
    }
}

fn not_said(variable: &str, login: &str) -> Error {
    Error::new(ErrorKind::NotAllowed, format!("{login} to Vault needs {variable}")).with_hint(format!("set {variable}"))
}

/// What Vault complains of. Its messages name paths and keys, never a plaintext or a token.
fn complaint(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<String>,
    }
    match serde_json::from_slice::<Errors>(answer.body.expose()) {
        Ok(Errors { errors }) if !errors.is_empty() => {
            let text: String = errors.join("; ").split_whitespace().collect::<Vec<_>>().join(" ");
            text.chars().take(300).collect()
        }
        _ => format!("HTTP {}", answer.status),
    }
}

fn refused(answer: &Answer, place: &Place) -> Error {
    let complaint = complaint(answer);
    let says = |what: &str| complaint.contains(what);
    let error = |kind, hint: &str| Error::new(kind, format!("Vault says: {complaint}")).with_hint(hint.to_owned());
    match answer.status {
        403 => error(
            ErrorKind::NotAllowed,
            "the token may have expired (log in again), or its policy does not allow this path: the manual has the policy to ask for",
        ),
        404 if says("no handler") => error(
            ErrorKind::KeyNotFound,
            "no transit engine is mounted there: `vault secrets list` shows where it is",
        ),
        404 => no_such_key("Vault"),
        400 if says("encryption key not found") => no_such_key("Vault"),
        400 if says("soft-deleted") => error(
            ErrorKind::KeyNotUsable,
            &format!(
                "`bao write -f {}/keys/{}/soft-delete-restore` brings it back",
                place.mount, place.name
            ),
        ),
        400 if says("too old") => error(
            ErrorKind::KeyNotUsable,
            "the key's min_decryption_version excludes the version that wrapped this: lower it, rewrap the data keys, raise it",
        ),
        400 if says("authentication failed") || says("invalid ciphertext") || says("too new") => does_not_unwrap(),
        307 => error(
            ErrorKind::ProviderDown,
            "it sends us to another node: name the active one, or the address of the cluster",
        ),
        _ => error(
            ErrorKind::KeyNotUsable,
            "the key must be of an AEAD type: aes256-gcm96, aes128-gcm96, chacha20-poly1305",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let place = |text: &str| Place::parse(&text.parse().unwrap());
        let parsed = place("vault:https://kms.example:8200/team/transit/main?namespace=eu%2Fsales").unwrap();
        assert_eq!(parsed.server, "https://kms.example:8200");
        assert_eq!((parsed.mount.as_str(), parsed.name.as_str()), ("team/transit", "main"));
        assert_eq!(parsed.namespace.as_deref(), Some("eu/sales"));
        for bad in [
            "vault:main",
            "vault:https://host",
            "vault:https://host/main",
            "vault:https://host/transit/",
            "vault:https://host/transit/../x",
            "vault:https://host/transit/a b",
            "vault:https://host/transit/main?region=x",
        ] {
            assert_eq!(place(bad).unwrap_err().kind(), ErrorKind::BadInput, "{bad}");
        }
    }
}
