//! FF1 for halves beyond 128 bits, on big integers; not constant time.
//!
//! The halves stay numbers for all rounds. A round is linear in the length: y has at most 80 bits more than
//! radix^m, so its quotient is estimated from the first bits of both. What is not linear is reading and writing the
//! halves. There the numerals are split in two again and again, so that large numbers are multiplied by large ones;
//! and for writing, instead of dividing by a power of the radix, its reciprocal is multiplied by.

use aes::Block;
use num_bigint::BigUint;
use num_integer::Integer;

use crate::arith::numeral;
use crate::arith::numeral::HalfCodec64;
use crate::spec::ff1::{CachedAesP, Ff1Shape};
use crate::spec::key::Aes;
use crate::spec::radix::Radix;
use crate::spec::tweaks::Tweaks;
use crate::spec::types::Direction;
use crate::spec::{feistel, ff1};

/// Words of 64 bits that are read or written one after the other rather than split.
const SMALL: usize = 15;

/// Bits of a divisor from which its reciprocal is faster than division.
const RECIPROCAL: u64 = 64 * 64;

/// Encrypts or decrypts rows of `n` numerals.
pub(crate) fn apply(aes: &Aes, radix: Radix, direction: Direction, tweaks: Tweaks<'_>, numerals: &mut [u16], n: usize) {
    let shape = Ff1Shape::new(radix, n);
    // For v numerals, as the right half is the longer one; its levels serve the left one, too.
    let codec = BigCodec::new(radix, shape.v);
    let moduli = [shape.u, shape.v].map(|m| BigModulus::new(radix.power(m)));
    let mut round = BigRound::new(&shape);
    let mut cached = CachedAesP::default();
    let mut prefix = [0];
    if let Tweaks::Shared(tweak) = tweaks {
        shape.prefixes(aes, &mut cached, [tweak].into_iter(), &mut prefix);
    }
    for (row, numerals) in numerals.chunks_exact_mut(n).enumerate() {
        if !matches!(tweaks, Tweaks::Shared(_)) {
            shape.prefixes(aes, &mut cached, [tweaks.get(row)].into_iter(), &mut prefix);
        }
        let (to_left, to_right) = numerals.split_at_mut(shape.u);
        let (mut left, mut right) = (codec.num(to_left), codec.num(to_right));
        feistel::rounds(direction, ff1::ROUNDS, &mut left, &mut right, |i, changed, fixed| {
            let modulus = &moduli[usize::from(i % 2)];
            let y = modulus.rem(round.y(aes, prefix[0], i, fixed));
            // Both summands are below radix^m, so that one subtraction reduces their sum. This branches on a value:
            // big integers are not constant time anyway, as the module says.
            *changed += match direction {
                Direction::Encrypt => y,
                Direction::Decrypt => &modulus.m - y,
            };
            if *changed >= modulus.m {
                *changed -= &modulus.m;
            }
        });
        codec.str(left, to_left);
        codec.str(right, to_right);
    }
}

/// radix^m, to reduce y by.
struct BigModulus {
    m: BigUint,
    /// Bits after the first 128 of m.
    shift: u64,
    /// The first 128 bits of m, plus 1.
    above: BigUint,
}

impl BigModulus {
    fn new(m: BigUint) -> Self {
        // 128 bits are enough for a quotient of up to 80, with an error far below 1.
        let shift = m.bits().saturating_sub(128);
        let above = (&m >> shift) + 1u8;
        Self { m, shift, above }
    }

    /// y mod m for y < m·2^80.
    ///
    /// Let a be `above`: m < a·2^s ≤ m + 2^s, and a ≥ 2^111, as one half has more than 128 bits and the other at
    /// most 16 fewer. Then q̂ = ⌊⌊y/2^s⌋/a⌋ = ⌊y/(a·2^s)⌋ ≤ y/m, and y/m − y/(a·2^s) ≤ y/m/a < 2^−31. So y/m − q̂ <
    /// 2: one subtraction.
    fn rem(&self, mut y: BigUint) -> BigUint {
        let q = (&y >> self.shift) / &self.above;
        y -= q * &self.m;
        if y >= self.m {
            y -= &self.m;
        }
        y
    }
}

