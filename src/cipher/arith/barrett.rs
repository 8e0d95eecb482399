//! Remainders without division: hardware division takes longer for larger values, and values are secret.
//!
//! All of these follow Barrett: q̂ = ⌊y·µ/2^w⌋ with µ = ⌊2^w/M⌋ is never above y/M and misses it by less than a
//! small number c, so that y − q̂·M is in 0 … c·M and at most c − 1 subtractions of M finish the job. No branch
//! depends on a value.

use num_bigint::BigUint;

/// A modulus 2 ≤ M < 2^128 with its reciprocal, for any y < 2^128.
///
/// µ = ⌊(2^128 − 1)/M⌋ ≥ 2^128/M − 1, so y·µ/2^128 ≥ y/M − y/2^128 > y/M − 1 and q̂ > y/M − 2: y − q̂·M < 2M.
/// That fits 128 bits: for M > 2^127, µ = 1 and q̂ = 0, so it is y itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrett {
    pub(crate) m: u128,
    mu: u128,
}

impl Barrett {
    pub(crate) fn new(m: u128) -> Self {
        // 2^128 itself does not fit the type; ⌊(2^128 − 1)/M⌋ is smaller, by 1, for powers of two alone, and the
        // bound above is about it.
        Self { m, mu: u128::MAX / m }
    }

    /// (⌊y/M⌋, y mod M).
    #[inline(always)]
    pub(crate) fn div_rem(&self, y: u128) -> (u128, u128) {
        let q = high_product(y, self.mu);
        // Modulo 2^128, where the true difference, below 2M, fits: see above for M > 2^127.
        let r = y.wrapping_sub(q.wrapping_mul(self.m));
        let (less, borrow) = r.overflowing_sub(self.m);
        // A borrow says r < M, so r stays. Both candidates are computed, and a mask takes one: no branch on a
        // secret.
        let keep = mask(borrow);
        (q + u128::from(!borrow), r & keep | less & !keep)
    }

    /// y mod M.
    #[inline(always)]
    pub(crate) fn rem(&self, y: u128) -> u128 {
        self.div_rem(y).1
    }
}

/// A modulus 2 < M < 2^32, no power of two, for y < 2^64. Its products are of 32 bits by 32: processors have
/// vectors of those.
///
/// Let y = h·2^32 + l and c = 2^32 mod M ≤ M − 1. Then z = h·c + l has the remainder of y, and
/// z ≤ (2^32 − 1)·(M − 1) + 2^32 − 1 = (2^32 − 1)·M < 2^64.
///
/// Let M have k bits, t = ⌊z/2^k⌋ and µ = ⌊2^(k+31)/M⌋; as 2^(k−1) < M < 2^k, both are below 2^32, and so is q̂ =
/// ⌊t·µ/2^31⌋ ≤ z/M. From t > z/2^k − 1 and µ > 2^(k+31)/M − 1: t·µ/2^31 > z/M − 2^k/M − z/2^(k+31) > z/M − 1/x −
/// 2x with x = M/2^k. That sum is convex and 3 at both ends of 1/2 … 1, so q̂ > z/M − 4 and z − q̂·M < 4M.
///
/// Added to a half, or taken from a half and 4M, that stays in 0 … 5M − 1: three subtractions, of 2M, 2M and M,
/// reduce the sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrett32 {
    m: u64,
    c: u64,
    mu: u64,
    bits: u32,
}

impl Barrett32 {
    pub(crate) fn new(m: u64) -> Self {
        debug_assert!((3..1 << 32).contains(&m) && !m.is_power_of_two());
        let bits = 64 - m.leading_zeros();
        // bits ≤ 32, so that the shift is at most 63.
        let mu = (1u64 << (bits + 31)) / m;
        let c = (1 << 32) % m;
        Self { m, c, mu, bits }
    }

