//! Reasons of changes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Remedy, Result};

/// The reason of a change, as its actor wrote it. It is stored in the keyring and the audit log, so it must hold no
/// secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

impl Reason {
    // Keeps an entry of the audit log far below the 64 KiB at the end of the file in which the log looks
    // for its last entry: a longer one could not be found, and nothing could be appended any more.
    const LONGEST: usize = 500;

    /// Returns the reason as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // Control characters are refused because reasons are printed: an escape sequence could rewrite
        // what a terminal shows of a history, and a line feed could look like another entry.
        let text = text.trim();
        let problem = if text.is_empty() {
            "is empty".to_owned()
        } else if text.chars().count() > Self::LONGEST {
            format!("has more than {} characters", Self::LONGEST)
        } else if text.chars().any(char::is_control) {
            "has control characters".to_owned()
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(Error::bad_input(format!("the reason {problem}")).with_hint(Remedy::GiveReason))
    }
}

impl TryFrom<String> for Reason {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said() {
        assert_eq!(" moved on ".parse::<Reason>().unwrap().as_str(), "moved on");
        for bad in ["", "  ", "a\nb", &"x".repeat(501)] {
            assert!(bad.parse::<Reason>().is_err());
        }
    }
}
