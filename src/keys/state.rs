//! States of a key version (SP 800-57 Part 1).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cipher::Direction;

/// The state of a key version: SP 800-57 Part 1 Revision 5, section 7.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyState {
    /// Made, not yet in use.
    PreActivation,
    /// In use.
    Active,
    /// Paused while something is looked into; may become active again.
    Suspended,
    /// Replaced: what it protected can still be revealed.
    Deactivated,
    /// Known, or suspected to be known, to others: reveal to protect anew.
    Compromised,
    /// Removed from this keyring; a copy of the keyring together with its KMS key still has it.
    Removed,
    /// Removed, and the KMS key that wrapped it no longer exists.
    Destroyed,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::PreActivation,
        Self::Active,
        Self::Suspended,
        Self::Deactivated,
        Self::Compromised,
        Self::Removed,
        Self::Destroyed,
    ];

    /// Checks whether a version in this state may be used in a direction: SP 800-57 Part 1, section 7.3.
    ///
    /// Only an active key applies protection. Suspended and compromised keys still process what they protected: to
    /// reveal with them is at the reader's own risk, and without it no data could be moved to a new key.
    pub const fn may(self, direction: Direction) -> bool {
        match direction {
            // Suspended is not enough to protect: the suspicion may prove right, and what was protected
            // meanwhile would have to be protected anew.
            Direction::Encrypt => matches!(self, Self::Active),
            Direction::Decrypt => matches!(
                self,
                Self::Active | Self::Suspended | Self::Deactivated | Self::Compromised
            ),
        }
    }

    /// Checks whether a version in this state may change to `next`: SP 800-57 Part 1, section 7, figure 3. *Removed*
    /// is an addition: it comes before *destroyed*, since copies of a file from which bytes are removed may exist.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            // A version that protected nothing may be removed at once; an active one must be deactivated
            // first, so that two decisions stand between a key in use and the loss of what it protects.
            Self::PreActivation => matches!(next, Self::Active | Self::Compromised | Self::Removed),
            Self::Active => matches!(next, Self::Suspended | Self::Deactivated | Self::Compromised),
            Self::Suspended => matches!(next, Self::Active | Self::Deactivated | Self::Compromised),
            // No way back to *active*: its period is over, or another version has taken its place.
            Self::Deactivated => matches!(next, Self::Compromised | Self::Removed),
            // A compromise is never taken back, not even by deactivation, since knowledge of a key cannot
            // be.
            Self::Compromised => matches!(next, Self::Removed),
            Self::Removed => matches!(next, Self::Destroyed),
            Self::Destroyed => false,
        }
    }

    /// Checks whether the keyring no longer has the key bytes.
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Removed | Self::Destroyed)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreActivation => "pre-activation",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
            Self::Compromised => "compromised",
            Self::Removed => "removed",
            Self::Destroyed => "destroyed",
        })
    }
}

/// The verb of a direction, in messages and in the audit log: `protect` or `reveal`.
pub(crate) const fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Encrypt => "protect",
        Direction::Decrypt => "reveal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_operation() {
        for (state, protect, reveal) in [
            (KeyState::PreActivation, false, false),
            (KeyState::Active, true, true),
            (KeyState::Suspended, false, true),
            (KeyState::Deactivated, false, true),
            (KeyState::Compromised, false, true),
            (KeyState::Removed, false, false),
            (KeyState::Destroyed, false, false),
        ] {
            assert_eq!(state.may(Direction::Encrypt), protect, "{state}");
            assert_eq!(state.may(Direction::Decrypt), reveal, "{state}");
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        }
    }

    /// SP 800-57 Part 1 Revision 5, section 7, figure 3 and its transitions 1 to 11, written out; with *removed* on
    /// the way to *destroyed*.
    #[test]
    fn every_transition() {
        use KeyState::*;
        let allowed = [
            (PreActivation, Active),
            (PreActivation, Compromised),
            (PreActivation, Removed),
            (Active, Suspended),
            (Active, Deactivated),
            (Active, Compromised),
            (Suspended, Active),
            (Suspended, Deactivated),
            (Suspended, Compromised),
            (Deactivated, Compromised),
            (Deactivated, Removed),
            (Compromised, Removed),
            (Removed, Destroyed),
        ];
        // All 49 pairs, so that a transition which SP 800-57 does not have cannot slip in unnoticed.
        for from in KeyState::ALL {
            for to in KeyState::ALL {
                assert_eq!(from.may_become(to), allowed.contains(&(from, to)), "{from} to {to}");
            }
        }
    }
}
