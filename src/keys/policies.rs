//! Who may do what with a KMS key: statements as AWS KMS and IAM have them, and what follows from them. No I/O, so that a server can decide with the same code.
//!
//! ```json
//! { "Version": "2012-10-17", "Statement": [
//!     { "Sid": "jobs", "Effect": "Allow", "Principal": { "User": "etl@batch-7" }, "Action": "kms:Decrypt", "Resource": "*",
//!       "Condition": { "StringEquals": { "kms:EncryptionContext:cipherform:use": "derive" } } } ] }
//! ```
//!
//! A request is allowed if a statement of the key's policy allows it and no statement denies it: explicit deny goes before allow, allow before the implicit deny of
//! whatever nobody has allowed. A statement of the key's policy whose principal is `identity-policies` hands the decision on: then a policy that is attached to
//! the identity must allow the request. Denials in either count.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::WrapContext;
use crate::{Error, Result};

/// The one version there is: what it means is that of the policy language of AWS.
const VERSION: &str = "2012-10-17";

/// The principal that hands the decision on.
const IDENTITY_POLICIES: &str = "identity-policies";

/// What stands before the field of a wrap context in a condition.
const CONTEXT: &str = "kms:EncryptionContext:cipherform:";

/// What can be asked of a KMS key.
macro_rules! actions {
    ($($name:ident)*) => {
        /// What can be asked of a KMS key, named as by AWS KMS: `kms:Decrypt`, …
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "AWS KMS documents them")]
        pub enum KmsAction {
            $($name,)*
        }

        impl KmsAction {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As it stands in policies.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("kms:", stringify!($name)),)*
                }
            }
        }
    };
}

actions! {
    Encrypt Decrypt GenerateDataKey DescribeKey Sign GetPublicKey
    EnableKey DisableKey RotateKeyOnDemand EnableKeyRotation ScheduleKeyDeletion CancelKeyDeletion
    GetParametersForImport ImportKeyMaterial DeleteImportedKeyMaterial
    CreateAlias UpdateAlias DeleteAlias GetKeyPolicy PutKeyPolicy
}

impl fmt::Display for KmsAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KmsAction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|action| action.as_str() == text);
        found.copied().ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|action| action.as_str()).collect();
            Error::bad_input("no such action").with_hint(format!("the actions are {}", all.join(", ")))
        })
    }
}

/// Statements about who may do what: the policy of a KMS key, or of an identity.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PolicyDocument {
    version: String,
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    effect: Effect,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
    action: Patterns,
    resource: Patterns,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<Operator, BTreeMap<String, Patterns>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Effect {
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
        self.iter().any(|pattern| matches(pattern, text))
    }
}

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
pub enum Decision {
    /// A statement allows it: its `Sid`, or its number.
    Allowed(String),
    /// A statement denies it, whatever others say.
    ExplicitDeny(String),
    /// No statement allows it.
    ImplicitDeny,
}

impl Decision {
    /// Whether it may be done.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(by) => write!(f, "allowed by {by}"),
            Self::ExplicitDeny(by) => write!(f, "denied by {by}"),
            Self::ImplicitDeny => f.write_str("denied: no statement allows it"),
        }
    }
}

/// Whether `request` is allowed by the policy of its key, and the policies that are attached to whoever asks.
pub fn evaluate(key: &PolicyDocument, identity: &[&PolicyDocument], request: &AccessRequest<'_>) -> Decision {
    let of_identity = || identity.iter().flat_map(|policy| policy.numbered("the identity's"));
    let denies = |(_, statement): &(String, &Statement)| statement.effect == Effect::Deny;
    let denied = key
        .numbered("the key's")
        .filter(|(_, statement)| statement.names(request.principal))
        .chain(of_identity())
        .filter(denies)
        .find(|(_, statement)| statement.covers(request));
    if let Some((by, _)) = denied {
        return Decision::ExplicitDeny(by);
    }
    let allows = |(_, statement): &(String, &Statement)| statement.effect == Effect::Allow && statement.covers(request);
    let directly = key
        .numbered("the key's")
        .filter(allows)
        .find(|(_, statement)| statement.names(request.principal));
    if let Some((by, _)) = directly {
        return Decision::Allowed(by);
    }
    let handed_on = key
        .numbered("the key's")
        .filter(allows)
        .any(|(_, statement)| statement.hands_on());
    match of_identity().find(allows) {
        Some((by, _)) if handed_on => Decision::Allowed(by),
        _ => Decision::ImplicitDeny,
    }
}

