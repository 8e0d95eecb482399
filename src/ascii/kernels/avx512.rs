//! Splits and joins values of up to 64 bytes in AVX-512, a register each: compressing brings the symbols together,
//! and expanding brings them back.
//!
//! ```text
//! split:  class[i] ← permutex2var(table of 128, value)         the numeral of a symbol, SEPARATOR or STRANGE
//!         symbols ← bits of classes below SEPARATOR
//!         encrypted ← compress(value, symbols), moved down by the symbols kept at the start
//!         tweak ← compress(classes, symbols), permuted | constants
//! join:   value ← expand(encrypted) where pdep(ones, symbols) says
//! ```
//!
//! Most columns have runs of values of one shape, with one length and symbols at the same places. In a run the
//! moves are known, so that values of up to 32 bytes are permuted in half a register, which takes half the time:
//! without compress and expand, of two micro-operations each, and without loads of 512 bits, every second of which
//! touches two cache lines.
//!
//! Registers, of 32: two tables of classes, the moves and constants of a run (five), the value, its classes and
//! three temporaries; masks take four of the eight mask registers. Splitting runs and splitting mixed values are
//! functions of their own, so that each has the registers for itself.

#![allow(unsafe_code)] // intrinsics that read and write memory, and calls into code for features that were detected

use std::arch::x86_64::*;
use std::ops::RangeInclusive;

use cipherform_simd::table::ByteTable;

use crate::kept_ends::{blank_tweak, numeral_place, tweak_length};
use crate::kernels::avx2::{ALIKE, DOUBLED, RUN};
use crate::luhn::solution;
use crate::split::{MAX_LENGTH, RowOutcome, Span, SplitPattern, SplitRows, SymbolGroup};

/// The class of a byte is its numeral if it is a symbol, else one of these.
const SEPARATOR: u8 = 0x40;
const STRANGE: u8 = 0x80;

/// Each byte as it is.
const SAME: ByteTable = {
    let mut bytes = [0; 64];
    let mut at = 0;
    while at < 64 {
        bytes[at] = at as u8;
        at += 1;
    }
    ByteTable(bytes)
};

/// A value that follows the pattern, in registers.
struct SplitRow {
    /// The number of symbols to encrypt.
    n: u8,
    /// The bytes that are symbols, as bits.
    symbols: u64,
    /// The bytes of the value and their classes; arbitrary bytes after them.
    text: __m512i,
    classes: __m512i,
}

/// Bytes of half a register, and of the longest texts and tweaks in runs.
const HALF: usize = 32;

/// The moves for values of one length, up to [`HALF`] bytes, with symbols at the same places.
struct RunShape {
    /// The number of symbols to encrypt.
    n: usize,
    length: u32,
    /// The bytes that are symbols, and those that count double in a Luhn sum, as bits.
    symbols: u32,
    doubled: u32,
    /// The places of the symbols to encrypt, and of the kept ones in the order of a tweak.
    free: __m256i,
    kept: __m256i,
    /// The bytes that are symbols to encrypt, as bits, and the number of each of these.
    changed: u32,
    back: __m256i,
    /// The byte that is the check digit, if there is one, as a bit.
    check: u32,
}

/// True if this processor has the features that the functions here are compiled for.
fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
}

/// Splits values of up to 64 bytes in AVX-512.
pub(crate) struct Avx512Splitter {
    classes: [ByteTable; 2],
    keep: [usize; 2],
    /// Symbols that are not encrypted.
    outer: usize,
    /// The least and the greatest number of symbols of a value.
    lengths: [usize; 2],
    /// The least and the greatest number of symbols to encrypt.
    free: [usize; 2],
    /// Symbol `keep[0]` and those after it.
    down: ByteTable,
    /// The places of a tweak's numerals, those of the end counted from the number of symbols on, which is to be
    /// added for `from_end`.
    numerals: ByteTable,
    from_start: u64,
    from_end: u64,
    /// The other bytes of a tweak.
    constants: ByteTable,
    /// Bytes of a tweak, if there is one.
    tweak: usize,
    /// The Luhn sum of values that are split, and of those that are joined, if there is one.
    check: Option<[u16; 2]>,
}

