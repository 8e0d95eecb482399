//! AWS KMS, by the AWS SDK.
//!
//! `aws-kms:ARN`, `aws-kms:alias/NAME?region=…`, `aws-kms:KEY-ID?region=…`; `profile`, `endpoint` and `context.NAME` (pairs of one's own in the encryption
//! context, for key policies that ask for them) stand behind `?`, too. Who we are is found as the SDK finds it: environment, profile, web identity,
//! container, instance.

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
use zeroize::Zeroize as _;

use super::Settings;
use super::remote::http::{Http, Identity};
use super::remote::{Failure, Queue, does_not_unwrap, malformed, no_such_key, parameters};
use crate::keys::{DataKey, KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState, WrapContext, random};
use crate::{Error, ErrorKind, Result, Secret};

/// AWS KMS: any region and account that its references name.
#[derive(Clone, Debug)]
pub struct AwsKms {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    wire: Wire,
    /// Clients by where they ask and as whom: each keeps its credentials until they end.
    clients: Mutex<HashMap<Access, Client>>,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Access {
    region: Option<String>,
    profile: Option<String>,
    endpoint: Option<String>,
}

/// Which key, and how to get there.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    /// An ARN, a key id, or `alias/NAME`.
    key: String,
    access: Access,
    /// Pairs of one's own.
    context: Vec<(String, String)>,
}

impl AwsKms {
    /// A client with these settings. Nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        let wire = Wire {
            settings: settings.clone(),
            queue: Queue::new(settings.patience()),
            http: Arc::default(),
        };
        let clients = Mutex::default();
        Self {
            inner: Arc::new(Inner {
                settings,
                wire,
                clients,
            }),
        }
    }

    async fn place(&self, key: &KmsKeyRef) -> Result<(Place, Client)> {
        let place = Place::parse(key)?;
        if let Some(endpoint) = &place.access.endpoint {
            super::remote::http::secured(&endpoint.parse().map_err(|_| malformed(key, "the endpoint is no URL"))?)?;
        }
        let known = self.inner.lock().get(&place.access).cloned();
        let client = match known {
            Some(client) => client,
            None => {
                let made = self.inner.client(&place.access).await;
                self.inner.lock().entry(place.access.clone()).or_insert(made).clone()
            }
        };
        Ok((place, client))
    }

    /// Grant tokens are for the minutes until a grant is known everywhere, so they stand in no reference.
    fn grant_tokens(&self) -> Option<Vec<String>> {
        let text = self.inner.settings.get("CIPHERFORM_AWS_GRANT_TOKENS")?;
        Some(text.split(',').map(|token| token.trim().to_owned()).collect())
    }
}

