//! `integer`: whole numbers in a range, in integer columns or as text.

use std::sync::Arc;

use serde::Deserialize;

use super::{Format, Misfit, RankedFormat, parameters};
use crate::{Error, Result};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Integer {
    /// The smallest value, included.
    min: i64,
    /// The largest value, included.
    max: i64,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let integer: Integer = parameters(table)?;
    if integer.min >= integer.max {
        return Err(Error::bad_policy(format!(
            "min = {} is not below max = {}",
            integer.min, integer.max
        )));
    }
    Ok(Format::Ranked(Arc::new(integer)))
}

impl RankedFormat for Integer {
    fn definition(&self) -> String {
        format!("integer/1 min={} max={}", self.min, self.max)
    }

    fn size(&self) -> u128 {
        u128::from(self.max.abs_diff(self.min)) + 1
    }

    fn rank(&self, value: &str) -> Result<u128, Misfit> {
        // Only the canonical text comes back the same: no plus sign, no leading zeros, no minus zero.
        let digits = value.strip_prefix('-').unwrap_or(value);
        let canonical = match digits.as_bytes() {
            [b'0'] => digits.len() == value.len(),
            [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        if !canonical {
            return Err(Misfit::Malformed(
                "not a whole number in plain digits (no spaces, plus sign, leading zeros or decimal point)",
            ));
        }
        let number: i64 = value.parse().map_err(|_| Misfit::OutOfRange)?;
        if number < self.min || number > self.max {
            return Err(Misfit::OutOfRange);
        }
        Ok(number.abs_diff(self.min).into())
    }

    fn unrank(&self, rank: u128, _: &str, out: &mut String) {
        let number = i128::from(self.min) + rank as i128; // below 2^64 from i64::MIN
        out.push_str(&number.to_string());
    }

    fn integers(&self) -> Option<(i64, i64)> {
        Some((self.min, self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_the_whole_of_i64() {
        let all = Integer {
            min: i64::MIN,
            max: i64::MAX,
        };
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
    }

    #[test]
    fn only_canonical_text_in_range() {
        let range = Integer { min: -5, max: 1000 };
        for text in ["", "-", "+1", "01", "-0", "1.0", " 1", "1 ", "١", "1e2"] {
            assert!(matches!(range.rank(text), Err(Misfit::Malformed(_))), "{text}");
        }
        for text in ["-6", "1001", "99999999999999999999"] {
            assert_eq!(range.rank(text), Err(Misfit::OutOfRange));
        }
        assert_eq!(range.rank("-5"), Ok(0));
        assert_eq!(range.rank("0"), Ok(5));
    }

    #[test]
    fn an_empty_range_is_refused() {
        assert!(parse(toml::toml! { min = 5  max = 5 }).is_err());
    }
}
