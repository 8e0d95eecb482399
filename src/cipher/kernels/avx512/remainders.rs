//! y modulo M with IFMA, for all rows of a register: the ends of rounds.
//!
//! ```text
//! q ← ⌊t·µ/2^52⌋                     madd52hi; t is y without its lowest bits, so that it fits 52
//! lazy ← y − q·M                     below 3M
//! sum ← half + lazy                  below 4M, or half + 3M − lazy to subtract
//! sum ← min(sum, sum − 2M)           unsigned: a difference below 0 wraps to a large number
//! sum ← min(sum, sum − M)
//! ```
//!
//! The proofs stand at [`ReductionIfma`](crate::arith::reduce_ifma::ReductionIfma). *Packed* halves share a
//! register of 16 lanes of 32 bits; their q is found in two registers of 8 lanes of 64 bits each and brought
//! together. *Wide* halves take 64 bits. Two constants (M and µ) and four temporaries are live for a register of
//! halves.

use std::arch::x86_64::*;

use crate::arith::reduce_ifma::Modulus52;
use crate::kernels::aes::{Vaes512, round_key};
use crate::kernels::avx512::params::{MASK, ONCE, SHORT, TINY, TWICE};
use crate::kernels::avx512::registers::{Z, lower_halves};
use crate::kernels::schedule::Schedule;

// Macros and not closures: a closure in a function without features has none, either, and the compiler may choose to
// call it, with all registers saved around the call.

/// A number in each 32 bits.
macro_rules! set32 {
    ($x:expr) => {
        _mm512_set1_epi32($x as i32)
    };
}

/// A number in each 64 bits.
macro_rules! set64 {
    ($x:expr) => {
        _mm512_set1_epi64($x as i64)
    };
}

/// changed ± y modulo M for 16 rows.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
pub(crate) unsafe fn packed_end<const ENCRYPT: bool, const REDUCTION: u8>(
    changed: Z,
    y: [Z; 2],
    modulus: &Modulus52,
) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // Small moduli first: for M ≤ 2^12 the reciprocal ⌊2^64/M⌋ would have more than the 52 bits that IFMA
        // multiplies, so y is made smaller before it is divided.
        let y = if REDUCTION == TINY {
            [brought_down(y[0], modulus), brought_down(y[1], modulus)]
        } else {
            y
        };
        // Modulo 2^32, as 4M ≤ 2^32.
        let low = lower_halves(y);
        // A power of two: carries out of the lane are lost, and the mask takes off what is above M. No quotient is
        // needed, and y's upper half plays no part.
        if REDUCTION == MASK {
            let sum = if ENCRYPT {
                _mm512_add_epi32(changed, low)
            } else {
                _mm512_sub_epi32(changed, low)
            };
            return _mm512_and_si512(sum, set32!(modulus.m));
        }
        // Quotients are below 2^32, but their products need 64 bits: they are found eight at a time, then packed
        // like the halves.
        let q = lower_halves([
            packed_quotient::<REDUCTION>(y[0], modulus),
            packed_quotient::<REDUCTION>(y[1], modulus),
        ]);
        // Only the lower 32 bits of q·M are wanted, so that one product serves 16 rows; madd52lo would serve eight
        // and leave 52 bits.
        let product = _mm512_mullo_epi32(q, set32!(modulus.m));
        // The difference is below 3M, so that its lower 32 bits are all of it, whatever the upper ones of y and q·M
        // were.
        let lazy = _mm512_sub_epi32(low, product);
        let sum = if ENCRYPT {
            _mm512_add_epi32(changed, lazy)
        } else {
            // NUM(B) − y (decryption, step 6.vi): 3M first keeps the difference above 0, as lazy < 3M; it is below
            // M + 3M = 4M ≤ 2^32.
            _mm512_sub_epi32(_mm512_add_epi32(changed, set32!(modulus.m3)), lazy)
        };
        // Two conditional subtractions without a mask: where sum < 2M the difference wraps, and the minimum is sum
        // itself.
        let sum = _mm512_min_epu32(sum, _mm512_sub_epi32(sum, set32!(modulus.m2)));
        _mm512_min_epu32(sum, _mm512_sub_epi32(sum, set32!(modulus.m)))
    }
}

