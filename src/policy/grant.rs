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
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rights {
    /// The view of the columns.
    pub(crate) see: Grant,
    /// The right to protect values.
    pub(crate) protect: bool,
    /// The right to look for given values in a column that is not seen plain.
    pub(crate) search: bool,
    /// The right to compare, group and count distinct values of a column that is not seen plain.
    pub(crate) equality: bool,
    /// The reason for which protecting or searching is allowed to who does not see the values.
    pub(super) insecure_oracle: Option<String>,
}

impl Rights {
    /// All rights: those of a host that has no roles.
    pub(super) const ALL: Self = Self {
        see: Grant::Plain,
        protect: true,
        search: true,
        equality: true,
        insecure_oracle: None,
    };

    /// The rights of a grant that says no more.
    pub(super) const fn to_see(see: Grant) -> Self {
        Self {
            see,
            protect: false,
            search: false,
            equality: true,
            insecure_oracle: None,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Masked => "masked",
            Self::Protected => "protected",
            Self::Denied => "denied",
        })
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
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
        Ok(Rights::to_see(see))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Rights, A::Error> {
        let table = RightsTable::deserialize(MapAccessDeserializer::new(map))?;
        let RightsTable {
            see,
            protect,
            search,
            equality,
            insecure_oracle,
        } = table;
        Ok(Rights {
            see,
            protect,
            search,
            equality,
            insecure_oracle,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RightsTable {
    #[serde(default)]
    see: Grant,
    #[serde(default)]
    protect: bool,
    #[serde(default)]
    search: bool,
    #[serde(default = "yes")]
    equality: bool,
    insecure_oracle: Option<String>,
}

fn yes() -> bool {
    true
}
