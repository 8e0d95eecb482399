//! `timestamp`: instants in a range, in columns of timestamps or as text.

use crate::Result;
use crate::formats::calendar::{CalendarKind, build, take_resolution};
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;

pub(super) fn parse(mut table: toml::Table) -> Result<Format> {
    let resolution = take_resolution(&mut table)?;
    let patterns = [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%d %H:%M:%S%.3f",
        "%Y-%m-%d %H:%M:%S%.6f",
        "%Y-%m-%d %H:%M:%S%.9f",
    ];
    // Two centuries in seconds are 6.3 · 10^9 values, over the floor at every resolution.
    let range = ["1900-01-01T00:00:00", "2099-12-31T23:59:59.999999999"];
    build(
        CalendarKind::Timestamp(resolution),
        parse_parameters(table)?,
        patterns,
        range,
    )
}