/// q̂ for y, or for what it was brought down to.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn packed_quotient<const REDUCTION: u8>(y: Z, modulus: &Modulus52) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        if REDUCTION == TINY {
            // z < M·2^32 has up to 62 bits; the shift, 0 or 12, brings it to the 52 that the product reads.
            let t = _mm512_srl_epi64(y, _mm_cvtsi32_si128(modulus.shift as i32));
            return upper_product(t, set64!(modulus.nu));
        }
        debug_assert!(REDUCTION == SHORT);
        // IFMA reads the lowest 52 bits of its operands: without its lowest 12 bits y has no more.
        upper_product(_mm512_srli_epi64::<12>(y), set64!(modulus.mu))
    }
}

/// z for y, for [`Tiny`](crate::arith::reduce_ifma::ReductionIfma::Tiny).
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn brought_down(y: Z, modulus: &Modulus52) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // ⌊y/2^32⌋·(2^32 mod M) + (y mod 2^32); the mask keeps the lower 32 bits of each 64.
        // mul_epu32 reads the lower 32 bits of each lane, so the shift is all that is needed to feed it y's upper
        // half. Both factors are below 2^32, the product and the sum below M·2^32 ≤ 2^62: no carry is lost.
        let upper = _mm512_mul_epu32(_mm512_srli_epi64::<32>(y), _mm512_set1_epi64(modulus.mu as i64));
        _mm512_add_epi64(upper, _mm512_maskz_mov_epi32(0x5555, y))
    }
}

/// The end of a round for 8 rows with halves of 64 bits: y is `low`, and `high` = ⌊y/2^32⌋ if it has 96 bits.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
pub(crate) unsafe fn wide_end<const ENCRYPT: bool, const REDUCTION: u8>(
    changed: Z,
    high: Z,
    low: Z,
    modulus: &Modulus52,
) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // The product q·M is wanted modulo 2^64: for M > 2^50 the rest, below 3M, may have more than the 52 bits
        // that madd52lo gives. mullo_epi64 takes three micro-operations on Intel's processors.
        let m = set64!(modulus.m);
        macro_rules! rest {
            ($z:expr, $q:expr) => {
                _mm512_sub_epi64($z, _mm512_mullo_epi64($q, m))
            };
        }
        let lazy = match REDUCTION {
            MASK => {
                let sum = if ENCRYPT {
                    _mm512_add_epi64(changed, low)
                } else {
                    _mm512_sub_epi64(changed, low)
                };
                return _mm512_and_si512(sum, m);
            }
            SHORT => rest!(low, upper_product(_mm512_srli_epi64::<12>(low), set64!(modulus.mu))),
            TWICE => {
                // First the upper 64 bits of y: g is what they leave, below 3M.
                let g = rest!(high, upper_product(_mm512_srli_epi64::<12>(high), set64!(modulus.mu)));
                // The lower 32 bits of each 64: the second digit of the division, g being what the first one left.
                let low = _mm512_maskz_mov_epi32(0x5555, low);
                let (up, down) = (
                    _mm_cvtsi32_si128(32 - modulus.shift as i32),
                    _mm_cvtsi32_si128(modulus.shift as i32),
                );
                // t = ⌊(g·2^32 + low)/2^shift⌋, without the 84 bits that this sum may have.
                let t = _mm512_add_epi64(_mm512_sll_epi64(g, up), _mm512_srl_epi64(low, down));
                // z modulo 2^64 suffices: the rest is below 3M < 2^52, and differences are right modulo 2^64. The
                // lower 32 bits of the shifted g are zeros, so that `or` adds.
                let z = _mm512_or_si512(_mm512_slli_epi64::<32>(g), low);
                rest!(z, upper_product(t, set64!(modulus.nu)))
            }
            // t = ⌊y/2^44⌋ needs y's upper 64 bits alone, and the rest, below 3M < 2^64, y's lower 64 alone: no
            // number of 96 bits is ever put together.
            ONCE => rest!(low, upper_product(_mm512_srli_epi64::<12>(high), set64!(modulus.mu))),
            _ => {
                let q = upper_product(_mm512_srli_epi64::<12>(high), set64!(modulus.mu));
                // Beyond 2^62 the sum with a lazy rest does not fit 64 bits. The larger reciprocal (2^51 ≤ µ)
                // leaves a rest below 2M, which one subtraction brings below M.
                let lazy = rest!(low, _mm512_srl_epi64(q, _mm_cvtsi32_si128(modulus.shift as i32)));
                let y = _mm512_min_epu64(lazy, _mm512_sub_epi64(lazy, m));
                // Sums may pass 2^64, so differences, and M where they are negative.
                let less = if ENCRYPT { _mm512_sub_epi64(m, y) } else { y };
                // changed − less lies between −M and M − 1. Its sign cannot be read from the highest bit, as M may
                // have 64 bits: the comparison gives it, and a masked addition corrects it without a branch.
                let negative = _mm512_cmplt_epu64_mask(changed, less);
                let rest = _mm512_sub_epi64(changed, less);
                return _mm512_mask_add_epi64(rest, negative, rest, m);
            }
        };
        // Step 6.vi, NUM(A) + y or NUM(B) − y: below 4M ≤ 2^64, as M ≤ 2^62 for all classes that come here.
        let sum = if ENCRYPT {
            _mm512_add_epi64(changed, lazy)
        } else {
            _mm512_sub_epi64(_mm512_add_epi64(changed, set64!(modulus.m3)), lazy)
        };
        let sum = _mm512_min_epu64(sum, _mm512_sub_epi64(sum, set64!(modulus.m2)));
        _mm512_min_epu64(sum, _mm512_sub_epi64(sum, m))
    }
}

