//! `pan`: payment card numbers (ISO/IEC 7812), 13 to 19 digits.
//!
//! Spaces, hyphens and dots stay where they are. By default the last four digits are kept. With `check_digit =
//! "valid"` (the default) every input must pass Luhn and every output does; with `"invalid"` every output fails it by
//! exactly one, so that a protected card can never be charged; with `"off"` the last digit is a digit like any other.
//!
//! The check digit carries no information of its own. So one free digit, the last one not kept, is left out of the
//! encryption and set afterwards to what makes the sum right: the effective domain has one digit fewer than those not
//! kept.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::Deserialize;

use crate::ascii::{Symbols, luhn};
use crate::formats::ascii_layout::AsciiLayout;
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::layout::{Keep, keep_ends};
use crate::formats::parameters::parse_parameters;
use crate::formats::side::Side;
use crate::formats::string::{Parts, StringFormat};
use crate::{Error, Result};

/// Digits of a card number.
// ISO/IEC 7812-1 ends at 19 digits; payment cards have 13 and more.
const LENGTHS: RangeInclusive<usize> = 13..=19;

/// The length that a rule is judged by before any data is read.
// 13 digits are rare: judged by those, keeping 6 and 4 would be refused for all, though few rows are concerned.
const USUAL_LENGTH: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PanParameters {
    #[serde(default = "last_four")]
    keep: [u8; 2],
    #[serde(default)]
    check_digit: CheckDigit,
}

fn last_four() -> [u8; 2] {
    // PCI DSS allows first six and last four on display. Keeping both leaves 10^5 valid numbers, under the floor.
    [0, 4]
}

/// The check of the Luhn digit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum CheckDigit {
    #[default]
    Valid,
    Invalid,
    Off,
}

impl CheckDigit {
    /// The Luhn sum of texts on `side`.
    fn sum(self, side: Side) -> u16 {
        match (self, side) {
            // One fixed residue, not just any but 0: reveal can then check it, so most damaged values are noticed.
            (Self::Invalid, Side::Protected) => 1,
            _ => 0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Off => "off",
        }
    }
}

#[derive(Debug)]
struct Pan {
    keep: Keep,
    check_digit: CheckDigit,
    digits: Symbols,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let PanParameters { keep, check_digit } = parse_parameters(table)?;
    let keep = Keep::from(keep);
    // At least one digit is left of the shortest number, which the check digit needs; the floor decides on the
    // rest.
    if keep.count() >= 13 {
        return Err(Error::bad_policy(format!(
            "keep = [{}, {}] leaves nothing of a 13-digit card to protect",
            keep.first, keep.last
        )));
    }
    Ok(Format::String(Arc::new(Pan::new(keep, check_digit))))
}

impl Pan {
    fn new(keep: Keep, check_digit: CheckDigit) -> Self {
        Self {
            keep,
            check_digit,
            digits: Symbols::digits(),
        }
    }

    /// The place that Luhn decides: the last one not kept.
    fn solved_place(&self, length: usize) -> usize {
        // `keep` is at most 12 and a value has 13 digits or more, so this does not go below zero.
        // It stands before the kept end, so kept digits never change, not even the last.
        length - self.keep.last - 1
    }
}

impl StringFormat for Pan {
    fn definition(&self) -> String {
        let Self { keep, check_digit, .. } = self;
        format!(
            "pan/1 keep={},{} check_digit={}",
            keep.first,
            keep.last,
            check_digit.name()
        )
    }

    fn radix(&self) -> u32 {
        10
    }

    fn is_symmetric(&self) -> bool {
        // With "invalid", a plain number that does not fit because its sum is 1 would be taken for a protected
        // one.
        self.check_digit != CheckDigit::Invalid
    }

    fn usual_numerals(&self) -> Option<usize> {
        // Luhn makes one digit depend on all others, so the effective domain has one digit fewer.
        let solved = usize::from(self.check_digit != CheckDigit::Off);
        Some(USUAL_LENGTH.saturating_sub(self.keep.count() + solved))
    }

