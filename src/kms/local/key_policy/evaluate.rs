//! Evaluation of policies.

use std::fmt;

use serde::Serialize;

use super::action::KmsAction;
use super::policy::{Effect, KeyPolicy, Statement};
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

/// Decides on a request by the policy of its key and the policies of the principal.
pub fn evaluate(key: &KeyPolicy, identity: &[&KeyPolicy], request: &AccessRequest<'_>) -> AccessDecision {
    let of_identity = || identity.iter().flat_map(|policy| policy.numbered("the identity's"));
    let denies = |(_, statement): &(String, &Statement)| statement.effect == Effect::Deny;
    let denied = key
        .numbered("the key's")
        .filter(|(_, statement)| statement.names(request.principal))
        .chain(of_identity())
        .filter(denies)
        .find(|(_, statement)| statement.covers(request));
    if let Some((by, _)) = denied {
        return AccessDecision::ExplicitDeny(by);
    }
    let allows = |(_, statement): &(String, &Statement)| statement.effect == Effect::Allow && statement.covers(request);
    let directly = key
        .numbered("the key's")
        .filter(allows)
        .find(|(_, statement)| statement.names(request.principal));
    if let Some((by, _)) = directly {
        return AccessDecision::Allowed(by);
    }
    let refers = key
        .numbered("the key's")
        .filter(allows)
        .any(|(_, statement)| statement.refers_to_identities());
    match of_identity().find(allows) {
        Some((by, _)) if refers => AccessDecision::Allowed(by),
        _ => AccessDecision::ImplicitDeny,
    }
}
