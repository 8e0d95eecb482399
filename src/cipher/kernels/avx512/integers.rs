//! Integers of up to 64 bits, straight from memory through the rounds and back, in AVX-512.
//!
//! ```text
//! load, for 16 integers:   left ← lower halves of (x >> width)       two shifts, one permutation of two registers
//!                          right ← lower halves of x, masked         one permutation, one mask
//! store:                   x ← left << width | right                 for each eight: two widenings, a shift, an or
//! ```
//!
//! Two registers of integers, two of halves, the index of the permutation and the mask are live: a group is read
//! while the other one's blocks take eight of the 32 registers.

use std::arch::x86_64::*;
use std::borrow::Cow;

use crate::arith::reduce_ifma::ReductionIfma;
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;
use crate::kernels::avx512::params::{Layout512, Params512, available};
use crate::kernels::avx512::prefixes::PrefixBlocks512;
use crate::kernels::avx512::registers::{Z, lower_halves};
use crate::kernels::avx512::rounds::{HalvesIo512, rounds};
use crate::kernels::prefix_source::{PackedTweaks, PrefixSource};
use crate::kernels::schedule::Schedule;
use crate::spec::types::Direction;

use crate::kernels::avx512::registers::{load, store};

const LAYOUT: u8 = Layout512::Packed as u8;
const REDUCTION: u8 = ReductionIfma::Mask as u8;

/// True if [`run`] has code for a shape: that of halves of up to 32 bits.
pub(crate) fn covers(params: &Params512) -> bool {
    // Halves of up to 32 bits fill one lane of 32 and need no quotient. Wider ones go by way of halves in memory.
    (params.layout, params.reduction) == (Layout512::Packed, ReductionIfma::Mask)
}

/// Takes integers, whose right halves are their lowest `width` bits, through all rounds.
pub(crate) fn run(
    schedule: &Schedule,
    params: &Params512,
    direction: Direction,
    prefixes: PrefixSource<'_>,
    values: &mut [u64],
    width: u32,
) {
    assert!(available(), "this kernel was chosen on another processor");
    assert!(covers(params), "a params of other code");
    // SAFETY: `available` has found the features.
    unsafe {
        match direction {
            Direction::Encrypt => all_rows::<true>(schedule, params, prefixes, values, width),
            Direction::Decrypt => all_rows::<false>(schedule, params, prefixes, values, width),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi,vaes")]
fn all_rows<const ENCRYPT: bool>(
    schedule: &Schedule,
    params: &Params512,
    mut prefixes: PrefixSource<'_>,
    values: &mut [u64],
    width: u32,
) {
    let shared = match prefixes {
        PrefixSource::Shared(prefixes) => prefixes,
        // Any: those of the rows come with each chunk, before they are used.
        _ => &Prefixes::Shared([0; 2]),
    };
    // SAFETY: this function is compiled for the features of `available`.
    let mut prepared = unsafe { PrefixBlocks512::new::<LAYOUT>(schedule, shared) };
    // 64 integers at a time, in place: all of a chunk is read before any of it is written.
    for (k, chunk) in values.chunks_mut(LANES).enumerate() {
        let (start, count) = (k * LANES, chunk.len());
        // SAFETY: as above.
        unsafe {
            match &mut prefixes {
                PrefixSource::Shared(_) => {}
                PrefixSource::Packed(all) => {
                    let mut bytes = Cow::Borrowed(&all.bytes[start * all.length..]);
                    // Tweaks of rows that are not there: their results are thrown away, but the kernel reads 64 of
                    // them.
                    if count < LANES {
                        bytes.to_mut().resize(LANES * all.length, 0);
                    }
                    prepared.set_packed(schedule, PackedTweaks { bytes: &bytes, ..*all });
                }
                PrefixSource::Each(prefixes) => {
                    prepared = PrefixBlocks512::new::<LAYOUT>(schedule, &prefixes(start..start + count))
                }
            }
        }
        // A whole chunk is read and written where it stands; the last one may be shorter and goes by way of a copy,
        // so that nothing beyond the slice is touched.
        match chunk.as_mut_array::<LANES>() {
            Some(values) => {
                rounds::<ENCRYPT, LAYOUT, REDUCTION, 2>(
                    schedule,
                    params,
                    &prepared,
                    &mut IntegerValues { values, width },
                );
            }
            None => {
                let mut values = [0; LANES];
                values[..count].copy_from_slice(chunk);
                let mut ends = IntegerValues {
                    values: &mut values,
                    width,
                };
                rounds::<ENCRYPT, LAYOUT, REDUCTION, 2>(schedule, params, &prepared, &mut ends);
                chunk.copy_from_slice(&values[..count]);
            }
        }
    }
}

/// The integers of 64 rows.
struct IntegerValues<'a> {
    values: &'a mut [u64; LANES],
    width: u32,
}

impl HalvesIo512<2> for IntegerValues<'_> {
    #[inline(always)]
    unsafe fn load(&mut self, group: usize, k: usize) -> [Z; 2] {
        // SAFETY: the caller promises the features of `available`.
        unsafe {
            // A count in a register, the same for all lanes: `srl` takes it, where `srlv` would need a register of
            // counts.
            let width = _mm_cvtsi32_si128(self.width as i32);
            // NUM(B) is the lowest `width` bits (1 to 32), so that the shift by 32 − width is at most 31.
            let lowest = _mm512_set1_epi32((u32::MAX >> (32 - self.width)) as i32);
            let at = 32 * group + 16 * k;
            let values = [load(&*self.values, at), load(&*self.values, at + 8)];
            [
                // The caller has seen that values have no bits above the left half: what is above the right half
                // fits a lane without a mask.
                lower_halves([_mm512_srl_epi64(values[0], width), _mm512_srl_epi64(values[1], width)]),
                _mm512_and_si512(lower_halves(values), lowest),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store(&mut self, group: usize, k: usize, [left, right]: [Z; 2]) {
        // SAFETY: the caller promises the features of `available`.
        unsafe {
            let width = _mm_cvtsi32_si128(self.width as i32);
            let at = 32 * group + 16 * k;
            // Packed lanes are in the order of rows, so widening the lower and the upper eight brings each to the
            // place where it was read.
            let halves = [_mm512_castsi512_si256(left), _mm512_castsi512_si256(right)];
            store(joined(halves, width), &mut *self.values, at);
            let halves = [
                _mm512_extracti64x4_epi64::<1>(left),
                _mm512_extracti64x4_epi64::<1>(right),
            ];
            store(joined(halves, width), &mut *self.values, at + 8);
        }
    }
}

/// The integers of eight left and right halves, these of `width` bits.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn joined([left, right]: [__m256i; 2], width: __m128i) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // The right half is below 2^width: `or` adds, without a carry.
        let left = _mm512_sll_epi64(_mm512_cvtepu32_epi64(left), width);
        _mm512_or_si512(left, _mm512_cvtepu32_epi64(right))
    }
}
