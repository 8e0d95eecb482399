//! FF1 for halves beyond 128 bits, on big integers; not constant time.
//!
//! The halves stay numbers for all rounds. The work is linear in the length but for reading and writing them, where the
//! numerals are split in two again and again, so that the crate `num-bigint` multiplies and divides large by large.

use aes::Block;
use num_bigint::BigUint;
use num_integer::Integer;

use super::key::Aes;
use super::lanes::RowTweaks;
use super::{Direction, Radix, feistel, ff1};

/// Numerals that are read or written one after the other rather than split.
const SMALL: usize = 64;

/// Encrypts or decrypts rows of `n` numerals.
pub(super) fn apply(
    aes: &Aes,
    radix: Radix,
    direction: Direction,
    tweaks: RowTweaks<'_>,
    numerals: &mut [u16],
    n: usize,
) {
    let shape = ff1::Shape::new(radix, n);
    let powers = Powers::new(radix, shape.v);
    let moduli = [radix.power(shape.u), radix.power(shape.v)];
    let mut memo = ff1::Memo::default();
    let mut head = [0];
    if let RowTweaks::Shared(tweak) = tweaks {
        shape.heads(aes, &mut memo, [tweak].into_iter(), &mut head);
    }
    for (row, numerals) in numerals.chunks_exact_mut(n).enumerate() {
        if !matches!(tweaks, RowTweaks::Shared(_)) {
            shape.heads(aes, &mut memo, [tweaks.of(row)].into_iter(), &mut head);
        }
        let (to_left, to_right) = numerals.split_at_mut(shape.u);
        let (mut left, mut right) = (powers.num(to_left), powers.num(to_right));
        feistel::walk(direction, ff1::ROUNDS, &mut left, &mut right, |i, changed, fixed| {
            let modulus = &moduli[usize::from(i % 2)];
            let y = round(aes, &shape, head[0], i, fixed) % modulus;
            *changed += match direction {
                Direction::Encrypt => y,
                Direction::Decrypt => modulus - y,
            };
            if *changed >= *modulus {
                *changed -= modulus;
            }
        });
        powers.str(&left, to_left);
        powers.str(&right, to_right);
    }
}

/// Steps 6.i to 6.iv: y.
fn round(aes: &Aes, shape: &ff1::Shape, head: u128, i: u8, fixed: &BigUint) -> BigUint {
    // i. and ii. Q is T ‖ 0… ‖ [i] ‖ [NUM(B)]^b; the head has taken care of what comes before [i].
    let number = fixed.to_bytes_be();
    let length = (shape.b + 1).next_multiple_of(16);
    let mut rest = vec![0; length];
    rest[length - shape.b - 1] = i;
    rest[length - number.len()..].copy_from_slice(&number);
    let (blocks, _) = rest.as_chunks::<16>();
    let r = blocks
        .iter()
        .fold(head, |chain, block| aes.encrypt_be(chain ^ u128::from_be_bytes(*block)));
    // iii. Let S be the first d bytes of R ‖ CIPH(R ⊕ [1]^16) ‖ …
    let mut s: Vec<Block> = (0..shape.d.div_ceil(16) as u128)
        .map(|j| Block::from((r ^ j).to_be_bytes()))
        .collect();
    aes.encrypt_blocks(&mut s[1..]);
    // iv. Let y = NUM(S).
    let s: Vec<u8> = s.iter().flat_map(|block| block.0).collect();
    BigUint::from_bytes_be(&s[..shape.d])
}

/// NUM and STR, by halves: radix^(SMALL·2^k) for every k that is needed.
struct Powers {
    radix: Radix,
    powers: Vec<BigUint>,
}

impl Powers {
    /// For up to `m` numerals.
    fn new(radix: Radix, m: usize) -> Self {
        let mut powers = Vec::new();
        if !radix.value().is_power_of_two() {
            let mut digits = SMALL;
            while digits < m {
                let next = powers.last().map_or_else(|| radix.power(SMALL), |power| power * power);
                powers.push(next);
                digits *= 2;
            }
        }
        Self { radix, powers }
    }

    fn num(&self, numerals: &[u16]) -> BigUint {
        if self.radix.value().is_power_of_two() {
            return num_bits(self.radix.value().ilog2(), numerals);
        }
        match self.split(numerals.len()) {
            None => {
                let radix = self.radix.value();
                let add = |number: BigUint, numeral: &u16| number * radix + *numeral;
                numerals.iter().fold(BigUint::ZERO, add)
            }
            Some((power, low)) => {
                let (high, low) = numerals.split_at(numerals.len() - low);
                self.num(high) * power + self.num(low)
            }
        }
    }

    fn str(&self, x: &BigUint, numerals: &mut [u16]) {
        if self.radix.value().is_power_of_two() {
            return str_bits(self.radix.value().ilog2(), x, numerals);
        }
        match self.split(numerals.len()) {
            None => {
                let mut x = x.clone();
                for numeral in numerals.iter_mut().rev() {
                    let (rest, digit) = x.div_rem(&self.radix.value().into());
                    *numeral = u16::try_from(digit).expect("a numeral is below 65,536");
                    x = rest;
                }
            }
            Some((power, low)) => {
                let (high, rest) = x.div_rem(power);
                let (to_high, to_low) = numerals.split_at_mut(numerals.len() - low);
                self.str(&high, to_high);
                self.str(&rest, to_low);
            }
        }
    }

    /// The largest power below `m` numerals, and how many numerals it stands for.
    fn split(&self, m: usize) -> Option<(&BigUint, usize)> {
        let lengths = (0..self.powers.len()).map(|k| SMALL << k);
        let (power, low) = self.powers.iter().zip(lengths).rfind(|(_, low)| *low < m)?;
        Some((power, low))
    }
}

/// NUM for numerals of `width` bits each.
fn num_bits(width: u32, numerals: &[u16]) -> BigUint {
    let mut bytes = Vec::with_capacity(numerals.len() * width as usize / 8 + 1);
    let (mut pending, mut bits) = (0u32, 0);
    for numeral in numerals.iter().rev() {
        pending |= u32::from(*numeral) << bits;
        bits += width;
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
            for m in [1, 2, 63, 64, 65, 127, 128, 129, 130, 192, 193, 300, 513] {
                let powers = Powers::new(radix, m);
                let mut spelled = vec![0; m];
                let mut numerals: Vec<u16> = (0..m as u32)
                    .map(|i| (i.wrapping_mul(2_654_435_761) % value) as u16)
                    .collect();
                for round in 0..3 {
                    let plain = numerals.iter().fold(BigUint::ZERO, |x, numeral| x * value + *numeral);
                    assert_eq!(powers.num(&numerals), plain, "radix {value}, {m} numerals");
                    powers.str(&plain, &mut spelled);
                    assert_eq!(spelled, numerals, "radix {value}, {m} numerals");
                    numerals.fill(if round == 0 { 0 } else { (value - 1) as u16 });
                }
            }
        }
    }
}