impl PolicyDocument {
    /// What a key has until somebody puts another one: whoever unlocks the KMS may do anything with it.
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

    /// Reads the policy of a key: each statement names its principals.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) that says what is wrong with it.
    pub fn parse_for_key(json: &[u8]) -> Result<Self> {
        Self::parse(json, true)
    }

    /// Reads the policy of an identity: no statement names a principal.
    ///
    /// # Errors
    ///
    /// As for [`parse_for_key`](Self::parse_for_key).
    pub fn parse_for_identity(json: &[u8]) -> Result<Self> {
        Self::parse(json, false)
    }

    fn parse(json: &[u8], with_principals: bool) -> Result<Self> {
        let policy: Self = serde_json::from_slice(json).map_err(|error| {
            // It says where.
            Error::bad_input("the policy is not understood")
                .with_source(error)
                .with_hint("statements have Sid, Effect, Principal, Action, Resource and Condition, and nothing else; the manual shows one")
        })?;
        if policy.version != VERSION {
            return Err(Error::bad_input("the policy has another version").with_hint(format!("write \"{VERSION}\"")));
        }
        for (name, statement) in policy.numbered("the") {
            statement.check(with_principals).map_err(|error| error.context(name))?;
        }
        Ok(policy)
    }

    /// Whether it has no statement at all.
    pub fn is_empty(&self) -> bool {
        self.statement.is_empty()
    }

    /// The statements, each with what it is called.
    fn numbered(&self, whose: &str) -> impl Iterator<Item = (String, &Statement)> {
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
    /// What the types do not say. A word that means nothing would allow, or deny, less than its writer thinks.
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
                return Err(Error::bad_input("there is no such principal").with_hint(format!(
                    "write \"*\", \"{IDENTITY_POLICIES}\", or {{ \"User\": \"ann@laptop\" }}"
                )));
            }
            _ => {}
        }
        let none = |pattern: &&str| !KmsAction::ALL.iter().any(|action| matches(pattern, action.as_str()));
        if self.action.iter().any(|pattern| none(&pattern)) {
            let all: Vec<_> = KmsAction::ALL.iter().map(|action| action.as_str()).collect();
            return Err(Error::bad_input("an action matches nothing there is")
                .with_hint(format!("the actions are {}", all.join(", "))));
        }
        let keys = self.condition.values().flat_map(BTreeMap::keys);
        for key in keys {
            if !["keyring", "data-key", "version", "use"]
                .iter()
                .any(|field| key.strip_prefix(CONTEXT) == Some(field))
            {
                return Err(
                    Error::bad_input("a condition is on something that there is not").with_hint(format!(
                        "conditions are on {CONTEXT}keyring, …:data-key, …:version and …:use"
                    )),
                );
            }
        }
        Ok(())
    }

    /// Whether it is about this principal.
    fn names(&self, principal: &str) -> bool {
        match &self.principal {
            Some(Principal::Name(name)) => name == "*",
            Some(Principal::Users(users)) => users.user.matches(principal),
            None => false,
        }
    }

    fn hands_on(&self) -> bool {
        matches!(&self.principal, Some(Principal::Name(name)) if name == IDENTITY_POLICIES)
    }

    /// Whether it is about this action on this key, in this context.
    fn covers(&self, request: &AccessRequest<'_>) -> bool {
        self.action.matches(request.action.as_str())
            && self.resource.matches(request.resource)
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter()
                    .all(|(key, values)| operator.holds(field(key, request.context).as_deref(), values))
            })
    }
}

impl Operator {
    /// Where the context has no such field, only what denies equality holds, as in AWS.
    fn holds(self, actual: Option<&str>, values: &Patterns) -> bool {
        let equal = || actual.is_some_and(|actual| values.iter().any(|value| value == actual));
        let like = || actual.is_some_and(|actual| values.matches(actual));
        match self {
            Self::Equals => equal(),
            Self::NotEquals => !equal(),
            Self::Like => like(),
            Self::NotLike => !like(),
        }
    }
}

