//! `npi`: national provider identifiers.

use crate::Result;
use crate::formats::check::Check;
use crate::formats::format::Format;
use crate::formats::parameters::{KeptEnds, parse_parameters};
use crate::formats::template::Template;

/// National provider identifiers of the United States (45 CFR 162.406): Luhn over the number behind 80840.
pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let KeptEnds { keep } = parse_parameters(table)?;
    // 80840 is the card issuer prefix (ISO/IEC 7812) of United States health care. It is in the sum, but not in
    // the number.
    let check = Check::Luhn {
        prefix: "80840".to_owned(),
    };
    // A number begins with 1 or 2. That place is a class of two, so a result does as well.
    Template::format("npi/2", vec!["[12]9{9}".to_owned()], keep.into(), Some(check))
}
