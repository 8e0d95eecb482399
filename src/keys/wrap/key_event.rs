//! What is asked of a KMS, told to whoever keeps the record.

use std::fmt;
use std::time::Duration;

use super::wrap_context::WrapContext;
use crate::keys::key_ref::KmsKeyRef;
use crate::keys::timestamp::Timestamp;
use crate::{ErrorKind, Result};

/// Hears of every key that is made, wrapped or fetched: see [`KmsRegistry::with_audit`](crate::keys::KmsRegistry::with_audit).
///
/// It is told after the KMS has answered, or not, and before the caller gets the key. What it does is waited for.
pub trait KeyAudit: fmt::Debug + Send + Sync {
    /// One question to a KMS. An event holds no key, wrapped or not.
    fn record(&self, event: &KeyEvent);
}

/// One question to a KMS, and how it ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyEvent {
    /// When it was asked.
    pub time: Timestamp,
    /// What for.
    pub action: KeyAction,
    /// Which KMS key.
    pub kms_key: KmsKeyRef,
    /// Which data key of which keyring; a data key of zeros is the keyring's root.
    pub context: WrapContext,
    /// Whether it was granted.
    pub outcome: Result<(), ErrorKind>,
    /// How long the KMS took, repetitions included.
    pub took: Duration,
}

/// What a KMS is asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyAction {
    /// To make a data key.
    Generate,
    /// To wrap one.
    Wrap,
    /// To unwrap one.
    Unwrap,
}

impl fmt::Display for KeyAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generate => "generate",
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
        })
    }
}
