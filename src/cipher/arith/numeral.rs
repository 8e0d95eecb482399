//! Numerals to numbers, NUM, and back, STR, without division.

use num_bigint::BigUint;

use crate::arith::barrett::{Barrett, LOW, high_product_64, product_32};
use crate::spec::radix::Radix;

/// The type of a numeral in memory: 16 bits, or 8 where the radix allows it.
pub(crate) trait Numeral: Copy {
    fn from_value(value: u64) -> Self;
    fn value(self) -> u64;

    /// Eight numerals below 256 as the bytes of a word, the first one least significant.
    #[inline(always)]
    fn word(numerals: &[Self; 8]) -> u64 {
        u64::from_le_bytes(numerals.map(|numeral| numeral.value() as u8))
    }

    /// The numerals of a word that [`Self::word`] makes.
    #[inline(always)]
    fn eight(word: u64) -> [Self; 8] {
        word.to_le_bytes().map(|numeral| Self::from_value(numeral.into()))
    }
}

impl Numeral for u16 {
    #[inline(always)]
    fn from_value(value: u64) -> Self {
        value as u16
    }

    #[inline(always)]
    fn value(self) -> u64 {
        self.into()
    }
}

impl Numeral for u8 {
    #[inline(always)]
    fn from_value(value: u64) -> Self {
        value as u8
    }

    #[inline(always)]
    fn value(self) -> u64 {
        self.into()
    }
}

/// NUM and STR for halves of `m` numerals held in a `u64`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfCodec64 {
    radix: u64,
    /// Reads eight numerals at once, where there are as many and a byte holds one.
    eight: Option<Eight>,
    str_method: StrMethod,
}

/// STR reads a number x < M = radix^m as the fraction x/M, whose digits come out of the point one by one when it is
/// multiplied by the radix. A number beyond 2^32 is taken in two parts of at most that, if it can be. With w bits
/// after the point and C = ⌊2^w/M⌋ + 1, x/M ≤ x·C/2^w < x/M + x/2^w ≤ (x + 1)/M if M² ≤ 2^w: the same first m
/// digits. So w = 64 does for M ≤ 2^32, w = 128 for M ≤ 2^64.
#[derive(Clone, Copy, Debug)]
enum StrMethod {
    /// Eight decimal digits or more: eight at a time.
    Decimal,
    Narrow {
        scale: u64,
    },
    /// The last `lower` numerals are a part of their own, below `by` ≤ 2^32.
    Split {
        lower: usize,
        by: u64,
        /// ⌊2^64/by⌋
        mu: u64,
        /// Of the upper part and the lower one.
        scales: [u64; 2],
    },
    Wide {
        scale: u128,
    },
}

impl HalfCodec64 {
    /// `m` numerals with radix^m ≤ 2^64.
    pub(crate) fn new(radix: Radix, m: usize) -> Self {
        let highest = radix.highest(m).expect("halves were measured");
        debug_assert!(highest <= u64::MAX.into());
        // Parts of at most 2^32, so that their fractions take one word and one product a numeral.
        let narrow = |m: usize| radix.power_up_to(m, 1 << 32);
        let lower = (1..=m).take_while(|m| narrow(*m).is_some()).last().unwrap_or(1);
        let parts = [narrow(m - lower), narrow(lower)];
        let (modulus, radix) = (highest + 1, u64::from(radix.value()));
        let str_method = if radix == 10 && m >= 8 {
            StrMethod::Decimal
        } else if modulus <= 1 << 32 {
            StrMethod::Narrow {
                scale: scale(modulus as u64),
            }
        } else if let [Some(upper), Some(by)] = parts {
            StrMethod::Split {
                lower,
                by,
                mu: ((1u128 << 64) / u128::from(by)) as u64,
                scales: [scale(upper), scale(by)],
            }
        } else {
            // Two words of fraction: with one, digits could be wrong, as M² > 2^64.
            let scale = u128::MAX / modulus + 1;
            StrMethod::Wide { scale }
        };
        // A byte holds a numeral below 256, and eight of them are a word: fewer are read one by one.
        let eight = (radix <= 256 && m >= 8).then(|| Eight::new(radix));
        Self {
            radix,
            eight,
            str_method,
        }
    }

