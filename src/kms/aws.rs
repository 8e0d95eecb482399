//! AWS KMS, by the AWS SDK.
//!
//! `aws-kms:ARN`, `aws-kms:alias/NAME?region=…`, `aws-kms:KEY-ID?region=…`; `profile`, `endpoint` and `context.NAME`
//! (further pairs of the encryption context, for key policies that require them) stand behind `?`, too.
//!
//! Credentials are found as the SDK finds them: environment, profile, web identity, container, instance.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::Credentials;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::KeyState;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;

use super::remote::http::{Http, LazyHttp, TlsIdentity, secured};
use super::remote::refusal::{Complaint, Meaning, RefusalRule, means, rule, shortened};
use super::remote::{Failure, Limiter, malformed, parameters};
use super::settings::Settings;
use crate::keys::{DataKey, KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState, WrapContext, random};
use crate::{Error, ErrorKind, Result, Secret};

/// AWS KMS: any region and account that its references name.
#[derive(Clone, Debug)]
pub struct AwsKms {
    inner: Arc<AwsClients>,
}

struct AwsClients {
    settings: Settings,
    connector: AwsConnector,
    /// Clients by region, profile and endpoint: each keeps its credentials until they expire.
    clients: Mutex<HashMap<AwsAccess, Client>>,
}

/// The access to AWS that a reference names.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct AwsAccess {
    region: Option<String>,
    profile: Option<String>,
    endpoint: Option<String>,
}

/// The location of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
struct AwsKeyLocation {
    /// An ARN, a key id, or `alias/NAME`.
    key: String,
    access: AwsAccess,
    /// Further pairs of the encryption context.
    context: Vec<(String, String)>,
}

impl AwsKms {
    /// Makes a client with these settings. No request is made yet.
    pub fn new(settings: Settings) -> Self {
        let connector = AwsConnector {
            settings: settings.clone(),
            limiter: Limiter::new(settings.timeouts()),
            http: Arc::default(),
        };
        let clients = Mutex::default();
        Self {
            inner: Arc::new(AwsClients {
                settings,
                connector,
                clients,
            }),
        }
    }

    async fn location(&self, key: &KmsKeyRef) -> Result<(AwsKeyLocation, Client)> {
        let location = AwsKeyLocation::parse(key)?;
        if let Some(endpoint) = &location.access.endpoint {
            // Before a client is made: making one looks for credentials, and these must not go to an
            // address in the clear.
            secured(&endpoint.parse().map_err(|_| malformed(key, "the endpoint is no URL"))?)?;
        }
        // The lock is not held while a client is made, which may ask other services for credentials. Two
        // tasks may make two; the first one in the map serves both.
        let known = self.inner.lock().get(&location.access).cloned();
        let client = match known {
            Some(client) => client,
            None => {
                let made = self.inner.client(&location.access).await;
                self.inner.lock().entry(location.access.clone()).or_insert(made).clone()
            }
        };
        Ok((location, client))
    }

    /// Returns the grant tokens of the environment. They serve for the minutes until a grant is known everywhere, so no
    /// reference holds them.
    fn grant_tokens(&self) -> Option<Vec<String>> {
        let text = self.inner.settings.get("CIPHERFORM_AWS_GRANT_TOKENS")?;
        Some(text.split(',').map(|token| token.trim().to_owned()).collect())
    }
}

/// Code of a dry run that would have succeeded.
const DRY_RUN: &str = "DryRunOperationException";

