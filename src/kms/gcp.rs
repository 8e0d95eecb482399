//! Google Cloud KMS.
//!
//! `gcp-kms:projects/P/locations/L/keyRings/R/cryptoKeys/K`; `endpoint` stands behind `?`. The wrap context is the
//! additional authenticated data; every message carries CRC32C checksums, as Google recommends.
//!
//! Application Default Credentials: the file of a service account or a person, or those of the machine.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::remote::hosts::check_host;
use super::remote::http::{self, Http, HttpResponse, LazyHttp, TlsIdentity};
use super::remote::oauth::{access_token, form, machine_token};
use super::remote::refusal::{Complaint, Meaning, RefusalRule, means, rule, shortened};
use super::remote::secret_text::{self, SecretText};
use super::remote::token_cache::TokenCache;
use super::remote::{Provider, malformed, parameters, remote_client};
use super::settings::Settings;
use crate::keys::{KmsKeyInfo, KmsKeyRef, KmsKeyState, Timestamp, WrapContext};
use crate::{Error, ErrorKind, Result, Secret};

const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";

remote_client! {
    /// Google Cloud KMS.
    pub struct GcpKms(GcpProvider);
}

struct GcpProvider {
    settings: Settings,
    http: LazyHttp,
    token: TokenCache<()>,
}

/// The location of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
struct GcpKeyLocation {
    name: String,
    endpoint: String,
}

impl GcpProvider {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            http: LazyHttp::default(),
            token: TokenCache::default(),
        }
    }
}

impl Provider for GcpProvider {
    type Location = GcpKeyLocation;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn locate(key: &KmsKeyRef) -> Result<GcpKeyLocation> {
        GcpKeyLocation::parse(key)
    }

    fn describe(&self, location: &GcpKeyLocation) -> Result<KmsKeyInfo> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct GcpCryptoKey {
            name: String,
            purpose: Option<String>,
            create_time: Option<String>,
            rotation_period: Option<String>,
            next_rotation_time: Option<String>,
            primary: Option<GcpKeyVersion>,
            import_only: Option<bool>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct GcpKeyVersion {
            state: String,
            protection_level: Option<String>,
            algorithm: Option<String>,
        }
        let key: GcpCryptoKey = self.request(location, "GET", "", None)?.json()?;
        // Of the primary version, which encrypts. Others may be disabled and only matter for what they
        // wrapped.
        let state = match key.primary.as_ref().map(|version| version.state.as_str()) {
            Some("ENABLED") => KmsKeyState::Enabled,
            Some("DISABLED") => KmsKeyState::Disabled,
            Some("DESTROY_SCHEDULED") => KmsKeyState::PendingDeletion,
            _ => KmsKeyState::Unavailable,
        };
        let mut info = KmsKeyInfo::new("gcp-kms", key.name, state);
        let version = key.primary.unwrap_or_default();
        let usage: Vec<_> = [key.purpose, version.algorithm].into_iter().flatten().collect();
        if !usage.is_empty() {
            info = info.with_usage(usage.join(" "));
        }
        if let Some(level) = version.protection_level {
            info = info.with_origin(if key.import_only == Some(true) {
                format!("imported, {level}")
            } else {
                level
            });
        }
        info = info.with_rotation(match (key.rotation_period, key.next_rotation_time) {
            (Some(period), Some(next)) => format!("every {period}, next {next}"),
            _ => "by hand".to_owned(),
        });
        let created = key.create_time.and_then(|time| time.parse::<Timestamp>().ok());
        Ok(match created {
            Some(created) => info.with_created(created),
            None => info,
        })
    }

