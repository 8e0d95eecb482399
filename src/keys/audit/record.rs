//! A keyring's record of its audit log.

use serde::{Deserialize, Serialize};

use crate::keys::encoding::Base64;

/// The end of an audit log at the last change of its keyring, as the keyring notes it. A log that does not go on from
/// there was cut, exchanged or removed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogRecord {
    /// Number of entries.
    pub(crate) entries: u64,
    /// Length of the file, in bytes.
    pub(crate) bytes: u64,
    /// MAC of the last entry. It depends on all entries before, so it tells this log from every other.
    pub(crate) mac: Base64,
    /// Parts under former roots, oldest first; each begins with the first entry of the log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) closed: Vec<ClosedPart>,
}

/// The part of a log that was written before a root key was replaced.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClosedPart {
    /// Number of entries.
    pub(crate) entries: u64,
    /// Length in bytes.
    pub(crate) bytes: u64,
    /// SHA-256 of these bytes. The former root, which others may know, could write them anew with right MACs.
    pub(crate) sha256: Base64,
    /// Public key of the checkpoints that were signed under the former root.
    pub(crate) public_key: Base64,
}
