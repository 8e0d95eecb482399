//! Decimal digits to halves in registers and back, in AVX2: text goes straight into the rounds and out of it.
//!
//! ```text
//! load, for each pair of rows (one in each lane):
//!     digits ← shuffle(text − '0', gather)        both halves' digits to their slots
//!     pairs ← 10·a + b of neighbours              maddubs
//!     fours ← 100·a + b of neighbours             madd
//!     eights ← 10^4·a + b of neighbours           packus of two registers, madd
//!     left, right ← even and odd lanes of eights
//! store: the inverse; quotients by 10^4, 100 and 10, each with its remainder at its side
//! ```
//!
//! Registers, of 16: text and digits of two rows, fours of two pairs, eights of two fours, the highest digit so
//! far, the halves done (two, or four with VAES), and the tables gather and '0'. All of this happens in the midst
//! of the other group's AES, whose blocks take eight: some of it waits in memory.
//!
//! The two halves of a row, of up to 8 digits each, are the two 8-byte halves of its *slot* in a lane, each filled
//! up with zeros on its left. Reading joins digits to pairs, fours and eights by multiplying and adding neighbours.
//! Writing splits an eight in two fours, each of these in two pairs, and each of these in two digits. The quotients
//! are ⌊x·µ/2^w⌋ with µ = ⌈2^w/D⌉ = (2^w + e)/D, which is ⌊x/D⌋ for all x with x·e < 2^w (Granlund and Montgomery
//! 1994, theorem 4.2); each is tried at its worst x in the tests.

#![expect(
    clippy::needless_range_loop,
    reason = "an index says which rows a register holds, not only where it stands"
)]

use std::arch::x86_64::*;

use cipherform_ascii::Symbols;

use crate::arith::reduce_fma::ReductionFma;
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;
use crate::kernels::aes::{AesNi256, AesUnit, Vaes256};
use crate::kernels::avx2::params::{Layout256, Params256};
use crate::kernels::avx2::prefixes::PrefixBlocks256;
use crate::kernels::avx2::registers::{ROWS, Y, broadcast};
use crate::kernels::avx2::rounds::{HalvesIo256, rounds};
use crate::kernels::prefix_source::{PackedTweaks, PrefixSource};
use crate::kernels::schedule::Schedule;
use crate::spec::types::Direction;

use crate::kernels::avx2::params::widest;

/// 10^4.
const FOUR: i32 = 10_000;

/// Rows whose prefixes are prepared together, in sixteens: so many that filling the two groups costs little, so few
/// that their prefixes stay in the first-level cache.
const SIXTEENS: usize = 16;

/// Reads and writes rows of one shape.
pub(crate) struct DecimalCodec256 {
    n: usize,
    /// The character for 0; those for 1 to 9 follow.
    zero: u8,
    /// The source of each digit of a slot.
    gather: [u8; 16],
    /// The source of each digit of a row.
    scatter: [u8; 16],
}

impl DecimalCodec256 {
    /// For rows whose halves have `lengths` digits, read from their least significant one on if `least_first`;
    /// `None` if other code must do it.
    pub(crate) fn new(symbols: &Symbols, lengths: [usize; 2], least_first: bool) -> Option<Self> {
        let zero = symbols.bytes()[0];
        // Digits that follow one another are read by a subtraction and written by an addition, without a table.
        let consecutive = symbols.bytes()[..10]
            .iter()
            .zip(zero..)
            .all(|(symbol, expected)| *symbol == expected);
        if symbols.radix() != 10 || !consecutive || lengths[0].max(lengths[1]) > 8 {
            return None;
        }
        let mut codec = Self {
            n: lengths[0] + lengths[1],
            zero,
            // 0x80 makes a zero: digits that a half lacks on its left count nothing.
            gather: [0x80; 16],
            scatter: [0x80; 16],
        };
        let places = (0..2).flat_map(|half| (0..lengths[half]).map(move |place| (half, place)));
        for (half, place) in places {
            let at = half * lengths[0] + place;
            let up = if least_first { place } else { lengths[half] - 1 - place }; // the digit's power of ten
            // Most significant first, at the right end of each eight bytes.
            let slot = 8 * half + 7 - up;
            codec.gather[slot] = at as u8;
            codec.scatter[at] = slot as u8;
        }
        Some(codec)
    }