/// The blocks of a round, kept from one to the next.
struct BigRound {
    b: usize,
    d: usize,
    /// Q from \[i\] on, with zeros before it.
    rest: Vec<u8>,
    s: Vec<Block>,
}

impl BigRound {
    fn new(shape: &Ff1Shape) -> Self {
        Self {
            b: shape.b,
            d: shape.d,
            rest: vec![0; (shape.b + 1).next_multiple_of(16)],
            s: vec![Block::default(); shape.d.div_ceil(16)],
        }
    }

    /// Steps 6.i to 6.iv: y.
    fn y(&mut self, aes: &Aes, prefix: u128, i: u8, fixed: &BigUint) -> BigUint {
        // i. and ii. Q is T ‖ 0… ‖ [i] ‖ [NUM(B)]^b; the prefix has taken care of what comes before [i].
        let (before, number) = {
            let at = self.rest.len() - self.b;
            self.rest.split_at_mut(at)
        };
        if let Some(last) = before.last_mut() {
            *last = i;
        }
        let mut words = fixed.iter_u32_digits();
        for bytes in number.rchunks_mut(4) {
            // The first bytes of NUM(B) may be fewer than four; then the word has no more than that.
            let word = words.next().unwrap_or_default().to_be_bytes();
            bytes.copy_from_slice(&word[4 - bytes.len()..]);
        }
        // `rest` is a multiple of 16 bytes, so that nothing is left over.
        let (blocks, _) = self.rest.as_chunks::<16>();
        let r = aes.chain(prefix, blocks);
        // iii. Let S be the first d bytes of R ‖ CIPH(R ⊕ [1]^16) ‖ …
        for (j, block) in (0u128..).zip(&mut self.s) {
            *block = Block::from((r ^ j).to_be_bytes());
        }
        // R itself is the first block of S; the others, CIPH(R ⊕ [j]^16), do not wait for each other.
        aes.encrypt_blocks(&mut self.s[1..]);
        // iv. Let y = NUM(S): d is a multiple of four.
        let words = self.s.iter().flat_map(|block| block.0.as_chunks::<4>().0);
        let mut words: Vec<u32> = words.take(self.d / 4).map(|word| u32::from_be_bytes(*word)).collect();
        // Words come most significant first and big integers take them least significant first.
        words.reverse();
        BigUint::new(words)
    }
}

/// NUM and STR.
enum BigCodec {
    /// For radices that are powers of two: the bits of a numeral.
    Bits(u32),
    Split(SplitCodec),
}

impl BigCodec {
    /// For up to `m` numerals.
    fn new(radix: Radix, m: usize) -> Self {
        if radix.value().is_power_of_two() {
            Self::Bits(radix.value().ilog2())
        } else {
            Self::Split(SplitCodec::new(radix, m))
        }
    }

    fn num(&self, numerals: &[u16]) -> BigUint {
        match self {
            Self::Bits(width) => num_bits(*width, numerals),
            Self::Split(split) => split.num(numerals),
        }
    }

    fn str(&self, x: BigUint, numerals: &mut [u16]) {
        match self {
            Self::Bits(width) => str_bits(*width, &x, numerals),
            Self::Split(split) => split.str(x, numerals),
        }
    }
}

/// NUM and STR by splitting the numerals in two again and again.
struct SplitCodec {
    radix: Radix,
    /// The most numerals that fit a word, and radix to that power.
    chunk: usize,
    word: u64,
    word_codec: HalfCodec64,
    /// The k-th splits off the last `SMALL`·`chunk`·2^k numerals.
    levels: Vec<SplitLevel>,
}

/// D = radix^j, for numbers below D².
struct SplitLevel {
    divisor: BigUint,
    /// ⌊2^2j/D⌋ for a D of j bits, if that is large.
    reciprocal: Option<BigUint>,
}