fn field(key: &str, context: Option<&WrapContext>) -> Option<String> {
    let context = context?;
    match key.strip_prefix(CONTEXT)? {
        "keyring" => Some(context.keyring.to_string()),
        "data-key" => Some(context.data_key.to_string()),
        "version" => Some(context.version.to_string()),
        "use" => Some(context.key_use.clone()),
        _ => None,
    }
}

/// Whether `text` is what `pattern` says: `*` stands for any characters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut in_text) = (0, 0);
    // Where the last `*` was, and how far it has reached.
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            _ => match star {
                Some((star_at, reached)) => {
                    star = Some((star_at, reached + 1));
                    (at, in_text) = (star_at + 1, reached + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{DataKeyId, KeyVersionId, KeyringId};

    fn policy(statements: &str) -> PolicyDocument {
        let json = format!("{{ \"Version\": \"2012-10-17\", \"Statement\": [{statements}] }}");
        let for_key = PolicyDocument::parse_for_key(json.as_bytes());
        for_key
            .or_else(|_| PolicyDocument::parse_for_identity(json.as_bytes()))
            .unwrap()
    }

    fn context() -> WrapContext {
        WrapContext {
            keyring: KeyringId::from_bytes([1; 16]),
            data_key: DataKeyId::from_bytes([2; 16]),
            version: KeyVersionId::from_bytes([3; 16]),
            key_use: "derive".to_owned(),
        }
    }

    fn asks<'a>(principal: &'a str, action: KmsAction, context: Option<&'a WrapContext>) -> AccessRequest<'a> {
        AccessRequest {
            principal,
            action,
            resource: "local:main",
            context,
        }
    }

    const ANN: &str = r#"{ "Effect": "Allow", "Principal": { "User": "ann@laptop" }, "Action": ["kms:Decrypt", "kms:Get*"], "Resource": "*" }"#;

    #[test]
    fn deny_goes_before_allow_and_allow_before_nothing() {
        let deny =
            r#"{ "Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "kms:GetKeyPolicy", "Resource": "*" }"#;
        let ann = |policy: &PolicyDocument, action| evaluate(policy, &[], &asks("ann@laptop", action, None));
        let only = policy(ANN);
        assert_eq!(
            ann(&only, KmsAction::Decrypt),
            Decision::Allowed("the key's statement 1".to_owned())
        );
        assert!(ann(&only, KmsAction::GetKeyPolicy).is_allowed());
        assert_eq!(ann(&only, KmsAction::Encrypt), Decision::ImplicitDeny);
        assert_eq!(
            evaluate(&only, &[], &asks("bob@laptop", KmsAction::Decrypt, None)),
            Decision::ImplicitDeny
        );
        for both in [format!("{ANN}, {deny}"), format!("{deny}, {ANN}")] {
            let both = policy(&both);
            assert_eq!(
                ann(&both, KmsAction::GetKeyPolicy),
                Decision::ExplicitDeny("the key's statement `no`".to_owned())
            );
            assert!(ann(&both, KmsAction::Decrypt).is_allowed());
        }
        let everybody = PolicyDocument::everybody();
        for action in KmsAction::ALL {
            assert!(evaluate(&everybody, &[], &asks("anybody", *action, None)).is_allowed());
            assert_eq!(
                evaluate(&policy(""), &[], &asks("anybody", *action, None)),
                Decision::ImplicitDeny
            );
        }
    }

    #[test]
    fn an_identity_gets_what_the_key_hands_on_and_no_more() {
        let allow = policy(r#"{ "Effect": "Allow", "Action": "kms:*", "Resource": "local:*" }"#);
        let deny = policy(r#"{ "Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*" }"#);
        let elsewhere = policy(r#"{ "Effect": "Allow", "Action": "kms:*", "Resource": "local:other" }"#);
        let hands_on = policy(
            r#"{ "Effect": "Allow", "Principal": "identity-policies", "Action": ["kms:Decrypt", "kms:Encrypt"], "Resource": "*" }"#,
        );
        let decrypt = asks("bob@laptop", KmsAction::Decrypt, None);
        let allowed =
            |key: &PolicyDocument, identity: &[&PolicyDocument]| evaluate(key, identity, &decrypt).is_allowed();
        assert!(allowed(&hands_on, &[&allow]));
        assert!(!allowed(&hands_on, &[]));
        assert!(!allowed(&hands_on, &[&elsewhere]));
        assert!(!allowed(&hands_on, &[&allow, &deny]));
        assert!(
            !allowed(&policy(ANN), &[&allow]),
            "a key whose policy does not name you is closed to you"
        );
        assert!(!evaluate(&PolicyDocument::everybody(), &[&deny], &decrypt).is_allowed());
        let disable = asks("bob@laptop", KmsAction::DisableKey, None);
        assert!(!evaluate(&hands_on, &[&allow], &disable).is_allowed());
    }

    #[test]
    fn conditions_are_on_the_context() {
        let when = |condition: &str| {
            policy(&format!(
                r#"{{ "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": {{ {condition} }} }}"#
            ))
        };
        let (context, keyring) = (context(), KeyringId::from_bytes([1; 16]));
        for (condition, with, without) in [
            (format!(r#""StringEquals": {{ "kms:EncryptionContext:cipherform:keyring": "{keyring}" }}"#), true, false),
            (r#""StringEquals": { "kms:EncryptionContext:cipherform:use": ["x", "derive"] }"#.to_owned(), true, false),
            (r#""StringEquals": { "kms:EncryptionContext:cipherform:use": "der*" }"#.to_owned(), false, false),
            (r#""StringLike": { "kms:EncryptionContext:cipherform:use": "der*" }"#.to_owned(), true, false),
            (r#""StringNotEquals": { "kms:EncryptionContext:cipherform:use": "derive" }"#.to_owned(), false, true),
            (r#""StringNotLike": { "kms:EncryptionContext:cipherform:use": "direct-*" }"#.to_owned(), true, true),
            (
                r#""StringLike": { "kms:EncryptionContext:cipherform:use": "*", "kms:EncryptionContext:cipherform:version": "ff*" }"#.to_owned(),
                false,
                false,
            ),
        ] {
            let policy = when(&condition);
            let decrypt = |context| evaluate(&policy, &[], &asks("ann", KmsAction::Decrypt, context)).is_allowed();
            assert_eq!((decrypt(Some(&context)), decrypt(None)), (with, without), "{condition}");
        }
    }

    #[test]
    fn what_would_mean_nothing_is_refused() {
        let parse = |statement: &str| {
            let json = format!("{{ \"Version\": \"2012-10-17\", \"Statement\": [{statement}] }}");
            PolicyDocument::parse_for_key(json.as_bytes())
        };
        parse(ANN).unwrap();
        for (from, to) in [
            ("kms:Decrypt", "kms:Decript"),
            ("kms:Get*", "s3:*"),
            ("Allow", "Maybe"),
            ("\"Action\"", "\"NotAction\""),
            ("{ \"User\": \"ann@laptop\" }", "\"ann@laptop\""),
            ("{ \"User\": \"ann@laptop\" }", "{ \"AWS\": \"ann\" }"),
            ("\"Principal\": { \"User\": \"ann@laptop\" }, ", ""),
            (
                "\"Resource\": \"*\"",
                "\"Resource\": \"*\", \"Condition\": { \"Bool\": { \"x\": \"true\" } }",
            ),
            (
                "\"Resource\": \"*\"",
                "\"Resource\": \"*\", \"Condition\": { \"StringEquals\": { \"aws:x\": \"y\" } }",
            ),
        ] {
            let changed = ANN.replacen(from, to, 1);
            assert_ne!(changed, ANN);
            let error = parse(&changed).unwrap_err();
            assert!(error.hint().is_some(), "{error:?}");
        }
        assert!(PolicyDocument::parse_for_key(br#"{ "Version": "2008-10-17", "Statement": [] }"#).is_err());
        assert!(
            PolicyDocument::parse_for_identity(
                format!(r#"{{ "Version": "2012-10-17", "Statement": [{ANN}] }}"#).as_bytes()
            )
            .is_err()
        );
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*@host", "ann@host", true),
            ("*a*b*", "xaxbx", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("**", "x", true),
            ("kms:*", "kms:Decrypt", true),
            ("KMS:*", "kms:Decrypt", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
