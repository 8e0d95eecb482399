//! Texts taken apart and put together again, many at a time: which bytes are symbols, which of these are encrypted.

use std::ops::RangeInclusive;

use crate::alphabet::Symbols;

/// The longest text that is taken apart, in bytes.
pub const LONGEST: usize = 64;

/// So many bytes after what has a meaning are there for the taking.
pub const SLACK: usize = 64;

/// How the texts of a column are made.
#[derive(Debug)]
pub struct Pattern<'a> {
    /// The alphabet.
    pub symbols: &'a Symbols,
    /// The ASCII characters that may stand between symbols, as bits.
    pub separators: u128,
    /// How many symbols at the start and at the end are not encrypted.
    pub keep: [usize; 2],
    /// How many symbols a text has.
    pub lengths: RangeInclusive<usize>,
    /// For decimal digits with a Luhn check: what the sum modulo 10 is where texts are taken apart, and where they are put together.
    /// The last digit that is not kept is then not encrypted, but set to what makes the sum right.
    pub check: Option<[u16; 2]>,
    /// Whether the kept symbols are the tweak: the numerals of each end as 16 bits, and before them their length in bytes, as 32 bits.
    pub kept_is_tweak: bool,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// Its first byte.
    pub start: u32,
    /// Its bytes.
    pub length: u32,
}

impl Place {
    /// The place of no text: NULL.
    pub const NULL: Self = Self {
        start: 0,
        length: u32::MAX,
    };
}

/// What became of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// Its free symbols, so many, stand in their bucket.
    Taken(u8),
    /// It is left to others.
    Left,
}

/// Texts with as many free symbols, in order.
#[derive(Debug, Default)]
pub struct Bucket {
    /// How many.
    pub rows: usize,
    /// Their free symbols, text after text, and then some bytes of no meaning.
    pub symbols: Vec<u8>,
    /// Their tweaks, if the kept symbols are that; bytes of no meaning after them, too.
    pub tweaks: Vec<u8>,
}

impl Bucket {
    /// Room in `bytes` for `more` of them from `at` on, and [`SLACK`] after these.
    #[inline]
    pub(crate) fn room(bytes: &mut Vec<u8>, at: usize, more: usize) -> &mut [u8] {
        #[cold]
        fn grow(bytes: &mut Vec<u8>, least: usize) {
            bytes.resize((2 * least).max(4096), 0);
        }
        let end = at + more + SLACK;
        if bytes.len() < end {
            grow(bytes, end);
        }
        &mut bytes[at..end]
    }
}

/// Texts taken apart. Its memory serves again.
#[derive(Debug, Default)]
pub struct Taken {
    /// Of each text.
    pub fates: Vec<Fate>,
    /// By the number of free symbols.
    pub buckets: Vec<Bucket>,
    /// Which bytes of each text are symbols.
    pub(crate) masks: Vec<u64>,
}
