//! Remainders by products of 52-bit numbers, as the IFMA instructions of AVX-512 give them.
//!
//! The instructions multiply the lower 52 bits of two numbers and give the upper or lower 52 bits of the product.
//! As in [`barrett`](super::barrett), q̂ = ⌊t·µ/2^52⌋ with a rounded-down reciprocal µ is never above y/M. What is
//! left, y − q̂·M, is *lazy*: below 3M, not below M. The kernel adds it to a half, so that the sum is below 4M, and
//! takes off 2M and then M, each only where that does not wrap.
//!
//! `Modulus52::lazy` is the same arithmetic one number at a time: the kernels' model, which the tests compare
//! with division.

/// The reduction of y for both halves of a shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReductionIfma {
    /// Powers of two: y's lower bits.
    Mask,
    /// y < 2^64 and M ≤ 2^30, in two steps.
    ///
    /// First y's upper half is brought down: with µ = 2^32 mod M < M, z = ⌊y/2^32⌋·µ + (y mod 2^32) is y modulo M
    /// and at most (2^32 − 1)·(M − 1) + 2^32 − 1 < M·2^32. For M ≤ 2^19, z < 2^51 and s = 0, else z < 2^62 and s =
    /// 12. With t = ⌊z/2^s⌋ < 2^52 and ν = ⌊2^(52 + s)/M⌋ < 2^52: t·ν/2^52 > z/M − ν/2^52 − t/2^52 > z/M − 2, so
    /// q̂ > z/M − 3.
    Tiny,
    /// y < 2^64 and 2^12 < M ≤ 2^32: µ = ⌊2^64/M⌋ < 2^52.
    ///
    /// With t = ⌊y/2^12⌋ > y/2^12 − 1 and µ > 2^64/M − 1: t·µ/2^52 > y/M − µ/2^52 − t/2^52 > y/M − 2, so q̂ > y/M − 3.
    Short,
    /// y < 2^96 and 2^26 < M ≤ 2^50, in two steps: µ = ⌊2^64/M⌋ < 2^52.
    ///
    /// First h = ⌊y/2^32⌋ < 2^64 as above: the rest g is below 3M. Then z = g·2^32 + (y mod 2^32) < 3M·2^32 < 2^84.
    /// Let s be the number of bits by which 3M·2^32 passes 2^52, at most 32, t = ⌊z/2^s⌋ < 2^52 and ν = ⌊2^(52 +
    /// s)/M⌋ < 2^52, as 2^s < 3M·2^32/2^52·2 < M: t·ν/2^52 > z/M − ν/2^52 − t/2^52 > z/M − 2, so q̂ > z/M − 3.
    Twice,
    /// y < 2^96 and 2^44 < M ≤ 2^62: µ = ⌊2^96/M⌋ < 2^52.
    ///
    /// With t = ⌊y/2^44⌋ < 2^52: t·µ/2^52 > y/M − µ/2^52 − t/2^52 > y/M − 2, so q̂ > y/M − 3.
    Once,
    /// y < 2^96 and 2^50 < M < 2^64 − 2^48: µ = ⌊2^(96 + s)/M⌋ < 2^52 with the largest such s, so 2^51 ≤ µ and 2^s
    /// < M/2^44.
    ///
    /// With t = ⌊y/2^44⌋ < 2^52 and q̂ = ⌊t·µ/2^(52 + s)⌋: t·µ/2^(52 + s) > y/M − µ/2^(52 + s) − t/2^(52 + s) > y/M
    /// − 2^(1 − s), so q̂ > y/M − 1 − 2^(1 − s). As s ≥ 6 the rest is below 2M; and below 2^64 as for M > 2^63, s =
    /// 19 or more, so that it is below (1 + 2^−18)·M.
    Wide,
}

/// A modulus M, and the constants for its reduction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Modulus52 {
    /// M; for [`ReductionIfma::Mask`] M − 1.
    pub(crate) m: u64,
    /// 2M and 3M, if they fit.
    pub(crate) m2: u64,
    pub(crate) m3: u64,
    pub(crate) mu: u64,
    pub(crate) nu: u64,
    pub(crate) shift: u32,
}

