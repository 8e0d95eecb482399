//! The file of a local KMS: parsing and authenticating both formats, sealing the current one.

use super::format_v1;
use super::format_v1::ContentV1;
use super::ids::FileId;
use super::model::{LocalKmsContent, UnlockMethod};
use crate::keys::wrap::authenticated;
use crate::keys::{Authenticated, Purpose, derive};
use crate::{Result, Secret};

/// A parsed file, not necessarily authentic.
pub(super) enum LocalKmsFile {
    V1(Authenticated<ContentV1>),
    V2(Authenticated<LocalKmsContent>),
}

impl LocalKmsFile {
    /// Parses the bytes; [`verified`](Self::verified) comes next.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        // The format chooses the type, since the two have other fields. It is not authenticated yet: a
        // changed one leads to a content that does not parse, or to a MAC that does not fit, as the
        // format is under it.
        let file = authenticated::format(bytes).and_then(|format| match format.as_str() {
            format_v1::FORMAT_V1 => Authenticated::parse(&[format_v1::FORMAT_V1], bytes).map(Self::V1),
            // `Authenticated::parse` refuses any other format.
            _ => Authenticated::parse(&[FORMAT, format_v1::FORMAT_V1], bytes).map(Self::V2),
        });
        file.map_err(|error| error.or_hint("restore the file from a backup; only Cipherform may change it"))
    }

    /// Returns the id that the file claims.
    pub(super) fn id(&self) -> FileId {
        match self {
            Self::V1(file) => file.unverified().id,
            Self::V2(file) => file.unverified().id,
        }
    }

    /// Returns the unlock method that the file claims.
    pub(super) fn unlock(&self) -> &UnlockMethod {
        match self {
            Self::V1(file) => &file.unverified().unlock,
            Self::V2(file) => &file.unverified().unlock,
        }
    }

    /// Returns the content if `unlock_key` authenticates it, converted to the current format.
    pub(super) fn verified(self, unlock_key: &Secret<Vec<u8>>) -> Result<LocalKmsContent> {
        match self {
            Self::V1(file) => {
                let key = mac_key(file.unverified().id, unlock_key)?;
                // Converted in memory. The file is written in the new format by the next change, not by a
                // reader.
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
    // Bound to the id of the file: two files under one key file have two MAC keys.
    derive(unlock_key.expose(), Purpose::LocalKmsMac, &[file.as_bytes()], 32)
}

/// The format of the file; its versions are frozen.
const FORMAT: &str = "cipherform-local-kms/2";

impl LocalKmsContent {
    /// Returns the bytes of the file.
    pub(super) fn seal(&self, unlock_key: &Secret<Vec<u8>>) -> Result<Vec<u8>> {
        let key = mac_key(self.id, unlock_key)?;
        Ok(Authenticated::new(FORMAT, self, key.expose()).to_bytes())
    }
}
