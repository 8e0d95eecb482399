//! Grants: the view of a role on the columns under a rule.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The view of a role on the columns under a rule.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// The values.
    Plain,
    /// The values, masked.
    Masked,
    /// The protected values.
    Protected,
    /// Nothing: a query that needs the column fails.
    #[default]
    Denied,
}

/// The rights of a role under a rule: `"masked"`, or `{ see = "plain", protect = true }`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rights {
    pub(super) see: Grant,
    pub(super) protect: bool,
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        // An untagged enum would answer every mistake with "did not match any variant", and name no place
        // in the file.
        deserializer.deserialize_any(RightsVisitor)
    }
}

/// Reads either form, so that a mistake in one is told as such.
struct RightsVisitor;

impl<'de> Visitor<'de> for RightsVisitor {
    type Value = Rights;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "\"plain\", \"masked\", \"protected\", \"denied\", or a table like { see = \"plain\", protect = true }",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Rights, E> {
        let see = Grant::deserialize(text.into_deserializer())?;
        // The short form never gives the right to protect, which is an oracle: it has to be written out.
        Ok(Rights { see, protect: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Rights, A::Error> {
        let RightsTable { see, protect } = RightsTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Rights { see, protect })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RightsTable {
    #[serde(default)]
    see: Grant,
    #[serde(default)]
    protect: bool,
}