    /// (half + y) mod M for half < M.
    #[inline(always)]
    pub(crate) fn add(&self, half: u64, y: u64) -> u64 {
        // Half < M and a number below 4M: the sum is below 5M < 2^35.
        self.settle(half + self.close(y))
    }

    /// (half − y) mod M, likewise.
    #[inline(always)]
    pub(crate) fn sub(&self, half: u64, y: u64) -> u64 {
        // 4M first, so that nothing goes below 0: from 1 up to 5M − 1.
        self.settle(half + 4 * self.m - self.close(y))
    }

    /// y mod M.
    #[inline(always)]
    pub(crate) fn rem(&self, y: u64) -> u64 {
        self.settle(self.close(y))
    }

    /// A number below 4M with the remainder of y.
    #[inline(always)]
    fn close(&self, y: u64) -> u64 {
        // 2^32 ≡ c, so that y's upper half comes down by one product; z < 2^64 as shown above.
        let z = product_32(y >> 32, self.c) + (y & LOW);
        let q = product_32(z >> self.bits, self.mu) >> 31;
        z - product_32(q, self.m)
    }

    /// x mod M for x < 5M.
    #[inline(always)]
    fn settle(&self, x: u64) -> u64 {
        // 5M − 1 → below 3M → below 2M → below M. With 2M twice, as after one of them up to 3M − 1 may be left.
        less(less(less(x, 2 * self.m), 2 * self.m), self.m)
    }
}

/// A modulus 2^32 < M ≤ 2^62, for y < 2^96.
///
/// With t = ⌊y/2^32⌋ > y/2^32 − 1 and µ = ⌊2^96/M⌋ > 2^96/M − 1: t·µ/2^64 > y/M − 2^32/M − y/2^96 > y/M − 2, so
/// q̂ > y/M − 3 and y − q̂·M < 3M. Added to a half, or taken from a half and 3M, that stays in 0 … 4M − 1 < 2^64: two
/// subtractions, of 2M and of M, and all of it modulo 2^64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrett62 {
    m: u64,
    mu: u64,
}

impl Barrett62 {
    pub(crate) fn new(m: u64) -> Self {
        debug_assert!(m > 1 << 32 && m <= 1 << 62);
        // M > 2^32, so that µ < 2^64.
        let mu = u64::try_from((1u128 << 96) / u128::from(m)).expect("m is above 2^32");
        Self { m, mu }
    }

    /// (half + y) mod M for half < M; `high` is ⌊y/2^32⌋, `low` is y mod 2^64.
    #[inline(always)]
    pub(crate) fn add(&self, half: u64, high: u64, low: u64) -> u64 {
        self.settle(half + self.close(high, low))
    }

    /// (half − y) mod M, likewise.
    #[inline(always)]
    pub(crate) fn sub(&self, half: u64, high: u64, low: u64) -> u64 {
        self.settle((half + 3 * self.m) - self.close(high, low))
    }

    /// A number below 3M with the remainder of y.
    #[inline(always)]
    fn close(&self, high: u64, low: u64) -> u64 {
        // The rest is below 3M < 2^64, so that y's and q̂·M's lower 64 bits give it exactly.
        low.wrapping_sub(high_product_32(high, self.mu).wrapping_mul(self.m))
    }

    /// x mod M for x < 4M.
    #[inline(always)]
    fn settle(&self, x: u64) -> u64 {
        // Below 4M → below 2M → below M.
        less(less(x, 2 * self.m), self.m)
    }
}

/// A modulus 2^64 < M < 2^128, for y < 2^160.
///
/// y = x·2^32 + s; first x is reduced as above, then z = r·2^32 + s with r < M. Let M have k bits, t = ⌊r/2^(k−64)⌋
/// < 2^64 and ν = ⌊2^(k+32)/M⌋ < 2^33 + 1. Then q̂ = ⌊t·ν/2^64⌋ ≤ r·2^32/M ≤ z/M, and t·ν/2^64 > r·2^32/M −
/// 2^(k+32)/(M·2^64) − r/2^k > r·2^32/M − 2^−31 − 1, while z/M < r·2^32/M + 2^32/M. So q̂ > z/M − 2 − 2^−31 −
/// 2^−32 > z/M − 3: two subtractions, of a number of up to 130 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrett160 {
    pub(crate) barrett: Barrett,
    shift: u32,
    nu: u64,
}

