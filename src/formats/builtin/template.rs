//! `template`: patterns of letters, digits and literals that the policy spells.

use serde::Deserialize;

use crate::formats::check::Check;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;
use crate::formats::template::Template;
use crate::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateParameters {
    pattern: Option<String>,
    patterns: Option<Vec<String>>,
    #[serde(default)]
    keep: [u8; 2],
    check: Option<Check>,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let TemplateParameters {
        pattern,
        patterns,
        keep,
        check,
    } = parse_parameters(table)?;
    // An empty list is refused here: with no pattern no value would fit, and every row would be an error.
    let sources = match (pattern, patterns) {
        (Some(one), None) => vec![one],
        (None, Some(several)) if !several.is_empty() => several,
        _ => {
            return Err(Error::bad_policy("takes either a pattern or a list of patterns")
                .with_hint("write format = { type = \"template\", pattern = \"AA-9999\" }"));
        }
    };
    Template::format("template/2", sources, keep.into(), check)
}