impl Avx512Splitter {
    /// `None` if the kept symbols do not fit a register.
    pub(crate) fn new(free: RangeInclusive<usize>, pattern: &SplitPattern<'_>) -> Option<Self> {
        let [first, last] = pattern.keep;
        let tweak = if pattern.kept_is_tweak {
            tweak_length(pattern.keep)
        } else {
            0
        };
        // More kept symbols than bytes fit no value.
        if !available() || first + last > MAX_LENGTH || *free.start() > MAX_LENGTH || tweak > 64 {
            return None;
        }
        // Separators first, so that a character of both sets is a symbol, as in the other kernels. Bytes beyond
        // ASCII alias those 128 below them, and are told by their own highest bit.
        let mut classes = [[STRANGE; 64]; 2];
        for byte in (0..128u8).filter(|byte| pattern.separators >> byte & 1 == 1) {
            classes[usize::from(byte / 64)][usize::from(byte % 64)] = SEPARATOR;
        }
        for (numeral, byte) in pattern.symbols.bytes()[..pattern.symbols.radix()].iter().enumerate() {
            classes[usize::from(byte / 64)][usize::from(byte % 64)] = numeral as u8;
        }
        let (mut numerals, mut from_start, mut from_end) = ([0; 64], 0, 0);
        let constants = if tweak > 0 { blank_tweak(pattern.keep) } else { [0; 64] };
        if tweak > 0 {
            for i in 0..first {
                let byte = numeral_place(pattern.keep, 0, i);
                from_start |= 1u64 << byte;
                numerals[byte] = i as u8; // at most 64
            }
            // Counted from the end, as bytes modulo 256: adding the number of symbols gives the place of each.
            for i in 0..last {
                let byte = numeral_place(pattern.keep, 1, i);
                from_end |= 1u64 << byte;
                numerals[byte] = (i as u8).wrapping_sub(last as u8);
            }
        }
        Some(Self {
            classes: classes.map(ByteTable),
            keep: pattern.keep,
            outer: first + last + usize::from(pattern.check.is_some()),
            lengths: [*pattern.lengths.start(), *pattern.lengths.end()],
            free: [*free.start(), *free.end().min(&MAX_LENGTH)],
            down: ByteTable(std::array::from_fn(|i| (i + first) as u8)),
            numerals: ByteTable(numerals),
            from_start,
            from_end,
            constants: ByteTable(constants),
            tweak,
            check: pattern.check,
        })
    }

    pub(crate) fn split(&self, bytes: &[u8], spans: &[Span], rows: &mut SplitRows) {
        assert!(available(), "this kernel was chosen on another processor");
        // SAFETY: `available` has found the features.
        unsafe { self.split_rows(bytes, spans, rows) }
    }