#[async_trait]
impl KmsClient for AwsKms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        let (location, client) = self.location(key).await?;
        let response = client
            .describe_key()
            .key_id(&location.key)
            .set_grant_tokens(self.grant_tokens())
            .send()
            .await;
        let metadata = response
            .map_err(|error| refusal(error, &location))?
            .key_metadata
            .ok_or_else(incomplete)?;
        let state = match metadata.key_state() {
            Some(KeyState::Enabled) => KmsKeyState::Enabled,
            Some(KeyState::Disabled) => KmsKeyState::Disabled,
            Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => KmsKeyState::PendingDeletion,
            // Creating, Updating, PendingImport, and states of later versions of AWS KMS: none of them
            // wraps for sure.
            _ => KmsKeyState::Unavailable,
        };
        let mut info = KmsKeyInfo::new("aws-kms", metadata.arn().unwrap_or(metadata.key_id()), state);
        if let Some(created) = metadata
            .creation_date()
            .and_then(|time| std::time::SystemTime::try_from(*time).ok())
        {
            info = info.with_created(created.into());
        }
        if let Some(usage) = metadata.key_usage() {
            let spec = metadata.key_spec().map_or("", |spec| spec.as_str());
            info = info.with_usage(format!("{} {spec}", usage.as_str()).trim_end());
        }
        if let Some(origin) = metadata.origin() {
            let manager = metadata
                .key_manager()
                .map_or(String::new(), |manager| format!(", managed by {}", manager.as_str()));
            info = info.with_origin(format!("{}{manager}", origin.as_str()));
        }
        // This takes another permission; without it the rest is reported.
        if let Ok(rotation) = client.get_key_rotation_status().key_id(&location.key).send().await {
            info = info.with_rotation(
                match (rotation.key_rotation_enabled(), rotation.rotation_period_in_days()) {
                    (false, _) => "off".to_owned(),
                    (true, None) => "every year".to_owned(),
                    (true, Some(days)) => format!("every {days} days"),
                },
            );
        }
        Ok(info)
    }

    async fn generate_data_key(&self, key: &KmsKeyRef, length: usize, context: &WrapContext) -> Result<DataKey> {
        let (location, client) = self.location(key).await?;
        let response = client
            .generate_data_key()
            .key_id(&location.key)
            // By bytes and not by `KeySpec`, which has 128 and 256 bits only: a key for direct use has
            // 48, 56 or 64 bytes.
            .number_of_bytes(i32::try_from(length).map_err(|_| Error::bug("a data key of 2 GiB"))?)
            // The encryption context is the associated data: Decrypt fails unless every pair is the same.
            // It is not secret, and CloudTrail logs it.
            .set_encryption_context(Some(location.encryption_context(context)))
            .set_grant_tokens(self.grant_tokens())
            .send()
            .await
            .map_err(|error| refusal(error, &location))?;
        let plaintext = Secret::new(response.plaintext.ok_or_else(incomplete)?.into_inner());
        let wrapped = response.ciphertext_blob.ok_or_else(incomplete)?.into_inner();
        Ok(DataKey { plaintext, wrapped })
    }

    async fn try_generate(&self, key: &KmsKeyRef, context: &WrapContext) -> Result<bool> {
        let (location, client) = self.location(key).await?;
        let response = client
            .generate_data_key()
            .key_id(&location.key)
            .number_of_bytes(32)
            .set_encryption_context(Some(location.encryption_context(context)))
            .set_grant_tokens(self.grant_tokens())
            .dry_run(true)
            .send()
            .await;
        match response {
            // A dry run that would succeed fails with a code of its own; a service without dry runs makes a data key,
            // which is dropped.
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(refusal)) if refusal.err().code() == Some(DRY_RUN) => Ok(true),
            Err(error) => Err(refusal(error, &location)),
        }
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let (location, client) = self.location(key).await?;
        let response = client
            .encrypt()
            .key_id(&location.key)
            .plaintext(Blob::new(plaintext.expose().as_slice()))
            .set_encryption_context(Some(location.encryption_context(context)))
            .set_grant_tokens(self.grant_tokens())
            .send()
            .await
            .map_err(|error| refusal(error, &location))?;
        Ok(response.ciphertext_blob.ok_or_else(incomplete)?.into_inner())
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        // AWS would answer with a validation error, which is also that of a wrong reference.
        if wrapped.is_empty() {
            return Err(Error::bad_input("the wrapped bytes are not from AWS KMS"));
        }
        let (location, client) = self.location(key).await?;
        // With the key named, AWS refuses what another key wrapped, even one that this client may use.
        let response = client
            .decrypt()
            .key_id(&location.key)
            .ciphertext_blob(Blob::new(wrapped))
            .set_encryption_context(Some(location.encryption_context(context)))
            .set_grant_tokens(self.grant_tokens())
            .send()
            .await
            .map_err(|error| refusal(error, &location))?;
        Ok(Secret::new(response.plaintext.ok_or_else(incomplete)?.into_inner()))
    }

    async fn random(&self, length: usize) -> Result<Secret<Vec<u8>>> {
        // Without a key there is no region to send a request to.
        random::secret(length)
    }
}

