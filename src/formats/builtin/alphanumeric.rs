//! `alphanumeric`: ASCII letters and digits, with punctuation where it stands.
//!
//! The symbols are digits, then upper case, then lower case, so that radix 36 is the usual digits-then-letters.

use serde::Deserialize;

use crate::Result;
use crate::formats::alphabet::Alphabet;
use crate::formats::format::Format;
use crate::formats::layout::Layout;
use crate::formats::output;
use crate::formats::parameters::parse_parameters;

/// The letters of the alphabet.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Case {
    /// Upper and lower case: radix 62.
    #[default]
    Mixed,
    /// Upper case only: radix 36.
    Upper,
    /// Lower case only: radix 36.
    Lower,
}

impl Case {
    pub(super) fn alphabet(self) -> Result<Alphabet> {
        // The order is frozen: it says which numeral a symbol is, and other FF1 software has to use the same.
        Alphabet::try_new(match self {
            Self::Mixed => "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            Self::Upper => "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Self::Lower => "0123456789abcdefghijklmnopqrstuvwxyz",
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Upper => "upper",
            Self::Lower => "lower",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alphanumeric {
    #[serde(default)]
    case: Case,
    #[serde(default)]
    keep: [u8; 2],
    separators: Option<String>,
    output: Option<String>,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let parameters: Alphanumeric = parse_parameters(table)?;
    let layout = Layout::try_new(
        "alphanumeric/1",
        parameters.case.alphabet()?,
        parameters.separators.as_deref(),
        parameters.keep.into(),
    )?;
    output::format(layout, parameters.output.as_deref())
}
