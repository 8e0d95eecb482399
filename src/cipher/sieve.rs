//! Texts taken apart and put together again, many at a time: which bytes are symbols, which of these are encrypted.

use std::fmt;
use std::ops::RangeInclusive;

use super::{Cipher, Symbols, arch};

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
    /// Room in `bytes` for `more` of them from `at` on, and [`Sieve::SLACK`] after these.
    #[inline]
    pub(super) fn room(bytes: &mut Vec<u8>, at: usize, more: usize) -> &mut [u8] {
        #[cold]
        fn grow(bytes: &mut Vec<u8>, least: usize) {
            bytes.resize((2 * least).max(4096), 0);
        }
        let end = at + more + Sieve::SLACK;
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
    pub(super) masks: Vec<u64>,
}

/// Takes texts apart and puts them together.
pub struct Sieve(arch::Sieve);

impl Sieve {
    /// The longest text that is taken apart, in bytes.
    pub const LONGEST: usize = 64;
    /// So many bytes after what has a meaning are there for the taking.
    pub const SLACK: usize = 64;

    /// The one that the kernel of `cipher` has.
    pub fn new(cipher: &Cipher, pattern: &Pattern<'_>) -> Self {
        Self(arch::Sieve::new(cipher.kernel, cipher.lengths(), pattern))
    }

    /// Bytes of a tweak, if the kept symbols are that.
    pub fn tweak_length(keep: [usize; 2]) -> usize {
        keep.iter().map(|count| 4 + 2 * count).sum()
    }

    /// Takes the texts at `places` apart, in place of what `taken` held.
    ///
    /// # Panics
    ///
    /// If a place is not in `bytes`.
    pub fn take(&mut self, bytes: &[u8], places: &[Place], taken: &mut Taken) {
        taken.fates.clear();
        taken.fates.resize(places.len(), Fate::Left);
        taken.masks.clear();
        taken.masks.resize(places.len(), 0);
        taken.buckets.resize_with(Self::LONGEST + 1, Bucket::default);
        for bucket in &mut taken.buckets {
            bucket.rows = 0;
        }
        self.0.take(bytes, places, taken);
    }

    /// Puts together in `output`, at the places of `bytes`, what was taken from there, with other free symbols: those of each bucket
    /// in `results`, and [`Sieve::SLACK`] bytes more. Other texts are copied as they are. What stands between texts and after the last
    /// one may be overwritten.
    ///
    /// # Panics
    ///
    /// If `taken` is of other places, or a result is too short.
    pub fn put(&mut self, bytes: &[u8], places: &[Place], taken: &Taken, results: &[Vec<u8>], output: &mut [u8]) {
        assert_eq!(bytes.len(), output.len(), "places are the same in both");
        self.0.put(bytes, places, taken, results, output);
    }
}

impl fmt::Debug for Sieve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sieve")
    }
}

/// The Luhn sum of `digits` (ISO/IEC 7812-1, annex B), not reduced: from the last one on, every second one counts double, its digits
/// added.
pub(super) fn weigh(digits: &[u8]) -> u16 {
    let mut from_end = digits.iter().rev();
    let mut sum = 0;
    while let Some(digit) = from_end.next() {
        sum += u16::from(*digit);
        if let Some(digit) = from_end.next() {
            sum += 2 * u16::from(*digit) - 9 * u16::from(*digit > 4);
        }
    }
    sum
}

/// The digit that brings a Luhn sum to `wanted` modulo 10, counted `doubled` or not, where the others have one of `others`, below 1,000.
#[inline]
pub(super) fn solution(wanted: u16, others: u16, doubled: bool) -> u8 {
    let missing = (wanted + 1000 - others) % 10;
    // Doubling permutes the digits: 0…4 → 0 2 4 6 8, 5…9 → 1 3 5 7 9.
    let digit = match doubled {
        false => missing,
        true => (missing + 9 * (missing % 2)) / 2,
    };
    digit as u8
}
