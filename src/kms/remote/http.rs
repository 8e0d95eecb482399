//! HTTP for the clients of remote KMSs.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::{HeaderValue, Request, Uri};
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

use super::refusal::timed_out;
use super::retry::{Failure, attempt};
use super::tls;
use crate::kms::settings::{Settings, Timeouts};
use crate::{Error, ErrorKind, Result, Secret};

/// Limit on the length of a response, in bytes.
const LONGEST_RESPONSE: u64 = 1 << 20;

/// An HTTP client for one service.
#[derive(Clone)]
pub(in crate::kms) struct Http {
    agent: Agent,
    timeouts: Timeouts,
}

/// A request, whose body may hold keys.
pub(in crate::kms) type HttpRequest = Request<Secret<Vec<u8>>>;

/// A response, whatever its status.
pub(in crate::kms) struct HttpResponse {
    pub(in crate::kms) status: u16,
    pub(in crate::kms) headers: http::HeaderMap,
    pub(in crate::kms) body: Secret<Vec<u8>>,
}

/// The certificates that are trusted, and the one that is shown.
#[derive(Clone, Default)]
pub(in crate::kms) struct TlsIdentity {
    roots: Option<RootCerts>,
    client: Option<ClientCert>,
}

impl TlsIdentity {
    /// Trusts the certificates in the PEM file at `path`, and no others.
    pub(in crate::kms) fn trusting(mut self, path: Option<&str>) -> Result<Self> {
        if let Some(path) = path {
            // In place of the system's authorities, not beside them: who names a private authority means
            // no public one.
            self.roots = Some(RootCerts::Specific(Arc::new(certificates(Path::new(path))?)));
        }
        Ok(self)
    }

    /// Shows the certificate chain in one PEM file, with the key in another.
    pub(in crate::kms) fn showing(mut self, certificate: &str, key: &str) -> Result<Self> {
        let chain = certificates(Path::new(certificate))?;
        let pem = Secret::new(read(Path::new(key))?);
        let key = PrivateKey::from_pem(pem.expose())
            .map_err(|_| Error::bad_input(format!("`{key}` holds no private key in PEM form")))?;
        self.client = Some(ClientCert::new_with_certs(&chain, key));
        Ok(self)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::io(format!("cannot read `{}`", path.display()), error).with_hint(
            "the environment variables of the KMS's own tools name the files of certificates and keys: see the manual",
        )
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let pem = read(path)?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            // Files often hold the private key as well; only certificates are taken from them here.
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Error::bad_input(format!(
            "`{}` holds no certificate in PEM form",
            path.display()
        )));
    }
    Ok(certificates)
}

