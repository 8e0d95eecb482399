//! Splits and joins values of up to 32 bytes in AVX2, a register each; longer ones in plain Rust.
//!
//! ```text
//! split:  class[i] ← symbol, separator or neither             two shuffles, by the lower bits and the upper
//!         mask ← the bits of symbols
//!         encrypted ← gather(value, moves of the mask)         in each lane, and across lanes
//!         tweak ← gather(numerals, moves of the mask) | constants
//! join:   value ← blend(value, scatter(encrypted, moves of the mask), changed bytes)
//! ```
//!
//! The moves depend on nothing but the mask: the places of the symbols of a value. Columns hold values of few
//! masks, so the moves are worked out once a mask, and each value is then two shuffles of a register. Most columns
//! even have runs of values with one length and one mask: in a run the tables stay in registers.
//!
//! Registers, of 16: the value, its numerals, its classes and two temporaries; in a run the moves of split (two
//! tables, four with a tweak), the class tables and the constants fill the others.

#![allow(unsafe_code)] // intrinsics that read and write memory, and calls into code for features that were detected

use std::arch::x86_64::*;
use std::ops::RangeInclusive;

use crate::alphabet::CharRange;
use crate::kept_ends::{blank_tweak, numeral_place};
use crate::kernels::portable;
use crate::luhn::solution;
use crate::split::{MAX_LENGTH, RowOutcome, Span, SplitPattern, SplitRows, SymbolGroup};

/// Bytes of a register.
const WIDTH: usize = 32;

/// The most masks in the cache: more than a column has that was not made to have them.
const MASKS: usize = 96;

/// The most rows of a run: a group is given room for so many at once.
pub(crate) const RUN: usize = 256;

/// Rows of one mask in succession that begin a run. Where lengths are random that is rare, so that the branch is
/// predicted well.
pub(crate) const ALIKE: usize = 4;

/// The contribution of a digit to a Luhn sum at a place that counts double.
pub(crate) const DOUBLED: [u8; 16] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9, 0, 0, 0, 0, 0, 0];

/// True if this processor has AVX2, for which the functions here are compiled.
fn available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Splits values of up to 32 bytes in AVX2; longer ones in plain Rust.
pub(crate) struct Avx2Splitter {
    // For values longer than a register, and for the bounds that both share.
    plain: portable::PortableSplitter,
    classes: CharClasses,
    /// The other bytes of a tweak than its numerals.
    constants: [u8; WIDTH],
    masks: MaskCache,
}

/// The classes of bytes: symbol, separator or neither.
struct CharClasses {
    /// The character with the lower four bits i and the upper four bits k is a symbol if bit k of entry i is set.
    symbols: [u8; 16],
    /// The table of separators, likewise.
    separators: [u8; 16],
    ranges: Vec<CharRange>,
}

impl Avx2Splitter {
    /// `None` if a tweak does not fit a register.
    pub(crate) fn new(free: RangeInclusive<usize>, pattern: &SplitPattern<'_>) -> Option<Self> {
        let plain = portable::PortableSplitter::new(free, pattern);
        // 8 bytes, and 2 for each kept numeral: up to 12 of these fit. More are left to plain Rust.
        if !available() || plain.tweak > WIDTH {
            return None;
        }
        let mut classes = CharClasses {
            symbols: [0; 16],
            separators: [0; 16],
            ranges: pattern.symbols.ranges().to_vec(),
        };
        let symbols = &pattern.symbols.bytes()[..pattern.symbols.radix()];
        // ASCII has eight rows of sixteen characters. `symbols[i]` has a bit for each row in which column i is a
        // symbol: 128 answers in one register, which `pshufb` looks up by the lower four bits. Any set of
        // characters fits, not only ranges.
        for byte in (0..128u8).filter(|byte| symbols.contains(byte)) {
            classes.symbols[usize::from(byte & 15)] |= 1 << (byte >> 4);
        }
        for byte in (0..128u8).filter(|byte| pattern.separators >> byte & 1 == 1) {
            classes.separators[usize::from(byte & 15)] |= 1 << (byte >> 4);
        }
        let constants = if plain.tweak > 0 {
            blank_tweak(plain.keep)
        } else {
            [0; WIDTH]
        };
        Some(Self {
            plain,
            classes,
            constants,
            masks: MaskCache::new(),
        })
    }

