//! Who used which key, when and what for: a log that tells when somebody changed it.
//!
//! A line of the file is one entry, each bound to the one before:
//!
//! ```text
//! { "entry": { … }, "mac": "base64" }
//! mac(0) = HMAC-SHA-256(key, LP("cipherform audit start v1", keyring id))
//! mac(n) = HMAC-SHA-256(key, LP("cipherform audit entry v1", mac(n − 1), entry n as JSON without spaces))
//! ```
//!
//! The key is derived from the keyring's root, so whoever may use the keyring can write entries, and could write the
//! file anew. Against that, and against cutting off its end, a [`Checkpoint`] helps: number and MAC of the last
//! entry, signed, and kept where the users of the keyring cannot write. The keyring itself notes the end of its log at
//! each change, so that a log that was removed is missed.

mod chain;
mod checkpoint;
mod entry;
mod log;
mod record;
mod tally;

pub use chain::VerifiedLog;
pub use checkpoint::Checkpoint;
#[cfg(feature = "sql")]
pub(crate) use entry::QueryRecord;
pub use entry::{AuditEntry, AuditEvent};
pub use log::AuditLog;
pub(crate) use record::LogRecord;
pub(crate) use tally::UsageTally;
