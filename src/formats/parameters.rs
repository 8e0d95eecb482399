//! Parameters of a format, as the policy has them.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::format::Format;
use crate::{Error, Result};

/// A parser of the parameters of one format.
pub(super) type ParseFormat = fn(toml::Table) -> Result<Format>;

/// Reads the parameters of a format; one it does not have is refused.
// Every parameter table denies unknown fields: a misspelt one would silently change the map of a column.
pub(super) fn parse_parameters<T: DeserializeOwned>(table: toml::Table) -> Result<T> {
    table
        .try_into()
        // The message alone: its position is one in the format's table, not in the policy's file.
        .map_err(|error: toml::de::Error| Error::bad_policy(error.message().to_owned()))
}

/// The parameters of a format that has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

/// The parameter of a format that only lets its ends be kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptEnds {
    #[serde(default)]
    pub(super) keep: [u8; 2],
}
