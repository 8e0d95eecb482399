//! Evaluate.

use std::fmt;

use serde::Serialize;

use super::action::KmsAction;
use super::policy::{Effect, KeyPolicy, Statement};
use crate::keys::WrapContext;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// Who: `user@host`.
    pub principal: &'a str,
    /// What.
    pub action: KmsAction,
    /// With which key: `local:NAME`.
    pub resource: &'a str,
    /// What the wrapped bytes are bound to, where there are any.
    pub context: Option<&'a WrapContext>,
}

/// What follows from the policies.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessDecision {
    /// A statement allows it: its `Sid`, or its number.
    Allowed(String),
    /// A statement denies it, whatever others say.
    ExplicitDeny(String),
    /// No statement allows it.
    ImplicitDeny,
}

impl AccessDecision {
    /// Whether it may be done.
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

/// Whether `request` is allowed by the policy of its key, and the policies that are attached to whoever asks.
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
    let handed_on = key
        .numbered("the key's")
        .filter(allows)
        .any(|(_, statement)| statement.hands_on());
    match of_identity().find(allows) {
        Some((by, _)) if handed_on => AccessDecision::Allowed(by),
        _ => AccessDecision::ImplicitDeny,
    }
}
