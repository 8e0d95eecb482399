//! Map.

use serde::{Deserialize, Serialize};

/// The one map that a key is for: what a rule is, beside its key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangedMap {
    /// What the subkey is bound to.
    pub domain: String,
    /// SHA-256 over treatment and format, in hexadecimal.
    pub fingerprint: String,
    /// The format, for people: the fingerprint counts.
    pub format: String,
    /// The tweak's definition.
    pub tweak: String,
    /// The check value of the sender's columns, in hexadecimal.
    pub check: String,
}
