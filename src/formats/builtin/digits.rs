//! `digits`: decimal digits, with punctuation where it stands.
//!
//! ```
//! use cipherform::formats::{Format, Parts, Side};
//! let Format::String(phone) = Format::parse("digits", toml::toml! { keep = [2, 0] })? else { unreachable!() };
//! let mut parts = Parts::default();
//! phone.split("25-989-741-2988", Side::Plain, &mut parts).expect("fits");
//! assert_eq!(parts.numerals, [9, 8, 9, 7, 4, 1, 2, 9, 8, 8]);
//! # Ok::<(), cipherform::Error>(())
//! ```

use serde::Deserialize;

use crate::Result;
use crate::formats::alphabet::Alphabet;
use crate::formats::format::Format;
use crate::formats::layout::Layout;
use crate::formats::output;
use crate::formats::parameters::parse_parameters;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Digits {
    /// Digits that are kept at the start and at the end.
    #[serde(default)]
    keep: [u8; 2],
    /// Separators between digits; by default the space and ASCII punctuation.
    separators: Option<String>,
    /// The symbols of protected values, if they are others.
    output: Option<String>,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let digits: Digits = parse_parameters(table)?;
    // The natural order, so that any other FF1 with radix 10 gives the same answer (as NIST's FF1 samples of radix
    // 10 do).
    let alphabet = Alphabet::try_new("0123456789")?;
    let layout = Layout::try_new("digits/1", alphabet, digits.separators.as_deref(), digits.keep.into())?;
    output::format(layout, digits.output.as_deref())
}
