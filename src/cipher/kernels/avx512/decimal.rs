//! Decimal digits to halves in registers and back, in AVX-512: text goes straight into the rounds and out of it.
//!
//! ```text
//! load, for four rows (or two, of longer halves):
//!     digits ← permute(text, gather) − '0'        one register of text to slots
//!     pairs ← 10·a + b of neighbours              maddubs
//!     fours ← 100·a + b of neighbours             madd
//!     eights ← 10^4·a + b of neighbours           packus of two registers, madd
//!     halves ← 10^8·a + b, and tops·10^8 or tops·10^16
//! store: the inverse; quotients by 10^8, 10^4 and 100 by multiplication, then each pair by look-up
//! ```
//!
//! Registers, of 32: while a group is read or written, the blocks of the other one (eight) are in AES. The four
//! tables of digits take eight registers, gather or scatter one to four, and temporaries six; the group's own
//! halves take two or four.
//!
//! A half is taken as *eights*, groups of 8 digits, the most significant of which is filled up with zeros on its
//! left. Two eights lie side by side as a *slot* of 16 bytes: the two halves of a row where halves have up to 9
//! digits, else the lower 16 digits of one half. What digits there are above these are *tops*: at most one of them
//! where halves are packed in 32 bits, else at most three.
//!
//! Reading joins digits to pairs, fours and eights by multiplying and adding neighbours. Writing splits an eight in
//! two fours, each of these in two pairs, and looks up both digits of each pair. The quotients are ⌊x·µ/2^w⌋ with
//! µ = ⌈2^w/D⌉ = (2^w + e)/D, which is ⌊x/D⌋ for all x with x·e < 2^w (Granlund and Montgomery 1994, theorem 4.2);
//! each is tried at its worst x in the tests.

#![expect(
    clippy::needless_range_loop,
    reason = "an index says which rows a register holds, not only where it stands"
)]

use std::arch::x86_64::*;

use cipherform_ascii::Symbols;
use cipherform_simd::table::ByteTable;

use crate::arith::reduce_ifma::ReductionIfma;
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;
use crate::kernels::avx512::params::{Layout512, Params512, available};
use crate::kernels::avx512::prefixes::PrefixBlocks512;
use crate::kernels::avx512::registers::{Z, table};
use crate::kernels::avx512::rounds::{HalvesIo512, rounds};
use crate::kernels::prefix_source::{PackedTweaks, PrefixSource};
use crate::kernels::schedule::Schedule;
use crate::spec::types::Direction;

/// Bytes between a chunk of text and the one that is prefetched with it.
const AHEAD: usize = 16 << 10;

/// 10^4 and 10^8.
const FOUR: u32 = 10_000;
const EIGHT: u32 = 100_000_000;

/// Reads and writes rows of one shape.
pub(crate) struct DecimalCodec512 {
    n: usize,
    /// The character for 0; those for 1 to 9 follow.
    zero: u8,
    /// Bytes from the start of 64 rows that are read and written, some of which belong to what comes after it.
    reach: usize,
    /// Digits of the longer half.
    longest: usize,
    /// The source of each digit of four slots, and the bytes that have one.
    gather: ByteTable,
    filled: u64,
    /// The sources of tops, which share a register, and the bytes that have one.
    gather_tops: [ByteTable; 4],
    filled_tops: [u64; 4],
    /// The source of each byte of rows.
    scatter: [ByteTable; 8],
    /// The sources of tops that come from a register of their own, and the bytes they go to.
    scatter_tops: [ByteTable; 4],
    tops: u64,
    /// The first and the second digit of each number below 100.
    tens: [ByteTable; 2],
    ones: [ByteTable; 2],
}