    pub(crate) fn join(&self, bytes: &[u8], spans: &[Span], rows: &SplitRows, results: &[Vec<u8>], output: &mut [u8]) {
        assert!(available(), "this kernel was chosen on another processor");
        assert!(bytes.len() == output.len());
        // SAFETY: `available` has found the features.
        unsafe { self.join_rows(bytes, spans, rows, results, output) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn split_rows(&self, bytes: &[u8], spans: &[Span], rows: &mut SplitRows) {
        let SplitRows {
            outcomes,
            groups,
            masks,
        } = rows;
        let mut row = 0;
        while row < spans.len() {
            let (next, outcomes_of, masks_of) = (&spans[row..], &mut outcomes[row..], &mut masks[row..]);
            // Two loops in turns: one for values that differ, until some are alike, and one for those, until one
            // differs. The first does at least one row a turn, so that this ends.
            row += match (self.tweak, self.check) {
                (0, None) => self.split_mixed::<false, false>(bytes, next, outcomes_of, masks_of, groups),
                (0, Some(_)) => self.split_mixed::<false, true>(bytes, next, outcomes_of, masks_of, groups),
                (_, None) => self.split_mixed::<true, false>(bytes, next, outcomes_of, masks_of, groups),
                (_, Some(_)) => self.split_mixed::<true, true>(bytes, next, outcomes_of, masks_of, groups),
            };
            let (Some(RowOutcome::Split(n)), true) = (outcomes[..row].last().copied(), row < spans.len()) else {
                continue;
            };
            // The last one was like those before it, and so may the next ones be.
            let (length, symbols) = (spans[row - 1].length, masks[row - 1]);
            // At most 256, for which the group is given room at once.
            let next = &spans[row..spans.len().min(row + RUN)];
            let group = &mut groups[usize::from(n)];
            let shape = self.shape(length, symbols, n.into());
            let run = match (self.tweak, self.check) {
                (0, None) => self.split_run::<false, false>(bytes, next, &shape, group),
                (0, Some(_)) => self.split_run::<false, true>(bytes, next, &shape, group),
                (_, None) => self.split_run::<true, false>(bytes, next, &shape, group),
                (_, Some(_)) => self.split_run::<true, true>(bytes, next, &shape, group),
            };
            outcomes[row..row + run].fill(RowOutcome::Split(n));
            masks[row..row + run].fill(symbols);
            row += run;
        }
    }

    /// Splits values that come first, until some in succession have one shape. Returns their number.
    ///
    /// This and what does a run are functions of their own, so that each has the registers for itself.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn split_mixed<const TWEAK: bool, const CHECK: bool>(
        &self,
        bytes: &[u8],
        spans: &[Span],
        outcomes: &mut [RowOutcome],
        masks: &mut [u64],
        groups: &mut [SymbolGroup],
    ) -> usize {
        let (down, numerals, constants) = (load(&self.down), load(&self.numerals), load(&self.constants));
        let [sum, _] = self.check.unwrap_or_default();
        let (mut before, mut alike) = (0, 0);
        for (row, ((span, outcome), mask)) in spans.iter().zip(outcomes).zip(masks).enumerate() {
            let Some(split) = self.classify(bytes, *span) else {
                continue;
            };
            let SplitRow {
                symbols, text, classes, ..
            } = split;
            if CHECK && luhn(classes, symbols, doubled(symbols)) % 10 != sum {
                continue;
            }
            (*outcome, *mask) = (RowOutcome::Split(split.n), symbols);
            let n = usize::from(split.n);
            let group = &mut groups[n];
            // All bytes are symbols to encrypt: nothing moves.
            let free = if n == span.length as usize {
                text
            } else {
                alike = if before == symbols { alike + 1 } else { 0 };
                before = symbols;
                // Compression packs all symbols; the permutation then drops those that are kept at the start. What
                // it leaves after the last one is overwritten or padding.
                _mm512_permutexvar_epi8(down, _mm512_maskz_compress_epi8(symbols, text))
            };
            append(&mut group.symbols, group.rows, free, n);
            if TWEAK {
                let count = _mm512_set1_epi8(symbols.count_ones() as i8);
                // Kept symbols of the end stand at places that depend on the number of symbols: place − last +
                // count, with one masked addition.
                let from = _mm512_mask_add_epi8(numerals, self.from_end, numerals, count);
                // Numerals, not characters, are what a tweak holds; the class of a symbol is its numeral. The upper
                // byte of each 16 bits and the lengths come from the constants.
                let all = _mm512_maskz_compress_epi8(symbols, classes);
                let kept = _mm512_maskz_permutexvar_epi8(self.from_start | self.from_end, from, all);
                append(
                    &mut group.tweaks,
                    group.rows,
                    _mm512_or_si512(kept, constants),
                    self.tweak,
                );
            }
            group.rows += 1;
            // A run works in half a register; values or tweaks beyond that stay in this loop.
            if alike >= ALIKE && span.length as usize <= HALF && self.tweak <= HALF {
                return row + 1;
            }
        }
        spans.len()
    }

    /// The moves for values of `length` bytes with symbols at these places, `n` of them to encrypt.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn shape(&self, length: u32, symbols: u64, n: usize) -> RunShape {
        // Where the symbols are, one after the other; the free ones of these, and the kept ones where they stand in
        // a tweak.
        // The moves are found by moving indices in place of bytes: compressing 0, 1, 2, … tells where each symbol
        // stands.
        let all = _mm512_maskz_compress_epi8(symbols, load(&SAME));
        let count = _mm512_set1_epi8(symbols.count_ones() as i8);
        let numerals = load(&self.numerals);
        let numerals = _mm512_mask_add_epi8(numerals, self.from_end, numerals, count);
        let changed = self.changed(symbols, n);
        RunShape {
            n,
            length,
            symbols: symbols as u32,
            doubled: doubled(symbols) as u32,
            free: _mm512_castsi512_si256(_mm512_permutexvar_epi8(load(&self.down), all)),
            kept: _mm512_castsi512_si256(_mm512_permutexvar_epi8(numerals, all)),
            // The inverse, likewise: expanding 0, 1, 2, … tells which symbol goes where.
            back: _mm512_castsi512_si256(_mm512_maskz_expand_epi8(changed, load(&SAME))),
            changed: changed as u32,
            check: self.check_digit(symbols, n) as u32,
        }
    }

