//! Formats that are one byte a symbol, as a column can be done without taking each value apart.

use std::ops::RangeInclusive;

use super::Side;
use crate::ascii::{MAX_LENGTH, SplitPattern, Splitter, Symbols};
use crate::cipher::Cipher;

/// A format whose values are ASCII symbols, separators among them, of which some are kept at either end.
#[derive(Clone)]
pub struct Plain<'a> {
    /// The alphabet.
    pub symbols: &'a Symbols,
    /// The ASCII characters that may stand between symbols, as bits.
    pub separators: u128,
    /// How many symbols at the start and at the end stay as they are.
    pub keep: [usize; 2],
    /// How many symbols a value has, if the format says.
    pub lengths: Option<RangeInclusive<usize>>,
    /// For decimal digits with a Luhn check: what the sum is on the plain and on the protected side. The last digit not kept is
    /// then not encrypted, but set to what makes the sum right.
    pub check: Option<[u16; 2]>,
}

impl Plain<'_> {
    /// Whether rows are nothing but symbols to encrypt.
    pub fn is_bare(&self) -> bool {
        self.keep == [0, 0] && self.check.is_none() && self.lengths.is_none()
    }

    /// The splitter that splits values on `side` and joins them on the other.
    pub fn splitter(&self, cipher: &Cipher, side: Side, kept_is_tweak: bool) -> Splitter {
        let other = match side {
            Side::Plain => Side::Protected,
            Side::Protected => Side::Plain,
        };
        let pattern = SplitPattern {
            symbols: self.symbols,
            separators: self.separators,
            keep: self.keep,
            lengths: self.lengths.clone().unwrap_or(0..=MOST),
            check: self.check.map(|sums| [sum_on(sums, side), sum_on(sums, other)]),
            kept_is_tweak,
        };
        Splitter::new(cipher.kernel().instructions(), cipher.lengths(), &pattern)
    }
}

/// The most symbols of a value.
pub(crate) const MOST: usize = MAX_LENGTH;

fn sum_on([plain, protected]: [u16; 2], side: Side) -> u16 {
    match side {
        Side::Plain => plain,
        Side::Protected => protected,
    }
}