impl DecimalCodec512 {
    /// For rows whose halves have `lengths` digits, read from their least significant one on if `least_first`;
    /// `None` if other code must do it.
    pub(crate) fn new(symbols: &Symbols, lengths: [usize; 2], least_first: bool) -> Option<Self> {
        let zero = symbols.bytes()[0];
        // Digits that follow one another are read by a subtraction and written by an addition; any other ten
        // symbols go by `SymbolCodec`.
        let consecutive = symbols.bytes()[..10]
            .iter()
            .zip(zero..)
            .all(|(symbol, expected)| *symbol == expected);
        let longest = lengths[0].max(lengths[1]);
        if symbols.radix() != 10 || !consecutive || longest > 19 {
            return None;
        }
        let n = lengths[0] + lengths[1];
        let packed = longest <= 9;
        let none = ByteTable([0; 64]);
        let mut codec = Self {
            n,
            zero,
            reach: match longest {
                // The furthest 64 bytes: of the last four rows; of their second half; of the last row alone.
                ..=8 => 60 * n + 64,
                9 => 62 * n + 64,
                _ => 63 * n + 64,
            },
            longest,
            gather: none,
            filled: 0,
            gather_tops: [none; 4],
            filled_tops: [0; 4],
            scatter: [none; 8],
            scatter_tops: [none; 4],
            tops: 0,
            tens: [none; 2],
            ones: [none; 2],
        };
        // Both digits of a pair are looked up with the character for 0 added: no further step makes characters of
        // them.
        for pair in 0..100 {
            codec.tens[pair / 64].0[pair % 64] = zero + pair as u8 / 10;
            codec.ones[pair / 64].0[pair % 64] = zero + pair as u8 % 10;
        }
        let places = (0..2).flat_map(|half| (0..lengths[half]).map(move |place| (half, place)));
        for (half, place) in places {
            let at = half * lengths[0] + place;
            let up = if least_first { place } else { lengths[half] - 1 - place }; // the digit's power of ten
            if packed {
                codec.place_packed(half, at, up);
            } else {
                codec.place_wide(half, at, up);
            }
        }
        Some(codec)
    }

    /// Four rows fill a register, a slot each: the left half and the right half.
    fn place_packed(&mut self, half: usize, at: usize, up: usize) {
        // Slots have the digits of a half at their right end, most significant first; the bytes to their left are
        // cleared by `filled` and count as zeros.
        for row in 0..4 {
            // Two registers bring what is more than 64 bytes: the first and the last 64 of them.
            let place = row * self.n + at;
            let from = if place < 64 { place } else { place + 128 - 4 * self.n };
            if up < 8 {
                let slot = 16 * row + 8 * half + 7 - up;
                self.gather.0[slot] = from as u8;
                self.filled |= 1 << slot;
                if self.longest < 9 {
                    self.scatter[0].0[place] = slot as u8;
                }
            }
            if self.longest == 9 {
                // A ninth digit has no place in its eight. It is read into the lane of 32 bits where its row's
                // halves come out: `four` counts the loads, of four rows each.
                for four in 0..4 {
                    // The register of tops has a row's two in the lane where its halves have it.
                    let lane = 16 * row + 4 * four;
                    if up == 8 {
                        self.gather_tops[four].0[lane + 2 * half] = from as u8;
                        self.filled_tops[four] |= 1 << (lane + 2 * half);
                    }
                    let source = match up {
                        8 => 64 + lane + half,
                        _ => 16 * row + 8 * half + 7 - up,
                    };
                    self.scatter[2 * four + row / 2].0[row % 2 * self.n + at] = source as u8;
                }
            }
        }
    }

    /// Two rows fill a register: the slots of their left halves, then those of their right halves.
    fn place_wide(&mut self, half: usize, at: usize, up: usize) {
        for row in 0..2 {
            let (slot, from) = (16 * (2 * half + row), 64 * row + at);
            if up < 16 {
                self.gather.0[slot + 15 - up] = from as u8;
                self.filled |= 1 << (slot + 15 - up);
            } else {
                // Three tops at most: `join` makes one number of their 32 bits. `odd` tells rows 1 and 3 from rows
                // 0 and 2, beside which they stand.
                for odd in 0..2 {
                    let byte = slot + 8 * odd + 3 - (up - 16);
                    self.gather_tops[odd].0[byte] = from as u8;
                    self.filled_tops[odd] |= 1 << byte;
                }
            }
        }
        for lane in 0..4 {
            if up < 16 {
                // For stores the two halves of a row come from two registers, those of the left and of the right
                // halves: hence 64·half.
                self.scatter[lane].0[at] = (64 * half + 16 * lane + 15 - up) as u8;
            } else {
                self.scatter_tops[lane].0[at] = (16 * lane + 8 * half + 7 - (up - 16)) as u8;
                self.tops |= 1 << at;
            }
        }
    }
}

