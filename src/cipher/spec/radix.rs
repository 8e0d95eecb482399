//! The radix, the smallest domain allowed, and the lengths that follow from both.

use std::ops::RangeInclusive;
use std::sync::Arc;

use num_bigint::BigUint;

use crate::spec::error::{CipherError, Result};
use crate::spec::types::Mode;

/// The number of different numerals: 2 to 65,536.
///
/// ```
/// # mod cipherform { pub use cipherform_cipher as cipher; }
/// let radix = cipherform::cipher::Radix::try_new(10)?;
/// assert_eq!(radix.value(), 10);
/// # Ok::<(), cipherform::cipher::CipherError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Radix(u32);

impl Radix {
    /// The radix of binary numerals, which ranked domains use.
    pub const BINARY: Self = Self(2);

    /// A radix of `value`.
    ///
    /// # Errors
    ///
    /// A [`CipherError`] unless 2 ≤ `value` ≤ 65,536.
    pub fn try_new(value: u32) -> Result<Self> {
        if (2..=1 << 16).contains(&value) {
            Ok(Self(value))
        } else {
            Err(CipherError::Radix { value })
        }
    }

    /// The number of different numerals.
    pub fn value(self) -> u32 {
        self.0
    }

    /// radix^`m` if it is at most `limit`.
    pub(crate) fn power_up_to(self, m: usize, limit: u64) -> Option<u64> {
        let mut power = 1u64;
        for _ in 0..m {
            // Exact: a logarithm in floating point may be off by one where a power meets the limit.
            power = power.checked_mul(u64::from(self.0)).filter(|power| *power <= limit)?;
        }
        Some(power)
    }

    /// radix^`m` − 1 if that fits 128 bits: the highest number that `m` numerals spell.
    pub(crate) fn highest(self, m: usize) -> Option<u128> {
        let mut highest = 0u128;
        for _ in 0..m {
            // radix·(radix^k − 1) + radix − 1 = radix^(k+1) − 1
            highest = highest
                .checked_mul(self.0.into())?
                .checked_add(u128::from(self.0) - 1)?;
        }
        Some(highest)
    }

    /// ⌈`m`·log2(radix)⌉, exactly: the length in bits of radix^`m` − 1.
    ///
    /// If 2^(k−1) < radix^m ≤ 2^k, both are k.
    pub(crate) fn bits(self, m: usize) -> usize {
        match self.highest(m) {
            Some(highest) => (128 - highest.leading_zeros()) as usize,
            None => usize::try_from((self.power(m) - 1u8).bits()).expect("a number in memory has usize bits"),
        }
    }

    /// radix^`m`.
    pub(crate) fn power(self, m: usize) -> BigUint {
        // A shift, where the general power multiplies ever larger numbers.
        if self.0.is_power_of_two() {
            return BigUint::from(1u8) << (m * self.0.ilog2() as usize);
        }
        num_traits::pow(BigUint::from(self.0), m)
    }

    /// radix^`n` if it is below `limit`.
    fn power_below(self, n: usize, limit: u64) -> Option<u64> {
        self.power_up_to(n, limit - 1)
    }

    /// The smallest length with radix^length ≥ `limit`, and at least 2.
    fn length_reaching(self, limit: u64) -> usize {
        // radix ≥ 2, so that this ends at 64 at the latest; lengths are looked up once a call, and the loop is a
        // few multiplications.
        (2..)
            .find(|n| self.power_below(*n, limit).is_none())
            .expect("a power of two or more passes any u64 by the 64th")
    }

    /// FF3's maxlen: 2·⌊log_radix(2^96)⌋.
    fn ff3_longest(self) -> usize {
        let (mut power, mut digits) = (1u128, 0);
        // A half has to fit the 12 bytes that P gives to NUM(REV(B)), in this order: floor of the logarithm first,
        // then twice. The product is at most 2^96·2^16: no overflow.
        while power * u128::from(self.0) <= 1 << 96 {
            power *= u128::from(self.0);
            digits += 1;
        }
        2 * digits
    }

    /// The lengths that `mode` takes when a domain needs `floor` values.
    pub(crate) fn lengths(self, mode: Mode, floor: &DomainFloor) -> RangeInclusive<usize> {
        let longest = match mode {
            // [n]^4 of P (step 5) holds lengths below 2^32.
            Mode::Ff1 => usize::try_from(u32::MAX).unwrap_or(usize::MAX),
            Mode::Ff3_1 | Mode::Ff3 => self.ff3_longest(),
        };
        self.length_reaching(floor.value())..=longest
    }

    /// Refuses a message of `n` numerals that is too short or too long.
    pub(crate) fn check_length(self, mode: Mode, floor: &DomainFloor, n: usize) -> Result<(), CipherError> {
        let lengths = self.lengths(mode, floor);
        if lengths.contains(&n) {
            return Ok(());
        }
        if n > *lengths.end() {
            return Err(CipherError::MessageTooLong {
                length: n,
                longest: *lengths.end(),
                radix: self.0,
            });
        }
        // Two reasons, as there are two remedies: nobody may go below 100 values, while the floor above that can be
        // lowered with a reason.
        let never = n < 2 || self.power_below(n, DomainFloor::NEVER_BELOW).is_some();
        Err(if never {
            CipherError::MessageTooShort {
                length: n,
                shortest: *lengths.start(),
                radix: self.0,
            }
        } else {
            CipherError::DomainBelowFloor {
                length: n,
                domain: self.power_below(n, floor.value()).unwrap_or_default(),
                floor: floor.value(),
                shortest: *lengths.start(),
                radix: self.0,
            }
        })
    }
}