impl AwsClients {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AwsAccess, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn client(&self, access: &AwsAccess) -> Client {
        let timeouts = self.settings.timeouts();
        let retry = RetryConfig::standard()
            // The SDK retries by itself; our own loop around it would multiply the attempts.
            .with_max_attempts(timeouts.attempts)
            .with_initial_backoff(timeouts.pause);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(self.connector.clone())
            .retry_config(retry);
        if let Some(region) = &access.region {
            loader = loader.region(Region::new(region.clone()));
        }
        match (
            &access.profile,
            self.settings.get("AWS_ACCESS_KEY_ID"),
            self.settings.get("AWS_SECRET_ACCESS_KEY"),
        ) {
            // The profile that the reference names goes before the environment.
            (Some(profile), ..) => {
                let config = ProviderConfig::without_region()
                    .with_http_client(self.connector.clone())
                    .with_region(access.region.clone().map(Region::new));
                let credentials = ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_name(profile)
                    .build();
                loader = loader.profile_name(profile).credentials_provider(credentials);
            }
            // The settings go before the SDK's own search of the environment: a host may have given
            // others than its process has.
            (None, Some(id), Some(secret)) => {
                let token = self.settings.get("AWS_SESSION_TOKEN").map(str::to_owned);
                loader = loader.credentials_provider(Credentials::new(id, secret, token, None, "settings"));
            }
            // All else is left to the SDK: web identity, container, instance.
            _ => {}
        }
        let shared = loader.load().await;
        let mut config = aws_sdk_kms::config::Builder::from(&shared);
        if let Some(endpoint) = &access.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Client::from_conf(config.build())
    }
}

impl fmt::Debug for AwsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsClients")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl AwsKeyLocation {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let (name, parameters) = parameters(key)?;
        let mut access = AwsAccess::default();
        let mut context = Vec::new();
        // arn:PARTITION:kms:REGION:ACCOUNT:key/ID
        if let Some(rest) = name.strip_prefix("arn:") {
            match rest.split(':').collect::<Vec<_>>().as_slice() {
                [_, "kms", region, account, _] if !region.is_empty() && !account.is_empty() => {
                    // The region of an ARN is the only one that has the key. A default region would
                    // answer that there is no such key.
                    access.region = Some((*region).to_owned())
                }
                _ => {
                    return Err(malformed(key, "the ARN is not one of KMS")
                        .with_hint("write `aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID`"));
                }
            }
        }
        for (parameter, value) in parameters {
            match parameter {
                "region" if access.region.as_deref().is_some_and(|region| region != value) => {
                    return Err(malformed(key, "the region of the ARN and `region` differ"));
                }
                "region" => access.region = Some(value),
                "profile" => access.profile = Some(value),
                "endpoint" => access.endpoint = Some(value),
                _ => match parameter.strip_prefix("context.") {
                    // Our own pairs cannot be overridden: with them a reference could undo the binding to
                    // keyring, key and version.
                    Some(name) if !name.is_empty() && !name.starts_with("cipherform") => {
                        context.push((name.to_owned(), value))
                    }
                    _ => {
                        return Err(malformed(key, &format!("unknown parameter `{parameter}`"))
                            .with_hint("the parameters are region, profile, endpoint and context.NAME"));
                    }
                },
            }
        }
        let key = name.to_owned();
        Ok(Self { key, access, context })
    }

    /// Returns the wrap context as pairs, as CloudTrail shows them, with the further pairs.
    fn encryption_context(&self, context: &WrapContext) -> HashMap<String, String> {
        let WrapContext {
            keyring,
            data_key,
            version,
            key_use,
        } = context;
        let mut pairs = HashMap::from([
            ("cipherform:keyring".to_owned(), keyring.to_string()),
            ("cipherform:data-key".to_owned(), data_key.to_string()),
            ("cipherform:version".to_owned(), version.to_string()),
            ("cipherform:use".to_owned(), key_use.clone()),
        ]);
        pairs.extend(self.context.iter().cloned());
        pairs
    }
}

/// Checks whether a URI is of the metadata service of a machine or a container (169.254.0.0/16, fd00:ec2::/32).
fn is_link_local(uri: &http::Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(std::net::IpAddr::V4(address)) => address.is_link_local(),
        Ok(std::net::IpAddr::V6(address)) => address.segments()[..2] == [0xfd00, 0x0ec2],
        Err(_) => false,
    }
}

/// Sends the requests of the SDK over the HTTP and TLS that all clients share.
#[derive(Clone, Debug)]
struct AwsConnector {
    settings: Settings,
    limiter: Limiter,
    http: Arc<LazyHttp>,
}

