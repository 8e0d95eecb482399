//! The AES key schedule (FIPS 197, section 5.2) as the kernels want it: the crate `aes` keeps its own to itself.

#![allow(unsafe_code)] // a call into code for a feature that was detected

use std::arch::x86_64::{__m128i, _mm_aesenclast_si128, _mm_cvtsi128_si32, _mm_set1_epi32, _mm_setzero_si128};

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Round keys, in the order of encryption.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Schedule {
    /// 10, 12 or 14.
    rounds: usize,
    keys: [[u8; 16]; 15],
    /// The first 8 bytes of the last round key, last byte first, twice: for two blocks that share the last round.
    shared: [u8; 16],
}

impl Schedule {
    /// The schedule for a key of 16, 24 or 32 bytes, if this processor has the AES instructions.
    pub(crate) fn new(key: &[u8]) -> Option<Box<Self>> {
        if !is_x86_feature_detected!("aes") {
            return None;
        }
        // SAFETY: the processor has AES.
        Some(unsafe { expand(key) })
    }

    /// Rounds of AES: 10, 12 or 14.
    #[inline(always)]
    pub(crate) fn rounds(&self) -> usize {
        self.rounds
    }

    /// The round keys: `rounds` + 1 of them, then zeros.
    #[inline(always)]
    pub(crate) fn keys(&self) -> &[[u8; 16]; 15] {
        &self.keys
    }

    #[inline(always)]
    pub(crate) fn shared_key(&self) -> &[u8; 16] {
        &self.shared
    }
}

#[target_feature(enable = "aes")]
fn expand(key: &[u8]) -> Box<Schedule> {
    // FIPS 197 calls these Nk, the words of the key, and Nr = Nk + 6. All branches and indices below depend on them
    // and on i, never on a byte of the key.
    let nk = key.len() / 4;
    let mut schedule = Box::new(Schedule {
        rounds: nk + 6,
        keys: [[0; 16]; 15],
        shared: [0; 16],
    });
    // Expanded in place, in memory that is wiped on drop.
    let words = schedule.keys.as_flattened_mut();
    words[..key.len()].copy_from_slice(key);
    // Nr + 1 round keys of four words each: w[i] for i from Nk to 4·(Nr + 1) − 1.
    let (mut rcon, last) = (1u8, 4 * (nk + 7));
    for i in nk..last {
        // Words are read least significant byte first. So byte 0 of a word of FIPS 197 is the lowest one here:
        // RotWord turns to the right, and Rcon goes to the lowest byte.
        let word = |at: usize, words: &[u8]| u32::from_le_bytes(*words[4 * at..].first_chunk().expect("four bytes"));
        let mut temp = word(i - 1, words);
        if i % nk == 0 {
            // RotWord, SubWord and Rcon, which doubles in GF(2^8) each time.
            temp = sub_word(temp.rotate_right(8)) ^ u32::from(rcon);
            rcon = rcon << 1 ^ 0x1b & (rcon >> 7).wrapping_neg();
        } else if nk == 8 && i % nk == 4 {
            // Keys of 256 bits alone have this SubWord in the middle of each eight words, without RotWord and Rcon.
            temp = sub_word(temp);
        }
        let new = word(i - nk, words) ^ temp;
        words[4 * i..4 * i + 4].copy_from_slice(&new.to_le_bytes());
    }
    // For kernels that do the last round of two blocks at once: only the bytes that end in y are wanted.
    // y is big-endian, and the permutation before the shared last round also turns its bytes around, so that it
    // comes out as an integer: byte p of the result has to meet byte 7 − p of the key.
    let end = schedule.keys[schedule.rounds];
    schedule.shared = std::array::from_fn(|p| end[7 - p % 8]);
    schedule
}

/// SubBytes of each byte, in constant time: ShiftRows does nothing to four equal columns.
#[target_feature(enable = "aes")]
fn sub_word(word: u32) -> u32 {
    let columns: __m128i = _mm_set1_epi32(word as i32);
    _mm_cvtsi128_si32(_mm_aesenclast_si128(columns, _mm_setzero_si128())) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197, appendix A: the last words of each expansion.
    #[test]
    fn expansions_of_fips_197() {
        if !is_x86_feature_detected!("aes") {
            return;
        }
        let hex = |text: &str| -> Vec<u8> {
            let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
            (0..text.len()).step_by(2).map(byte).collect()
        };
        for (key, last) in [
            ("2b7e151628aed2a6abf7158809cf4f3c", "d014f9a8c9ee2589e13f0cc8b6630ca6"),
            (
                "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
                "e98ba06f448c773c8ecc720401002202",
            ),
            (
                "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                "fe4890d1e6188d0b046df344706c631e",
            ),
        ] {
            let schedule = Schedule::new(&hex(key)).unwrap();
            assert_eq!(schedule.keys[schedule.rounds].to_vec(), hex(last));
        }
    }
}