    /// Bytes from the start of `rows` rows that are read and written, some of which belong to what comes after them.
    fn reach(&self, rows: usize) -> usize {
        // Every row is read and written as 16 bytes, whatever its length; the last one reaches furthest.
        (rows - 1) * self.n + 16
    }
}

/// Takes rows from `input` through all rounds to `output`, which is as long; `false` if a byte is no digit.
pub(crate) fn run(
    schedule: &Schedule,
    params: &Params256,
    codec: &DecimalCodec256,
    direction: Direction,
    prefixes: PrefixSource<'_>,
    (input, output): (&[u8], &mut [u8]),
) -> bool {
    assert!(input.len() == output.len() && input.len().is_multiple_of(codec.n));
    let per_row = !matches!(prefixes, PrefixSource::Shared(_));
    macro_rules! rows {
        ($layout:ident, $reduction:ident) => {{
            const LAYOUT: u8 = Layout256::$layout as u8;
            const REDUCTION: u8 = ReductionFma::$reduction as u8;
            macro_rules! with {
                ($rows:ident, $encrypt:literal, $per_row:literal) => {
                    $rows::<$encrypt, $per_row, LAYOUT, REDUCTION>(schedule, params, codec, prefixes, input, output)
                };
            }
            // SAFETY: `available` has found the features.
            unsafe {
                widest!(
                    params,
                    match (direction, per_row) {
                        (Direction::Encrypt, false) => with!(rows_vaes, true, false),
                        (Direction::Encrypt, true) => with!(rows_vaes, true, true),
                        (Direction::Decrypt, false) => with!(rows_vaes, false, false),
                        (Direction::Decrypt, true) => with!(rows_vaes, false, true),
                    },
                    match (direction, per_row) {
                        (Direction::Encrypt, false) => with!(rows_aes, true, false),
                        (Direction::Encrypt, true) => with!(rows_aes, true, true),
                        (Direction::Decrypt, false) => with!(rows_aes, false, false),
                        (Direction::Decrypt, true) => with!(rows_aes, false, true),
                    }
                )
            }
        }};
    }
    // Powers of ten up to 10^8 are of two classes.
    match (params.layout, params.reduction) {
        // `Short` takes 10^5 to 10^8, `Tiny` is for shapes with a shorter half; powers of ten are no powers of two.
        (Layout256::Eight, ReductionFma::Tiny) => rows!(Eight, Tiny),
        (Layout256::Eight, _) => rows!(Eight, Short),
        (Layout256::Reversed, ReductionFma::Tiny) => rows!(Reversed, Tiny),
        (Layout256::Reversed, _) => rows!(Reversed, Short),
    }
}

#[target_feature(enable = "avx2,fma,aes,vaes")]
fn rows_vaes<const ENCRYPT: bool, const PER_ROW: bool, const LAYOUT: u8, const REDUCTION: u8>(
    schedule: &Schedule,
    params: &Params256,
    codec: &DecimalCodec256,
    prefixes: PrefixSource<'_>,
    input: &[u8],
    output: &mut [u8],
) -> bool {
    // SAFETY: this function is compiled for the features of the unit and of `available`.
    unsafe { rows::<Vaes256, ENCRYPT, PER_ROW, LAYOUT, REDUCTION, 2>(schedule, params, codec, prefixes, input, output) }
}

