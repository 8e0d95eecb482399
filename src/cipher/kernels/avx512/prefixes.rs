//! CBC-MAC prefixes as AES blocks, for AVX-512.
//!
//! ```text
//! shared tweak:    one register with the block of all rows, ⊕ key[0]
//! packed tweaks:   state ← AES(P) ⊕ key[0]
//!                  for k in 0 … whole blocks:  state ← AES(state ⊕ block k of the tweak)
//!                  block ← state ⊕ the rest of the tweak               [i] ‖ NUM(B) come with each round
//! ```
//!
//! Four rows share a register, and eight registers go through AES together, which keeps its units busy.
//!
//! Between two blocks the last round key and the first are added (exclusive or) at once: AES ends with the one and
//! begins with the other.
//!
//! Registers, of 32: eight states, the chain, the first round key, the last one with the first added, the key of the
//! round, and two for the tweaks of four rows. The prefixes that are done, 16 registers or 32, stand in memory: each
//! is read once a round.

use std::arch::x86_64::*;

use cipherform_simd::table::ByteTable;

use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;
use crate::kernels::aes::{AesUnit, Vaes512, aes_inner_rounds, aes_last_round, round_key};
use crate::kernels::avx512::params::REVERSED;
use crate::kernels::avx512::registers::{Z, load, table};
use crate::kernels::prefix_source::PackedTweaks;
use crate::kernels::schedule::Schedule;

use crate::kernels::avx512::registers::byte_table;

/// The prefixes of 64 rows as AES blocks, with the first round key added, four to a register.
pub(crate) struct PrefixBlocks512 {
    /// Of even and odd rounds; FF1 has the same for both, here the first.
    blocks: [[Z; LANES / 4]; 2],
    /// Selects the register: all bits, or none where all rows share their prefixes.
    select: usize,
}

impl PrefixBlocks512 {
    /// The blocks of 64 rows with these prefixes.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx512::params::available).
    #[inline(always)]
    pub(crate) unsafe fn new<const LAYOUT: u8>(schedule: &Schedule, prefixes: &Prefixes) -> Self {
        // SAFETY: the caller promises the features of `available`.
        unsafe {
            // AES begins with adding the first round key. Here that is done once for a row, not once in each of the
            // ten rounds.
            let first = round_key::<Vaes512>(schedule, 0);
            // Prefixes are integers, little-endian in memory: that is the order of FF3-1's block after REVB, while
            // FF1's is most significant byte first.
            let order = table(if LAYOUT == REVERSED { &SAME } else { &REVERSE });
            // FF3-1 takes W = T_R in even rounds and T_L in odd ones (step 4.i); FF1's Q has the same T in all.
            let parities = if LAYOUT == REVERSED { 2 } else { 1 };
            let mut blocks = [[_mm512_setzero_si512(); LANES / 4]; 2];
            let select = match prefixes {
                Prefixes::Shared(shared) => {
                    for parity in 0..parities {
                        // Block 0 alone is filled: with `select` zero every index leads there, and the rounds need
                        // no branch for it.
                        let block = _mm512_shuffle_epi8(load(&[shared[parity]; 4], 0), order);
                        blocks[parity][0] = _mm512_xor_si512(block, first);
                    }
                    0
                }
                Prefixes::PerRow(rows) => {
                    for parity in 0..parities {
                        for (k, block) in blocks[parity].iter_mut().enumerate() {
                            // `order` is the same in each 128 bits, so that a shuffle within lanes does, whose
                            // latency is below that of a permutation across lanes.
                            let quad = _mm512_shuffle_epi8(load(&rows[parity], 4 * k), order);
                            *block = _mm512_xor_si512(quad, first);
                        }
                    }
                    LANES / 4 - 1
                }
            };
            Self { blocks, select }
        }
    }

