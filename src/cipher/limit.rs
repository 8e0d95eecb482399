//! What no FF1 can pass: its AES blocks alone. For benches.

use super::arch;
use super::key::Aes;
use super::lanes::{BATCH, Groups, Heads, LANES, Plan};
use super::{AesKey, Cipher, Direction, Kernel};

/// AES under one key.
pub struct AesAlone(Aes);

impl AesAlone {
    /// Under `key`.
    pub fn new(key: &AesKey) -> Self {
        Self(Aes::new(key))
    }

    /// Encrypts `blocks` blocks, rounded down to whole groups of 64, with the widest AES this processor has; what it returns
    /// depends on all of them.
    pub fn encrypt(&self, blocks: u64) -> u64 {
        #[cfg(target_arch = "x86_64")]
        match (self.0.schedule(), Kernel::fastest()) {
            (Some(schedule), Kernel::Avx512) => return super::arch::x86_64::avx512::aes_alone(schedule, blocks),
            (Some(schedule), Kernel::Avx2) => return super::arch::x86_64::avx2::aes_alone(schedule, blocks),
            _ => {}
        }
        let mut batch = [aes::Block::default(); 64];
        for _ in 0..blocks / 64 {
            self.0.encrypt_blocks(&mut batch);
        }
        batch.iter().fold(0, |sum, block| sum ^ u64::from(block.0[0]))
    }
}

/// The walk of one shape alone: no reading, no writing.
pub struct RoundsAlone {
    cipher: Cipher,
    plan: Plan<u64>,
    left: Box<[u64; BATCH]>,
    right: Box<[u64; BATCH]>,
}

impl RoundsAlone {
    /// For messages of `n` numerals whose halves fit 64 bits.
    pub fn new(cipher: &Cipher, n: usize) -> Self {
        Self {
            plan: Plan::new(cipher.mode, cipher.radix, n),
            cipher: cipher.clone(),
            left: Box::new([1; BATCH]),
            right: Box::new([2; BATCH]),
        }
    }

    /// Takes `rows` rows through the rounds, rounded down to whole batches of [`RoundsAlone::BATCH`].
    pub fn run(&mut self, direction: Direction, rows: usize) -> u64 {
        let heads: [Heads; BATCH / LANES] = std::array::from_fn(|_| Heads::Shared([1 << 127, 3]));
        for _ in 0..rows / BATCH {
            let mut groups = Groups {
                rows: BATCH,
                left: self.left.as_chunks_mut().0,
                right: self.right.as_chunks_mut().0,
                heads: &heads,
            };
            let cipher = &self.cipher;
            arch::walk(cipher.kernel, &cipher.aes, &self.plan, direction, &mut groups);
        }
        self.left[0]
    }
}