/// Takes rows from `input` through all rounds to `output`, which is as long; `false` if a byte is no digit, or
/// there is no code for the shape.
pub(crate) fn run(
    schedule: &Schedule,
    params: &Params512,
    codec: &DecimalCodec512,
    direction: Direction,
    prefixes: PrefixSource<'_>,
    (input, output): (&[u8], &mut [u8]),
) -> bool {
    use Layout512::{Packed, PackedReversed, Twelve};
    use ReductionIfma::{Once, Short, Tiny, Twice, Wide};
    assert!(available(), "this kernel was chosen on another processor");
    assert!(input.len() == output.len() && input.len().is_multiple_of(codec.n));
    macro_rules! rows_by {
        ($layout:ident, $reduction:ident, $registers:literal, $tops:literal) => {{
            const LAYOUT: u8 = $layout as u8;
            const REDUCTION: u8 = $reduction as u8;
            // SAFETY: `available` has found the features.
            unsafe {
                match direction {
                    Direction::Encrypt => all_rows::<true, LAYOUT, REDUCTION, $registers, $tops>(
                        schedule, params, codec, prefixes, input, output,
                    ),
                    Direction::Decrypt => all_rows::<false, LAYOUT, REDUCTION, $registers, $tops>(
                        schedule, params, codec, prefixes, input, output,
                    ),
                }
            }
        }};
    }
    match (params.layout, params.reduction, codec.longest) {
        // 10^9 < 2^30 < 10^10: nine digits are the most that are packed. `Tiny` is for a half of up to three
        // digits, 10^3 ≤ 2^12.
        (Packed, Tiny, ..=8) => rows_by!(Packed, Tiny, 2, 0),
        (Packed, Short, ..=8) => rows_by!(Packed, Short, 2, 0),
        (Packed, Short, 9) => rows_by!(Packed, Short, 2, 1),
        (PackedReversed, Tiny, ..=8) => rows_by!(PackedReversed, Tiny, 2, 0),
        (PackedReversed, Short, ..=8) => rows_by!(PackedReversed, Short, 2, 0),
        (PackedReversed, Short, 9) => rows_by!(PackedReversed, Short, 2, 1),
        // From ten digits on b is 5 to 8 bytes, hence d = 12.
        (Twelve, Twice, 10..=16) => rows_by!(Twelve, Twice, 4, 0),
        (Twelve, Once, 10..=16) => rows_by!(Twelve, Once, 4, 0),
        (Twelve, Once, 17..=18) => rows_by!(Twelve, Once, 4, 2),
        (Twelve, Wide, 17..=19) => rows_by!(Twelve, Wide, 4, 3),
        _ => false,
    }
}

