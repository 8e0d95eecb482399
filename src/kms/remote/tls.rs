//! TLS, the same for every client: rustls over ring; trusted is what the system trusts, unless a file of certificates is named.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use crate::{Error, ErrorKind};

/// The cryptography of TLS.
pub(in crate::kms) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The error of rustls behind an I/O error, if there is one.
pub(in crate::kms) fn cause(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What a failed handshake means.
pub(in crate::kms) fn refused(error: &rustls::Error, host: &str) -> Error {
    use rustls::Error as Tls;
    let (kind, what, hint) = match error {
        Tls::InvalidCertificate(_) => (
            ErrorKind::ProviderDown,
            "its TLS certificate is not to be trusted",
            "if a company CA signed it, name the file of that CA (the manual says how for each KMS, SSL_CERT_FILE serves all); else \
             somebody may be listening in",
        ),
        Tls::AlertReceived(_) => (
            ErrorKind::NotAllowed,
            "it refuses the TLS connection",
            "it may want a client certificate, or another one: one that its CA signed and that has not expired",
        ),
        _ => (
            ErrorKind::ProviderDown,
            "the TLS connection fails",
            "check address and port: is it a TLS port?",
        ),
    };
    Error::new(kind, format!("`{host}`: {what}: {error}")).with_hint(hint)
}
