//! `time`: times of day in a range, in columns of times or as text.

use crate::Result;
use crate::formats::calendar::{CalendarKind, build, take_resolution};
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;

pub(super) fn parse(mut table: toml::Table) -> Result<Format> {
    // Taken out first: the parameters that all calendar formats share refuse names that they do not know.
    let resolution = take_resolution(&mut table)?;
    let patterns = ["%H:%M:%S", "%H:%M:%S%.3f", "%H:%M:%S%.6f", "%H:%M:%S%.9f"];
    build(
        CalendarKind::Time(resolution),
        parse_parameters(table)?,
        patterns,
        ["00:00:00", "23:59:59.999999999"],
    )
}
