//! Sender.

use ed25519_dalek::VerifyingKey;
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};

use super::certificate::{Authorities, CertifiedFor, CertifiedKey};
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::public_key;
use crate::{Error, Hint, Remedy, Result, Secret};

/// Who signed a package: an Ed25519 public key, learnt by another way than the package came.
#[derive(Clone, Debug)]
pub struct Sender {
    pub(super) public_key: [u8; 32],
    subject: Option<String>,
}

impl Sender {
    /// From the 64 hexadecimal digits that `cipherform keys public-key` shows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`].
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut public_key = [0; 32];
        match hex::decode_to_slice(text.trim(), &mut public_key) {
            Ok(()) => Ok(public_key.into()),
            Err(_) => Err(Error::bad_input("the partner's public key is 64 hexadecimal digits")
                .with_hint(Hint::from("have the partner ").then(Remedy::ShowPublicKey))),
        }
    }

    /// From certificates in PEM: the sender's, then those between it and one of the `authorities`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`]; [`ErrorKind::WrongKey`] if the certificate is not to be trusted `at` that time for signatures.
    pub fn from_certificates(pem: &str, authorities: &Authorities, at: Timestamp) -> Result<Self> {
        let certified = CertifiedKey::from_chain(pem, authorities, at, CertifiedFor::DigitalSignature)?;
        let key = VerifyingKey::from_public_key_der(&certified.public_key)
            .map_err(|_| Error::bad_input("the certificate's key is not Ed25519"))?;
        Ok(Self {
            public_key: key.to_bytes(),
            subject: Some(certified.subject),
        })
    }

    /// The distinguished name in its certificate (RFC 4514), if it came with one.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The public key.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// As authorities take it for a certificate: `-----BEGIN PUBLIC KEY-----` (RFC 8410).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if it is no point of the curve.
    pub fn to_pem(&self) -> Result<String> {
        let no_key = || Error::bad_input("this is no Ed25519 public key");
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

/// What signs packages: an Ed25519 key.
#[derive(Debug)]
pub struct ExchangeSigner(pub(super) Secret<Vec<u8>>);

impl ExchangeSigner {
    /// The key of a seed of 32 bytes (RFC 8032, section 5.1.5).
    pub(crate) fn from_seed(seed: Secret<Vec<u8>>) -> Self {
        Self(seed)
    }

    /// The public key, 32 bytes: what the partner compares.
    ///
    /// # Errors
    ///
    /// None that a caller can cause.
    pub fn public_key(&self) -> Result<[u8; 32]> {
        public_key(&self.0)
    }
}
