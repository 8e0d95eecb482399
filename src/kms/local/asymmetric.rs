//! Asymmetric KMS keys of the local KMS: RSA opens what partners export for us, Ed25519 signs what we export.

use getrandom::SysRng;
use rsa::PrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _};

use super::material::Material;
use super::{KmsKeySpec, KmsKeyUsage, LocalKms, find, in_file, life, missing};
use crate::keys::{ExchangeSigner, Identity, KmsAction, KmsKeyRef, random};
use crate::{Error, ErrorKind, Result, Secret};

/// A new RSA key.
pub(super) fn rsa(bits: usize) -> Result<Material> {
    let failed = |error| Error::new(ErrorKind::Io, "no RSA key can be made").with_source(error);
    let key = PrivateKey::new(&mut SysRng, bits).map_err(failed)?;
    let unencodable = |error| Error::bug("an RSA key that PKCS #8 cannot hold").with_source(error);
    let secret = key.to_pkcs8_der().map_err(unencodable)?;
    let public_key = key
        .as_public_key()
        .to_public_key_der()
        .map_err(|error| Error::bug("a public key that SubjectPublicKeyInfo cannot hold").with_source(error))?;
    Ok(Material {
        secret: Secret::new(secret.as_bytes().to_vec()),
        public_key: Some(public_key.into_vec()),
    })
}

/// A new Ed25519 key.
pub(super) fn ed25519() -> Result<Material> {
    let secret = random::secret(32)?;
    let public_key = ExchangeSigner::from_seed(secret.clone()).public_key()?.to_vec();
    Ok(Material {
        secret,
        public_key: Some(public_key),
    })
}

impl LocalKms {
    /// The public half of an asymmetric key: SubjectPublicKeyInfo (DER) for RSA, the 32 bytes of RFC 8032 for Ed25519.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] for a symmetric key; [`ErrorKind::KeyNotFound`].
    pub fn public_key(&self, key: &KmsKeyRef) -> Result<Vec<u8>> {
        let (path, name) = self.locate(key)?;
        let (content, _) = self.content(&path)?;
        let public_key = || {
            let entry = find(&content, &name)?;
            self.authorize(&content, entry, KmsAction::GetPublicKey, None)?;
            let public_key = entry.material.last().and_then(|material| material.public_key.clone());
            public_key.map(|bytes| bytes.0).ok_or_else(|| {
                let message = format!("KMS key `{}` is {}: it has no public key", entry.name, entry.spec);
                Error::new(ErrorKind::KeyNotUsable, message).with_hint(
                    "create one that has: `cipherform keys create local:NAME --spec rsa-4096`, or `--spec ed25519`",
                )
            })
        };
        public_key().map_err(|error| in_file(&path, error))
    }

    /// What opens keys that partners exported for the public half of `key`, an RSA key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] for a key of another kind, or one whose state forbids it; [`ErrorKind::KeyNotFound`].
    pub fn identity(&self, key: &KmsKeyRef) -> Result<Identity> {
        let secret = self.asymmetric(key, KmsKeyUsage::EncryptDecrypt, "rsa-4096")?;
        Identity::from_pkcs8(&secret)
    }

    /// What signs keys for partners with `key`, an Ed25519 key.
    ///
    /// # Errors
    ///
    /// As for [`identity`](Self::identity).
    pub fn signer(&self, key: &KmsKeyRef) -> Result<ExchangeSigner> {
        let secret = self.asymmetric(key, KmsKeyUsage::SignVerify, "ed25519")?;
        Ok(ExchangeSigner::from_seed(secret))
    }

    fn asymmetric(&self, key: &KmsKeyRef, usage: KmsKeyUsage, instead: &str) -> Result<Secret<Vec<u8>>> {
        let (path, name) = self.locate(key)?;
        let (content, unlock_key) = self.content(&path)?;
        let open = || {
            let entry = find(&content, &name)?;
            let action = match usage {
                KmsKeyUsage::EncryptDecrypt => KmsAction::Decrypt,
                KmsKeyUsage::SignVerify => KmsAction::Sign,
            };
            self.authorize(&content, entry, action, None)?;
            life::check(entry, self.surroundings.now())?;
            if entry.spec == KmsKeySpec::SymmetricDefault || entry.spec.usage() != usage {
                let message = format!("KMS key `{}` is {}, for {}", entry.name, entry.spec, entry.spec.usage());
                return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint(format!(
                    "a key has one use: create one for this, `cipherform keys create local:NAME --spec {instead}`"
                )));
            }
            let material = entry.material.last().ok_or_else(|| missing(entry))?;
            super::open(&content, entry, material, &unlock_key)
        };
        open().map_err(|error| in_file(&path, error))
    }
}
