//! `date`, `time` and `timestamp`: in a range, in columns of dates and times or as text in a given pattern.
//!
//! Patterns are those of `strftime` as the crate `chrono` has them. Texts are read strictly: one fits only if it is
//! written just as the pattern writes it.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use serde::Deserialize;

use super::error::FormatError;
use super::format::Format;
use super::ordinal::{OrdinalFormat, OrdinalText};
use super::ordinal_range::{OrdinalRange, Resolution, Unit};
use crate::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalendarParameters {
    pattern: Option<String>,
    min: Option<DateBound>,
    max: Option<DateBound>,
}

/// A date or time as TOML has it, bare or in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum DateBound {
    Bare(toml::value::Datetime),
    Text(String),
}

impl DateBound {
    fn text(&self) -> String {
        match self {
            Self::Bare(datetime) => datetime.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The kind of values.
#[derive(Clone, Copy, Debug)]
pub(super) enum CalendarKind {
    Date,
    Time(Resolution),
    Timestamp(Resolution),
}

#[derive(Debug)]
struct Calendar {
    kind: CalendarKind,
    pattern: String,
    items: Vec<Item<'static>>,
    min: i128,
    max: i128,
}

/// Takes `resolution` out of a table of parameters.
pub(super) fn take_resolution(table: &mut toml::Table) -> Result<Resolution> {
    match table.remove("resolution").map(toml::Value::try_into) {
        None => Ok(Resolution::default()),
        Some(Ok(resolution)) => Ok(resolution),
        Some(Err(_)) => Err(Error::bad_policy("resolution is \"s\", \"ms\", \"us\" or \"ns\"")),
    }
}

/// Builds the format of `kind` from its parameters, the usual pattern at each resolution and the usual range.
pub(super) fn build(
    kind: CalendarKind,
    parameters: CalendarParameters,
    patterns: [&str; 4],
    range: [&str; 2],
) -> Result<Format> {
    let CalendarParameters { pattern, min, max } = parameters;
    let usual = match kind {
        CalendarKind::Date => patterns[0],
        CalendarKind::Time(resolution) | CalendarKind::Timestamp(resolution) => patterns[resolution as usize],
    };
    let pattern = pattern.unwrap_or_else(|| usual.to_owned());
    let bound =
        // A bound is read by kind, not by pattern: it is ISO 8601 whatever the values look like.
        |bound: Option<DateBound>, usual: &str| kind.bound(&bound.map_or(usual.to_owned(), |bound| bound.text()));
    let (min, max) = (bound(min, range[0])?, bound(max, range[1])?);
    let items = StrftimeItems::new(&pattern).parse_to_owned().map_err(|error| {
        Error::bad_policy(format!("pattern \"{pattern}\" is no strftime pattern")).with_source(error)
    })?;
    let calendar = Calendar {
        kind,
        pattern,
        items,
        min,
        max,
    };
    // A pattern that leaves a part out, such as the century, shows in an end that does not read back as it was:
    // values would be lost. Only the two ends are tested.
    for count in [min, max] {
        let mut text = String::new();
        if calendar.try_write(count, &mut text).is_none() || calendar.read(&text) != Ok(count) {
            return Err(Error::bad_policy(format!(
                "pattern \"{}\" does not spell out the whole of a {}{}",
                calendar.pattern,
                kind.name(),
                match kind {
                    CalendarKind::Date => String::new(),
                    CalendarKind::Time(resolution) | CalendarKind::Timestamp(resolution) =>
                        format!(" at resolution = \"{}\" and nothing finer", resolution.name()),
                }
            )));
        }
    }
    let unit = match kind {
        CalendarKind::Date => Unit::Day,
        CalendarKind::Time(resolution) => Unit::TimeOfDay(resolution),
        CalendarKind::Timestamp(resolution) => Unit::Instant(resolution),
    };
    let format = OrdinalFormat::try_new(calendar, OrdinalRange { unit, min, max })?;
    Ok(Format::Ranked(Arc::new(format)))
}

impl CalendarKind {
    fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::Timestamp(_) => "timestamp",
        }
    }

    /// A `min` or `max`, in ISO 8601.
    fn bound(self, text: &str) -> Result<i128> {
        // TOML writes a space or a T between date and time; ISO 8601 has the T.
        let text = text.replace(' ', "T");
        let (count, example) = match self {
            Self::Date => (text.parse().ok().map(day), "1900-01-01"),
            Self::Time(resolution) => (text.parse().ok().map(|time| part_of_day(time, resolution)), "08:00:00"),
            Self::Timestamp(resolution) => (
                text.parse().ok().map(|instant| time_since_epoch(instant, resolution)),
                "1900-01-01T00:00:00",
            ),
        };
        count.ok_or_else(|| {
            Error::bad_policy(format!(
                "min and max of a {} are written {example}, without a zone",
                self.name()
            ))
        })
    }
}

/// Days since 1970-01-01.
fn day(date: NaiveDate) -> i128 {
    date.signed_duration_since(NaiveDate::default()).num_days().into()
}

fn part_of_day(time: NaiveTime, resolution: Resolution) -> i128 {
    let nanoseconds = i128::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i128::from(time.nanosecond());
    // The end 23:59:59.999999999 is cut to the last unit of the resolution, so one default serves all four.
    nanoseconds / (1_000_000_000 / resolution.per_second())
}

fn time_since_epoch(instant: NaiveDateTime, resolution: Resolution) -> i128 {
    let instant = instant.and_utc();
    // In 128 bits: the seconds of chrono's years in nanoseconds are beyond 64.
    let nanoseconds = i128::from(instant.timestamp()) * 1_000_000_000 + i128::from(instant.timestamp_subsec_nanos());
    // Rounds towards the past, also before 1970: a plain division would give two units the count 0.
    nanoseconds.div_euclid(1_000_000_000 / resolution.per_second())
}

impl Calendar {
    fn try_read(&self, value: &str) -> Option<i128> {
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, value, self.items.iter()).ok()?;
        // A leap second has no count of its own.
        let is_leap = |time: &NaiveTime| time.nanosecond() >= 1_000_000_000;
        match self.kind {
            CalendarKind::Date => Some(day(parsed.to_naive_date().ok()?)),
            CalendarKind::Time(resolution) => {
                let time = parsed.to_naive_time().ok().filter(|time| !is_leap(time))?;
                Some(part_of_day(time, resolution))
            }
            CalendarKind::Timestamp(resolution) => {
                // Texts have no zone: they are read and written as UTC, whatever the zone of the machine.
                let instant = parsed.to_naive_datetime_with_offset(0).ok()?;
                (!is_leap(&instant.time())).then(|| time_since_epoch(instant, resolution))
            }
        }
    }

