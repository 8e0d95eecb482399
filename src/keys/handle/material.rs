//! The bytes that are wrapped for a version of a data key.

use crate::keys::key_use::KeyUse;
use crate::{Error, Result, Secret};

/// The bytes that are wrapped for one version.
///
/// | use | bytes |
/// | --- | --- |
/// | `derive` | the key, 32 bytes: check values are derived from it, too, under their own label |
/// | `direct-…` | the AES key, then a check key of 32 bytes: an AES key that other software has serves one mode |
#[derive(Debug)]
pub(crate) struct KeyMaterial {
    pub(super) key_use: KeyUse,
    bytes: Secret<Vec<u8>>,
}

impl KeyMaterial {
    const CHECK_KEY: usize = 32;

    /// Returns the number of bytes that are wrapped for a key with `key_use`.
    pub(crate) const fn length(key_use: KeyUse) -> usize {
        match key_use {
            KeyUse::Derive => 32,
            // The check key is separate random bytes: a check value derived from the AES key itself would
            // be a second use of a key that other software holds.
            KeyUse::Direct { bits, .. } => bits.bytes() + Self::CHECK_KEY,
        }
    }

    /// Takes unwrapped bytes, which must be [`length`](Self::length) bytes.
    pub(crate) fn try_new(key_use: KeyUse, bytes: Secret<Vec<u8>>) -> Result<Self> {
        // The slices below rely on it.
        if bytes.expose().len() != Self::length(key_use) {
            return Err(Error::bug("key material of the wrong length"));
        }
        Ok(Self { key_use, bytes })
    }

    pub(super) fn key(&self) -> &[u8] {
        match self.key_use {
            KeyUse::Derive => self.bytes.expose(),
            KeyUse::Direct { bits, .. } => &self.bytes.expose()[..bits.bytes()],
        }
    }

    pub(super) fn check_key(&self) -> &[u8] {
        match self.key_use {
            KeyUse::Derive => self.bytes.expose(),
            KeyUse::Direct { bits, .. } => &self.bytes.expose()[bits.bytes()..],
        }
    }
}
