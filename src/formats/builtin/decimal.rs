//! `decimal`: numbers with so many digits behind the point, in a range; in decimal columns or as text.

use std::fmt::Write as _;
use std::num::{IntErrorKind, ParseIntError};
use std::sync::Arc;

use serde::Deserialize;

use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::ordinal::{OrdinalFormat, OrdinalText};
use crate::formats::ordinal_range::{OrdinalRange, Unit};
use crate::formats::parameters::parse_parameters;
use crate::{Error, Result};

/// The most digits behind the point: those of a 128-bit decimal.
// Also what keeps 10^scale within 128 bits.
const DEEPEST: u8 = 38;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecimalParameters {
    min: DecimalBound,
    max: DecimalBound,
    scale: u8,
}

/// A whole number, or any number in quotes: a TOML float would not be exact.
#[derive(Deserialize)]
#[serde(untagged)]
enum DecimalBound {
    Whole(i64),
    Text(String),
    // Takes whatever is neither, so that a float is refused with a reason: serde's own error would not say why.
    Float(serde::de::IgnoredAny),
}

impl DecimalBound {
    fn value(self, scale: u8) -> Result<i128> {
        let text = match self {
            Self::Whole(number) => number.to_string(),
            // TOML allows underscores in numbers, so people write them in quoted ones as well.
            Self::Text(text) => text.replace('_', ""),
            Self::Float(_) => {
                return Err(
                    Error::bad_policy("min and max of a decimal are exact, a floating-point number is not")
                        .with_hint("write it in quotes: max = \"99999.99\""),
                );
            }
        };
        let bad = || {
            Error::bad_policy(format!(
                "min and max are numbers with at most {scale} digits behind the point"
            ))
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        // More digits behind the point than the scale are refused, never rounded: a bound has to be what the
        // policy says.
        let missing = usize::from(scale).checked_sub(fraction.len()).ok_or_else(bad)?;
        // Only digits may follow the point: put together, ".-5" would be read as the number -5.
        if text.ends_with('.') || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        // Both bounds are counted in units of the last digit, as the values are; integers keep every digit.
        let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
        digits.parse().map_err(|error: ParseIntError| match error.kind() {
            // Told apart from a typing error: the number is well-formed, and only too large for the unit.
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => Error::bad_policy(format!(
                "min and max lie between −2^127 and 2^127, counted in the last of {scale} digits behind the point: \
                 38 digits in all are always fine"
            )),
            _ => bad(),
        })
    }
}

#[derive(Debug)]
struct Decimal {
    min: i128,
    max: i128,
    scale: u8,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let DecimalParameters { min, max, scale } = parse_parameters(table)?;
    if scale > DEEPEST {
        return Err(Error::bad_policy(format!(
            "scale = {scale}: a decimal has at most {DEEPEST} digits behind the point"
        )));
    }
    let (min, max) = (min.value(scale)?, max.value(scale)?);
    let unit = Unit::Decimal { scale };
    let format = OrdinalFormat::try_new(Decimal { min, max, scale }, OrdinalRange { unit, min, max })?;
    Ok(Format::Ranked(Arc::new(format)))
}

impl OrdinalText for Decimal {
    // The bounds are spelt with all digits behind the point, so that `1` and `"1.00"` are one definition.
    fn definition(&self) -> String {
        let mut definition = "decimal/1 min=".to_owned();
        self.write(self.min, &mut definition);
        definition.push_str(" max=");
        self.write(self.max, &mut definition);
        definition
    }

