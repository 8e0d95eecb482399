//! The trait of key management services.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::wrap_context::WrapContext;
use crate::keys::key_ref::KmsKeyRef;
use crate::keys::random;
use crate::keys::timestamp::Timestamp;
use crate::{Result, Secret};

/// A key management service (KMS), or the part of one that a scheme of [`KmsKeyRef`] names.
///
/// # For implementers
///
/// - A KMS key never leaves its KMS; it wraps and unwraps data keys, which are 16 to 64 bytes.
/// - Every method may be called several times with the same arguments, from several tasks at once, and again after it
///   failed. None may change
///   anything in the KMS.
/// - Wrapping binds the [`WrapContext`]. With an AEAD its bytes are the associated data; a service with named pairs
///   takes the fields; a service with
///   neither wraps `key ‖ SHA-256(context bytes)` and compares in constant time after unwrapping.
/// - Retry inside what may be retried; an error that comes out is final for the caller.
/// - `Debug` prints no credential. Messages name the key and what to do, and hold no key bytes.
/// - `kms::conformance::check`, with the feature `kms-conformance`, must pass.
///
/// # Errors
///
/// | [`ErrorKind`](crate::ErrorKind) | when |
/// | --- | --- |
/// | `BadInput` | the reference, or the wrapped bytes, do not have the form this KMS writes |
/// | `KeyNotFound` | the KMS has no such key |
/// | `KeyNotUsable` | the key is disabled, waits for deletion, or is of the wrong kind |
/// | `NotAllowed` | the KMS refuses access: credentials, policy |
/// | `WrongKey` | authentication failed: other key, other context, changed bytes, wrong passphrase |
/// | `ProviderDown` | the KMS does not answer, is sealed, or keeps limiting the rate |
#[async_trait]
pub trait KmsClient: fmt::Debug + Send + Sync {
    /// Describes `key`. Success means that the key exists and can be reached, not that it may be used.
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo>;

    /// Generates a data key of `length` random bytes, in the clear and wrapped as by [`wrap`](Self::wrap). Each call
    /// makes another one.
    ///
    /// By default [`random`](Self::random), then [`wrap`](Self::wrap), for services without such a call.
    async fn generate_data_key(&self, key: &KmsKeyRef, length: usize, context: &WrapContext) -> Result<DataKey> {
        // If wrapping fails, the key is dropped, and so wiped: no copy of it was stored anywhere.
        let plaintext = self.random(length).await?;
        let wrapped = self.wrap(key, &plaintext, context).await?;
        Ok(DataKey { plaintext, wrapped })
    }

    /// Checks whether [`generate_data_key`](Self::generate_data_key) would be allowed, without generating a data key.
    /// `false` means that the service cannot say; a refusal is the error.
    ///
    /// By default `false`.
    async fn try_generate(&self, key: &KmsKeyRef, context: &WrapContext) -> Result<bool> {
        let _ = (key, context);
        // Not an error: many services have no such dry run.
        Ok(false)
    }

    /// Wraps `plaintext` under `key`, bound to `context`. Two calls need not give the same bytes.
    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>>;

    /// Unwraps what was wrapped under `key` for `context`. Anything else is refused with `WrongKey`, or with
    /// `BadInput` if it does not have the form of wrapped bytes.
    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>>;

    /// Returns `length` random bytes fit for keys.
    ///
    /// By default the operating system's.
    async fn random(&self, length: usize) -> Result<Secret<Vec<u8>>> {
        random::secret(length)
    }
}

/// A data key as a KMS generates it.
#[derive(Debug)]
pub struct DataKey {
    /// The key itself.
    pub plaintext: Secret<Vec<u8>>,
    /// The key wrapped, as it may be stored.
    pub wrapped: Vec<u8>,
}

/// The description of a KMS key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KmsKeyInfo {
    /// Scheme of the KMS: `local`, `aws-kms`, …
    pub manager: String,
    /// Id that the KMS gives the key.
    pub id: String,
    /// State.
    pub state: KmsKeyState,
    /// Time of creation, if the KMS says.
    pub created: Option<Timestamp>,
    /// Allowed use, in the words of the KMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Origin of the material, in the words of the KMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Rotation of the material, in the words of the KMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
    /// Task that is due soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
}

impl KmsKeyInfo {
    /// Describes the key `id` of `manager`, in `state`.
    pub fn new(manager: impl Into<String>, id: impl Into<String>, state: KmsKeyState) -> Self {
        Self {
            manager: manager.into(),
            id: id.into(),
            state,
            created: None,
            usage: None,
            origin: None,
            rotation: None,
            due: None,
        }
    }

    /// Adds a task that is due soon.
    #[must_use]
    pub fn with_due(mut self, due: impl Into<String>) -> Self {
        self.due = Some(due.into());
        self
    }

    /// Adds the time of creation.
    #[must_use]
    pub fn with_created(mut self, created: Timestamp) -> Self {
        self.created = Some(created);
        self
    }

    /// Adds the allowed use.
    #[must_use]
    pub fn with_usage(mut self, usage: impl Into<String>) -> Self {
        self.usage = Some(usage.into());
        self
    }

    /// Adds the origin of the material.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Adds the rotation.
    #[must_use]
    pub fn with_rotation(mut self, rotation: impl Into<String>) -> Self {
        self.rotation = Some(rotation.into());
        self
    }
}

/// The state of a KMS key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KmsKeyState {
    /// It wraps and unwraps.
    Enabled,
    /// Switched off; may be switched on again.
    Disabled,
    /// Will be deleted, unless that is cancelled.
    PendingDeletion,
    /// The material is missing: not yet imported, expired, or in a module that cannot be reached.
    Unavailable,
    /// The material is erased for ever.
    Destroyed,
}

impl fmt::Display for KmsKeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::PendingDeletion => "pending-deletion",
            Self::Unavailable => "unavailable",
            Self::Destroyed => "destroyed",
        })
    }
}
