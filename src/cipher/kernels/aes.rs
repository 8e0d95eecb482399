//! AES on registers of any width: one key schedule, many blocks.
//!
//! ```text
//! inner rounds:  for r in 1 … rounds − 1:  for each register s:  s ← aesenc(s, key[r])
//! last round:    for each register s:  s ← aesenclast(s, key[rounds])
//! ```
//!
//! The first round key has been added by whoever made the blocks. A register holds one block for each 128 bits, and
//! each round goes through all registers before the next one begins: `aesenc` takes three to five cycles, but one
//! or two can start in each, so that eight registers in flight keep the AES units busy.
//!
//! Registers: the states, and one for the key of the round. The rest is the caller's, for the arithmetic that it has
//! between rounds; with AES-NI a state takes two registers of 128 bits.
//!
//! An [`AesUnit`] names the instructions. Everything here is inlined into functions that are compiled for the
//! features of its unit: Rust promises that only for functions without features of their own, hence these are
//! `unsafe`.

use std::arch::x86_64::*;

use crate::kernels::schedule::Schedule;

/// The AES instructions for registers of one width.
pub(crate) trait AesUnit {
    /// One block for each 128 bits.
    type Register: Copy;

    /// A register with `block` in each 128 bits.
    ///
    /// # Safety
    ///
    /// The processor has this unit's features.
    unsafe fn broadcast(block: &[u8; 16]) -> Self::Register;

    /// An inner round of AES on all blocks of a register.
    ///
    /// # Safety
    ///
    /// The processor has this unit's features.
    unsafe fn round(state: Self::Register, key: Self::Register) -> Self::Register;

    /// The last round of AES on all blocks of a register.
    ///
    /// # Safety
    ///
    /// The processor has this unit's features.
    unsafe fn last_round(state: Self::Register, key: Self::Register) -> Self::Register;
}

/// VAES on registers of 512 bits: AVX-512F and VAES.
pub(crate) struct Vaes512;

impl AesUnit for Vaes512 {
    type Register = __m512i;

    #[inline(always)]
    unsafe fn broadcast(block: &[u8; 16]) -> __m512i {
        // With its operand in memory the broadcast is done by the load port: it takes no shuffle port, and no
        // register but its result.
        // SAFETY: the caller promises AVX-512F; 16 bytes are read.
        unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(block.as_ptr().cast())) }
    }

    #[inline(always)]
    unsafe fn round(state: __m512i, key: __m512i) -> __m512i {
        // SAFETY: the caller promises AVX-512F and VAES.
        unsafe { _mm512_aesenc_epi128(state, key) }
    }

    #[inline(always)]
    unsafe fn last_round(state: __m512i, key: __m512i) -> __m512i {
        // SAFETY: the caller promises AVX-512F and VAES.
        unsafe { _mm512_aesenclast_epi128(state, key) }
    }
}

/// VAES on registers of 256 bits: AVX2 and VAES.
pub(crate) struct Vaes256;

impl AesUnit for Vaes256 {
    type Register = __m256i;

    #[inline(always)]
    unsafe fn broadcast(block: &[u8; 16]) -> __m256i {
        // SAFETY: the caller promises AVX2; 16 bytes are read.
        unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(block.as_ptr().cast())) }
    }

    #[inline(always)]
    unsafe fn round(state: __m256i, key: __m256i) -> __m256i {
        // SAFETY: the caller promises AVX2 and VAES.
        unsafe { _mm256_aesenc_epi128(state, key) }
    }

    #[inline(always)]
    unsafe fn last_round(state: __m256i, key: __m256i) -> __m256i {
        // SAFETY: the caller promises AVX2 and VAES.
        unsafe { _mm256_aesenclast_epi128(state, key) }
    }
}

/// AES-NI on both lanes of registers of 256 bits: AVX2 and AES.
///
/// The compiler leaves the lanes apart from one round to the next.
pub(crate) struct AesNi256;

impl AesUnit for AesNi256 {
    type Register = __m256i;

    #[inline(always)]
    unsafe fn broadcast(block: &[u8; 16]) -> __m256i {
        // SAFETY: the caller promises AVX2.
        unsafe { Vaes256::broadcast(block) }
    }