#[target_feature(enable = "avx2,fma,aes")]
fn rows_aes<const ENCRYPT: bool, const PER_ROW: bool, const LAYOUT: u8, const REDUCTION: u8>(
    schedule: &Schedule,
    params: &Params256,
    codec: &DecimalCodec256,
    prefixes: PrefixSource<'_>,
    input: &[u8],
    output: &mut [u8],
) -> bool {
    // SAFETY: this function is compiled for the features of the unit and of `available`.
    unsafe {
        rows::<AesNi256, ENCRYPT, PER_ROW, LAYOUT, REDUCTION, 1>(schedule, params, codec, prefixes, input, output)
    }
}

/// Takes rows of text through all rounds, with one unit; `false` if a byte is no digit.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx2::params::available) and of `U`.
#[inline(always)]
unsafe fn rows<
    U: AesUnit<Register = Y>,
    const ENCRYPT: bool,
    const PER_ROW: bool,
    const LAYOUT: u8,
    const REDUCTION: u8,
    const H: usize,
>(
    schedule: &Schedule,
    params: &Params256,
    codec: &DecimalCodec256,
    mut prefixes: PrefixSource<'_>,
    input: &[u8],
    output: &mut [u8],
) -> bool {
    let n = codec.n;
    let count = input.len() / n;
    let shared = match prefixes {
        PrefixSource::Shared(prefixes) => prefixes,
        _ => &Prefixes::Shared([0; 2]),
    };
    // SAFETY: the caller promises the features of `available`; what is loaded and stored reaches no further than
    // the slices they are given.
    unsafe {
        // 8 KiB: two parities of 16 times 8 registers, of which FF1 uses the first half.
        let mut prepared = PrefixBlocks256::<SIXTEENS>::new::<LAYOUT>(schedule, shared);
        let mut most = _mm256_setzero_si256();
        let mut start = 0;
        while start < count {
            // So many whole groups of `LANES` rows that what they reach is there, together as far as they share
            // their prefixes or these are prepared together; then rows that are the last with room behind them.
            let whole = (count - start) / LANES * LANES;
            // With shared prefixes nothing is prepared, and all rows go through in one run.
            let mut rows = if PER_ROW { whole.min(16 * SIXTEENS) } else { whole };
            // One step at most: a row reaches less than 16 bytes beyond its end, and 64 rows have more.
            while rows > 0 && start * n + codec.reach(rows) > input.len() {
                rows -= LANES;
            }
            let there = rows > 0;
            // Too few bytes behind the last rows: these go by way of buffers that are long enough.
            if !there {
                rows = (count - start).min(LANES);
            }
            match &mut prefixes {
                PrefixSource::Shared(_) => {}
                PrefixSource::Packed(all) => {
                    let length = all.length;
                    // Prefixes are prepared for whole groups of 64 rows; the tweaks that are missing are zeros, and
                    // their results are not used.
                    let whole_rows = rows.next_multiple_of(LANES);
                    let reach = PrefixBlocks256::<SIXTEENS>::reach(whole_rows, all);
                    let (mut last, mut bytes) = (Vec::new(), &all.bytes[start * length..]);
                    if bytes.len() < reach {
                        last.extend_from_slice(&bytes[..rows * length]);
                        last.resize(reach, 0);
                        bytes = &last;
                    }
                    prepared.set_packed::<U>(schedule, PackedTweaks { bytes, ..*all }, whole_rows);
                }
                PrefixSource::Each(prefixes) => {
                    for at in (0..rows).step_by(LANES) {
                        let these = start + at..start + rows.min(at + LANES);
                        prepared.set::<LAYOUT>(schedule, &prefixes(these), at);
                    }
                }
            }
            let (begin, end) = (start * n, (start + rows) * n);
            let (mut last_in, mut last_out) = (Vec::new(), Vec::new());
            if !there {
                last_in.extend_from_slice(&input[begin..end]);
                // Rows of zeros, which are valid digits, follow the last rows.
                last_in.resize(codec.reach(LANES), codec.zero);
                last_out.resize(last_in.len(), 0);
            }
            let (from, to) = if there {
                (&input[begin..], &mut output[begin..])
            } else {
                (&last_in[..], &mut last_out[..])
            };
            // Once for the run: the check that follows covers every load and store.
            let pairs = rows.div_ceil(2 * ROWS * H);
            assert!(codec.reach(pairs * 2 * ROWS * H) <= from.len() && from.len() == to.len());
            let mut ends = DecimalText256 {
                codec,
                input: from,
                output: to,
                most,
            };
            rounds::<U, ENCRYPT, PER_ROW, LAYOUT, REDUCTION, H, SIXTEENS>(
                schedule, params, &prepared, pairs, &mut ends,
            );
            most = ends.most;
            if !there {
                output[begin..end].copy_from_slice(&last_out[..end - begin]);
            }
            start += rows;
        }
        // What is 10 or more has a bit left.
        let high = _mm256_subs_epu8(most, _mm256_set1_epi8(9));
        _mm256_testz_si256(high, high) == 1
    }
}