    pub(crate) fn split(&mut self, bytes: &[u8], spans: &[Span], rows: &mut SplitRows) {
        assert!(available(), "this kernel was chosen on another processor");
        // SAFETY: `available` has found the features.
        unsafe {
            // As constants, so that formats without tweak and check do not pay for them in each value.
            match (self.plain.tweak > 0, self.plain.check.is_some()) {
                (false, false) => self.split_rows::<false, false>(bytes, spans, rows),
                (false, true) => self.split_rows::<false, true>(bytes, spans, rows),
                (true, false) => self.split_rows::<true, false>(bytes, spans, rows),
                (true, true) => self.split_rows::<true, true>(bytes, spans, rows),
            }
        }
    }

    pub(crate) fn join(
        &mut self,
        bytes: &[u8],
        spans: &[Span],
        rows: &SplitRows,
        results: &[Vec<u8>],
        output: &mut [u8],
    ) {
        assert!(available(), "this kernel was chosen on another processor");
        // SAFETY: `available` has found the features.
        unsafe {
            match self.plain.check {
                None => self.join_rows::<false>(bytes, spans, rows, results, output),
                Some(_) => self.join_rows::<true>(bytes, spans, rows, results, output),
            }
        }
    }

    #[target_feature(enable = "avx2")]
    fn split_rows<const TWEAK: bool, const CHECK: bool>(&mut self, bytes: &[u8], spans: &[Span], rows: &mut SplitRows) {
        let SplitRows {
            outcomes,
            groups,
            masks,
        } = rows;
        let Self {
            plain,
            classes,
            constants,
            masks: known,
        } = self;
        let sum = plain.check.map_or(0, |[sum, _]| sum);
        // `alike` counts rows in succession with one mask.
        let (mut row, mut before, mut alike) = (0, 0, 0);
        while row < spans.len() {
            let (at, span) = (row, spans[row]);
            row += 1;
            let length = span.length as usize;
            // Also for empty values and NULL, whose lengths wrap to, or are, large numbers.
            if length.wrapping_sub(1) >= WIDTH {
                (outcomes[at], masks[at]) = plain.split_row(bytes, span, groups);
                continue;
            }
            let text = text(bytes, span);
            // Bytes after the value belong to the next one: they are cut off before anything depends on them.
            let [symbols, separators] = classes.of(text).map(|found| found & whole(length));
            let mask = known.of(symbols, plain);
            // Skipped is what outcomes are filled with, so that nothing is written here.
            if mask.free == MaskMoves::NONE || symbols | separators != whole(length) {
                continue;
            }
            let take = SplitRun::<TWEAK, CHECK> {
                classes,
                mask,
                constants,
                tweak: plain.tweak,
                sum,
            };
            alike = if before == symbols { alike + 1 } else { 0 };
            before = symbols;
            // A run gets room for all its rows at once.
            let most = if alike < ALIKE { 1 } else { RUN };
            let next = &spans[at..spans.len().min(at + most)];
            let run = take.run(bytes, next, text, &mut groups[usize::from(mask.free)]);
            for (outcome, mask_of_row) in outcomes[at..at + run].iter_mut().zip(&mut masks[at..]) {
                (*outcome, *mask_of_row) = (RowOutcome::Split(mask.free), symbols.into());
            }
            // None, if the check digit of the first is wrong: that row is then skipped.
            row = at + run.max(1);
        }
    }

