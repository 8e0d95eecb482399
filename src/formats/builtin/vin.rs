//! `vin`: vehicle identification numbers.

use crate::Result;
use crate::formats::check::Check;
use crate::formats::format::Format;
use crate::formats::parameters::{KeptEnds, parse_parameters};
use crate::formats::template::Template;

/// Vehicle identification numbers (ISO 3779, with the check digit of 49 CFR 565.15).
pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let KeptEnds { keep } = parse_parameters(table)?;
    // ISO 3779 has no I, O and Q. The tenth place is the model year, which also excludes U, Z and 0 (49 CFR
    // 565.15).
    // The last four are digits on vehicles of every make.
    let pattern = r"[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-TV-Y1-9][A-HJ-NPR-Z0-9]{3}\d{4}";
    Template::format("vin/2", vec![pattern.to_owned()], keep.into(), Some(Check::Vin))
}
