//! The cipher: key, mode, radix, floor and kernel.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::batch::call::BatchCall;
use crate::batch::numerals;
use crate::batch::text_shapes::TextShapes;
use crate::kernels::kernel::Kernel;
use crate::selftest::known_answers;
use crate::spec::error::{CipherError, Result};
use crate::spec::key::{Aes, AesKey};
use crate::spec::radix::{DomainFloor, Radix};
use crate::spec::tweaks::Tweaks;
use crate::spec::types::{Direction, Mode};

/// A format-preserving cipher: key, mode, radix, domain floor and kernel. Cheap to clone.
#[derive(Clone)]
pub struct Cipher {
    pub(crate) aes: Arc<Aes>,
    key_bits: usize,
    pub(crate) mode: Mode,
    pub(crate) radix: Radix,
    pub(crate) floor: DomainFloor,
    pub(crate) kernel: Kernel,
    pub(crate) shapes: Arc<TextShapes>,
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
            shapes: Arc::new(TextShapes::new()),
        }
    }

    /// This cipher with another domain floor, for both directions.
    #[must_use]
    pub fn with_floor(self, floor: DomainFloor) -> Self {
        Self { floor, ..self }
    }

    /// This cipher computed by another kernel.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self {
            kernel,
            // Shapes hold the codec of their kernel, so that another kernel begins with none.
            shapes: Arc::new(TextShapes::new()),
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
    /// A [`CipherError`] if `n` is not one of [`Cipher::lengths`], the numerals are
    /// not whole rows, a numeral is not below the radix, or a tweak does not suit the mode or its rows. Then
    /// nothing is changed.
    pub fn apply(&self, direction: Direction, tweaks: Tweaks<'_>, numerals: &mut [u16], n: usize) -> Result<()> {
        self.radix.check_length(self.mode, &self.floor, n)?;
        if !numerals.len().is_multiple_of(n) {
            let numerals = numerals.len();
            return Err(CipherError::RaggedBatch { numerals, length: n });
        }
        self.check_tweaks(tweaks, numerals.len() / n)?;
        self.check_numerals(numerals, n)?;
        // Once a process: rounds that a processor or an emulator computes wrongly are found before they change
        // data.
        known_answers::prove(self.kernel)?;
        numerals::apply(self.call(direction, tweaks), self.mode, self.radix, numerals, n);
        Ok(())
    }

    pub(crate) fn call<'a>(&'a self, direction: Direction, tweaks: Tweaks<'a>) -> BatchCall<'a> {
        BatchCall {
            kernel: self.kernel,
            aes: &self.aes,
            direction,
            tweaks,
        }
    }

    /// Checks that the tweaks suit the mode, and are as many as the rows.
    pub(crate) fn check_tweaks(&self, tweaks: Tweaks<'_>, rows: usize) -> Result<(), CipherError> {
        let check = |row: Option<usize>, tweak: &[u8]| {
            let bytes = tweak.len();
            let takes = match self.mode {
                // [t]^4 of P (step 5) holds lengths below 2^32.
                Mode::Ff1 if u32::try_from(bytes).is_err() => "up to 2^32 − 1",
                Mode::Ff3_1 if bytes != 7 => "exactly 7",
                Mode::Ff3 if bytes != 8 => "exactly 8",
                _ => return Ok(()),
            };
            Err(CipherError::TweakLength { row, bytes, takes })
        };
        match tweaks {
            Tweaks::Shared(tweak) => check(None, tweak),
            Tweaks::PerRow(tweaks) if tweaks.len() != rows => {
                let tweaks = tweaks.len();
                Err(CipherError::TweakCount { tweaks, rows })
            }
            Tweaks::PerRow(tweaks) => {
                for (row, tweak) in tweaks.iter().enumerate() {
                    check(Some(row), tweak)?;
                }
                Ok(())
            }
            // The product is checked: for lengths that overflow it no buffer is long enough.
            Tweaks::Packed { bytes, length } if Some(bytes.len()) != length.checked_mul(rows) => {
                let tweaks = bytes.len().checked_div(length).unwrap_or_default();
                Err(CipherError::TweakCount { tweaks, rows })
            }
            Tweaks::Packed { bytes, length } => check(None, bytes.get(..length).unwrap_or_default()),
        }
    }

    pub(crate) fn check_numerals(&self, numerals: &[u16], n: usize) -> Result<(), CipherError> {
        // The highest first: that is quick, and where it stands is of interest only if it is too high.
        let highest = numerals.iter().copied().max().unwrap_or_default();
        if u32::from(highest) < self.radix.value() {
            return Ok(());
        }
        let outside = |numeral: &u16| u32::from(*numeral) >= self.radix.value();
        let at = numerals.iter().position(outside).unwrap_or_default();
        Err(CipherError::NumeralOutOfRange {
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
