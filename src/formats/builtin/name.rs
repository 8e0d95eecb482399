//! `name`: letters become others of the same script and case; digits do not fit.

use crate::Result;
use crate::formats::format::Format;
use crate::formats::parameters::{NoParameters, parse_parameters};
use crate::formats::script::Script;

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let NoParameters {} = parse_parameters(table)?;
    Ok(Script::format("name/2", false))
}
