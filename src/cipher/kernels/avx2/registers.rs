//! Registers of 256 bits: loads, stores and moves between lanes.
//!
//! ```text
//! halves, one register:     lane 0: rows 0 1 2 3        lane 1: rows 4 5 6 7           32 bits each
//! blocks, four registers:   lane 0: row i               lane 1: row 4 + i              128 bits each, register i
//! y, two registers:         lane 0: rows 0 1, or 2 3    lane 1: rows 4 5, or 6 7       64 bits each
//! ```
//!
//! Row i of each lane meets its block in that lane, so that a round needs no move between lanes, which takes three
//! cycles where a shuffle within them takes one.

use std::arch::x86_64::*;

use crate::batch::sizes::LANES;

/// Rows of a register of halves.
pub(crate) const ROWS: usize = 8;

pub(crate) type Y = __m256i;

/// Of each lane two 32-bit parts of the first register, then two of the second.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn dwords<const PARTS: i32>([a, b]: [Y; 2]) -> Y {
    // shufps takes any two parts of 32 bits from each of two registers; no integer instruction of AVX2 does. The
    // casts are no instructions.
    _mm256_castps_si256(_mm256_shuffle_ps::<PARTS>(
        _mm256_castsi256_ps(a),
        _mm256_castsi256_ps(b),
    ))
}

/// Eight halves from `at` on: four in each lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn load_halves(halves: &[u64; LANES], at: usize) -> Y {
    let halves = &halves[at..][..ROWS];
    // SAFETY: these are 64 bytes.
    unsafe {
        let a = _mm256_loadu_si256(halves.as_ptr().cast());
        let b = _mm256_loadu_si256(halves.as_ptr().add(4).cast());
        // Lanes first: rows 0 to 3 are to be in the lower lane and 4 to 7 in the upper, but shufps takes from both
        // registers within each lane. So the lanes are brought together before it narrows them to their lower
        // halves.
        dwords::<0b10_00_10_00>([
            _mm256_permute2x128_si256::<0x20>(a, b),
            _mm256_permute2x128_si256::<0x31>(a, b),
        ])
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn store_halves(register: Y, halves: &mut [u64; LANES], at: usize) {
    let halves = &mut halves[at..][..ROWS];
    // SAFETY: these are 64 bytes.
    unsafe {
        // The inverse: zero extension across lanes is one instruction.
        let low = _mm256_cvtepu32_epi64(_mm256_castsi256_si128(register));
        let high = _mm256_cvtepu32_epi64(_mm256_extracti128_si256::<1>(register));
        _mm256_storeu_si256(halves.as_mut_ptr().cast(), low);
        _mm256_storeu_si256(halves.as_mut_ptr().add(4).cast(), high);
    }
}

/// 16 bytes in both lanes alike.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn broadcast(bytes: &[u8; 16]) -> Y {
    // SAFETY: 16 bytes are read.
    unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast())) }
}

/// 16 bytes in each lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn two(low: &[u8; 16], high: &[u8; 16]) -> Y {
    // SAFETY: 16 bytes are read, twice.
    unsafe { _mm256_loadu2_m128i(high.as_ptr().cast(), low.as_ptr().cast()) }
}