    /// Splits the values that come first and have this shape. Returns their number.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn split_run<const TWEAK: bool, const CHECK: bool>(
        &self,
        bytes: &[u8],
        spans: &[Span],
        shape: &RunShape,
        group: &mut SymbolGroup,
    ) -> usize {
        let (constants, there) = (
            _mm512_castsi512_si256(load(&self.constants)),
            (self.from_start | self.from_end) as u32,
        );
        let [sum, _] = self.check.unwrap_or_default();
        let whole = u32::MAX >> (HALF as u32 - shape.length);
        // The class that each byte must have, where that is one value: SEPARATOR or, for symbols, a numeral, whose
        // two highest bits are 0. So the difference in these two bits tells all.
        let separators = _mm256_maskz_set1_epi8(!shape.symbols, SEPARATOR as i8);
        let (strange, both) = (
            _mm256_set1_epi8(STRANGE as i8),
            _mm256_set1_epi8((STRANGE | SEPARATOR) as i8),
        );
        let free_symbols = SymbolGroup::room(&mut group.symbols, group.rows * shape.n, spans.len() * shape.n);
        let tweaks = if TWEAK {
            SymbolGroup::room(&mut group.tweaks, group.rows * self.tweak, spans.len() * self.tweak)
        } else {
            &mut []
        };
        let mut run = 0;
        for span in spans {
            // Fewer than 32 bytes are left: the other loop loads under a mask.
            let Some(text) = bytes[span.start as usize..].first_chunk() else {
                break;
            };
            let text = load_half(text);
            let classes = _mm512_castsi512_si256(self.classes(_mm512_castsi256_si512(text)));
            // Bit 6 of the difference: symbol where a separator is due, or the other way round. Bit 7: neither, or
            // beyond ASCII. One test for both bits in all bytes of the value.
            let other = _mm256_or_si256(_mm256_xor_si256(classes, separators), _mm256_and_si256(text, strange));
            if span.length != shape.length || _mm256_mask_test_epi8_mask(whole, other, both) != 0 {
                break;
            }
            if CHECK && luhn_of_half(classes, shape.symbols, shape.doubled) % 10 != sum {
                break;
            }
            store_half(
                // One permutation of a known run in place of compression and permutation: the moves are in a
                // register since the run began.
                _mm256_permutexvar_epi8(shape.free, text),
                &mut free_symbols[run * shape.n..],
            );
            if TWEAK {
                let tweak = _mm256_or_si256(_mm256_maskz_permutexvar_epi8(there, shape.kept, classes), constants);
                store_half(tweak, &mut tweaks[run * self.tweak..]);
            }
            run += 1;
        }
        group.rows += run;
        run
    }

    /// A value that follows the pattern, in registers.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn classify(&self, bytes: &[u8], span: Span) -> Option<SplitRow> {
        let length = span.length as usize;
        if length.wrapping_sub(1) >= MAX_LENGTH {
            return None;
        }
        let text = self.text(bytes, span);
        let classes = self.classes(text);
        // 1 ≤ length ≤ 64, so that the shift is in bounds.
        let whole = u64::MAX >> (64 - length);
        // Highest bits: of the class for ASCII characters of no class, of the byte itself for what is beyond ASCII.
        let strange = _mm512_movepi8_mask(_mm512_or_si512(classes, text)) & whole;
        // Numerals are below 64 = SEPARATOR, so that one comparison tells symbols.
        let symbols = _mm512_mask_cmplt_epu8_mask(whole, classes, _mm512_set1_epi8(SEPARATOR as i8));
        let count = symbols.count_ones() as usize;
        let n = count.wrapping_sub(self.outer);
        let split = SplitRow {
            n: n as u8,
            symbols,
            text,
            classes,
        };
        (strange == 0 && within(self.free, n) && within(self.lengths, count)).then_some(split)
    }

    /// A value, and arbitrary bytes after it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn text(&self, bytes: &[u8], span: Span) -> __m512i {
        let (bytes, length) = (&bytes[span.start as usize..], span.length as usize);
        assert!(length <= bytes.len());
        // SAFETY: only bytes of `bytes` are read.
        unsafe {
            match (bytes.len(), length) {
                // A masked load takes several times as long.
                (..64, _) => _mm512_maskz_loadu_epi8((1 << bytes.len()) - 1, bytes.as_ptr().cast()),
                (_, ..=32) => _mm512_castsi256_si512(_mm256_loadu_si256(bytes.as_ptr().cast())),
                _ => _mm512_loadu_si512(bytes.as_ptr().cast()),
            }
        }
    }

    /// The class of each byte.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    fn classes(&self, text: __m512i) -> __m512i {
        // 128 entries in two registers, looked up for 64 bytes at once. Nothing is read from an address that
        // depends on a byte.
        _mm512_permutex2var_epi8(load(&self.classes[0]), text, load(&self.classes[1]))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn join_rows(&self, bytes: &[u8], spans: &[Span], rows: &SplitRows, results: &[Vec<u8>], output: &mut [u8]) {
        let mut used = [0; MAX_LENGTH + 1];
        let mut row = 0;
        while row < spans.len() {
            let (next, outcomes, masks) = (&spans[row..], &rows.outcomes[row..], &rows.masks[row..]);
            row += match self.check {
                None => self.join_mixed::<false>(bytes, (next, outcomes, masks), results, &mut used, output),
                Some(_) => self.join_mixed::<true>(bytes, (next, outcomes, masks), results, &mut used, output),
            };
            let (Some(RowOutcome::Split(n)), true) = (rows.outcomes[..row].last().copied(), row < spans.len()) else {
                continue;
            };
            let n = usize::from(n);
            let shape = self.shape(spans[row - 1].length, rows.masks[row - 1], n);
            let (next, masks, free) = (&spans[row..], &rows.masks[row..], &results[n][used[n]..]);
            let run = match self.check {
                None => self.join_run::<false>(bytes, (next, masks), &shape, free, output),
                Some(_) => self.join_run::<true>(bytes, (next, masks), &shape, free, output),
            };
            used[n] += n * run;
            row += run;
        }
    }

    /// Joins values that come first, until some in succession have one shape. Returns their number.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn join_mixed<const CHECK: bool>(
        &self,
        bytes: &[u8],
        (spans, outcomes, masks): (&[Span], &[RowOutcome], &[u64]),
        results: &[Vec<u8>],
        used: &mut [usize; MAX_LENGTH + 1],
        output: &mut [u8],
    ) -> usize {
        let [_, sum] = self.check.unwrap_or_default();
        let (mut before, mut alike) = (0, 0);
        for (row, ((span, outcome), mask)) in spans.iter().zip(outcomes).zip(masks).enumerate() {
            let text = match *outcome {
                RowOutcome::Split(n) => {
                    let n = usize::from(n);
                    let free = load_free(&results[n][used[n]..], n);
                    used[n] += n;
                    if n == span.length as usize {
                        free
                    } else {
                        alike = if before == *mask { alike + 1 } else { 0 };
                        before = *mask;
                        let text = self.text(bytes, *span);
                        // The inverse of compression: symbols go to the places of the mask, all other bytes stay
                        // those of the value.
                        let mut text = _mm512_mask_expand_epi8(text, self.changed(*mask, n), free);
                        if CHECK {
                            let (check, doubled) = (self.check_digit(*mask, n), doubled(*mask));
                            let digits = _mm512_sub_epi8(text, _mm512_set1_epi8(b'0' as i8));
                            // The old check digit is left out of the sum, as another takes its place.
                            let others = luhn(digits, *mask & !check, doubled);
                            let digit = b'0' + solution(sum, others, doubled & check != 0);
                            text = _mm512_mask_set1_epi8(text, check, digit as i8);
                        }
                        text
                    }
                }
                RowOutcome::Skipped => _mm512_setzero_si512(),
            };
            self.join_row(bytes, *span, *outcome, text, output);
            if alike >= ALIKE && span.length as usize <= HALF && self.tweak <= HALF {
                return row + 1;
            }
        }
        spans.len()
    }

    /// Joins the values that come first and have this shape. Returns their number.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn join_run<const CHECK: bool>(
        &self,
        bytes: &[u8],
        (spans, masks): (&[Span], &[u64]),
        shape: &RunShape,
        free: &[u8],
        output: &mut [u8],
    ) -> usize {
        let [_, sum] = self.check.unwrap_or_default();
        let zero = _mm256_set1_epi8(b'0' as i8);
        let mut run = 0;
        for (span, mask) in spans.iter().zip(masks) {
            if span.length != shape.length || *mask != u64::from(shape.symbols) {
                break;
            }
            let start = span.start as usize;
            let (Some(text), Some(to)) = (bytes[start..].first_chunk(), output[start..].first_chunk_mut::<HALF>())
            else {
                break;
            };
            let free = free[run * shape.n..]
                .first_chunk()
                .expect("results have some bytes more");
            let free = load_half(free);
            // As `expand`, with the moves of the run: bytes that are not changed are those of the value.
            let mut text = _mm256_mask_permutexvar_epi8(load_half(text), shape.changed, shape.back, free);
            if CHECK {
                let others = luhn_of_half(_mm256_sub_epi8(text, zero), shape.symbols & !shape.check, shape.doubled);
                let digit = b'0' + solution(sum, others, shape.doubled & shape.check != 0);
                text = _mm256_mask_set1_epi8(text, shape.check, digit as i8);
            }
            store_half(text, to); // what is written beyond this text is written again with the next ones
            run += 1;
        }
        run
    }

    /// The bytes of the `n` symbols to encrypt, as bits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn changed(&self, symbols: u64, n: usize) -> u64 {
        // Ones for symbols keep[0] to keep[0] + n − 1, counted among symbols; the deposit puts each at the byte
        // where that symbol stands. n is 1 to 64, as FF1 takes no fewer than two numerals.
        _pdep_u64((u64::MAX >> (64 - n)) << self.keep[0], symbols)
    }

    /// The byte that is the check digit, if there is one, as a bit.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn check_digit(&self, symbols: u64, n: usize) -> u64 {
        match self.check {
            // The symbol after those to encrypt, before those that are kept at the end.
            Some(_) => _pdep_u64(1 << (self.keep[0] + n), symbols),
            None => 0,
        }
    }

    /// Writes a joined value, or the value as it was if it was skipped.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn join_row(&self, bytes: &[u8], span: Span, outcome: RowOutcome, text: __m512i, output: &mut [u8]) {
        if span == Span::NULL {
            return;
        }
        let (start, length) = (span.start as usize, span.length as usize);
        if outcome == RowOutcome::Skipped {
            output[start..][..length].copy_from_slice(&bytes[start..][..length]);
            return;
        }
        let to = &mut output[start..];
        if to.len() >= 64 {
            store(text, length, to); // what is written beyond this text is written again with the next ones
        } else {
            let to = &mut to[..length];
            // SAFETY: only the bytes of `to` are written.
            unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), u64::MAX >> (64 - length), text) }
        }
    }
}