#[async_trait]
impl KmsClient for AwsKms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        let (place, client) = self.place(key).await?;
        let answer = client
            .describe_key()
            .key_id(&place.key)
            .set_grant_tokens(self.grant_tokens())
            .send()
            .await;
        let metadata = answer
            .map_err(|error| refused(error, &place))?
            .key_metadata
            .ok_or_else(incomplete)?;
        let state = match metadata.key_state() {
            Some(KeyState::Enabled) => KmsKeyState::Enabled,
            Some(KeyState::Disabled) => KmsKeyState::Disabled,
            Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => KmsKeyState::PendingDeletion,
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
        // Telling it takes another permission; who lacks it learns the rest.
        if let Ok(rotation) = client.get_key_rotation_status().key_id(&place.key).send().await {
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
        let (place, client) = self.place(key).await?;
        let answer = client
            .generate_data_key()
            .key_id(&place.key)
            .number_of_bytes(i32::try_from(length).map_err(|_| Error::bug("a data key of 2 GiB"))?)
            .set_encryption_context(Some(place.encryption_context(context)))
            .set_grant_tokens(self.grant_tokens())
            .send()
            .await
            .map_err(|error| refused(error, &place))?;
        let plaintext = Secret::new(answer.plaintext.ok_or_else(incomplete)?.into_inner());
        let wrapped = answer.ciphertext_blob.ok_or_else(incomplete)?.into_inner();
        Ok(DataKey { plaintext, wrapped })
    }

    async fn try_generate(&self, key: &KmsKeyRef, context: &WrapContext) -> Result<bool> {
        let (place, client) = self.place(key).await?;
        let answer = client
            .generate_data_key()
            .key_id(&place.key)
            .number_of_bytes(32)
            .set_encryption_context(Some(place.encryption_context(context)))
            .set_grant_tokens(self.grant_tokens())
            .dry_run(true)
            .send()
            .await;
        match answer {
            // A dry run that would succeed fails with a name of its own; a service that knows none makes a data key, which nobody keeps.
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(answer)) if answer.err().code() == Some("DryRunOperationException") => Ok(true),
            Err(error) => Err(refused(error, &place)),
        }
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let (place, client) = self.place(key).await?;
        let answer = client
            .encrypt()
            .key_id(&place.key)
            .plaintext(Blob::new(plaintext.expose().as_slice()))
            .set_encryption_context(Some(place.encryption_context(context)))
            .set_grant_tokens(self.grant_tokens())
            .send()
            .await
            .map_err(|error| refused(error, &place))?;
        Ok(answer.ciphertext_blob.ok_or_else(incomplete)?.into_inner())
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        if wrapped.is_empty() {
            return Err(Error::bad_input("the wrapped bytes are not of AWS KMS"));
        }
        let (place, client) = self.place(key).await?;
        // With the key named, AWS refuses what another key wrapped, even one that we may use.
        let answer = client
            .decrypt()
            .key_id(&place.key)
            .ciphertext_blob(Blob::new(wrapped))
            .set_encryption_context(Some(place.encryption_context(context)))
            .set_grant_tokens(self.grant_tokens())
            .send()
            .await
            .map_err(|error| refused(error, &place))?;
        Ok(Secret::new(answer.plaintext.ok_or_else(incomplete)?.into_inner()))
    }

    async fn random(&self, length: usize) -> Result<Secret<Vec<u8>>> {
        // Without a key there is no region to ask.
        random::secret(length)
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Access, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn client(&self, access: &Access) -> Client {
        let patience = self.settings.patience();
        let retry = RetryConfig::standard()
            .with_max_attempts(patience.attempts)
            .with_initial_backoff(patience.pause);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(self.wire.clone())
            .retry_config(retry);
        if let Some(region) = &access.region {
            loader = loader.region(Region::new(region.clone()));
        }
        match (
            &access.profile,
            self.settings.get("AWS_ACCESS_KEY_ID"),
            self.settings.get("AWS_SECRET_ACCESS_KEY"),
        ) {
            // Before what the environment says: the reference names it.
            (Some(profile), ..) => {
                let config = ProviderConfig::without_region()
                    .with_http_client(self.wire.clone())
                    .with_region(access.region.clone().map(Region::new));
                let credentials = ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_name(profile)
                    .build();
                loader = loader.profile_name(profile).credentials_provider(credentials);
            }
            (None, Some(id), Some(secret)) => {
                let token = self.settings.get("AWS_SESSION_TOKEN").map(str::to_owned);
                loader = loader.credentials_provider(Credentials::new(id, secret, token, None, "settings"));
            }
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

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Place {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let (name, parameters) = parameters(key)?;
        let mut access = Access::default();
        let mut context = Vec::new();
        // arn:PARTITION:kms:REGION:ACCOUNT:key/ID
        if let Some(rest) = name.strip_prefix("arn:") {
            match rest.split(':').collect::<Vec<_>>().as_slice() {
                [_, "kms", region, account, _] if !region.is_empty() && !account.is_empty() => {
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
                    return Err(malformed(key, "the ARN is of another region than `region` says"));
                }
                "region" => access.region = Some(value),
                "profile" => access.profile = Some(value),
                "endpoint" => access.endpoint = Some(value),
                _ => match parameter.strip_prefix("context.") {
                    Some(name) if !name.is_empty() && !name.starts_with("cipherform") => {
                        context.push((name.to_owned(), value))
                    }
                    _ => {
                        return Err(malformed(key, &format!("there is no parameter `{parameter}`"))
                            .with_hint("there are region, profile, endpoint and context.NAME"));
                    }
                },
            }
        }
        let key = name.to_owned();
        Ok(Self { key, access, context })
    }

    /// The wrap context in pairs, as CloudTrail shows it, and one's own pairs.
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

/// Is it the metadata service of a machine or a container (169.254.0.0/16, fd00:ec2::/32)?
fn is_link_local(uri: &http::Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(std::net::IpAddr::V4(address)) => address.is_link_local(),
        Ok(std::net::IpAddr::V6(address)) => address.segments()[..2] == [0xfd00, 0x0ec2],
        Err(_) => false,
    }
}

/// The SDK's requests over the HTTP and TLS that all clients share.
#[derive(Clone, Debug)]
struct Wire {
    settings: Settings,
    queue: Queue,
    http: Arc<Mutex<Option<Http>>>,
}

impl Wire {
    fn http(&self) -> Result<Http> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = &*http {
            return Ok(http.clone());
        }
        let identity = Identity::default().trusting(self.settings.get("AWS_CA_BUNDLE"))?;
        Ok(http.insert(Http::new(self.settings.patience(), identity)).clone())
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let other = |error: Error| ConnectorError::other(error.into(), None);
        let http = self.http().map_err(other)?;
        let request = request
            .try_into_http1x()
            .map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        // However the endpoint was found. A machine's own credentials come by a link that ends in the machine.
        if !is_link_local(&parts.uri) {
            super::remote::http::secured(&parts.uri).map_err(other)?;
        }
        let body = body
            .bytes()
            .ok_or_else(|| other(Error::bug("the AWS SDK streams a request")))?;
        let mut body = body.to_vec();
        let request = http::Request::from_parts(parts, body.clone());
        body.zeroize();
        let answer = self.queue.run(move || {
            let what = request
                .headers()
                .get("x-amz-target")
                .and_then(|target| target.to_str().ok())
                .unwrap_or("credentials")
                .to_owned();
            Ok(http.once(&what, request))
        });
        let answer = match answer.await.map_err(other)? {
            Ok(answer) => answer,
            Err(Failure::Passing(error)) => return Err(ConnectorError::io(error.into())),
            Err(Failure::Lasting(error)) => return Err(ConnectorError::other(error.into(), None)),
        };
        let mut response = http::Response::new(SdkBody::from(answer.body.expose().as_slice()));
        *response.status_mut() =
            http::StatusCode::from_u16(answer.status).map_err(|error| ConnectorError::other(error.into(), None))?;
        *response.headers_mut() = answer.headers;
        HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn incomplete() -> Error {
    Error::new(
        ErrorKind::ProviderDown,
        "AWS KMS gives an answer that lacks what was asked for",
    )
}

fn refused<E>(error: SdkError<E, HttpResponse>, place: &Place) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let region = place.access.region.as_deref().unwrap_or("the default region");
    if let SdkError::ServiceError(answer) = &error {
        // A gateway before AWS gives none.
        let status = format!("answers HTTP status {}", answer.raw().status());
        let code = answer.err().code();
        let message = answer.err().message().unwrap_or_default();
        let message: String = message
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(300)
            .collect();
        let says = |kind, hint: String| {
            let says = match code {
                Some(code) => format!("says {code}: {message}"),
                None => status.clone(),
            };
            Error::new(kind, format!("AWS KMS in {region} {says}")).with_hint(hint)
        };
        return match code.unwrap_or_default() {
            "NotFoundException" => no_such_key("AWS KMS").context(region).with_hint(
                "check account, region and key id; a key is in one region, and is gone once its waiting time for deletion is over",
            ),
            "InvalidCiphertextException" | "IncorrectKeyException" => does_not_unwrap().with_hint(
                "the reference must name the KMS key of then, with the same pairs of `context.…`; if it does, restore the keyring from a backup",
            ),
            "DisabledException" => says(ErrorKind::KeyNotUsable, "enable it again: `aws kms enable-key`".to_owned()),
            "KMSInvalidStateException" => says(
                ErrorKind::KeyNotUsable,
                "if it waits for deletion, `aws kms cancel-key-deletion` and `enable-key` bring it back until then; if it waits for its material, import it".to_owned(),
            ),
            "InvalidKeyUsageException" => says(ErrorKind::KeyNotUsable, "it must be a symmetric key for ENCRYPT_DECRYPT".to_owned()),
            "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => {
                says(ErrorKind::NotAllowed, "the session has ended: log in again (`aws sso login`), or renew the session token".to_owned())
            }
            code if code.starts_with("AccessDenied") => says(
                ErrorKind::NotAllowed,
                "key policy or IAM policy must allow kms:DescribeKey, kms:GenerateDataKey, kms:Encrypt and kms:Decrypt on this key: see the manual".to_owned(),
            ),
            "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidSignatureException" | "SignatureDoesNotMatch" | "IncompleteSignature" => {
                says(ErrorKind::NotAllowed, "check the access key, its secret, and this machine's clock".to_owned())
            }
            "ThrottlingException" | "Throttling" | "LimitExceededException" | "RequestLimitExceeded" => {
                says(ErrorKind::ProviderDown, "run this again later, or ask for a higher request quota".to_owned())
            }
            "ValidationException" | "InvalidArnException" | "InvalidGrantTokenException" => {
                says(ErrorKind::BadInput, "check the reference: an ARN, a key id or alias/NAME".to_owned())
            }
            "" if matches!(answer.raw().status().as_u16(), 401 | 403) => {
                says(ErrorKind::NotAllowed, "check who we are to AWS, and any proxy or endpoint between".to_owned())
            }
            _ => says(ErrorKind::ProviderDown, "see the AWS status page, or run this again later".to_owned()),
        };
    }
    // What our own HTTP says of it stands somewhere behind.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return ours.again();
        }
        cause = error.source();
    }
    let text = aws_sdk_kms::error::DisplayErrorContext(&error).to_string();
    let error = |kind, what: &str, hint: &str| Error::new(kind, what.to_owned()).with_hint(hint.to_owned());
    if text.contains("region") || text.contains("Missing Region") {
        error(
            ErrorKind::BadInput,
            "nothing says which region of AWS to ask",
            "write `?region=…` behind the reference, or set AWS_REGION",
        )
    } else if text.contains("redential") {
        error(
            ErrorKind::NotAllowed,
            "nothing says who we are to AWS, or it is no longer valid",
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
        let place = |text: &str| Place::parse(&text.parse().unwrap());
        let arn = place("aws-kms:arn:aws:kms:eu-west-1:111122223333:key/1234").unwrap();
        assert_eq!(arn.access.region.as_deref(), Some("eu-west-1"));
        assert_eq!(arn.key, "arn:aws:kms:eu-west-1:111122223333:key/1234");
        let alias =
            place("aws-kms:alias/main?region=eu-west-1&profile=p&endpoint=http%3A%2F%2F127.0.0.1:1&context.team=pay")
                .unwrap();
        assert_eq!(
            (alias.key.as_str(), alias.access.profile.as_deref()),
            ("alias/main", Some("p"))
        );
        assert_eq!(alias.access.endpoint.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(alias.context, [("team".to_owned(), "pay".to_owned())]);
        for bad in [
            "aws-kms:arn:aws:s3:::bucket",
            "aws-kms:arn:aws:kms:eu-west-1:1:key/2?region=eu-west-2",
            "aws-kms:alias/x?colour=red",
            "aws-kms:alias/x?context.cipherform:use=derive",
        ] {
            assert_eq!(place(bad).unwrap_err().kind(), ErrorKind::BadInput, "{bad}");
        }
    }
}