    /// The numerals that spell `x`, most significant first, one by one.
    #[inline(always)]
    fn one_by_one<'a, T: Numeral + 'a>(self, x: u64, mut numerals: impl ExactSizeIterator<Item = &'a mut T>) {
        let radix = self.radix;
        match self.str_method {
            StrMethod::Decimal => {}
            StrMethod::Narrow { scale } => narrow_str(x, radix, scale, numerals),
            StrMethod::Split { lower, by, mu, scales } => {
                // µ = ⌊2^64/by⌋ > 2^64/by − 1, so x·µ/2^64 > x/by − 1 and q is at most 1 too small.
                let (q, rest) = (
                    high_product_64(x, mu),
                    x.wrapping_sub(high_product_64(x, mu).wrapping_mul(by)),
                );
                // A correction by arithmetic, as x is secret.
                let more = u64::from(rest >= by);
                let (q, rest) = (q + more, rest - by * more);
                let upper = numerals.len() - lower;
                narrow_str(q, radix, scales[0], numerals.by_ref().take(upper));
                narrow_str(rest, radix, scales[1], numerals);
            }
            StrMethod::Wide { scale } => {
                let fraction = u128::from(x).wrapping_mul(scale);
                let (mut high, mut low) = ((fraction >> 64) as u64, fraction as u64);
                for numeral in numerals {
                    // The fraction has 128 bits: radix times it, in two words, and what passes the point is the
                    // numeral. The lower product's carry is at most radix − 1, so that the sum fits 128 bits.
                    let carry = u128::from(low) * u128::from(radix);
                    let product = u128::from(high) * u128::from(radix) + (carry >> 64);
                    *numeral = T::from_value((product >> 64) as u64);
                    (high, low) = (product as u64, carry as u64);
                }
            }
        }
    }
}

/// NUM of eight numerals at once: their bytes are joined to pairs, these to fours, and these to one number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eight {
    /// radix, radix^2, radix^4
    powers: [u64; 3],
    /// radix^8; 0 for 2^64, where nothing comes before the eight.
    above: u64,
}

impl Eight {
    const DECIMAL: Self = Self::new(10);

    /// For a radix up to 256: radix^2 fits the 16 bits of a pair, and so on.
    pub(crate) const fn new(radix: u64) -> Self {
        let powers = [radix, radix.pow(2), radix.pow(4)];
        // 256^8 = 2^64 wraps to 0, which is never used: a half of that radix has eight numerals at most.
        let above = powers[2].wrapping_mul(powers[2]);
        Self { powers, above }
    }

    /// The number that the bytes of `word` spell, the least significant byte being the most significant numeral.
    #[inline(always)]
    pub(crate) fn num(self, word: u64) -> u64 {
        const BYTES: u64 = 0x00FF_00FF_00FF_00FF;
        const PAIRS: u64 = 0x0000_FFFF_0000_FFFF;
        const FOURS: u64 = 0x0000_0000_FFFF_FFFF;
        // Four products in one, as no pair reaches its neighbour: 255·256 + 255 < 2^16. Likewise (2^16 − 1)·2^16 +
        // 2^16 − 1 < 2^32 for fours.
        let pairs = (word & BYTES) * self.powers[0] + (word >> 8 & BYTES);
        let fours = (pairs & PAIRS) * self.powers[1] + (pairs >> 16 & PAIRS);
        (fours & FOURS) * self.powers[2] + (fours >> 32)
    }
}

/// 10^8.
const EIGHT_DIGITS: u64 = 100_000_000;

