//! `bucket`: coarser values: numbers and dates become the beginning of their range, texts their first characters.

use chrono::{DateTime, Datelike, Days, NaiveDate};

use super::batch::{OrdinalBatch, Outcome, TextBatch, Texts, Values};
use super::rows::{each_ordinal, each_ordinal_text, each_text};
use super::treatment::Treatment;
use crate::formats::{FormatError, OrdinalRange, RankedFormat, RowError, Unit};
use crate::policy::{Bucket, Period, Rule};
use crate::{Error, Result};

/// A bucket for values of one format.
#[derive(Clone, Debug)]
pub(super) enum Bucketing {
    /// Keeps as many characters.
    Prefix(usize),
    /// Takes ordinals of this range to the beginnings of its parts.
    Ordinals(OrdinalRange, Ranges),
}

#[derive(Clone, Debug)]
pub(super) enum Ranges {
    /// All as wide, one beginning at 0.
    Width(i128),
    /// The beginning of each range, in order.
    Edges(Vec<i128>),
    Period(Period),
}

impl Bucketing {
    /// # Errors
    /// A bucket that does not go with the format.
    pub(super) fn new(bucket: &Bucket, format: Option<&dyn RankedFormat>) -> Result<Self> {
        let counted = || {
            format
                .and_then(|format| Some((format, format.ordinal_range()?)))
                .ok_or_else(|| {
                    Error::bad_policy("buckets of numbers or dates take a format that has such")
                        .with_hint("use integer, decimal, date or timestamp; of other text, bucket = { prefix = 3 }")
                })
        };
        Ok(match bucket {
            Bucket::Prefix(length) => Self::Prefix(*length),
            Bucket::Width(width) => {
                // Widths are in whole numbers of the unit, also for decimals: a width of 10 is 10.00.
                let (_, counts) = counted()?;
                let one = match counts.unit {
                    Unit::Decimal { scale } => 10i128.checked_pow(scale.into()),
                    _ => Some(1),
                };
                // Checked: 10^38 times a width of the policy may be beyond 128 bits.
                let width = one.and_then(|one| one.checked_mul((*width).into()));
                Self::Ordinals(
                    counts,
                    Ranges::Width(width.ok_or_else(|| Error::bad_policy("the width is too large"))?),
                )
            }
            Bucket::Edges(edges) => {
                let (format, counts) = counted()?;
                // Edges are read by the format, so a date is written like the values are. An edge it does not take
                // is refused here and not at the first row.
                let edges: Option<Vec<i128>> = edges
                    .iter()
                    .map(|edge| Some(counts.min.wrapping_add_unsigned(format.rank(edge).ok()?)))
                    .collect();
                // In strictly ascending order, as the search below needs.
                let edges = edges.filter(|edges| edges.is_sorted_by(|one, next| one < next));
                let edges = edges.ok_or_else(|| {
                    Error::bad_policy(
                        "edges are values of the format, written as it has them, each above the one before",
                    )
                })?;
                Self::Ordinals(counts, Ranges::Edges(edges))
            }
            Bucket::To(period) => {
                let (_, counts) = counted()?;
                match (counts.unit, period) {
                    // A bucket of dates to the day would return them as they are, in the clear; numbers have no
                    // periods.
                    (Unit::Day, Period::Hour | Period::Day)
                    | (Unit::Integer | Unit::Decimal { .. } | Unit::TimeOfDay(_), _) => {
                        return Err(Error::bad_policy(
                            "bucket = { to = … } takes a date (to month, quarter, year or decade) or a timestamp \
                             (also to hour or day)",
                        ));
                    }
                    _ => Self::Ordinals(counts, Ranges::Period(*period)),
                }
            }
        })
    }

    /// Finds the beginning of the range that `ordinal` is in.
    fn begin(&self, ordinal: i128) -> Result<i128, FormatError> {
        // Only buckets of ordinals come here; of texts, no ordinal is in range.
        let Self::Ordinals(range, parts) = self else {
            return Err(FormatError::OutOfRange);
        };
        if !(range.min..=range.max).contains(&ordinal) {
            return Err(FormatError::OutOfRange);
        }
        let begin = match parts {
            // Euclidean, so ranges are as wide below zero as above, and −1 is not in one range with 1.
            Ranges::Width(width) => ordinal.div_euclid(*width).checked_mul(*width),
            Ranges::Edges(edges) => {
                // The number of edges that are not above the ordinal; what is below the first has no range.
                let above = edges.partition_point(|edge| *edge <= ordinal);
                let at = above.checked_sub(1).ok_or(FormatError::OutOfRange)?;
                Some(edges[at])
            }
            Ranges::Period(period) => begin_of(*period, range.unit, ordinal),
        };
        // The first range may begin before the format does.
        Ok(begin.unwrap_or(range.min).max(range.min))
    }
}

impl Treatment for Bucketing {
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        match self {
            Self::Prefix(length) => each_text(rule, batch, out, |value, _, out| {
                // By character and not by byte: a cut within a character would be no text.
                out.extend(value.chars().take(*length));
                Ok(())
            }),
            Self::Ordinals(..) => each_ordinal_text(rule, batch, out, |ordinal, _| self.begin(ordinal)),
        }
    }

    fn ordinals(&self, rule: &Rule, batch: OrdinalBatch<'_>) -> Result<Values<i128>, RowError> {
        each_ordinal(rule, batch, |ordinal, _| self.begin(ordinal))
    }

    fn takes_ordinals(&self) -> bool {
        matches!(self, Self::Ordinals(..))
    }
}

