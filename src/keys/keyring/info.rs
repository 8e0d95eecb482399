//! Information about keys and their versions.

use serde::{Deserialize, Serialize};

use crate::keys::exchanged_map::ExchangedMap;
use crate::keys::ids::{DataKeyId, KeyVersionId};
use crate::keys::key_ref::{KeyName, KmsKeyRef};
use crate::keys::key_use::KeyUse;
use crate::keys::reason::Reason;
use crate::keys::state::KeyState;
use crate::keys::timestamp::Timestamp;
use crate::{Error, Result};

/// Information about a key of a keyring: no key bytes, not even wrapped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Name.
    pub name: KeyName,
    /// Id, which stays when the name changes.
    pub id: DataKeyId,
    /// Use of the key.
    #[serde(rename = "use")]
    pub key_use: KeyUse,
    /// Time of creation.
    pub created: Timestamp,
    /// KMS key that wraps it.
    pub kms_key: KmsKeyRef,
    /// Periods in which versions may be used.
    pub periods: Periods,
    /// Limit on the values that one version may protect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_limit: Option<u64>,
    /// Versions, oldest first.
    pub versions: Vec<VersionInfo>,
}

/// Information about a version of a key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VersionInfo {
    /// Number, from 1 on.
    pub number: u32,
    /// Id, which protected data names.
    pub id: KeyVersionId,
    /// State.
    pub state: KeyState,
    /// Time of creation.
    pub created: Timestamp,
    /// Time of activation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated: Option<Timestamp>,
    /// End of the originator-usage period: the version protects until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protects_until: Option<Timestamp>,
    /// End of the recipient-usage period: the version reveals until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveals_until: Option<Timestamp>,
    /// Changes of state, oldest first.
    pub history: Vec<StateChange>,
    /// For a key from a partner: the one map it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_for: Option<ExchangedMap>,
    /// For a key from a partner: the public key of the sender (Ed25519), in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

/// Periods in which the versions of a key may be used, from their activation on: SP 800-57 Part 1, section 5.3.
///
/// Time alone changes nothing in a keyring: a version past a period is refused, and serves again once the period is
/// made longer, or a wrong clock is set right.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Periods {
    /// Days in which a version protects.
    pub originator_days: u32,
    /// Days in which a version reveals; not fewer.
    pub recipient_days: u32,
}

impl Default for Periods {
    /// Returns the periods of a symmetric data-encryption key in table 1 of SP 800-57 Part 1: two years, and three more
    /// to reveal what was protected in them.
    fn default() -> Self {
        Self {
            originator_days: 2 * 365,
            recipient_days: 5 * 365,
        }
    }
}

impl Periods {
    /// A hundred years, in days.
    const LONGEST: u32 = 36_500;

    /// Makes periods of these days.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::BadInput`] if one is 0 or more than a hundred years, or the recipient's is the shorter one.
    pub fn try_new(originator_days: u32, recipient_days: u32) -> Result<Self> {
        // The bound keeps the sums of times far from overflow.
        let range = 1..=Self::LONGEST;
        if !range.contains(&originator_days) || !range.contains(&recipient_days) {
            return Err(Error::bad_input(format!("a period is 1 to {} days", Self::LONGEST)));
        }
        if recipient_days < originator_days {
            return Err(
                Error::bad_input("the recipient-usage period is shorter than the originator-usage period")
                    .with_hint("what a version protects on its last day must be revealed later"),
            );
        }
        Ok(Self {
            originator_days,
            recipient_days,
        })
    }
}

/// A change of a version's state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StateChange {
    /// Time of the change.
    pub time: Timestamp,
    /// State before.
    pub from: KeyState,
    /// State after.
    pub to: KeyState,
    /// Actor, as the process said.
    pub who: String,
    /// Reason.
    pub reason: Reason,
}