/// True if [`run`] has code for a shape.
pub(crate) fn covers(params: &Params512, codec: &DecimalCodec512) -> bool {
    use Layout512::{Packed, PackedReversed, Twelve};
    use ReductionIfma::{Once, Short, Tiny, Twice, Wide};
    matches!(
        (params.layout, params.reduction, codec.longest),
        (Packed | PackedReversed, Tiny, ..=8)
            | (Packed | PackedReversed, Short, ..=9)
            | (Twelve, Twice, 10..=16)
            | (Twelve, Once, 10..=18)
            | (Twelve, Wide, 17..=19)
    )
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi,vaes")]
fn all_rows<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8, const H: usize, const TOPS: usize>(
    schedule: &Schedule,
    params: &Params512,
    codec: &DecimalCodec512,
    mut prefixes: PrefixSource<'_>,
    input: &[u8],
    output: &mut [u8],
) -> bool
where
    for<'a> DecimalText512<'a, TOPS>: HalvesIo512<H>,
{
    let rows = input.len() / codec.n;
    let (mut last_in, mut last_out, mut last_tweaks) = (Vec::new(), Vec::new(), Vec::new());
    let shared = match prefixes {
        PrefixSource::Shared(prefixes) => prefixes,
        _ => &Prefixes::Shared([0; 2]),
    };
    // SAFETY: this function is compiled for the features of `available`; what is loaded and stored reaches no
    // further than the slices they are given.
    unsafe {
        let mut prepared = PrefixBlocks512::new::<LAYOUT>(schedule, shared);
        let mut most = _mm512_setzero_si512();
        // 64 rows a pass, the two groups of `rounds`. No address and no branch depends on a digit.
        for start in (0..rows).step_by(LANES) {
            let count = LANES.min(rows - start);
            match &mut prefixes {
                PrefixSource::Shared(_) => {}
                PrefixSource::Packed(all) => {
                    let mut bytes = &all.bytes[start * all.length..];
                    if count < LANES {
                        last_tweaks.extend_from_slice(bytes);
                        last_tweaks.resize(LANES * all.length, 0);
                        bytes = &last_tweaks;
                    }
                    prepared.set_packed(schedule, PackedTweaks { bytes, ..*all });
                    if H == 2 {
                        prepared.transpose::<LAYOUT>();
                    }
                }
                PrefixSource::Each(prefixes) => {
                    prepared = PrefixBlocks512::new::<LAYOUT>(schedule, &prefixes(start..start + count));
                    if H == 2 {
                        prepared.transpose::<LAYOUT>();
                    }
                }
            }
            let (begin, end) = (start * codec.n, (start + count) * codec.n);
            // What is in no cache yet would hold up its rows: the processor by itself does not read on beyond a
            // page. What is asked for need not be there.
            let ahead = input.as_ptr().wrapping_add(begin + AHEAD);
            for line in (0..LANES * codec.n).step_by(64) {
                _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(line).cast());
            }
            // Whole registers are read and written, also beyond the 64 rows: what is there belongs to rows that
            // come later. The last rows go by way of buffers that are long enough.
            if begin + codec.reach <= input.len() {
                let (input, output) = (&input[begin..], &mut output[begin..]);
                let mut ends = DecimalText512::<TOPS> {
                    codec,
                    input,
                    output,
                    most,
                };
                rounds::<ENCRYPT, LAYOUT, REDUCTION, H>(schedule, params, &prepared, &mut ends);
                most = ends.most;
            } else {
                last_in.clear();
                last_in.extend_from_slice(&input[begin..end]);
                // The rows beyond the last are numbers, all zeros: valid digits, which `most` does not count as
                // others.
                last_in.resize(codec.reach, codec.zero);
                last_out.resize(codec.reach, 0);
                let mut ends = DecimalText512::<TOPS> {
                    codec,
                    input: &last_in,
                    output: &mut last_out,
                    most,
                };
                rounds::<ENCRYPT, LAYOUT, REDUCTION, H>(schedule, params, &prepared, &mut ends);
                most = ends.most;
                output[begin..end].copy_from_slice(&last_out[..end - begin]);
            }
        }
        // One comparison for the whole text. The result of text with other bytes is computed all the same and is of
        // no use.
        _mm512_cmpgt_epu8_mask(most, _mm512_set1_epi8(9)) == 0
    }
}

/// The text of 64 rows: both slices are at least as long as the codec reaches.
struct DecimalText512<'a, const TOPS: usize> {
    codec: &'a DecimalCodec512,
    input: &'a [u8],
    output: &'a mut [u8],
    /// The highest digit so far, in each byte.
    most: Z,
}