impl Barrett160 {
    pub(crate) fn new(m: u128) -> Self {
        debug_assert!(m > 1 << 64);
        let bits = 128 - m.leading_zeros();
        let nu = (BigUint::from(1u8) << (bits + 32)) / m;
        Self {
            barrett: Barrett::new(m),
            shift: bits - 64,
            nu: u64::try_from(nu).expect("m has that many bits, so this has 34 at most"),
        }
    }

    /// (x·2^32 + s) mod M.
    #[inline(always)]
    pub(crate) fn rem(&self, x: u128, s: u32) -> u128 {
        let m = self.barrett.m;
        let r = self.barrett.rem(x);
        // t < 2^64 and ν ≤ 2^33: the product has at most 97 bits.
        let q = ((r >> self.shift) * u128::from(self.nu)) >> 64;
        // q̂·M has up to 161 bits: two products of at most 34 by 64 bits, and carries by hand. `above` is what the
        // rest has beyond 128 bits.
        let (low, high) = (q * (m & u128::from(u64::MAX)), q * (m >> 64));
        let (product, carry) = low.overflowing_add(high << 64);
        let (mut rest, borrow) = (r << 32 | u128::from(s)).overflowing_sub(product);
        let mut above = (r >> 96)
            .wrapping_sub((high >> 64) + u128::from(carry))
            .wrapping_sub(u128::from(borrow));
        // Always twice, whether it is needed or not: the time does not depend on y. M is taken off if there is
        // anything above 128 bits, or if the difference does not borrow.
        for _ in 0..2 {
            let (less, borrow) = rest.overflowing_sub(m);
            let take = mask((above != 0) | !borrow);
            rest = less & take | rest & !take;
            above = above.wrapping_sub(u128::from(borrow) & take);
        }
        rest
    }
}

/// A modulus 2^(w−64) < M ≤ 2^126, for y < 2^w with w = 96, 128 or 160: the quotient fits 64 bits, and one product
/// of 64 bits finds it.
///
/// With t = ⌊y/2^(w−64)⌋ > y/2^(w−64) − 1 and µ = ⌊2^w/M⌋ > 2^w/M − 1: t·µ/2^64 > y/M − 2^(w−64)/M − y/2^w > y/M −
/// 2, so q̂ > y/M − 3 and y − q̂·M < 3M. Added to a half, or taken from a half and 3M, that stays in 0 … 4M − 1,
/// which fits 128 bits. So the remainder is left as it is, and two subtractions, of 2M and of M, reduce the sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BarrettTall {
    m: u128,
    mu: u64,
}

impl BarrettTall {
    /// For y of `width` bits: 96, 128 or 160; `None` if `m` is out of bounds.
    pub(crate) fn new(m: u128, width: u32) -> Option<Self> {
        if m <= 1 << (width - 64) || m > 1 << 126 {
            return None;
        }
        let mu = u64::try_from((BigUint::from(1u8) << width) / m).expect("m is above 2^(width − 64)");
        Some(Self { m, mu })
    }

    /// (half + y) mod M for half < M; `high` is y's first 64 bits, `low` is y mod 2^128.
    #[inline(always)]
    pub(crate) fn add(&self, half: u128, high: u64, low: u128) -> u128 {
        self.settle(half + self.close(high, low))
    }

    /// (half − y) mod M, likewise.
    #[inline(always)]
    pub(crate) fn sub(&self, half: u128, high: u64, low: u128) -> u128 {
        self.settle(half + 3 * self.m - self.close(high, low))
    }

