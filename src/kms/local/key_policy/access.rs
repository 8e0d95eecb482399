//! Requests that policies decide on, and decisions.

use std::fmt;

use serde::Serialize;

use super::action::KmsAction;
use crate::keys::WrapContext;

/// A request that policies decide on.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// Principal: `user@host`.
    pub principal: &'a str,
    /// Action.
    pub action: KmsAction,
    /// Key: `local:NAME`.
    pub resource: &'a str,
    /// Context of the wrapped bytes, if there are any.
    pub context: Option<&'a WrapContext>,
}

/// The decision of the policies.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessDecision {
    /// Allowed by this statement, named by its `Sid` or its number.
    Allowed(String),
    /// Denied by this statement, whatever others say.
    ExplicitDeny(String),
    /// Denied, since no statement allows it.
    ImplicitDeny,
}

impl AccessDecision {
    /// Checks whether the request is allowed.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl fmt::Display for AccessDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(by) => write!(f, "allowed by {by}"),
            Self::ExplicitDeny(by) => write!(f, "denied by {by}"),
            Self::ImplicitDeny => f.write_str("denied: no statement allows it"),
        }
    }
}
