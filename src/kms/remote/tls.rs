//! TLS for the clients of remote KMSs: rustls over ring. The system's authorities are trusted, unless a file of
//! certificates is named.

use std::sync::Arc;

use rustls::NamedGroup;
use rustls::crypto::CryptoProvider;

use crate::{Error, ErrorKind};

/// Returns the cryptography of TLS; with `approved_only`, of suites and groups that NIST has approved (SP 800-52r2).
pub(in crate::kms) fn provider(approved_only: bool) -> Arc<CryptoProvider> {
    // Named, not left to the process's default: a host that uses rustls, too, may have installed another
    // one, or none.
    let mut provider = rustls::crypto::ring::default_provider();
    if approved_only {
        let approved = [NamedGroup::secp256r1, NamedGroup::secp384r1];
        provider.kx_groups.retain(|group| approved.contains(&group.name()));
        // What is left out is ChaCha20-Poly1305 (RFC 8439).
        provider
            .cipher_suites
            .retain(|suite| format!("{:?}", suite.suite()).contains("_AES_"));
    }
    Arc::new(provider)
}

/// Returns the error of rustls behind an I/O error, if there is one.
pub(in crate::kms) fn cause(error: &std::io::Error) -> Option<&rustls::Error> {
    // `rustls` reports a failed handshake as an I/O error of the stream; only inside it can an
    // interception be told from a broken line.
    error.get_ref()?.downcast_ref()
}

/// Returns the error for a failed handshake.
pub(in crate::kms) fn handshake_error(error: &rustls::Error, host: &str) -> Error {
    use rustls::Error as Tls;
    let (kind, message, hint) = match error {
        Tls::InvalidCertificate(_) => (
            ErrorKind::ProviderDown,
            "its TLS certificate is not trusted",
            "if a company CA signed it, name the file of that CA (the manual says how for each KMS, \
             SSL_CERT_FILE serves all); else \
             somebody may be listening in",
        ),
        // An alert is an answer: the server is there, and did not accept us. So it is a refusal, not an
        // outage.
        Tls::AlertReceived(_) => (
            ErrorKind::NotAllowed,
            "it refused the TLS connection",
            "it may want a client certificate, or another one: one that its CA signed and that has not expired",
        ),
        _ => (
            ErrorKind::ProviderDown,
            "the TLS connection failed",
            "check address and port: is it a TLS port?",
        ),
    };
    Error::new(kind, format!("`{host}`: {message}: {error}")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approved_only_leaves_out_the_rest() {
        let names = |approved_only| {
            let provider = provider(approved_only);
            let suites = provider
                .cipher_suites
                .iter()
                .map(|suite| format!("{:?}", suite.suite()));
            let groups = provider.kx_groups.iter().map(|group| format!("{:?}", group.name()));
            suites.chain(groups).collect::<Vec<_>>().join(" ")
        };
        for not_approved in ["CHACHA20", "X25519"] {
            assert!(names(false).contains(not_approved));
            assert!(!names(true).contains(not_approved), "{}", names(true));
        }
        assert!(names(true).contains("TLS13_AES_256_GCM_SHA384") && names(true).contains("secp384r1"));
    }
}
