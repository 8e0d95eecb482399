//! `base64url`: bytes as text (RFC 4648, section 5), with padding or without.
//!
//! All bytes are encrypted as one number; how many they are stays. The bits of the last symbol that stand for nothing
//! stay zero, so every result is canonical and decodes.

use std::sync::Arc;

use serde::Deserialize;

use crate::Result;
use crate::formats::alphabet::Alphabet;
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;
use crate::formats::segmented::{SegmentedFormat, Segments};
use crate::formats::side::Side;

// In the order of RFC 4648, table 2, so that a symbol's numeral is its six bits.
const SYMBOLS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64urlParameters {}

#[derive(Debug)]
struct Base64Url(Alphabet);

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let Base64urlParameters {} = parse_parameters(table)?;
    Ok(Format::Segmented(Arc::new(Base64Url(Alphabet::try_new(SYMBOLS)?))))
}

/// The number of bits of the last of `symbols` that carry nothing.
fn idle_bits(symbols: usize) -> u32 {
    // One byte is two symbols with 8 of 12 bits used, two bytes are three with 16 of 18. A remainder of 1 is
    // refused before.
    match symbols % 4 {
        2 => 4,
        3 => 2,
        _ => 0,
    }
}

impl SegmentedFormat for Base64Url {
    fn definition(&self) -> String {
        "base64url/1".to_owned()
    }

    fn is_symbol(&self, symbol: char) -> bool {
        // `-` and `_` are symbols here: a mask that left them in place would show bits of the value.
        symbol.is_alphanumeric() || self.0.numeral(symbol).is_some()
    }

    fn split(&self, value: &str, _: Side, places: &mut Segments) -> Result<(), FormatError> {
        let symbols = value.trim_end_matches('=');
        let padding = value.len() - symbols.len();
        // Six bits are no whole byte, so no byte string has 4k + 1 symbols. Padding, where there is any, fills up
        // to a multiple of four.
        if symbols.len() % 4 == 1 || padding > 0 && (padding > 2 || !value.len().is_multiple_of(4)) {
            return Err(FormatError::Malformed(
                "not a length that base64url gives, with padding or without",
            ));
        }
        // An empty value has no last symbol; the index then wraps to one that no symbol has.
        let (last, mut bits) = (symbols.len().wrapping_sub(1), 0);
        for (i, symbol) in symbols.chars().enumerate() {
            let numeral = self
                .0
                .numeral(symbol)
                .ok_or(FormatError::Character { position: i + 1 })?;
            let idle = if i == last { idle_bits(symbols.len()) } else { 0 };
            // RFC 4648, section 3.5: a decoder may refuse such bits. They would also be lost, and two texts would
            // have one ciphertext.
            if u32::from(numeral) % (1 << idle) != 0 {
                return Err(FormatError::Malformed(
                    "the last symbol has bits set that stand for nothing",
                ));
            }
            // The last symbol offers only the choices of its used bits, so every result is canonical.
            // N is 256^bytes, so each bit length is one number of bytes and no shape has to be bound to the tweak.
            places.push_of_many(u64::from(numeral) >> idle, 64 >> idle, &mut bits)?;
        }
        Ok(())
    }

    fn join(&self, value: &str, digits: &[u64], _: Side, out: &mut String) {
        for (i, digit) in digits.iter().enumerate() {
            // There are as many digits as symbols, so the last digit is the one whose low bits are idle.
            let idle = if i + 1 == digits.len() {
                idle_bits(digits.len())
            } else {
                0
            };
            out.push(self.0.symbol((digit << idle) as u16)); // below 64
        }
        out.push_str(&value[digits.len()..]); // the padding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    #[test]
    fn bytes_stay_bytes() {
        let format = parse(toml::Table::new()).expect("defaults");
        for (value, other) in [
            ("ABCD", "_-98"),
            ("AA", "_w"),
            ("AA==", "_w=="),
            ("AAA", "__8"),
            ("AAA=", "__8="),
            ("_w", "AA"),
        ] {
            assert_eq!(there_and_back(&format, value), other, "{value}");
        }
        let Format::Segmented(base64url) = format else {
            unreachable!()
        };
        for value in [
            "A", "AB", "AAB", "AA=", "AA===", "A===", "AAAA=", "AAAA====", "A=AA", "AA+A", "AA/A", "AAÄ",
        ] {
            assert!(
                base64url.split(value, Side::Plain, &mut Segments::default()).is_err(),
                "{value}"
            );
        }
    }
}
