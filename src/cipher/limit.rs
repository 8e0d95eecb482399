//! The upper limit of speed: the AES blocks of FF1 alone. For benches.

use crate::batch::chunk::Chunk;
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::{CHUNK, LANES};
use crate::cipher::Cipher;
use crate::kernels::dispatch::{Prepared, run_rounds};
#[cfg(target_arch = "x86_64")]
use crate::kernels::kernel::Kernel;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};
use crate::spec::key::{Aes, AesKey};
use crate::spec::types::Direction;

/// AES under one key.
pub struct AesAlone(Aes);

impl AesAlone {
    /// Under `key`.
    pub fn new(key: &AesKey) -> Self {
        Self(Aes::new(key))
    }

    /// Encrypts `blocks` blocks, rounded down to whole groups of 64, with the widest AES this processor has; what
    /// it returns depends on all of them.
    pub fn encrypt(&self, blocks: u64) -> u64 {
        #[cfg(target_arch = "x86_64")]
        match (self.0.schedule(), Kernel::fastest()) {
            (Some(schedule), Kernel::Avx512) => return avx512::rounds::aes_alone(schedule, blocks),
            (Some(schedule), Kernel::Avx2) => return avx2::rounds::aes_alone(schedule, blocks),
            _ => {}
        }
        // Zeros will do: the time of AES does not depend on the blocks.
        let mut batch = [aes::Block::default(); 64];
        for _ in 0..blocks / 64 {
            self.0.encrypt_blocks(&mut batch);
        }
        batch.iter().fold(0, |sum, block| sum ^ u64::from(block.0[0]))
    }
}

/// The rounds of one shape alone: no reading, no writing.
pub struct RoundsAlone {
    cipher: Cipher,
    prepared: Prepared<u64>,
    left: Box<[u64; CHUNK]>,
    right: Box<[u64; CHUNK]>,
}

impl RoundsAlone {
    /// For messages of `n` numerals whose halves fit 64 bits.
    pub fn new(cipher: &Cipher, n: usize) -> Self {
        Self {
            prepared: Prepared::new(cipher.mode, cipher.radix, n),
            cipher: cipher.clone(),
            left: Box::new([1; CHUNK]),
            right: Box::new([2; CHUNK]),
        }
    }

    /// Takes `rows` rows through the rounds, rounded down to whole batches of [`RoundsAlone::CHUNK`].
    pub fn run(&mut self, direction: Direction, rows: usize) -> u64 {
        // Any prefixes: what counts is that the rounds run as they do for rows.
        let prefixes: [Prefixes; CHUNK / LANES] = std::array::from_fn(|_| Prefixes::Shared([1 << 127, 3]));
        for _ in 0..rows / CHUNK {
            let mut chunk = Chunk {
                rows: CHUNK,
                left: self.left.as_chunks_mut().0,
                right: self.right.as_chunks_mut().0,
                prefixes: &prefixes,
            };
            let cipher = &self.cipher;
            run_rounds(cipher.kernel, &cipher.aes, &self.prepared, direction, &mut chunk);
        }
        self.left[0]
    }
}
