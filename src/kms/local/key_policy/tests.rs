//! Tests of key policies.

use super::access::{AccessDecision, AccessRequest};
use super::action::KmsAction;
use super::evaluate::evaluate;
use super::pattern::wildcard_match;
use super::policy::KeyPolicy;
use crate::keys::{DataKeyId, KeyVersionId, KeyringId, WrapContext};

fn policy(statements: &str) -> KeyPolicy {
    let json = format!("{{ \"Version\": \"2012-10-17\", \"Statement\": [{statements}] }}");
    let for_key = KeyPolicy::parse_for_key(json.as_bytes());
    for_key
        .or_else(|_| KeyPolicy::parse_for_identity(json.as_bytes()))
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

const ANN: &str = r#"{ "Effect": "Allow",
    "Principal": { "User": "ann@laptop" }, "Action": ["kms:Decrypt", "kms:Get*"], "Resource": "*" }"#;

#[test]
fn deny_goes_before_allow_and_allow_before_nothing() {
    let deny = r#"{ "Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "kms:GetKeyPolicy", "Resource": "*" }"#;
    let ann = |policy: &KeyPolicy, action| evaluate(policy, &[], &asks("ann@laptop", action, None));
    let only = policy(ANN);
    assert_eq!(
        ann(&only, KmsAction::Decrypt),
        AccessDecision::Allowed("the key's statement 1".to_owned())
    );
    assert!(ann(&only, KmsAction::GetKeyPolicy).is_allowed());
    assert_eq!(ann(&only, KmsAction::Encrypt), AccessDecision::ImplicitDeny);
    assert_eq!(
        evaluate(&only, &[], &asks("bob@laptop", KmsAction::Decrypt, None)),
        AccessDecision::ImplicitDeny
    );
    // The order of statements must not matter.
    for both in [format!("{ANN}, {deny}"), format!("{deny}, {ANN}")] {
        let both = policy(&both);
        assert_eq!(
            ann(&both, KmsAction::GetKeyPolicy),
            AccessDecision::ExplicitDeny("the key's statement `no`".to_owned())
        );
        assert!(ann(&both, KmsAction::Decrypt).is_allowed());
    }
    let everybody = KeyPolicy::everybody();
    for action in KmsAction::ALL {
        assert!(evaluate(&everybody, &[], &asks("anybody", *action, None)).is_allowed());
        assert_eq!(
            // A policy without statements allows nothing.
            evaluate(&policy(""), &[], &asks("anybody", *action, None)),
            AccessDecision::ImplicitDeny
        );
    }
}

#[test]
fn an_identity_gets_what_the_key_hands_on_and_no_more() {
    let allow = policy(r#"{ "Effect": "Allow", "Action": "kms:*", "Resource": "local:*" }"#);
    let deny = policy(r#"{ "Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*" }"#);
    let elsewhere = policy(r#"{ "Effect": "Allow", "Action": "kms:*", "Resource": "local:other" }"#);
    let hands_on = policy(
        r#"{ "Effect": "Allow", "Principal": "identity-policies", "Action": ["kms:Decrypt", "kms:Encrypt"],
        "Resource": "*" }"#,
    );
    let decrypt = asks("bob@laptop", KmsAction::Decrypt, None);
    let allowed = |key: &KeyPolicy, identity: &[&KeyPolicy]| evaluate(key, identity, &decrypt).is_allowed();
    assert!(allowed(&hands_on, &[&allow]));
    assert!(!allowed(&hands_on, &[]));
    assert!(!allowed(&hands_on, &[&elsewhere]));
    assert!(!allowed(&hands_on, &[&allow, &deny]));
    assert!(
        !allowed(&policy(ANN), &[&allow]),
        "a key whose policy does not name you is closed to you"
    );
    assert!(!evaluate(&KeyPolicy::everybody(), &[&deny], &decrypt).is_allowed());
    // The identity's policy allows it, but the key hands on two other actions only.
    let disable = asks("bob@laptop", KmsAction::DisableKey, None);
    assert!(!evaluate(&hands_on, &[&allow], &disable).is_allowed());
}

#[test]
fn conditions_are_on_the_context() {
    let when = |condition: &str| {
        policy(&format!(
            r#"{{ "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
        "Condition": {{ {condition} }} }}"#
        ))
    };
    let (context, keyring) = (context(), KeyringId::from_bytes([1; 16]));
    for (condition, with, without) in [
        (
            format!(r#""StringEquals": {{ "kms:EncryptionContext:cipherform:keyring": "{keyring}" }}"#),
            true,
            false,
        ),
        (
            r#""StringEquals": { "kms:EncryptionContext:cipherform:use": ["x", "derive"] }"#.to_owned(),
            true,
            false,
        ),
        (
            r#""StringEquals": { "kms:EncryptionContext:cipherform:use": "der*" }"#.to_owned(),
            false,
            false,
        ),
        (
            r#""StringLike": { "kms:EncryptionContext:cipherform:use": "der*" }"#.to_owned(),
            true,
            false,
        ),
        (
            r#""StringNotEquals": { "kms:EncryptionContext:cipherform:use": "derive" }"#.to_owned(),
            false,
            true,
        ),
        (
            r#""StringNotLike": { "kms:EncryptionContext:cipherform:use": "direct-*" }"#.to_owned(),
            true,
            true,
        ),
        (
            r#""StringLike": { "kms:EncryptionContext:cipherform:use": "*",
        "kms:EncryptionContext:cipherform:version": "ff*" }"#
                .to_owned(),
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
        KeyPolicy::parse_for_key(json.as_bytes())
    };
    parse(ANN).unwrap();
    for (from, to) in [
        // One mistake each: action, service, effect, field, principals, operator, condition key.
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
    assert!(KeyPolicy::parse_for_key(br#"{ "Version": "2008-10-17", "Statement": [] }"#).is_err());
    assert!(
        KeyPolicy::parse_for_identity(format!(r#"{{ "Version": "2012-10-17", "Statement": [{ANN}] }}"#).as_bytes())
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
        // Needs more than one way back.
        ("*a*b*", "xaxbx", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("**", "x", true),
        ("kms:*", "kms:Decrypt", true),
        // Actions have one spelling here.
        ("KMS:*", "kms:Decrypt", false),
    ] {
        assert_eq!(wildcard_match(pattern, text), expected, "{pattern} {text}");
    }
}