/// Halves of up to 8 digits, or 9 with `TOPS` = 1. The 16 rows of a register stand in the order 0, 4, 8,
/// 12, 1, 5, …
impl<const TOPS: usize> HalvesIo512<2> for DecimalText512<'_, TOPS> {
    #[inline(always)]
    unsafe fn load(&mut self, group: usize, k: usize) -> [Z; 2] {
        let codec = self.codec;
        // SAFETY: the caller promises the features of `available`; the codec reaches all that is read.
        unsafe {
            let zero = _mm512_set1_epi8(codec.zero as i8);
            // Four registers of text of four rows each become one register of left halves and one of right ones.
            let mut fours = [_mm512_setzero_si512(); 4];
            let mut tops = _mm512_setzero_si512();
            for j in 0..4 {
                let rows = self.input.as_ptr().add((32 * group + 16 * k + 4 * j) * codec.n);
                // Four rows of up to 18 digits: 64 bytes from the first one on hold up to 16 of each, and with 9
                // digits a half the last 64 bytes hold the others.
                let first = _mm512_loadu_si512(rows.cast());
                let bytes = if TOPS > 0 {
                    let last = _mm512_loadu_si512(rows.add(4 * codec.n - 64).cast());
                    let top = table(&codec.gather_tops[j]);
                    let top = _mm512_maskz_permutex2var_epi8(codec.filled_tops[j], first, top, last);
                    tops = _mm512_or_si512(tops, top);
                    // Index bit 6 chooses between the two loads.
                    _mm512_permutex2var_epi8(first, table(&codec.gather), last)
                } else {
                    // Up to 16 digits a row: four rows are in 64 bytes, and the permutation of one register is the
                    // cheaper one.
                    _mm512_permutexvar_epi8(table(&codec.gather), first)
                };
                // A byte below '0' wraps to 208 or more, so that one maximum for all rows finds both kinds of other
                // bytes.
                let digits = _mm512_maskz_sub_epi8(codec.filled, bytes, zero);
                self.most = _mm512_max_epu8(self.most, digits);
                fours[j] = join(digits);
            }
            let (a, b) = (join_fours(fours[0], fours[1]), join_fours(fours[2], fours[3]));
            // In each 128 bits a slot's two eights are neighbours: left, right. One shuffle of two registers takes
            // the left ones of all 16 rows, another the right ones; rows then stand in the order 0, 4, 8, 12, 1, …,
            // which `transpose` gives to prefixes, too.
            let (a, b) = (_mm512_castsi512_ps(a), _mm512_castsi512_ps(b));
            let mut left = _mm512_castps_si512(_mm512_shuffle_ps::<0b10_00_10_00>(a, b));
            let mut right = _mm512_castps_si512(_mm512_shuffle_ps::<0b11_01_11_01>(a, b));
            if TOPS > 0 {
                let filled = codec.filled_tops[0] | codec.filled_tops[1] | codec.filled_tops[2] | codec.filled_tops[3];
                let tops = _mm512_maskz_sub_epi8(filled, tops, zero);
                self.most = _mm512_max_epu8(self.most, tops);
                // Top·10^8 + eight < 10^9 < 2^30: 32 bits hold it.
                let weight = _mm512_set1_epi32(EIGHT as i32);
                // A lane has the left half's top in its lower 16 bits and the right half's in the upper.
                let left_tops = _mm512_maskz_mov_epi16(0x5555_5555, tops);
                let right_tops = _mm512_srli_epi32::<16>(tops);
                left = _mm512_add_epi32(left, _mm512_mullo_epi32(left_tops, weight));
                right = _mm512_add_epi32(right, _mm512_mullo_epi32(right_tops, weight));
            }
            [left, right]
        }
    }

    #[inline(always)]
    unsafe fn store(&mut self, group: usize, k: usize, [left, right]: [Z; 2]) {
        let codec = self.codec;
        // SAFETY: the caller promises the features of `available`; the codec reaches all that is written. What is
        // written beyond the rows is written again with what belongs there.
        unsafe {
            let (left, left_tops) = split::<TOPS>(codec, left);
            let (right, right_tops) = split::<TOPS>(codec, right);
            // The inverse of that shuffle: eights of left and right halves side by side, four rows to a register.
            let slots = [
                _mm512_unpacklo_epi64(left[0], right[0]),
                _mm512_unpackhi_epi64(left[0], right[0]),
                _mm512_unpacklo_epi64(left[1], right[1]),
                _mm512_unpackhi_epi64(left[1], right[1]),
            ];
            // Tops are single digits, a byte each, so that both halves' share a lane and one addition makes
            // characters of them.
            let tops = _mm512_or_si512(left_tops, _mm512_slli_epi32::<8>(right_tops));
            let tops = _mm512_add_epi8(tops, _mm512_set1_epi8(codec.zero as i8));
            for j in 0..4 {
                let row = 32 * group + 16 * k + 4 * j;
                let to = self.output.as_mut_ptr().add(row * codec.n);
                if TOPS > 0 {
                    // Four rows of 17 or 18 digits are more than 64 bytes: two stores of two rows, the second over
                    // what the first has written too much.
                    let first = _mm512_permutex2var_epi8(slots[j], table(&codec.scatter[2 * j]), tops);
                    let second = _mm512_permutex2var_epi8(slots[j], table(&codec.scatter[2 * j + 1]), tops);
                    _mm512_storeu_si512(to.cast(), first);
                    _mm512_storeu_si512(to.add(2 * codec.n).cast(), second);
                } else {
                    let rows = _mm512_permutexvar_epi8(table(&codec.scatter[0]), slots[j]);
                    _mm512_storeu_si512(to.cast(), rows);
                }
            }
        }
    }
}

