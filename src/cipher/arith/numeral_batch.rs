//! NUM and STR of both halves of many rows.
//!
//! Halves that are a word of bytes are converted column by column: a loop for each step over all rows, of which the
//! compiler makes vector code.

use cipherform_simd::multiversion;

use crate::arith::numeral::{Eight, HalfCodec64, HalfCodec128, Numeral, digit, eight_digits, num_of, scale, str_of};
use crate::batch::sizes::LANES;
use crate::spec::radix::Radix;

/// Reads and writes the halves of rows.
pub(crate) trait RowCodec<H>: Copy {
    /// For halves of these lengths.
    fn new(radix: Radix, lengths: [usize; 2]) -> Self;
    /// Reads the halves of as many rows as there are numerals for. The compiler is to know `least_first`.
    fn num_rows<T: Numeral>(&self, numerals: &[T], least_first: bool, left: &mut [H], right: &mut [H]);
    /// Writes the halves of rows.
    fn str_rows<T: Numeral>(&self, numerals: &mut [T], least_first: bool, left: &[H], right: &[H]);
}

/// Reads rows with `codec`; a task for [`multiversion`].
pub(crate) struct NumRows<'a, F, T, H> {
    pub(crate) codec: &'a F,
    pub(crate) numerals: &'a [T],
    pub(crate) least_first: bool,
    pub(crate) left: &'a mut [H],
    pub(crate) right: &'a mut [H],
}

impl<F: RowCodec<H>, T: Numeral, H> multiversion::MultiversionTask for NumRows<'_, F, T, H> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // One loop for each order, so that neither asks in every row.
        if self.least_first {
            self.codec.num_rows(self.numerals, true, self.left, self.right);
        } else {
            self.codec.num_rows(self.numerals, false, self.left, self.right);
        }
    }
}

/// Writes rows with `codec`; a task for [`multiversion`].
pub(crate) struct StrRows<'a, F, T, H> {
    pub(crate) codec: &'a F,
    pub(crate) numerals: &'a mut [T],
    pub(crate) least_first: bool,
    pub(crate) left: &'a [H],
    pub(crate) right: &'a [H],
}

impl<F: RowCodec<H>, T: Numeral, H> multiversion::MultiversionTask for StrRows<'_, F, T, H> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if self.least_first {
            self.codec.str_rows(self.numerals, true, self.left, self.right);
        } else {
            self.codec.str_rows(self.numerals, false, self.left, self.right);
        }
    }
}

/// The codec of halves of 128 bits: row after row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowCodec128 {
    halves: [HalfCodec128; 2],
    lengths: [usize; 2],
}

impl RowCodec<u128> for RowCodec128 {
    fn new(radix: Radix, lengths: [usize; 2]) -> Self {
        let halves = lengths.map(|m| HalfCodec128::new(radix, m));
        Self { halves, lengths }
    }

    #[inline(always)]
    fn num_rows<T: Numeral>(&self, numerals: &[T], least_first: bool, left: &mut [u128], right: &mut [u128]) {
        for ((row, left), right) in numerals
            .chunks_exact(self.lengths[0] + self.lengths[1])
            .zip(left)
            .zip(right)
        {
            let (from_left, from_right) = row.split_at(self.lengths[0]);
            *left = self.halves[0].num(from_left, least_first);
            *right = self.halves[1].num(from_right, least_first);
        }
    }

    #[inline(always)]
    fn str_rows<T: Numeral>(&self, numerals: &mut [T], least_first: bool, left: &[u128], right: &[u128]) {
        let rows = numerals.chunks_exact_mut(self.lengths[0] + self.lengths[1]);
        for ((row, left), right) in rows.zip(left).zip(right) {
            let (to_left, to_right) = row.split_at_mut(self.lengths[0]);
            self.halves[0].str(*left, to_left, least_first);
            self.halves[1].str(*right, to_right, least_first);
        }
    }
}

/// The codec of halves of 64 bits: as words if they can be, or row after row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowCodec64 {
    halves: [HalfCodec64; 2],
    lengths: [usize; 2],
    words: Option<ByteWords>,
}

impl RowCodec<u64> for RowCodec64 {
    fn new(radix: Radix, lengths: [usize; 2]) -> Self {
        Self {
            halves: lengths.map(|m| HalfCodec64::new(radix, m)),
            lengths,
            words: ByteWords::new(radix, lengths),
        }
    }

    #[inline(always)]
    fn num_rows<T: Numeral>(&self, numerals: &[T], least_first: bool, left: &mut [u64], right: &mut [u64]) {
        match &self.words {
            // Rows of sixteen are as common as card numbers. Where the compiler knows the length, it reads many in
            // a few steps.
            Some(words) if self.lengths == [8, 8] => words.num_rows(numerals, [8, 8], least_first, left, right),
            Some(words) => words.num_rows(numerals, self.lengths, least_first, left, right),
            None => {
                let rows = numerals.chunks_exact(self.lengths[0] + self.lengths[1]);
                for ((row, left), right) in rows.zip(left).zip(right) {
                    let (from_left, from_right) = row.split_at(self.lengths[0]);
                    *left = num_of(self.halves[0], from_left, least_first);
                    *right = num_of(self.halves[1], from_right, least_first);
                }
            }
        }
    }

