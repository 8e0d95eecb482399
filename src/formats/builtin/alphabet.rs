//! `alphabet`: any symbols, by code point, 2 to 65,536 of them.
//!
//! Nothing but the symbols and the separators that the policy lists may stand in a value.

use serde::Deserialize;

use crate::Result;
use crate::formats::alphabet::Alphabet;
use crate::formats::format::Format;
use crate::formats::layout::Layout;
use crate::formats::output;
use crate::formats::parameters::parse_parameters;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Custom {
    /// The code point at index i is numeral i.
    symbols: String,
    #[serde(default)]
    keep: [u8; 2],
    #[serde(default)]
    separators: String,
    output: Option<String>,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let custom: Custom = parse_parameters(table)?;
    let alphabet = Alphabet::try_new(&custom.symbols)?;
    // The policy lists the separators, even if that is none: with an alphabet of its own, punctuation may well be
    // data.
    let layout = Layout::try_new("alphabet/1", alphabet, Some(&custom.separators), custom.keep.into())?;
    output::format(layout, custom.output.as_deref())
}
