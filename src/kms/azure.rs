//! Azure Key Vault and Managed HSM.
//!
//! `azure-kv:https://VAULT.vault.azure.net/keys/NAME`. RSA keys wrap with RSA-OAEP-256, symmetric keys of a Managed
//! HSM with A256KW. Neither binds a context, so the SHA-256 of the context is wrapped with the data key.
//!
//! Wrapped bytes: a byte 1, the length of the key's version (one byte), the version, and the bytes from Azure.
//!
//! Credentials, by the variables of Azure's own SDKs: a client secret, a federated token (workload identity), or the
//! managed identity of the machine.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::remote::hosts::check_host;
use super::remote::http::{self, Http, HttpResponse, LazyHttp, TlsIdentity};
use super::remote::oauth::{access_token, form, machine_token};
use super::remote::refusal::{Complaint, Meaning, RefusalRule, means, rule, shortened};
use super::remote::secret_text::{SecretText, json};
use super::remote::token_cache::TokenCache;
use super::remote::{Provider, malformed, parameters, remote_client, with_digest, without_digest};
use super::settings::{Settings, read_secret};
use crate::keys::{KmsKeyInfo, KmsKeyRef, KmsKeyState, Timestamp, WrapContext};
use crate::{Error, ErrorKind, Result, Secret};

/// The layout of wrapped bytes.
const WRAPPED: u8 = 1;

const API: &str = "api-version=7.4";

/// Ends of the hosts of Key Vault and Managed HSM: everywhere, in China, and for the government of the US. A token is
/// for the service of one of them.
const HOSTS: [&str; 6] = [
    "vault.azure.net",
    "managedhsm.azure.net",
    "vault.azure.cn",
    "managedhsm.azure.cn",
    "vault.usgovcloudapi.net",
    "managedhsm.usgovcloudapi.net",
];

remote_client! {
    /// Azure Key Vault and Managed HSM.
    pub struct AzureKms(AzureProvider);
}

struct AzureProvider {
    settings: Settings,
    http: LazyHttp,
    /// Tokens by the service that they are for.
    tokens: TokenCache<Option<&'static str>>,
}

/// The location of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
struct AzureKeyLocation {
    server: String,
    name: String,
}

#[derive(Deserialize)]
struct AzureKeyBundle {
    key: AzureKey,
    attributes: AzureKeyAttributes,
}

#[derive(Deserialize)]
struct AzureKey {
    kid: String,
    kty: String,
    #[serde(default)]
    key_ops: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureKeyAttributes {
    enabled: bool,
    created: Option<u64>,
    exp: Option<u64>,
    recovery_level: Option<String>,
}

#[derive(Deserialize)]
struct OperationResult {
    kid: String,
    value: SecretText,
}

#[derive(Serialize)]
struct Operation {
    alg: &'static str,
    value: SecretText,
}

impl Operation {
    fn json(alg: &'static str, bytes: &[u8]) -> Secret<Vec<u8>> {
        let value = SecretText::new(URL_SAFE_NO_PAD.encode(bytes));
        json(&Self { alg, value })
    }
}

impl AzureProvider {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            http: LazyHttp::default(),
            tokens: TokenCache::default(),
        }
    }
}

impl Provider for AzureProvider {
    type Location = AzureKeyLocation;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn locate(key: &KmsKeyRef) -> Result<AzureKeyLocation> {
        AzureKeyLocation::parse(key)
    }

    fn describe(&self, location: &AzureKeyLocation) -> Result<KmsKeyInfo> {
        let AzureKeyBundle { key, attributes } = self.bundle(location)?;
        let state = if attributes.enabled {
            KmsKeyState::Enabled
        } else {
            KmsKeyState::Disabled
        };
        let usage = format!("{} {}", key.kty, key.key_ops.join(","));
        let mut info = KmsKeyInfo::new("azure-kv", key.kid, state).with_usage(usage);
        let time = |seconds| Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        if let Some(created) = attributes.created {
            info = info.with_created(time(created));
        }
        if let Some(level) = attributes.recovery_level {
            info = info.with_origin(format!("recovery level {level}"));
        }
        if let Some(end) = attributes.exp {
            info = info.with_rotation(format!("expires {}", time(end)));
        }
        Ok(info)
    }

    fn wrap(&self, location: &AzureKeyLocation, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        self.wrap_bytes(location, &with_digest(plaintext, context))
    }