impl AwsConnector {
    fn http(&self) -> Result<Http> {
        self.http.get(&self.settings, || {
            TlsIdentity::default().trusting(self.settings.get("AWS_CA_BUNDLE"))
        })
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let other = |error: Error| ConnectorError::other(error.into(), None);
        let http = self.http().map_err(other)?;
        let request = request
            .try_into_http1x()
            .map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        // Checked however the endpoint was found. A machine's own credentials come by a link that ends in the machine.
        if !is_link_local(&parts.uri) {
            secured(&parts.uri).map_err(other)?;
        }
        let body = body
            .bytes()
            .ok_or_else(|| other(Error::bug("the AWS SDK streams a request")))?;
        let request = http::Request::from_parts(parts, Secret::new(body.to_vec()));
        let response = self.limiter.run(move || {
            let what = request
                .headers()
                .get("x-amz-target")
                .and_then(|target| target.to_str().ok())
                .unwrap_or("credentials")
                .to_owned();
            // `once`, since the SDK retries; the outer `Ok` is the limiter's, the inner result the
            // request's.
            Ok(http.once(&what, &request))
        });
        let response = match response.await.map_err(other)? {
            Ok(response) => response,
            // The SDK retries I/O errors and gives up on others, so the two kinds of failure keep their
            // meaning.
            Err(Failure::Passing(error)) => return Err(ConnectorError::io(error.into())),
            Err(Failure::Lasting(error)) => return Err(ConnectorError::other(error.into(), None)),
        };
        let mut converted = http::Response::new(SdkBody::from(response.body.expose().as_slice()));
        *converted.status_mut() =
            http::StatusCode::from_u16(response.status).map_err(|error| ConnectorError::other(error.into(), None))?;
        *converted.headers_mut() = response.headers;
        HttpResponse::try_from(converted).map_err(|error| ConnectorError::other(error.into(), None))
    }
}

impl HttpConnector for AwsConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl HttpClient for AwsConnector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn incomplete() -> Error {
    Error::new(ErrorKind::ProviderDown, "the response of AWS KMS is incomplete")
}

/// Refusals by the code of AWS; a gateway before AWS gives none.
const REFUSALS: [RefusalRule; 22] = [
    means(
        0,
        "NotFoundException",
        Meaning::NoSuchKey,
        "check account, region and key id; a key is in one region, and is gone once its waiting time for \
         deletion is over",
    ),
    // AWS says the same for changed bytes and for another encryption context.
    means(0, "InvalidCiphertextException", Meaning::DoesNotUnwrap, OTHER_KEY),
    means(0, "IncorrectKeyException", Meaning::DoesNotUnwrap, OTHER_KEY),
    rule(
        0,
        "DisabledException",
        ErrorKind::KeyNotUsable,
        "enable it again: `aws kms enable-key`",
    ),
    rule(
        0,
        "KMSInvalidStateException",
        ErrorKind::KeyNotUsable,
        "if it waits for deletion, `aws kms cancel-key-deletion` and `enable-key` restore it; if it waits for \
         its material, import it",
    ),
    rule(
        0,
        "InvalidKeyUsageException",
        ErrorKind::KeyNotUsable,
        "it must be a symmetric key for ENCRYPT_DECRYPT",
    ),
    // AWS services spell such codes with and without `Exception` at the end.
    rule(0, "ExpiredToken*", ErrorKind::NotAllowed, SESSION_ENDED),
    rule(0, "RequestExpired", ErrorKind::NotAllowed, SESSION_ENDED),
    rule(
        0,
        "AccessDenied*",
        ErrorKind::NotAllowed,
        "key policy or IAM policy must allow kms:DescribeKey, kms:GenerateDataKey, kms:Encrypt and kms:Decrypt \
         on this key: see the manual",
    ),
    rule(0, "UnrecognizedClientException", ErrorKind::NotAllowed, CREDENTIALS),
    rule(0, "InvalidClientTokenId", ErrorKind::NotAllowed, CREDENTIALS),
    rule(0, "InvalidSignatureException", ErrorKind::NotAllowed, CREDENTIALS),
    rule(0, "SignatureDoesNotMatch", ErrorKind::NotAllowed, CREDENTIALS),
    rule(0, "IncompleteSignature", ErrorKind::NotAllowed, CREDENTIALS),
    // A limited rate passes: the key is not refused, and a cached one stays in use.
    rule(0, "Throttling*", ErrorKind::ProviderDown, RATE_LIMIT),
    rule(0, "LimitExceededException", ErrorKind::ProviderDown, RATE_LIMIT),
    rule(0, "RequestLimitExceeded", ErrorKind::ProviderDown, RATE_LIMIT),
    rule(0, "ValidationException", ErrorKind::BadInput, REFERENCE),
    rule(0, "InvalidArnException", ErrorKind::BadInput, REFERENCE),
    rule(0, "InvalidGrantTokenException", ErrorKind::BadInput, REFERENCE),
    rule(
        401,
        "",
        ErrorKind::NotAllowed,
        "check the credentials for AWS, and any proxy or endpoint between",
    ),
    rule(
        403,
        "",
        ErrorKind::NotAllowed,
        "check the credentials for AWS, and any proxy or endpoint between",
    ),
];

