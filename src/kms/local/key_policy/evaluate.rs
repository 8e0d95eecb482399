//! Evaluation of policies.

use super::access::{AccessDecision, AccessRequest};
use super::policy::{Effect, KeyPolicy, Statement};

/// Decides on a request by the policy of its key and the policies of the principal.
pub fn evaluate(key: &KeyPolicy, identity: &[&KeyPolicy], request: &AccessRequest<'_>) -> AccessDecision {
    let of_identity = || identity.iter().flat_map(|policy| policy.numbered("the identity's"));
    let denies = |(_, statement): &(String, &Statement)| statement.effect == Effect::Deny;
    // Denials first, in both policies, wherever they stand: no order of statements, and no other policy,
    // can undo one.
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
    // The key must hand the decision on. Otherwise whoever can attach a policy to an identity could open
    // every key.
    let refers = key
        .numbered("the key's")
        .filter(allows)
        .any(|(_, statement)| statement.refers_to_identities());
    match of_identity().find(allows) {
        Some((by, _)) if refers => AccessDecision::Allowed(by),
        _ => AccessDecision::ImplicitDeny,
    }
}