fn begin_of(period: Period, unit: Unit, count: i128) -> Option<i128> {
    let (date, per_day) = match unit {
        Unit::Instant(resolution) => {
            let per_second = resolution.per_second();
            if period == Period::Hour {
                // Hours of UTC, the zone of Arrow's timestamps.
                return Some(count.div_euclid(3_600 * per_second) * 3_600 * per_second);
            }
            let seconds = i64::try_from(count.div_euclid(per_second)).ok()?;
            (DateTime::from_timestamp(seconds, 0)?.date_naive(), 86_400 * per_second)
        }
        _ => {
            // The count is one of days since 1970, of either sign.
            let days = Days::new(u64::try_from(count.unsigned_abs()).ok()?);
            let epoch = NaiveDate::default();
            let date = if count < 0 {
                epoch.checked_sub_days(days)
            } else {
                epoch.checked_add_days(days)
            };
            (date?, 1)
        }
    };
    let begin = match period {
        Period::Hour | Period::Day => date,
        Period::Month => date.with_day(1)?,
        // Months 0, 3, 6 and 9, counted from 0, begin the quarters; chrono counts from 1.
        Period::Quarter => NaiveDate::from_ymd_opt(date.year(), date.month0() / 3 * 3 + 1, 1)?,
        Period::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1)?,
        // Euclidean for years before 0 as well.
        Period::Decade => NaiveDate::from_ymd_opt(date.year().div_euclid(10) * 10, 1, 1)?,
    };
    let days = begin.signed_duration_since(NaiveDate::default()).num_days();
    // Back to the unit of the column: a day of a timestamp is 86,400 units of its resolution or more.
    i128::from(days).checked_mul(per_day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Format;

    fn bucketed(bucket: &Bucket, format: &str, parameters: toml::Table, value: &str) -> Result<String, FormatError> {
        let Ok(Format::Ranked(format)) = Format::parse(format, parameters) else {
            panic!("a ranked format")
        };
        let bucketing = Bucketing::new(bucket, Some(format.as_ref())).unwrap();
        let least = format.ordinal_range().unwrap().min;
        let ordinal = least.wrapping_add_unsigned(format.rank(value).unwrap());
        let mut out = String::new();
        format.unrank(bucketing.begin(ordinal)?.abs_diff(least), value, &mut out);
        Ok(out)
    }

    #[test]
    fn beginnings_of_ranges() {
        let age = toml::toml! { min = -5  max = 150 };
        let edges = Bucket::Edges(["0", "18", "65"].map(str::to_owned).into());
        for (bucket, value, begin) in [
            (Bucket::Width(10), "42", Ok("40")),
            (Bucket::Width(10), "-1", Ok("-5")),
            (edges.clone(), "17", Ok("0")),
            (edges.clone(), "18", Ok("18")),
            (edges.clone(), "150", Ok("65")),
            (edges.clone(), "-1", Err(FormatError::OutOfRange)),
        ] {
            assert_eq!(
                bucketed(&bucket, "integer", age.clone(), value),
                begin.map(str::to_owned)
            );
        }
        let money = toml::toml! { min = 0  max = 1_000_000  scale = 2 };
        assert_eq!(
            bucketed(&Bucket::Width(50), "decimal", money, "149.99"),
            Ok("100.00".to_owned())
        );
    }

    #[test]
    fn beginnings_of_periods() {
        for (period, begin) in [
            (Period::Month, "1969-08-01"),
            (Period::Quarter, "1969-07-01"),
            (Period::Year, "1969-01-01"),
            (Period::Decade, "1960-01-01"),
        ] {
            let date = bucketed(&Bucket::To(period), "date", toml::Table::new(), "1969-08-17");
            assert_eq!(date.as_deref(), Ok(begin));
            let instant = bucketed(
                &Bucket::To(period),
                "timestamp",
                toml::Table::new(),
                "1969-08-17 21:04:05",
            );
            assert_eq!(instant, Ok(format!("{begin} 00:00:00")));
        }
        for (period, begin) in [
            (Period::Hour, "1969-08-17 21:00:00"),
            (Period::Day, "1969-08-17 00:00:00"),
        ] {
            let instant = bucketed(
                &Bucket::To(period),
                "timestamp",
                toml::Table::new(),
                "1969-08-17 21:04:05",
            );
            assert_eq!(instant.as_deref(), Ok(begin));
        }
    }

    #[test]
    fn buckets_go_with_formats_that_have_them() {
        let Ok(Format::Ranked(date)) = Format::parse("date", toml::Table::new()) else {
            panic!("a date")
        };
        assert!(Bucketing::new(&Bucket::To(Period::Hour), Some(date.as_ref())).is_err());
        assert!(Bucketing::new(&Bucket::Width(3), None).is_err());
        assert!(
            Bucketing::new(
                &Bucket::Edges(vec!["2000-01-01".into(), "1999-01-01".into()]),
                Some(date.as_ref())
            )
            .is_err()
        );
        assert!(Bucketing::new(&Bucket::Prefix(3), None).is_ok());
    }
}