impl SplitCodec {
    /// For up to `m` numerals.
    fn new(radix: Radix, m: usize) -> Self {
        let power = |m| radix.power_up_to(m, u64::MAX);
        let chunk = (1..).take_while(|m| power(*m).is_some()).last().unwrap_or(1);
        let mut split = Self {
            radix,
            chunk,
            word: power(chunk).expect("that is how long a chunk is"),
            word_codec: HalfCodec64::new(radix, chunk),
            levels: Vec::new(),
        };
        let mut numerals = SMALL * chunk;
        while numerals < m {
            let level = match split.levels.last() {
                None => SplitLevel::first(radix.power(numerals)),
                Some(last) => last.next(),
            };
            split.levels.push(level);
            // Each level splits off twice as many as the one before, so that the upper part, what is left, is at
            // most as long: large multiplications want factors of about one length.
            numerals *= 2;
        }
        split
    }

    /// The last level that splits `m` numerals, and how many it splits off.
    fn level(&self, m: usize) -> Option<(&SplitLevel, usize)> {
        let lengths = (0..self.levels.len()).map(|k| (SMALL * self.chunk) << k);
        self.levels.iter().zip(lengths).rfind(|(_, low)| *low < m)
    }

    fn num(&self, numerals: &[u16]) -> BigUint {
        if let Some((level, low)) = self.level(numerals.len()) {
            let (high, low) = numerals.split_at(numerals.len() - low);
            return &level.divisor * self.num(high) + self.num(low);
        }
        // Short ones by Horner's rule, a word of numerals at a time: number·word + chunk, with the carry from word
        // to word. Below `SMALL` words that is quicker than splitting.
        let (first, chunks) = numerals.split_at(numerals.len() % self.chunk);
        let radix = u64::from(self.radix.value());
        let mut words = vec![
            first
                .iter()
                .fold(0, |number, numeral| number * radix + u64::from(*numeral)),
        ];
        for chunk in chunks.chunks_exact(self.chunk) {
            let mut carry = numeral::num_of(self.word_codec, chunk, false);
            for word in &mut words {
                // At most (2^64 − 1)² + 2^64 − 1 < 2^128.
                let product = u128::from(*word) * u128::from(self.word) + u128::from(carry);
                (*word, carry) = (product as u64, (product >> 64) as u64);
            }
            words.push(carry);
        }
        BigUint::new(
            words
                .iter()
                .flat_map(|word| [*word as u32, (word >> 32) as u32])
                .collect(),
        )
    }

    fn str(&self, mut x: BigUint, numerals: &mut [u16]) {
        if let Some((level, low)) = self.level(numerals.len()) {
            let (high, rest) = level.div_rem(x);
            let (to_high, to_low) = numerals.split_at_mut(numerals.len() - low);
            self.str(high, to_high);
            self.str(rest, to_low);
            return;
        }
        let (first, chunks) = numerals.split_at_mut(numerals.len() % self.chunk);
        // From the least significant chunk on: each remainder is a word, which `str_of` spells without division.
        for chunk in chunks.rchunks_exact_mut(self.chunk) {
            let (rest, word) = x.div_rem(&self.word.into());
            numeral::str_of(self.word_codec, low_word(&word), chunk, false);
            x = rest;
        }
        let (mut x, radix) = (low_word(&x), u64::from(self.radix.value()));
        for numeral in first.iter_mut().rev() {
            *numeral = (x % radix) as u16;
            x /= radix;
        }
    }
}

fn low_word(x: &BigUint) -> u64 {
    x.iter_u64_digits().next().unwrap_or_default()
}

impl SplitLevel {
    fn first(d: BigUint) -> Self {
        Self {
            divisor: d,
            reciprocal: None,
        }
    }

