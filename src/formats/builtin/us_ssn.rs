//! `us-ssn`: United States social security numbers, as `AAA-GG-SSSS` or nine digits.
//!
//! Every output is one that could have been issued (SSA rules since 2011): area 001…899 without 666, group 01…99,
//! serial 0001…9999. That makes 898 × 99 × 9,999 = 888,931,098 values, ranked in that order.

use std::sync::Arc;

use serde::Deserialize;

use crate::Result;
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;
use crate::formats::ranked::RankedFormat;

// 001 to 899 without 666. Areas from 900 on are taxpayer numbers (ITIN), which are no social security numbers.
const AREAS: u128 = 898;
const GROUPS: u128 = 99;
const SERIALS: u128 = 9_999;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsSsn {}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    Ok(Format::Ranked(Arc::new(parse_parameters::<UsSsn>(table)?)))
}

impl RankedFormat for UsSsn {
    fn definition(&self) -> String {
        "us-ssn/1".to_owned()
    }

    fn size(&self) -> u128 {
        AREAS * GROUPS * SERIALS
    }

    fn rank(&self, value: &str) -> Result<u128, FormatError> {
        let (mut number, mut digits) = (0u128, 0);
        for (i, byte) in value.bytes().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    // Counted on, but not added up: the error names the length, and the number cannot overflow.
                    if digits <= 9 {
                        number = number * 10 + u128::from(byte - b'0');
                    }
                }
                // Between area, group and serial only. Both ends have the same places, since the result has nine
                // digits as well.
                b'-' | b' ' if digits == 3 || digits == 5 => {}
                // All bytes before this one are ASCII, so its index is also that of the character.
                _ => return Err(FormatError::Character { position: i + 1 }),
            }
        }
        if digits != 9 {
            return Err(FormatError::Length {
                found: digits,
                expected: "9 digits",
            });
        }
        let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
        if area == 0 || area == 666 || area > 899 || group == 0 || serial == 0 {
            return Err(FormatError::Malformed(
                "not a number that could be issued (area 001 to 899 without 666, group and serial not zero)",
            ));
        }
        // Areas above 666 move down by one, so that the ranks have no gap.
        let area = area - 1 - u128::from(area > 666);
        Ok((area * GROUPS + group - 1) * SERIALS + serial - 1)
    }

    fn unrank(&self, rank: u128, value: &str, out: &mut String) {
        let serial = rank % SERIALS + 1;
        let group = rank / SERIALS % GROUPS + 1;
        let area = rank / SERIALS / GROUPS + 1;
        // The reverse of the gap in `rank`: `area` counts from 1, and the 666th is 667.
        let area = area + u128::from(area >= 666);
        let digits = format!("{area:03}{group:02}{serial:04}");
        let mut digits = digits.chars();
        out.extend(value.chars().map(|symbol| match symbol {
            '0'..='9' => digits.next().unwrap_or(symbol),
            separator => separator,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_dense_and_in_order() {
        let edges = [
            ("001-01-0001", 0),
            ("001-01-9999", SERIALS - 1),
            ("001-02-0001", SERIALS),
            ("665-99-9999", 665 * GROUPS * SERIALS - 1),
            ("667-01-0001", 665 * GROUPS * SERIALS),
            ("899-99-9999", AREAS * GROUPS * SERIALS - 1),
        ];
        for (text, rank) in edges {
            assert_eq!(UsSsn {}.rank(text), Ok(rank), "{text}");
            let mut out = String::new();
            UsSsn {}.unrank(rank, text, &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn layouts_stay() {
        for text in ["123456789", "123-45-6789", "123 45 6789", "123-456789"] {
            let mut out = String::new();
            UsSsn {}.unrank(UsSsn {}.rank(text).expect("valid"), text, &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn numbers_never_issued_do_not_fit() {
        for text in [
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "123-00-4567",
            "123-45-0000",
        ] {
            assert!(matches!(UsSsn {}.rank(text), Err(FormatError::Malformed(_))), "{text}");
        }
        for text in [
            "12345678",
            "1234567890",
            "12-345-6789",
            "123-45-678x",
            "",
            "-123-45-6789",
        ] {
            assert!(UsSsn {}.rank(text).is_err(), "{text}");
        }
    }
}
