//! Registers of 512 bits: loads, stores and tables.
//!
//! ```text
//! packed halves:   rows 0 … 15, 32 bits each           from decimal text in the order 0, 4, 8, 12, 1, 5, …
//! wide halves:     rows 0 … 7, 64 bits each
//! blocks:          four in the order of the halves, 128 bits each: register j has those from the 4j-th on
//! y:               eight, 64 bits each: those of two registers of blocks
//! ```

use std::arch::x86_64::*;

use cipherform_simd::table::ByteTable;

pub(crate) type Z = __m512i;

/// The lower 32 bits of 16 numbers.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
pub(crate) unsafe fn lower_halves([a, b]: [Z; 2]) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // Two sources in one instruction. Narrowing each register by itself (vpmovqd) and joining the results would
        // be three, two of which are of two micro-operations on Intel's processors.
        let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        _mm512_permutex2var_epi32(a, even, b)
    }
}

/// 64 bytes from item `at` on.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
pub(crate) unsafe fn load<T: Copy>(items: &[T], at: usize) -> Z {
    // Checked as a slice, in safe code: where `at` is a constant after inlining, the check costs nothing.
    let items = &items[at..][..64 / size_of::<T>()];
    // SAFETY: the caller promises the features of `available`; these are 64 bytes of integers.
    unsafe { _mm512_loadu_si512(items.as_ptr().cast()) }
}

/// 64 bytes to item `at` on.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
pub(crate) unsafe fn store(z: Z, items: &mut [u64], at: usize) {
    // Unaligned stores take no longer than aligned ones where the address is aligned, and any slice will do.
    let items = &mut items[at..][..8];
    // SAFETY: the caller promises the features of `available`; these are 64 bytes of integers.
    unsafe { _mm512_storeu_si512(items.as_mut_ptr().cast(), z) }
}

/// A table in a register.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
pub(crate) unsafe fn table(bytes: &ByteTable) -> Z {
    // The table begins a cache line, so that the load never touches two.
    // SAFETY: the caller promises the features of `available`.
    unsafe { load(&bytes.0, 0) }
}

/// Fills a table with an expression of the block and the byte in it.
macro_rules! byte_table {
    (|$block:ident, $p:ident| $index:expr) => {{
        let mut bytes = [0; 64];
        let mut at = 0;
        // No `for` loop: the compiler works these tables out, and constants allow none.
        while at < 64 {
            let ($block, $p) = (at / 16, at % 16);
            bytes[at] = $index as u8;
            at += 1;
        }
        ByteTable(bytes)
    }};
}

pub(crate) use byte_table;
