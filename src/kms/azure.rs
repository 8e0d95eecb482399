//! Azure Key Vault and Managed HSM.
//!
//! `azure-kv:https://VAULT.vault.azure.net/keys/NAME`. RSA keys wrap with RSA-OAEP-256, symmetric keys of a Managed HSM with A256KW. Neither binds a
//! context, so what is wrapped is the data key and the SHA-256 of its context.
//!
//! The wrapped bytes: a byte 1, the length of the key's version (one byte) and the version, then what Azure gave.
//!
//! Who we are, by the variables of Azure's own SDKs: a client secret, a federated token (workload identity), or the machine's managed identity.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Settings;
use super::remote::http::{Answer, Http, Identity, request};
use super::remote::oauth::{AccessToken, form, machine};
use super::remote::{Queue, does_not_unwrap, malformed, no_such_key, parameters, with_digest, without_digest};
use super::settings::read_secret;
use crate::keys::{KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState, WrapContext};
use crate::{Error, ErrorKind, Result, Secret};

/// The layout of wrapped bytes.
const WRAPPED: u8 = 1;

const API: &str = "api-version=7.4";

/// Azure Key Vault and Managed HSM.
#[derive(Clone, Debug)]
pub struct AzureKms {
    inner: Arc<Inner>,
    queue: Queue,
}

struct Inner {
    settings: Settings,
    http: Mutex<Option<Http>>,
    vault_token: AccessToken,
    hsm_token: AccessToken,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    server: String,
    name: String,
}

#[derive(Deserialize)]
struct Bundle {
    key: Key,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    kty: String,
    #[serde(default)]
    key_ops: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    enabled: bool,
    created: Option<u64>,
    exp: Option<u64>,
    recovery_level: Option<String>,
}

#[derive(Deserialize)]
struct Operated {
    kid: String,
    value: String,
}

impl AzureKms {
    /// A client with these settings. Nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        let queue = Queue::new(settings.patience());
        let inner = Inner {
            settings,
            http: Mutex::default(),
            vault_token: AccessToken::default(),
            hsm_token: AccessToken::default(),
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
impl KmsClient for AzureKms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        self.run(key, |inner, place| {
            let Bundle { key, attributes } = inner.bundle(place)?;
            let state = if attributes.enabled {
                KmsKeyState::Enabled
            } else {
                KmsKeyState::Disabled
            };
            let mut info = KmsKeyInfo::new("azure-kv", key.kid, state).with_usage(format!(
                "{} {}",
                key.kty,
                key.key_ops.join(",")
            ));
            if let Some(created) = attributes.created {
                info = info.with_created((SystemTime::UNIX_EPOCH + Duration::from_secs(created)).into());
            }
            if let Some(level) = attributes.recovery_level {
                info = info.with_origin(format!("recovery level {level}"));
            }
            if let Some(end) = attributes.exp {
                let end = crate::keys::Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(end));
                info = info.with_rotation(format!("expires {end}"));
            }
            Ok(info)
        })
        .await
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let bound = with_digest(plaintext, context);
        self.run(key, move |inner, place| inner.wrap(place, &bound)).await
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let not_ours = || Error::bad_input("the wrapped bytes are not of Azure Key Vault");
        let rest = wrapped.strip_prefix(&[WRAPPED]).ok_or_else(not_ours)?;
        let (length, rest) = rest.split_first().ok_or_else(not_ours)?;
        let (version, sealed) = rest.split_at_checked(usize::from(*length)).ok_or_else(not_ours)?;
        let version = std::str::from_utf8(version)
            .ok()
            .filter(|version| version.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let (version, sealed) = (version.ok_or_else(not_ours)?.to_owned(), sealed.to_vec());
        let unwrapped = self
            .run(key, move |inner, place| inner.unwrap(place, &version, &sealed))
            .await?;
        without_digest(&unwrapped, context)
    }
}

