//! The input and the result of a split: how values are made, where they stand, which symbols to encrypt they have.

use std::ops::RangeInclusive;

use crate::alphabet::Symbols;

/// The longest value that is split, in bytes: a register of 512 bits holds it.
pub const MAX_LENGTH: usize = 64;

/// Padding in bytes that must follow every buffer of symbols: kernels load and store whole registers.
pub const PADDING: usize = 64;

/// The layout of a column's values: symbols of one alphabet, with separators between them.
#[derive(Debug)]
pub struct SplitPattern<'a> {
    /// The alphabet.
    pub symbols: &'a Symbols,
    /// The ASCII characters that may stand between symbols, as bits.
    pub separators: u128,
    /// Symbols at the start and at the end that are not encrypted.
    pub keep: [usize; 2],
    /// The number of symbols of a value.
    pub lengths: RangeInclusive<usize>,
    /// For decimal digits with a Luhn check: the sum modulo 10 of a value that is split, and of one that is joined.
    /// The last digit that is not kept is then not encrypted, but set to the digit that makes the sum right.
    pub check: Option<[u16; 2]>,
    /// True if the kept symbols are the tweak, encoded as [`append_kept_numerals`](crate::append_kept_numerals) does.
    pub kept_is_tweak: bool,
}

/// The bytes of a value in a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The number of bytes.
    pub length: u32,
}

impl Span {
    /// The span of NULL, which has no bytes.
    pub const NULL: Self = Self {
        start: 0,
        length: u32::MAX,
    };
}

/// The outcome of splitting one value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RowOutcome {
    /// This many symbols to encrypt stand in the group of that number.
    Split(u8),
    /// The value does not follow the pattern, or is too long; the caller has to look at it.
    Skipped,
}

/// The values with one number of symbols to encrypt, in order.
#[derive(Debug, Default)]
pub struct SymbolGroup {
    /// The number of values.
    pub rows: usize,
    /// The symbols to encrypt, value after value, then [`PADDING`].
    pub symbols: Vec<u8>,
    /// The tweaks, if the kept symbols are that, value after value, then [`PADDING`].
    pub tweaks: Vec<u8>,
}

impl SymbolGroup {
    /// Room in `bytes` for `more` of them from `at` on, and [`PADDING`] after these.
    #[inline]
    pub(crate) fn room(bytes: &mut Vec<u8>, at: usize, more: usize) -> &mut [u8] {
        #[cold]
        fn grow(bytes: &mut Vec<u8>, least: usize) {
            // Twice what is needed, so that growing stays rare.
            bytes.resize((2 * least).max(4096), 0);
        }
        // The check is one comparison a row or a run; the code that grows is out of its way.
        let end = at + more + PADDING;
        if bytes.len() < end {
            grow(bytes, end);
        }
        &mut bytes[at..end]
    }
}

/// The result of [`Splitter::split`](crate::Splitter::split). Reuse it between calls to avoid allocating.
#[derive(Debug, Default)]
pub struct SplitRows {
    /// The outcome of each value.
    pub outcomes: Vec<RowOutcome>,
    /// The symbols to encrypt, by their number.
    pub groups: Vec<SymbolGroup>,
    /// The bytes of each value that are symbols, as bits.
    pub(crate) masks: Vec<u64>,
}
