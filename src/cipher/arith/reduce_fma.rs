//! Remainders by quotients in double precision, for processors that multiply no integers wider than 32 bits in
//! their vectors.
//!
//! A double holds 53 bits, and one fused multiplication and addition rounds once. With t < 2^52, the bits of t
//! below the exponent of 2^52 are the double 2^52 + t: no conversion is needed. With a reciprocal c = C/2^52 ≤
//! 2^s/M, C an integer below 2^53, (2^52 + t)·c = C + t·c, so that adding the integer k − C gives k + t·c, rounded
//! to an integer as soon as k = 3·2^51: then the sum lies between 2^52 and 2^53, and what it passes k by stands in
//! its lower bits, two's complement. All numbers but the sum are exact, and none is subnormal, so that the time
//! does not depend on y.
//!
//! Whichever way the sum is rounded, q̂ passes t·c by less than 1 either way. Let e·M bound what t·c cuts off from
//! y: then y − q̂·M lies between −M and (1 + e)·M. With q̂ − 1 in place of q̂ it is *lazy*: above 0 and, for e < 1,
//! below 3M, so that its sum with a half is below 4M. The kernel takes off 2M and then M, each only where that does
//! not wrap. To subtract it, q̂ + 2 serves: what is left then lies between −3M and 0.
//!
//! `Modulus53::lazy` is the same arithmetic one number at a time: the kernels' model, which the tests compare
//! with division.

/// The reduction of y < 2^64 for both halves of a shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReductionFma {
    /// Powers of two: y's lower bits.
    Mask,
    /// M ≤ 2^30, in two steps.
    ///
    /// First y's upper half: t = h = ⌊y/2^32⌋ < 2^32 and C = ⌊2^52/M⌋, so that e < 2^32/2^52 and the lazy rest g is
    /// below (2 + 2^−20)·M. Then z = g·2^32 + (y mod 2^32) < (2 + 2^−20)·M·2^32 + 2^32. For M ≤ 2^18, z < 2^52 is t
    /// itself and e ≤ z/2^52 < 1. Else z < 2^64, and the second step is that of `Short`.
    Tiny,
    /// 2^20/15 < M ≤ 2^30: t = ⌊y/2^16⌋ < 2^48 and C = ⌊2^68/M⌋ < 2^52. Then t·c > y/M − 2^16/M − t/2^52, so that
    /// e < 2^16/M + 2^−4 < 1.
    Short,
    /// 2^20/7 < M and 9M/16 + 2^16 < 2^31: as `Short`, but where four times M does not fit, so that q̂ is used as
    /// it is. Rounded to the nearest integer, it is 1/2 away from t·c at most, and what is left lies between −M/2
    /// and (1/2 + 2^−4)·M + 2^16, which is below M: 32 bits hold it with its sign, and M is added where that is
    /// negative.
    Signed,
}

/// A modulus M, and the constants for its reduction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Modulus53 {
    /// M; for [`ReductionFma::Mask`] M − 1.
    pub(crate) m: u32,
    /// The bits of a number in the last step that are not in its t: 0 or 16.
    pub(crate) shift: u32,
    /// For the upper half of y in [`ReductionFma::Tiny`].
    pub(crate) first: QuotientFma,
    /// For the last step, when its remainder is added.
    pub(crate) plus: QuotientFma,
    /// When it is subtracted.
    pub(crate) minus: QuotientFma,
}

/// The constants that give q̂ from t: (2^52 + t)·`by` + `to`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct QuotientFma {
    pub(crate) by: f64,
    pub(crate) to: f64,
}

/// 2^52, whose last bit is worth 1.
const UNIT: u64 = 1 << 52;

/// The bits of 2^52: those of t below them make 2^52 + t.
pub(crate) const EXPONENT: u64 = 0x4330_0000_0000_0000;

impl QuotientFma {
    /// With C = `c`, and `more` added to q̂.
    fn new(c: u128, more: i64) -> Self {
        debug_assert!(c < 1 << 53);
        Self {
            // Both conversions are exact: C and k − C + more are integers below 2^53.
            by: c as f64 / UNIT as f64,
            to: (3 * (UNIT / 2) as i64 - c as i64 + more) as f64,
        }
    }
}