impl Inner {
    fn bundle(&self, place: &Place) -> Result<Bundle> {
        self.ask(place, "GET", &format!("keys/{}", place.name), None)?.json()
    }

    fn algorithm(kty: &str) -> Result<&'static str> {
        match kty {
            "RSA" | "RSA-HSM" => Ok("RSA-OAEP-256"),
            "oct" | "oct-HSM" => Ok("A256KW"),
            _ => Err(
                Error::new(ErrorKind::KeyNotUsable, format!("a key of type {kty} does not wrap"))
                    .with_hint("make an RSA key of 3072 or 4096 bits, or in a Managed HSM an oct-HSM key of 256 bits"),
            ),
        }
    }

    fn wrap(&self, place: &Place, bound: &Secret<Vec<u8>>) -> Result<Vec<u8>> {
        let algorithm = Self::algorithm(&self.bundle(place)?.key.kty)?;
        let body = json!({ "alg": algorithm, "value": URL_SAFE_NO_PAD.encode(bound.expose()) });
        let made: Operated = self
            .ask(place, "POST", &format!("keys/{}/wrapkey", place.name), Some(body))?
            .json()?;
        let version = made.kid.rsplit('/').next().unwrap_or_default();
        let sealed = URL_SAFE_NO_PAD.decode(&made.value).map_err(|_| incomplete())?;
        let length = u8::try_from(version.len()).map_err(|_| incomplete())?;
        Ok([&[WRAPPED, length], version.as_bytes(), &sealed].concat())
    }

    fn unwrap(&self, place: &Place, version: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>> {
        let algorithm = Self::algorithm(&self.bundle(place)?.key.kty)?;
        let body = json!({ "alg": algorithm, "value": URL_SAFE_NO_PAD.encode(sealed) });
        // An older version of the key unwraps what it wrapped.
        let path = format!("keys/{}/{version}/unwrapkey", place.name);
        let made: Operated = self.ask(place, "POST", &path, Some(body))?.json()?;
        let text = Secret::new(made.value);
        URL_SAFE_NO_PAD
            .decode(text.expose())
            .map(Secret::new)
            .map_err(|_| incomplete())
    }

    fn ask(&self, place: &Place, method: &str, path: &str, body: Option<Value>) -> Result<Answer> {
        let http = self.http();
        let (token, resource) = match place.server.contains(".managedhsm.") {
            true => (&self.hsm_token, "https://managedhsm.azure.net"),
            false => (&self.vault_token, "https://vault.azure.net"),
        };
        let token = token.header(|| self.fetch_token(&http, resource))?;
        let uri = format!("{}/{path}?{API}", place.server);
        let what = path
            .rsplit('/')
            .next()
            .filter(|_| method == "POST")
            .unwrap_or("describe")
            .to_owned();
        let answer = http.ask(
            &what,
            &request(method, &uri, &[("authorization", token)], body.as_ref())?,
        )?;
        match answer.status {
            200 => Ok(answer),
            _ => Err(refused(&answer, &what)),
        }
    }

    fn http(&self) -> Http {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        http.get_or_insert_with(|| Http::new(self.settings.patience(), Identity::default()))
            .clone()
    }

    fn fetch_token(&self, http: &Http, resource: &str) -> Result<Answer> {
        let (tenant, client) = (
            self.settings.get("AZURE_TENANT_ID"),
            self.settings.get("AZURE_CLIENT_ID"),
        );
        let secret = self.settings.secret("AZURE_CLIENT_SECRET")?;
        let federated = self.settings.get("AZURE_FEDERATED_TOKEN_FILE");
        let (Some(tenant), Some(client), true) = (tenant, client, secret.is_some() || federated.is_some()) else {
            let of_client = client.map_or(String::new(), |client| format!("&client_id={client}"));
            let host = self
                .settings
                .get("AZURE_POD_IDENTITY_AUTHORITY_HOST")
                .unwrap_or("http://169.254.169.254");
            let uri =
                format!("{host}/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}{of_client}");
            let hint = "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or AZURE_FEDERATED_TOKEN_FILE), or give this machine a managed identity";
            return machine(http, self.settings.patience(), &uri, ("metadata", "true"), hint);
        };
        let host = self
            .settings
            .get("AZURE_AUTHORITY_HOST")
            .unwrap_or("https://login.microsoftonline.com");
        let uri = format!("{}/{tenant}/oauth2/v2.0/token", host.trim_end_matches('/'));
        let scope = format!("{resource}/.default");
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("scope", &scope),
        ];
        let request = match (&secret, federated) {
            (Some(secret), _) => form(&uri, &[&fields[..], &[("client_secret", secret.expose())]].concat())?,
            (None, file) => {
                let assertion = read_secret(std::path::Path::new(file.unwrap_or_default()))?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                form(
                    &uri,
                    &[
                        &fields[..],
                        &[
                            ("client_assertion_type", kind),
                            ("client_assertion", assertion.expose()),
                        ],
                    ]
                    .concat(),
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
        let (url, parameters) = parameters(key)?;
        if let Some(name) = parameters.keys().next() {
            return Err(malformed(key, &format!("there is no parameter `{name}`")));
        }
        let form = || {
            malformed(key, "it has another form")
                .with_hint("write `azure-kv:https://VAULT.vault.azure.net/keys/NAME`, without a version")
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        match rest.split('/').collect::<Vec<_>>().as_slice() {
            [host, "keys", name]
                if !host.is_empty()
                    && !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') =>
            {
                Ok(Self {
                    server: format!("{scheme}://{host}"),
                    name: (*name).to_owned(),
                })
            }
            _ => Err(form()),
        }
    }
}

fn incomplete() -> Error {
    Error::new(
        ErrorKind::ProviderDown,
        "Azure Key Vault gives an answer of a form that it is not known for",
    )
}

fn refused(answer: &Answer, what: &str) -> Error {
    #[derive(Deserialize)]
    struct Body {
        error: Complaint,
    }
    #[derive(Deserialize)]
    struct Complaint {
        code: String,
        message: String,
        innererror: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        code: String,
    }
    let body: Option<Body> = serde_json::from_slice(answer.body.expose()).ok();
    let Some(Body { error }) = body else {
        return incomplete().context(format_args!("HTTP {}", answer.status));
    };
    let inner = error.innererror.map_or(String::new(), |inner| inner.code);
    let message: String = error
        .message
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(300)
        .collect();
    let says = |kind, hint: &str| {
        Error::new(kind, format!("Azure Key Vault says {} {inner}: {message}", error.code)).with_hint(hint.to_owned())
    };
    match (answer.status, error.code.as_str(), inner.as_str()) {
        (404, ..) => no_such_key("Azure Key Vault").with_hint(
            "check vault and name; a deleted key can be recovered with `az keyvault key recover` for a while",
        ),
        (403, _, "KeyDisabled" | "KeyExpired" | "KeyNotYetValid") => {
            says(ErrorKind::KeyNotUsable, "enable the key, or give it another validity")
        }
        (403, _, "ForbiddenByFirewall") => says(
            ErrorKind::NotAllowed,
            "the vault's network rules do not let this machine in",
        ),
        (403, ..) => says(
            ErrorKind::NotAllowed,
            "give it the role `Key Vault Crypto Service Encryption User`: get, wrapKey, unwrapKey",
        ),
        (401, ..) => says(
            ErrorKind::NotAllowed,
            "check tenant, client and secret: the secret may have ended",
        ),
        (409, ..) => says(
            ErrorKind::KeyNotUsable,
            "the key is being deleted or recovered: wait, or recover it",
        ),
        (400, ..) if what == "unwrapkey" => does_not_unwrap(),
        (400, ..) => says(ErrorKind::KeyNotUsable, "the key must allow wrapKey and unwrapKey"),
        _ => says(
            ErrorKind::ProviderDown,
            "see the status page of Azure, or run this again later",
        ),
    }
}