    #[inline(always)]
    fn str_rows<T: Numeral>(&self, numerals: &mut [T], least_first: bool, left: &[u64], right: &[u64]) {
        match &self.words {
            Some(words) if self.lengths == [8, 8] => words.str_rows(numerals, [8, 8], least_first, left, right),
            Some(words) => words.str_rows(numerals, self.lengths, least_first, left, right),
            None => {
                let rows = numerals.chunks_exact_mut(self.lengths[0] + self.lengths[1]);
                for ((row, left), right) in rows.zip(left).zip(right) {
                    let (to_left, to_right) = row.split_at_mut(self.lengths[0]);
                    str_of(self.halves[0], *left, to_left, least_first);
                    str_of(self.halves[1], *right, to_right, least_first);
                }
            }
        }
    }
}

/// Rows of 8 to 16 numerals below 256 with halves below 2^32 and of up to eight numerals. A half is a word of
/// bytes: the least significant byte is the most significant numeral, and there are zeros before it if there are
/// fewer than eight.
#[derive(Clone, Copy, Debug)]
struct ByteWords {
    radix: u64,
    eight: Eight,
    /// The fractions that spell the halves; none is needed for decimal digits.
    scales: Option<[u64; 2]>,
}

impl ByteWords {
    fn new(radix: Radix, lengths: [usize; 2]) -> Option<Self> {
        let [u, v] = lengths;
        // Below eight numerals a row, a word would reach into its neighbours; a row of eight or more can be read as
        // its first and its last eight bytes, which may overlap.
        if radix.value() > 256 || u.max(v) > 8 || u + v < 8 {
            return None;
        }
        let [left, right] = lengths.map(|m| radix.power_up_to(m, 1 << 32));
        let scales = [scale(left?), scale(right?)];
        let decimal = radix.value() == 10;
        let radix = radix.value().into();
        Some(Self {
            radix,
            eight: Eight::new(radix),
            scales: (!decimal).then_some(scales),
        })
    }

    #[inline(always)]
    fn num_rows<T: Numeral>(
        &self,
        numerals: &[T],
        [u, v]: [usize; 2],
        least_first: bool,
        left: &mut [u64],
        right: &mut [u64],
    ) {
        let n = u + v;
        let rows = numerals.len() / n;
        let (left, right) = (&mut left[..rows], &mut right[..rows]);
        // The first eight numerals of a row contain its left half, and the last eight the right one.
        for ((row, left), right) in numerals.chunks_exact(n).zip(&mut *left).zip(&mut *right) {
            *left = T::word(row.first_chunk().expect("a row has eight"));
            *right = T::word(row.last_chunk().expect("a row has eight"));
        }
        let (behind, before) = (free_bits(u), free_bits(v));
        // A loop for each step over all rows, in place: each is a few vector instructions, where one loop with all
        // steps for a row would stay scalar.
        for half in left {
            let word = if least_first {
                // Two shifts clear what belongs to the other half; the order of the numerals decides from which
                // end.
                half.swap_bytes() >> behind << behind
            } else {
                *half << behind
            };
            *half = self.eight.num(word);
        }
        for half in right {
            let word = if least_first {
                half.swap_bytes() << before
            } else {
                *half >> before << before
            };
            *half = self.eight.num(word);
        }
    }

    #[inline(always)]
    fn str_rows<T: Numeral>(
        &self,
        numerals: &mut [T],
        [u, v]: [usize; 2],
        least_first: bool,
        left: &[u64],
        right: &[u64],
    ) {
        let n = u + v;
        let halves = left.chunks(LANES).zip(right.chunks(LANES));
        for (rows, (left, right)) in numerals.chunks_mut(LANES * n).zip(halves) {
            let count = rows.len() / n;
            let mut words = [[0; LANES]; 2];
            let [lefts, rights] = words.each_mut().map(|words| &mut words[..count]);
            self.str_halves(0, u, left, lefts);
            self.str_halves(1, v, right, rights);
            for (left, right) in lefts.iter_mut().zip(&mut *rights) {
                // The numerals of each half in their order, without the zeros.
                let [from_left, from_right] = if least_first {
                    [left.swap_bytes(), right.swap_bytes()]
                } else {
                    [*left >> free_bits(u), *right >> free_bits(v)]
                };
                // The first eight of the row and the last eight.
                // Shifts by 64 occur, for halves of eight: `unbounded` gives 0 there.
                *left = from_left | from_right.unbounded_shl(8 * u as u32);
                *right = from_right << free_bits(v) | from_left.unbounded_shr(8 * (n - 8) as u32);
            }
            for ((row, first), last) in rows.chunks_exact_mut(n).zip(lefts).zip(rights) {
                // Two stores of eight that may overlap, with the same numerals where they do: no loop over a
                // length.
                row[..8].copy_from_slice(&T::eight(*first));
                row[n - 8..].copy_from_slice(&T::eight(*last));
            }
        }
    }

