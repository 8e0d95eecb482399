//! `phone`: telephone numbers, international (E.164, `+44 20 7946 0958`) or national (`020 7946 0958`).
//!
//! The country code and leading zeros stay, and are the tweak; so does the layout. The first digit behind them stays
//! one from 1 to 9.

use std::sync::Arc;

use serde::Deserialize;

use crate::Result;
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;
use crate::formats::segmented::{SegmentedFormat, Segments};
use crate::formats::side::Side;

/// Digits of a number, with its country code (E.164, section 6.2.1: at most 15).
const LONGEST: usize = 15;

/// Separators between digits.
// With the no-break space, which typesetting puts into telephone numbers.
const SEPARATORS: &str = " -./()\u{a0}";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneParameters {
    #[serde(default)]
    plan: Plan,
}

/// The numbering plan.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Plan {
    /// Those of E.164: any digits, at most 15.
    #[default]
    E164,
    /// Those of North America: area code and exchange begin with 2 to 9 and do not end in 11, an area code's second
    /// digit is not 9.
    Nanp,
}

#[derive(Debug)]
struct Phone {
    plan: Plan,
    /// Area codes and exchanges of the plan.
    areas: Vec<u16>,
    exchanges: Vec<u16>,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let PhoneParameters { plan } = parse_parameters(table)?;
    // In ascending order, since `read` and `split` look codes up by binary search.
    let exchanges: Vec<u16> = (200..1_000).filter(|code| code % 100 != 11).collect();
    let areas = exchanges.iter().copied().filter(|code| code / 10 % 10 != 9).collect();
    Ok(Format::Segmented(Arc::new(Phone { plan, areas, exchanges })))
}

/// Returns the number of digits of the country code with which `digits` begin (ITU-T E.164, list of assigned codes: one
/// digit, two for those listed, else three).
// Prefix-free, so the digits alone tell where a code ends, before and after encryption.
fn country_code(digits: &[u8]) -> usize {
    match digits {
        [1 | 7, ..] => 1,
        [2, 0 | 7, ..]
        | [3, 0..=4 | 6 | 9, ..]
        | [4, 0 | 1 | 3..=9, ..]
        | [5, 1..=8, ..]
        | [6, 0..=6, ..]
        | [8, 1 | 2 | 4 | 6, ..]
        | [9, 0..=5 | 8, ..] => 2,
        _ => 3,
    }
}

/// A number taken apart.
struct Number {
    digits: Vec<u8>,
    /// The number of digits that are kept.
    kept: usize,
}

impl Phone {
    fn read(&self, value: &str) -> Result<Number, FormatError> {
        let mut digits = Vec::with_capacity(LONGEST);
        for (i, symbol) in value.chars().enumerate() {
            match symbol {
                '0'..='9' => digits.push(symbol as u8 - b'0'),
                // A plus sign elsewhere would be taken for layout, and the number for a national one.
                '+' if i == 0 => {}
                symbol if SEPARATORS.contains(symbol) => {}
                _ => return Err(FormatError::Character { position: i + 1 }),
            }
        }
        let international = value.starts_with('+');
        if digits.len() > LONGEST {
            return Err(FormatError::Length {
                found: digits.len(),
                expected: "at most 15 digits",
            });
        }
        // No country code begins with 0; a number that is only + has none either.
        if international && matches!(digits.first(), None | Some(0)) {
            return Err(FormatError::Malformed("no country code follows the +"));
        }
        // A value may be shorter than its code would be. Then all of it is kept, and the floor refuses it.
        let code = if international {
            country_code(&digits).min(digits.len())
        } else {
            0
        };
        let code = match self.plan {
            Plan::E164 => code,
            // A national number may be dialled with the 1 before it.
            // The 1 is the country code as well as the national prefix, and is kept in either role.
            Plan::Nanp if !international && digits.len() == 11 && digits[0] == 1 => 1,
            Plan::Nanp => code,
        };
        // Trunk prefixes are zeros. They stay, since a number without them is dialled another way.
        let zeros = digits[code..].iter().take_while(|digit| **digit == 0).count();
        let kept = code + if self.plan == Plan::E164 { zeros } else { 0 };
        if self.plan == Plan::Nanp {
            // Checked in this order, as `three` would go beyond the end of a number of fewer than ten digits.
            let known = digits.len() - kept == 10
                && (code == 0 || digits[..code] == [1])
                && self.areas.binary_search(&three(&digits[kept..])).is_ok()
                && self.exchanges.binary_search(&three(&digits[kept + 3..])).is_ok();
            if !known {
                return Err(FormatError::Malformed(
                    "not a number of the North American Numbering Plan",
                ));
            }
        }
        Ok(Number { digits, kept })
    }
}

/// The number that three digits spell.
fn three(digits: &[u8]) -> u16 {
    digits[..3]
        .iter()
        .fold(0, |number, digit| number * 10 + u16::from(*digit))
}

impl SegmentedFormat for Phone {
    fn definition(&self) -> String {
        match self.plan {
            Plan::E164 => "phone/1 plan=e164".to_owned(),
            Plan::Nanp => "phone/1 plan=nanp".to_owned(),
        }
    }