    fn unwrap(&self, location: &AzureKeyLocation, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let not_ours = || Error::bad_input("the wrapped bytes are not from Azure Key Vault");
        let rest = wrapped.strip_prefix(&[WRAPPED]).ok_or_else(not_ours)?;
        let (length, rest) = rest.split_first().ok_or_else(not_ours)?;
        let (version, sealed) = rest.split_at_checked(usize::from(*length)).ok_or_else(not_ours)?;
        let version = std::str::from_utf8(version)
            .ok()
            // The version comes from wrapped bytes, which anybody may have changed, and goes into the
            // path of a URL.
            .filter(|version| version.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .ok_or_else(not_ours)?;
        without_digest(&self.unwrap_bytes(location, version, sealed)?, context)
    }
}

impl AzureProvider {
    fn bundle(&self, location: &AzureKeyLocation) -> Result<AzureKeyBundle> {
        self.request(location, "GET", &format!("keys/{}", location.name), None)?
            .json()
    }

    fn algorithm(kty: &str) -> Result<&'static str> {
        match kty {
            // At most 96 bytes are wrapped. OAEP with SHA-256 leaves 190 in a key of 2,048 bits.
            "RSA" | "RSA-HSM" => Ok("RSA-OAEP-256"),
            // AES key wrap (RFC 3394) takes multiples of 8 bytes: 16 to 64 of key and 32 of digest always
            // are.
            "oct" | "oct-HSM" => Ok("A256KW"),
            _ => Err(
                Error::new(ErrorKind::KeyNotUsable, format!("a key of type {kty} cannot wrap")).with_hint(
                    "create an RSA key of 3072 or 4096 bits, or in a Managed HSM an oct-HSM key of \
                     256 bits",
                ),
            ),
        }
    }

    fn wrap_bytes(&self, location: &AzureKeyLocation, bound: &Secret<Vec<u8>>) -> Result<Vec<u8>> {
        // Asked each time: what kind of key it is stands nowhere in the reference.
        let algorithm = Self::algorithm(&self.bundle(location)?.key.kty)?;
        let body = Operation::json(algorithm, bound.expose());
        let made: OperationResult = self
            .request(location, "POST", &format!("keys/{}/wrapkey", location.name), Some(body))?
            .json()?;
        // The answer names the version that wrapped. It is kept with the bytes, since Azure does not
        // write it into them, and after a rotation the name alone means a newer one.
        let version = made.kid.rsplit('/').next().unwrap_or_default();
        let sealed = URL_SAFE_NO_PAD.decode(made.value.expose()).map_err(|_| incomplete())?;
        let length = u8::try_from(version.len()).map_err(|_| incomplete())?;
        Ok([&[WRAPPED, length], version.as_bytes(), &sealed].concat())
    }

