//! Numbers of rows that are done together.

/// Rows that share a call of a kernel: as many blocks as the widest backend of the crate `aes` takes in one call.
pub(crate) const LANES: usize = 64;

/// Rows that are read, go through the rounds and are written together: few enough for the first-level cache, so
/// many that each of the three is a loop of its own, which the processor overlaps with itself.
pub(crate) const CHUNK: usize = 8 * LANES;
