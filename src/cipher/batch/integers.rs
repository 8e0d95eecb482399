//! Integers as messages: each is the message of its binary numerals, most significant first.

use crate::batch::call::BatchCall;
use crate::batch::plan::ShapePlan;
use crate::batch::run::HalfRows;
use crate::batch::sizes::CHUNK;
use crate::batch::{numerals, run};
use crate::cipher::Cipher;
use crate::kernels::dispatch::{Prepared, run_integers};
use crate::kernels::kernel::Kernel;
use crate::selftest::known_answers;
use crate::spec::error::{CipherError, Result};
use crate::spec::radix::Radix;
use crate::spec::tweaks::Tweaks;
use crate::spec::types::{Direction, Mode};

/// An integer that [`Cipher::apply_bits`] takes: `u64`, which is faster, or `u128`.
pub trait Word: sealed::Word + Copy + Ord + Into<u128> {}

impl Word for u64 {}
impl Word for u128 {}

mod sealed {
    /// Integers of either type. With this [`Cipher::apply_bits`](super::Cipher::apply_bits) is the only generic
    /// function: what is generic is compiled in the crate that calls it, and for that crate's profile.
    pub enum Words<'a> {
        Narrow(&'a mut [u64]),
        Wide(&'a mut [u128]),
    }

    pub trait Word: Sized {
        fn words(values: &mut [Self]) -> Words<'_>;
    }

    impl Word for u64 {
        fn words(values: &mut [Self]) -> Words<'_> {
            Words::Narrow(values)
        }
    }

    impl Word for u128 {
        fn words(values: &mut [Self]) -> Words<'_> {
            Words::Wide(values)
        }
    }
}

impl Cipher {
    /// Encrypts or decrypts integers of exactly `bits` bits in place: each is the message of its binary numerals, most
    /// significant first. The cipher must be FF1 over radix 2.
    ///
    /// # Errors
    ///
    /// A [`CipherError`] if the cipher is another, `bits` is not one of
    /// [`Cipher::lengths`] that fit the integers' type, a value has more bits, or the tweaks do not suit their
    /// rows. Then nothing is changed.
    pub fn apply_bits<W: Word>(
        &self,
        direction: Direction,
        tweaks: Tweaks<'_>,
        values: &mut [W],
        bits: u32,
    ) -> Result<()> {
        match W::words(values) {
            sealed::Words::Narrow(values) => self.apply_words(direction, tweaks, values, bits, run_narrow),
            sealed::Words::Wide(values) => self.apply_words(direction, tweaks, values, bits, run_words),
        }
    }