impl ReductionIfma {
    /// The reduction of y of `bits` bits, 64 or 96, modulo the powers of one radix that both halves have; `None` where
    /// nothing fits.
    pub(crate) fn for_moduli(moduli: [u128; 2], bits: u32) -> Option<(Self, [Modulus52; 2])> {
        type Fits = fn(u128) -> bool;
        // The cheapest first: the first class that has room for both halves is taken. Both must share it, as one
        // loop reduces both.
        let fits: &[(Self, Fits)] = match bits {
            64 => &[
                (Self::Mask, |m| m.is_power_of_two() && m <= 1 << 64),
                (Self::Short, |m| m > 1 << 12 && m <= 1 << 32),
                (Self::Tiny, |m| m <= 1 << 30),
            ],
            _ => &[
                (Self::Mask, |m| m.is_power_of_two() && m <= 1 << 64),
                (Self::Once, |m| m > 1 << 44 && m <= 1 << 62),
                (Self::Twice, |m| m > 1 << 26 && m <= 1 << 50),
                (Self::Wide, |m| m > 1 << 50 && m < (1 << 64) - (1 << 48)),
            ],
        };
        // Shapes that find nothing are left to the portable kernel.
        let (reduction, _) = fits.iter().find(|(_, fits)| moduli.into_iter().all(fits))?;
        Some((*reduction, moduli.map(|m| reduction.modulus(m))))
    }

    fn modulus(self, m: u128) -> Modulus52 {
        // Integer arithmetic on public numbers, once a shape: here division is allowed.
        let reciprocal = |w: u32| ((1u128 << w) / m) as u64;
        let bits = |x: u128| 128 - x.leading_zeros();
        let (mu, nu, shift) = match self {
            Self::Mask => {
                return Modulus52 {
                    m: (m - 1) as u64,
                    ..Modulus52::default()
                };
            }
            Self::Tiny => {
                let shift = if m <= 1 << 19 { 0 } else { 12 };
                (((1u128 << 32) % m) as u64, reciprocal(52 + shift), shift)
            }
            Self::Short => (reciprocal(64), 0, 0),
            Self::Twice => {
                let shift = bits(3 * m - 1) + 32 - 52;
                (reciprocal(64), reciprocal(52 + shift), shift)
            }
            Self::Once => (reciprocal(96), 0, 0),
            Self::Wide => {
                // 2^(k − 1) < M < 2^k, so that 2^(51 + k)/M lies between 2^51 and 2^52.
                let shift = 51 + bits(m - 1) - 96;
                (reciprocal(96 + shift), 0, shift)
            }
        };
        let m = m as u64; // no more than 64 bits, as `for_moduli` has seen
        Modulus52 {
            m,
            // `Mask` and `Wide` use neither; for the others M ≤ 2^62, so that 3M fits.
            m2: m.wrapping_mul(2),
            m3: m.wrapping_mul(3),
            mu,
            nu,
            shift,
        }
    }