/// (⌊x/10^8⌋, x mod 10^8).
///
/// µ = ⌈2^90/10^8⌉ and µ·10^8 − 2^90 = 875,776 < 2^26, so x·µ/2^90 < x/10^8 + 2^64·2^26/(2^90·10^8) = (x + 1)/10^8:
/// the same floor.
#[inline(always)]
fn split_eight_digits(x: u64) -> (u64, u64) {
    const MU: u64 = (1u128 << 90).div_ceil(EIGHT_DIGITS as u128) as u64;
    let q = high_product_64(x, MU) >> 26;
    (q, x - q * EIGHT_DIGITS)
}

/// The digits of x < 10^8 as the bytes of a word, the most significant one least.
///
/// It is split in two, the halves together in two again, and these in digits. The factors are ⌈2^40/10^4⌉,
/// ⌈2^19/100⌉ and ⌈2^10/10⌉; `a_word_has_the_digits` tries all that the last two get, and of the first all steps.
#[inline(always)]
pub(crate) fn eight_digits(x: u64) -> u64 {
    // x < 10^8 < 2^27 and the factor is below 2^27: no product passes 2^54.
    let high = (x * 109_951_163) >> 40; // ⌊x/10^4⌋
    let fours = high | (x - high * 10_000) << 32;
    // Two fours in one word: 9,999·5243 < 2^26, so that the lower product does not reach the upper one; the mask
    // takes out what the shift brings down.
    let high = (fours * 5243) >> 19 & 0x0000_007F_0000_007F; // ⌊·/100⌋
    let pairs = high | (fours - high * 100) << 16;
    // Four pairs in one word: 99·103 < 2^14.
    let high = (pairs * 103) >> 10 & 0x000F_000F_000F_000F; // ⌊·/10⌋
    high | (pairs - high * 10) << 8
}

/// NUM and STR for halves of `m` numerals held in a `u128`.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "two in a plan: a box would save nothing")]
pub(crate) enum HalfCodec128 {
    /// 17 to 32 decimal digits: in two parts, the lower one of 16.
    Decimal(Divisor),
    Chunks(WordChunks),
}

/// Chunks of as many numerals as fit 62 bits, the first with what remains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordChunks {
    chunk: usize,
    chunks: usize,
    by_chunk: Divisor,
    first: HalfCodec64,
    others: HalfCodec64,
}

impl HalfCodec128 {
    /// `m` numerals with radix^m ≤ 2^128.
    pub(crate) fn new(radix: Radix, m: usize) -> Self {
        let highest = radix.highest(m).expect("halves were measured");
        if radix.value() == 10 && (17..=32).contains(&m) {
            return Self::Decimal(Divisor::new(EIGHT_DIGITS.pow(2), highest));
        }
        let power = |m| radix.power_up_to(m, 1 << 62);
        // 2^62 and not 2^64, as `Divisor` needs 2D ≤ 2^63.
        let chunk = (1..=m).take_while(|m| power(*m).is_some()).last().unwrap_or(1);
        let chunks = m.div_ceil(chunk);
        Self::Chunks(WordChunks {
            chunk,
            chunks,
            by_chunk: Divisor::new(power(chunk).expect("that is how long a chunk is"), highest),
            first: HalfCodec64::new(radix, m - chunk * (chunks - 1)),
            others: HalfCodec64::new(radix, chunk),
        })
    }

    /// The number that `numerals` spell.
    #[inline(always)]
    pub(crate) fn num<T: Numeral>(&self, numerals: &[T], least_first: bool) -> u128 {
        let join = |high: u64, low: u64| u128::from(high) * u128::from(EIGHT_DIGITS.pow(2)) + u128::from(low);
        match self {
            Self::Decimal(_) if numerals.len() <= 24 => {
                let [a, b, c] = words(numerals, least_first).map(|word| Eight::DECIMAL.num(word));
                join(a, b * EIGHT_DIGITS + c)
            }
            Self::Decimal(_) => {
                let [a, b, c, d] = words(numerals, least_first).map(|word| Eight::DECIMAL.num(word));
                join(a * EIGHT_DIGITS + b, c * EIGHT_DIGITS + d)
            }
            Self::Chunks(chunks) => chunks.num(numerals, least_first),
        }
    }

