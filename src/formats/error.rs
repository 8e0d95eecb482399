//! Why a value does not fit its format.

use std::fmt;

/// Why a value does not fit. Names positions (from 1, in characters) and lengths, never the value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FormatError {
    /// The character at `position` is neither in the alphabet nor a separator.
    // The position and never the character: an error goes to logs, and one symbol at a known place is part of the
    // value.
    Character {
        /// From 1, in characters.
        position: usize,
    },
    /// There are `found` symbols where `expected` should be.
    Length {
        /// Symbols in the value, separators not counted.
        found: usize,
        /// The lengths that the format takes, in words: `13 to 19 digits`.
        expected: &'static str,
    },
    /// Fewer symbols than are to be kept.
    ShorterThanKept {
        /// Symbols in the value, separators not counted.
        found: usize,
        /// Symbols to keep.
        kept: usize,
    },
    /// Too few symbols are left to encrypt: an attacker could try them all.
    UnderFloor {
        /// Symbols left to encrypt.
        found: usize,
        /// The least there must be.
        least: usize,
    },
    /// Too few values have this value's shape: an attacker could try them all.
    SmallDomain {
        /// The number of values of the shape.
        values: u128,
        /// The least there must be.
        least: u128,
    },
    /// Longer than what is encrypted as one number.
    TooWide {
        /// The most bits.
        most: u64,
    },
    /// More symbols than the cipher takes.
    TooLong {
        /// Symbols to encrypt.
        found: usize,
        /// The most there may be.
        most: usize,
    },
    /// The tweak has a length that the cipher does not take.
    TweakLength {
        /// Bytes of the tweak.
        found: usize,
        /// Bytes that the cipher takes.
        takes: usize,
    },
    /// The check digit is not what the format says it should be.
    CheckDigit,
    /// Not a well-formed value, for the reason given.
    Malformed(&'static str),
    /// A well-formed number outside of the range.
    OutOfRange,
}

impl FormatError {
    /// The reason without what differs from value to value, so that values can be counted by it.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Character { .. } => "a character that is not in the alphabet",
            Self::Length { .. } => "another number of symbols than the format has",
            Self::ShorterThanKept { .. } => "no more symbols than are to be kept",
            Self::UnderFloor { .. } | Self::SmallDomain { .. } => "too short: so few values could all be tried",
            Self::TooWide { .. } | Self::TooLong { .. } => "too long",
            Self::TweakLength { .. } => "a tweak of another length",
            Self::CheckDigit => "a wrong check digit",
            Self::Malformed(what) => what,
            Self::OutOfRange => "outside of the range",
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character { position } => write!(f, "character {position} is not in the alphabet"),
            Self::Length { found, expected } => write!(f, "has {found} symbols, expected {expected}"),
            Self::ShorterThanKept { found, kept } => write!(f, "has {found} symbols, but {kept} are to be kept"),
            Self::UnderFloor { found, least } => write!(
                f,
                "leaves {found} symbols to encrypt, under the floor of {least}: so few values could all be tried"
            ),
            Self::SmallDomain { values, least } => write!(
                f,
                "leaves {} possible values, under the floor of {}: so few could all be tried",
                // Numbers of values are public: they follow from the format and the shape.
                digit_groups(*values),
                digit_groups(*least)
            ),
            Self::TooWide { most } => write!(f, "is longer than {most} bits can number"),
            Self::TooLong { found, most } => write!(f, "has {found} symbols to encrypt, the cipher takes {most}"),
            Self::TweakLength { found, takes } => {
                write!(f, "its tweak has {found} bytes, and the cipher takes {takes}")
            }
            Self::CheckDigit => f.write_str("the check digit is wrong"),
            Self::Malformed(what) => f.write_str(what),
            Self::OutOfRange => f.write_str("outside of the range"),
        }
    }
}

/// A number with its digits in groups of three: 1,000,000.
pub(crate) fn digit_groups(number: u128) -> String {
    let digits = number.to_string();
    let mut digit_groups = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        // Counted from the right: a comma stands where a multiple of three digits follows.
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            digit_groups.push(',');
        }
        digit_groups.push(digit);
    }
    digit_groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_000_000, "1,000,000")] {
            assert_eq!(digit_groups(number), text);
        }
    }
}
