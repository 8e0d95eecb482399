//! Policies and their statements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::access::AccessRequest;
use super::action::KmsAction;
use super::pattern::wildcard_match;
use crate::keys::WrapContext;
use crate::{Error, Result};

/// The only version: that of the policy language of AWS.
const VERSION: &str = "2012-10-17";

/// The principal that refers to identity policies.
const IDENTITY_POLICIES: &str = "identity-policies";

/// Prefix of the fields of a wrap context in a condition.
const CONTEXT: &str = "kms:EncryptionContext:cipherform:";

/// The policy of a KMS key, or of an identity: statements about who may do what.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct KeyPolicy {
    version: String,
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Statement {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    pub(super) effect: Effect,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
    action: Patterns,
    resource: Patterns,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<Operator, BTreeMap<String, Patterns>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(
    untagged,
    expecting = "a principal is \"*\", \"identity-policies\" or { \"User\": … }"
)]
enum Principal {
    /// `*`, or [`IDENTITY_POLICIES`].
    Name(String),
    Users(Users),
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Users {
    user: Patterns,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
enum Operator {
    #[serde(rename = "StringEquals")]
    Equals,
    #[serde(rename = "StringLike")]
    Like,
    #[serde(rename = "StringNotEquals")]
    NotEquals,
    #[serde(rename = "StringNotLike")]
    NotLike,
}

/// One text or several; `*` stands for any characters, `?` for one, where patterns are taken.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged, expecting = "a text, or a list of texts, was expected")]
enum Patterns {
    One(String),
    Many(Vec<String>),
}

impl Patterns {
    fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }

    fn matches(&self, text: &str) -> bool {
        self.iter().any(|pattern| wildcard_match(pattern, text))
    }
}

impl KeyPolicy {
    /// Returns the policy that a key has at first: whoever unlocks the KMS may do anything with it.
    pub fn everybody() -> Self {
        Self {
            version: VERSION.to_owned(),
            statement: vec![Statement {
                sid: Some("everybody".to_owned()),
                effect: Effect::Allow,
                principal: Some(Principal::Name("*".to_owned())),
                action: Patterns::One("kms:*".to_owned()),
                resource: Patterns::One("*".to_owned()),
                condition: BTreeMap::new(),
            }],
        }
    }

    /// Parses the policy of a key: each statement names its principals.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) that names the mistake.
    pub fn parse_for_key(json: &[u8]) -> Result<Self> {
        Self::parse(json, true)
    }

    /// Parses the policy of an identity: no statement names a principal.
    ///
    /// # Errors
    ///
    /// As for [`parse_for_key`](Self::parse_for_key).
    pub fn parse_for_identity(json: &[u8]) -> Result<Self> {
        Self::parse(json, false)
    }

    fn parse(json: &[u8], with_principals: bool) -> Result<Self> {
        let policy: Self = serde_json::from_slice(json).map_err(|error| {
            Error::bad_input("the policy is malformed")
                .with_source(error)
                .with_hint(
                    "statements have Sid, Effect, Principal, Action, Resource and Condition, and nothing \
                 else; the manual shows one",
                )
        })?;
        // AWS reads policies of an older version in another way; to take one as if it were new would
        // decide otherwise.
        if policy.version != VERSION {
            return Err(Error::bad_input("the policy has another version").with_hint(format!("write \"{VERSION}\"")));
        }
        for (name, statement) in policy.numbered("the") {
            statement.check(with_principals).map_err(|error| error.context(name))?;
        }
        Ok(policy)
    }

    /// Checks whether there are no statements.
    pub fn is_empty(&self) -> bool {
        self.statement.is_empty()
    }

