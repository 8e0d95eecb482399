//! Layouts of ASCII values, for whole columns.

use std::ops::RangeInclusive;

use super::side::Side;
use crate::ascii::{MAX_LENGTH, SplitPattern, Splitter, Symbols};
use crate::cipher::Cipher;

/// A format whose values are ASCII symbols, separators among them, of which some are kept at either end.
#[derive(Clone)]
pub struct AsciiLayout<'a> {
    /// The alphabet.
    pub symbols: &'a Symbols,
    /// The ASCII characters that may stand between symbols, as bits.
    pub separators: u128,
    /// Symbols that are kept at the start and at the end.
    pub keep: [usize; 2],
    /// Symbols of a value, if the format limits them.
    pub lengths: Option<RangeInclusive<usize>>,
    /// The Luhn sums of decimal digits on the plain and on the protected side, for a format with a check digit: the
    /// last digit that is not kept is not encrypted, but makes the sum right.
    pub check: Option<[u16; 2]>,
}

impl AsciiLayout<'_> {
    /// The most symbols of a row.
    pub(crate) const LONGEST: usize = MAX_LENGTH;

    /// Tells whether `character` may stand between symbols.
    pub fn is_separator(&self, character: char) -> bool {
        character.is_ascii() && self.separators >> u32::from(character) & 1 == 1
    }

    /// Tells whether rows are nothing but symbols to encrypt.
    pub fn is_bare(&self) -> bool {
        // A limit of lengths counts as well: it leaves short values to bands, and the path for bare rows knows no
        // lengths.
        self.keep == [0, 0] && self.check.is_none() && self.lengths.is_none()
    }

    /// Makes the splitter that splits values on `side` and joins them on the other.
    pub fn splitter(&self, cipher: &Cipher, side: Side, kept_is_tweak: bool) -> Splitter {
        let other = side.other();
        let pattern = SplitPattern {
            symbols: self.symbols,
            separators: self.separators,
            keep: self.keep,
            // The splitter needs a bound for its counters; a longer row is left to the format itself.
            lengths: self.lengths.clone().unwrap_or(0..=Self::LONGEST),
            // A row must have the sum of its own side, and its result gets the sum of the other (valid in, invalid
            // out, or back).
            check: self.check.map(|sums| [sum_on(sums, side), sum_on(sums, other)]),
            kept_is_tweak,
        };
        Splitter::new(cipher.kernel().instructions(), cipher.lengths(), &pattern)
    }
}

fn sum_on([plain, protected]: [u16; 2], side: Side) -> u16 {
    match side {
        Side::Plain => plain,
        Side::Protected => protected,
    }
}