    #[target_feature(enable = "avx2")]
    fn join_rows<const CHECK: bool>(
        &mut self,
        bytes: &[u8],
        spans: &[Span],
        rows: &SplitRows,
        results: &[Vec<u8>],
        output: &mut [u8],
    ) {
        let Self {
            plain,
            classes,
            masks: known,
            ..
        } = self;
        let sum = plain.check.map_or(0, |[_, sum]| sum);
        let mut used = [0; MAX_LENGTH + 1];
        let (mut row, mut before, mut alike) = (0, 0, 0);
        while row < spans.len() {
            let (at, span) = (row, spans[row]);
            row += 1;
            if span == Span::NULL {
                continue;
            }
            let (start, length) = (span.start as usize, span.length as usize);
            // Copied exactly, and in order: bytes that a store before has written over are mended here.
            let RowOutcome::Split(n) = rows.outcomes[at] else {
                output[start..][..length].copy_from_slice(&bytes[start..][..length]);
                continue;
            };
            let n = usize::from(n);
            if length > WIDTH {
                let to = &mut output[start..][..length];
                to.copy_from_slice(&bytes[start..][..length]);
                plain.join_row(to, rows.masks[at], &results[n][used[n]..][..n]);
                used[n] += n;
                continue;
            }
            let symbols = rows.masks[at];
            let mask = known.of(symbols as u32, plain); // no bit is beyond the text's bytes
            let put = JoinRun::<CHECK> { classes, mask, sum };
            let mut run = 1;
            alike = if before == symbols { alike + 1 } else { 0 };
            before = symbols;
            if alike >= ALIKE {
                // Skipped rows have mask 0, and this one has symbols: equal masks mean the same outcome.
                let alike = |row: &usize| rows.masks[*row] == symbols && spans[*row].length == span.length;
                run += (row..spans.len()).take_while(alike).count();
            }
            put.run(bytes, &spans[at..at + run], &results[n][used[n]..], output);
            used[n] += n * run;
            row = at + run;
        }
    }
}

/// Splits values with one mask.
struct SplitRun<'a, const TWEAK: bool, const CHECK: bool> {
    classes: &'a CharClasses,
    mask: &'a MaskMoves,
    /// The other bytes of a tweak than its numerals.
    constants: &'a [u8; WIDTH],
    /// Bytes of a tweak.
    tweak: usize,
    /// The Luhn sum modulo 10 of values that are split.
    sum: u16,
}

impl<const TWEAK: bool, const CHECK: bool> SplitRun<'_, TWEAK, CHECK> {
    /// Writes the symbols to encrypt and the tweak of a text that has this mask, as those of row `k`; `false` if
    /// its sum is wrong.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn row(&self, text: __m256i, [symbols, tweaks]: [&mut [u8]; 2], k: usize) -> bool {
        let numerals = if TWEAK || CHECK {
            self.classes.numerals(text)
        } else {
            text
        };
        // A branch for validity, which the outcome tells anyway; the digits go through arithmetic alone.
        if CHECK && luhn(numerals, self.mask) % 10 != self.sum {
            return false;
        }
        // 32 bytes, of which `free` count: the next row of the group is written over the others, and padding
        // follows the last one.
        store_in(self.mask.gather.of(text), symbols, k * usize::from(self.mask.free));
        if TWEAK {
            let tweak = _mm256_or_si256(self.mask.tweak.of(numerals), load(self.constants));
            store_in(tweak, tweaks, k * self.tweak);
        }
        true
    }

    /// Splits the values that come first and have the mask of `text`, the first. Returns their number.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn run(&self, bytes: &[u8], spans: &[Span], mut text: __m256i, group: &mut SymbolGroup) -> usize {
        let (n, length) = (usize::from(self.mask.free), spans[0].length);
        let (rows, more) = (group.rows, spans.len());
        let symbols = SymbolGroup::room(&mut group.symbols, rows * n, more * n);
        let tweaks = if TWEAK {
            SymbolGroup::room(&mut group.tweaks, rows * self.tweak, more * self.tweak)
        } else {
            &mut []
        };
        let mut run = 0;
        // In a run nothing is looked up by the mask: `are` tells with one comparison if the next value has the same
        // one.
        while self.row(text, [&mut *symbols, &mut *tweaks], run) {
            run += 1;
            match spans.get(run) {
                Some(span) if span.length == length => text = self::text(bytes, *span),
                _ => break,
            }
            if !self.classes.are(text, self.mask, length as usize) {
                break;
            }
        }
        group.rows += run;
        run
    }
}

/// Joins values with one mask.
struct JoinRun<'a, const CHECK: bool> {
    classes: &'a CharClasses,
    mask: &'a MaskMoves,
    /// The Luhn sum modulo 10 of values that are joined.
    sum: u16,
}

