//! Which role may see what.

use serde::Deserialize;

use super::Policy;
use crate::{Error, ErrorKind, Result};

/// What a role sees of the columns under a rule.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// The values.
    Plain,
    /// The values, masked.
    Masked,
    /// The protected values.
    Protected,
    /// Nothing: a query that needs the column fails.
    Denied,
}

impl Policy {
    /// What `role` sees under `rule`: the role's line for the rule, else its line `*`, else nothing.
    ///
    /// No role means that the host trusts whoever calls: everything is plain.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the policy has no such role.
    pub fn grant(&self, role: Option<&str>, rule: &str) -> Result<Grant> {
        let Some(role) = role else { return Ok(Grant::Plain) };
        let grants = self.roles.get(role).ok_or_else(|| {
            let known: Vec<_> = self.roles.keys().map(String::as_str).collect();
            let hint = match known.is_empty() {
                true => "the policy has no [roles.…]".to_owned(),
                false => format!("its roles are {}", known.join(", ")),
            };
            Error::new(ErrorKind::NotAllowed, format!("the policy has no role `{role}`")).with_hint(hint)
        })?;
        let grant = grants.get(rule).or_else(|| grants.get("*"));
        Ok(grant.copied().unwrap_or(Grant::Denied))
    }
}