    fn wrap(&self, location: &GcpKeyLocation, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct EncryptResponse {
            ciphertext: String,
            ciphertext_crc32c: String,
            #[serde(default)]
            verified_plaintext_crc32c: bool,
            #[serde(default)]
            verified_additional_authenticated_data_crc32c: bool,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct EncryptRequest {
            plaintext: SecretText,
            plaintext_crc32c: String,
            additional_authenticated_data: String,
            additional_authenticated_data_crc32c: String,
        }
        let context = context.to_bytes();
        let body = secret_text::json(&EncryptRequest {
            plaintext: SecretText::new(STANDARD.encode(plaintext.expose())),
            // Google verifies the sums that it is sent, and says so. Without them a bit that flips before
            // the encryption would be wrapped with the rest, and the key lost.
            plaintext_crc32c: sum(plaintext.expose()),
            additional_authenticated_data: STANDARD.encode(&context),
            additional_authenticated_data_crc32c: sum(&context),
        });
        let made: EncryptResponse = self.request(location, "POST", ":encrypt", Some(body))?.json()?;
        let ciphertext = STANDARD.decode(&made.ciphertext).map_err(|_| damaged())?;
        // `false` also if a proxy has dropped the fields: then nobody has verified anything.
        let whole = made.verified_plaintext_crc32c && made.verified_additional_authenticated_data_crc32c;
        if whole && made.ciphertext_crc32c == sum(&ciphertext) {
            Ok(ciphertext)
        } else {
            Err(damaged())
        }
    }

    fn unwrap(&self, location: &GcpKeyLocation, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        if wrapped.is_empty() {
            return Err(Error::bad_input("the wrapped bytes are not from Google Cloud KMS"));
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct DecryptResponse {
            plaintext: SecretText,
            plaintext_crc32c: String,
        }
        let context = context.to_bytes();
        let body = secret_text::json(&json!({
            "ciphertext": STANDARD.encode(wrapped),
            "ciphertextCrc32c": sum(wrapped),
            "additionalAuthenticatedData": STANDARD.encode(&context),
            "additionalAuthenticatedDataCrc32c": sum(&context),
        }));
        let made: DecryptResponse = self.request(location, "POST", DECRYPT, Some(body))?.json()?;
        // The base64 text is the key in another spelling, so it is wiped, too.
        let plaintext = Secret::new(STANDARD.decode(made.plaintext.expose()).map_err(|_| damaged())?);
        // Only transport: that the key is the right one is what the AEAD has verified. So no constant
        // time.
        if made.plaintext_crc32c == sum(plaintext.expose()) {
            Ok(plaintext)
        } else {
            Err(damaged())
        }
    }
}

impl GcpProvider {
    fn request(
        &self,
        location: &GcpKeyLocation,
        method: &str,
        action: &str,
        body: Option<Secret<Vec<u8>>>,
    ) -> Result<HttpResponse> {
        check_host(
            &self.settings,
            "Google Cloud KMS",
            &location.endpoint,
            &["googleapis.com"],
        )?;
        let http = self.http.get(&self.settings, || Ok(TlsIdentity::default()))?;
        let token = self
            .token
            // One token for all keys: the credentials are those of the process, whatever the key.
            .get((), None, || access_token(&self.fetch_token(&http)?))?
            .header;
        let uri = format!("{}/v1/{}{action}", location.endpoint, location.name);
        let what = if action.is_empty() { "describe" } else { &action[1..] };
        let response = http.send(
            what,
            &http::request(method, &uri, &[("authorization", token)], body.as_ref())?,
        )?;
        match response.status {
            200 => Ok(response),
            _ => Err(refusal(&response, action)),
        }
    }

    /// Fetches a token with Application Default Credentials.
    fn fetch_token(&self, http: &Http) -> Result<HttpResponse> {
        #[derive(Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum GcpCredentials {
            ServiceAccount {
                client_email: String,
                private_key: String,
                private_key_id: String,
                token_uri: String,
            },
            AuthorizedUser {
                client_id: String,
                client_secret: String,
                refresh_token: String,
            },
        }
        let named = self
            .settings
            .get("GOOGLE_APPLICATION_CREDENTIALS")
            .map(std::path::PathBuf::from);
        let own = self
            .settings
            .get("HOME")
            .map(|home| std::path::Path::new(home).join(".config/gcloud/application_default_credentials.json"));
        // A file that is named and missing is an error below, not a reason to use the machine's identity,
        // which may have other permissions.
        let Some(path) = named.or(own.filter(|path| path.exists())) else {
            let host = self
                .settings
                .get("GCE_METADATA_HOST")
                .unwrap_or("metadata.google.internal");
            let uri = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
            let hint = "set GOOGLE_APPLICATION_CREDENTIALS, run `gcloud auth application-default login`, or \
             give this machine a service account";
            return machine_token(
                http,
                self.settings.timeouts(),
                &uri,
                // The metadata service answers only with this header, which a server that is tricked into
                // fetching a URL does not send.
                ("metadata-flavor", "Google"),
                hint,
            );
        };
        let text = std::fs::read(&path).map(Secret::new);
        let text = text.map_err(|error| {
            Error::io(format!("cannot read `{}`", path.display()), error)
                .with_hint("GOOGLE_APPLICATION_CREDENTIALS names it, or `gcloud` made it: see the manual")
        })?;
        // The cause is dropped: a parser's message may quote the file, which holds a private key.
        let credentials = serde_json::from_slice(text.expose()).map_err(|_| {
            Error::bad_input(format!(
                "`{}` does not hold credentials of a service account or a person",
                path.display()
            ))
        })?;
        let request = match credentials {
            GcpCredentials::ServiceAccount {
                client_email,
                private_key,
                private_key_id,
                token_uri,
            } => {
                // Whoever has the assertion can exchange it for a token until it expires.
                let assertion = Secret::new(assertion(
                    &client_email,
                    &Secret::new(private_key),
                    &private_key_id,
                    &token_uri,
                )?);
                form(
                    &token_uri,
                    &[
                        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                        ("assertion", assertion.expose()),
                    ],
                )?
            }
            GcpCredentials::AuthorizedUser {
                client_id,
                client_secret,
                refresh_token,
            } => {
                let (client_secret, refresh_token) = (Secret::new(client_secret), Secret::new(refresh_token));
                form(
                    // Fixed, and not the `token_uri` of the file: a refresh token serves at Google alone.
                    "https://oauth2.googleapis.com/token",
                    &[
                        ("grant_type", "refresh_token"),
                        ("client_id", &client_id),
                        ("client_secret", client_secret.expose()),
                        ("refresh_token", refresh_token.expose()),
                    ],
                )?
            }
        };
        http.send("token", &request)
    }
}

impl GcpKeyLocation {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let (name, mut parameters) = parameters(key)?;
        let endpoint = parameters
            .remove("endpoint")
            .unwrap_or_else(|| "https://cloudkms.googleapis.com".to_owned());
        if let Some(name) = parameters.keys().next() {
            return Err(malformed(key, &format!("unknown parameter `{name}`")).with_hint(
                "the only parameter is \
             `endpoint`",
            ));
        }
        // Each part stands in the path of a URL: no `%`, `?` or `/` may change what is asked for.
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
        };
        let parts: Vec<_> = name.split('/').collect();
        // No version behind the key: Decrypt takes the name of the key alone, and finds the version in
        // the ciphertext.
        match parts.as_slice() {
            [
                "projects",
                project,
                "locations",
                location,
                "keyRings",
                ring,
                "cryptoKeys",
                key,
            ] if [project, location, ring, key].iter().all(|part| plain(part)) => {}
            _ => {
                return Err(malformed(key, "the form is wrong")
                    .with_hint("write `gcp-kms:projects/P/locations/L/keyRings/R/cryptoKeys/K`, without a version"));
            }
        }
        let name = name.to_owned();
        Ok(Self { name, endpoint })
    }
}