    /// A number below 3M (for `Wide`, below 2M and 2^64) that is y modulo M: what the kernels compute, one number
    /// at a time.
    #[cfg(test)]
    fn lazy(self, modulus: Modulus52, y: u128) -> u64 {
        let upper = |t: u128, mu: u64| {
            assert!(t < 1 << 52 && mu < 1 << 52);
            ((t * u128::from(mu)) >> 52) as u64
        };
        let Modulus52 { m, mu, nu, shift, .. } = modulus;
        let low = (y as u64) & 0xffff_ffff;
        match self {
            Self::Mask => y as u64 & m,
            Self::Tiny => {
                let z = (y >> 32) as u64 * mu + low;
                z - upper((z >> shift).into(), nu) * m
            }
            Self::Short => y as u64 - upper(y >> 12, mu) * m,
            Self::Twice => {
                let h = (y >> 32) as u64;
                let g = h - upper((h >> 12).into(), mu) * m;
                let t = (g << (32 - shift)) + (low >> shift);
                let z = g << 32 | low; // modulo 2^64
                z.wrapping_sub(upper(t.into(), nu).wrapping_mul(m))
            }
            Self::Once => (y as u64).wrapping_sub(upper(y >> 44, mu).wrapping_mul(m)),
            Self::Wide => (y as u64).wrapping_sub((upper(y >> 44, mu) >> shift).wrapping_mul(m)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers where a wrong bound would show: around multiples of M and of powers of two, the ends, and others.
    fn adversarial(m: u128, bits: u32) -> Vec<u128> {
        let highest = (1u128 << bits) - 1;
        let mut random = crate::selftest::random::SplitMix64(m as u64);
        let mut numbers = vec![0, highest];
        let mut factors = vec![0, 1, 2, 3, highest / m / 2, highest / m - 1, highest / m];
        for _ in 0..200 {
            let wide = u128::from(random.next()) << 64 | u128::from(random.next());
            factors.push(wide % (highest / m + 1));
            numbers.push(wide & highest);
        }
        for factor in factors {
            numbers.extend([
                factor * m,
                (factor * m).saturating_sub(1),
                factor * m + 1,
                factor * m + m / 2,
            ]);
        }
        for shift in 0..bits {
            numbers.extend([
                1 << shift,
                (1 << shift) - 1,
                highest ^ (1 << shift),
                highest >> shift << shift,
            ]);
        }
        // t just below the next: what is cut off is largest.
        for cut in [12, 26, 32, 44] {
            let more: Vec<u128> = numbers.iter().map(|y| y | ((1 << cut) - 1)).collect();
            numbers.extend(more);
        }
        numbers.retain(|y| *y <= highest);
        numbers
    }

    #[test]
    fn lazy_remainders_are_right_and_bounded() {
        for bits in [64, 96] {
            let mut pairs: Vec<[u128; 2]> = Vec::new();
            for k in 1..64 {
                for m in [(1u128 << k) - 1, 1 << k, (1 << k) + 1, 3 << (k - 1)] {
                    pairs.push([m, m]);
                }
            }
            for radix in 2..=65_536u128 {
                if radix < 100 || radix.is_multiple_of(997) || radix > 65_530 {
                    let powers = std::iter::successors(Some(radix), |power| power.checked_mul(radix));
                    let powers: Vec<u128> = powers.take_while(|power| *power < 1 << 64).collect();
                    pairs.extend(powers.iter().map(|m| [*m, *m]));
                    pairs.extend(powers.windows(2).map(|pair| [pair[0], pair[1]]));
                }
            }
            let mut classes = std::collections::BTreeMap::new();
            for pair in pairs.into_iter().filter(|pair| pair[0] >= 2) {
                let Some((reduction, moduli)) = ReductionIfma::for_moduli(pair, bits) else {
                    continue;
                };
                *classes.entry(format!("{reduction:?}")).or_insert(0) += 1;
                for (m, modulus) in pair.into_iter().zip(moduli) {
                    let most = if reduction == ReductionIfma::Wide {
                        (2 * m).min(1 << 64)
                    } else {
                        3 * m
                    };
                    for y in adversarial(m, bits) {
                        let lazy = u128::from(reduction.lazy(modulus, y));
                        assert!(lazy < most, "{reduction:?}, {modulus:?}, {y}");
                        assert_eq!(lazy % m, y % m, "{reduction:?}, {modulus:?}, {y}");
                    }
                }
            }
            assert_eq!(classes.len(), if bits == 64 { 3 } else { 4 }, "{classes:?}");
        }
    }

    #[test]
    fn every_text_has_a_class() {
        for radix in 2u128..=64 {
            for m in 1.. {
                let (left, right) = (radix.saturating_pow(m), radix.saturating_pow(m + 1));
                let bits = if right <= 1 << 32 { 64 } else { 96 };
                for pair in [[left, right], [right, right]] {
                    let fits = right <= 1 << 30 || right.is_power_of_two() || bits == 96 || pair[0] > 1 << 12;
                    if right < (1 << 64) - (1 << 48) && fits {
                        assert!(ReductionIfma::for_moduli(pair, bits).is_some(), "{radix}, {pair:?}");
                    }
                }
                if right >= 1 << 64 {
                    break;
                }
            }
        }
    }
}
