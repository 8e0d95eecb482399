//! Numerals to numbers, NUM, and back, STR, without division.

use super::Radix;
use super::modulus::{Barrett, high_product_64};

/// How a numeral is held: as 16 bits, or as 8 where the radix allows it.
pub(super) trait Numeral: Copy {
    fn of(value: u64) -> Self;
    fn value(self) -> u64;
}

impl Numeral for u16 {
    #[inline(always)]
    fn of(value: u64) -> Self {
        value as u16
    }

    #[inline(always)]
    fn value(self) -> u64 {
        self.into()
    }
}

impl Numeral for u8 {
    #[inline(always)]
    fn of(value: u64) -> Self {
        value as u8
    }

    #[inline(always)]
    fn value(self) -> u64 {
        self.into()
    }
}

/// NUM and STR for halves of `m` numerals held in a `u64`.
///
/// STR reads a number x < M = radix^m as the fraction x/M, whose digits come out of the point one by one when it is
/// multiplied by the radix. A number beyond 2^32 is taken in two parts of at most that, if it can be. With w bits after the point and C = ⌊2^w/M⌋ + 1, x/M ≤ x·C/2^w < x/M + x/2^w ≤ (x + 1)/M if
/// M² ≤ 2^w: the same first m digits. So w = 64 does for M ≤ 2^32, w = 128 for M ≤ 2^64.
#[derive(Clone, Copy, Debug)]
pub(super) enum Short {
    Narrow {
        radix: u64,
        scale: u64,
    },
    /// The last `lower` numerals are a part of their own, below `by` ≤ 2^32.
    Split {
        radix: u64,
        lower: usize,
        by: u64,
        /// ⌊2^64/by⌋
        mu: u64,
        /// Of the upper part and the lower one.
        scales: [u64; 2],
    },
    Wide {
        radix: u64,
        scale: u128,
    },
}

impl Short {
    /// `m` numerals with radix^m ≤ 2^64.
    pub(super) fn new(radix: Radix, m: usize) -> Self {
        let highest = radix.highest(m).expect("halves were measured");
        debug_assert!(highest <= u64::MAX.into());
        let narrow = |m: usize| radix.power_up_to(m, 1 << 32);
        let lower = (1..=m).take_while(|m| narrow(*m).is_some()).last().unwrap_or(1);
        let parts = [narrow(m - lower), narrow(lower)];
        let (modulus, radix) = (highest + 1, u64::from(radix.value()));
        let scale = |modulus: u64| u64::MAX / modulus + 1;
        // ⌊(2^w − 1)/M⌋ + 1 is ⌊2^w/M⌋ + 1, but for powers of two 2^w/M, where the error is even 0.
        if modulus <= 1 << 32 {
            let scale = scale(modulus as u64);
            Self::Narrow { radix, scale }
        } else if let [Some(upper), Some(by)] = parts {
            Self::Split {
                radix,
                lower,
                by,
                mu: ((1u128 << 64) / u128::from(by)) as u64,
                scales: [scale(upper), scale(by)],
            }
        } else {
            let scale = u128::MAX / modulus + 1;
            Self::Wide { radix, scale }
        }
    }

    /// The number that `numerals` spell, most significant first.
    #[inline(always)]
    pub(super) fn num<'a, T: Numeral + 'a>(self, numerals: impl Iterator<Item = &'a T>) -> u64 {
        let (Self::Narrow { radix, .. } | Self::Split { radix, .. } | Self::Wide { radix, .. }) = self;
        num(radix, numerals)
    }

    /// The numerals that spell `x`, most significant first.
    #[inline(always)]
    pub(super) fn str<'a, T: Numeral + 'a>(self, x: u64, mut numerals: impl ExactSizeIterator<Item = &'a mut T>) {
        match self {
            Self::Narrow { radix, scale } => narrow_str(x, radix, scale, numerals),
            Self::Split {
                radix,
                lower,
                by,
                mu,
                scales,
            } => {
                // At most 1 too small, as for `modulus::Short`.
                let (q, rest) = (
                    high_product_64(x, mu),
                    x.wrapping_sub(high_product_64(x, mu).wrapping_mul(by)),
                );
                let more = u64::from(rest >= by);
                let (q, rest) = (q + more, rest - by * more);
                let upper = numerals.len() - lower;
                narrow_str(q, radix, scales[0], numerals.by_ref().take(upper));
                narrow_str(rest, radix, scales[1], numerals);
            }
            Self::Wide { radix, scale } => {
                let fraction = u128::from(x).wrapping_mul(scale);
                let (mut high, mut low) = ((fraction >> 64) as u64, fraction as u64);
                for numeral in numerals {
                    let carry = u128::from(low) * u128::from(radix);
                    let product = u128::from(high) * u128::from(radix) + (carry >> 64);
                    *numeral = T::of((product >> 64) as u64);
                    (high, low) = (product as u64, carry as u64);
                }
            }
        }
    }
}

/// NUM and STR for halves of `m` numerals held in a `u128`: as chunks of as many numerals as fit 63 bits, the first
/// with what remains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Long {
    chunk: usize,
    chunks: usize,
    by_chunk: Barrett,
    first: Short,
    others: Short,
}

impl Long {
    /// `m` numerals with radix^m ≤ 2^128.
    pub(super) fn new(radix: Radix, m: usize) -> Self {
        let fits = |digits: &usize| radix.power_up_to(*digits, 1 << 63).is_some();
        let chunk = (1..=m).take_while(fits).last().unwrap_or(1);
        let chunks = m.div_ceil(chunk);
        let by_chunk = radix.power_up_to(chunk, 1 << 63).expect("that is how long a chunk is");
        Self {
            chunk,
            chunks,
            by_chunk: Barrett::new(by_chunk.into()),
            first: Short::new(radix, m - chunk * (chunks - 1)),
            others: Short::new(radix, chunk),
        }
    }

