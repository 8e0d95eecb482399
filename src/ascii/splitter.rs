//! Splits ASCII values into the symbols to encrypt and the bytes to keep, in batches, and joins them again.

use std::fmt;
use std::ops::RangeInclusive;

use cipherform_simd::multiversion::Instructions;

use crate::kernels::portable;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};
use crate::split::{MAX_LENGTH, RowOutcome, Span, SplitPattern, SplitRows, SymbolGroup};

/// Splits values of one pattern and joins them again.
pub struct Splitter(SplitKernel);

impl Splitter {
    /// For values with as many symbols to encrypt as `encrypted` has, by `instructions`.
    pub fn new(instructions: Instructions, encrypted: RangeInclusive<usize>, pattern: &SplitPattern<'_>) -> Self {
        Self(SplitKernel::new(instructions, encrypted, pattern))
    }

    /// Splits the values at `spans` into `rows`, whose former contents are lost.
    ///
    /// # Panics
    ///
    /// If a span is not in `bytes`.
    pub fn split(&mut self, bytes: &[u8], spans: &[Span], rows: &mut SplitRows) {
        // Skipped until a kernel says otherwise, so that kernels need not write about rows that do not fit.
        rows.outcomes.clear();
        rows.outcomes.resize(spans.len(), RowOutcome::Skipped);
        rows.masks.clear();
        rows.masks.resize(spans.len(), 0);
        rows.groups.resize_with(MAX_LENGTH + 1, SymbolGroup::default);
        for group in &mut rows.groups {
            group.rows = 0;
        }
        self.0.split(bytes, spans, rows);
    }

    /// Writes to `output`, at the spans of `bytes`, the values that were split from there with other symbols: those
    /// of each group in `results`, and [`PADDING`](crate::PADDING) after them. Values that were skipped are copied
    /// as they are. Bytes between values and after the last one may be overwritten.
    ///
    /// # Panics
    ///
    /// If `rows` is of other spans, or a result is too short.
    pub fn join(&mut self, bytes: &[u8], spans: &[Span], rows: &SplitRows, results: &[Vec<u8>], output: &mut [u8]) {
        // Kernels load and store whole registers at the same offsets of both.
        assert_eq!(bytes.len(), output.len(), "spans are the same in both");
        self.0.join(bytes, spans, rows, results, output);
    }
}

impl fmt::Debug for Splitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Splitter")
    }
}

/// The splitter for one instruction set.
enum SplitKernel {
    Portable(portable::PortableSplitter),
    #[cfg(target_arch = "x86_64")]
    Avx2(Box<avx2::Avx2Splitter>),
    #[cfg(target_arch = "x86_64")]
    Avx512(Box<avx512::Avx512Splitter>),
}

impl SplitKernel {
    fn new(instructions: Instructions, free: RangeInclusive<usize>, pattern: &SplitPattern<'_>) -> Self {
        #[cfg(target_arch = "x86_64")]
        if instructions == Instructions::Avx512
            // A kernel refuses patterns that do not fit its registers: the next one then has its turn, and the last
            // takes all.
            && let Some(form) = avx512::Avx512Splitter::new(free.clone(), pattern)
        {
            return Self::Avx512(Box::new(form));
        }
        #[cfg(target_arch = "x86_64")]
        if instructions != Instructions::Baseline
            && let Some(form) = avx2::Avx2Splitter::new(free.clone(), pattern)
        {
            return Self::Avx2(Box::new(form));
        }
        let _ = instructions;
        Self::Portable(portable::PortableSplitter::new(free, pattern))
    }

    fn split(&mut self, bytes: &[u8], spans: &[Span], rows: &mut SplitRows) {
        match self {
            Self::Portable(form) => form.split(bytes, spans, rows),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(form) => form.split(bytes, spans, rows),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(form) => form.split(bytes, spans, rows),
        }
    }

    fn join(&mut self, bytes: &[u8], spans: &[Span], rows: &SplitRows, results: &[Vec<u8>], output: &mut [u8]) {
        match self {
            Self::Portable(form) => form.join(bytes, spans, rows, results, output),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(form) => form.join(bytes, spans, rows, results, output),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(form) => form.join(bytes, spans, rows, results, output),
        }
    }
}