    /// The words of `halves` of `m` numerals each, the left ones or the right.
    #[inline(always)]
    fn str_halves(&self, side: usize, m: usize, halves: &[u64], words: &mut [u64]) {
        let Some(scales) = self.scales else {
            for (word, half) in words.iter_mut().zip(halves) {
                *word = eight_digits(*half);
            }
            return;
        };
        let mut fractions = [0; LANES];
        for (fraction, half) in fractions.iter_mut().zip(halves) {
            *fraction = half.wrapping_mul(scales[side]);
        }
        // One numeral of all rows at a time: products of 32 bits, of which there are vectors.
        for _ in 0..m {
            for (word, fraction) in words.iter_mut().zip(&mut fractions) {
                let (numeral, rest) = digit(*fraction, self.radix);
                *word = *word >> 8 | numeral << 56;
                *fraction = rest;
            }
        }
    }
}

/// Bits of a word that `m` numerals leave.
#[inline(always)]
fn free_bits(m: usize) -> u32 {
    64 - 8 * m as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::random::SplitMix64;
    use cipherform_simd::multiversion;
    use cipherform_simd::multiversion::Instructions;

    /// Row after row, by the standard's loops.
    fn expected<T: Numeral>(radix: u64, row: &[T], least_first: bool) -> u64 {
        let join = |number: u64, numeral: &T| number * radix + numeral.value();
        if least_first {
            row.iter().rev().fold(0, join)
        } else {
            row.iter().fold(0, join)
        }
    }

    fn reads_and_writes<T: Numeral + PartialEq + std::fmt::Debug>(radix: u32, lengths: [usize; 2]) {
        let mut random = SplitMix64(u64::from(radix));
        let codec = RowCodec64::new(Radix::try_new(radix).unwrap(), lengths);
        let n = lengths[0] + lengths[1];
        for rows in (0..=17).chain([63, 64, 65, 127, 128, 130, 200]) {
            let numerals: Vec<T> = (0..rows * n)
                .map(|at| match at / n % 4 {
                    0 => T::from_value(0),
                    1 => T::from_value(u64::from(radix) - 1),
                    _ => T::from_value(random.next() % u64::from(radix)),
                })
                .collect();
            for least_first in [false, true] {
                let halves = |side: usize| -> Vec<u64> {
                    let half = |row: &[T]| {
                        let (left, right) = row.split_at(lengths[0]);
                        expected(radix.into(), [left, right][side], least_first)
                    };
                    numerals.chunks_exact(n).map(half).collect()
                };
                let (left, right) = (halves(0), halves(1));
                let mut outcomes = Vec::new();
                for instructions in Instructions::available() {
                    // Arrays may be longer than there are rows.
                    let (mut got_left, mut got_right) = (vec![7; rows + 9], vec![7; rows + 9]);
                    multiversion::run_with(
                        *instructions,
                        NumRows {
                            codec: &codec,
                            numerals: &numerals,
                            least_first,
                            left: &mut got_left,
                            right: &mut got_right,
                        },
                    );
                    assert_eq!(
                        (&got_left[..rows], &got_right[..rows]),
                        (&left[..], &right[..]),
                        "{radix}, {n}"
                    );
                    assert!(got_left[rows..].iter().chain(&got_right[rows..]).all(|half| *half == 7));
                    let mut written = vec![T::from_value(0); rows * n];
                    multiversion::run_with(
                        *instructions,
                        StrRows {
                            codec: &codec,
                            numerals: &mut written,
                            least_first,
                            left: &got_left,
                            right: &got_right,
                        },
                    );
                    outcomes.push(written);
                }
                assert!(
                    outcomes.iter().all(|written| *written == numerals),
                    "{radix}, {n}, {rows} rows"
                );
            }
        }
    }

    #[test]
    fn every_shape_of_words_at_every_width_and_their_neighbours() {
        for radix in [2, 3, 10, 16, 36, 62, 64, 255, 256] {
            let most = (1..=9)
                .take_while(|m| Radix::try_new(radix).unwrap().power_up_to(*m, 1 << 32).is_some())
                .last()
                .unwrap();
            for u in 1..=most {
                for v in [u, u + 1, u.saturating_sub(1).max(1)] {
                    reads_and_writes::<u8>(radix, [u, v]);
                    reads_and_writes::<u16>(radix, [u, v]);
                }
            }
        }
    }
}
