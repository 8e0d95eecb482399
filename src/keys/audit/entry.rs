//! What stands in the log.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::keys::ids::KeyVersionId;
use crate::keys::key_ref::KmsKeyRef;
use crate::keys::reason::Reason;
use crate::keys::state::Operation;
use crate::keys::timestamp::Timestamp;

/// One entry: who did what with which key. It holds no value and no key, wrapped or not.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditEntry {
    /// From 1 on, without gaps.
    pub number: u64,
    /// When, by the clock of whoever wrote it.
    pub time: Timestamp,
    /// Who, as the process that wrote it says: the log authenticates the keyring's users, not one of them against the other.
    pub who: String,
    /// What.
    pub event: AuditEvent,
    /// The role it was done in, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The data key, and its version if it is about one: `pii@2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The version's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<KeyVersionId>,
    /// The KMS key that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<KmsKeyRef>,
    /// What the key was used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Operation>,
    /// The rule of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Of which job, such as `protect people.parquet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// How many values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<u64>,
    /// The generation of the keyring that a change makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why it was refused; absent if it was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Why, as whoever did it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl AuditEntry {
    /// What the log itself fills in is empty.
    pub(crate) fn new(event: AuditEvent) -> Self {
        Self {
            number: 0,
            time: Timestamp::EPOCH,
            who: String::new(),
            event,
            role: None,
            key: None,
            version: None,
            kms_key: None,
            purpose: None,
            rule: None,
            context: None,
            values: None,
            generation: None,
            refused: None,
            reason: None,
        }
    }
}

impl AuditEntry {
    /// What this entry announces did not come about.
    pub(crate) fn failed(&self, error: &Error) -> Self {
        Self {
            key: self.key.clone(),
            version: self.version,
            kms_key: self.kms_key.clone(),
            context: Some(self.event.to_string()),
            generation: self.generation,
            refused: Some(error.kind().to_string()),
            ..Self::new(AuditEvent::Failed)
        }
    }

    /// Whether this says that `announced` did not come about; the last such entry before this is meant.
    #[cfg(feature = "cli")]
    pub(crate) fn is_of(&self, announced: &Self) -> bool {
        let subject = |entry: &Self| (entry.key.clone(), entry.kms_key.clone(), entry.generation);
        self.context.as_deref() == Some(announced.event.to_string().as_str()) && subject(self) == subject(announced)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuditEvent {
    /// A KMS made a data key.
    Generate,
    /// A KMS wrapped a data key.
    Wrap,
    /// A KMS unwrapped a data key.
    Unwrap,
    /// A version was given out to protect or reveal under a rule, or that was refused.
    Access,
    /// A job is going to protect so many values with a version that has a limit.
    SetAside,
    /// A job has protected or revealed values.
    Use,
    /// What a job had set aside is not any more: entries of its use tell what it protected.
    Released,
    /// A key was created.
    Create,
    /// A key got a new version.
    Rotate,
    /// A version went over to another state.
    State,
    /// The periods of a key were changed.
    Periods,
    /// The limit of values of a key was changed.
    Limit,
    /// Data keys went to another KMS key.
    Rewrap,
    /// The key of one map was given to a partner.
    Export,
    /// A partner's key came in.
    Import,
    /// KeyMaterial of a KMS key came in, or was to.
    ImportMaterial,
    /// Imported material of a KMS key was erased.
    DeleteMaterial,
    /// A backup was made.
    Backup,
    /// The keyring came out of a backup.
    Restore,
    /// The policy of a KMS key, or of an identity, was put.
    Policy,
    /// What unlocks the local KMS was changed.
    Unlock,
    /// Another name for a KMS key was made, moved or taken away.
    Alias,
    /// A change that an entry before announces did not come about.
    Failed,
    /// An unfinished entry at the end was cut off: whoever wrote it was interrupted.
    Mended,
}

impl fmt::Display for AuditEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generate => "generate",
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
            Self::Access => "access",
            Self::SetAside => "set-aside",
            Self::Use => "use",
            Self::Released => "released",
            Self::Create => "create",
            Self::Rotate => "rotate",
            Self::State => "state",
            Self::Periods => "periods",
            Self::Limit => "limit",
            Self::Rewrap => "rewrap",
            Self::Export => "export",
            Self::Import => "import",
            Self::ImportMaterial => "import-material",
            Self::DeleteMaterial => "delete-material",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Policy => "policy",
            Self::Unlock => "unlock",
            Self::Alias => "alias",
            Self::Failed => "failed",
            Self::Mended => "mended",
        })
    }
}