/// The text of a run of rows: both slices are at least as long as the codec reaches.
struct DecimalText256<'a> {
    codec: &'a DecimalCodec256,
    input: &'a [u8],
    output: &'a mut [u8],
    /// The highest digit so far, in each byte.
    most: Y,
}

impl<const H: usize> HalvesIo256<H> for DecimalText256<'_> {
    #[inline(always)]
    unsafe fn load(&mut self, group: usize) -> [[Y; H]; 2] {
        let codec = self.codec;
        // SAFETY: the caller promises the features of `available`; the codec reaches all that is read.
        unsafe {
            let (zero, gather) = (_mm256_set1_epi8(codec.zero as i8), broadcast(&codec.gather));
            let mut halves = [[_mm256_setzero_si256(); H]; 2];
            for k in 0..H {
                // Eight rows, four registers of text with two rows each, become one register of left halves and one
                // of right ones.
                let mut eights = [_mm256_setzero_si256(); 2];
                for pair in 0..2 {
                    let mut fours = [_mm256_setzero_si256(); 2];
                    for odd in 0..2 {
                        // A row, and the fourth one after it.
                        let row = ROWS * (H * group + k) + 2 * pair + odd;
                        // Each loads 16 bytes, the most that a row has; what follows a shorter row is dropped by
                        // the shuffle.
                        let low = self.input.as_ptr().add(row * codec.n);
                        let bytes = _mm256_loadu2_m128i(low.add(4 * codec.n).cast(), low.cast());
                        let digits = _mm256_shuffle_epi8(_mm256_sub_epi8(bytes, zero), gather);
                        // A byte below '0' wraps to 208 or more: one maximum for all rows finds both kinds of other
                        // bytes.
                        self.most = _mm256_max_epu8(self.most, digits);
                        let pairs = _mm256_maddubs_epi16(digits, _mm256_set1_epi16(0x01_0a));
                        fours[odd] = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_0064));
                    }
                    let fours = _mm256_packus_epi32(fours[0], fours[1]);
                    eights[pair] = _mm256_madd_epi16(fours, _mm256_set1_epi32(1 << 16 | FOUR));
                }
                // A slot's two eights are neighbours: left, right. Even parts are the left halves, odd parts the
                // right ones.
                // The rows i and i + 4 share a register, so that this order needs no move across lanes.
                let (a, b) = (_mm256_castsi256_ps(eights[0]), _mm256_castsi256_ps(eights[1]));
                halves[0][k] = _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
                halves[1][k] = _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(a, b));
            }
            halves
        }
    }

    #[inline(always)]
    unsafe fn store(&mut self, group: usize, [lefts, rights]: [[Y; H]; 2]) {
        let codec = self.codec;
        // SAFETY: the caller promises the features of `available`; the codec reaches all that is written. What is
        // written beyond a row is written again with what belongs there.
        unsafe {
            let (zero, scatter) = (_mm256_set1_epi8(codec.zero as i8), broadcast(&codec.scatter));
            for k in 0..H {
                let (left, right) = (pairs(lefts[k]), pairs(rights[k]));
                // Back to slots: the four pairs of a left half, then those of its right half, two rows to a lane.
                // All within lanes, as when loading: row i in the lower one, row i + 4 in the upper.
                let (low, high) = (_mm256_unpacklo_epi32(left, right), _mm256_unpackhi_epi32(left, right));
                let (low, high) = (digits(low), digits(high));
                let mut rows = [low[0], low[1], high[0], high[1]];
                for row in &mut rows {
                    *row = _mm256_shuffle_epi8(_mm256_add_epi8(*row, zero), scatter);
                }
                let to = self.output.as_mut_ptr().add(ROWS * (H * group + k) * codec.n);
                // In the order of rows, since each store is 16 bytes and the next row overwrites what is too much.
                for (i, row) in rows.iter().enumerate() {
                    _mm_storeu_si128(to.add(i * codec.n).cast(), _mm256_castsi256_si128(*row));
                }
                for (i, row) in rows.iter().enumerate() {
                    _mm_storeu_si128(to.add((4 + i) * codec.n).cast(), _mm256_extracti128_si256::<1>(*row));
                }
            }
        }
    }
}

