//! Integers of up to 64 bits, straight from memory through the walk and back, in AVX-512: one shift and one permutation bring their
//! halves to where the rounds have them.

use std::arch::x86_64::*;
use std::borrow::Cow;

use super::avx512::{Ends, Layout, Prepared, Shape, Z, available, band, load, lower_halves, store};
use super::{HeadSource, Schedule};
use crate::cipher::Direction;
use crate::cipher::lanes::{Heads, LANES};
use crate::cipher::modulus52::Reduction;

const LAYOUT: u8 = Layout::Packed as u8;
const REDUCTION: u8 = Reduction::Mask as u8;

/// Whether [`run`] has code for a shape: that of halves of up to 32 bits.
pub(in crate::cipher) fn covers(shape: &Shape) -> bool {
    (shape.layout, shape.reduction) == (Layout::Packed, Reduction::Mask)
}

/// Takes integers, whose right halves are their lowest `width` bits, through all rounds.
pub(in crate::cipher) fn run(
    schedule: &Schedule,
    shape: &Shape,
    direction: Direction,
    heads: HeadSource<'_>,
    values: &mut [u64],
    width: u32,
) {
    assert!(available(), "this kernel was chosen on another processor");
    assert!(covers(shape), "a shape of other code");
    // SAFETY: the processor has the features.
    unsafe {
        match direction {
            Direction::Encrypt => bands::<true>(schedule, shape, heads, values, width),
            Direction::Decrypt => bands::<false>(schedule, shape, heads, values, width),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi,vaes")]
fn bands<const ENCRYPT: bool>(
    schedule: &Schedule,
    shape: &Shape,
    mut heads: HeadSource<'_>,
    values: &mut [u64],
    width: u32,
) {
    let shared = match heads {
        HeadSource::Shared(heads) => heads,
        _ => &Heads::Shared([0; 2]),
    };
    // SAFETY: these are the features that all of this needs.
    let mut prepared = unsafe { Prepared::new::<LAYOUT>(schedule, shared) };
    for (k, band_of) in values.chunks_mut(LANES).enumerate() {
        let (start, count) = (k * LANES, band_of.len());
        // SAFETY: as above.
        unsafe {
            match &mut heads {
                HeadSource::Shared(_) => {}
                HeadSource::Packed {
                    chain,
                    whole_blocks,
                    tweaks,
                    length,
                } => {
                    let mut tweaks = Cow::Borrowed(&tweaks[start * *length..]);
                    if count < LANES {
                        tweaks.to_mut().resize(LANES * *length, 0);
                    }
                    prepared.set_packed(schedule, *chain, *whole_blocks, &tweaks, *length);
                }
                HeadSource::Each(heads) => prepared = Prepared::new::<LAYOUT>(schedule, &heads(start..start + count)),
            }
        }
        match band_of.as_mut_array::<LANES>() {
            Some(values) => {
                band::<ENCRYPT, LAYOUT, REDUCTION, 2>(schedule, shape, &prepared, &mut Values { values, width });
            }
            None => {
                let mut values = [0; LANES];
                values[..count].copy_from_slice(band_of);
                let mut ends = Values {
                    values: &mut values,
                    width,
                };
                band::<ENCRYPT, LAYOUT, REDUCTION, 2>(schedule, shape, &prepared, &mut ends);
                band_of.copy_from_slice(&values[..count]);
            }
        }
    }
}

/// The integers of a band.
struct Values<'a> {
    values: &'a mut [u64; LANES],
    width: u32,
}

impl Ends<2> for Values<'_> {
    #[inline(always)]
    unsafe fn load(&mut self, group: usize, k: usize) -> [Z; 2] {
        // SAFETY: the caller has the features.
        unsafe {
            let width = _mm_cvtsi32_si128(self.width as i32);
            let lowest = _mm512_set1_epi32((u32::MAX >> (32 - self.width)) as i32);
            let at = 32 * group + 16 * k;
            let values = [load(&*self.values, at), load(&*self.values, at + 8)];
            [
                lower_halves([_mm512_srl_epi64(values[0], width), _mm512_srl_epi64(values[1], width)]),
                _mm512_and_si512(lower_halves(values), lowest),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store(&mut self, group: usize, k: usize, [left, right]: [Z; 2]) {
        // SAFETY: the caller has the features.
        unsafe {
            let width = _mm_cvtsi32_si128(self.width as i32);
            let at = 32 * group + 16 * k;
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
#[inline(always)]
unsafe fn joined([left, right]: [__m256i; 2], width: __m128i) -> Z {
    // SAFETY: the caller has the features.
    unsafe {
        let left = _mm512_sll_epi64(_mm512_cvtepu32_epi64(left), width);
        _mm512_or_si512(left, _mm512_cvtepu32_epi64(right))
    }
}