    fn try_write(&self, count: i128, out: &mut String) -> Option<()> {
        let items = self.items.iter();
        match self.kind {
            CalendarKind::Date => {
                // `Days` are unsigned, so the sign decides between two calls; both are checked against chrono's
                // range.
                let (epoch, days) = (
                    NaiveDate::default(),
                    Days::new(u64::try_from(count.unsigned_abs()).ok()?),
                );
                let date = if count < 0 {
                    epoch.checked_sub_days(days)?
                } else {
                    epoch.checked_add_days(days)?
                };
                write!(out, "{}", date.format_with_items(items)).ok()
            }
            CalendarKind::Time(resolution) => {
                // At most 86,400 · 10^9 for ranks in the range, so no overflow.
                let nanoseconds = count * (1_000_000_000 / resolution.per_second());
                let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
                let time = NaiveTime::from_num_seconds_from_midnight_opt(
                    u32::try_from(seconds).ok()?,
                    u32::try_from(rest).ok()?,
                )?;
                write!(out, "{}", time.format_with_items(items)).ok()
            }
            CalendarKind::Timestamp(resolution) => {
                let per_second = resolution.per_second();
                // The Euclidean pair keeps the part of a second positive before 1970, as chrono wants it.
                let nanoseconds = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
                let instant = DateTime::from_timestamp(
                    i64::try_from(count.div_euclid(per_second)).ok()?,
                    u32::try_from(nanoseconds).ok()?,
                )?;
                write!(out, "{}", instant.naive_utc().format_with_items(items)).ok()
            }
        }
    }
}

impl OrdinalText for Calendar {
    fn definition(&self) -> String {
        let Self {
            kind,
            pattern,
            min,
            max,
            ..
        } = self;
        match kind {
            CalendarKind::Date => format!("date/1 min={min} max={max} pattern={pattern}"),
            CalendarKind::Time(resolution) | CalendarKind::Timestamp(resolution) => format!(
                "{}/1 min={min} max={max} resolution={} pattern={pattern}",
                kind.name(),
                resolution.name()
            ),
        }
    }

    fn read(&self, value: &str) -> Result<i128, FormatError> {
        let misfit =
            FormatError::Malformed("not a date or time that exists, or not written just as the pattern has it");
        // chrono's parser skips white space and takes digits without leading zeros: reading is only half of the
        // check.
        let count = self.try_read(value).ok_or(misfit.clone())?;
        let mut text = String::with_capacity(value.len());
        match self.try_write(count, &mut text) {
            // Only the text that `write` gives may come in, or reveal would not give the value back.
            Some(()) if text == value => Ok(count),
            _ => Err(misfit),
        }
    }