    fn ascii_layout(&self) -> Option<AsciiLayout<'_>> {
        let checked = self.check_digit != CheckDigit::Off;
        Some(AsciiLayout {
            symbols: &self.digits,
            // Only what people put between the digits of a card: all punctuation would let free text through.
            separators: 1 << b' ' | 1 << b'-' | 1 << b'.',
            keep: [self.keep.first, self.keep.last],
            lengths: Some(LENGTHS),
            check: checked.then(|| [Side::Plain, Side::Protected].map(|side| self.check_digit.sum(side))),
        })
    }

    fn split(&self, value: &str, side: Side, parts: &mut Parts) -> Result<(), FormatError> {
        let start = parts.numerals.len();
        for (i, byte) in value.bytes().enumerate() {
            match byte {
                b'0'..=b'9' => parts.numerals.push(u16::from(byte - b'0')),
                b' ' | b'-' | b'.' => {}
                // Everything before it is ASCII, so the byte's position is the character's.
                _ => return Err(FormatError::Character { position: i + 1 }),
            }
        }
        let found = parts.numerals.len() - start;
        if !LENGTHS.contains(&found) {
            return Err(FormatError::Length {
                found,
                expected: "13 to 19 digits",
            });
        }
        if self.check_digit != CheckDigit::Off {
            // Before anything is encrypted: a number that is not valid could not be given back, since the digit is
            // solved anew.
            if luhn::sum(&parts.numerals[start..]) != self.check_digit.sum(side) {
                return Err(FormatError::CheckDigit);
            }
            // It follows from all others, so it is not encrypted but computed anew.
            parts.numerals.remove(start + self.solved_place(found));
            // What is left has one free numeral fewer, but the same kept ends.
        }
        keep_ends(start, self.keep, parts)
    }

    fn join(&self, value: &str, numerals: &[u16], side: Side, out: &mut String) {
        let mut digits: Vec<u16> = value
            // `split` has taken the value, so all bytes are ASCII.
            .bytes()
            .filter(u8::is_ascii_digit)
            .map(|byte| u16::from(byte - b'0'))
            .collect();
        // The free digits without the solved one stand together at the front of the free range.
        digits[self.keep.first..][..numerals.len()].copy_from_slice(numerals);
        if self.check_digit != CheckDigit::Off {
            let place = self.solved_place(digits.len());
            // Every place has exactly one digit that makes the sum right: doubling a digit and adding up the two
            // of the result is a permutation of 0 to 9.
            digits[place] = luhn::solve(&digits, place, self.check_digit.sum(side));
        }
        let mut digits = digits.into_iter();
        out.extend(value.chars().map(|symbol| match symbol {
            '0'..='9' => digits.next().map_or(symbol, |digit| char::from(b'0' + digit as u8)),
            separator => separator,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pan(keep: [u8; 2], check_digit: CheckDigit) -> Pan {
        Pan::new(keep.into(), check_digit)
    }

    fn digits(text: &str) -> Vec<u16> {
        text.bytes()
            .filter(u8::is_ascii_digit)
            .map(|b| u16::from(b - b'0'))
            .collect()
    }

    #[test]
    fn keeps_last_four_and_stays_valid() {
        let format = pan([0, 4], CheckDigit::Valid);
        let mut parts = Parts::default();
        format
            .split("4111-1111-1111-1111", Side::Plain, &mut parts)
            .expect("valid card");
        assert_eq!(parts.numerals, digits("41111111111"));
        assert_eq!(parts.kept[..4], [0, 0, 0, 0]);
        let mut out = String::new();
        format.join("4111-1111-1111-1111", &digits("98765432109"), Side::Protected, &mut out);
        assert_eq!(&out[..13], "9876-5432-109");
        assert!(out.ends_with("-1111"));
        assert_eq!(luhn::sum(&digits(&out)), 0);
    }

    #[test]
    fn every_variant_gives_its_own_value_back() {
        for keep in [[0, 4], [6, 4], [0, 0], [6, 0]] {
            for check in [CheckDigit::Valid, CheckDigit::Invalid, CheckDigit::Off] {
                let format = pan(keep, check);
                let value = "5500 0000.0000-0004";
                let (mut plain, mut protected) = (Parts::default(), Parts::default());
                format.split(value, Side::Plain, &mut plain).expect("fits");
                let other: Vec<u16> = plain.numerals.iter().map(|n| (n * 7 + 3) % 10).collect();
                let (mut out, mut back) = (String::new(), String::new());
                format.join(value, &other, Side::Protected, &mut out);
                format.split(&out, Side::Protected, &mut protected).expect("fits again");
                assert_eq!(protected.numerals, other);
                assert_eq!(protected.kept, plain.kept);
                format.join(&out, &plain.numerals, Side::Plain, &mut back);
                assert_eq!(back, value);
                let expected = if check == CheckDigit::Invalid { 1 } else { 0 };
                if check != CheckDigit::Off {
                    assert_eq!(luhn::sum(&digits(&out)), expected);
                }
            }
        }
    }

    #[test]
    fn misfits() {
        let format = pan([0, 4], CheckDigit::Valid);
        let split = |value| format.split(value, Side::Plain, &mut Parts::default());
        assert_eq!(split("4111111111111112"), Err(FormatError::CheckDigit));
        assert!(matches!(
            split("411111111111"),
            Err(FormatError::Length { found: 12, .. })
        ));
        assert!(matches!(
            split("41111111111111111111"),
            Err(FormatError::Length { found: 20, .. })
        ));
        assert_eq!(split("4111x11111111111"), Err(FormatError::Character { position: 5 }));
    }

    #[test]
    fn six_and_four_with_a_check_digit_leave_five_digits() {
        assert_eq!(pan([6, 4], CheckDigit::Valid).usual_numerals(), Some(5));
        assert_eq!(pan([6, 4], CheckDigit::Off).usual_numerals(), Some(6));
    }
}