impl<const CHECK: bool> JoinRun<'_, CHECK> {
    /// Writes a value with other symbols. Bytes beyond it are overwritten with the next ones.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn row(&self, text: __m256i, free: &[u8], to: &mut [u8; WIDTH]) {
        let mask = self.mask;
        // Symbols move to their places, all other places get zeros, which the blend does not take.
        let free = mask
            .scatter
            .of(load(free.first_chunk().expect("results have some bytes more")));
        // Separators and kept symbols come from the value itself, so that they need not be stored between split and
        // join.
        let text = _mm256_blendv_epi8(text, free, load(&mask.changed));
        store(text, to);
        if CHECK {
            // A zero, which counts nothing, for the digit that is sought.
            let text = _mm256_or_si256(text, load(&mask.zero));
            // The digit depends on the encrypted ones, so that it can be computed only now.
            let others = luhn(self.classes.numerals(text), mask);
            to[usize::from(mask.check)] = b'0' + solution(self.sum, others, mask.check_doubled);
        }
    }

    /// Joins as many values as there are spans.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn run(&self, bytes: &[u8], spans: &[Span], free: &[u8], output: &mut [u8]) {
        let n = usize::from(self.mask.free);
        let mut last = [0; WIDTH];
        for (row, span) in spans.iter().enumerate() {
            let text = text(bytes, *span);
            let to = &mut output[span.start as usize..];
            let there = to.len() >= WIDTH;
            // Where fewer than 32 bytes are left, the register goes to a buffer first: nothing is written beyond
            // the output.
            let register = to.first_chunk_mut().unwrap_or(&mut last);
            self.row(text, &free[row * n..], register);
            if !there {
                let length = span.length as usize;
                to[..length].copy_from_slice(&last[..length]);
            }
        }
    }
}

impl CharClasses {
    /// The bytes that are symbols, and those that are separators, as bits.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(&self, text: __m256i) -> [u32; 2] {
        // A byte of the table and a bit of the upper half: their `and` is the bit itself or nothing. pshufb gives 0
        // for bytes beyond ASCII, so that these have no class.
        let bit = bits(text);
        [&self.symbols, &self.separators].map(|table| {
            let found = _mm256_and_si256(_mm256_shuffle_epi8(broadcast(table), text), bit);
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(found, bit)) as u32
        })
    }

    /// True if each of the first `length` bytes is a symbol where the mask has one, and else a separator.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn are(&self, text: __m256i, mask: &MaskMoves, length: usize) -> bool {
        let bit = bits(text);
        let [symbols, separators] =
            [&self.symbols, &self.separators].map(|table| _mm256_shuffle_epi8(broadcast(table), text));
        // The expected class of each byte is looked up in its own table; one comparison then covers both.
        let classes = _mm256_blendv_epi8(separators, symbols, load(&mask.inside));
        let found = _mm256_cmpeq_epi8(_mm256_and_si256(classes, bit), bit);
        _mm256_movemask_epi8(found) as u32 & whole(length) == whole(length)
    }

    /// The numeral of each symbol; for what is none, any.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn numerals(&self, text: __m256i) -> __m256i {
        // One range, such as digits: a subtraction. What is none of the symbols is masked where it would matter.
        if let [CharRange { first, .. }] = self.ranges[..] {
            return _mm256_sub_epi8(text, _mm256_set1_epi8(first as i8));
        }
        let mut numerals = _mm256_setzero_si256();
        for CharRange { first, length, base } in &self.ranges {
            let at = _mm256_sub_epi8(text, _mm256_set1_epi8(*first as i8));
            // at ≤ length − 1, unsigned: AVX2 compares signed bytes only, so a minimum and a test for equality.
            // Bytes below `first` wrap to large numbers.
            let inside = _mm256_cmpeq_epi8(_mm256_min_epu8(at, _mm256_set1_epi8((*length - 1) as i8)), at);
            let numeral = _mm256_add_epi8(at, _mm256_set1_epi8(*base as i8));
            numerals = _mm256_or_si256(numerals, _mm256_and_si256(numeral, inside));
        }
        numerals
    }
}

/// The bit of each character in the tables of classes. Beyond ASCII there is one, too, but in no table: the entries
/// for bytes with the highest bit set are 0.
#[inline]
#[target_feature(enable = "avx2")]
fn bits(text: __m256i) -> __m256i {
    let bits = broadcast(&[1, 2, 4, 8, 16, 32, 64, 128, 1, 1, 1, 1, 1, 1, 1, 1]);
    // There is no shift of bytes: in 16 bits the neighbour's bits come in from above, and the mask takes them out.
    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(text), _mm256_set1_epi8(15));
    _mm256_shuffle_epi8(bits, upper)
}

