//! Info.

use serde::{Deserialize, Serialize};

use crate::keys::exchanged_map::ExchangedMap;
use crate::keys::ids::{DataKeyId, KeyVersionId};
use crate::keys::key_ref::{KeyName, KmsKeyRef};
use crate::keys::key_use::KeyUse;
use crate::keys::reason::Reason;
use crate::keys::state::KeyState;
use crate::keys::timestamp::Timestamp;
use crate::{Error, Result};

/// What a keyring tells about a key: no key bytes, not even wrapped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Its name.
    pub name: KeyName,
    /// Its identity, whatever its name.
    pub id: DataKeyId,
    /// What it may do.
    #[serde(rename = "use")]
    pub key_use: KeyUse,
    /// When it was made.
    pub created: Timestamp,
    /// The KMS key that guards it.
    pub kms_key: KmsKeyRef,
    /// How long its versions may be used.
    pub periods: Periods,
    /// How many values may be protected with one version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_limit: Option<u64>,
    /// Its versions, oldest first.
    pub versions: Vec<VersionInfo>,
}

/// What a keyring tells about a version of a key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VersionInfo {
    /// Its number, from 1 on.
    pub number: u32,
    /// Its identity: what protected data remembers.
    pub id: KeyVersionId,
    /// Where it stands in its life.
    pub state: KeyState,
    /// When it was made.
    pub created: Timestamp,
    /// When it came into use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated: Option<Timestamp>,
    /// When it stops to protect: the end of its originator-usage period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protects_until: Option<Timestamp>,
    /// When it stops to reveal: the end of its recipient-usage period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveals_until: Option<Timestamp>,
    /// The states it went through, oldest first.
    pub history: Vec<StateChange>,
    /// Of a key that came from a partner: the one map it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_for: Option<ExchangedMap>,
    /// And who sent it: the public key that signed it (Ed25519), in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

/// How long the versions of a key may be used, from their activation on: SP 800-57 Part 1, section 5.3.
///
/// Time alone changes nothing in a keyring: a version past a period is refused, and serves again once the period is made longer, or a wrong clock is set right.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Periods {
    /// For how many days a version protects.
    pub originator_days: u32,
    /// For how many days it reveals; not less.
    pub recipient_days: u32,
}

impl Default for Periods {
    /// What table 1 of SP 800-57 Part 1 gives a symmetric data-encryption key: two years, and three more to process what was protected in them.
    fn default() -> Self {
        Self {
            originator_days: 2 * 365,
            recipient_days: 5 * 365,
        }
    }
}

impl Periods {
    /// A hundred years.
    const LONGEST: u32 = 36_500;

    /// Periods of so many days.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::BadInput`] if one is 0 or more than a hundred years, or the recipient's is the shorter one.
    pub fn try_new(originator_days: u32, recipient_days: u32) -> Result<Self> {
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

/// A version went over to another state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StateChange {
    /// When.
    pub time: Timestamp,
    /// From which state.
    pub from: KeyState,
    /// To which.
    pub to: KeyState,
    /// Who did it, as the process said.
    pub who: String,
    /// Why.
    pub reason: Reason,
}