/// Signs the assertion of a service account, which is exchanged for a token: a JWT (RFC 7523), RS256, valid for ten
/// minutes.
fn assertion(email: &str, key: &Secret<String>, key_id: &str, audience: &str) -> Result<String> {
    let not_a_key = || Error::bad_input("the service account's private key is not an RSA key in PKCS#8 form");
    let base64: Secret<String> = Secret::new(key.expose().lines().filter(|line| !line.starts_with("-----")).collect());
    let der = Secret::new(STANDARD.decode(base64.expose()).map_err(|_| not_a_key())?);
    let pair = RsaKeyPair::from_pkcs8(der.expose()).map_err(|_| not_a_key())?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key_id });
    // The scope is Cloud KMS alone: a token that leaks opens nothing else of the project.
    let claims = json!({ "iss": email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + 600 });
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| not_a_key())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Returns the CRC32C of `bytes` as Google's JSON has 64-bit numbers: as text.
fn sum(bytes: &[u8]) -> String {
    // The JSON form of Protocol Buffers writes 64-bit integers as strings, since JavaScript's numbers
    // cannot hold them.
    crc32c::crc32c(bytes).to_string()
}

fn damaged() -> Error {
    Error::new(
        ErrorKind::ProviderDown,
        "a message to or from Google Cloud KMS was damaged on its way: its CRC32C does not match",
    )
    .with_hint("run this again; if it happens again, check the proxies between")
}

/// Refusals by Google's status. A request that does not unwrap has the code `:decrypt`.
const REFUSALS: [RefusalRule; 8] = [
    means(0, "NOT_FOUND", Meaning::NoSuchKey, ""),
    rule(
        0,
        "PERMISSION_DENIED",
        ErrorKind::NotAllowed,
        "grant roles/cloudkms.cryptoKeyEncrypterDecrypter and roles/cloudkms.viewer on this key; or the key \
         does not exist",
    ),
    rule(
        0,
        "UNAUTHENTICATED",
        ErrorKind::NotAllowed,
        "log in again: `gcloud auth application-default login`",
    ),
    rule(
        0,
        "FAILED_PRECONDITION",
        ErrorKind::KeyNotUsable,
        "the key's version is disabled or waits for destruction: enable or restore it with `gcloud kms keys versions`",
    ),
    means(0, DECRYPT, Meaning::DoesNotUnwrap, ""),
    rule(
        0,
        "INVALID_ARGUMENT",
        ErrorKind::KeyNotUsable,
        "the key's purpose must be ENCRYPT_DECRYPT",
    ),
    rule(
        0,
        "RESOURCE_EXHAUSTED",
        ErrorKind::ProviderDown,
        "ask for a higher quota, or run this again later",
    ),
    rule(
        0,
        "",
        ErrorKind::ProviderDown,
        "see the status page of Google Cloud, or run this again later",
    ),
];

/// The operation that unwraps, as it stands in URLs.
const DECRYPT: &str = ":decrypt";

fn refusal(response: &HttpResponse, operation: &str) -> Error {
    #[derive(Deserialize)]
    struct GcpRefusal {
        error: GcpError,
    }
    #[derive(Default, Deserialize)]
    struct GcpError {
        status: String,
        message: String,
    }
    let refusal: Option<GcpRefusal> = serde_json::from_slice(response.body.expose()).ok();
    let error = refusal.map(|refusal| refusal.error).unwrap_or_default();
    // Google answers INVALID_ARGUMENT to a ciphertext that does not authenticate, and to a key of another
    // purpose. Only the operation tells which is likely.
    let code = if error.status == "INVALID_ARGUMENT" && operation == DECRYPT {
        DECRYPT.to_owned()
    } else {
        error.status
    };
    Complaint {
        service: "Google Cloud KMS",
        status: response.status,
        code,
        message: shortened(&error.message),
    }
    .error(&REFUSALS)
}
