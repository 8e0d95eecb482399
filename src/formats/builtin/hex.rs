//! `hex`: hexadecimal digits in one case, with separators that stay.

use std::sync::Arc;

use serde::Deserialize;

use crate::Result;
use crate::formats::alphabet::Alphabet;
use crate::formats::bits::HexCase;
use crate::formats::format::Format;
use crate::formats::layout::Layout;
use crate::formats::parameters::parse_parameters;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HexParameters {
    #[serde(default)]
    case: HexCase,
    #[serde(default)]
    keep: [u8; 2],
    separators: Option<String>,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let HexParameters { case, keep, separators } = parse_parameters(table)?;
    let alphabet = Alphabet::try_new(case.symbols())?;
    let layout = Layout::try_new("hex/1", alphabet, separators.as_deref(), keep.into())?;
    // No `output`: hexadecimal digits in larger alphabets would not be hexadecimal for whoever reads the column.
    Ok(Format::String(Arc::new(layout)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Parts, Side};

    #[test]
    fn one_case_and_its_separators() {
        let numerals = |table, value| {
            let Ok(Format::String(format)) = parse(table) else {
                panic!("a string format")
            };
            let mut parts = Parts::default();
            format.split(value, Side::Plain, &mut parts).ok()?;
            Some(parts.numerals)
        };
        assert_eq!(
            numerals(toml::Table::new(), "de:ad 0-f"),
            Some(vec![13, 14, 10, 13, 0, 15])
        );
        let kept = toml::toml! { case = "upper"  keep = [2, 1]  separators = "x" };
        assert_eq!(numerals(kept.clone(), "0xABCDEF"), Some(vec![11, 12, 13, 14]));
        for value in ["0xabcdef", "0x-ABCDEF", "0xABCDEG"] {
            assert_eq!(numerals(kept.clone(), value), None, "{value}");
        }
    }
}
