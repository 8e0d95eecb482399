//! Numbers, dates and times: whatever is so many units from an origin.

use std::fmt;

use super::error::FormatError;
use super::ranked::RankedFormat;
use crate::{Error, Result};

/// What one count stands for, in a column of numbers, dates or times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// One.
    Integer,
    /// 10^−scale.
    Decimal {
        /// Digits behind the point.
        scale: u8,
    },
    /// A day; 1970-01-01 is 0.
    Day,
    /// A part of a day; midnight is 0.
    TimeOfDay(Resolution),
    /// Time since 1970-01-01 00:00:00.
    Instant(Resolution),
}

/// The part of a second that is told apart.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize)]
pub enum Resolution {
    /// A second.
    #[default]
    #[serde(rename = "s")]
    Second,
    /// 10^−3 s.
    #[serde(rename = "ms")]
    Millisecond,
    /// 10^−6 s.
    #[serde(rename = "us")]
    Microsecond,
    /// 10^−9 s.
    #[serde(rename = "ns")]
    Nanosecond,
}

impl Resolution {
    /// How many are in a second.
    pub fn per_second(self) -> i128 {
        match self {
            Self::Second => 1,
            Self::Millisecond => 1_000,
            Self::Microsecond => 1_000_000,
            Self::Nanosecond => 1_000_000_000,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Millisecond => "ms",
            Self::Microsecond => "us",
            Self::Nanosecond => "ns",
        }
    }
}

/// The range of a format that counts, for columns of numbers, dates or times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OrdinalRange {
    /// What is counted.
    pub unit: Unit,
    /// The least, included: rank 0.
    pub min: i128,
    /// The greatest, included.
    pub max: i128,
}

/// What such a format says of itself.
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
        self.counts.max.abs_diff(self.counts.min) + 1
    }

    fn rank(&self, value: &str) -> Result<u128, FormatError> {
        let (count, OrdinalRange { min, max, .. }) = (self.text.read(value)?, self.counts);
        match (min..=max).contains(&count) {
            true => Ok(count.abs_diff(min)),
            false => Err(FormatError::OutOfRange),
        }
    }

    fn unrank(&self, rank: u128, _: &str, out: &mut String) {
        self.text.write(self.counts.min.wrapping_add_unsigned(rank), out); // within min…max
    }

    fn ordinal_range(&self) -> Option<OrdinalRange> {
        Some(self.counts)
    }
}
