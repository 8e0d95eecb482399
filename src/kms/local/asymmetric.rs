//! Asymmetric keys of the local KMS: RSA opens packages from partners, Ed25519 signs packages for them.

use super::info::{KmsKeySpec, KmsKeyUsage};
use super::lifecycle;
use super::local_kms::{LocalKms, in_file, missing};
use super::lookup::find;
use crate::keys::{ExchangeSigner, Identity, KmsKeyRef};
use crate::kms::local::key_policy::KmsAction;
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret};

impl LocalKms {
    /// Returns the public half of an asymmetric key: SubjectPublicKeyInfo (DER) for RSA, the 32 bytes of RFC 8032 for
    /// Ed25519.
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
            // Read from the file, not computed from the private key, which stays sealed. The state is not
            // asked: a public key does no harm.
            let public_key = entry.material.last().and_then(|material| material.public_key.clone());
            public_key.map(|bytes| bytes.0).ok_or_else(|| {
                let message = format!("KMS key `{}` is {}: it has no public key", entry.name, entry.spec);
                Error::new(ErrorKind::KeyNotUsable, message).with_hint(Remedy::CreateKmsKey {
                    spec: Some("rsa-4096".to_owned()),
                    external: false,
                })
            })
        };
        public_key().map_err(|error| in_file(&path, error))
    }

    /// Returns the private key that opens packages for the public half of `key`, an RSA key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] for a key of another kind, or one whose state forbids it;
    /// [`ErrorKind::KeyNotFound`].
    pub fn identity(&self, key: &KmsKeyRef) -> Result<Identity> {
        let secret = self.asymmetric(key, KmsKeyUsage::EncryptDecrypt, "rsa-4096")?;
        Identity::from_pkcs8(&secret)
    }

    /// Returns the private key that signs packages with `key`, an Ed25519 key.
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
            lifecycle::check(entry, self.context.now())?;
            // Symmetric and RSA keys have the same usage in the words of AWS, so the usage alone would
            // let an AES key pass.
            if entry.spec == KmsKeySpec::SymmetricDefault || entry.spec.usage() != usage {
                let message = format!("KMS key `{}` is {}, for {}", entry.name, entry.spec, entry.spec.usage());
                return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint(
                    Hint::from("a key has one use: ").then(Remedy::CreateKmsKey {
                        spec: Some(instead.to_owned()),
                        external: false,
                    }),
                ));
            }
            let material = entry.material.last().ok_or_else(|| missing(entry))?;
            super::local_kms::open(&content, entry, material, &unlock_key)
        };
        open().map_err(|error| in_file(&path, error))
    }
}
