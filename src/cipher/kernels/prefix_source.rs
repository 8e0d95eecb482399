//! Sources of each row's CBC-MAC prefix: the AES state after P and the tweak, shared or per row.

use std::ops::Range;

use crate::batch::sizes::LANES;

/// A source of prefixes, for kernels that read text themselves.
pub(crate) enum PrefixSource<'a> {
    /// One for all rows.
    Shared(&'a Prefixes),
    /// FF1's, to be made of tweaks of one length.
    Packed(PackedTweaks<'a>),
    /// The prefixes of a range of rows, by a call.
    Each(&'a mut dyn FnMut(Range<usize>) -> Prefixes),
}

/// FF1's tweaks of one length that stand one after the other.
#[derive(Clone, Copy)]
pub(crate) struct PackedTweaks<'a> {
    /// AES(P), with which the chain of each row begins.
    pub(crate) chain: u128,
    /// Whole blocks of each tweak, zeros included.
    pub(crate) whole_blocks: usize,
    /// The tweaks of all rows.
    pub(crate) bytes: &'a [u8],
    /// Bytes of each tweak.
    pub(crate) length: usize,
}

/// The CBC-MAC prefixes of rows: the part of their blocks that is known before a round, for even and odd rounds.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack of a chunk: a box would be an allocation for 64 rows"
)]
#[derive(Clone)]
pub(crate) enum Prefixes {
    /// One for all rows.
    Shared([u128; 2]),
    /// Of each row.
    PerRow([[u128; LANES]; 2]),
}