    fn unwrap_bytes(&self, location: &AzureKeyLocation, version: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>> {
        let algorithm = Self::algorithm(&self.bundle(location)?.key.kty)?;
        let body = Operation::json(algorithm, sealed);
        // An older version of the key unwraps what it wrapped.
        let path = format!("keys/{}/{version}/unwrapkey", location.name);
        let made: OperationResult = self.request(location, "POST", &path, Some(body))?.json()?;
        URL_SAFE_NO_PAD
            .decode(made.value.expose())
            .map(Secret::new)
            .map_err(|_| incomplete())
    }

    fn request(
        &self,
        location: &AzureKeyLocation,
        method: &str,
        path: &str,
        body: Option<Secret<Vec<u8>>>,
    ) -> Result<HttpResponse> {
        let http = self.http.get(&self.settings, || Ok(TlsIdentity::default()))?;
        // A token is good for one service only, and the host says which it is.
        let suffix = check_host(&self.settings, "Azure Key Vault", &location.server, &HOSTS)?;
        let resource = format!("https://{}", suffix.unwrap_or(HOSTS[0]));
        let fetch = || access_token(&self.fetch_token(&http, &resource)?);
        let token = self.tokens.get(suffix, None, fetch)?.header;
        let uri = format!("{}/{path}?{API}", location.server);
        let what = path
            .rsplit('/')
            .next()
            .filter(|_| method == "POST")
            .unwrap_or("describe")
            .to_owned();
        let response = http.send(
            &what,
            &http::request(method, &uri, &[("authorization", token)], body.as_ref())?,
        )?;
        match response.status {
            200 => Ok(response),
            _ => Err(refusal(&response, &what)),
        }
    }

    fn fetch_token(&self, http: &Http, resource: &str) -> Result<HttpResponse> {
        let (tenant, client) = (
            self.settings.get("AZURE_TENANT_ID"),
            self.settings.get("AZURE_CLIENT_ID"),
        );
        let secret = self.settings.secret("AZURE_CLIENT_SECRET")?;
        let federated = self.settings.get("AZURE_FEDERATED_TOKEN_FILE");
        // Half of the variables is as none: a client id alone chooses among the identities of a machine.
        let (Some(tenant), Some(client), true) = (tenant, client, secret.is_some() || federated.is_some()) else {
            let of_client = client.map_or(String::new(), |client| format!("&client_id={client}"));
            let host = self
                .settings
                .get("AZURE_POD_IDENTITY_AUTHORITY_HOST")
                .unwrap_or("http://169.254.169.254");
            let uri =
                format!("{host}/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}{of_client}");
            let hint = "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or \
             AZURE_FEDERATED_TOKEN_FILE), or give this machine a managed identity";
            // The metadata service answers only with this header, which a server that is tricked into
            // fetching a URL does not send.
            return machine_token(http, self.settings.timeouts(), &uri, ("metadata", "true"), hint);
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
            // The secret goes before the federated token, if both are set.
            (Some(secret), _) => form(&uri, &[&fields[..], &[("client_secret", secret.expose())]].concat())?,
            (None, file) => {
                // Read at each login, not once: Kubernetes replaces the file before the token in it
                // expires.
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
        http.send("token", &request)
    }
}

impl AzureKeyLocation {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let (url, parameters) = parameters(key)?;
        if let Some(name) = parameters.keys().next() {
            return Err(malformed(key, &format!("unknown parameter `{name}`")));
        }
        let form = || {
            malformed(key, "the form is wrong")
                .with_hint("write `azure-kv:https://VAULT.vault.azure.net/keys/NAME`, without a version")
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        match rest.split('/').collect::<Vec<_>>().as_slice() {
            [host, "keys", name]
                if !host.is_empty()
                    && !name.is_empty()
                    // The characters of a key name in Azure, and nothing that changes a URL.
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
        "the response of Azure Key Vault has an unexpected form",
    )
}

/// Refusals by the status, and by the code: the inner one where there is one. A request that does not unwrap has the
/// code `unwrapkey`.
const REFUSALS: [RefusalRule; 9] = [
    means(
        404,
        "",
        Meaning::NoSuchKey,
        "check vault and name; a deleted key can be recovered with `az keyvault key recover` for a while",
    ),
    rule(
        403,
        // Codes about the state of the key itself, with the same status as a missing role.
        "Key*",
        ErrorKind::KeyNotUsable,
        "enable the key, or change its validity",
    ),
    rule(
        403,
        "ForbiddenByFirewall",
        ErrorKind::NotAllowed,
        "the vault's network rules do not let this machine in",
    ),
    rule(
        403,
        "",
        ErrorKind::NotAllowed,
        "grant the role `Key Vault Crypto Service Encryption User`: get, wrapKey, unwrapKey",
    ),
    rule(
        401,
        "",
        ErrorKind::NotAllowed,
        "check tenant, client and secret: the secret may have expired",
    ),
    rule(
        409,
        "",
        ErrorKind::KeyNotUsable,
        "the key is being deleted or recovered: wait, or recover it",
    ),
    means(400, UNWRAP, Meaning::DoesNotUnwrap, ""),
    rule(
        400,
        "",
        ErrorKind::KeyNotUsable,
        "the key must allow wrapKey and unwrapKey",
    ),
    rule(
        0,
        "",
        ErrorKind::ProviderDown,
        "see the status page of Azure, or run this again later",
    ),
];

/// The operation that unwraps, as it stands in URLs.
const UNWRAP: &str = "unwrapkey";

fn refusal(response: &HttpResponse, operation: &str) -> Error {
    #[derive(Deserialize)]
    struct AzureRefusal {
        error: AzureError,
    }
    #[derive(Deserialize)]
    struct AzureError {
        code: String,
        message: String,
        innererror: Option<AzureInnerError>,
    }
    #[derive(Deserialize)]
    struct AzureInnerError {
        code: String,
    }
    // A proxy or a gateway answered: its words are not shown, since nobody knows what they hold.
    let Ok(AzureRefusal { error }) = serde_json::from_slice(response.body.expose()) else {
        return incomplete().context(format_args!("HTTP {}", response.status));
    };
    let code = match error.innererror {
        // The outer code is often just `Forbidden`.
        Some(inner) => inner.code,
        // Azure has no code of its own for bytes that do not unwrap: it calls them a bad parameter.
        None if operation == UNWRAP && response.status == 400 => UNWRAP.to_owned(),
        None => error.code,
    };
    Complaint {
        service: "Azure Key Vault",
        status: response.status,
        code,
        message: shortened(&error.message),
    }
    .error(&REFUSALS)
}
