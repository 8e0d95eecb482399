//! Access of roles to rules.

use super::grant::{Grant, Rights};
use super::policy::Policy;
use crate::{Error, ErrorKind, Result};

impl Policy {
    /// Tells whether `role` may protect under `rule`: a right of its own, which no role has unless a line gives it.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the policy has no such role.
    pub fn may_protect(&self, role: Option<&str>, rule: &str) -> Result<bool> {
        Ok(self.rights(role, rule)?.protect)
    }

    /// The view of `role` on columns under `rule`: the role's line for the rule, else its line `*`, else nothing.
    ///
    /// No role means that the host trusts whoever calls: everything is plain.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the policy has no such role.
    pub fn grant(&self, role: Option<&str>, rule: &str) -> Result<Grant> {
        Ok(self.rights(role, rule)?.see)
    }

    /// The rights of `role` under `rule`.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the policy has no such role.
    pub(crate) fn rights(&self, role: Option<&str>, rule: &str) -> Result<Rights> {
        let Some(role) = role else {
            return Ok(Rights::ALL);
        };
        let grants = self.roles.get(role).ok_or_else(|| {
            let known: Vec<_> = self.roles.keys().map(String::as_str).collect();
            let hint = if known.is_empty() {
                "the policy has no [roles.…]".to_owned()
            } else {
                format!("its roles are {}", known.join(", "))
            };
            Error::new(ErrorKind::NotAllowed, format!("the policy has no role `{role}`")).with_hint(hint)
        })?;
        let grant = grants.get(rule).or_else(|| grants.get("*"));
        // What no line grants is denied: a rule that is added later is closed to all roles.
        Ok(grant.cloned().unwrap_or(Rights::to_see(Grant::Denied)))
    }
}
