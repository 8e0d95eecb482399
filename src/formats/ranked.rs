//! Formats whose values are numbered from 0 to N − 1.

use std::fmt;

use super::error::FormatError;
use super::ordinal_range::OrdinalRange;

/// A format whose values are N well-formed things.
pub trait RankedFormat: fmt::Debug + Send + Sync {
    /// Name, version and every parameter that defines the map, in one canonical line: `integer/1 min=1 max=999999999`.
    fn definition(&self) -> String;

    /// N, at least 1 and at most 2^128 − 1.
    // N itself has to fit, not only N − 1, since sizes are compared and shown.
    fn size(&self) -> u128;

    /// The rank of `value`, in 0…N−1.
    ///
    /// # Errors
    /// When the value is not well-formed.
    fn rank(&self, value: &str) -> Result<u128, FormatError>;

    /// Appends to `out` the text of `rank`, in the layout of `value`.
    fn unrank(&self, rank: u128, value: &str, out: &mut String);

    /// The range of ordinals, if the format suits columns of numbers, dates or times. An ordinal's rank is its
    /// distance from the least.
    fn ordinal_range(&self) -> Option<OrdinalRange> {
        None
    }
}
