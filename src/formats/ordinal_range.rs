//! Ranges of numbers, dates and times, as whole numbers of a unit.

/// The unit of an ordinal, in a column of numbers, dates or times.
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
    // The resolution is part of the definition, so it cannot follow the column's type, which files may change.
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
    /// Units in a second.
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
    /// The unit.
    pub unit: Unit,
    /// The least, included: rank 0.
    pub min: i128,
    /// The greatest, included.
    pub max: i128,
}
