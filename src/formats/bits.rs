//! Values that are a number of bits, some of which stay: UUIDs, IP and MAC addresses.
//!
//! The bits that do not stay are encrypted as one number, so the effective domain is a power of two and nothing is
//! walked.

use std::fmt;

use serde::Deserialize;

use super::error::FormatError;
use super::segmented::{SegmentedFormat, Segments};
use super::side::Side;

/// How a number of at most 128 bits is written.
pub(super) trait Bits: fmt::Debug + Send + Sync {
    /// Name, version and every parameter that defines the map.
    fn definition(&self) -> String;

    /// The bits to encrypt, at least one; the others stay.
    fn free(&self) -> u128;

    /// The bits of `value`.
    ///
    /// # Errors
    /// When it is not the one text that [`write`](Self::write) gives for these bits in its layout.
    fn read(&self, value: &str) -> Result<u128, FormatError>;

    /// Appends the text of `bits`, in the layout of `value`.
    fn write(&self, bits: u128, value: &str, out: &mut String);
}

/// The format of such values.
#[derive(Debug)]
pub(super) struct BitString<T> {
    bits: T,
    runs: Vec<Run>,
}

impl<T: Bits> BitString<T> {
    pub(super) fn new(bits: T) -> Self {
        Self {
            runs: runs(bits.free()),
            bits,
        }
    }
}

impl<T: Bits> SegmentedFormat for BitString<T> {
    fn definition(&self) -> String {
        self.bits.definition()
    }

    fn usual_size(&self) -> Option<u128> {
        // All 128 bits free would be 2^128, which does not fit: the greatest number is close enough for a floor.
        Some(1u128.checked_shl(self.bits.free().count_ones()).unwrap_or(u128::MAX))
    }

    fn split(&self, value: &str, _: Side, places: &mut Segments) -> Result<(), FormatError> {
        let (bits, free) = (self.bits.read(value)?, self.bits.free());
        // Each run is one place of 2^width choices, so N is a power of two and a walk ends after its first step.
        for run in &self.runs {
            // A run has at most 32 bits, so both numbers fit into 64.
            places.push((bits >> run.place) as u64 & run.mask(), 1 << run.width);
        }
        // Bits above the width are never free and never set, so they say nothing.
        // What is kept is the tweak: addresses with another prefix or version have an unrelated permutation.
        places.keep(&(bits & !free).to_be_bytes());
        Ok(())
    }

    fn join(&self, value: &str, digits: &[u64], _: Side, out: &mut String) {
        // `value` was read before.
        // Bits that are kept come from the value itself, so that the result has them whatever the digits are.
        let mut bits = self.bits.read(value).unwrap_or_default() & !self.bits.free();
        for (run, digit) in self.runs.iter().zip(digits) {
            bits |= u128::from(*digit) << run.place;
        }
        self.bits.write(bits, value, out);
    }
}

/// Neighbouring bits to encrypt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    /// The place of the lowest bit, from the right.
    place: u32,
    /// The number of bits: 1 to 32.
    width: u32,
}

impl Run {
    fn mask(self) -> u64 {
        (1 << self.width) - 1
    }
}

/// The bits set in `mask`, most significant first.
fn runs(mut mask: u128) -> Vec<Run> {
    let mut runs = Vec::new();
    while mask != 0 {
        let top = 128 - mask.leading_zeros();
        // `mask` is not zero, so `top` is at least 1 and no shift is by 128, which would overflow.
        let width = (mask << (128 - top)).leading_ones().min(32);
        let place = top - width;
        runs.push(Run { place, width });
        mask &= !(u128::from(Run { place, width }.mask()) << place);
    }
    runs
}

/// The lowest `count` of 128 bits.
pub(super) fn lowest(count: u32) -> u128 {
    // For `count` = 0 the shift is by 128, which `checked_shr` refuses.
    u128::MAX.checked_shr(128 - count).unwrap_or(0)
}

/// How the digits above nine are written. Only one case fits: else a value could not be told from its twin in the
/// other.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum HexCase {
    // RFC 4122 (section 3) and RFC 5952 (section 4.3) write hexadecimal digits in lower case.
    #[default]
    Lower,
    Upper,
}

