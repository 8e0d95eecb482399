//! Numbers, dates and times: whatever is so many units from an origin.

use std::fmt;

use super::error::FormatError;
use super::ordinal_range::OrdinalRange;
use super::ranked::RankedFormat;
use crate::{Error, Result};

/// The text form of ordinals.
pub(super) trait OrdinalText: fmt::Debug + Send + Sync {
    /// Name, version and every parameter that defines the map.
    fn definition(&self) -> String;

    /// The count that `value` spells.
    ///
    /// # Errors
    /// When it is not the one text that [`write`](Self::write) gives for this count.
    fn read(&self, value: &str) -> Result<i128, FormatError>;

    /// Appends the text of `count`.
    fn write(&self, count: i128, out: &mut String);
}

/// The format of such values.
#[derive(Debug)]
pub(super) struct OrdinalFormat<T> {
    text: T,
    counts: OrdinalRange,
}

impl<T: OrdinalText> OrdinalFormat<T> {
    /// # Errors
    /// A range of fewer than two values, or of more than 2^128 − 1.
    pub(super) fn try_new(text: T, counts: OrdinalRange) -> Result<Self> {
        let OrdinalRange { min, max, .. } = counts;
        if min >= max {
            let (mut least, mut greatest) = (String::new(), String::new());
            text.write(min, &mut least);
            text.write(max, &mut greatest);
            return Err(Error::bad_policy(format!(
                "min = {least} is not below max = {greatest}"
            )));
        }
        // The whole of i128 has 2^128 values, one too many for a rank of 128 bits with its count.
        if max.abs_diff(min) == u128::MAX {
            return Err(Error::bad_policy("a range of more than 2^128 − 1 values"));
        }
        Ok(Self { text, counts })
    }
}

impl<T: OrdinalText> RankedFormat for OrdinalFormat<T> {
    fn definition(&self) -> String {
        self.text.definition()
    }

    fn size(&self) -> u128 {
        // `abs_diff` is unsigned: the difference of two i128 may be beyond i128.
        self.counts.max.abs_diff(self.counts.min) + 1
    }

    fn rank(&self, value: &str) -> Result<u128, FormatError> {
        let (count, OrdinalRange { min, max, .. }) = (self.text.read(value)?, self.counts);
        // The range is checked after reading: a well-formed value outside gets a reason of its own.
        if (min..=max).contains(&count) {
            Ok(count.abs_diff(min))
        } else {
            Err(FormatError::OutOfRange)
        }
    }

    fn unrank(&self, rank: u128, _: &str, out: &mut String) {
        // Wraps only in the type: the sum lies between min and max, by rank < N.
        self.text.write(self.counts.min.wrapping_add_unsigned(rank), out); // within min…max
    }

    fn ordinal_range(&self) -> Option<OrdinalRange> {
        Some(self.counts)
    }
}