impl ReductionFma {
    /// The reduction modulo the powers of one radix that both halves have; `None` where nothing fits.
    pub(crate) fn for_moduli(moduli: [u128; 2]) -> Option<(Self, [Modulus53; 2])> {
        type Fits = fn(u128) -> bool;
        // The cheapest first. The bounds are those of the proofs above, without fractions: 15·M > 2^20, and 9M/16 +
        // 2^16 < 2^31 times 16.
        let fits: [(Self, Fits); 4] = [
            (Self::Mask, |m| m.is_power_of_two() && m <= 1 << 32),
            (Self::Short, |m| 15 * m > 1 << 20 && m <= 1 << 30),
            (Self::Tiny, |m| m <= 1 << 30),
            (Self::Signed, |m| 7 * m > 1 << 20 && 9 * m + (1 << 20) < 1 << 35),
        ];
        let (reduction, _) = fits.iter().find(|(_, fits)| moduli.into_iter().all(fits))?;
        Some((*reduction, moduli.map(|m| reduction.modulus(m))))
    }

    fn modulus(self, m: u128) -> Modulus53 {
        // q̂ − 1 and q̂ + 2: see above. `Signed` takes q̂ as it is, since 4M has no room in 32 bits.
        let (plus, minus) = match self {
            Self::Mask => {
                return Modulus53 {
                    m: (m - 1) as u32,
                    ..Modulus53::default()
                };
            }
            Self::Tiny | Self::Short => (-1, 2),
            Self::Signed => (0, 0),
        };
        let shift = if self == Self::Tiny && m <= 1 << 18 { 0 } else { 16 };
        // C ≤ 2^(52 + shift)/M < 2^53: exact as a double, and so is C/2^52, which only moves the exponent.
        let c = (1 << (52 + shift)) / m;
        Modulus53 {
            m: m as u32,
            shift,
            first: QuotientFma::new((1 << 52) / m, -1),
            plus: QuotientFma::new(c, plus),
            minus: QuotientFma::new(c, minus),
        }
    }
}

#[cfg(test)]
#[cfg(test)]
use crate::spec::types::Direction;

