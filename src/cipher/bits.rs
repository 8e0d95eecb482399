//! Integers as messages: each is the message of its binary numerals, most significant first.

use super::arch;
use super::lanes::{self, BATCH, Plan, Rows};
use super::{Cipher, Direction, Kernel, Mode, Radix, Refusal, Tweaks};
use crate::Result;

/// An integer that [`Cipher::apply_bits`] takes: `u64`, which is faster, or `u128`.
pub trait Word: private::Word {}

impl Word for u64 {}
impl Word for u128 {}

mod private {
    /// What is asked of a word within this crate.
    pub trait Word: Copy + Ord + Into<u128> {
        const BITS: u32;

        /// The lower bits.
        fn of(wide: u128) -> Self;

        /// What stands above its lowest `width` bits, and these; both fit 64 bits.
        fn split(self, width: u32) -> [u64; 2];

        fn join(halves: [u64; 2], width: u32) -> Self;

        /// Whether none has more than `bits` bits.
        fn fit(values: &[Self], bits: u32) -> bool;

        /// The values, if they are of 64 bits.
        fn narrow(_: &mut [Self]) -> Option<&mut [u64]> {
            None
        }
    }

    macro_rules! word {
        ($word:ty { $($narrow:item)? }) => {
            impl Word for $word {
                const BITS: u32 = <$word>::BITS;

                #[inline(always)]
                fn of(wide: u128) -> Self {
                    wide as Self
                }

                #[inline(always)]
                fn split(self, width: u32) -> [u64; 2] {
                    [(self >> width) as u64, (self & (<$word>::MAX >> (<$word>::BITS - width))) as u64]
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

                $($narrow)?
            }
        };
    }

    word!(u64 {
        fn narrow(values: &mut [u64]) -> Option<&mut [u64]> {
            Some(values)
        }
    });
    word!(u128 {});
}

impl Cipher {
    /// Encrypts or decrypts integers of exactly `bits` bits in place: each is the message of its binary numerals, most
    /// significant first. The cipher must be FF1 over radix 2.
    ///
    /// # Errors
    ///
    /// Bad input, with a [`Refusal`] as its source, if the cipher is another, `bits` is not one of [`Cipher::lengths`] that
    /// fit the integers' type, a value has more bits, or the tweaks do not suit their rows. Then nothing is changed.
    pub fn apply_bits<W: Word>(
        &self,
        direction: Direction,
        tweaks: Tweaks<'_>,
        values: &mut [W],
        bits: u32,
    ) -> Result<()> {
        if self.mode != Mode::Ff1 || self.radix != Radix::BINARY {
            return Err(Refusal::NotBinary.into());
        }
        if !(2..=W::BITS).contains(&bits) {
            let most = W::BITS;
            return Err(Refusal::BitWidth { bits, most }.into());
        }
        let n = bits as usize;
        self.radix.check_length(self.mode, &self.floor, n)?;
        let tweaks = self.check_tweaks(tweaks, values.len())?;
        if !W::fit(values, bits) {
            let too_wide = |value: &W| !W::fit(&[*value], bits);
            let row = values.iter().position(too_wide).unwrap_or_default();
            return Err(Refusal::ValueTooWide { row, bits }.into());
        }
        self.kernel.proven()?;
        if self.kernel == Kernel::Naive {
            let bit = |value: u128| move |i: u32| (value >> (bits - 1 - i) & 1) as u16;
            let mut numerals: Vec<u16> = values
                .iter()
                .flat_map(|value| (0..bits).map(bit((*value).into())))
                .collect();
            self.apply_checked(direction, tweaks, &mut numerals, n);
            for (value, numerals) in values.iter_mut().zip(numerals.chunks_exact(n)) {
                *value = W::of(numerals.iter().fold(0, |value, bit| value << 1 | u128::from(*bit)));
            }
            return Ok(());
        }
        let plan = Plan::<u64>::new(self.mode, self.radix, n);
        let width = plan.lengths(n)[1] as u32;
        if let Some(values) = W::narrow(values)
            && arch::walk_bits(self.kernel, &self.aes, &plan, direction, tweaks, values, width)
        {
            return Ok(());
        }
        let mut rows = BitRows { values, width };
        lanes::run(self.kernel, &self.aes, &plan, direction, tweaks, &mut rows);
        Ok(())
    }
}

/// Integers whose right halves are their lowest `width` bits.
struct BitRows<'a, W> {
    values: &'a mut [W],
    width: u32,
}

impl<W: Word> Rows<u64> for BitRows<'_, W> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn load(&mut self, _: &Plan<u64>, start: usize, count: usize, left: &mut [u64; BATCH], right: &mut [u64; BATCH]) {
        for ((left, right), value) in left.iter_mut().zip(right).zip(&self.values[start..][..count]) {
            [*left, *right] = value.split(self.width);
        }
    }

    fn store(&mut self, _: &Plan<u64>, start: usize, count: usize, left: &[u64; BATCH], right: &[u64; BATCH]) {
        for ((left, right), value) in left.iter().zip(right).zip(&mut self.values[start..][..count]) {
            *value = W::join([*left, *right], self.width);
        }
    }
}
