//! Backups: a keyring, the local KMS that guards it and the policy in one authenticated file. Sealed parts stay sealed.
//!
//! ```text
//! { "format": "cipherform-backup/1",
//!   "content": { …, "keyring": base64, "local_kms": base64, "policy": text }, "mac": base64 }
//! MAC key = KBKDF(root key of the keyring, "cipherform backup mac v1", LP(keyring id), 32)
//! ```

use serde::{Deserialize, Serialize};

use crate::keys::encoding::Base64;
use crate::keys::ids::KeyringId;
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::{Authenticated, Purpose, derive};
use crate::{Result, Secret};

/// The format of the file; its versions are frozen.
pub(super) const FORMAT: &str = "cipherform-backup/1";

/// A backup, not necessarily authentic: see [`StagedBackup::verify`](super::restore::StagedBackup::verify).
pub struct Backup(Authenticated<BackupContent>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupContent {
    pub(super) time: Timestamp,
    who: String,
    pub(super) keyring_id: KeyringId,
    pub(super) keyring_generation: u64,
    /// Bytes of the keyring's file.
    pub(super) keyring: Base64,
    /// Bytes of the local KMS's file; absent where another KMS guards the keyring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) local_kms: Option<Base64>,
    policy: String,
}

/// The parts of a backup.
pub(crate) struct BackupParts {
    pub(crate) time: Timestamp,
    pub(crate) who: String,
    pub(crate) keyring_id: KeyringId,
    pub(crate) keyring_generation: u64,
    pub(crate) keyring: Vec<u8>,
    pub(crate) local_kms: Option<Vec<u8>>,
    pub(crate) policy: String,
}

impl Backup {
    pub(crate) fn new(parts: BackupParts, root: &Secret<Vec<u8>>) -> Result<Self> {
        let content = BackupContent {
            time: parts.time,
            who: parts.who,
            keyring_id: parts.keyring_id,
            keyring_generation: parts.keyring_generation,
            keyring: Base64(parts.keyring),
            local_kms: parts.local_kms.map(Base64),
            policy: parts.policy,
        };
        let key = mac_key(content.keyring_id, root)?;
        Ok(Self(Authenticated::new(FORMAT, content, key.expose())))
    }

    /// Reads the bytes of a backup.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        // The root that verifies it is inside, wrapped. So it can be read by anybody, and trusted only
        // after `verify`.
        let backup = Authenticated::parse(&[FORMAT], bytes).map(Self);
        backup.map_err(|error| error.or_hint("take another backup: this one was changed or cut off"))
    }

    /// Returns the bytes of the file: JSON, with a line feed at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Returns the time of the backup.
    pub fn time(&self) -> Timestamp {
        self.content().time
    }

    /// Returns the generation of the keyring in the backup.
    pub fn keyring_generation(&self) -> u64 {
        self.content().keyring_generation
    }

    /// Returns the text of the policy in the backup.
    pub fn policy(&self) -> &str {
        &self.content().policy
    }

    /// Checks whether the backup has a local KMS.
    pub fn has_local_kms(&self) -> bool {
        self.content().local_kms.is_some()
    }

    pub(super) fn content(&self) -> &BackupContent {
        self.0.unverified()
    }
}

pub(super) fn mac_key(keyring: KeyringId, root: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>> {
    // Keyring and KMS file have MACs of their own. This one binds them, and the policy, into one state:
    // parts of two backups cannot be combined, and the policy cannot be exchanged for one that grants
    // more.
    derive(root.expose(), Purpose::BackupMac, &[keyring.as_bytes()], 32)
}