    /// Returns the statements, each with its name.
    pub(super) fn numbered(&self, whose: &str) -> impl Iterator<Item = (String, &Statement)> {
        self.statement.iter().enumerate().map(move |(at, statement)| {
            let name = match &statement.sid {
                Some(sid) => format!("{whose} statement `{sid}`"),
                None => format!("{whose} statement {}", at + 1),
            };
            (name, statement)
        })
    }
}

impl Statement {
    /// Checks what the types cannot express. A word without meaning would allow, or deny, less than its writer
    /// intended.
    fn check(&self, with_principals: bool) -> Result<()> {
        match (&self.principal, with_principals) {
            (None, true) => {
                return Err(Error::bad_input("it names no principal")
                    .with_hint("write \"Principal\": { \"User\": \"ann@laptop\" }, or \"*\""));
            }
            (Some(_), false) => {
                return Err(Error::bad_input("the policy of an identity names no principal")
                    .with_hint("take \"Principal\" out: it is whom the policy is attached to"));
            }
            (Some(Principal::Name(name)), true) if name != "*" && name != IDENTITY_POLICIES => {
                return Err(Error::bad_input("unknown principal").with_hint(format!(
                    "write \"*\", \"{IDENTITY_POLICIES}\", or {{ \"User\": \"ann@laptop\" }}"
                )));
            }
            _ => {}
        }
        // `kms:Decript` would be a denial without effect, and nobody would notice.
        let none = |pattern: &&str| {
            !KmsAction::ALL
                .iter()
                .any(|action| wildcard_match(pattern, action.as_str()))
        };
        if self.action.iter().any(|pattern| none(&pattern)) {
            let all: Vec<_> = KmsAction::ALL.iter().map(|action| action.as_str()).collect();
            return Err(Error::bad_input("an action matches no known action")
                .with_hint(format!("the actions are {}", all.join(", "))));
        }
        let keys = self.condition.values().flat_map(BTreeMap::keys);
        for key in keys {
            if !["keyring", "data-key", "version", "use"]
                .iter()
                // A condition on a field that never exists holds for negated operators and for no other,
                // whatever its writer meant.
                .any(|field| key.strip_prefix(CONTEXT) == Some(field))
            {
                return Err(
                    Error::bad_input("a condition is on an unknown field").with_hint(format!(
                        "conditions are on {CONTEXT}keyring, …:data-key, …:version and …:use"
                    )),
                );
            }
        }
        Ok(())
    }

    /// Checks whether the statement names a principal.
    pub(super) fn names(&self, principal: &str) -> bool {
        match &self.principal {
            Some(Principal::Name(name)) => name == "*",
            Some(Principal::Users(users)) => users.user.matches(principal),
            None => false,
        }
    }

    pub(super) fn refers_to_identities(&self) -> bool {
        matches!(&self.principal, Some(Principal::Name(name)) if name == IDENTITY_POLICIES)
    }

    /// Checks whether the statement covers the action on the key, in its context.
    pub(super) fn covers(&self, request: &AccessRequest<'_>) -> bool {
        self.action.matches(request.action.as_str())
            && self.resource.matches(request.resource)
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter()
                    .all(|(key, values)| operator.holds(field(key, request.context).as_deref(), values))
            })
    }
}

impl Operator {
    /// Evaluates the operator. Without the field only negated operators hold, as in AWS.
    fn holds(self, actual: Option<&str>, values: &Patterns) -> bool {
        let equal = || actual.is_some_and(|actual| values.iter().any(|value| value == actual));
        let like = || actual.is_some_and(|actual| values.matches(actual));
        match self {
            Self::Equals => equal(),
            // With several values all must differ, as in AWS.
            Self::NotEquals => !equal(),
            Self::Like => like(),
            Self::NotLike => !like(),
        }
    }
}

fn field(key: &str, context: Option<&WrapContext>) -> Option<String> {
    // Requests that manage a key have no wrap context.
    let context = context?;
    match key.strip_prefix(CONTEXT)? {
        "keyring" => Some(context.keyring.to_string()),
        "data-key" => Some(context.data_key.to_string()),
        "version" => Some(context.version.to_string()),
        "use" => Some(context.key_use.clone()),
        _ => None,
    }
}
