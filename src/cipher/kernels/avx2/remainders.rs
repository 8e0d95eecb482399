//! y modulo M by quotients in double precision, for eight rows: the ends of rounds.
//!
//! ```text
//! q ← lower bits of (2^52 + t)·c + k     one fused multiplication and addition; t is y without its lowest bits
//! lazy ← y − q·M                         modulo 2^32: between 0 and 3M, or −3M and 0 to subtract
//! sum ← half ± lazy
//! sum ← min(sum, sum − 2M)               unsigned: a difference below 0 wraps to a large number
//! sum ← min(sum, sum − M)
//! ```
//!
//! The proofs stand at [`ReductionFma`](crate::arith::reduce_fma::ReductionFma). A register of halves has eight
//! lanes of 32 bits; quotients take two registers of four lanes of 64 bits, and are brought together before they
//! are multiplied. Six registers are live: two of y, the half, and three temporaries; constants come from memory,
//! as the blocks of the other group have the other eight registers.

use std::arch::x86_64::*;

use crate::arith::reduce_fma::{EXPONENT, Modulus53, QuotientFma};
use crate::kernels::avx2::params::{EIGHT, MASK, SIGNED, TINY};
use crate::kernels::avx2::registers::{Y, broadcast, dwords};

/// A number of 64 bits that is y modulo M for each y of 128 bits: with 2^32, 2^64 and 2^96 modulo M ≤ 2^30 it is at
/// most 3·(2^32 − 1)·(2^30 − 1) + 2^32 − 1 < 2^64.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn fold(low: Y, high: Y, powers: &[u32; 3]) -> Y {
    // y is four digits of 32 bits: y₀ + y₁·2^32 + y₂·2^64 + y₃·2^96. mul_epu32 reads the lower half of each lane,
    // so y₂ needs no shift. The three products do not wait for each other.
    let parts = [_mm256_srli_epi64::<32>(low), high, _mm256_srli_epi64::<32>(high)];
    let mut sum = _mm256_and_si256(low, _mm256_set1_epi64x(0xffff_ffff));
    for (part, power) in parts.into_iter().zip(powers) {
        sum = _mm256_add_epi64(sum, _mm256_mul_epu32(part, _mm256_set1_epi64x((*power).into())));
    }
    sum
}

/// The end of a round for 8 rows, from what the last round of AES has left: changed ± y modulo M.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn end_round<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8>(
    changed: Y,
    y: [Y; 2],
    modulus: &Modulus53,
) -> Y {
    let m = _mm256_set1_epi32(modulus.m as i32);
    // y mod 2^32 of each row, all that y − q·M needs, as the difference fits 32 bits. FF1's y is big-endian: its
    // lowest digit is the second of its two parts of 32 bits, and its bytes are to be turned.
    let low = if LAYOUT == EIGHT {
        let swap = broadcast(&[3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]);
        _mm256_shuffle_epi8(dwords::<0b11_01_11_01>(y), swap)
    } else {
        dwords::<0b10_00_10_00>(y)
    };
    // A power of two: what is carried out of the 32 bits is a multiple of it, and the mask takes the rest off.
    if REDUCTION == MASK {
        let sum = if ENCRYPT {
            _mm256_add_epi32(changed, low)
        } else {
            _mm256_sub_epi32(changed, low)
        };
        return _mm256_and_si256(sum, m);
    }
    // q̂ is found in 64 bits, for four rows at a time, and fits 32.
    // The lower halves of the sums hold q̂ in two's complement; the exponent and the constant k are in the upper
    // halves and are dropped here, without a conversion.
    let q = dwords::<0b10_00_10_00>([
        quotient::<ENCRYPT, LAYOUT, REDUCTION>(y[0], modulus),
        quotient::<ENCRYPT, LAYOUT, REDUCTION>(y[1], modulus),
    ]);
    // Modulo 2^32, where it fits.
    let rest = _mm256_sub_epi32(low, _mm256_mullo_epi32(q, m));
    // M up to 3.8·10^9, where 4M does not fit. `rest` has a sign: its highest bit, spread over the lane, selects M.
    if REDUCTION == SIGNED {
        let y = _mm256_add_epi32(rest, _mm256_and_si256(m, _mm256_srai_epi32::<31>(rest)));
        // half + y could pass 2^32, half − (M − y) cannot: it lies between −M and M − 1.
        let less = if ENCRYPT { _mm256_sub_epi32(m, y) } else { y };
        // M is added where the difference is negative.
        // AVX2 compares signed integers only; a maximum of unsigned ones and a test for equality make changed ≥
        // less.
        let fits = _mm256_cmpeq_epi32(_mm256_max_epu32(changed, less), changed);
        return _mm256_add_epi32(_mm256_sub_epi32(changed, less), _mm256_andnot_si256(fits, m));
    }
    let sum = if ENCRYPT {
        _mm256_add_epi32(changed, rest)
    } else {
        _mm256_sub_epi32(changed, rest)
    };
    // Two conditional subtractions without a mask: where sum < 2M the difference wraps, and the minimum is sum itself.
    let sum = _mm256_min_epu32(sum, _mm256_sub_epi32(sum, _mm256_add_epi32(m, m)));
    _mm256_min_epu32(sum, _mm256_sub_epi32(sum, m))
}