impl HexCase {
    pub(super) fn symbols(self) -> &'static str {
        match self {
            Self::Lower => "0123456789abcdef",
            Self::Upper => "0123456789ABCDEF",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Upper => "upper",
        }
    }

    /// The number that at most 32 digits spell; `is_separator` says which bytes, at which index, are none.
    pub(super) fn read(self, value: &str, is_separator: impl Fn(usize, u8) -> bool) -> Result<u128, FormatError> {
        // More than 32 digits would push bits out at the top; every caller has checked the length before.
        let mut bits = 0;
        for (i, symbol) in value.chars().enumerate() {
            // Everything before a symbol that is not ASCII is ASCII, so the index is the same in bytes.
            match self.symbols().find(symbol) {
                Some(digit) => bits = bits << 4 | digit as u128,
                None if u8::try_from(symbol).is_ok_and(|byte| is_separator(i, byte)) => {}
                None => return Err(FormatError::Character { position: i + 1 }),
            }
        }
        Ok(bits)
    }

    /// Appends `value` with `bits` in place of its `digits` digits.
    pub(super) fn write(self, bits: u128, digits: u32, value: &str, out: &mut String) {
        let symbols = self.symbols().as_bytes();
        let mut place = 4 * digits;
        // Digits are replaced where they stand, so separators and their places come from the value.
        out.extend(value.chars().map(|symbol| {
            if symbol.is_ascii_hexdigit() {
                // Saturates, since a value with more digits than `digits` must not panic; `read` has refused such
                // a value.
                place = place.saturating_sub(4);
                char::from(symbols[(bits >> place & 15) as usize])
            } else {
                symbol
            }
        }));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::formats::format::Format;

    /// Splits `value`, sets its digits to others and back, and gives the text in between.
    pub(in crate::formats) fn there_and_back(format: &Format, value: &str) -> String {
        let Format::Segmented(format) = format else {
            panic!("a mixed format")
        };
        let mut places = Segments::default();
        format.split(value, Side::Plain, &mut places).expect(value);
        let turned = places.digits.iter().zip(&places.choices);
        let others: Vec<u64> = turned.map(|(digit, choices)| choices - 1 - digit).collect();
        let (mut other, mut back) = (String::new(), String::new());
        format.join(value, &others, Side::Protected, &mut other);
        let mut again = Segments::default();
        format.split(&other, Side::Protected, &mut again).expect(&other);
        assert_eq!(
            (&again.digits, &again.choices, &again.kept),
            (&others, &places.choices, &places.kept),
            "{value}"
        );
        format.join(&other, &places.digits, Side::Plain, &mut back);
        assert_eq!(back, value);
        other
    }

    #[test]
    fn masks() {
        assert_eq!((lowest(0), lowest(1), lowest(128)), (0, 1, u128::MAX));
        let run = |place, width| Run { place, width };
        assert_eq!(runs(0b1_0110), [run(4, 1), run(1, 2)]);
        assert_eq!(runs(u128::MAX), [run(96, 32), run(64, 32), run(32, 32), run(0, 32)]);
        assert_eq!(runs(0), []);
        for mask in [1, 1 << 127, 0xf0f0, u128::MAX >> 3, u128::MAX / 3] {
            let together: u128 = runs(mask).iter().map(|run| u128::from(run.mask()) << run.place).sum();
            assert_eq!(together, mask);
        }
    }

    /// Every value of few free bits, so the layout of the bits loses and doubles nothing.
    #[test]
    fn few_bits_make_a_permutation_of_their_texts() {
        for free in 1..=10 {
            let parameters = toml::Table::from_iter([("prefix".to_owned(), toml::Value::from(32 - free))]);
            let Ok(Format::Segmented(format)) = Format::parse("ipv4", parameters) else {
                panic!("a prefix")
            };
            let mut seen = std::collections::HashSet::new();
            for number in 0..1u64 << free {
                let (mut out, mut places) = (String::new(), Segments::default());
                format.join("203.0.113.7", &[number], Side::Protected, &mut out);
                format.split(&out, Side::Protected, &mut places).expect("an address");
                assert_eq!(places.digits, [number]);
                seen.insert(out);
            }
            assert_eq!(seen.len(), 1 << free);
        }
    }
}
