//! States of a key version, as SP 800-57 Part 1 has them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a key version stands in its life.
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
    /// Gone.
    Destroyed,
}

impl KeyState {
    /// Whether a version in this state may be used so: SP 800-57 Part 1, section 7.3.
    ///
    /// Only an active key applies protection. Suspended and compromised keys still process what they protected: to reveal with them is at the
    /// reader's own risk, and without it no data could be moved to a new key.
    pub const fn may(self, operation: Operation) -> bool {
        match operation {
            Operation::Protect => matches!(self, Self::Active),
            Operation::Reveal => !matches!(self, Self::PreActivation | Self::Destroyed),
        }
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
            Self::Destroyed => "destroyed",
        })
    }
}

/// What a key is asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// To protect new values.
    Protect,
    /// To reveal what is protected.
    Reveal,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protect => "protect",
            Self::Reveal => "reveal",
        })
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
            (KeyState::Destroyed, false, false),
        ] {
            assert_eq!(state.may(Operation::Protect), protect, "{state}");
            assert_eq!(state.may(Operation::Reveal), reveal, "{state}");
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        }
    }
}