/// Halves of 10 to 19 digits, up to `TOPS` of them more than 16.
impl<const TOPS: usize> HalvesIo512<4> for DecimalText512<'_, TOPS> {
    #[inline(always)]
    unsafe fn load(&mut self, group: usize, k: usize) -> [Z; 2] {
        let codec = self.codec;
        // SAFETY: the caller promises the features of `available`; the codec reaches all that is read.
        unsafe {
            let zero = _mm512_set1_epi8(codec.zero as i8);
            // A row has 19 to 38 digits: two loads, the second two rows further on, bring two rows to a register, a
            // slot for each of their four halves.
            let mut quads = [_mm512_setzero_si512(); 2];
            for quad in 0..2 {
                let mut fours = [_mm512_setzero_si512(); 2];
                let mut tops = _mm512_setzero_si512();
                for odd in 0..2 {
                    // Rows 0 and 2 of four, then 1 and 3.
                    let row = 32 * group + 8 * k + 4 * quad + odd;
                    let rows = self.input.as_ptr().add(row * codec.n);
                    let first = _mm512_loadu_si512(rows.cast());
                    let second = _mm512_loadu_si512(rows.add(2 * codec.n).cast());
                    let bytes = _mm512_permutex2var_epi8(first, table(&codec.gather), second);
                    let digits = _mm512_maskz_sub_epi8(codec.filled, bytes, zero);
                    self.most = _mm512_max_epu8(self.most, digits);
                    fours[odd] = join(digits);
                    if TOPS > 0 {
                        let top = table(&codec.gather_tops[odd]);
                        let top = _mm512_maskz_permutex2var_epi8(codec.filled_tops[odd], first, top, second);
                        tops = _mm512_or_si512(tops, top);
                    }
                }
                // Of each half: the upper eight, the lower eight. One product of 32 bits joins them in the 64 bits
                // they share.
                // Packing brings rows 0 and 2 beside 1 and 3, so that the lanes of 64 bits come in the order of
                // rows.
                let eights = join_fours(fours[0], fours[1]);
                let upper = _mm512_mul_epu32(eights, _mm512_set1_epi64(EIGHT.into()));
                let mut halves = _mm512_add_epi64(upper, _mm512_srli_epi64::<32>(eights));
                if TOPS > 0 {
                    let filled = codec.filled_tops[0] | codec.filled_tops[1];
                    let tops = _mm512_maskz_sub_epi8(filled, tops, zero);
                    self.most = _mm512_max_epu8(self.most, tops);
                    // At most 999·10^16 + 10^16 − 1 < 10^19 < 2^64. The product needs 64 bits, hence mullo_epi64.
                    let weight = _mm512_set1_epi64(i64::from(EIGHT) * i64::from(EIGHT));
                    halves = _mm512_add_epi64(halves, _mm512_mullo_epi64(join(tops), weight));
                }
                quads[quad] = halves;
            }
            [
                // The lower halves of both quads are left halves of rows, the upper ones right halves.
                _mm512_inserti64x4::<1>(quads[0], _mm512_castsi512_si256(quads[1])),
                _mm512_shuffle_i64x2::<0b11_10_11_10>(quads[0], quads[1]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store(&mut self, group: usize, k: usize, [left, right]: [Z; 2]) {
        let codec = self.codec;
        // SAFETY: as for `HalvesIo512<2>`.
        unsafe {
            // First the digits beyond 16, then two eights a half, then both digits of all pairs.
            let (left, left_tops) = split_wide::<TOPS>(left);
            let (right, right_tops) = split_wide::<TOPS>(right);
            let (left, _) = split::<0>(codec, left);
            let (right, _) = split::<0>(codec, right);
            let mut tops = [_mm512_setzero_si512(); 2];
            if TOPS > 0 {
                let both = _mm512_or_si512(left_tops, _mm512_slli_epi64::<32>(right_tops));
                // Tops are below 1,000 and fill 32 bits of a lane each: one split makes digits of those of both
                // halves.
                (tops, _) = split::<0>(codec, both);
            }
            for lane in 0..4 {
                for odd in 0..2 {
                    let row = 32 * group + 8 * k + 2 * lane + odd;
                    let scatter = table(&codec.scatter[lane]);
                    // One row at a time: the next one stands in other registers, so that no permutation of two
                    // could bring both.
                    let mut bytes = _mm512_permutex2var_epi8(left[odd], scatter, right[odd]);
                    if TOPS > 0 {
                        let scatter = table(&codec.scatter_tops[lane]);
                        bytes = _mm512_mask_permutexvar_epi8(bytes, codec.tops, scatter, tops[odd]);
                    }
                    let to = self.output.as_mut_ptr().add(row * codec.n);
                    // A store of 64 bytes touches two cache lines nearly always.
                    if codec.n <= 32 {
                        _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(bytes));
                    } else {
                        _mm512_storeu_si512(to.cast(), bytes);
                    }
                }
            }
        }
    }
}

/// Digits to fours, in 32 bits.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn join(digits: Z) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // The first factor is unsigned, the second signed. Sums of 16 bits are saturated, but even 255·10 + 255, of
        // bytes that are no digits, is far from that.
        let pairs = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(0x01_0a));
        // The lower 16 bits hold the more significant pair: its weight is 100, the other's 1.
        _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_0064))
    }
}