    /// The numerals that spell `x`.
    #[inline(always)]
    pub(crate) fn str<T: Numeral>(&self, x: u128, numerals: &mut [T], least_first: bool) {
        match self {
            Self::Decimal(divisor) => {
                let (high, low) = divisor.div_rem(x);
                let (c, d) = split_eight_digits(low);
                if numerals.len() <= 24 {
                    put_words([high as u64, c, d].map(eight_digits), numerals, least_first);
                } else {
                    let (a, b) = split_eight_digits(high as u64);
                    put_words([a, b, c, d].map(eight_digits), numerals, least_first);
                }
            }
            Self::Chunks(chunks) => chunks.str(x, numerals, least_first),
        }
    }
}

impl WordChunks {
    #[inline(always)]
    fn num<T: Numeral>(&self, numerals: &[T], least_first: bool) -> u128 {
        let mut number = 0u128;
        for k in 0..self.chunks {
            let (start, end) = self.bounds(k, numerals.len(), least_first);
            let part = num_of(self.short(k), &numerals[start..end], least_first);
            // The first product is of zero; no later one passes radix^m.
            number = number.wrapping_mul(self.by_chunk.d.into()) + u128::from(part);
        }
        number
    }

    #[inline(always)]
    fn str<T: Numeral>(&self, mut x: u128, numerals: &mut [T], least_first: bool) {
        for k in (0..self.chunks).rev() {
            let part = if k > 0 {
                let (rest, part) = self.by_chunk.div_rem(x);
                x = rest;
                part
            } else {
                x as u64
            };
            let (start, end) = self.bounds(k, numerals.len(), least_first);
            str_of(self.short(k), part, &mut numerals[start..end], least_first);
        }
    }

    fn short(&self, k: usize) -> HalfCodec64 {
        if k == 0 { self.first } else { self.others }
    }

    /// The first and the last place, exclusive, of the `k`-th chunk among `m` numerals; the 0-th is the most
    /// significant.
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

/// D ≤ 2^62, to divide numbers up to a highest one by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Divisor {
    d: u64,
    method: DivisionMethod,
}

#[derive(Clone, Copy, Debug)]
enum DivisionMethod {
    /// The quotient fits 64 bits, and one product of 64 bits finds it.
    ///
    /// Let x < 2^k, s = k − 63, t = ⌊x/2^s⌋ > x/2^s − 1 and µ = ⌊2^(s+64)/D⌋ > 2^(s+64)/D − 1. If 2^(s+1) ≤ D, both
    /// t and µ fit 64 bits, and t·µ/2^64 > x/D − 2^s/D − x/2^(s+64) > x/D − 1/2 − 1/2. So q̂ > x/D − 2 and x − q̂·D
    /// < 2D ≤ 2^63: one subtraction, and all of it modulo 2^64.
    Once {
        shift: u32,
        mu: u64,
    },
    Barrett(Barrett),
}

impl Divisor {
    fn new(d: u64, highest: u128) -> Self {
        // s = k − 63 for numbers of up to k bits: one more than t would need to fit 64 bits, so that each of the
        // two errors of q̂ is at most 1/2.
        let shift = 65u32.saturating_sub(highest.leading_zeros());
        let method = if 2 << shift <= u128::from(d) {
            let mu = (BigUint::from(1u8) << (shift + 64)) / d;
            let mu = u64::try_from(mu).expect("D is above 2^shift");
            DivisionMethod::Once { shift, mu }
        } else {
            DivisionMethod::Barrett(Barrett::new(d.into()))
        };
        Self { d, method }
    }

    /// (⌊x/D⌋, x mod D).
    #[inline(always)]
    fn div_rem(&self, x: u128) -> (u128, u64) {
        match self.method {
            DivisionMethod::Once { shift, mu } => {
                let q = high_product_64((x >> shift) as u64, mu);
                let rest = (x as u64).wrapping_sub(q.wrapping_mul(self.d));
                let more = u64::from(rest >= self.d);
                (u128::from(q + more), rest - self.d * more)
            }
            DivisionMethod::Barrett(barrett) => {
                let (q, rest) = barrett.div_rem(x);
                (q, rest as u64)
            }
        }
    }
}