const OTHER_KEY: &str = "the reference must name the KMS key that wrapped them, with the same pairs of \
 `context.…`; if it does, restore the keyring from a backup";
const SESSION_ENDED: &str = "the session has ended: log in again (`aws sso login`), or renew the session token";
const CREDENTIALS: &str = "check the access key, its secret, and this machine's clock";
const RATE_LIMIT: &str = "run this again later, or ask for a higher request quota";
const REFERENCE: &str = "check the reference: an ARN, a key id or alias/NAME";

fn refusal<E>(error: SdkError<E, HttpResponse>, location: &AwsKeyLocation) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let region = location.access.region.as_deref().unwrap_or("the default region");
    if let SdkError::ServiceError(response) = &error {
        // Codes are stable; messages are for people, and are only shown.
        let code = response.err().code().unwrap_or_default();
        let complaint = Complaint {
            service: "AWS KMS",
            status: response.raw().status().as_u16(),
            code: code.to_owned(),
            message: shortened(response.err().message().unwrap_or_default()),
        };
        return complaint.error(&REFUSALS).context(region);
    }
    // The error of our own HTTP client is among the causes.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return ours.again();
        }
        cause = error.source();
    }
    // The SDK has no types for these two failures, so its words decide. A change of them costs the better
    // hint only.
    let text = aws_sdk_kms::error::DisplayErrorContext(&error).to_string();
    let error = |kind, message: &str, hint: &'static str| Error::new(kind, message).with_hint(hint);
    if text.contains("region") || text.contains("Missing Region") {
        error(
            ErrorKind::BadInput,
            "no region of AWS is named",
            "write `?region=…` behind the reference, or set AWS_REGION",
        )
    } else if text.contains("redential") {
        error(
            ErrorKind::NotAllowed,
            "no valid credentials found for AWS",
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or give this machine a role",
        )
    } else {
        let shown: String = text.chars().take(300).collect();
        error(
            ErrorKind::ProviderDown,
            &format!("AWS KMS in {region} does not answer: {shown}"),
            "run this again later",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let location = |text: &str| AwsKeyLocation::parse(&text.parse().unwrap());
        let arn = location("aws-kms:arn:aws:kms:eu-west-1:111122223333:key/1234").unwrap();
        assert_eq!(arn.access.region.as_deref(), Some("eu-west-1"));
        assert_eq!(arn.key, "arn:aws:kms:eu-west-1:111122223333:key/1234");
        let alias = location(
            "aws-kms:alias/main?region=eu-west-1&profile=p&endpoint=http%3A%2F%2F127.0.0.1:1&context.team=pay",
        )
        .unwrap();
        assert_eq!(
            (alias.key.as_str(), alias.access.profile.as_deref()),
            ("alias/main", Some("p"))
        );
        assert_eq!(alias.access.endpoint.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(alias.context, [("team".to_owned(), "pay".to_owned())]);
        for bad in [
            "aws-kms:arn:aws:s3:::bucket",
            // One of both is a mistake, and nobody can say which.
            "aws-kms:arn:aws:kms:eu-west-1:1:key/2?region=eu-west-2",
            "aws-kms:alias/x?colour=red",
            // Would claim another use than the key has.
            "aws-kms:alias/x?context.cipherform:use=derive",
        ] {
            assert_eq!(location(bad).unwrap_err().kind(), ErrorKind::BadInput, "{bad}");
        }
    }
}