/// One bit for each byte of a value of 1 to 32.
#[inline]
fn whole(length: usize) -> u32 {
    u32::MAX >> (WIDTH - length)
}

/// The moves of bytes for values with one mask.
#[derive(Clone)]
#[repr(align(32))]
struct MaskMoves {
    /// The bytes that are symbols, as bits.
    symbols: u32,
    /// The number of symbols to encrypt; [`MaskMoves::NONE`] if the number of symbols does not fit.
    free: u8,
    /// The place of the check digit, if there is one, and whether it counts double.
    check: u8,
    check_doubled: bool,
    /// From a text to its symbols to encrypt, and back.
    gather: Moves,
    scatter: Moves,
    /// From a text's numerals to its tweak.
    tweak: Moves,
    /// Ones for symbols.
    inside: [u8; WIDTH],
    /// Ones for what is not as it was: symbols to encrypt and the check digit.
    changed: [u8; WIDTH],
    /// A zero for the check digit.
    zero: [u8; WIDTH],
    /// Ones for the digits of a Luhn sum that count once, and for those that count double.
    once: [u8; WIDTH],
    twice: [u8; WIDTH],
}

impl MaskMoves {
    const NONE: u8 = u8::MAX;

    const UNFIT: Self = Self {
        symbols: 0,
        free: Self::NONE,
        check: 0,
        check_doubled: false,
        gather: Moves::NONE,
        scatter: Moves::NONE,
        tweak: Moves::NONE,
        inside: [0; WIDTH],
        changed: [0; WIDTH],
        zero: [0; WIDTH],
        once: [0; WIDTH],
        twice: [0; WIDTH],
    };

    fn new(symbols: u32, form: &portable::PortableSplitter) -> Self {
        let mut mask = Self { symbols, ..Self::UNFIT };
        // Slow, and once a mask: what follows is worked out for thousands of values.
        let places: Vec<usize> = (0..WIDTH).filter(|at| symbols >> at & 1 == 1).collect();
        let count = places.len();
        let Some(n) = form.free(count) else {
            return mask;
        };
        mask.free = n as u8; // up to 32
        for place in &places {
            mask.inside[*place] = 0xFF;
        }
        let [first, last] = form.keep;
        for (i, place) in places[first..first + n].iter().enumerate() {
            // Both directions of one move: the i-th symbol to encrypt stands at `place`.
            mask.gather.set(i, *place);
            mask.scatter.set(*place, i);
            mask.changed[*place] = 0xFF;
        }
        if form.tweak > 0 {
            for (end, kept) in [&places[..first], &places[count - last..]].into_iter().enumerate() {
                for (i, place) in kept.iter().enumerate() {
                    mask.tweak.set(numeral_place(form.keep, end, i), *place);
                }
            }
        }
        if form.check.is_some() {
            // ISO/IEC 7812-1 counts from the check digit at the end: every second digit before it counts double.
            for (from_end, place) in places.iter().rev().enumerate() {
                let weighed = if from_end % 2 == 1 {
                    &mut mask.twice
                } else {
                    &mut mask.once
                };
                weighed[*place] = 0xFF;
            }
            let check = places[first + n];
            mask.check = check as u8;
            mask.check_doubled = mask.twice[check] == 0xFF;
            mask.changed[check] = 0xFF;
            mask.zero[check] = b'0';
        }
        mask
    }
}

/// The masks that were met, by their hash.
struct MaskCache {
    /// The index in `known` of each, at the slot of its hash or the next one that was free; 0 in slots that are.
    slots: [u8; 256],
    /// First one for no symbols at all: no text without symbols fits.
    known: Vec<MaskMoves>,
}

impl MaskCache {
    fn new() -> Self {
        Self {
            slots: [0; 256],
            known: vec![MaskMoves::UNFIT],
        }
    }