    /// FF1's prefixes of [`LANES`] rows whose tweaks all have `length` bytes and stand one after the other, with
    /// anything after them, from the value of AES for what comes before.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx512::params::available).
    #[inline(always)]
    pub(crate) unsafe fn set_packed(&mut self, schedule: &Schedule, packed: PackedTweaks<'_>) {
        let PackedTweaks {
            chain,
            whole_blocks,
            bytes: tweaks,
            length,
        } = packed;
        assert!(tweaks.len() >= LANES * length);
        // SAFETY: the caller promises the features of `available`; only bytes of `tweaks` are read.
        unsafe {
            let chain = Vaes512::broadcast(&chain.to_be_bytes());
            let first = round_key::<Vaes512>(schedule, 0);
            // Each row has blocks of its own from now on.
            self.select = LANES / 4 - 1;
            // A chain is serial, block after block of one tweak; so 32 chains go side by side. `aesenc` takes three
            // to five cycles and one register starts in each, so eight registers leave no gap, and more would not
            // be faster.
            for (half, states) in self.blocks[0].as_chunks_mut::<8>().0.iter_mut().enumerate() {
                *states = [_mm512_xor_si512(chain, first); 8];
                for k in 0..whole_blocks {
                    for (i, state) in states.iter_mut().enumerate() {
                        *state = _mm512_xor_si512(*state, tweak_blocks(tweaks, length, 8 * half + i, k));
                    }
                    // No branch depends on a tweak, only on its length.
                    aes_inner_rounds::<Vaes512>(schedule, states);
                    // The last key of this block and the first one of the next.
                    let last = _mm512_xor_si512(round_key::<Vaes512>(schedule, schedule.rounds()), first);
                    aes_last_round::<Vaes512>(last, states);
                }
                for (i, state) in states.iter_mut().enumerate() {
                    // What is left of T ‖ 0… stands in the block that ends with [i] ‖ NUM(B). Those places are
                    // zeros here, and each round puts them in by exclusive or.
                    *state = _mm512_xor_si512(*state, tweak_blocks(tweaks, length, 8 * half + i, whole_blocks));
                }
            }
        }
    }

    /// Brings the prefixes of each 16 rows to the order 0, 4, 8, 12, 1, 5, …
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx512::params::available).
    #[inline(always)]
    pub(crate) unsafe fn transpose<const LAYOUT: u8>(&mut self) {
        if self.select == 0 {
            return;
        }
        let parities = if LAYOUT == REVERSED { 2 } else { 1 };
        for quads in self.blocks[..parities].as_flattened_mut().as_chunks_mut::<4>().0 {
            let [a, b, c, d] = *quads;
            // SAFETY: the caller promises the features of `available`.
            *quads = unsafe {
                // A transposition of four by four blocks: first the even and the odd ones of two registers each,
                // then of those.
                let (ab_low, ab_high) = (_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xDD>(a, b));
                let (cd_low, cd_high) = (_mm512_shuffle_i64x2::<0x88>(c, d), _mm512_shuffle_i64x2::<0xDD>(c, d));
                [
                    _mm512_shuffle_i64x2::<0x88>(ab_low, cd_low),
                    _mm512_shuffle_i64x2::<0x88>(ab_high, cd_high),
                    _mm512_shuffle_i64x2::<0xDD>(ab_low, cd_low),
                    _mm512_shuffle_i64x2::<0xDD>(ab_high, cd_high),
                ]
            };
        }
    }

    #[inline(always)]
    pub(crate) fn of<const LAYOUT: u8>(&self, parity: usize, block: usize) -> Z {
        // `block` is a constant in the code and `select` is 0 or 15: an `and`, and not a branch in each round,
        // tells shared prefixes from those of rows.
        let parity = if LAYOUT == REVERSED { parity } else { 0 };
        self.blocks[parity][block & self.select]
    }
}

/// The k-th blocks of the tweaks of four rows, zeros after their end.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn tweak_blocks(tweaks: &[u8], length: usize, quad: usize, k: usize) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let at = 4 * quad * length + 16 * k;
        // Four loads, three of them with an insertion: there is no gather of parts of 128 bits, and one of 64 bits
        // would make twice as many loads.
        let low = _mm256_castsi128_si256(bytes_from(tweaks, at));
        let low = _mm256_inserti128_si256::<1>(low, bytes_from(tweaks, at + length));
        let high = _mm256_castsi128_si256(bytes_from(tweaks, at + 2 * length));
        let high = _mm256_inserti128_si256::<1>(high, bytes_from(tweaks, at + 3 * length));
        // Bytes of the next row stand after the tweak's own: the mask, once for each row, makes them zeros.
        let own = length.saturating_sub(16 * k).min(16);
        // 16 bits for each of the four rows: `own` is at most 16, so the four copies of the mask do not overlap.
        let own = ((1u64 << own) - 1) * 0x0001_0001_0001_0001;
        _mm512_maskz_mov_epi8(own, _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
    }
}

/// 16 bytes from `at` on, or zeros from the end of `bytes` on.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn bytes_from(bytes: &[u8], at: usize) -> __m128i {
    // SAFETY: the caller promises the features of `available`; only bytes of the slice are read.
    unsafe {
        if at + 16 <= bytes.len() {
            _mm_loadu_si128(bytes.as_ptr().add(at).cast())
        } else {
            // A masked load takes several times as long.
            let there = bytes.len().saturating_sub(at);
            _mm_maskz_loadu_epi8((1 << there) - 1, bytes.as_ptr().add(bytes.len() - there).cast())
        }
    }
}

/// Each block as it is.
const SAME: ByteTable = byte_table!(|_block, p| p);

/// Each block last byte first.
const REVERSE: ByteTable = byte_table!(|_block, p| 15 - p);
