//! CBC-MAC prefixes as AES blocks, for AVX2.
//!
//! ```text
//! shared tweak:    one register with the block of all rows, ⊕ key[0]
//! packed tweaks:   state ← AES(P) ⊕ key[0]
//!                  for k in 0 … whole blocks:  state ← AES(state ⊕ block k of the tweak)
//!                  block ← state ⊕ the rest of the tweak               [i] ‖ NUM(B) come with each round
//! ```
//!
//! Two rows share a register, one in each lane; eight registers go through AES together, which keeps its units busy.
//!
//! Between two blocks the last round key and the first are added (exclusive or) at once: AES ends with the one and
//! begins with the other. Eight registers of states leave eight for keys, tweaks and masks.

use std::arch::x86_64::*;

use crate::batch::prefixes::Prefixes;
use crate::kernels::aes::{AesNi256, AesUnit, aes_inner_rounds, aes_last_round, round_key};
use crate::kernels::avx2::params::EIGHT;
use crate::kernels::avx2::registers::{ROWS, Y, broadcast, two};
use crate::kernels::prefix_source::PackedTweaks;
use crate::kernels::schedule::Schedule;

use crate::batch::sizes::LANES;

/// The prefixes of up to 16 times `SIXTEENS` rows as AES blocks, with the first round key added, two to a register:
/// those of the same row of two lanes.
pub(crate) struct PrefixBlocks256<const SIXTEENS: usize> {
    /// Of even and odd rounds; FF1 has the same for both, here the first. Where all rows share their prefixes, the
    /// first register alone.
    pub(crate) blocks: [[[Y; 8]; SIXTEENS]; 2],
}

impl<const SIXTEENS: usize> PrefixBlocks256<SIXTEENS> {
    /// The blocks of rows with these prefixes: one for all, or [`LANES`] of them.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx2::params::available) and of `U`.
    #[inline(always)]
    pub(crate) unsafe fn new<const LAYOUT: u8>(schedule: &Schedule, prefixes: &Prefixes) -> Self {
        // SAFETY: the caller promises the features of `available`.
        unsafe {
            let mut prepared = Self {
                blocks: [[[_mm256_setzero_si256(); 8]; SIXTEENS]; 2],
            };
            prepared.set::<LAYOUT>(schedule, prefixes, 0);
            prepared
        }
    }

    /// Those of all rows, or of [`LANES`] rows from `start` on.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx2::params::available) and of `U`.
    #[inline(always)]
    pub(crate) unsafe fn set<const LAYOUT: u8>(&mut self, schedule: &Schedule, prefixes: &Prefixes, start: usize) {
        // SAFETY: the caller promises the features of `available`.
        unsafe {
            // The first round key, which AES begins with, is added here: once for a row and not once a round. A
            // broadcast is the same for both units.
            let first = round_key::<AesNi256>(schedule, 0);
            let block = |prefix: u128| {
                if LAYOUT == EIGHT {
                    // FF1's blocks are big-endian; FF3-1's, after REVB, little-endian.
                    prefix.to_be_bytes()
                } else {
                    prefix.to_le_bytes()
                }
            };
            // T_R for even rounds and T_L for odd ones (FF3-1 step 4.i); FF1 has one T for all.
            let parities = if LAYOUT == EIGHT { 1 } else { 2 };
            for parity in 0..parities {
                match prefixes {
                    Prefixes::Shared(shared) => {
                        self.blocks[parity][0][0] = _mm256_xor_si256(broadcast(&block(shared[parity])), first);
                    }
                    Prefixes::PerRow(rows) => {
                        let blocks = self.blocks[parity].as_flattened_mut();
                        // In the order in which halves lie: the i-th row of the lower lane with the i-th of the
                        // upper, so that shuffles within lanes bring halves to their blocks.
                        for (at, pair) in blocks[start / 2..][..LANES / 2].iter_mut().enumerate() {
                            let [low, high] = pair_rows(at).map(|row| block(rows[parity][row]));
                            *pair = _mm256_xor_si256(two(&low, &high), first);
                        }
                    }
                }
            }
        }
    }

