//! Which role may see what.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Policy, Rule, Treatment};
use crate::{Error, ErrorKind, Result};

/// What a role sees of the columns under a rule.
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

/// What a role may do under a rule: `"masked"`, or `{ see = "plain", protect = true }`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rights {
    pub(super) see: Grant,
    pub(super) protect: bool,
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

/// Up to so many possible values all can be protected and compared: 2^56, as with DES, which was broken so in 1998.
const LISTED: u128 = 1 << 56;

/// Whether who may protect under `rule` can reveal by it: protect every possible value, and compare.
pub(super) fn is_enumerable(rule: &Rule) -> bool {
    match rule.treatment {
        // What is made tells no two values apart that it does not show anyway.
        Treatment::Mask | Treatment::Bucket | Treatment::Drop => false,
        Treatment::Tokenize if rule.tokens.as_ref().is_some_and(|tokens| tokens.per_occurrence) => false,
        // Where the number of values depends on the value, short ones are few.
        _ => rule.possible_values().is_none_or(|values| values <= LISTED),
    }
}

impl Policy {
    /// Whether `role` may protect under `rule`: a right of its own, which no role has unless a line gives it.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the policy has no such role.
    pub fn may_protect(&self, role: Option<&str>, rule: &str) -> Result<bool> {
        Ok(self.rights(role, rule)?.protect)
    }

    /// What `role` sees under `rule`: the role's line for the rule, else its line `*`, else nothing.
    ///
    /// No role means that the host trusts whoever calls: everything is plain.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the policy has no such role.
    pub fn grant(&self, role: Option<&str>, rule: &str) -> Result<Grant> {
        Ok(self.rights(role, rule)?.see)
    }

    fn rights(&self, role: Option<&str>, rule: &str) -> Result<Rights> {
        let Some(role) = role else {
            return Ok(Rights {
                see: Grant::Plain,
                protect: true,
            });
        };
        let grants = self.roles.get(role).ok_or_else(|| {
            let known: Vec<_> = self.roles.keys().map(String::as_str).collect();
            let hint = match known.is_empty() {
                true => "the policy has no [roles.…]".to_owned(),
                false => format!("its roles are {}", known.join(", ")),
            };
            Error::new(ErrorKind::NotAllowed, format!("the policy has no role `{role}`")).with_hint(hint)
        })?;
        let grant = grants.get(rule).or_else(|| grants.get("*"));
        Ok(grant.copied().unwrap_or(Rights {
            see: Grant::Denied,
            protect: false,
        }))
    }
}
