//! Partners' certificates (X.509). `webpki` validates their paths to trusted authorities (RFC 5280, section 6).

use std::time::SystemTime;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy,
    ExtendedKeyUsageValidator, KeyPurposeIdIter, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
    anchor_from_trusted_cert,
};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::{Certificate, TbsCertificate};

use crate::keys::timestamp::Timestamp;
use crate::{Error, ErrorKind, Hint, Remedy, Result};

/// The certificates of trusted authorities, and their revocation lists.
#[derive(Clone, Debug)]
pub struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    revocation_lists: Vec<CertificateRevocationListDer<'static>>,
}

impl Authorities {
    /// Reads PEM: any number of `-----BEGIN CERTIFICATE-----` and `-----BEGIN X509 CRL-----`.
    ///
    /// With a revocation list, each certificate between a partner's and an authority needs one of its issuer that is
    /// still valid; with none, revocation is not checked. The authorities are trusted: neither the dates of these
    /// certificates nor their path lengths are checked (RFC 5280, section 6.1.1 (d)).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`], also for anything else.
    pub fn from_pem(pem: &str) -> Result<Self> {
        let certificates = certificates(pem)?;
        if certificates.is_empty() {
            return Err(Error::bad_input("this holds no certificate in PEM"));
        }
        let revocation_lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| no_pem())?;
        // A list that is not recognised must not be ignored silently.
        expect(pem, certificates.len() + revocation_lists.len())?;
        for certificate in &certificates {
            anchor_from_trusted_cert(certificate).map_err(unreadable_certificate)?;
            // Whoever trusts a partner's own certificate as an authority would let that partner vouch for
            // others.
            let constraints = parsed(certificate)?.get::<BasicConstraints>();
            if !constraints
                .map_err(unreadable_certificate)?
                .is_some_and(|(_, of)| of.ca)
            {
                return Err(Error::bad_input("this holds a certificate that is not an authority's"));
            }
        }
        for list in &revocation_lists {
            BorrowedCertRevocationList::from_der(list).map_err(|error| {
                Error::bad_input("this holds a revocation list that cannot be read").with_source(error)
            })?;
        }
        Ok(Self {
            certificates,
            revocation_lists,
        })
    }

    /// Checks whether there is a revocation list. Without any, revocation is not checked.
    pub fn has_revocation_lists(&self) -> bool {
        !self.revocation_lists.is_empty()
    }
}

/// The use of a partner's key, which the certificate must not exclude (RFC 5280, section 4.2.1.3).
#[derive(Clone, Copy, Debug)]
pub(super) enum CertifiedFor {
    /// Keys are wrapped to it.
    KeyEncipherment,
    /// It signs.
    DigitalSignature,
}

/// A public key that an authority has certified.
#[derive(Clone, Debug)]
pub(super) struct CertifiedKey {
    /// Distinguished name of the subject (RFC 4514), safe to show on a terminal.
    pub(super) subject: String,
    /// SubjectPublicKeyInfo in DER.
    pub(super) public_key: Vec<u8>,
}

