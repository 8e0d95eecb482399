//! One domain's key for a partner: wrapped to the partner's public key, signed by the sender.
//!
//! ```text
//! { "format": "cipherform-exchange/1", "content": { …, "wrapped": base64 }, "signature": base64 }
//! label     = LP("cipherform exchange v1", content without `wrapped`, as JSON without spaces)
//! wrapped   = RSA-OAEP (RFC 8017, section 7.1) with SHA-256 and MGF1 over SHA-256: key (32) ‖ check key (32), under that label
//! signature = Ed25519 (FIPS 186-5) over LP("cipherform-exchange/1", content as JSON without spaces)
//! ```
//!
//! The partner gets the key of one map: one rule's domain, format and tweak. With it values can be protected and revealed under that map, and under no other:
//! it is derived from the sender's data key by a one-way function.

use ed25519_dalek::VerifyingKey;
use getrandom::SysRng;
use rsa::pkcs1::ALGORITHM_OID;
use rsa::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, LineEnding, SubjectPublicKeyInfoRef,
};
use rsa::traits::PublicKeyParts as _;
use rsa::{Oaep, PrivateKey, PublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::certificate::{Authorities, CertifiedFor, CertifiedKey, holds_certificates};
use super::encoding::{Base64, length_prefixed};
use super::signed::{Signed, public_key};
use super::{ExchangedMap, KeyVersionId, KeyringId, Reason, Timestamp};
use crate::{Error, ErrorKind, Result, Secret};

/// The format of the file; its versions are frozen.
const FORMAT: &str = "cipherform-exchange/1";

/// SP 800-131A Revision 2 and SP 800-57 Part 1: 128 bits of strength take 3,072.
const SHORTEST: u32 = 3072;

/// A key on its way to a partner.
#[derive(Clone, Debug)]
pub struct ExchangePackage(Signed<Content>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    keyring: KeyringId,
    /// The key's name at the sender's.
    key: String,
    version: KeyVersionId,
    map: ExchangedMap,
    time: Timestamp,
    reason: Reason,
    public_key: Base64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrapped: Option<Base64>,
}

impl Content {
    /// What the wrapped bytes are bound to.
    fn label(&self) -> Vec<u8> {
        let bare = Self {
            wrapped: None,
            ..self.clone()
        };
        let bare = serde_json::to_vec(&bare).expect("strings and numbers, which JSON always holds");
        length_prefixed(&[b"cipherform exchange v1", &bare])
    }
}

/// Whose key goes where.
pub(crate) struct Parcel<'a> {
    pub(crate) keyring: KeyringId,
    pub(crate) key: String,
    pub(crate) version: KeyVersionId,
    pub(crate) map: ExchangedMap,
    pub(crate) time: Timestamp,
    pub(crate) reason: Reason,
    pub(crate) material: &'a Secret<Vec<u8>>,
}

impl ExchangePackage {
    pub(crate) fn seal(parcel: Parcel<'_>, recipient: &Recipient, signer: &ExchangeSigner) -> Result<Self> {
        let mut content = Content {
            keyring: parcel.keyring,
            key: parcel.key,
            version: parcel.version,
            map: parcel.map,
            time: parcel.time,
            reason: parcel.reason,
            public_key: Base64(signer.public_key()?.to_vec()),
            wrapped: None,
        };
        let padding = Oaep::<Sha256>::new_with_label(content.label());
        let wrapped = recipient.key.encrypt(&mut SysRng, padding, parcel.material.expose());
        let wrapped = wrapped.map_err(|error| Error::bug("RSA-OAEP refuses 64 bytes").with_source(error))?;
        content.wrapped = Some(Base64(wrapped));
        Signed::new(FORMAT, content, &signer.0).map(Self)
    }

    /// Reads a package; who sent it is told by [`verify`](Self::verify).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Signed::parse(FORMAT, "exchanged key", bytes).map(Self)
    }

    /// Passes if `sender` has signed it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`].
    pub fn verify(&self, sender: &Sender) -> Result<()> {
        let wrong = |what: &str| {
            Error::new(ErrorKind::WrongKey, what)
                .with_hint("have the sender tell its public key, `cipherform keys public-key`, by another way than the package came")
        };
        if self.0.content().public_key.0 != sender.public_key {
            return Err(wrong("the exchanged key was signed by somebody else"));
        }
        match self.0.is_by(&sender.public_key) {
            true => Ok(()),
            false => Err(wrong("the exchanged key was changed since it was signed")),
        }
    }

    pub(crate) fn open(&self, identity: &Identity) -> Result<Secret<Vec<u8>>> {
        let wrapped = self.0.content().wrapped.as_ref().map_or(&[][..], |wrapped| &wrapped.0);
        let padding = Oaep::<Sha256>::new_with_label(self.0.content().label());
        let opened = identity.0.decrypt_blinded(&mut SysRng, padding, wrapped);
        opened.map(Secret::new).map_err(|_| {
            Error::new(ErrorKind::WrongKey, "the exchanged key is not for this private key")
                .with_hint("name the private key whose public half the sender was given")
        })
    }

    /// The bytes of the file: JSON, with a line feed at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// The map that its key is for.
    pub fn map(&self) -> &ExchangedMap {
        &self.0.content().map
    }

    /// The version that columns protected with it name.
    pub fn version(&self) -> KeyVersionId {
        self.0.content().version
    }

    /// When it was made.
    pub fn time(&self) -> Timestamp {
        self.0.content().time
    }
}