/// NUM of numerals in either order.
#[inline(always)]
pub(crate) fn num_of<T: Numeral>(codec: HalfCodec64, numerals: &[T], least_first: bool) -> u64 {
    match codec.eight {
        Some(eight) => {
            let m = numerals.len();
            // The first word has what is left of a multiple of eight, so that all others are whole: no loop over
            // single numerals.
            let mut number = eight.num(first_word(numerals, least_first));
            for at in (first_length(m)..m).step_by(8) {
                number = number.wrapping_mul(eight.above) + eight.num(word(numerals, at, least_first));
            }
            number
        }
        None if least_first => num(codec.radix, numerals.iter().rev()),
        None => num(codec.radix, numerals.iter()),
    }
}

/// STR of a number, in either order.
#[inline(always)]
pub(crate) fn str_of<T: Numeral>(codec: HalfCodec64, x: u64, numerals: &mut [T], least_first: bool) {
    match codec.str_method {
        StrMethod::Decimal => {
            let (rest, c) = split_eight_digits(x);
            let (a, b) = split_eight_digits(rest);
            match numerals.len() {
                8 => put_words([c].map(eight_digits), numerals, least_first),
                9..=16 => put_words([b, c].map(eight_digits), numerals, least_first),
                _ => put_words([a, b, c].map(eight_digits), numerals, least_first),
            }
        }
        _ if least_first => codec.one_by_one(x, numerals.iter_mut().rev()),
        _ => codec.one_by_one(x, numerals.iter_mut()),
    }
}

/// The number of numerals in the first word, 1 to 8, of `m` that are read as words of eight.
#[inline(always)]
fn first_length(m: usize) -> usize {
    (m - 1) % 8 + 1
}

/// The eight numerals from the `at`-th on, counted from the most significant.
#[inline(always)]
fn word<T: Numeral>(numerals: &[T], at: usize, least_first: bool) -> u64 {
    let at = if least_first { numerals.len() - 8 - at } else { at };
    let word = T::word(numerals[at..].first_chunk().expect("there are eight"));
    if least_first { word.swap_bytes() } else { word }
}

/// The first 1 to 8 of at least eight numerals, after zeros.
#[inline(always)]
fn first_word<T: Numeral>(numerals: &[T], least_first: bool) -> u64 {
    // Eight are read in any case, and those that belong to the next word are shifted out.
    word(numerals, 0, least_first) << (64 - 8 * first_length(numerals.len()))
}

/// All of `numerals`.
#[inline(always)]
fn words<T: Numeral, const WORDS: usize>(numerals: &[T], least_first: bool) -> [u64; WORDS] {
    let first = first_length(numerals.len());
    std::array::from_fn(|k| match k {
        0 => first_word(numerals, least_first),
        _ => word(numerals, first + 8 * (k - 1), least_first),
    })
}

/// Writes words over `numerals`, at least eight; the first word has zeros before its numerals.
#[inline(always)]
fn put_words<T: Numeral, const WORDS: usize>(words: [u64; WORDS], numerals: &mut [T], least_first: bool) {
    let first = first_length(numerals.len());
    for (k, word) in words.iter().enumerate() {
        let (at, word) = match k {
            // The next word's numerals fill up the first one.
            0 if first < 8 => (0, word >> (64 - 8 * first) | words.get(1).unwrap_or(&0) << (8 * first)),
            0 => (0, *word),
            _ => (first + 8 * (k - 1), *word),
        };
        let (at, word) = if least_first {
            (numerals.len() - 8 - at, word.swap_bytes())
        } else {
            (at, word)
        };
        // Each word is written whole; where two overlap, both have the same numerals there.
        numerals[at..at + 8].copy_from_slice(&T::eight(word));
    }
}

