//! Google Cloud KMS.
//!
//! `gcp-kms:projects/P/locations/L/keyRings/R/cryptoKeys/K`; `endpoint` stands behind `?`. The wrap context is the additional authenticated data; every
//! message carries CRC32C sums, as Google asks for. Who we are is found by Application Default Credentials: a service account's file, a person's, or the
//! machine's.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Settings;
use super::remote::http::{Answer, Http, Identity, request};
use super::remote::oauth::{AccessToken, form, machine};
use super::remote::{Queue, does_not_unwrap, malformed, no_such_key, parameters};
use crate::keys::{KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState, Timestamp, WrapContext};
use crate::{Error, ErrorKind, Result, Secret};

const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";

/// Google Cloud KMS.
#[derive(Clone, Debug)]
pub struct GcpKms {
    inner: Arc<Inner>,
    queue: Queue,
}

struct Inner {
    settings: Settings,
    http: Mutex<Option<Http>>,
    token: AccessToken,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    name: String,
    endpoint: String,
}

impl GcpKms {
    /// A client with these settings. Nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        let queue = Queue::new(settings.patience());
        let inner = Inner {
            settings,
            http: Mutex::default(),
            token: AccessToken::default(),
        };
        Self {
            inner: Arc::new(inner),
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
impl KmsClient for GcpKms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        self.run(key, Inner::describe).await
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let (plaintext, context) = (plaintext.clone(), context.to_bytes());
        self.run(key, move |inner, place| inner.encrypt(place, &plaintext, &context))
            .await
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        if wrapped.is_empty() {
            return Err(Error::bad_input("the wrapped bytes are not of Google Cloud KMS"));
        }
        let (wrapped, context) = (wrapped.to_vec(), context.to_bytes());
        self.run(key, move |inner, place| inner.decrypt(place, &wrapped, &context))
            .await
    }
}

impl Inner {
    fn describe(&self, place: &Place) -> Result<KmsKeyInfo> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct CryptoKey {
            name: String,
            purpose: Option<String>,
            create_time: Option<String>,
            rotation_period: Option<String>,
            next_rotation_time: Option<String>,
            primary: Option<Version>,
            import_only: Option<bool>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            state: String,
            protection_level: Option<String>,
            algorithm: Option<String>,
        }
        let key: CryptoKey = self.ask(place, "GET", "", None)?.json()?;
        let state = match key.primary.as_ref().map(|version| version.state.as_str()) {
            Some("ENABLED") => KmsKeyState::Enabled,
            Some("DISABLED") => KmsKeyState::Disabled,
            Some("DESTROY_SCHEDULED") => KmsKeyState::PendingDeletion,
            _ => KmsKeyState::Unavailable,
        };
        let mut info = KmsKeyInfo::new("gcp-kms", key.name, state);
        let version = key.primary.unwrap_or(Version {
            state: String::new(),
            protection_level: None,
            algorithm: None,
        });
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