/// The four pairs of digits of numbers below 10^8, a byte each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pairs(x: Y) -> Y {
    // e = 1,168, and 10^8·1,168 < 2^45.
    let mu = _mm256_set1_epi64x((1i64 << 45) / i64::from(FOUR) + 1);
    // µ < 2^32 and x < 10^8: the product fits 64 bits. There is no upper half of a product of 32 bits by 32, so
    // even and odd parts are multiplied apart; the shift by 13 leaves the odd quotients in the upper 32 bits, where
    // the blend takes them.
    let even = _mm256_srli_epi64::<45>(_mm256_mul_epu32(x, mu));
    let odd = _mm256_srli_epi64::<13>(_mm256_mul_epu32(_mm256_srli_epi64::<32>(x), mu));
    let q = _mm256_blend_epi32::<0b10_10_10_10>(even, odd);
    // The quotient in the lower 16 bits, the remainder in the upper ones.
    let less = _mm256_set1_epi32(1i32.wrapping_sub(FOUR << 16));
    // x·2^16 + q·(1 − 10^4·2^16) = q + (x − 10^4·q)·2^16, modulo 2^32: one product for the remainder and its place.
    let fours = _mm256_add_epi32(_mm256_slli_epi32::<16>(x), _mm256_mullo_epi32(q, less));
    // e = 12, and 10^4·12 < 2^19.
    let q = _mm256_srli_epi16::<3>(_mm256_mulhi_epu16(fours, _mm256_set1_epi16(5243)));
    let less = _mm256_set1_epi16(1 - (100 << 8));
    // Likewise in 16 bits. The more significant part is the lower one each time: bytes come out in the order of the
    // text.
    _mm256_add_epi16(_mm256_slli_epi16::<8>(fours), _mm256_mullo_epi16(q, less))
}

