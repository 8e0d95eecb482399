//! New material for KMS keys.

use super::KmsKeySpec;
use crate::keys::random;
use crate::{Result, Secret};

/// What a key is made of, before it is sealed.
pub(super) struct Material {
    /// 32 bytes for symmetric keys and Ed25519; PKCS #8 (DER) for RSA.
    pub(super) secret: Secret<Vec<u8>>,
    pub(super) public_key: Option<Vec<u8>>,
}

impl Material {
    /// New material, from the operating system's random bytes.
    pub(super) fn generate(spec: KmsKeySpec) -> Result<Self> {
        match spec {
            KmsKeySpec::SymmetricDefault => Ok(Self {
                secret: random::secret(32)?,
                public_key: None,
            }),
            #[cfg(feature = "exchange")]
            KmsKeySpec::Rsa3072 => super::asymmetric::rsa(3072),
            #[cfg(feature = "exchange")]
            KmsKeySpec::Rsa4096 => super::asymmetric::rsa(4096),
            #[cfg(feature = "exchange")]
            KmsKeySpec::Ed25519 => super::asymmetric::ed25519(),
            #[cfg(not(feature = "exchange"))]
            _ => Err(crate::Error::new(
                crate::ErrorKind::KeyNotUsable,
                "this build makes no asymmetric keys: its feature `exchange` is not enabled",
            )
            .with_hint("build with `--features exchange`")),
        }
    }
}
