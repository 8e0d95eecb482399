//! Entries of the audit log.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::cipher::Direction;
use crate::keys::ids::KeyVersionId;
use crate::keys::key_ref::KmsKeyRef;
use crate::keys::reason::Reason;
use crate::keys::timestamp::Timestamp;

/// One entry of the audit log: who did what with which key. It holds no value and no key, wrapped or not.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Number of the entry, from 1 on, without gaps.
    pub number: u64,
    /// Time of the entry, by the clock of the process that wrote it.
    pub time: Timestamp,
    /// Actor, as the process that wrote the entry says. The log authenticates the users of the keyring, but not one of
    /// them against another.
    pub who: String,
    /// Event.
    pub event: AuditEvent,
    /// Role of the policy, if the actor had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Data key, with the version if there is one: `pii@2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Id of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<KeyVersionId>,
    /// KMS key of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<KmsKeyRef>,
    /// Direction that the key was used for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "purpose")]
    pub purpose: Option<Direction>,
    /// Rule of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Job, such as `protect people.parquet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Number of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<u64>,
    /// Generation of the keyring that the change makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Reason of a refusal; absent if access was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Reason that the actor gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Protected columns that a statement read: `table.column`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Number of values that a statement revealed, by rule and version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revealed: BTreeMap<String, u64>,
}

/// A statement, as the audit log keeps it.
#[cfg(feature = "sql")]
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryRecord {
    /// The statement without its literals.
    pub(crate) statement: String,
    /// The protected columns that it read.
    pub(crate) columns: Vec<String>,
    /// Numbers of revealed values, by rule and version.
    pub(crate) revealed: BTreeMap<String, u64>,
    /// Why it came to no end; absent if it did.
    pub(crate) refused: Option<String>,
}

impl AuditEntry {
    /// Makes an entry; the log fills in number, time and actor.
    pub(crate) fn new(event: AuditEvent) -> Self {
        Self {
            number: 0,
            // Set when the entry is written, under the lock: entries prepared earlier would stand in the
            // log with times that go back.
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
            columns: Vec::new(),
            revealed: BTreeMap::new(),
        }
    }
}

impl AuditEntry {
    /// Makes the entry that says that the change which this one announced failed.
    pub(crate) fn failed(&self, error: &Error) -> Self {
        Self {
            key: self.key.clone(),
            version: self.version,
            kms_key: self.kms_key.clone(),
            rule: self.rule.clone(),
            context: Some(self.event.to_string()),
            generation: self.generation,
            // The kind alone: a message may name paths, or repeat what a provider said.
            refused: Some(error.kind().to_string()),
            ..Self::new(AuditEvent::Failed)
        }
    }

    /// Checks whether this entry says that the change which `announced` announced failed: the last such one before it.
    #[cfg(feature = "cli")]
    pub(crate) fn is_of(&self, announced: &Self) -> bool {
        // Not by number: between both entries other processes may have written theirs.
        let is_same_subject = self.key == announced.key
            && self.kms_key == announced.kms_key
            && self.rule == announced.rule
            && self.generation == announced.generation;
        self.context.as_deref() == Some(announced.event.to_string().as_str()) && is_same_subject
    }
}

/// The event of an entry.
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
    /// A version was handed out to protect or reveal under a rule, or refused.
    Access,
    /// A job has set aside values to protect with a version that has a limit.
    SetAside,
    /// A job has protected or revealed values.
    Use,
    /// A job has released values it had set aside: its use entries say how many it protected.
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
    /// The root of the keyring was replaced: the last entry under the former one.
    NewRoot,
    /// Another log took the place of one that was lost.
    Adopt,
    /// The key of one map was given to a partner.
    Export,
    /// A partner's key came in.
    Import,
    /// Material of a KMS key was imported, or import parameters were handed out.
    ImportMaterial,
    /// Imported material of a KMS key was erased.
    DeleteMaterial,
    /// A backup was made.
    Backup,
    /// The keyring came out of a backup.
    Restore,
    /// The policy of a KMS key, or of an identity, was set.
    Policy,
    /// The unlock method of the local KMS was changed.
    Unlock,
    /// Another name for a KMS key was made, moved or taken away.
    Alias,
    /// Tokens of a rule were deleted for ever.
    DeleteTokens,
    /// Tokens of a rule that had expired were emptied.
    ExpireTokens,
    /// Values of a token store were sealed under another key version.
    ResealTokens,
    /// Look-up hashes and tags of a token store were made anew.
    ReindexTokens,
    /// A change that an earlier entry announced failed.
    Failed,
    /// A statement was asked.
    Query,
    /// A change was written: the keyring is of this generation now.
    Written,
    /// An unfinished entry at the end was cut off: its writer had been interrupted.
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
            Self::NewRoot => "new-root",
            Self::Adopt => "adopt",
            Self::Export => "export",
            Self::Import => "import",
            Self::ImportMaterial => "import-material",
            Self::DeleteMaterial => "delete-material",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Policy => "policy",
            Self::Unlock => "unlock",
            Self::Alias => "alias",
            Self::DeleteTokens => "delete-tokens",
            Self::ExpireTokens => "expire-tokens",
            Self::ResealTokens => "reseal-tokens",
            Self::ReindexTokens => "reindex-tokens",
            Self::Failed => "failed",
            Self::Query => "query",
            Self::Written => "written",
            Self::Mended => "mended",
        })
    }
}

/// The log's spelling of a direction: `protect` or `reveal`.
mod purpose {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::cipher::Direction;
    use crate::keys::state::verb;

    pub(super) fn serialize<S: Serializer>(purpose: &Option<Direction>, to: S) -> Result<S::Ok, S::Error> {
        purpose.map(verb).serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Direction>, D::Error> {
        let Some(word) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        [Direction::Encrypt, Direction::Decrypt]
            .into_iter()
            .find(|direction| verb(*direction) == word)
            .map(Some)
            .ok_or_else(|| D::Error::unknown_variant(&word, &["protect", "reveal"]))
    }
}