/// The factor that makes the 64-bit fraction x/M of a number x < M ≤ 2^32.
///
/// ⌊(2^64 − 1)/M⌋ + 1 is ⌊2^64/M⌋ + 1, but for powers of two 2^64/M, where the error is even 0.
pub(crate) fn scale(modulus: u64) -> u64 {
    u64::MAX / modulus + 1
}

/// The first digit of a fraction, and the fraction of the others: as [`narrow_str`] has them, but by products of 32
/// bits, of which there are vectors.
#[inline(always)]
pub(crate) fn digit(fraction: u64, radix: u64) -> (u64, u64) {
    // radix ≤ 2^16, so that radix times each half of the fraction has at most 48 bits, and no carry is lost.
    let low = product_32(fraction, radix);
    let high = product_32(fraction >> 32, radix) + (low >> 32);
    (high >> 32, high << 32 | low & LOW)
}

/// STR of a number below 2^32.
#[inline(always)]
fn narrow_str<'a, T: Numeral + 'a>(x: u64, radix: u64, scale: u64, numerals: impl Iterator<Item = &'a mut T>) {
    // x·C < 2^64, as x < M and C is 2^64/M rounded up: for powers of two exactly, and else (M − 1)·(2^64/M + 1) <
    // 2^64 for M ≤ 2^32.
    let mut fraction = x.wrapping_mul(scale);
    for numeral in numerals {
        *numeral = T::from_value(high_product_64(fraction, radix));
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
    fn a_word_has_the_digits() {
        for x in (0..10_000).flat_map(|x| [x, 10_000 * x, 10_000 * x + 9_999, 99_990_000 + x]) {
            let digits = format!("{x:08}");
            let word = u64::from_le_bytes(digits.as_bytes().try_into().unwrap()) - 0x3030_3030_3030_3030;
            assert_eq!(eight_digits(x), word);
            assert_eq!(Eight::DECIMAL.num(word), x);
        }
    }

    #[test]
    fn divisors_divide_exactly() {
        for d in [
            2,
            3,
            10_000_000_000_000_000,
            10u64.pow(18),
            62u64.pow(10),
            1 << 61,
            (1 << 62) - 1,
            1 << 62,
        ] {
            for bits in 62..=128 {
                let highest = u128::MAX >> (128 - bits);
                let divisor = Divisor::new(d, highest);
                let multiples = [1, 2, 3, highest / u128::from(d) / 2, highest / u128::from(d)]
                    .map(|k| k.saturating_mul(d.into()).min(highest));
                let powers = (0..bits).map(|bit| 1u128 << bit);
                for x in multiples.into_iter().chain(powers).chain(edges(10, highest)) {
                    for x in [x.saturating_sub(1), x, x.saturating_add(1)].map(|x| x.min(highest)) {
                        let expected = (x / u128::from(d), (x % u128::from(d)) as u64);
                        assert_eq!(divisor.div_rem(x), expected, "{x} by {d}");
                    }
                }
            }
        }
        for x in edges(10, u64::MAX.into()).into_iter().map(|x| x as u64) {
            assert_eq!(split_eight_digits(x), (x / 100_000_000, x % 100_000_000));
        }
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
                        let long = HalfCodec128::new(radix, m);
                        long.str(x, &mut numerals, least_first);
                        assert_eq!(numerals, expected, "radix {value}, {m} numerals");
                        assert_eq!(long.num(&numerals, least_first), x);
                        if value <= 256 {
                            let expected: Vec<u8> = expected.iter().map(|numeral| *numeral as u8).collect();
                            let mut numerals = vec![0u8; m];
                            long.str(x, &mut numerals, least_first);
                            assert_eq!(numerals, expected, "radix {value}, {m} numerals");
                            assert_eq!(long.num(&numerals, least_first), x);
                        }
                        if let (Ok(x), true) = (u64::try_from(x), highest <= u64::MAX.into()) {
                            let short = HalfCodec64::new(radix, m);
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