impl Http {
    pub(in crate::kms) fn new(settings: &Settings, identity: TlsIdentity) -> Self {
        let timeouts = settings.timeouts();
        let tls = TlsConfig::builder()
            // The system's verifier knows the authorities that a company installed on its machines.
            .root_certs(identity.roots.unwrap_or(RootCerts::PlatformVerifier))
            .client_cert(identity.client)
            .unversioned_rustls_crypto_provider(tls::provider(settings.is_approved_only()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            // The body of a refusal says why, so statuses are no errors here.
            .http_status_as_error(false)
            // A credential goes to the host it is for, and to no other.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("cipherform/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(timeouts.connect))
            // One limit for the whole exchange: a limit for each read would let a server that sends a
            // byte a second hold a job for hours.
            .timeout_global(Some(timeouts.response))
            .max_idle_connections(timeouts.connections)
            .max_idle_connections_per_host(timeouts.connections)
            .build();
        Self {
            agent: config.new_agent(),
            timeouts,
        }
    }

    /// Sends a request, and retries while that may help. `what` names the request in the log: it must not be secret.
    pub(in crate::kms) fn send(&self, what: &str, request: &HttpRequest) -> Result<HttpResponse> {
        // Checked here, where every request passes, and not only when a reference is parsed: addresses
        // also come from files of credentials and from variables.
        secured(request.uri())?;
        let host = host(request.uri());
        attempt(self.timeouts, || {
            let response = self.once(what, request)?;
            let passing = |why: &str, hint: &str| {
                let error = Error::new(
                    ErrorKind::ProviderDown,
                    format!("`{host}` {why} (HTTP {})", response.status),
                );
                Err(Failure::Passing(error.with_hint(hint.to_owned())))
            };
            match response.status {
                429 => passing(
                    "rate limited the request",
                    "make fewer requests at once, ask for a higher quota, or run this again later",
                ),
                // Vault answers so while it is sealed.
                503 if contains(response.body.expose(), b"sealed") => passing(
                    "is sealed",
                    "unseal it: `vault operator unseal` or `bao operator unseal`",
                ),
                // 501 is left out: what is not implemented now will not be at the next attempt.
                500 | 502..=504 => passing(
                    "failed",
                    "see the KMS's log or status page; nothing is wrong with the key",
                ),
                _ => Ok(response),
            }
        })
    }

    /// Sends a request once.
    pub(in crate::kms) fn once(&self, what: &str, request: &HttpRequest) -> Result<HttpResponse, Failure> {
        let host = host(request.uri());
        let started = Instant::now();
        // The body is lent, so that no copy of it is left behind.
        let mut lent = Request::new(request.body().expose().as_slice());
        *lent.method_mut() = request.method().clone();
        *lent.uri_mut() = request.uri().clone();
        *lent.headers_mut() = request.headers().clone();
        let request = lent;
        // A proxy reads what is not TLS; and what is for this machine has no business elsewhere.
        let request = match request.uri().scheme_str() {
            Some("https") => request,
            _ => self.agent.configure_request(request).proxy(None).build(),
        };
        let response = self.agent.run(request).and_then(|response| {
            let (parts, mut body) = response.into_parts();
            // An endless response would otherwise fill the memory. Those of a KMS have a few kilobytes.
            let body = body.with_config().limit(LONGEST_RESPONSE).read_to_vec()?;
            // Any body may hold a key or a token, so each is wiped.
            Ok((parts, Secret::new(body)))
        });
        let took = started.elapsed();
        match response {
            Ok((parts, body)) => {
                let status = parts.status.as_u16();
                // Host, operation and status; never headers or bodies, which hold tokens and keys.
                tracing::debug!(host, what, status, ?took, "a KMS answered");
                Ok(HttpResponse {
                    status,
                    headers: parts.headers,
                    body,
                })
            }
            Err(error) => {
                let failure = failure(error, &host);
                tracing::debug!(host, what, ?failure, ?took, "a KMS did not answer");
                Err(failure)
            }
        }
    }
}

/// An [`Http`] that is made at its first use: making it may read files.
#[derive(Debug, Default)]
pub(in crate::kms) struct LazyHttp(Mutex<Option<Http>>);

impl LazyHttp {
    /// Returns the client, made with `identity` at the first call.
    pub(in crate::kms) fn get(
        &self,
        settings: &Settings,
        identity: impl FnOnce() -> Result<TlsIdentity>,
    ) -> Result<Http> {
        let mut http = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = &*http {
            return Ok(http.clone());
        }
        // A failure, such as a missing file of certificates, is not kept: the next request tries again.
        Ok(http.insert(Http::new(settings, identity()?)).clone())
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

impl HttpResponse {
    /// Parses the body as JSON.
    pub(in crate::kms) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.body.expose()).map_err(|error| {
            // The position, but not the text: the body may hold a key.
            Error::new(
                ErrorKind::ProviderDown,
                format!(
                    "the response of the KMS has an unexpected form (HTTP {}, line {}, column {})",
                    self.status,
                    error.line(),
                    error.column()
                ),
            )
            .with_hint("check that the reference names the KMS, and not a proxy before it")
        })
    }
}

/// Makes the value of a header that no log shows.
pub(in crate::kms) fn secret_header(value: &str) -> Result<HeaderValue> {
    let mut header = HeaderValue::from_str(value)
        .map_err(|_| Error::bad_input("a credential has characters that no HTTP header can carry"))?;
    // `Debug` of the header then prints `Sensitive` in place of the value.
    header.set_sensitive(true);
    Ok(header)
}

/// Makes a request, with a JSON body if there is one.
pub(in crate::kms) fn request(
    method: &str,
    uri: &str,
    headers: &[(&'static str, HeaderValue)],
    body: Option<&Secret<Vec<u8>>>,
) -> Result<HttpRequest> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let body = match body {
        None => Secret::new(Vec::new()),
        Some(json) => {
            request = request.header("content-type", "application/json");
            json.clone()
        }
    };
    request
        .body(body)
        .map_err(|error| Error::bad_input("the KMS key reference does not make a URL").with_source(error))
}

/// Checks that keys sent to `uri` travel over TLS, or within this machine.
pub(in crate::kms) fn secured(uri: &Uri) -> Result<()> {
    let host = uri.host().unwrap_or_default();
    let here = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            // Only addresses and the one name that is the machine itself: any other name is what DNS says
            // it is.
            .is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if here => Ok(()),
        _ => Err(Error::bad_input(format!(
            "`{uri}` is not an https URL, and keys do not travel in the clear"
        ))
        .with_hint("write https://…; http:// is for this machine alone: 127.0.0.1, [::1], localhost")),
    }
}

fn host(uri: &Uri) -> String {
    uri.authority().map_or_else(String::new, ToString::to_string)
}

fn failure(error: ureq::Error, host: &str) -> Failure {
    let down = |why: String| Error::new(ErrorKind::ProviderDown, format!("`{host}` {why}"));
    let hint = "check the address, the network and any proxy; the job can be run again";
    match error {
        // A certificate that is not trusted will not be a moment later. To try again would only hide an
        // interception.
        ureq::Error::Rustls(error) => Failure::Lasting(tls::handshake_error(&error, host)),
        ureq::Error::Io(error) => match tls::cause(&error) {
            Some(cause) => Failure::Lasting(tls::handshake_error(cause, host)),
            None => Failure::Passing(down("does not answer".to_owned()).with_source(error).with_hint(hint)),
        },
        ureq::Error::Timeout(which) => Failure::Passing(timed_out(&format!("`{host}`"), &which.to_string())),
        // Passing: resolvers fail for moments, as in a container that has just started.
        ureq::Error::HostNotFound => {
            Failure::Passing(down("has no address: the name was not found".to_owned()).with_hint(hint))
        }
        error => Failure::Lasting(down("cannot be reached".to_owned()).with_source(error).with_hint(hint)),
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_travel_in_the_clear() {
        for good in [
            "https://kms.example/x",
            "http://127.0.0.1:8200/",
            "http://[::1]/",
            "http://localhost:1/",
        ] {
            secured(&good.parse().unwrap()).unwrap();
        }
        for bad in [
            "http://kms.example/",
            "http://10.0.0.1/",
            "ftp://127.0.0.1/",
            // A check by prefix would take this for the machine itself.
            "http://localhost.evil/",
        ] {
            assert_eq!(
                secured(&bad.parse().unwrap()).unwrap_err().kind(),
                ErrorKind::BadInput,
                "{bad}"
            );
        }
    }

    #[test]
    fn debug_shows_no_credential() {
        let header = secret_header("Bearer hvs.secret").unwrap();
        let request = request("GET", "https://kms.example/", &[("authorization", header)], None).unwrap();
        assert!(!format!("{request:?}").contains("hvs."));
    }
}
