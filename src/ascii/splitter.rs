//! Takes texts apart and puts them together.

use std::fmt;
use std::ops::RangeInclusive;

use crate::kernels::portable;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};
use crate::split::{Bucket, Fate, LONGEST, Pattern, Place, Taken};
use cipherform_simd::multiversion::Instructions;

/// Takes texts apart and puts them together.
pub struct Sieve(SplitKernel);

impl Sieve {
    /// For texts with as many symbols to encrypt as `free` has, by `instructions`.
    pub fn new(instructions: Instructions, free: RangeInclusive<usize>, pattern: &Pattern<'_>) -> Self {
        Self(SplitKernel::new(instructions, free, pattern))
    }

    /// Takes the texts at `places` apart, in place of what `taken` held.
    ///
    /// # Panics
    ///
    /// If a place is not in `bytes`.
    pub fn take(&mut self, bytes: &[u8], places: &[Place], taken: &mut Taken) {
        taken.fates.clear();
        taken.fates.resize(places.len(), Fate::Left);
        taken.masks.clear();
        taken.masks.resize(places.len(), 0);
        taken.buckets.resize_with(LONGEST + 1, Bucket::default);
        for bucket in &mut taken.buckets {
            bucket.rows = 0;
        }
        self.0.take(bytes, places, taken);
    }

    /// Puts together in `output`, at the places of `bytes`, what was taken from there, with other free symbols: those of each bucket
    /// in `results`, and [`SLACK`] bytes more. Other texts are copied as they are. What stands between texts and after the last
    /// one may be overwritten.
    ///
    /// # Panics
    ///
    /// If `taken` is of other places, or a result is too short.
    pub fn put(&mut self, bytes: &[u8], places: &[Place], taken: &Taken, results: &[Vec<u8>], output: &mut [u8]) {
        assert_eq!(bytes.len(), output.len(), "places are the same in both");
        self.0.put(bytes, places, taken, results, output);
    }
}

impl fmt::Debug for Sieve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sieve")
    }
}

/// How a kernel takes texts apart.
enum SplitKernel {
    Portable(portable::Form),
    #[cfg(target_arch = "x86_64")]
    Avx2(Box<avx2::Form>),
    #[cfg(target_arch = "x86_64")]
    Avx512(Box<avx512::Form>),
}

impl SplitKernel {
    fn new(instructions: Instructions, free: RangeInclusive<usize>, pattern: &Pattern<'_>) -> Self {
        #[cfg(target_arch = "x86_64")]
        if instructions == Instructions::Avx512
            && let Some(form) = avx512::Form::new(free.clone(), pattern)
        {
            return Self::Avx512(Box::new(form));
        }
        #[cfg(target_arch = "x86_64")]
        if instructions != Instructions::Baseline
            && let Some(form) = avx2::Form::new(free.clone(), pattern)
        {
            return Self::Avx2(Box::new(form));
        }
        let _ = instructions;
        Self::Portable(portable::Form::new(free, pattern))
    }

    fn take(&mut self, bytes: &[u8], places: &[Place], taken: &mut Taken) {
        match self {
            Self::Portable(form) => form.take(bytes, places, taken),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(form) => form.take(bytes, places, taken),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(form) => form.take(bytes, places, taken),
        }
    }

    fn put(&mut self, bytes: &[u8], places: &[Place], taken: &Taken, results: &[Vec<u8>], output: &mut [u8]) {
        match self {
            Self::Portable(form) => form.put(bytes, places, taken, results, output),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(form) => form.put(bytes, places, taken, results, output),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(form) => form.put(bytes, places, taken, results, output),
        }
    }
}
