//! Where the kernels that read text themselves have the prefixes of rows from.

use std::ops::Range;

use crate::batch::sizes::LANES;

/// The prefixes of rows.
pub(crate) enum PrefixSource<'a> {
    /// The same for all.
    Shared(&'a Prefixes),
    /// FF1's, of tweaks of one length that stand one after the other: what AES gives for P, how many whole blocks a tweak has, and
    /// the tweaks.
    Packed {
        chain: u128,
        whole_blocks: usize,
        tweaks: &'a [u8],
        length: usize,
    },
    /// Those of so many rows from one on.
    Each(&'a mut dyn FnMut(Range<usize>) -> Prefixes),
}

/// What the blocks of even and odd rounds share.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack of a band: a box would be an allocation for 64 rows"
)]
#[derive(Clone)]
pub(crate) enum Prefixes {
    /// The same in all rows.
    Shared([u128; 2]),
    /// Of each row.
    PerRow([[u128; LANES]; 2]),
}