/// q̂ in the lower 32 bits of each 64.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn quotient<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8>(y: Y, modulus: &Modulus53) -> Y {
    let exponent = _mm256_set1_epi64x(EXPONENT as i64);
    // The constants shift q̂ by −1 or +2 (but for `Signed`), so that the rest lies above 0 to be added and below 0
    // to be subtracted: `changed − rest` needs no 3M beside it.
    let last = if ENCRYPT { &modulus.plus } else { &modulus.minus };
    if REDUCTION == TINY {
        let y = if LAYOUT == EIGHT {
            _mm256_shuffle_epi8(y, broadcast(&[7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]))
        } else {
            y
        };
        // The first step: what the upper half of y leaves, g, takes its place before the lower half.
        // mul_epu32 reads the lower 32 bits of q, which may be −1 there; g is right modulo 2^32 all the same, and
        // it is below (2 + 2^−20)·M < 2^32. Its shift by 32 drops what is above.
        let h = _mm256_srli_epi64::<32>(y);
        let q = multiply_add(_mm256_or_si256(h, exponent), &modulus.first);
        let g = _mm256_sub_epi64(h, _mm256_mul_epu32(q, _mm256_set1_epi64x(modulus.m.into())));
        // g·2^32 + (y mod 2^32): a blend puts the two halves together, without an addition.
        let z = _mm256_blend_epi32::<0b10_10_10_10>(y, _mm256_slli_epi64::<32>(g));
        let t = _mm256_srl_epi64(z, _mm_cvtsi32_si128(modulus.shift as i32));
        return multiply_add(_mm256_or_si256(t, exponent), last);
    }
    // Without its lowest 16 bits y fits the 52 of a double; where y is big-endian, one shuffle turns it and cuts
    // them off.
    let t = if LAYOUT == EIGHT {
        _mm256_shuffle_epi8(
            y,
            broadcast(&[5, 4, 3, 2, 1, 0, 0x80, 0x80, 13, 12, 11, 10, 9, 8, 0x80, 0x80]),
        )
    } else {
        _mm256_srli_epi64::<16>(y)
    };
    multiply_add(_mm256_or_si256(t, exponent), last)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply_add(t: Y, quotient: &QuotientFma) -> Y {
    // One rounding, at the end: with a product and a sum apart, the product would be rounded, too, and the bound on
    // q̂ would not hold. No operand is subnormal, infinite or NaN, for which processors may take longer.
    let (by, to) = (_mm256_set1_pd(quotient.by), _mm256_set1_pd(quotient.to));
    _mm256_castpd_si256(_mm256_fmadd_pd(_mm256_castsi256_pd(t), by, to))
}
