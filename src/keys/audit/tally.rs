//! Tallies of the values that the audit log reports for one version.

use crate::keys::ids::KeyVersionId;
use crate::keys::key_ref::KeyName;

/// The values of one version that the log reports as protected or set aside.
#[derive(Debug)]
pub(crate) struct UsageTally {
    pub(super) key: KeyName,
    pub(super) version: KeyVersionId,
    pub(super) offset: u64,
    pub(super) entries: u64,
    /// MAC of the last entry; none before the first.
    pub(super) mac: Option<Vec<u8>>,
    pub(super) values: u64,
    pub(super) since: u64,
    pub(super) limit: Option<u64>,
}

impl UsageTally {
    /// Starts a tally for a key whose limit was set with generation `since` of the keyring.
    pub(crate) fn new(key: KeyName, version: KeyVersionId, since: u64) -> Self {
        Self {
            key,
            version,
            since,
            // Everything is counted from the first entry on, since values were protected before the limit
            // was set, too.
            offset: 0,
            entries: 0,
            mac: None,
            values: 0,
            limit: None,
        }
    }

    /// Returns the number of values that are protected, or set aside by any process.
    pub(crate) fn values(&self) -> u64 {
        self.values
    }

    /// Returns the latest limit of the key, if this log has the entry of `since`.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }
}
