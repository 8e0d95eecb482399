//! Events of requests to a KMS, for whoever records them.

use std::fmt;
use std::time::Duration;

use super::wrap_context::WrapContext;
use crate::keys::key_ref::KmsKeyRef;
use crate::keys::timestamp::Timestamp;
use crate::{ErrorKind, Result};

/// An observer of every key that is generated, wrapped or unwrapped: see
/// [`KmsRegistry::with_audit`](crate::keys::KmsRegistry::with_audit).
///
/// It is called after the response of the KMS, or its failure, and before the caller gets the key, which waits for it.
pub trait KeyAudit: fmt::Debug + Send + Sync {
    /// Records one request. An event holds no key, wrapped or not.
    fn record(&self, event: &KeyEvent);
}

/// One request to a KMS, with its outcome.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyEvent {
    /// Time of the request.
    pub time: Timestamp,
    /// Action that was requested.
    pub action: KeyAction,
    /// KMS key.
    pub kms_key: KmsKeyRef,
    /// Context of the data key; a data key id of zeros is the root key of the keyring.
    pub context: WrapContext,
    /// Outcome.
    pub outcome: Result<(), ErrorKind>,
    /// Duration of the request, retries included.
    pub took: Duration,
}

/// The action of a request to a KMS.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyAction {
    /// Generate a data key.
    Generate,
    /// Wrap a data key.
    Wrap,
    /// Unwrap a data key.
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
