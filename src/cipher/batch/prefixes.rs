//! CBC-MAC prefixes: the AES state after P and the tweak.

use crate::batch::sizes::LANES;

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
