//! HTTP, the same for every client.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Request, Uri};
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

use super::refusal::in_time;
use super::retry::{Failure, attempt};
use super::tls;
use crate::kms::settings::Patience;
use crate::{Error, ErrorKind, Result, Secret};

/// No answer of a KMS is longer.
const LONGEST_ANSWER: u64 = 1 << 20;

/// A client of one service.
#[derive(Clone)]
pub(in crate::kms) struct Http {
    agent: Agent,
    patience: Patience,
}

/// An answer, whatever its status.
pub(in crate::kms) struct Answer {
    pub(in crate::kms) status: u16,
    pub(in crate::kms) headers: http::HeaderMap,
    pub(in crate::kms) body: Secret<Vec<u8>>,
}

/// Whom to trust and how to show oneself.
#[derive(Clone, Default)]
pub(in crate::kms) struct Identity {
    roots: Option<RootCerts>,
    client: Option<ClientCert>,
}

impl Identity {
    /// Trusts the certificates in the PEM file at `path`, and no others.
    pub(in crate::kms) fn trusting(mut self, path: Option<&str>) -> Result<Self> {
        if let Some(path) = path {
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
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        false => Ok(certificates),
        true => Err(Error::bad_input(format!(
            "`{}` holds no certificate in PEM form",
            path.display()
        ))),
    }
}

impl Http {
    pub(in crate::kms) fn new(patience: Patience, identity: Identity) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(identity.roots.unwrap_or(RootCerts::PlatformVerifier))
            .client_cert(identity.client)
            .unversioned_rustls_crypto_provider(tls::provider())
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // A credential goes to the host it is for, and to no other.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("cipherform/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(patience.connect))
            .timeout_global(Some(patience.answer))
            .max_idle_connections(patience.connections)
            .max_idle_connections_per_host(patience.connections)
            .build();
        Self {
            agent: config.new_agent(),
            patience,
        }
    }

    /// Asks, and asks again while it may help. `what` says in the log what for: it must not be secret.
    pub(in crate::kms) fn ask(&self, what: &str, request: &Request<Vec<u8>>) -> Result<Answer> {
        secured(request.uri())?;
        let host = host(request.uri());
        attempt(self.patience, || {
            let answer = self.once(what, request.clone())?;
            let passing = |why: &str, hint: &str| {
                let error = Error::new(
                    ErrorKind::ProviderDown,
                    format!("`{host}` {why} (HTTP {})", answer.status),
                );
                Err(Failure::Passing(error.with_hint(hint.to_owned())))
            };
            match answer.status {
                429 => passing("throttles us", "ask for less at once, for a higher quota, or later"),
                // What Vault says when it is sealed is worth telling.
                503 if contains(answer.body.expose(), b"sealed") => passing(
                    "is sealed",
                    "unseal it: `vault operator unseal` or `bao operator unseal`",
                ),
                500 | 502..=504 => passing(
                    "fails",
                    "see the KMS's own log or status page; nothing is wrong with the key",
                ),
                _ => Ok(answer),
            }
        })
    }

    /// Asks once.
    pub(in crate::kms) fn once(&self, what: &str, request: Request<Vec<u8>>) -> Result<Answer, Failure> {
        let host = host(request.uri());
        let started = Instant::now();
        // A proxy reads what is not TLS; and what is for this machine has no business elsewhere.
        let request = match request.uri().scheme_str() {
            Some("https") => request,
            _ => self.agent.configure_request(request).proxy(None).build(),
        };
        let answer = self.agent.run(request).and_then(|answer| {
            let (parts, mut body) = answer.into_parts();
            let body = body.with_config().limit(LONGEST_ANSWER).read_to_vec()?;
            Ok((parts, Secret::new(body)))
        });
        let took = started.elapsed();
        match answer {
            Ok((parts, body)) => {
                let status = parts.status.as_u16();
                tracing::debug!(host, what, status, ?took, "a KMS answered");
                Ok(Answer {
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

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// The body as JSON of this form.
    pub(in crate::kms) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.body.expose()).map_err(|error| {
            // Where, but not what: the body may hold a key.
            Error::new(
                ErrorKind::ProviderDown,
                format!(
                    "the KMS gives an answer of a form that it is not known for (HTTP {}, line {}, column {})",
                    self.status,
                    error.line(),
                    error.column()
                ),
            )
            .with_hint("is it the KMS that the reference names, or a proxy before it?")
        })
    }
}

/// A header that no log shows.
pub(in crate::kms) fn secret_header(value: &str) -> Result<HeaderValue> {
    let mut header = HeaderValue::from_str(value)
        .map_err(|_| Error::bad_input("a credential has characters that no HTTP header can carry"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// A request with a JSON body, or none.
pub(in crate::kms) fn request(
    method: &str,
    uri: &str,
    headers: &[(&'static str, HeaderValue)],
    body: Option<&serde_json::Value>,
) -> Result<Request<Vec<u8>>> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let body = match body {
        None => Vec::new(),
        Some(value) => {
            request = request.header("content-type", "application/json");
            value.to_string().into_bytes()
        }
    };
    request
        .body(body)
        .map_err(|error| Error::bad_input("the KMS key reference makes no URL").with_source(error))
}

/// Keys travel over TLS, or within this machine.
pub(in crate::kms) fn secured(uri: &Uri) -> Result<()> {
    let host = uri.host().unwrap_or_default();
    let here = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
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
        ureq::Error::Rustls(error) => Failure::Lasting(tls::refused(&error, host)),
        ureq::Error::Io(error) => match tls::cause(&error) {
            Some(cause) => Failure::Lasting(tls::refused(cause, host)),
            None => Failure::Passing(down("does not answer".to_owned()).with_source(error).with_hint(hint)),
        },
        ureq::Error::Timeout(which) => Failure::Passing(in_time(&format!("`{host}`"), &which.to_string())),
        ureq::Error::HostNotFound => {
            Failure::Passing(down("is a name that no address is found for".to_owned()).with_hint(hint))
        }
        error => Failure::Lasting(down("cannot be asked".to_owned()).with_source(error).with_hint(hint)),
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
