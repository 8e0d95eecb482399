//! Numerals in, numerals out: FF1 as NIST SP 800-38G has it, and the legacy FF3-1 and FF3.
//!
//! A [`Cipher`] is a key, a mode and a radix. The batch is the main call: all rows of one length go through the rounds
//! side by side.
//!
//! ```
//! use cipherform::cipher::{AesKey, Cipher, Direction, Radix, Tweaks};
//!
//! let key = AesKey::try_new(&[7; 32])?;
//! let cipher = Cipher::ff1(&key, Radix::try_new(10)?);
//! let mut numerals = [4, 1, 1, 1, 1, 1, 9, 0, 0, 0, 0, 1]; // two rows of six
//! cipher.apply(Direction::Encrypt, Tweaks::Shared(b""), &mut numerals, 6)?;
//! cipher.apply(Direction::Decrypt, Tweaks::Shared(b""), &mut numerals, 6)?;
//! assert_eq!(numerals, [4, 1, 1, 1, 1, 1, 9, 0, 0, 0, 0, 1]);
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! For radices up to 64 and halves up to 128 bits, time and memory addresses do not depend on keys or values. Lengths,
//! tweak lengths and whether an input is valid do show, and so may everything else about larger radices, longer halves
//! and [`Kernel::Naive`].

mod answers;
mod arch;
mod bits;
mod crosscheck;
mod feistel;
mod ff1;
mod ff3_1;
mod kernel;
mod key;
mod lanes;
mod lengths;
#[doc(hidden)]
pub mod limit;
mod modulus;
#[cfg(target_arch = "x86_64")]
mod modulus52;
#[cfg(target_arch = "x86_64")]
mod modulus53;
mod naive;
mod numeral;
mod numeral_rows;
mod radix;
mod refusal;
mod rows;
pub mod selftest;
mod sieve;
mod symbols;
#[cfg(test)]
mod tests;
mod text;
mod vectors;
mod wide;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

#[cfg(feature = "columns")]
pub(crate) use arch::ascii::{Output, common_length, string_array, view_array};
pub use bits::Word;
pub use kernel::Kernel;
pub use key::AesKey;
pub use lengths::{Shelf, Shelves};
pub use radix::{DomainFloor, Radix};
pub use refusal::Refusal;
pub use sieve::{Fate, Pattern, Place, Sieve, Taken};
pub use symbols::Symbols;

use self::key::Aes;
use self::lanes::{NumeralRows, Plan, RowTweaks};
use self::text::Shapes;
use crate::Result;

/// Which way.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Encrypt,
    /// Ciphertext to plaintext.
    Decrypt,
}

/// Which of the standard's modes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// FF1.
    Ff1,
    /// FF3-1, of a withdrawn draft: legacy.
    Ff3_1,
    /// FF3 with a 64-bit tweak, broken in 2017: legacy.
    Ff3,
}

/// The tweaks of a batch.
///
/// FF1 takes any number of bytes up to 2^32 − 1, FF3-1 exactly 7, FF3 exactly 8.
#[derive(Clone, Copy, Debug)]
pub enum Tweaks<'a> {
    /// One for all rows.
    Shared(&'a [u8]),
    /// One for each row, in order; FF1's may differ in length.
    PerRow(&'a [&'a [u8]]),
    /// One for each row, all of `length` bytes, one after the other.
    Packed {
        /// The tweaks' bytes.
        bytes: &'a [u8],
        /// Bytes of each.
        length: usize,
    },
}

impl<'a> Tweaks<'a> {
    /// The tweak of one row.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn get(self, row: usize) -> &'a [u8] {
        match self {
            Self::Shared(tweak) => tweak,
            Self::PerRow(tweaks) => tweaks[row],
            Self::Packed { bytes, length } => &bytes[row * length..][..length],
        }
    }
}

/// A format-preserving cipher: key, mode, radix, domain floor and kernel. Cheap to clone.
#[derive(Clone)]
pub struct Cipher {
    aes: Arc<Aes>,
    key_bits: usize,
    mode: Mode,
    radix: Radix,
    floor: DomainFloor,
    kernel: Kernel,
    shapes: Arc<Shapes>,
}

impl Cipher {
    /// FF1 with `key` over `radix`.
    pub fn ff1(key: &AesKey, radix: Radix) -> Self {
        Self::new(key, Mode::Ff1, radix)
    }

    /// FF3-1, to read what was written with it. NIST has withdrawn it.
    pub fn ff3_1_legacy(key: &AesKey, radix: Radix) -> Self {
        Self::new(&key.reversed(), Mode::Ff3_1, radix)
    }

    /// FF3 with its 64-bit tweak, to read what was written with it. It is broken.
    #[doc(hidden)]
    pub fn ff3_legacy(key: &AesKey, radix: Radix) -> Self {
        Self::new(&key.reversed(), Mode::Ff3, radix)
    }

    fn new(key: &AesKey, mode: Mode, radix: Radix) -> Self {
        Self {
            aes: Arc::new(Aes::new(key)),
            key_bits: key.bits(),
            mode,
            radix,
            floor: DomainFloor::default(),
            kernel: Kernel::fastest(),
            shapes: Arc::new(Shapes::new()),
        }
    }

    /// The same cipher with another domain floor, for both directions.
    #[must_use]
    pub fn with_floor(self, floor: DomainFloor) -> Self {
        Self { floor, ..self }
    }

