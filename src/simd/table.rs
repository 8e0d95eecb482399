//! Tables that fill a register of 512 bits.

/// 64 bytes at the start of a cache line, such as the indices of a byte permutation: one aligned load fills a register.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct ByteTable(pub [u8; 64]);