#[cfg(test)]
impl Modulus53 {
    /// A number that is y modulo M: what the kernels compute, one number at a time, and before it is cut to 32 bits.
    fn lazy(&self, reduction: ReductionFma, direction: Direction, y: u64) -> i128 {
        let rest = |x: u64, shift: u32, quotient: QuotientFma| {
            let t = x >> shift;
            assert!(t < UNIT);
            let sum = f64::from_bits(EXPONENT | t).mul_add(quotient.by, quotient.to);
            assert!((UNIT..2 * UNIT).contains(&(sum as u64)));
            let q = sum.to_bits() as i64 - (EXPONENT | (UNIT / 2)) as i64;
            i128::from(x) - i128::from(q) * i128::from(self.m)
        };
        let last = match direction {
            Direction::Encrypt => self.plus,
            Direction::Decrypt => self.minus,
        };
        match reduction {
            ReductionFma::Mask => (y & u64::from(self.m)).into(),
            ReductionFma::Tiny => {
                let g = rest(y >> 32, 0, self.first);
                assert!(0 < g && g < 3 * i128::from(self.m));
                rest((g as u64) << 32 | y & 0xffff_ffff, self.shift, last)
            }
            ReductionFma::Short | ReductionFma::Signed => rest(y, 16, last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers where a wrong bound would show: around multiples of M and of powers of two, the ends, and others.
    fn adversarial(m: u128) -> Vec<u64> {
        let highest = u128::from(u64::MAX);
        let mut random = crate::selftest::random::SplitMix64(m as u64);
        let mut numbers = vec![0, highest];
        let mut factors = vec![0, 1, 2, 3, highest / m / 2, highest / m - 1, highest / m];
        for _ in 0..200 {
            factors.push(u128::from(random.next()) % (highest / m + 1));
            numbers.push(random.next().into());
        }
        for factor in factors {
            // Also around halves, where rounding turns.
            for part in [0, m / 2, m / 4, 3 * m / 4] {
                let y = factor * m + part;
                numbers.extend([y.saturating_sub(1), y, y + 1]);
            }
        }
        for shift in 0..64 {
            numbers.extend([
                1 << shift,
                (1 << shift) - 1,
                highest ^ (1 << shift),
                highest >> shift << shift,
            ]);
        }
        // t just below the next: what is cut off is largest.
        for cut in [16, 32] {
            let more: Vec<u128> = numbers
                .iter()
                .flat_map(|y| [y | ((1 << cut) - 1), y >> cut << cut])
                .collect();
            numbers.extend(more);
        }
        numbers.retain(|y| *y <= highest);
        numbers.into_iter().map(|y| y as u64).collect()
    }

    #[test]
    fn lazy_remainders_are_right_and_bounded() {
        let mut pairs: Vec<[u128; 2]> = Vec::new();
        for k in 1..=32 {
            for m in [(1u128 << k) - 1, 1 << k, (1 << k) + 1, 3 << (k - 1)] {
                pairs.push([m, m]);
            }
        }
        // The ends of the classes, and their neighbours.
        for m in [
            (1u128 << 20) / 15,
            (1 << 20) / 7,
            1 << 18,
            1 << 30,
            ((1 << 35) - (1 << 20)) / 9,
        ] {
            pairs.extend((m - 2..=m + 2).map(|m| [m, m]));
            pairs.extend((m - 2..=m + 2).flat_map(|m| [[100_003, m], [m, 1 << 31]]));
        }
        for radix in 2..=65_536u128 {
            if radix < 100 || radix.is_multiple_of(997) || radix > 65_530 {
                let powers = std::iter::successors(Some(radix), |power| power.checked_mul(radix));
                let powers: Vec<u128> = powers.take_while(|power| *power <= 1 << 32).collect();
                pairs.extend(powers.iter().map(|m| [*m, *m]));
                pairs.extend(powers.windows(2).map(|pair| [pair[0], pair[1]]));
            }
        }
        let mut classes = std::collections::BTreeMap::new();
        for pair in pairs.into_iter().filter(|pair| pair[0] >= 2) {
            let Some((reduction, moduli)) = ReductionFma::for_moduli(pair) else {
                continue;
            };
            *classes.entry(format!("{reduction:?}")).or_insert(0) += 1;
            for (m, modulus) in pair.into_iter().zip(moduli) {
                for y in adversarial(m) {
                    for direction in [Direction::Encrypt, Direction::Decrypt] {
                        let lazy = modulus.lazy(reduction, direction, y);
                        let m = m as i128;
                        let bounds = match (reduction, direction) {
                            (ReductionFma::Mask, _) => 0..m,
                            (ReductionFma::Signed, _) => -m / 2 - 1..(1 << 31).min(m),
                            (_, Direction::Encrypt) => 1..3 * m,
                            (_, Direction::Decrypt) => -3 * m + 1..0,
                        };
                        assert!(bounds.contains(&lazy), "{reduction:?}, {modulus:?}, {y}: {lazy}");
                        assert_eq!(lazy.rem_euclid(m), i128::from(y) % m, "{reduction:?}, {modulus:?}, {y}");
                    }
                }
            }
        }
        assert_eq!(classes.len(), 4, "{classes:?}");
    }

    /// The shapes whose y has 8 bytes: both halves below 2^32.
    #[test]
    fn every_text_has_a_class() {
        for radix in 2u128..=64 {
            for m in 1.. {
                let (left, right) = (radix.pow(m), radix.pow(m + 1));
                if right > 1 << 32 {
                    break;
                }
                for pair in [[left, right], [right, right]] {
                    if 9 * right + (1 << 20) < 1 << 35 {
                        assert!(ReductionFma::for_moduli(pair).is_some(), "{radix}, {pair:?}");
                    }
                }
            }
        }
    }
}