    fn write(&self, count: i128, out: &mut String) {
        // Both ends of the range can be written, so what lies between can.
        let _ = self.try_write(count, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::RankedFormat;

    fn ranked(format: Result<Format>) -> Arc<dyn RankedFormat> {
        match format {
            Ok(Format::Ranked(format)) => format,
            other => panic!("{other:?}"),
        }
    }

    fn round_trip(format: &dyn RankedFormat, text: &str, rank: u128) {
        assert_eq!(format.rank(text), Ok(rank), "{text}");
        let mut out = String::new();
        format.unrank(rank, text, &mut out);
        assert_eq!(out, text);
    }

    #[test]
    fn days_of_the_calendar() {
        let all = ranked(Format::parse("date", toml::Table::new()));
        assert_eq!(all.size(), 3_652_059);
        round_trip(all.as_ref(), "0001-01-01", 0);
        round_trip(all.as_ref(), "2000-02-29", 730_178);
        round_trip(all.as_ref(), "9999-12-31", 3_652_058);
        for text in [
            "",
            "1900-02-29",
            "2023-04-31",
            "2023-4-30",
            "2023-04-30 ",
            " 2023-04-30",
            "0000-01-01",
            "10000-01-01",
            "２023-04-30",
        ] {
            assert!(all.rank(text).is_err(), "{text}");
        }
        let german = ranked(Format::parse(
            "date",
            toml::toml! { pattern = "%d.%m.%Y"  min = 1900-01-01  max = "2099-12-31" },
        ));
        assert_eq!(german.size(), 73_049);
        round_trip(german.as_ref(), "02.01.1900", 1);
        assert_eq!(german.rank("31.12.1899"), Err(FormatError::OutOfRange));
        let short = ranked(Format::parse(
            "date",
            toml::toml! { pattern = "%y%m%d"  min = 1970-01-01  max = 2069-12-31 },
        ));
        round_trip(short.as_ref(), "700102", 1);
    }

    #[test]
    fn times_of_the_day() {
        let fine = ranked(Format::parse("time", toml::toml! { resolution = "ms" }));
        assert_eq!(fine.size(), 86_400_000);
        round_trip(fine.as_ref(), "00:00:01.001", 1_001);
        for text in [
            "00:00:01",
            "24:00:00.000",
            "23:59:60.000",
            "00:00:01.0010",
            "0:00:01.001",
        ] {
            assert!(fine.rank(text).is_err(), "{text}");
        }
        let office = ranked(Format::parse(
            "time",
            toml::toml! { pattern = "%I:%M:%S %p"  min = 08:00:00  max = 17:59:59 },
        ));
        round_trip(office.as_ref(), "12:00:01 PM", 4 * 3_600 + 1);
    }

    #[test]
    fn instants() {
        let seconds = ranked(Format::parse("timestamp", toml::Table::new()));
        assert_eq!(seconds.size(), 73_049 * 86_400);
        round_trip(seconds.as_ref(), "1900-01-02 00:00:01", 86_401);
        let iso = ranked(Format::parse(
            "timestamp",
            toml::toml! {
                pattern = "%Y-%m-%dT%H:%M:%S%.6fZ"  resolution = "us"
            min = 1969-12-31T23:59:59  max = 2099-12-31T23:59:59
            },
        ));
        round_trip(iso.as_ref(), "1969-12-31T23:59:59.999999Z", 999_999);
        assert!(iso.rank("1969-12-31T23:59:59.99Z").is_err());
    }

    #[test]
    fn patterns_that_do_not_tell_a_whole_value_are_refused() {
        for pattern in [
            "%m-%d",
            "%Y-%m",
            "%Q",
            "%Y-%m-%d %H",
            "%y-%m-%d",
            "%Y-%m-%d %z",
            "",
            "%s",
        ] {
            let mut table = toml::Table::new();
            table.insert("pattern".into(), pattern.into());
            assert!(Format::parse("date", table).is_err(), "{pattern}");
        }
        assert!(Format::parse("time", toml::toml! { pattern = "%H:%M" }).is_err());
        assert!(Format::parse("time", toml::toml! { pattern = "%H:%M:%S"  resolution = "ms" }).is_err());
        assert!(Format::parse("date", toml::toml! { min = 2000-01-01T00:00:00 }).is_err());
        assert!(Format::parse("date", toml::toml! { min = 2001-01-01  max = 2000-01-01 }).is_err());
        assert!(Format::parse("date", toml::toml! { resolution = "ms" }).is_err());
    }
}
