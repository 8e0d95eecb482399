//! Access of roles to rules.

use super::grant::{Grant, Rights};
use super::policy::Policy;
use super::rule::{Rule, Treatment};
use crate::{Error, ErrorKind, Result};

/// The greatest number of values of which all can be protected and compared: 2^56, the keys of DES, of which all were
/// tried in 1998.
const LISTED: u128 = 1 << 56;

/// Tells whether whoever may protect under `rule` can reveal by it: protect every possible value, and compare.
pub(super) fn is_enumerable(rule: &Rule) -> bool {
    match rule.treatment {
        // What is made tells no two values apart that it does not show anyway.
        Treatment::Mask | Treatment::Bucket | Treatment::Drop => false,
        // Each call gives another token, so there is nothing to compare.
        Treatment::Tokenize if rule.tokens.as_ref().is_some_and(|tokens| tokens.per_occurrence) => false,
        // Where the number of values depends on the value, short ones are few.
        _ => rule.possible_values().is_none_or(|values| values <= LISTED),
    }
}

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

    fn rights(&self, role: Option<&str>, rule: &str) -> Result<Rights> {
        let Some(role) = role else {
            return Ok(Rights {
                see: Grant::Plain,
                protect: true,
            });
        };
        // A role that is not there is an error, not the trusted case above: a misspelt role must not see
        // everything.
        let grants = self.roles.get(role).ok_or_else(|| {
            let known: Vec<_> = self.roles.keys().map(String::as_str).collect();
            let hint = if known.is_empty() {
                "the policy has no [roles.…]".to_owned()
            } else {
                format!("its roles are {}", known.join(", "))
            };
            Error::new(ErrorKind::NotAllowed, format!("the policy has no role `{role}`")).with_hint(hint)
        })?;
        // The rule's own line replaces `*` as a whole, so it can also take a right away.
        let grant = grants.get(rule).or_else(|| grants.get("*"));
        Ok(grant.copied().unwrap_or(Rights {
            // What no line grants is denied: a rule that is added later is closed to all roles.
            see: Grant::Denied,
            protect: false,
        }))
    }
}