    /// A number below 3M with the remainder of y.
    #[inline(always)]
    fn close(&self, high: u64, low: u128) -> u128 {
        // One product of 64 bits where `Barrett` has four: that is why M has to be above 2^(w − 64).
        let q = u128::from(high_product_64(high, self.mu));
        low.wrapping_sub(q.wrapping_mul(self.m))
    }

    /// x mod M for x < 4M.
    #[inline(always)]
    fn settle(&self, x: u128) -> u128 {
        let less = |x: u128, m: u128| {
            let (less, borrow) = x.overflowing_sub(m);
            less.wrapping_add(m & mask(borrow))
        };
        less(less(x, 2 * self.m), self.m)
    }
}

/// All ones if `flag`.
#[inline(always)]
pub(crate) fn mask(flag: bool) -> u128 {
    u128::from(flag).wrapping_neg()
}

/// x or x − m, whichever is not negative, for m ≤ 2^63: below m, the subtraction wraps to above 2^64 − m, and the
/// minimum is x.
#[inline(always)]
fn less(x: u64, m: u64) -> u64 {
    // Compilers make a vector instruction or a conditional move of a minimum, and no branch.
    x.min(x.wrapping_sub(m))
}

/// The lower half of a word.
pub(crate) const LOW: u64 = 0xFFFF_FFFF;

/// The product of the lower halves.
#[inline(always)]
pub(crate) fn product_32(x: u64, y: u64) -> u64 {
    (x & LOW) * (y & LOW)
}

/// ⌊x·y/2^64⌋.
#[inline(always)]
pub(crate) fn high_product_64(x: u64, y: u64) -> u64 {
    ((u128::from(x) * u128::from(y)) >> 64) as u64
}

/// ⌊x·y/2^64⌋ from products of 32 bits: more of them, but there are vectors of those.
#[inline(always)]
fn high_product_32(x: u64, y: u64) -> u64 {
    // Schoolbook multiplication in base 2^32. No sum overflows: (2^32 − 1)² + 2·(2^32 − 1) = 2^64 − 1.
    let across = product_32(x >> 32, y) + (product_32(x, y) >> 32);
    let middle = product_32(x, y >> 32) + (across & LOW);
    product_32(x >> 32, y >> 32) + (across >> 32) + (middle >> 32)
}