/// Writes the first `length` bytes of `register` after `rows` times as many, and others of no meaning after them.
#[inline]
#[target_feature(enable = "avx512f")]
fn append(bytes: &mut Vec<u8>, rows: usize, register: __m512i, length: usize) {
    store(register, length, SymbolGroup::room(bytes, rows * length, 0));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(table: &ByteTable) -> __m512i {
    // SAFETY: 64 bytes are read.
    unsafe { _mm512_loadu_si512(table.0.as_ptr().cast()) }
}

/// The first 64 bytes, or 32 if no more than `length` matter: every second load of 64 would touch two cache lines.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_free(bytes: &[u8], length: usize) -> __m512i {
    let bytes: &[u8; 64] = bytes.first_chunk().expect("results have some bytes more");
    // SAFETY: at most 64 bytes are read.
    unsafe {
        match length {
            // Values of a column mostly have one length, so that the branch is predicted.
            ..=32 => _mm512_zextsi256_si512(_mm256_loadu_si256(bytes.as_ptr().cast())),
            _ => _mm512_loadu_si512(bytes.as_ptr().cast()),
        }
    }
}

/// Writes 64 bytes, or 32 if no more than `length` matter.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(register: __m512i, length: usize, to: &mut [u8]) {
    let to: &mut [u8; 64] = to.first_chunk_mut().expect("there is room");
    // SAFETY: at most 64 bytes are written.
    unsafe {
        match length {
            ..=32 => _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_castsi512_si256(register)),
            _ => _mm512_storeu_si512(to.as_mut_ptr().cast(), register),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn load_half(bytes: &[u8; HALF]) -> __m256i {
    // SAFETY: 32 bytes are read.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn store_half(register: __m256i, to: &mut [u8]) {
    let to: &mut [u8; HALF] = to.first_chunk_mut().expect("there is room");
    // SAFETY: 32 bytes are written.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), register) }
}

/// The symbols that count double in a Luhn sum, as bits: every second one, but not the last.
#[inline]
#[target_feature(enable = "popcnt,bmi2")]
fn doubled(symbols: u64) -> u64 {
    // Counted from the last symbol, which counts once, every second one is doubled: with an even number of symbols
    // these are the 0th, 2nd, …, with an odd number the 1st, 3rd, …
    let first_or_second = 0x5555_5555_5555_5555 << (symbols.count_ones() % 2);
    _pdep_u64(first_or_second, symbols)
}

/// The Luhn sum, not reduced, of these digits, some of which count double.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn luhn(digits: __m512i, which: u64, doubled: u64) -> u16 {
    // SAFETY: 16 bytes are read.
    let twice = _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(DOUBLED.as_ptr().cast()) });
    let digits = _mm512_maskz_mov_epi8(which, digits);
    // A masked look-up: doubled digits are replaced by what they contribute, the others stay. At most 64·9 = 576 in
    // all.
    let weighed = _mm512_mask_shuffle_epi8(digits, doubled, twice, digits);
    _mm512_reduce_add_epi64(_mm512_sad_epu8(weighed, _mm512_setzero_si512())) as u16
}

/// The Luhn sum, not reduced, of half a register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn luhn_of_half(digits: __m256i, which: u32, doubled: u32) -> u16 {
    // SAFETY: 16 bytes are read.
    let twice = _mm256_broadcast_i32x4(unsafe { _mm_loadu_si128(DOUBLED.as_ptr().cast()) });
    let digits = _mm256_maskz_mov_epi8(which, digits);
    let weighed = _mm256_mask_shuffle_epi8(digits, doubled, twice, digits);
    let sums = _mm256_sad_epu8(weighed, _mm256_setzero_si256());
    let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    (_mm_cvtsi128_si64(sums) + _mm_extract_epi64::<1>(sums)) as u16
}

#[inline]
fn within([first, last]: [usize; 2], n: usize) -> bool {
    // One comparison for both bounds: what is below `first` wraps to a large number.
    n.wrapping_sub(first) <= last - first
}
