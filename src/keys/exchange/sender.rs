//! The Ed25519 keys that packages are signed with, and verified with.

use ed25519_dalek::VerifyingKey;
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};

use super::certificate::{Authorities, CertifiedFor, CertifiedKey};
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::public_key;
use crate::{Error, Hint, Remedy, Result, Secret};

/// The public key of a sender (Ed25519), learnt by another way than the package came.
#[derive(Clone, Debug)]
pub struct Sender {
    pub(super) public_key: [u8; 32],
    subject: Option<String>,
}

impl Sender {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput).
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut public_key = [0; 32];
        // Whether it is a point of the curve is found when a signature is verified: a key that is none
        // verifies nothing.
        match hex::decode_to_slice(text.trim(), &mut public_key) {
            Ok(()) => Ok(public_key.into()),
            Err(_) => Err(Error::bad_input("the partner's public key is 64 hexadecimal digits")
                .with_hint(Hint::from("have the partner ").then(Remedy::ShowPublicKey))),
        }
    }

    /// Reads certificates in PEM: the sender's, then those between it and one of the `authorities`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput); [`ErrorKind::WrongKey`](crate::ErrorKind::WrongKey) if
    /// the certificate is not trusted `at` that time for signatures.
    pub fn from_certificates(pem: &str, authorities: &Authorities, at: Timestamp) -> Result<Self> {
        let certified = CertifiedKey::from_chain(pem, authorities, at, CertifiedFor::DigitalSignature)?;
        // A certificate may be for any algorithm; packages are signed with Ed25519 alone, so there is
        // nothing to negotiate, and so nothing to downgrade.
        let key = VerifyingKey::from_public_key_der(&certified.public_key)
            .map_err(|_| Error::bad_input("the certificate's key is not Ed25519"))?;
        Ok(Self {
            public_key: key.to_bytes(),
            subject: Some(certified.subject),
        })
    }

    /// Returns the distinguished name in the certificate (RFC 4514), if there is one.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the public key.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Returns PEM as authorities need it for a certificate: `-----BEGIN PUBLIC KEY-----` (RFC 8410).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) if it is not a point of the curve.
    pub fn to_pem(&self) -> Result<String> {
        let no_key = || Error::bad_input("this is not an Ed25519 public key");
        let key = VerifyingKey::from_bytes(&self.public_key).map_err(|_| no_key())?;
        key.to_public_key_pem(LineEnding::LF).map_err(|_| no_key())
    }
}

impl From<[u8; 32]> for Sender {
    fn from(public_key: [u8; 32]) -> Self {
        Self {
            public_key,
            subject: None,
        }
    }
}

/// The private key that signs packages (Ed25519).
#[derive(Debug)]
pub struct ExchangeSigner(pub(super) Secret<Vec<u8>>);

impl ExchangeSigner {
    /// Makes the key from a seed of 32 bytes (RFC 8032, section 5.1.5).
    pub(crate) fn from_seed(seed: Secret<Vec<u8>>) -> Self {
        Self(seed)
    }

    /// Returns the public key, 32 bytes, for the partner to compare.
    ///
    /// # Errors
    ///
    /// None that a caller can cause.
    pub fn public_key(&self) -> Result<[u8; 32]> {
        public_key(&self.0)
    }
}