    #[inline]
    fn of(&mut self, symbols: u32, form: &portable::PortableSplitter) -> &MaskMoves {
        // A multiplier with which texts of 1 to 32 symbols without separators do not meet, and those in groups hardly.
        // Multiplicative hashing: the upper eight bits of the product depend on all bits of the mask. The index
        // comes from the layout of a value, which the output shows, not from its symbols.
        let slot = (symbols.wrapping_mul(0xB937_A989) >> 24) as u8;
        let at = usize::from(self.slots[usize::from(slot)]);
        if self.known[at].symbols == symbols {
            &self.known[at]
        } else {
            self.find(slot, symbols, form)
        }
    }

    #[inline(never)]
    fn find(&mut self, mut slot: u8, symbols: u32, form: &portable::PortableSplitter) -> &MaskMoves {
        if symbols == 0 {
            return &self.known[0];
        }
        loop {
            let at = usize::from(self.slots[usize::from(slot)]);
            if self.known[at].symbols == symbols {
                return &self.known[at];
            }
            if at == 0 {
                break;
            }
            slot = slot.wrapping_add(1);
        }
        // A column made to have many masks only costs time: the cache is emptied, and at most 96 of 256 slots are
        // taken, so that a free one is found soon.
        if self.known.len() > MASKS {
            *self = Self::new();
        }
        let at = self.known.len();
        self.slots[usize::from(slot)] = at as u8; // up to 96
        self.known.push(MaskMoves::new(symbols, form));
        &self.known[at]
    }
}

/// The source of each byte of a register: the same lane, or the other one.
#[derive(Clone)]
struct Moves {
    same: [u8; WIDTH],
    other: [u8; WIDTH],
}

impl Moves {
    const NONE: Self = Self {
        same: [0x80; WIDTH],
        other: [0x80; WIDTH],
    };

    fn set(&mut self, to: usize, from: usize) {
        // pshufb moves bytes within lanes of 16. So each byte comes either from its own lane or from the other,
        // after the two are exchanged; 0x80 makes zeros of the bytes that come from elsewhere, and an `or` joins
        // both.
        let way = if to / 16 == from / 16 {
            &mut self.same
        } else {
            &mut self.other
        };
        way[to] = (from % 16) as u8;
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(&self, bytes: __m256i) -> __m256i {
        let crossed = _mm256_permute4x64_epi64::<0b01_00_11_10>(bytes);
        _mm256_or_si256(
            _mm256_shuffle_epi8(bytes, load(&self.same)),
            _mm256_shuffle_epi8(crossed, load(&self.other)),
        )
    }
}

/// The Luhn sum of a text's digits, not reduced.
#[inline]
#[target_feature(enable = "avx2")]
fn luhn(digits: __m256i, mask: &MaskMoves) -> u16 {
    // A look-up of all 32 at once, in a register: the time does not depend on the digits.
    let doubled = _mm256_shuffle_epi8(broadcast(&DOUBLED), digits);
    let once = _mm256_and_si256(digits, load(&mask.once));
    let weighed = _mm256_or_si256(once, _mm256_and_si256(doubled, load(&mask.twice)));
    // Differences from zero, added up: eight bytes to one sum in each 64 bits. At most 32·9 = 288, so that `others`
    // below 1,000 holds.
    let sums = _mm256_sad_epu8(weighed, _mm256_setzero_si256());
    let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    (_mm_cvtsi128_si64(sums) + _mm_extract_epi64::<1>(sums)) as u16
}

/// A value of up to 32 bytes, and arbitrary bytes after it.
#[inline]
#[target_feature(enable = "avx2")]
fn text(bytes: &[u8], span: Span) -> __m256i {
    let (bytes, length) = (&bytes[span.start as usize..], span.length as usize);
    assert!(length <= bytes.len());
    match bytes.first_chunk() {
        Some(bytes) => load(bytes),
        None => {
            let mut last = [0; WIDTH];
            // Fewer than 32 bytes are left, as for the last values of a buffer: a copy cannot read too far.
            last[..length].copy_from_slice(&bytes[..length]);
            load(&last)
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn broadcast(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes are read.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; WIDTH]) -> __m256i {
    // SAFETY: 32 bytes are read.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Writes the register to the 32 bytes from `at` on.
#[inline]
#[target_feature(enable = "avx2")]
fn store_in(register: __m256i, to: &mut [u8], at: usize) {
    store(register, to[at..].first_chunk_mut().expect("there is room"));
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(register: __m256i, to: &mut [u8; WIDTH]) {
    // SAFETY: 32 bytes are written.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), register) }
}
