//! LocalKmsFile.

use super::format_v1;
use super::format_v1::ContentV1;
use super::ids::FileId;
use super::model::{LocalKmsContent, UnlockMethod};
use crate::keys::wrap::authenticated;
use crate::keys::{Authenticated, Purpose, derive};
use crate::{Result, Secret};

/// A file, not necessarily authentic.
pub(super) enum LocalKmsFile {
    V1(Authenticated<ContentV1>),
    V2(Authenticated<LocalKmsContent>),
}

impl LocalKmsFile {
    /// Reads the bytes; who unlocks the file can have it [`verified`](Self::verified).
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let file = authenticated::format(bytes).and_then(|format| match format.as_str() {
            format_v1::FORMAT => Authenticated::parse(&[format_v1::FORMAT], bytes).map(Self::V1),
            // Any other format is refused by name.
            _ => Authenticated::parse(&[FORMAT, format_v1::FORMAT], bytes).map(Self::V2),
        });
        file.map_err(|error| error.or_hint("restore the file from a backup; only Cipherform may change it"))
    }

    /// Which file it says that it is.
    pub(super) fn id(&self) -> FileId {
        match self {
            Self::V1(file) => file.unverified().id,
            Self::V2(file) => file.unverified().id,
        }
    }

    /// How it says that it is unlocked.
    pub(super) fn unlock(&self) -> &UnlockMethod {
        match self {
            Self::V1(file) => &file.unverified().unlock,
            Self::V2(file) => &file.unverified().unlock,
        }
    }

    /// What the file says, if `unlock_key` wrote it; in today's format, whatever its own.
    pub(super) fn verified(self, unlock_key: &Secret<Vec<u8>>) -> Result<LocalKmsContent> {
        match self {
            Self::V1(file) => {
                let key = mac_key(file.unverified().id, unlock_key)?;
                file.verify(key.expose())?.converted(unlock_key)
            }
            Self::V2(file) => {
                let key = mac_key(file.unverified().id, unlock_key)?;
                file.verify(key.expose())
            }
        }
    }
}

pub(super) fn mac_key(file: FileId, unlock_key: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>> {
    derive(unlock_key.expose(), Purpose::LocalKmsMac, &[file.as_bytes()], 32)
}

/// The format of the file; its versions are frozen.
const FORMAT: &str = "cipherform-local-kms/2";