    fn split(&self, value: &str, _: Side, places: &mut Segments) -> Result<(), FormatError> {
        let Number { digits, kept } = self.read(value)?;
        let mut clear: Vec<u8> = digits[..kept].iter().map(|digit| b'0' + digit).collect();
        // The plus is part of what is kept: `+44…` and `44…` are different numbers, so they get different tweaks.
        if value.starts_with('+') {
            clear.insert(0, b'+');
        }
        // Separators are not in it: a number has one ciphertext, however it is written.
        places.keep(&clear);
        let mut rest = &digits[kept..];
        if self.plan == Plan::Nanp {
            for (codes, code) in [(&self.areas, three(rest)), (&self.exchanges, three(&rest[3..]))] {
                // `read` has looked it up.
                // Indices into the list of codes, not digits: so no result has a code that the plan does not give.
                places.push(
                    codes.binary_search(&code).unwrap_or_default() as u64,
                    codes.len() as u64,
                );
            }
            rest = &rest[6..];
        } else if let [first, others @ ..] = rest {
            // The first digit is 1 to 9 on both sides. So the number of kept zeros is the same when the result is
            // read again.
            places.push(u64::from(*first - 1), 9); // no zero is left in front
            rest = others;
        }
        for digit in rest {
            // N is 9 · 10^k for k + 1 digits: each bit length is one number of digits, so no shape goes into the
            // tweak.
            places.push(u64::from(*digit), 10);
        }
        Ok(())
    }

    fn join(&self, value: &str, digits: &[u64], _: Side, out: &mut String) {
        // `value` was read before.
        let Ok(Number { digits: mut all, kept }) = self.read(value) else {
            return;
        };
        let mut at = kept;
        for (i, digit) in digits.iter().enumerate() {
            match (self.plan, i) {
                // The first two digits of the mixed number are codes of three digits each.
                (Plan::Nanp, 0 | 1) => {
                    let codes = if i == 0 { &self.areas } else { &self.exchanges };
                    let code = codes[*digit as usize];
                    for (place, power) in [100, 10, 1].into_iter().enumerate() {
                        all[at + place] = (code / power % 10) as u8;
                    }
                    at += 3;
                }
                (Plan::E164, 0) => {
                    all[at] = *digit as u8 + 1;
                    at += 1;
                }
                _ => {
                    all[at] = *digit as u8; // below 10
                    at += 1;
                }
            }
        }
        let mut all = all.into_iter();
        out.extend(value.chars().map(|symbol| match symbol {
            '0'..='9' => all.next().map_or(symbol, |digit| char::from(b'0' + digit)),
            separator => separator,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    #[test]
    fn country_codes_and_zeros_stay() {
        let format = parse(toml::Table::new()).expect("defaults");
        for (value, other) in [
            ("+44 20 7946 0958", "+44 89 2053 9041"),
            ("+1 (212) 555-0100", "+1 (887) 444-9899"),
            ("+353 1 234 5678", "+353 9 765 4321"),
            ("+39 06 1234 5678", "+39 04 8765 4321"),
            ("020 7946 0958", "089 2053 9041"),
        ] {
            assert_eq!(there_and_back(&format, value), other, "{value}");
        }
        let Format::Segmented(phone) = format else {
            unreachable!()
        };
        for value in [
            "+",
            "+0 123",
            "12a4567",
            "1234567+",
            "+1234567890123456",
            "１２３４５６７",
        ] {
            assert!(
                phone.split(value, Side::Plain, &mut Segments::default()).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn codes_have_the_length_that_the_itu_gave_them() {
        for (number, length) in [
            ("1212", 1),
            ("7495", 1),
            ("20", 2),
            ("27", 2),
            ("211", 3),
            ("297", 3),
            ("33", 2),
            ("351", 3),
            ("385", 3),
            ("39", 2),
            ("420", 3),
            ("44", 2),
            ("49", 2),
            ("500", 3),
            ("52", 2),
            ("599", 3),
            ("61", 2),
            ("670", 3),
            ("81", 2),
            ("84", 2),
            ("852", 3),
            ("86", 2),
            ("886", 3),
            ("91", 2),
            ("961", 3),
            ("98", 2),
            ("998", 3),
        ] {
            let digits: Vec<u8> = number.bytes().map(|byte| byte - b'0').collect();
            assert_eq!(country_code(&digits), length, "{number}");
        }
    }

    #[test]
    fn north_american_numbers_stay_such() {
        let format = parse(toml::toml! { plan = "nanp" }).expect("nanp");
        for value in ["(212) 555-0100", "1-800-234-5678", "+1 212 555 0100", "9892345678"] {
            let made = there_and_back(&format, value);
            let Format::Segmented(phone) = &format else {
                unreachable!()
            };
            phone
                .split(&made, Side::Plain, &mut Segments::default())
                .expect("a number");
        }
        let Format::Segmented(phone) = format else {
            unreachable!()
        };
        for value in [
            "112 555 0100",
            "212 155 0100",
            "911 555 0100",
            "212 411 0100",
            "292 555 010",
            "192 555 0100",
            "+44 212 555 0100",
        ] {
            assert!(
                phone.split(value, Side::Plain, &mut Segments::default()).is_err(),
                "{value}"
            );
        }
    }
}
