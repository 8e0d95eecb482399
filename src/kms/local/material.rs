//! Generation of material for KMS keys.

use super::info::KmsKeySpec;
#[cfg(feature = "exchange")]
use crate::keys::ExchangeSigner;
use crate::keys::random;
#[cfg(feature = "exchange")]
use crate::{Error, ErrorKind};
use crate::{Result, Secret};

/// New material, before it is sealed.
pub(super) struct NewMaterial {
    /// 32 bytes for symmetric keys and Ed25519; PKCS #8 (DER) for RSA.
    pub(super) secret: Secret<Vec<u8>>,
    pub(super) public_key: Option<Vec<u8>>,
}

impl NewMaterial {
    /// Generates material from the operating system's random bytes.
    pub(super) fn generate(spec: KmsKeySpec) -> Result<Self> {
        match spec {
            KmsKeySpec::SymmetricDefault => Ok(Self {
                // AES-256: whatever a KMS key wraps is no stronger than the KMS key.
                secret: random::secret(32)?,
                public_key: None,
            }),
            #[cfg(feature = "exchange")]
            KmsKeySpec::Rsa3072 => rsa(3072),
            #[cfg(feature = "exchange")]
            KmsKeySpec::Rsa4096 => rsa(4096),
            #[cfg(feature = "exchange")]
            KmsKeySpec::Ed25519 => ed25519(),
            #[cfg(not(feature = "exchange"))]
            _ => Err(crate::Error::new(
                crate::ErrorKind::KeyNotUsable,
                "this build does not generate asymmetric keys: its feature `exchange` is not enabled",
            )
            .with_hint("build with the feature `exchange`")),
        }
    }
}

#[cfg(feature = "exchange")]
/// Generates an RSA key.
pub(super) fn rsa(bits: usize) -> Result<NewMaterial> {
    let failed = |error| Error::new(ErrorKind::Io, "cannot generate an RSA key").with_source(error);
    let key = rsa::PrivateKey::new(&mut getrandom::SysRng, bits).map_err(failed)?;
    let unencodable = |error| Error::bug("an RSA key that PKCS #8 cannot hold").with_source(error);
    let secret = rsa::pkcs8::EncodePrivateKey::to_pkcs8_der(&key).map_err(unencodable)?;
    let public_key = rsa::pkcs8::EncodePublicKey::to_public_key_der(key.as_public_key())
        .map_err(|error| Error::bug("a public key that SubjectPublicKeyInfo cannot hold").with_source(error))?;
    Ok(NewMaterial {
        secret: Secret::new(secret.as_bytes().to_vec()),
        public_key: Some(public_key.into_vec()),
    })
}

#[cfg(feature = "exchange")]
/// Generates an Ed25519 key.
pub(super) fn ed25519() -> Result<NewMaterial> {
    let secret = random::secret(32)?;
    // Kept beside the sealed seed, so that showing the public key needs no private key in memory.
    let public_key = ExchangeSigner::from_seed(secret.clone()).public_key()?.to_vec();
    Ok(NewMaterial {
        secret,
        public_key: Some(public_key),
    })
}