impl CertifiedKey {
    /// Returns the key of the first certificate in `chain`, if a path leads from it, through those that follow, to
    /// one of the `authorities`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] for what is not a certificate; [`ErrorKind::WrongKey`] for one that is not trusted
    /// `at` that time or `for_use`.
    pub(super) fn from_chain(
        chain: &str,
        authorities: &Authorities,
        at: Timestamp,
        for_use: CertifiedFor,
    ) -> Result<Self> {
        let pem = chain;
        let chain = certificates(pem)?;
        let [leaf, between @ ..] = chain.as_slice() else {
            return Err(Error::bad_input("this holds no certificate in PEM"));
        };
        // A block that was skipped, such as a mistyped certificate in between, must not be ignored: the
        // path that is verified would not be the one that the file shows.
        expect(pem, chain.len())?;
        // Before anything of the leaf is used, its subject included.
        verify(leaf, between, authorities, at)?;
        let leaf = parsed(leaf)?;
        let usage = leaf.get::<KeyUsage>().map_err(unreadable_certificate)?;
        let (allowed, asked) = match (usage, for_use) {
            // RFC 5280, section 4.2.1.3, restricts a key only where the extension is present.
            (None, _) => (true, ""),
            (Some((_, usage)), CertifiedFor::KeyEncipherment) => (usage.key_encipherment(), "keyEncipherment"),
            (Some((_, usage)), CertifiedFor::DigitalSignature) => (usage.digital_signature(), "digitalSignature"),
        };
        if !allowed {
            return Err(not_trusted(format!("its key usage does not allow {asked}")));
        }
        let public_key = leaf.subject_public_key_info.to_der();
        Ok(Self {
            // The subject is chosen by whoever asked for the certificate, and is printed beside a
            // question whether to trust it.
            subject: shown(&leaf.subject.to_string()),
            public_key: public_key.map_err(unreadable_certificate)?,
        })
    }
}

/// Checks whether PEM holds certificates, rather than a bare key.
pub(super) fn holds_certificates(pem: &str) -> bool {
    CertificateDer::pem_slice_iter(pem.as_bytes()).next().is_some()
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| no_pem())
}

/// Checks that everything that begins in `pem` was read.
fn expect(pem: &str, read: usize) -> Result<()> {
    // Counted as text: the parser skips blocks of other kinds without an error.
    if pem.matches("-----BEGIN ").count() == read {
        Ok(())
    } else {
        Err(
            Error::bad_input("some of this is not a certificate or a revocation list").with_hint(
                "each begins on a line of its own, with nothing before the dashes; private keys do not belong here",
            ),
        )
    }
}

fn no_pem() -> Error {
    Error::bad_input("this is damaged PEM").with_hint("each certificate ends with a line -----END CERTIFICATE-----")
}

fn parsed(certificate: &CertificateDer<'_>) -> Result<TbsCertificate> {
    let parsed = Certificate::from_der(certificate).map_err(unreadable_certificate)?;
    Ok(parsed.tbs_certificate)
}

/// Escapes characters of a name that would change how the rest of a line is shown. The library escapes control
/// characters, but not those that change the direction of writing.
fn shown(name: &str) -> String {
    let turns = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    match name {
        "" => "no name".to_owned(),
        name => name
            .chars()
            .map(|c| {
                if turns(c) {
                    c.escape_unicode().to_string()
                } else {
                    c.to_string()
                }
            })
            .collect(),
    }
}

fn verify(
    leaf: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    authorities: &Authorities,
    at: Timestamp,
) -> Result<()> {
    let anchors: Vec<_> = (authorities.certificates.iter())
        .map(anchor_from_trusted_cert)
        .collect::<Result<_, _>>()
        .map_err(unreadable_certificate)?;
    let lists: Vec<CertRevocationList<'_>> = (authorities.revocation_lists.iter())
        .map(|list| BorrowedCertRevocationList::from_der(list).map(Into::into))
        .collect::<Result<_, _>>()
        .map_err(unreadable_certificate)?;
    let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
        options
            // All certificates of the path, not the leaf alone: an authority in between may have been
            // revoked.
            .with_depth(RevocationCheckDepth::Chain)
            // A list that is missing or too old is a refusal. Otherwise an attacker would only have to
            // hold back the newest list.
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    let since_epoch = at.as_system_time().duration_since(SystemTime::UNIX_EPOCH);
    // The caller's time, not the clock's: so a test can look at a certificate before and after its
    // validity.
    let at = UnixTime::since_unix_epoch(since_epoch.map_err(|_| Error::bug("a time before 1970"))?);
    let leaf = EndEntityCert::try_from(leaf).map_err(unreadable_certificate)?;
    let path = leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        between,
        at,
        AnyPurpose,
        revocation,
        None,
    );
    let path = path.map_err(|error| {
        let (what, hint) = explain(&error);
        not_trusted(what).with_hint(hint)
    })?;
    // RFC 5280, section 6.1.4 (n): `webpki` does not check it.
    for certificate in path.intermediate_certificates() {
        let usage = parsed(&certificate.der())?.get::<KeyUsage>();
        if usage
            .map_err(unreadable_certificate)?
            // An absent extension restricts nothing, as above.
            .is_some_and(|(_, usage)| !usage.key_cert_sign())
        {
            return Err(not_trusted("an intermediate certificate may not sign certificates"));
        }
    }
    Ok(())
}