    /// The same cipher computed by another kernel.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self {
            kernel,
            shapes: Arc::new(Shapes::new()),
            ..self
        }
    }

    /// The radix.
    pub fn radix(&self) -> Radix {
        self.radix
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The kernel.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The domain floor.
    pub fn floor(&self) -> &DomainFloor {
        &self.floor
    }

    /// The shortest and longest message for this radix and floor, in numerals.
    pub fn lengths(&self) -> RangeInclusive<usize> {
        self.radix.lengths(self.mode, &self.floor)
    }

    /// Encrypts or decrypts a batch in place: rows of `n` numerals, row after row, most significant first.
    ///
    /// # Errors
    ///
    /// Bad input, with a [`Refusal`] as its source, if `n` is not one of [`Cipher::lengths`], the numerals are not whole
    /// rows, a numeral is not below the radix, or a tweak does not suit the mode or its rows. Then nothing is changed.
    pub fn apply(&self, direction: Direction, tweaks: Tweaks<'_>, numerals: &mut [u16], n: usize) -> Result<()> {
        self.radix.check_length(self.mode, &self.floor, n)?;
        if !numerals.len().is_multiple_of(n) {
            let numerals = numerals.len();
            return Err(Refusal::RaggedBatch { numerals, length: n }.into());
        }
        let tweaks = self.check_tweaks(tweaks, numerals.len() / n)?;
        self.check_numerals(numerals, n)?;
        self.kernel.proven()?;
        self.apply_checked(direction, tweaks, numerals, n);
        Ok(())
    }

    /// The batch itself, once every check has passed and the kernel is proven.
    fn apply_checked(&self, direction: Direction, tweaks: RowTweaks<'_>, numerals: &mut [u16], n: usize) {
        let (aes, mode, radix) = (&*self.aes, self.mode, self.radix);
        if self.kernel == Kernel::Naive {
            for (row, numerals) in numerals.chunks_exact_mut(n).enumerate() {
                let done = naive::apply(mode, aes, radix, direction, tweaks.of(row), numerals);
                numerals.copy_from_slice(&done);
            }
            return;
        }
        match radix.highest(n.div_ceil(2)) {
            Some(highest) if highest <= u64::MAX.into() => {
                let plan = Plan::<u64>::new(mode, radix, n);
                lanes::run(
                    self.kernel,
                    aes,
                    &plan,
                    direction,
                    tweaks,
                    &mut NumeralRows { numerals, n },
                );
            }
            Some(_) => {
                let plan = Plan::<u128>::new(mode, radix, n);
                lanes::run(
                    self.kernel,
                    aes,
                    &plan,
                    direction,
                    tweaks,
                    &mut NumeralRows { numerals, n },
                );
            }
            None => wide::apply(aes, radix, direction, tweaks, numerals, n),
        }
    }

    fn check_tweaks<'a>(&self, tweaks: Tweaks<'a>, rows: usize) -> Result<RowTweaks<'a>, Refusal> {
        let check = |row: Option<usize>, tweak: &[u8]| {
            let bytes = tweak.len();
            let takes = match self.mode {
                Mode::Ff1 if u32::try_from(bytes).is_err() => "up to 2^32 − 1",
                Mode::Ff3_1 if bytes != 7 => "exactly 7",
                Mode::Ff3 if bytes != 8 => "exactly 8",
                _ => return Ok(()),
            };
            Err(Refusal::TweakLength { row, bytes, takes })
        };
        match tweaks {
            Tweaks::Shared(tweak) => check(None, tweak).map(|()| RowTweaks::Shared(tweak)),
            Tweaks::PerRow(tweaks) if tweaks.len() != rows => {
                let tweaks = tweaks.len();
                Err(Refusal::TweakCount { tweaks, rows })
            }
            Tweaks::PerRow(tweaks) => {
                for (row, tweak) in tweaks.iter().enumerate() {
                    check(Some(row), tweak)?;
                }
                Ok(RowTweaks::PerRow(tweaks))
            }
            Tweaks::Packed { bytes, length } if Some(bytes.len()) != length.checked_mul(rows) => {
                let tweaks = bytes.len().checked_div(length).unwrap_or_default();
                Err(Refusal::TweakCount { tweaks, rows })
            }
            Tweaks::Packed { bytes, length } => {
                check(None, bytes.get(..length).unwrap_or_default())?;
                Ok(RowTweaks::Packed { bytes, length })
            }
        }
    }

    fn check_numerals(&self, numerals: &[u16], n: usize) -> Result<(), Refusal> {
        // The highest first: that is quick, and where it stands is of interest only if it is too high.
        let highest = numerals.iter().copied().max().unwrap_or_default();
        if u32::from(highest) < self.radix.value() {
            return Ok(());
        }
        let outside = |numeral: &u16| u32::from(*numeral) >= self.radix.value();
        let at = numerals.iter().position(outside).unwrap_or_default();
        Err(Refusal::NumeralOutOfRange {
            row: at / n,
            position: at % n,
            radix: self.radix.value(),
        })
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher")
            .field("mode", &self.mode)
            .field("radix", &self.radix.value())
            .field("floor", &self.floor.value())
            .field("kernel", &self.kernel)
            .field("key", &format_args!("AES-{} ****", self.key_bits))
            .finish()
    }
}