/// ⌊x·y/2^128⌋.
#[inline(always)]
fn high_product(x: u128, y: u128) -> u128 {
    // Likewise in base 2^64: (2^64 − 1)² + 2·(2^64 − 1) = 2^128 − 1.
    let low = |x: u128| x & u128::from(u64::MAX);
    let bottom = low(x) * low(y);
    let across = (x >> 64) * low(y) + (bottom >> 64);
    let middle = low(x) * (y >> 64) + low(across);
    (x >> 64) * (y >> 64) + (across >> 64) + (middle >> 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers where a wrong bound would show: around multiples of m, powers of two and the ends.
    fn adversarial(m: u128, limit_bits: u32) -> impl Iterator<Item = u128> {
        let highest = u128::MAX >> (128 - limit_bits);
        let multiples = [0, 1, 2, highest / m / 2, highest / m - 1, highest / m]
            .into_iter()
            .map(move |k: u128| k.min(highest / m) * m);
        let powers = (0..limit_bits).map(|bit| 1u128 << bit);
        let mut state = 0x9e37_79b9_7f4a_7c15_u128;
        let random = std::iter::repeat_with(move || {
            state = state
                .wrapping_mul(0xda94_2042_e4dd_58b5)
                .wrapping_add(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f);
            state ^ (state >> 61)
        });
        multiples
            .chain(powers)
            .chain([highest])
            .flat_map(|y| [y.saturating_sub(1), y, y.saturating_add(1)])
            .chain(random.take(2000))
            .map(move |y| y & highest)
    }

    fn moduli(from: u128, to: u128) -> Vec<u128> {
        let mut moduli = vec![from, from + 1, to - 1, to];
        for radix in [2u128, 3, 7, 10, 26, 36, 62, 64, 85, 255, 256, 1000, 65_535, 65_536] {
            let powers = std::iter::successors(Some(radix), |power| power.checked_mul(radix));
            moduli.extend(powers.filter(|power| (from..=to).contains(power)));
        }
        moduli.extend((0..128).flat_map(|bit| [(1u128 << bit) - 1, 1u128 << bit, (1u128 << bit) + 1]));
        moduli.retain(|m| (from..=to).contains(m));
        moduli
    }

    #[test]
    fn barrett_divides_exactly() {
        for m in moduli(2, u128::MAX) {
            let barrett = Barrett::new(m);
            for y in adversarial(m, 128) {
                assert_eq!(barrett.div_rem(y), (y / m, y % m), "{y} by {m}");
            }
        }
    }

    #[test]
    fn short_and_medium_add_and_subtract_exactly() {
        let sum = |half: u64, y: u128, m: u128| u64::try_from((u128::from(half) + y % m) % m).unwrap();
        for m in moduli(3, (1 << 32) - 1).into_iter().filter(|m| !m.is_power_of_two()) {
            let short = Barrett32::new(m as u64);
            for y in adversarial(m, 64).chain(adversarial((1 << 32) - 1, 64)) {
                assert_eq!(u128::from(short.rem(y as u64)), y % m, "{y} mod {m}");
                for half in [0, 1, m / 2, m - 1].map(|half| half as u64) {
                    let sum = sum(half, y, m);
                    assert_eq!(short.add(half, y as u64), sum, "{half} + {y} mod {m}");
                    assert_eq!(short.sub(sum, y as u64), half, "{sum} − {y} mod {m}");
                }
            }
        }
        for m in moduli((1 << 32) + 1, 1 << 62) {
            let medium = Barrett62::new(m as u64);
            for y in adversarial(m, 96) {
                for half in [0, 1, m / 2, m - 1].map(|half| half as u64) {
                    let sum = sum(half, y, m);
                    assert_eq!(
                        medium.add(half, (y >> 32) as u64, y as u64),
                        sum,
                        "{half} + {y} mod {m}"
                    );
                    assert_eq!(medium.sub(sum, (y >> 32) as u64, y as u64), half, "{sum} − {y} mod {m}");
                }
            }
        }
    }

    #[test]
    fn tall_adds_and_subtracts_exactly() {
        for width in [96u32, 128, 160] {
            assert!(BarrettTall::new(1 << (width - 64), width).is_none());
            for m in moduli((1 << (width - 64)) + 1, 1 << 126.min(width - 1)) {
                let tall = BarrettTall::new(m, width).expect("in bounds");
                for x in adversarial(m, width.min(128)) {
                    for s in [0, 1, 0x8000_0000, u32::MAX, x as u32] {
                        let (high, y) = ((x >> (width.min(128) - 64)) as u64, BigUint::from(x));
                        let (low, y) = if width == 160 {
                            (x << 32 | u128::from(s), (y << 32) + s)
                        } else {
                            (x, y)
                        };
                        let y = u128::try_from(y % m).unwrap();
                        for half in [0, 1, m / 2, m - 1] {
                            let sum = if half >= m - y { half - (m - y) } else { half + y };
                            assert_eq!(tall.add(half, high, low), sum, "{half} + {x}, {s} mod {m}");
                            assert_eq!(tall.sub(sum, high, low), half, "{sum} − {x}, {s} mod {m}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn long_reduces_exactly() {
        for m in moduli((1 << 64) + 1, u128::MAX) {
            let long = Barrett160::new(m);
            for x in adversarial(m, 128).chain([m - 1, m / 2, m / 3]) {
                for s in [0, 1, 0x8000_0000, u32::MAX, x as u32] {
                    let y = (BigUint::from(x) << 32) + s;
                    assert_eq!(BigUint::from(long.rem(x, s)), y % m, "{x}·2^32 + {s} mod {m}");
                }
            }
        }
    }
}