/// Accepts every extended key usage: none is registered for wrapping keys to partners. The key usage decides.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn explain(error: &webpki::Error) -> (String, Hint) {
    use webpki::Error as Path;
    let ask = || Hint::from("ask the partner for a certificate that is valid now");
    let (what, hint) = match error {
        Path::UnknownIssuer => (
            "no path leads from it to a trusted authority",
            Hint::from("the file has the partner's certificate first, then the intermediate ones; also, ")
                .then(Remedy::NameAuthority),
        ),
        Path::CertExpired { .. } => ("it, or one between it and the authority, has expired", ask()),
        Path::CertNotValidYet { .. } => ("it, or one between it and the authority, is not valid yet", ask()),
        Path::CertRevoked => ("it, or one between it and the authority, was revoked", ask()),
        Path::UnknownRevocationStatus => (
            "the authorities' revocation lists do not say whether it was revoked",
            "give the list of each issuer in the path, or none".into(),
        ),
        Path::CrlExpired { .. } => (
            "the authorities' revocation list has expired",
            "get the authority's current list".into(),
        ),
        Path::CaUsedAsEndEntity => (
            "it is the certificate of an authority, not of a partner",
            "a partner without an authority sends its bare public key: compare it by another way, such as a call"
                .into(),
        ),
        Path::NameConstraintViolation => (
            "an authority may not vouch for its name, or for names of kinds that are not supported here",
            "ask the partner for a certificate without such constraints, or for its bare public key".into(),
        ),
        other => return (format!("{other:?}"), "ask the partner for another certificate".into()),
    };
    (what.to_owned(), hint)
}

fn not_trusted(why: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::WrongKey,
        format!("the partner's certificate is not trusted: {why}"),
    )
}

fn unreadable_certificate(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::bad_input("this holds a certificate that cannot be read").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest is driven through the command: only there it is easy to have authorities.
    #[test]
    fn a_certificate_is_good_for_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |line: &str| {
            let made = std::process::Command::new("openssl")
                .current_dir(folder.path())
                .args(line.split(' '))
                .output()
                .expect("openssl, which Debian has");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        openssl("req -x509 -newkey ed25519 -nodes -keyout ca.key -out ca.pem -days 900 -subj /CN=ca");
        std::fs::write(folder.path().join("extensions"), "basicConstraints=CA:FALSE").unwrap();
        openssl("req -newkey ed25519 -nodes -keyout it.key -out it.csr -subj /CN=it");
        openssl(
            "x509 -req -in it.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out it.pem -days 30 -extfile extensions",
        );
        let pem = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
        // `openssl` makes the certificates, so that what is read here was not written by the library that
        // reads it.
        let authorities = Authorities::from_pem(&pem("ca.pem")).unwrap();
        let at = |time: Timestamp| {
            CertifiedKey::from_chain(&pem("it.pem"), &authorities, time, CertifiedFor::DigitalSignature)
                .map(|key| key.subject)
                .map_err(|error| error.to_string())
        };
        let now = Timestamp::now();
        assert_eq!(at(now.plus_days(1)).unwrap(), "CN=it");
        assert!(at(now.plus_days(31)).unwrap_err().contains("has expired"));
        assert!(at(Timestamp::EPOCH).unwrap_err().contains("is not valid yet"));
    }
}
