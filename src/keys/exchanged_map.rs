//! The map that an exchanged key is for.

use serde::{Deserialize, Serialize};

/// The one map that an exchanged key is for: a rule without its key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangedMap {
    /// Domain that the subkey is bound to.
    pub domain: String,
    /// SHA-256 over treatment and format, in hexadecimal.
    pub fingerprint: String,
    /// Format, for people; the fingerprint decides.
    pub format: String,
    /// Definition of the tweak.
    pub tweak: String,
    /// Check value of the sender's columns, in hexadecimal.
    pub check: String,
}