/// The smallest number of values, radix^length, that a message may come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DomainFloor {
    value: u64,
    reason: Option<Arc<str>>,
}

impl DomainFloor {
    /// SP 800-38G Revision 1 (drafts): 1,000,000. The default.
    pub const REV1: Self = Self {
        value: 1_000_000,
        reason: None,
    };

    /// SP 800-38G (2016): 100. Nothing goes below.
    const NEVER_BELOW: u64 = 100;

    /// A floor of `min` values, for a `reason` that someone will read.
    ///
    /// A small domain is open to guessing and to published attacks on FF1 and FF3-1.
    ///
    /// # Errors
    ///
    /// A [`CipherError`] if `min` is below 100 or the reason is blank.
    pub fn insecure(min: u64, reason: &str) -> Result<Self> {
        // The standard of 2016 requires radix^minlen ≥ 100; the drafts of its revision, a million.
        if min < Self::NEVER_BELOW {
            return Err(CipherError::FloorTooLow { min });
        }
        if reason.trim().is_empty() {
            return Err(CipherError::FloorWithoutReason);
        }
        Ok(Self {
            value: min,
            reason: Some(reason.trim().into()),
        })
    }

    /// The least number of values.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Why the floor is not the standard's, if it is not.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl Default for DomainFloor {
    fn default() -> Self {
        Self::REV1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(radix: u32, mode: Mode) -> RangeInclusive<usize> {
        Radix::try_new(radix).unwrap().lengths(mode, &DomainFloor::REV1)
    }

    #[test]
    fn limits_are_those_of_the_standard() {
        assert!(Radix::try_new(1).is_err());
        assert!(Radix::try_new(65_537).is_err());
        assert_eq!(lengths(10, Mode::Ff1), 6..=u32::MAX as usize);
        assert_eq!(lengths(2, Mode::Ff1), 20..=u32::MAX as usize);
        assert_eq!(*lengths(65_536, Mode::Ff1).start(), 2);
        assert_eq!(*lengths(1000, Mode::Ff1).start(), 2);
        assert_eq!(*lengths(999, Mode::Ff1).start(), 3);
        // SP 800-38G: 56 for decimal; the others by exact powers.
        assert_eq!(lengths(10, Mode::Ff3_1), 6..=56);
        assert_eq!(lengths(2, Mode::Ff3), 20..=192);
        assert_eq!(lengths(26, Mode::Ff3_1), 5..=40);
        assert_eq!(lengths(64, Mode::Ff3_1), 4..=32);
        assert_eq!(lengths(256, Mode::Ff3_1), 3..=24);
        assert_eq!(lengths(65_535, Mode::Ff3_1), 2..=12);
        assert_eq!(lengths(65_536, Mode::Ff3_1), 2..=12);
    }

    #[test]
    fn bits_are_exact_at_powers_of_two() {
        let bits = |radix: u32, m| Radix::try_new(radix).unwrap().bits(m);
        assert_eq!(bits(256, 57), 456); // here a rounded logarithm has failed others
        assert_eq!(bits(2, 128), 128);
        assert_eq!(bits(2, 129), 129);
        assert_eq!(bits(65_536, 8), 128);
        assert_eq!(bits(65_535, 8), 128);
        assert_eq!(bits(10, 19), 64);
        assert_eq!(bits(10, 38), 127);
        assert_eq!(bits(10, 39), 130);
        assert_eq!(bits(3, 100), 159);
        assert_eq!(Radix::try_new(2).unwrap().highest(128), Some(u128::MAX));
        assert_eq!(Radix::try_new(2).unwrap().highest(129), None);
        assert_eq!(Radix::try_new(10).unwrap().highest(38), Some(10u128.pow(38) - 1));
        assert_eq!(Radix::try_new(10).unwrap().highest(39), None);
    }

    #[test]
    fn an_insecure_floor_needs_a_reason_and_100_values() {
        assert!(DomainFloor::insecure(99, "old data").is_err());
        assert!(DomainFloor::insecure(100, "  ").is_err());
        let floor = DomainFloor::insecure(100, "old data").unwrap();
        assert_eq!(floor.reason(), Some("old data"));
        let decimal = Radix::try_new(10).unwrap();
        assert_eq!(*decimal.lengths(Mode::Ff1, &floor).start(), 2);
        assert!(matches!(
            decimal.check_length(Mode::Ff1, &floor, 1),
            Err(CipherError::MessageTooShort { .. })
        ));
        assert!(matches!(
            decimal.check_length(Mode::Ff1, &DomainFloor::REV1, 5),
            Err(CipherError::DomainBelowFloor {
                domain: 100_000,
                shortest: 6,
                ..
            })
        ));
    }
}