    /// Checks everything, then runs rows of binary numerals through `run`, or the reference implementation if that
    /// is the kernel.
    fn apply_words<W: BitWord>(
        &self,
        direction: Direction,
        tweaks: Tweaks<'_>,
        values: &mut [W],
        bits: u32,
        run: fn(BatchCall<'_>, &Prepared<u64>, &mut [W], u32),
    ) -> Result<()> {
        if self.mode != Mode::Ff1 || self.radix != Radix::BINARY {
            return Err(CipherError::NotBinary);
        }
        if !(2..=W::BITS).contains(&bits) {
            let most = W::BITS;
            return Err(CipherError::BitWidth { bits, most });
        }
        let n = bits as usize;
        self.radix.check_length(self.mode, &self.floor, n)?;
        self.check_tweaks(tweaks, values.len())?;
        let call = self.call(direction, tweaks);
        // Before anything is changed. Which value it is matters only in an error, so only then each is looked at.
        if !W::fit(values, bits) {
            let too_wide = |value: &W| !W::fit(&[*value], bits);
            let row = values.iter().position(too_wide).unwrap_or_default();
            return Err(CipherError::ValueTooWide { row, bits });
        }
        known_answers::prove(self.kernel)?;
        // The reference takes numerals: bits, most significant first.
        if self.kernel == Kernel::Naive {
            let bit = |value: u128| move |i: u32| (value >> (bits - 1 - i) & 1) as u16;
            let mut numerals: Vec<u16> = values
                .iter()
                .flat_map(|value| (0..bits).map(bit((*value).into())))
                .collect();
            numerals::apply(call, self.mode, self.radix, &mut numerals, n);
            for (value, numerals) in values.iter_mut().zip(numerals.chunks_exact(n)) {
                *value = W::from_wide(numerals.iter().fold(0, |value, bit| value << 1 | u128::from(*bit)));
            }
            return Ok(());
        }
        let prepared = Prepared::new(self.mode, self.radix, n);
        // NUM of the right half is the lowest v bits, NUM of the left one the others: reading a number of binary
        // numerals is splitting it.
        let width = prepared.plan.lengths(n)[1] as u32;
        run(call, &prepared, values, width);
        Ok(())
    }
}

/// Takes values, whose right halves are their lowest `width` bits, through all rounds; in a kernel's own way if it
/// has one.
fn run_narrow(call: BatchCall<'_>, prepared: &Prepared<u64>, values: &mut [u64], width: u32) {
    if !run_integers(call, prepared, values, width) {
        run_words(call, prepared, values, width);
    }
}

/// Takes values, whose right halves are their lowest `width` bits, through all rounds by way of halves in memory.
fn run_words<W: BitWord>(call: BatchCall<'_>, prepared: &Prepared<u64>, values: &mut [W], width: u32) {
    run::run(call, prepared, &mut BitRows { values, width });
}

/// An integer of binary numerals.
trait BitWord: Copy + Into<u128> {
    /// Bits of the type.
    const BITS: u32;

    /// The lower bits of `wide`.
    fn from_wide(wide: u128) -> Self;

    /// The bits above the lowest `width`, and these; both fit 64 bits.
    fn split(self, width: u32) -> [u64; 2];

    /// The inverse of [`Self::split`].
    fn join(halves: [u64; 2], width: u32) -> Self;

    /// True if none of `values` has more than `bits` bits.
    fn fit(values: &[Self], bits: u32) -> bool;
}

macro_rules! bit_word {
    ($word:ty) => {
        impl BitWord for $word {
            const BITS: u32 = <$word>::BITS;

            #[inline(always)]
            fn from_wide(wide: u128) -> Self {
                wide as Self
            }

            #[inline(always)]
            fn split(self, width: u32) -> [u64; 2] {
                [
                    (self >> width) as u64,
                    (self & (<$word>::MAX >> (<$word>::BITS - width))) as u64,
                ]
            }

            #[inline(always)]
            fn join([above, lowest]: [u64; 2], width: u32) -> Self {
                <$word>::from(above) << width | <$word>::from(lowest)
            }

            fn fit(values: &[Self], bits: u32) -> bool {
                // The highest set bit of all at once: that is quick.
                let set = values.iter().fold(0, |set, value| set | *value);
                set <= <$word>::MAX >> (<$word>::BITS - bits)
            }
        }
    };
}

bit_word!(u64);
bit_word!(u128);

/// Integers whose right halves are their lowest `width` bits.
struct BitRows<'a, W> {
    values: &'a mut [W],
    width: u32,
}

impl<W: BitWord> HalfRows<u64> for BitRows<'_, W> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn load(
        &mut self,
        _: &ShapePlan<u64>,
        start: usize,
        count: usize,
        left: &mut [u64; CHUNK],
        right: &mut [u64; CHUNK],
    ) {
        for ((left, right), value) in left.iter_mut().zip(right).zip(&self.values[start..][..count]) {
            [*left, *right] = value.split(self.width);
        }
    }

    fn store(&mut self, _: &ShapePlan<u64>, start: usize, count: usize, left: &[u64; CHUNK], right: &[u64; CHUNK]) {
        for ((left, right), value) in left.iter().zip(right).zip(&mut self.values[start..][..count]) {
            *value = W::join([*left, *right], self.width);
        }
    }
}
