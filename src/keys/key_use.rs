//! Uses of data keys, fixed when a key is created.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The one use of a data key.
///
/// Written `derive`, `direct-ff1-256`, `direct-ff3-1-legacy-128`, …: in the keyring, and in what wrapping is bound to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeyUse {
    /// 256 bits that subkeys are derived from: the default.
    Derive,
    /// The AES key of one mode itself, to exchange data with other software.
    Direct {
        /// The mode.
        mode: DirectMode,
        /// The length of the AES key.
        bits: KeyBits,
    },
}

impl KeyUse {
    // A closed list: the text is bound into the wrapping of each key, so a use has exactly one spelling.
    const ALL: [Self; 7] = [
        Self::Derive,
        Self::direct(DirectMode::Ff1, KeyBits::B128),
        Self::direct(DirectMode::Ff1, KeyBits::B192),
        Self::direct(DirectMode::Ff1, KeyBits::B256),
        Self::direct(DirectMode::Ff31Legacy, KeyBits::B128),
        Self::direct(DirectMode::Ff31Legacy, KeyBits::B192),
        Self::direct(DirectMode::Ff31Legacy, KeyBits::B256),
    ];

    const fn direct(mode: DirectMode, bits: KeyBits) -> Self {
        Self::Direct { mode, bits }
    }
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Derive => f.write_str("derive"),
            Self::Direct { mode, bits } => write!(f, "direct-{mode}-{}", 8 * bits.bytes()),
        }
    }
}

impl FromStr for KeyUse {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            // Compared with what would be written, so parsing and writing cannot drift apart.
            .find(|candidate| candidate.to_string() == text)
            .ok_or_else(|| {
                let all = Self::ALL.map(|candidate| candidate.to_string()).join(", ");
                Error::bad_input("unknown use of a key").with_hint(format!("the uses are {all}"))
            })
    }
}

impl From<KeyUse> for String {
    fn from(key_use: KeyUse) -> Self {
        key_use.to_string()
    }
}

impl TryFrom<String> for KeyUse {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// The mode that a direct key serves.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DirectMode {
    /// FF1 of SP 800-38G.
    Ff1,
    /// FF3-1, which NIST dropped.
    Ff31Legacy,
}

impl fmt::Display for DirectMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ff1 => "ff1",
            // The word stands in the text so that nobody chooses the mode without seeing it.
            Self::Ff31Legacy => "ff3-1-legacy",
        })
    }
}

/// The length of an AES key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyBits {
    /// AES-128.
    B128,
    /// AES-192.
    B192,
    /// AES-256.
    B256,
}

impl KeyBits {
    /// Returns the length in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::B128 => 16,
            Self::B192 => 24,
            Self::B256 => 32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for key_use in KeyUse::ALL {
            assert_eq!(key_use.to_string().parse::<KeyUse>().unwrap(), key_use);
        }
        assert_eq!(KeyUse::ALL[6].to_string(), "direct-ff3-1-legacy-256");
        assert!("direct".parse::<KeyUse>().is_err());
    }
}