/// Both digits of each pair, a byte each: those of the first 8 pairs of each lane, and of the last 8.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn digits(pairs: Y) -> [Y; 2] {
    // e = 4, and 100·4 < 2^16 for the lower pair of 16 bits. Both, p + 256·q, give ⌊q/10⌋ in the upper byte: the
    // product is below (p + 256·q)/10 + 1, and (p + 1)/256 below the 1/10 that separates q/10 from the next
    // integer.
    let tenth = _mm256_set1_epi16(6554);
    let low = _mm256_set1_epi16(0x00FF);
    let upper = _mm256_andnot_si256(low, _mm256_mulhi_epu16(pairs, tenth));
    let tens = _mm256_or_si256(upper, _mm256_mulhi_epu16(_mm256_and_si256(pairs, low), tenth));
    // Both tens of 16 bits times 10 at once: 9·10 fits a byte, so that nothing is carried from one to the other.
    // AVX2 has no product of bytes and no look-up of 100 entries, hence the arithmetic.
    let ones = _mm256_sub_epi8(pairs, _mm256_mullo_epi16(tens, _mm256_set1_epi16(10)));
    [_mm256_unpacklo_epi8(tens, ones), _mm256_unpackhi_epi8(tens, ones)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::avx2::params::available;
    use crate::kernels::dispatch::Prepared;
    use crate::selftest::random::SplitMix64;
    use crate::spec::key::{Aes, AesKey};
    use crate::spec::radix::Radix;
    use crate::spec::types::Mode;

    #[test]
    fn quotients_are_exact() {
        for x in (0..=10_000u64).chain((0..10_000u64).flat_map(|q| [q * 10_000, q * 10_000 + 9_999])) {
            assert_eq!((x * ((1u64 << 45) / 10_000 + 1)) >> 45, x / 10_000);
        }
        for x in 0..10_000u32 {
            assert_eq!(((x * 5243) >> 16) >> 3, x / 100);
        }
        for (low, high) in (0..100u32).flat_map(|low| (0..100).map(move |high| (low, high))) {
            assert_eq!((low * 6554) >> 16, low / 10);
            assert_eq!(((low + 256 * high) * 6554) >> 16 >> 8, high / 10);
        }
    }

    /// Each way to compute AES, and to have prefixes, gives the same.
    #[test]
    fn without_vaes_it_is_the_same() {
        if !available() {
            return;
        }
        let mut random = SplitMix64(5);
        let symbols = Symbols::new(&"0123456789".chars().collect::<Vec<_>>()).unwrap();
        for (mode, n) in [
            (Mode::Ff1, 8),
            (Mode::Ff1, 13),
            (Mode::Ff1, 16),
            (Mode::Ff3_1, 16),
            (Mode::Ff3_1, 7),
        ] {
            let aes = Aes::new(&AesKey::try_new(&random.bytes(32)).unwrap());
            let prepared = Prepared::<u64>::new(mode, Radix::try_new(10).unwrap(), n);
            let codec = DecimalCodec256::new(&symbols, prepared.plan.lengths(n), mode != Mode::Ff1).unwrap();
            let (plan, mut params) = (&prepared.plan, prepared.avx2.unwrap());
            for rows in [1, 16, 17, 33, 64, 100, 200] {
                let text: Vec<u8> = (0..rows * n).map(|_| b'0' + random.below(10) as u8).collect();
                let shared = plan.shared_prefixes(&aes, b"7 bytes");
                let tweaks = b"7 bytes".repeat(rows);
                let packed = plan.chain(&aes, 7);
                for direction in [Direction::Encrypt, Direction::Decrypt] {
                    let mut results = Vec::new();
                    for vaes in [is_x86_feature_detected!("vaes"), false] {
                        params.vaes = vaes;
                        let mut take = |prefixes: PrefixSource<'_>| {
                            let mut output = vec![0; text.len()];
                            let schedule = aes.schedule().unwrap();
                            assert!(run(
                                schedule,
                                &params,
                                &codec,
                                direction,
                                prefixes,
                                (&text, &mut output)
                            ));
                            results.push(output);
                        };
                        take(PrefixSource::Shared(&shared));
                        let Prefixes::Shared([even, odd]) = shared else {
                            unreachable!()
                        };
                        take(PrefixSource::Each(&mut |_| {
                            Prefixes::PerRow([[even; LANES], [odd; LANES]])
                        }));
                        if let Some((chain, whole_blocks)) = packed {
                            take(PrefixSource::Packed(PackedTweaks {
                                chain,
                                whole_blocks,
                                bytes: &tweaks,
                                length: 7,
                            }));
                        }
                    }
                    assert!(
                        results.windows(2).all(|pair| pair[0] == pair[1]),
                        "{mode:?}, {n}, {rows} rows"
                    );
                }
            }
        }
    }
}
