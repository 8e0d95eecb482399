//! Tally.

use crate::keys::ids::KeyVersionId;
use crate::keys::key_ref::KeyName;

/// What the log tells of the values of one version: how many are protected, or set aside.
#[derive(Debug)]
pub(crate) struct UsageTally {
    pub(super) key: KeyName,
    pub(super) version: KeyVersionId,
    pub(super) offset: u64,
    pub(super) entries: u64,
    /// That of the last entry.
    pub(super) mac: Option<Vec<u8>>,
    pub(super) values: u64,
    pub(super) since: u64,
    pub(super) limit: Option<u64>,
}

impl UsageTally {
    /// Nothing is read yet. The key got its limit with the keyring's generation `since`.
    pub(crate) fn new(key: KeyName, version: KeyVersionId, since: u64) -> Self {
        Self {
            key,
            version,
            since,
            offset: 0,
            entries: 0,
            mac: None,
            values: 0,
            limit: None,
        }
    }

    /// So many are protected, or set aside by any process.
    pub(crate) fn values(&self) -> u64 {
        self.values
    }

    /// The limit that the key got last, if this log has the entry of `since`.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }
}
