//! Formats that are one byte a symbol, as a column can be done without taking each value apart.

use std::ops::{Range, RangeInclusive};

use super::{Parts, Side, luhn};
use crate::cipher::{Cipher, Pattern, Sieve, Symbols};

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

    /// What takes values apart that stand on `side` and puts them together on the other; `None` if no kernel of `cipher` has code for
    /// it.
    pub fn sieve(&self, cipher: &Cipher, side: Side, kept_is_tweak: bool) -> Option<Sieve> {
        let other = match side {
            Side::Plain => Side::Protected,
            Side::Protected => Side::Plain,
        };
        let pattern = Pattern {
            symbols: self.symbols,
            separators: self.separators,
            keep: self.keep,
            lengths: self.lengths.clone().unwrap_or(0..=MOST),
            check: self.check.map(|sums| [sum_on(sums, side), sum_on(sums, other)]),
            kept_is_tweak,
        };
        Sieve::new(cipher, &pattern)
    }

    /// Which of the symbols of a value on `side` are encrypted; `None` if it is not well-formed, or too short.
    pub fn free(&self, symbols: &[u8], side: Side) -> Option<Range<usize>> {
        let [first, last] = self.keep;
        let end = symbols.len().checked_sub(last + usize::from(self.check.is_some()))?;
        let right = match self.check {
            Some(sums) => luhn::sum(&digits(symbols)[..symbols.len()]) == sum_on(sums, side),
            None => true,
        };
        let fits = self
            .lengths
            .as_ref()
            .is_none_or(|lengths| lengths.contains(&symbols.len()));
        (first <= end && right && fits).then_some(first..end)
    }

    /// Appends the canonical encoding of the kept symbols, as [`Parts::kept`] has it.
    pub fn kept(&self, symbols: &[u8], parts: &mut Parts) {
        let [first, last] = self.keep;
        for part in [&symbols[..first], &symbols[symbols.len() - last..]] {
            let mut bytes = [0; 2 * MOST];
            for (numeral, symbol) in bytes.chunks_exact_mut(2).zip(part) {
                numeral[1] = self.symbols.numeral(*symbol);
            }
            parts.keep(&bytes[..2 * part.len()]);
        }
    }

    /// Puts the free symbols of a value that is to stand on `side` to their places: `mask` says which bytes of `text` are symbols.
    pub fn put(&self, text: &mut [u8], mask: u64, free: &[u8], side: Side) {
        let count = mask.count_ones() as usize;
        if count == free.len() && mask.trailing_ones() as usize == count {
            text[..count].copy_from_slice(free);
            return;
        }
        let mut symbols = [0; MOST];
        for (symbol, at) in symbols.iter_mut().zip(bits(mask)) {
            *symbol = text[at];
        }
        symbols[self.keep[0]..][..free.len()].copy_from_slice(free);
        if let Some(sums) = self.check {
            let place = count - self.keep[1] - 1;
            let digits = digits(&symbols[..count]);
            symbols[place] = b'0' + luhn::solve(&digits[..count], place, sum_on(sums, side)) as u8; // a digit
        }
        for (symbol, at) in symbols.iter().zip(bits(mask)) {
            text[at] = *symbol;
        }
    }
}

/// The most symbols of a value.
pub(crate) const MOST: usize = 64;

fn sum_on([plain, protected]: [u16; 2], side: Side) -> u16 {
    match side {
        Side::Plain => plain,
        Side::Protected => protected,
    }
}

fn digits(symbols: &[u8]) -> [u16; MOST] {
    let mut digits = [0; MOST];
    for (digit, symbol) in digits.iter_mut().zip(symbols) {
        *digit = u16::from(symbol.wrapping_sub(b'0'));
    }
    digits
}

/// The places of the ones, from the lowest on.
fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (at < 64).then_some(at)
    })
}