/// The public key of who may open a package: RSA, 3,072 bits or more.
#[derive(Clone, Debug)]
pub struct Recipient {
    key: PublicKey,
    subject: Option<String>,
}

impl Recipient {
    /// From PEM: `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`].
    pub fn from_pem(pem: &str) -> Result<Self> {
        if holds_certificates(pem) {
            return Err(
                Error::bad_input("this is a certificate, and no authority is named that vouches for it")
                    .with_hint("name the authority's certificate: --ca ca.pem"),
            );
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            Error::bad_input("this is no public key in PEM")
                .with_hint("make one from a private key: openssl rsa -in private.pem -pubout -out public.pem")
        })?;
        let key = encryption_key(&der)?;
        Ok(Self { key, subject: None })
    }

    /// From certificates in PEM: the recipient's, then those between it and one of the `authorities`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`]; [`ErrorKind::WrongKey`] if the certificate is not to be trusted `at` that time for wrapping keys.
    pub fn from_certificates(pem: &str, authorities: &Authorities, at: Timestamp) -> Result<Self> {
        let certified = CertifiedKey::of(pem, authorities, at, CertifiedFor::KeyEncipherment)?;
        Ok(Self {
            key: encryption_key(&certified.public_key)?,
            subject: Some(certified.subject),
        })
    }

    /// The distinguished name in its certificate (RFC 4514), if it came with one.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// SHA-256 of the public key's SubjectPublicKeyInfo in DER, in hexadecimal: `openssl pkey -pubin -in public.pem -outform der | sha256sum`.
    pub fn fingerprint(&self) -> String {
        let der = self
            .key
            .to_public_key_der()
            .expect("two integers, which DER always holds");
        hex::encode(Sha256::digest(der))
    }
}

/// Who signed a package: an Ed25519 public key, learnt by another way than the package came.
#[derive(Clone, Debug)]
pub struct Sender {
    public_key: [u8; 32],
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
                .with_hint("`cipherform keys public-key` shows it, on the partner's side")),
        }
    }

    /// From certificates in PEM: the sender's, then those between it and one of the `authorities`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`]; [`ErrorKind::WrongKey`] if the certificate is not to be trusted `at` that time for signatures.
    pub fn from_certificates(pem: &str, authorities: &Authorities, at: Timestamp) -> Result<Self> {
        let certified = CertifiedKey::of(pem, authorities, at, CertifiedFor::DigitalSignature)?;
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

/// The private key that opens packages.
pub struct Identity(PrivateKey);

impl Identity {
    /// From PEM: `-----BEGIN PRIVATE KEY-----` (PKCS #8, not encrypted).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`].
    pub fn from_pem(pem: &Secret<String>) -> Result<Self> {
        let key = PrivateKey::from_pkcs8_pem(pem.expose().trim()).map_err(|_| {
            Error::bad_input("this is no RSA private key in PEM (PKCS #8, not encrypted)")
                .with_hint("make one: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out private.pem")
        })?;
        check_length(key.as_public_key())?;
        Ok(Self(key))
    }

    /// From PKCS #8 in DER.
    #[cfg(feature = "kms-local")]
    pub(crate) fn from_pkcs8(der: &Secret<Vec<u8>>) -> Result<Self> {
        let key = PrivateKey::from_pkcs8_der(der.expose())
            .map_err(|_| Error::bug("a private key that is not as it was sealed"))?;
        check_length(key.as_public_key())?;
        Ok(Self(key))
    }
}

/// What signs packages: an Ed25519 key.
#[derive(Debug)]
pub struct ExchangeSigner(Secret<Vec<u8>>);

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

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(****)")
    }
}

/// From SubjectPublicKeyInfo in DER: what keys are wrapped to.
fn encryption_key(der: &[u8]) -> Result<PublicKey> {
    let not_rsa = || {
        Error::bad_input("the public key is not an RSA key that encrypts")
            .with_hint("ask the partner for one (not for signatures alone): openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out private.pem")
    };
    let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| not_rsa())?;
    if info.algorithm.oid != ALGORITHM_OID {
        return Err(not_rsa());
    }
    let key = PublicKey::try_from(info).map_err(|_| not_rsa())?;
    check_length(&key)?;
    Ok(key)
}

fn check_length(key: &PublicKey) -> Result<()> {
    let bits = key.n().bit_width();
    match bits >= SHORTEST {
        true => Ok(()),
        false => Err(Error::bad_input(format!(
            "the RSA key has {bits} bits; at least {SHORTEST} are asked for"
        ))),
    }
}
