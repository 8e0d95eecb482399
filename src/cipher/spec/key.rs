//! The AES key, and the key schedules made of it.

use std::fmt;

use aes::cipher::consts::U16;
use aes::cipher::{Array, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc, Block};
use zeroize::Zeroizing;

#[cfg(target_arch = "x86_64")]
use crate::kernels::schedule::Schedule;
use crate::spec::error::{CipherError, Result};

/// An AES key of 128, 192 or 256 bits. It is wiped on drop, and `Debug` shows its size alone.
#[derive(Clone)]
pub struct AesKey(Zeroizing<Vec<u8>>);

impl AesKey {
    /// A copy of `bytes` as a key.
    ///
    /// # Errors
    ///
    /// A [`CipherError`] unless there are 16, 24 or 32 bytes.
    pub fn try_new(bytes: &[u8]) -> Result<Self> {
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(Zeroizing::new(bytes.to_vec()))),
            bytes => Err(CipherError::KeyLength { bytes }),
        }
    }

    /// 128, 192 or 256.
    pub fn bits(&self) -> usize {
        8 * self.0.len()
    }

    /// REVB of the key, its bytes last first, as FF3 wants it.
    pub(crate) fn reversed(&self) -> Self {
        Self(Zeroizing::new(self.0.iter().rev().copied().collect()))
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AesKey({} bits, ****)", self.bits())
    }
}

/// CIPH_K: AES under one key. The schedules are wiped on drop.
pub(crate) struct Aes {
    portable: Portable,
    #[cfg(target_arch = "x86_64")]
    schedule: Option<Box<Schedule>>,
}

/// The crate `aes`, which chooses its own code for the processor.
enum Portable {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
}

impl Aes {
    pub(crate) fn new(key: &AesKey) -> Self {
        let bytes = key.0.as_slice();
        // The conversion fails unless the length is that of the key type, so the three lengths choose their type.
        let portable = if let Ok(bytes) = <&Array<u8, _>>::try_from(bytes) {
            Portable::Aes128(Aes128Enc::new(bytes))
        } else if let Ok(bytes) = <&Array<u8, _>>::try_from(bytes) {
            Portable::Aes192(Aes192Enc::new(bytes))
        } else {
            let bytes = <&Array<u8, _>>::try_from(bytes).expect("a key has 16, 24 or 32 bytes");
            Portable::Aes256(Aes256Enc::new(bytes))
        };
        Self {
            portable,
            // Expanded a second time: the crate keeps its round keys to itself, and our kernels need them. Both
            // happen once a key.
            #[cfg(target_arch = "x86_64")]
            schedule: Schedule::new(bytes),
        }
    }

    /// The schedule for our own kernels, if the processor has AES instructions.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_deref()
    }

    /// Runs `f` once with this key's fastest way through the crate `aes`.
    pub(crate) fn with_backend(&self, f: impl BlockCipherEncClosure<BlockSize = U16>) {
        match &self.portable {
            // The closure is generic over the backend, so that its loops are compiled into the code for AES-NI,
            // VAES or plain Rust, and not called for each block.
            Portable::Aes128(aes) => aes.encrypt_with_backend(f),
            Portable::Aes192(aes) => aes.encrypt_with_backend(f),
            Portable::Aes256(aes) => aes.encrypt_with_backend(f),
        }
    }

    pub(crate) fn encrypt_blocks(&self, blocks: &mut [Block]) {
        match &self.portable {
            Portable::Aes128(aes) => aes.encrypt_blocks(blocks),
            Portable::Aes192(aes) => aes.encrypt_blocks(blocks),
            Portable::Aes256(aes) => aes.encrypt_blocks(blocks),
        }
    }

    /// A CBC-MAC of `blocks` that goes on from `chain`, in one call of AES.
    pub(crate) fn chain(&self, chain: u128, blocks: &[[u8; 16]]) -> u128 {
        let mut chain = Block::from(chain.to_be_bytes());
        self.with_backend(Chain {
            chain: &mut chain,
            blocks,
        });
        u128::from_be_bytes(chain.0)
    }

    /// CIPH_K of one block.
    pub(crate) fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = Block::from(block);
        self.encrypt_blocks(std::slice::from_mut(&mut block));
        block.into()
    }

    /// CIPH_K of one block, as an integer, most significant byte first.
    pub(crate) fn encrypt_be(&self, block: u128) -> u128 {
        u128::from_be_bytes(self.encrypt(block.to_be_bytes()))
    }
}

/// Block after block, each after it was added (exclusive or) to what came out before.
struct Chain<'a> {
    chain: &'a mut Block,
    blocks: &'a [[u8; 16]],
}

impl BlockSizeUser for Chain<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Chain<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        // A chain: each block waits for the one before it. What can go in parallel is other rows, which callers do.
        for block in self.blocks {
            let sum = u128::from_ne_bytes(self.chain.0) ^ u128::from_ne_bytes(*block);
            *self.chain = Block::from(sum.to_ne_bytes());
            backend.encrypt_block_inplace(self.chain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_masks_the_key_and_lengths_are_checked() {
        let key = AesKey::try_new(&[0xab; 24]).unwrap();
        assert_eq!(format!("{key:?}"), "AesKey(192 bits, ****)");
        for bytes in [0, 1, 8, 15, 17, 20, 31, 33, 40] {
            let error = AesKey::try_new(&vec![0; bytes]).unwrap_err();
            assert_eq!(error, CipherError::KeyLength { bytes });
        }
    }
}
