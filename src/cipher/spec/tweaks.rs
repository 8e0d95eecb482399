//! The tweaks of a batch, as callers give them and as the kernels take them.

/// The tweaks of a batch.
///
/// FF1 takes any number of bytes up to 2^32 − 1, FF3-1 exactly 7, FF3 exactly 8.
#[derive(Clone, Copy, Debug)]
pub enum Tweaks<'a> {
    /// One for all rows.
    Shared(&'a [u8]),
    /// One for each row, in order; FF1's may differ in length.
    PerRow(&'a [&'a [u8]]),
    /// One for each row, all of `length` bytes, one after the other.
    Packed {
        /// The tweaks' bytes.
        bytes: &'a [u8],
        /// Bytes of each.
        length: usize,
    },
}

impl<'a> Tweaks<'a> {
    /// The tweak of one row.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn get(self, row: usize) -> &'a [u8] {
        match self {
            Self::Shared(tweak) => tweak,
            Self::PerRow(tweaks) => tweaks[row],
            Self::Packed { bytes, length } => &bytes[row * length..][..length],
        }
    }
}

/// The tweaks of a batch, once checked.
#[derive(Clone, Copy)]
pub(crate) enum CheckedTweaks<'a> {
    // Lengths suit the mode, and there are as many tweaks as rows: kernels do not ask again.
    Shared(&'a [u8]),
    PerRow(&'a [&'a [u8]]),
    /// All of one length, one after the other.
    Packed {
        bytes: &'a [u8],
        length: usize,
    },
}

impl<'a> CheckedTweaks<'a> {
    /// The tweak of one row.
    pub(crate) fn of(self, row: usize) -> &'a [u8] {
        match self {
            Self::Shared(tweak) => tweak,
            Self::PerRow(tweaks) => tweaks[row],
            Self::Packed { bytes, length } => &bytes[row * length..][..length],
        }
    }
}
