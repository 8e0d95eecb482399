//! `integer`: whole numbers in a range, in integer columns or as text.

use std::num::{IntErrorKind, ParseIntError};
use std::sync::Arc;

use serde::Deserialize;

use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::ordinal::{OrdinalFormat, OrdinalText};
use crate::formats::ordinal_range::{OrdinalRange, Unit};
use crate::formats::parameters::parse_parameters;
use crate::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntegerParameters {
    min: IntegerBound,
    max: IntegerBound,
}

/// A number as TOML has it, up to 2^63 − 1, or in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum IntegerBound {
    Number(i64),
    Text(String),
}

impl IntegerBound {
    fn value(self) -> Result<i128> {
        match self {
            Self::Number(number) => Ok(number.into()),
            // TOML integers end at 2^63 − 1, but columns of 64 unsigned or 128 bits go beyond.
            Self::Text(text) => text
                .replace('_', "")
                .parse()
                .map_err(|error: ParseIntError| match error.kind() {
                    IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
                        Error::bad_policy("min and max lie between −2^127 and 2^127")
                    }
                    _ => Error::bad_policy("min and max are whole numbers, those beyond 2^63 in quotes"),
                }),
        }
    }
}

#[derive(Debug)]
struct Integer {
    min: i128,
    max: i128,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let IntegerParameters { min, max } = parse_parameters(table)?;
    let (min, max) = (min.value()?, max.value()?);
    let unit = Unit::Integer;
    let format = OrdinalFormat::try_new(Integer { min, max }, OrdinalRange { unit, min, max })?;
    Ok(Format::Ranked(Arc::new(format)))
}

impl OrdinalText for Integer {
    fn definition(&self) -> String {
        format!("integer/1 min={} max={}", self.min, self.max)
    }

    fn read(&self, value: &str) -> Result<i128, FormatError> {
        // Only the canonical text comes back the same: no plus sign, no leading zeros, no minus zero.
        let digits = value.strip_prefix('-').unwrap_or(value);
        let canonical = match digits.as_bytes() {
            // The lengths differ if there was a sign: "-0" would come back as "0".
            [b'0'] => digits.len() == value.len(),
            [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        if !canonical {
            return Err(FormatError::Malformed(
                "not a whole number in plain digits (no spaces, plus sign, leading zeros or decimal point)",
            ));
        }
        // All digits, so the only reason to fail is the size.
        value.parse().map_err(|_| FormatError::OutOfRange)
    }

    fn write(&self, count: i128, out: &mut String) {
        // Most are narrow, and those are written faster.
        match i64::try_from(count) {
            Ok(narrow) => out.push_str(&narrow.to_string()),
            Err(_) => out.push_str(&count.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::RankedFormat;

    fn ranked(table: toml::Table) -> Arc<dyn RankedFormat> {
        match parse(table) {
            Ok(Format::Ranked(format)) => format,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ranks_the_whole_of_i64_and_u64() {
        let all = ranked(toml::toml! { min = "-9_223_372_036_854_775_808"  max = "9_223_372_036_854_775_807" });
        assert_eq!(all.size(), 1 << 64);
        for (text, rank) in [
            ("-9223372036854775808", 0),
            ("0", 1 << 63),
            ("9223372036854775807", (1 << 64) - 1),
        ] {
            assert_eq!(all.rank(text), Ok(rank));
            let mut out = String::new();
            all.unrank(rank, text, &mut out);
            assert_eq!(out, text);
        }
        let unsigned = ranked(toml::toml! { min = 0  max = "18_446_744_073_709_551_615" });
        assert_eq!(unsigned.rank("18446744073709551615"), Ok((1 << 64) - 1));
        let error = |max: &str| {
            let table = toml::Table::from_iter([("min".to_owned(), 0.into()), ("max".to_owned(), max.into())]);
            parse(table).expect_err(max).to_string()
        };
        assert!(error("many").contains("whole numbers"));
        assert!(error(&"9".repeat(60)).contains("between −2^127 and 2^127"));
    }

    #[test]
    fn the_widest_range_is_ranked_at_both_ends() {
        let mut table = toml::Table::new();
        table.insert("min".into(), (i128::MIN + 1).to_string().into());
        table.insert("max".into(), i128::MAX.to_string().into());
        let widest = ranked(table.clone());
        for (count, rank) in [(i128::MIN + 1, 0), (0, (1 << 127) - 1), (i128::MAX, u128::MAX - 1)] {
            assert_eq!(widest.rank(&count.to_string()), Ok(rank));
            let mut out = String::new();
            widest.unrank(rank, "", &mut out);
            assert_eq!(out, count.to_string());
        }
        table.insert("min".into(), i128::MIN.to_string().into());
        assert!(parse(table).is_err());
    }

    #[test]
    fn only_canonical_text_in_range() {
        let range = ranked(toml::toml! { min = -5  max = 1_000 });
        for text in ["", "-", "+1", "01", "-0", "1.0", " 1", "1 ", "١", "1e2"] {
            assert!(matches!(range.rank(text), Err(FormatError::Malformed(_))), "{text}");
        }
        for text in ["-6", "1001", "99999999999999999999", &"9".repeat(99)] {
            assert_eq!(range.rank(text), Err(FormatError::OutOfRange));
        }
        assert_eq!(range.rank("-5"), Ok(0));
        assert_eq!(range.rank("0"), Ok(5));
    }

    #[test]
    fn an_empty_range_is_refused() {
        assert!(parse(toml::toml! { min = 5  max = 5 }).is_err());
    }
}