    fn read(&self, value: &str) -> Result<i128, FormatError> {
        let malformed = FormatError::Malformed(
            "not a number with the digits behind the point that the format says (no spaces, plus sign, leading zeros \
             or \
             separators of thousands)",
        );
        let digits = value.strip_prefix('-').unwrap_or(value);
        // A point is needed unless the scale is 0: "1" and "1.00" must not be two texts of one count, of which one
        // is lost.
        let (whole, fraction) = match self.scale {
            0 => (digits, ""),
            _ => digits.split_once('.').ok_or(malformed.clone())?,
        };
        // One text for each count. `parse` alone would also take a plus sign and leading zeros, which `write` does
        // not give back.
        let well_formed = fraction.len() == usize::from(self.scale)
            && [whole, fraction]
                .iter()
                .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
            && !matches!(whole.as_bytes(), [] | [b'0', _, ..]);
        if !well_formed {
            return Err(malformed);
        }
        let sign = &value[..value.len() - digits.len()];
        match format!("{sign}{whole}{fraction}").parse() {
            Ok(0) if !sign.is_empty() => Err(malformed), // minus zero would come back as zero
            Ok(count) => Ok(count),
            // The text is all digits by now, so the only reason left is that the number is too large.
            Err(_) => Err(FormatError::OutOfRange),
        }
    }

    fn write(&self, count: i128, out: &mut String) {
        let sign = if count < 0 { "-" } else { "" };
        // The size without its sign, since the least i128 has no positive counterpart.
        let (count, scale) = (count.unsigned_abs(), usize::from(self.scale));
        let one = 10u128.pow(self.scale.into()); // a scale of at most 38
        let _ = match scale {
            0 => write!(out, "{sign}{count}"),
            // Division of the size, not of the signed count: −0.05 has a whole part of 0, which carries no sign of
            // its own.
            _ => write!(out, "{sign}{}.{:0scale$}", count / one, count % one),
        }; // a string takes what it is given
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
    fn counts_of_the_last_digit() {
        let money = ranked(toml::toml! { min = "-100.5"  max = 1_000_000  scale = 2 });
        assert_eq!(money.definition(), "decimal/1 min=-100.50 max=1000000.00");
        assert_eq!(money.size(), 100_010_051);
        for (text, rank) in [
            ("-100.50", 0),
            ("-0.01", 10_049),
            ("0.00", 10_050),
            ("7.05", 10_755),
            ("1000000.00", 100_010_050),
        ] {
            assert_eq!(money.rank(text), Ok(rank), "{text}");
            let mut out = String::new();
            money.unrank(rank, text, &mut out);
            assert_eq!(out, text);
        }
        for text in [
            "", "-", ".", "1", "1.", "1.0", "1.000", "01.00", "-0.00", "+1.00", "1,000.00", " 1.00", "1.0a", ".50",
            "1.٠٠",
        ] {
            assert!(matches!(money.rank(text), Err(FormatError::Malformed(_))), "{text}");
        }
        for text in ["-100.51", "1000000.01", &format!("{}.00", "9".repeat(60))] {
            assert_eq!(money.rank(text), Err(FormatError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn bounds_are_exact() {
        let error = parse(toml::toml! { min = 0.1  max = 2  scale = 1 }).expect_err("a float");
        assert!(error.hint().expect("a hint").to_string().contains("quotes"));
        for table in [
            toml::toml! { min = "0.123"  max = 2  scale = 2 },
            toml::toml! { min = "1."  max = 2  scale = 2 },
            toml::toml! { min = "0.-1"  max = 2  scale = 2 },
            toml::toml! { min = 2  max = 1  scale = 2 },
            toml::toml! { min = 2  max = 3  scale = 39 },
        ] {
            assert!(parse(table).is_err());
        }
    }

    #[test]
    fn bounds_that_are_too_far_out_are_called_that() {
        for (max, scale) in [
            ("9".repeat(60), 0),
            (format!("{}.5", "9".repeat(38)), 2),
            ("9".repeat(30), 20),
        ] {
            let mut table = toml::toml! { min = 0 };
            table.insert("max".into(), max.into());
            table.insert("scale".into(), scale.into());
            let error = parse(table).expect_err("too far out").to_string();
            assert!(error.contains("between −2^127 and 2^127"), "{error}");
        }
    }

    #[test]
    fn depth_of_38_digits() {
        let deep = ranked(toml::toml! { min = 0  max = 1  scale = 38 });
        let text = format!("0.{}7", "0".repeat(37));
        assert_eq!(deep.rank(&text), Ok(7));
        let mut out = String::new();
        deep.unrank(7, "", &mut out);
        assert_eq!(out, text);
    }
}
