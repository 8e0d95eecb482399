//! Where the kernels that read text themselves have the heads of rows from.

use std::ops::Range;

use crate::cipher::lanes::Heads;

/// The heads of rows.
pub(in crate::cipher) enum HeadSource<'a> {
    /// The same for all.
    Shared(&'a Heads),
    /// FF1's, of tweaks of one length that stand one after the other: what AES gives for P, how many whole blocks a tweak has, and
    /// the tweaks.
    Packed {
        chain: u128,
        whole_blocks: usize,
        tweaks: &'a [u8],
        length: usize,
    },
    /// Those of so many rows from one on.
    Each(&'a mut dyn FnMut(Range<usize>) -> Heads),
}