    /// Bytes of tweaks that [`Self::set_packed`] reads for so many rows, a multiple of 16.
    pub(crate) fn reach(rows: usize, packed: &PackedTweaks<'_>) -> usize {
        (rows - 1) * packed.length + 16 * (packed.whole_blocks + 1)
    }

    /// FF1's prefixes of so many rows, a multiple of 16, whose tweaks all have `length` bytes and stand one after
    /// the other, with anything after them, from the value of AES for what comes before.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx2::params::available) and of `U`.
    #[inline(always)]
    pub(crate) unsafe fn set_packed<U: AesUnit<Register = Y>>(
        &mut self,
        schedule: &Schedule,
        packed: PackedTweaks<'_>,
        rows: usize,
    ) {
        let PackedTweaks {
            chain,
            whole_blocks,
            bytes: tweaks,
            length,
        } = packed;
        assert!(tweaks.len() >= Self::reach(rows, &packed));
        // What a tweak has of a block: as many ones are not passed.
        const OWN: [u8; 32] = {
            let mut bytes = [0; 32];
            let mut at = 0;
            while at < 16 {
                bytes[at] = 0xFF;
                at += 1;
            }
            bytes
        };
        let own = |k: usize| {
            let own = length.saturating_sub(16 * k).min(16);
            // A window of 16 bytes into 16 ones and 16 zeros: it begins with `own` ones. The index depends on the
            // tweak's length alone.
            OWN[16 - own..].first_chunk().expect("own is at most 16")
        };
        // SAFETY: the caller promises the features of `available`; there are as many bytes as are read.
        unsafe {
            let first = round_key::<U>(schedule, 0);
            // The same in every row: P depends on the length of the tweak alone (FF1 step 5).
            let chain = _mm256_xor_si256(broadcast(&chain.to_be_bytes()), first);
            let last = _mm256_xor_si256(round_key::<U>(schedule, schedule.rounds()), first);
            // A macro, as a closure might be called.
            macro_rules! block {
                ($row:expr, $k:expr) => {{
                    let low = tweaks.as_ptr().add($row * length + 16 * $k);
                    _mm256_and_si256(
                        _mm256_loadu2_m128i(low.add(4 * length).cast(), low.cast()),
                        broadcast(own($k)),
                    )
                }};
            }
            // Eight registers fill the AES pipes.
            for (sixteen, blocks) in self.blocks[0][..rows / 16].iter_mut().enumerate() {
                let rows: [usize; 8] = std::array::from_fn(|i| pair_rows(8 * sixteen + i)[0]);
                // Blocks of one tweak wait for each other, those of 16 rows do not. With AES-NI these are 16 blocks
                // of 128 bits, so that some of them wait in memory.
                let mut states = [[chain; 4]; 2];
                for k in 0..whole_blocks {
                    for (row, state) in rows.iter().zip(states.as_flattened_mut()) {
                        *state = _mm256_xor_si256(*state, block!(*row, k));
                    }
                    aes_inner_rounds::<U>(schedule, states.as_flattened_mut());
                    aes_last_round::<U>(last, states.as_flattened_mut());
                }
                for ((row, state), to) in rows.iter().zip(states.as_flattened()).zip(blocks) {
                    // The last bytes of T, and zeros where [i] ‖ NUM(B) come: each round adds these by exclusive
                    // or.
                    *to = _mm256_xor_si256(*state, block!(*row, whole_blocks));
                }
            }
        }
    }
}

/// The rows whose blocks share the register of blocks `at`.
#[inline(always)]
pub(crate) fn pair_rows(at: usize) -> [usize; 2] {
    let row = ROWS * (at / 4) + at % 4;
    [row, row + 4]
}