    fn encrypt(&self, place: &Place, plaintext: &Secret<Vec<u8>>, context: &[u8]) -> Result<Vec<u8>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Encrypted {
            ciphertext: String,
            ciphertext_crc32c: String,
            #[serde(default)]
            verified_plaintext_crc32c: bool,
            #[serde(default)]
            verified_additional_authenticated_data_crc32c: bool,
        }
        let body = json!({
            "plaintext": STANDARD.encode(plaintext.expose()),
            "plaintextCrc32c": sum(plaintext.expose()),
            "additionalAuthenticatedData": STANDARD.encode(context),
            "additionalAuthenticatedDataCrc32c": sum(context),
        });
        let made: Encrypted = self.ask(place, "POST", ":encrypt", Some(body))?.json()?;
        let ciphertext = STANDARD.decode(&made.ciphertext).map_err(|_| damaged())?;
        let whole = made.verified_plaintext_crc32c && made.verified_additional_authenticated_data_crc32c;
        match whole && made.ciphertext_crc32c == sum(&ciphertext) {
            true => Ok(ciphertext),
            false => Err(damaged()),
        }
    }

    fn decrypt(&self, place: &Place, wrapped: &[u8], context: &[u8]) -> Result<Secret<Vec<u8>>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Decrypted {
            plaintext: String,
            plaintext_crc32c: String,
        }
        let body = json!({
            "ciphertext": STANDARD.encode(wrapped),
            "ciphertextCrc32c": sum(wrapped),
            "additionalAuthenticatedData": STANDARD.encode(context),
            "additionalAuthenticatedDataCrc32c": sum(context),
        });
        let made: Decrypted = self.ask(place, "POST", ":decrypt", Some(body))?.json()?;
        let text = Secret::new(made.plaintext);
        let plaintext = Secret::new(STANDARD.decode(text.expose()).map_err(|_| damaged())?);
        match made.plaintext_crc32c == sum(plaintext.expose()) {
            true => Ok(plaintext),
            false => Err(damaged()),
        }
    }

    fn ask(&self, place: &Place, method: &str, action: &str, body: Option<Value>) -> Result<Answer> {
        let http = self.http();
        let token = self.token.header(|| self.fetch_token(&http))?;
        let uri = format!("{}/v1/{}{action}", place.endpoint, place.name);
        let what = if action.is_empty() { "describe" } else { &action[1..] };
        let answer = http.ask(
            what,
            &request(method, &uri, &[("authorization", token)], body.as_ref())?,
        )?;
        match answer.status {
            200 => Ok(answer),
            _ => Err(refused(&answer, action)),
        }
    }

    fn http(&self) -> Http {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        http.get_or_insert_with(|| Http::new(self.settings.patience(), Identity::default()))
            .clone()
    }

    /// As Application Default Credentials have it.
    fn fetch_token(&self, http: &Http) -> Result<Answer> {
        #[derive(Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum Credentials {
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
        let Some(path) = named.or(own.filter(|path| path.exists())) else {
            let host = self
                .settings
                .get("GCE_METADATA_HOST")
                .unwrap_or("metadata.google.internal");
            let uri = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
            let hint = "set GOOGLE_APPLICATION_CREDENTIALS, run `gcloud auth application-default login`, or give this machine a service account";
            return machine(
                http,
                self.settings.patience(),
                &uri,
                ("metadata-flavor", "Google"),
                hint,
            );
        };
        let text = std::fs::read(&path).map(Secret::new);
        let text = text.map_err(|error| {
            Error::io(format!("cannot read `{}`", path.display()), error)
                .with_hint("GOOGLE_APPLICATION_CREDENTIALS names it, or `gcloud` made it: see the manual")
        })?;
        let credentials = serde_json::from_slice(text.expose()).map_err(|_| {
            Error::bad_input(format!(
                "`{}` holds no credentials of a service account or a person",
                path.display()
            ))
        })?;
        let request = match credentials {
            Credentials::ServiceAccount {
                client_email,
                private_key,
                private_key_id,
                token_uri,
            } => {
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
            Credentials::AuthorizedUser {
                client_id,
                client_secret,
                refresh_token,
            } => {
                let (client_secret, refresh_token) = (Secret::new(client_secret), Secret::new(refresh_token));
                form(
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
        http.ask("token", &request)
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
        let (name, mut parameters) = parameters(key)?;
        let endpoint = parameters
            .remove("endpoint")
            .unwrap_or_else(|| "https://cloudkms.googleapis.com".to_owned());
        if let Some(name) = parameters.keys().next() {
            return Err(malformed(key, &format!("there is no parameter `{name}`")).with_hint("there is `endpoint`"));
        }
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
        };
        let parts: Vec<_> = name.split('/').collect();
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
                return Err(malformed(key, "it has another form")
                    .with_hint("write `gcp-kms:projects/P/locations/L/keyRings/R/cryptoKeys/K`, without a version"));
            }
        }
        let name = name.to_owned();
        Ok(Self { name, endpoint })
    }
}

/// What a service account signs to get a token: a JWT (RFC 7523), RS256, good for ten minutes.
fn assertion(email: &str, key: &Secret<String>, key_id: &str, audience: &str) -> Result<String> {
    let not_a_key = || Error::bad_input("the service account's private key is no RSA key in PKCS#8 form");
    let base64: Secret<String> = Secret::new(key.expose().lines().filter(|line| !line.starts_with("-----")).collect());
    let der = Secret::new(STANDARD.decode(base64.expose()).map_err(|_| not_a_key())?);
    let pair = RsaKeyPair::from_pkcs8(der.expose()).map_err(|_| not_a_key())?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key_id });
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

/// Google's JSON has 64-bit numbers as text.
fn sum(bytes: &[u8]) -> String {
    crc32c::crc32c(bytes).to_string()
}

fn damaged() -> Error {
    Error::new(
        ErrorKind::ProviderDown,
        "a message to or from Google Cloud KMS was damaged on its way: its CRC32C does not fit",
    )
    .with_hint("run this again; if it stays so, look at what stands between")
}

fn refused(answer: &Answer, action: &str) -> Error {
    #[derive(Deserialize)]
    struct Body {
        error: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        status: String,
        message: String,
    }
    let body: Option<Body> = serde_json::from_slice(answer.body.expose()).ok();
    let (status, message) = body.map_or(("no status".to_owned(), String::new()), |body| {
        (body.error.status, body.error.message)
    });
    let message: String = message.chars().take(300).collect();
    let says = |kind, hint: &str| {
        Error::new(kind, format!("Google Cloud KMS says {status}: {message}")).with_hint(hint.to_owned())
    };
    match status.as_str() {
        "NOT_FOUND" => no_such_key("Google Cloud KMS"),
        "PERMISSION_DENIED" => says(
            ErrorKind::NotAllowed,
            "grant roles/cloudkms.cryptoKeyEncrypterDecrypter and roles/cloudkms.viewer on this key; or the key is not there",
        ),
        "UNAUTHENTICATED" => says(
            ErrorKind::NotAllowed,
            "log in again: `gcloud auth application-default login`",
        ),
        "FAILED_PRECONDITION" => says(
            ErrorKind::KeyNotUsable,
            "the key's version is disabled or waits for destruction: enable or restore it with `gcloud kms keys versions`",
        ),
        "INVALID_ARGUMENT" if action == ":decrypt" => does_not_unwrap(),
        "INVALID_ARGUMENT" => says(ErrorKind::KeyNotUsable, "the key's purpose must be ENCRYPT_DECRYPT"),
        "RESOURCE_EXHAUSTED" => says(
            ErrorKind::ProviderDown,
            "ask for a higher quota, or run this again later",
        ),
        _ => says(
            ErrorKind::ProviderDown,
            "see the status page of Google Cloud, or run this again later",
        ),
    }
}
