//! The RSA keys that packages are wrapped to, and opened with.

use rsa::pkcs1::ALGORITHM_OID;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _, SubjectPublicKeyInfoRef};
use rsa::traits::PublicKeyParts as _;
use rsa::{PrivateKey, PublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

use super::certificate::{Authorities, CertifiedFor, CertifiedKey, holds_certificates};
use crate::keys::timestamp::Timestamp;
use crate::{Error, Remedy, Result, Secret};

/// Shortest RSA key, in bits: 128 bits of strength need 3,072 (SP 800-57 Part 1, SP 800-131A Revision 2).
const SHORTEST: u32 = 3072;

/// The public key that a package is wrapped to: RSA, 3,072 bits or more.
#[derive(Clone, Debug)]
pub struct Recipient {
    pub(super) key: PublicKey,
    subject: Option<String>,
}

impl Recipient {
    /// Reads PEM: `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput).
    pub fn from_pem(pem: &str) -> Result<Self> {
        // The bare key inside could be read, but then the certificate would have been ignored without a
        // word, together with its end and its revocation.
        if holds_certificates(pem) {
            return Err(
                Error::bad_input("this is a certificate, and no authority is named that signed it")
                    .with_hint(Remedy::NameAuthority),
            );
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            Error::bad_input("this is not a public key in PEM")
                .with_hint("make one from a private key: openssl rsa -in private.pem -pubout -out public.pem")
        })?;
        let key = encryption_key(&der)?;
        Ok(Self { key, subject: None })
    }

    /// Reads certificates in PEM: the recipient's, then those between it and one of the `authorities`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput); [`ErrorKind::WrongKey`](crate::ErrorKind::WrongKey) if
    /// the certificate is not trusted `at` that time for wrapping keys.
    pub fn from_certificates(pem: &str, authorities: &Authorities, at: Timestamp) -> Result<Self> {
        let certified = CertifiedKey::from_chain(pem, authorities, at, CertifiedFor::KeyEncipherment)?;
        Ok(Self {
            key: encryption_key(&certified.public_key)?,
            subject: Some(certified.subject),
        })
    }

    /// Returns the distinguished name in the certificate (RFC 4514), if there is one.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the SHA-256 of the public key's SubjectPublicKeyInfo in DER, in hexadecimal: `openssl pkey -pubin -in
    /// public.pem -outform der | sha256sum`.
    pub fn fingerprint(&self) -> String {
        let der = self
            .key
            .to_public_key_der()
            .expect("two integers, which DER always holds");
        hex::encode(Sha256::digest(der))
    }
}

/// The private key that opens packages.
pub struct Identity(pub(super) PrivateKey);

impl Identity {
    /// Reads PEM: `-----BEGIN PRIVATE KEY-----` (PKCS #8, not encrypted).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput).
    pub fn from_pem(pem: &Secret<String>) -> Result<Self> {
        // The cause is dropped: an error of a parser of private keys goes into no message.
        let key = PrivateKey::from_pkcs8_pem(pem.expose().trim()).map_err(|_| {
            Error::bad_input("this is not an RSA private key in PEM (PKCS #8, not encrypted)")
                .with_hint("make one: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out private.pem")
        })?;
        check_length(key.as_public_key())?;
        Ok(Self(key))
    }

    /// Reads PKCS #8 in DER.
    #[cfg(feature = "kms-local")]
    pub(crate) fn from_pkcs8(der: &Secret<Vec<u8>>) -> Result<Self> {
        let key = PrivateKey::from_pkcs8_der(der.expose())
            .map_err(|_| Error::bug("a private key that is not as it was sealed"))?;
        check_length(key.as_public_key())?;
        Ok(Self(key))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(****)")
    }
}

/// Reads a key that keys can be wrapped to from SubjectPublicKeyInfo in DER.
fn encryption_key(der: &[u8]) -> Result<PublicKey> {
    let not_rsa = || {
        Error::bad_input("the public key is not an RSA key that encrypts").with_hint(
            "ask the partner for one (not for signatures alone): openssl genpkey -algorithm RSA \
             -pkeyopt rsa_keygen_bits:3072 -out private.pem",
        )
    };
    let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| not_rsa())?;
    // rsaEncryption only: a key marked for RSA-PSS (RFC 4055) must not decrypt.
    if info.algorithm.oid != ALGORITHM_OID {
        return Err(not_rsa());
    }
    let key = PublicKey::try_from(info).map_err(|_| not_rsa())?;
    check_length(&key)?;
    Ok(key)
}

fn check_length(key: &PublicKey) -> Result<()> {
    let bits = key.n().bit_width();
    if bits < SHORTEST {
        return Err(Error::bad_input(format!(
            "the RSA key has {bits} bits; at least {SHORTEST} are required"
        )));
    }
    Ok(())
}