    #[inline(always)]
    unsafe fn round(state: __m256i, key: __m256i) -> __m256i {
        // SAFETY: the caller promises AVX2 and AES.
        unsafe {
            // Both lanes of `key` are the same block, so the lower one serves both: no extraction.
            let key = _mm256_castsi256_si128(key);
            // The insertion at the end of a round and the extraction at the beginning of the next one undo each
            // other: the compiler drops both, and keeps two registers of 128 bits.
            let (low, high) = lanes(state);
            join(_mm_aesenc_si128(low, key), _mm_aesenc_si128(high, key))
        }
    }

    #[inline(always)]
    unsafe fn last_round(state: __m256i, key: __m256i) -> __m256i {
        // SAFETY: the caller promises AVX2 and AES.
        unsafe {
            let key = _mm256_castsi256_si128(key);
            let (low, high) = lanes(state);
            join(_mm_aesenclast_si128(low, key), _mm_aesenclast_si128(high, key))
        }
    }
}

/// The two lanes of a register.
///
/// # Safety
///
/// The processor has AVX2.
#[inline(always)]
unsafe fn lanes(register: __m256i) -> (__m128i, __m128i) {
    // SAFETY: the caller promises AVX2.
    unsafe {
        (
            _mm256_castsi256_si128(register),
            _mm256_extracti128_si256::<1>(register),
        )
    }
}

/// The register of two lanes.
///
/// # Safety
///
/// The processor has AVX2.
#[inline(always)]
unsafe fn join(low: __m128i, high: __m128i) -> __m256i {
    // SAFETY: the caller promises AVX2.
    unsafe { _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high) }
}

/// A round key in every block.
///
/// # Safety
///
/// The processor has the features of `U`.
#[inline(always)]
pub(crate) unsafe fn round_key<U: AesUnit>(schedule: &Schedule, round: usize) -> U::Register {
    // SAFETY: the caller promises the unit's features.
    unsafe { U::broadcast(&schedule.keys()[round]) }
}

/// One inner round of AES for all states.
///
/// # Safety
///
/// The processor has the features of `U`.
#[inline(always)]
pub(crate) unsafe fn aes_round<U: AesUnit>(schedule: &Schedule, round: usize, states: &mut [U::Register]) {
    // SAFETY: the caller promises the unit's features.
    unsafe {
        // One load of the key serves all states of the round. Keys are loaded anew in each round: 11 to 15 of them
        // would take up the registers that the blocks need, and they stay in the first-level cache.
        let key = round_key::<U>(schedule, round);
        for state in states {
            *state = U::round(*state, key);
        }
    }
}

/// All rounds of AES but the last.
///
/// # Safety
///
/// The processor has the features of `U`.
#[inline(always)]
pub(crate) unsafe fn aes_inner_rounds<U: AesUnit>(schedule: &Schedule, states: &mut [U::Register]) {
    // SAFETY: the caller promises the unit's features.
    unsafe {
        // The nine inner rounds that every key length has (FIPS 197: Nr = 10, 12 or 14, and the last round is
        // another instruction). The constant bound lets the compiler unroll them.
        for round in 1..10 {
            aes_round::<U>(schedule, round, states);
        }
        aes_long_key_rounds::<U>(schedule, states);
    }
}

/// The inner rounds that only keys of 192 and 256 bits have.
///
/// # Safety
///
/// The processor has the features of `U`.
#[inline(always)]
pub(crate) unsafe fn aes_long_key_rounds<U: AesUnit>(schedule: &Schedule, states: &mut [U::Register]) {
    // SAFETY: the caller promises the unit's features.
    unsafe {
        // The only branch of AES depends on the length of the key, which is public, and goes the same way for all
        // blocks under one key. `aesenc` itself looks nothing up in memory: its time does not depend on the state.
        if schedule.rounds() > 10 {
            aes_round::<U>(schedule, 10, states);
            aes_round::<U>(schedule, 11, states);
            if schedule.rounds() > 12 {
                aes_round::<U>(schedule, 12, states);
                aes_round::<U>(schedule, 13, states);
            }
        }
    }
}

/// The last round of AES for all states, under `key`.
///
/// # Safety
///
/// The processor has the features of `U`.
#[inline(always)]
pub(crate) unsafe fn aes_last_round<U: AesUnit>(key: U::Register, states: &mut [U::Register]) {
    // The key is an argument and not taken from the schedule: a CBC-MAC that goes on adds the first round key of
    // the next block to it, so that one exclusive or does for both.
    for state in states {
        // SAFETY: the caller promises the unit's features.
        *state = unsafe { U::last_round(*state, key) };
    }
}
