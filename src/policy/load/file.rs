//! The policy file as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use crate::formats::Format;
use crate::keys::KeyringId;
use crate::policy::grant::Rights;
use crate::policy::policy::Unlisted;
use crate::policy::rule::{Mask, OnEmpty, OnForgotten, OnInvalid, OnShort, Period, Treatment, Tweak};
use crate::{Error, Result};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    pub(super) version: Spanned<i64>,
    pub(super) keyring: PathBuf,
    pub(super) keyring_generation: Option<u64>,
    pub(super) audit: Option<PathBuf>,
    #[serde(default)]
    pub(super) approved_only: bool,
    pub(super) tokens: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) unlisted: Unlisted,
    #[serde(default)]
    pub(super) keys: KeysFile,
    #[serde(default)]
    pub(super) rules: BTreeMap<String, RuleFile>,
    #[serde(default)]
    pub(super) columns: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    pub(super) trust: BTreeMap<Spanned<String>, TrustFile>,
    #[serde(default)]
    pub(super) roles: BTreeMap<String, BTreeMap<Spanned<String>, Rights>>,
}

/// A table `[trust.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustFile {
    pub(super) keyring: KeyringId,
    pub(super) root: Vec<String>,
    #[serde(default)]
    pub(super) kms: Vec<String>,
}

/// The table `[keys]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysFile {
    pub(super) ttl: Option<Spanned<String>>,
    pub(super) max_uses: Option<Spanned<u64>>,
    pub(super) max_hold: Option<Spanned<String>>,
}

/// A table `[rules.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    #[serde(default)]
    pub(super) treatment: Treatment,
    pub(super) format: Option<Spanned<toml::Value>>,
    pub(super) key: Spanned<String>,
    pub(super) domain: Option<Spanned<String>>,
    pub(super) tweak: Option<Spanned<toml::Value>>,
    pub(super) mask: Option<Mask>,
    #[serde(default)]
    pub(super) on_invalid: OnInvalid,
    pub(super) wrap_mark: Option<Spanned<char>>,
    #[serde(default)]
    pub(super) on_empty: OnEmpty,
    pub(super) on_short: Option<Spanned<OnShort>>,
    pub(super) insecure_small_domain: Option<Spanned<String>>,
    pub(super) insecure_legacy: Option<Spanned<String>>,
    pub(super) tokens: Option<Spanned<String>>,
    pub(super) per_occurrence: Option<Spanned<bool>>,
    pub(super) ttl: Option<Spanned<String>>,
    pub(super) never_valid_as: Option<Spanned<Vec<String>>>,
    pub(super) on_forgotten: Option<Spanned<OnForgotten>>,
    pub(super) version_character: Option<Spanned<bool>>,
    pub(super) bucket: Option<Spanned<BucketFile>>,
    pub(super) entity: Option<Spanned<String>>,
    pub(super) days: Option<Spanned<u32>>,
    pub(super) bits: Option<Spanned<u16>>,
}

/// The key `bucket` of a rule.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BucketFile {
    Prefix(usize),
    Width(u64),
    Edges(Vec<toml::Value>),
    To(Period),
}

/// Parses a format: `"pan"`, or `{ type = "pan", … }`.
pub(super) fn parse_format(value: toml::Value) -> Result<Format> {
    match value {
        toml::Value::String(name) => Format::parse(&name, toml::Table::new()),
        // What is left are the format's own parameters; it refuses those that it does not know.
        toml::Value::Table(mut table) => match table.remove("type") {
            Some(toml::Value::String(name)) => Format::parse(&name, table),
            _ => Err(Error::bad_policy("a format table needs a type: { type = \"pan\", … }")),
        },
        _ => Err(Error::bad_policy("a format is a name, or a table with a type")),
    }
}

/// Parses a tweak: `"none"`, `{ hex = "…" }` or `{ column = "…" }`.
pub(super) fn parse_tweak(value: &toml::Value) -> Result<Tweak, &'static str> {
    const SHAPE: &str =
        "a tweak is \"none\", { hex = \"…\" } or { column = \"…\" }; without one it is what the format keeps";
    match value {
        toml::Value::String(text) if text == "none" => Ok(Tweak::None),
        // Exactly one key: with both it would be open which of them is the tweak, and both are frozen
        // into the data.
        toml::Value::Table(table) if table.len() == 1 => match (table.get("hex"), table.get("column")) {
            (Some(toml::Value::String(digits)), None) => match hex::decode(digits) {
                Ok(bytes) => Ok(Tweak::Fixed(bytes)),
                Err(_) => Err("the tweak is not an even number of hexadecimal digits"),
            },
            (None, Some(toml::Value::String(column))) => Ok(Tweak::Column(column.clone())),
            _ => Err(SHAPE),
        },
        _ => Err(SHAPE),
    }
}