    /// The number that `numerals` spell.
    #[inline(always)]
    pub(super) fn num<T: Numeral>(&self, numerals: &[T], least_first: bool) -> u128 {
        let mut number = 0u128;
        for k in 0..self.chunks {
            let (start, end) = self.bounds(k, numerals.len(), least_first);
            let part = num_of(self.short(k), &numerals[start..end], least_first);
            // The first product is of zero; no later one passes radix^m.
            number = number.wrapping_mul(self.by_chunk.m) + u128::from(part);
        }
        number
    }

    /// The numerals that spell `x`.
    #[inline(always)]
    pub(super) fn str<T: Numeral>(&self, mut x: u128, numerals: &mut [T], least_first: bool) {
        for k in (0..self.chunks).rev() {
            let part = if k > 0 {
                let (rest, part) = self.by_chunk.div_rem(x);
                x = rest;
                part
            } else {
                x
            };
            let (start, end) = self.bounds(k, numerals.len(), least_first);
            str_of(self.short(k), part as u64, &mut numerals[start..end], least_first);
        }
    }

    fn short(&self, k: usize) -> Short {
        if k == 0 { self.first } else { self.others }
    }

    /// Where the `k`-th chunk, the most significant being the 0-th, stands among `m` numerals.
    fn bounds(&self, k: usize, m: usize, least_first: bool) -> (usize, usize) {
        let end = m - self.chunk * (self.chunks - 1 - k);
        let start = if k == 0 { 0 } else { end - self.chunk };
        if least_first {
            (m - end, m - start)
        } else {
            (start, end)
        }
    }
}

/// NUM of numerals in either order.
#[inline(always)]
pub(super) fn num_of<T: Numeral>(form: Short, numerals: &[T], least_first: bool) -> u64 {
    if least_first {
        form.num(numerals.iter().rev())
    } else {
        form.num(numerals.iter())
    }
}

/// STR of a number, in either order.
#[inline(always)]
pub(super) fn str_of<T: Numeral>(form: Short, x: u64, numerals: &mut [T], least_first: bool) {
    if least_first {
        form.str(x, numerals.iter_mut().rev());
    } else {
        form.str(x, numerals.iter_mut());
    }
}

/// STR of a number below 2^32.
#[inline(always)]
fn narrow_str<'a, T: Numeral + 'a>(x: u64, radix: u64, scale: u64, numerals: impl Iterator<Item = &'a mut T>) {
    let mut fraction = x.wrapping_mul(scale);
    for numeral in numerals {
        *numeral = T::of(high_product_64(fraction, radix));
        fraction = fraction.wrapping_mul(radix);
    }
}

/// NUM by Horner's rule; the caller knows that it fits.
#[inline(always)]
fn num<'a, T: Numeral + 'a>(radix: u64, numerals: impl Iterator<Item = &'a T>) -> u64 {
    numerals.fold(0u64, |number, numeral| {
        number.wrapping_mul(radix).wrapping_add(numeral.value())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Division says what the numerals are.
    fn spelled(radix: u32, mut x: u128, m: usize) -> Vec<u16> {
        let mut numerals = vec![0; m];
        for numeral in numerals.iter_mut().rev() {
            *numeral = (x % u128::from(radix)) as u16;
            x /= u128::from(radix);
        }
        numerals
    }

    fn edges(radix: u32, highest: u128) -> Vec<u128> {
        let powers = std::iter::successors(Some(1u128), |power| power.checked_mul(radix.into()));
        let mut state = 1u128;
        let random = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(0xda94_2042_e4dd_58b5_1234_5678_9abc_def1)
                .wrapping_add(99);
            state ^ (state >> 64)
        });
        let mut edges: Vec<u128> = powers
            .flat_map(|power| [power - 1, power, power.saturating_add(1)])
            .collect();
        edges.extend([highest, highest - 1, highest / 2]);
        edges.extend(
            random
                .take(50)
                .map(|x| x.checked_rem(highest + u128::from(highest < u128::MAX)).unwrap_or(x)),
        );
        edges.retain(|x| *x <= highest);
        edges
    }

    #[test]
    fn every_length_spells_exactly() {
        for value in [2, 3, 10, 16, 26, 36, 62, 64, 85, 255, 256, 1000, 65_535, 65_536] {
            let radix = Radix::try_new(value).unwrap();
            for m in (1..).take_while(|m| radix.highest(*m).is_some()) {
                let highest = radix.highest(m).unwrap();
                for x in edges(value, highest) {
                    let expected = spelled(value, x, m);
                    for least_first in [false, true] {
                        let mut expected = expected.clone();
                        if least_first {
                            expected.reverse();
                        }
                        let mut numerals = vec![0; m];
                        let long = Long::new(radix, m);
                        long.str(x, &mut numerals, least_first);
                        assert_eq!(numerals, expected, "radix {value}, {m} numerals");
                        assert_eq!(long.num(&numerals, least_first), x);
                        if let (Ok(x), true) = (u64::try_from(x), highest <= u64::MAX.into()) {
                            let short = Short::new(radix, m);
                            numerals.fill(0);
                            str_of(short, x, &mut numerals, least_first);
                            assert_eq!(numerals, expected, "radix {value}, {m} numerals");
                            assert_eq!(num_of(short, &numerals, least_first), x);
                        }
                    }
                }
            }
        }
    }
}