/// Fours to eights, in 32 bits: of each 16 bytes those of `a`, then those of `b`.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn join_fours(a: Z, b: Z) -> Z {
    // Fours are below 10^4 < 2^15, so that packing does not saturate and madd's signed factors are right.
    // SAFETY: the caller promises the features of `available`.
    unsafe { _mm512_madd_epi16(_mm512_packus_epi32(a, b), _mm512_set1_epi32(1 << 16 | FOUR as i32)) }
}

/// The digits of numbers below 10^8: of each 16 bytes those of the first two, and those of the last two. With
/// `TOPS` numbers are below 10^9, and their first digit comes apart.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn split<const TOPS: usize>(codec: &DecimalCodec512, x: Z) -> ([Z; 2], Z) {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // e = 1,168, and 10^9·1,168 < 2^45.
        let mu = _mm512_set1_epi64((1i64 << 45) / i64::from(FOUR) + 1);
        // µ < 2^32 and x < 10^9 < 2^30: the product fits 64 bits. There is no upper half of a product of 32 bits by
        // 32, so even and odd lanes are multiplied apart; the shift by 13 leaves the odd quotients in the upper 32
        // bits, where the mask takes them.
        let even = _mm512_srli_epi64::<45>(_mm512_mul_epu32(x, mu));
        let odd = _mm512_srli_epi64::<13>(_mm512_mul_epu32(_mm512_srli_epi64::<32>(x), mu));
        let q = _mm512_mask_mov_epi32(even, 0xAAAA, odd);
        // The quotient in the lower 16 bits, the remainder in the upper ones.
        let less = _mm512_set1_epi32(1i32.wrapping_sub((FOUR << 16) as i32));
        // x·2^16 + q·(1 − 10^4·2^16) = q + (x − 10^4·q)·2^16, modulo 2^32: one product for the remainder and its
        // place. The first four comes first in memory, too.
        let mut fours = _mm512_add_epi32(_mm512_slli_epi32::<16>(x), _mm512_mullo_epi32(q, less));
        let mut top = _mm512_setzero_si512();
        if TOPS > 0 {
            // ⌊⌊q/16⌋/625⌋ for q < 10^5: e = 71, and 6,250·71 < 2^22.
            top = _mm512_srli_epi32::<22>(_mm512_mullo_epi32(_mm512_srli_epi32::<4>(q), _mm512_set1_epi32(6711)));
            // q < 10^5 may pass 16 bits; without top·10^4 it is below 10^4 again, and the remainder above it is as
            // it should be.
            fours = _mm512_sub_epi32(fours, _mm512_mullo_epi32(top, _mm512_set1_epi32(FOUR as i32)));
        }
        // e = 12, and 10^4·12 < 2^19.
        let q = _mm512_srli_epi16::<3>(_mm512_mulhi_epu16(fours, _mm512_set1_epi16(5243)));
        let less = _mm512_set1_epi16(1 - (100 << 8));
        // Likewise in 16 bits: the quotient below 100 in the lower byte, the remainder in the upper.
        let pairs = _mm512_add_epi16(_mm512_slli_epi16::<8>(fours), _mm512_mullo_epi16(q, less));
        // A pair below 100 is an index of seven bits into two registers: the last quotient, by 10, is a look-up.
        let tens = _mm512_permutex2var_epi8(table(&codec.tens[0]), pairs, table(&codec.tens[1]));
        let ones = _mm512_permutex2var_epi8(table(&codec.ones[0]), pairs, table(&codec.ones[1]));
        (
            [_mm512_unpacklo_epi8(tens, ones), _mm512_unpackhi_epi8(tens, ones)],
            top,
        )
    }
}