/// ⌊t·µ/2^52⌋ for t, µ < 2^52.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn upper_product(t: Z, mu: Z) -> Z {
    // One instruction where the upper half of a product of 64 bits by 64 would take four of 32 bits by 32, with
    // shifts and additions: this is why these kernels ask for IFMA.
    // SAFETY: the caller promises the features of `available`.
    unsafe { _mm512_madd52hi_epu64(_mm512_setzero_si512(), t, mu) }
}

/// The last round of eight blocks, and a 64-bit number that is y modulo M for each y of 128 bits: with 2^32, 2^64
/// and 2^96 modulo M ≤ 2^30 it is at most 3·(2^32 − 1)·(2^30 − 1) + 2^32 − 1 < 2^64. (For powers of two only its
/// lower 32 bits matter.)
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
pub(crate) unsafe fn fold(schedule: &Schedule, a: Z, b: Z, powers: &[u64; 3]) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let key = round_key::<Vaes512>(schedule, schedule.rounds());
        let (a, b) = (_mm512_aesenclast_epi128(a, key), _mm512_aesenclast_epi128(b, key));
        // All 16 bytes of each block are y, so that the last round cannot be shared between blocks, as FF1's is.
        // Rows come in order: even places are lower halves, odd ones upper.
        let low = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b);
        let high = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), b);
        macro_rules! part {
            ($x:expr, $power:expr) => {
                _mm512_mul_epu32($x, set64!($power))
            };
        }
        // y = y₀ + y₁·2^32 + y₂·2^64 + y₃·2^96 with digits of 32 bits: three independent products, where reducing
        // digit by digit would be a chain of three quotients.
        let sum = _mm512_maskz_mov_epi32(0x5555, low);
        let sum = _mm512_add_epi64(sum, part!(_mm512_srli_epi64::<32>(low), powers[0]));
        let sum = _mm512_add_epi64(sum, part!(high, powers[1]));
        _mm512_add_epi64(sum, part!(_mm512_srli_epi64::<32>(high), powers[2]))
    }
}