    /// The level of D².
    fn next(&self) -> Self {
        let d = &self.divisor * &self.divisor;
        let bits = d.bits();
        // Below this length division is quicker than a product and the work for the reciprocal.
        if bits < RECIPROCAL {
            return Self::first(d);
        }
        let above = BigUint::from(1u8) << (2 * bits);
        let reciprocal = match &self.reciprocal {
            None => above / &d,
            // Newton's step x + x·(2^2j − x·D²)/2^2j from x = µ², which doubles the bits that are right. Neither µ²
            // nor what comes of it is above 2^2j/D², and that it misses by a small number: µ misses less than the
            // 2^−(j/2)-th part of itself, so that the step misses less than eight, and what is cut off below makes
            // less than four.
            Some(last) => {
                let mut x = (last * last) >> (4 * self.divisor.bits() - 2 * bits);
                let half = bits / 2;
                let missing = (&above - &d * &x) >> bits;
                x += ((&x >> half) * missing) >> (bits - half);
                let mut missing = above - &d * &x;
                while missing >= d {
                    missing -= &d;
                    x += 1u8;
                }
                x
            }
        };
        Self {
            divisor: d,
            reciprocal: Some(reciprocal),
        }
    }

    /// (⌊x/D⌋, x mod D) for x < D².
    ///
    /// Let D have j bits, t = ⌊x/2^(j−1)⌋ and µ = ⌊2^2j/D⌋. As t > x/2^(j−1) − 1 and µ > 2^2j/D − 1, the product
    /// t·µ/2^(j+1) is above x/D − 2^(j−1)/D − x/2^2j > x/D − 2. So q̂ > x/D − 3: two subtractions.
    fn div_rem(&self, mut x: BigUint) -> (BigUint, BigUint) {
        let d = &self.divisor;
        let Some(reciprocal) = &self.reciprocal else {
            return x.div_rem(d);
        };
        let t = &x >> (d.bits() - 1);
        let mut q = (reciprocal * t) >> (d.bits() + 1);
        // q̂ is never too large, so that this does not go below 0.
        x -= d * &q;
        while x >= *d {
            x -= d;
            q += 1u8;
        }
        (q, x)
    }
}

/// NUM for numerals of `width` bits each.
fn num_bits(width: u32, numerals: &[u16]) -> BigUint {
    let mut bytes = Vec::with_capacity(numerals.len() * width as usize / 8 + 1);
    let (mut pending, mut bits) = (0u32, 0);
    for numeral in numerals.iter().rev() {
        pending |= u32::from(*numeral) << bits;
        bits += width;
        // At most 7 bits wait here and 16 come, so that 32 bits hold them.
        while bits >= 8 {
            bytes.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    bytes.push(pending as u8);
    BigUint::from_bytes_le(&bytes)
}

/// STR for numerals of `width` bits each.
fn str_bits(width: u32, x: &BigUint, numerals: &mut [u16]) {
    let mut bytes = x.to_bytes_le().into_iter();
    let (mut pending, mut bits) = (0u32, 0);
    for numeral in numerals.iter_mut().rev() {
        while bits < width {
            pending |= u32::from(bytes.next().unwrap_or(0)) << bits;
            bits += 8;
        }
        *numeral = (pending & ((1 << width) - 1)) as u16;
        pending >>= width;
        bits -= width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_numerals_at_every_split() {
        for value in [2, 3, 8, 10, 36, 255, 256, 1000, 2048, 65_535, 65_536] {
            let radix = Radix::try_new(value).unwrap();
            for m in [
                1, 2, 63, 64, 65, 127, 128, 129, 130, 192, 193, 300, 513, 1216, 1217, 4864, 4865, 9729,
            ] {
                let codec = BigCodec::new(radix, m);
                let mut spelled = vec![0; m];
                let mut numerals: Vec<u16> = (0..m as u32)
                    .map(|i| (i.wrapping_mul(2_654_435_761) % value) as u16)
                    .collect();
                for round in 0..3 {
                    let plain = numerals.iter().fold(BigUint::ZERO, |x, numeral| x * value + *numeral);
                    assert_eq!(codec.num(&numerals), plain, "radix {value}, {m} numerals");
                    codec.str(plain, &mut spelled);
                    assert_eq!(spelled, numerals, "radix {value}, {m} numerals");
                    numerals.fill(if round == 0 { 0 } else { (value - 1) as u16 });
                }
            }
        }
    }
}
