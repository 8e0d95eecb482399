//! `date`: days in a range, in columns of dates or as text.

use crate::Result;
use crate::formats::calendar::{CalendarKind, build};
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;

/// All days that four digits of a year can name: fewer than 2,740 years are under the floor.
pub(super) fn parse(table: toml::Table) -> Result<Format> {
    // A date has one resolution, so all four patterns are the same. 3,652,059 days are well over the floor.
    build(
        CalendarKind::Date,
        parse_parameters(table)?,
        ["%Y-%m-%d"; 4],
        ["0001-01-01", "9999-12-31"],
    )
}