/// The upper and the lower eight of each half, as 32 bits each, and what is above them, up to `TOPS` digits.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn split_wide<const TOPS: usize>(x: Z) -> (Z, Z) {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // A macro, as a closure might be called.
        macro_rules! product {
            ($t:expr, $mu:expr) => {
                _mm512_madd52hi_epu64(_mm512_setzero_si512(), $t, _mm512_set1_epi64($mu as i64))
            };
        }
        // Factors of two come out of the divisor first: 10^16 = 2^16·5^16, and a shift divides by 2^16 exactly. So
        // both factors fit the 52 bits of IFMA.
        let (mut x, mut tops) = (x, _mm512_setzero_si512());
        if TOPS > 0 {
            // ⌊⌊x/2^16⌋/5^16⌋ for x < 10^19: e < 5^16, and 10^19/2^16·5^16 < 2^88.
            let mu = ((1u128 << 88) / 5u128.pow(16) + 1) as u64;
            tops = _mm512_srli_epi64::<36>(product!(_mm512_srli_epi64::<16>(x), mu));
            let sixteen = _mm512_set1_epi64(i64::from(EIGHT) * i64::from(EIGHT));
            x = _mm512_sub_epi64(x, _mm512_mullo_epi64(tops, sixteen));
        }
        // ⌊⌊x/2^8⌋/5^8⌋ for x < 10^16: e = 24,701, and 10^16/2^8·24,701 < 2^70.
        let mu = ((1u128 << 70) / 390_625 + 1) as u64;
        let upper = _mm512_srli_epi64::<18>(product!(_mm512_srli_epi64::<8>(x), mu));
        // Only its lower 32 bits matter.
        let lower = _mm512_sub_epi64(x, _mm512_mul_epu32(upper, _mm512_set1_epi64(EIGHT.into())));
        (
            // Both eights are below 10^8 < 2^27: the upper one in the lower 32 bits, so that digits come out in the
            // order of the text.
            _mm512_mask_mov_epi32(upper, 0xAAAA, _mm512_slli_epi64::<32>(lower)),
            tops,
        )
    }
}

#[cfg(test)]
mod tests {
    /// ⌊⌊x/2^a⌋·µ/2^w⌋ = ⌊⌊x/2^a⌋/d⌋ for all x < `below`, with µ = ⌊2^w/d⌋ + 1: at the worst x, the last ones
    /// before a multiple of d.
    fn tried(below: u128, a: u32, d: u128, w: u32) {
        let mu = (1u128 << w) / d + 1;
        let last = (below - 1) >> a;
        assert!(last * (mu * d - (1 << w)) < 1 << w, "the bound");
        assert!(w < 52 || mu < 1 << 52 && last < 1 << 52, "what IFMA multiplies");
        let worst = last / d * d;
        for x in [0, 1, d - 1, d, worst.saturating_sub(1), worst, last] {
            assert_eq!((x * mu) >> w, x / d, "{x}/{d}");
        }
    }

    #[test]
    fn quotients_are_exact_at_the_worst_numbers() {
        tried(10u128.pow(9), 0, 10u128.pow(4), 45);
        tried(10u128.pow(5), 4, 625, 22);
        tried(10u128.pow(4), 0, 100, 19);
        tried(10u128.pow(19), 16, 5u128.pow(16), 88);
        tried(10u128.pow(16), 8, 5u128.pow(8), 70);
        assert_eq!(((1u64 << 22) / 625 + 1, (1u64 << 19) / 100 + 1), (6711, 5243));
    }
}
