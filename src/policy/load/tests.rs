//! Tests of reading policies.

use std::path::Path;

use crate::policy::{Grant, OnForgotten, Policy, Tweak, Unlisted};
use crate::tokens::StoreUrl;

const GOOD: &str = r#"version = 1
keyring = "keys/keyring.json"
unlisted = "error"

[rules.card]
format = "pan"
key = "pii"

[rules.custkey]
format = { type = "integer", min = 1, max = 999_999_999 }
key = "pii@3"
domain = "customer-key"

[rules.phone]
format = { type = "digits", keep = [2, 0] }
key = "pii"
tweak = { column = "region" }
mask = { keep_last = 2 }

[columns]
"customer.c_custkey" = "custkey"
"*_phone" = "phone"

[roles.analyst]
card = "masked"
"*" = "denied"
"#;

fn error(text: &str) -> String {
    let error = Policy::parse(text, Path::new("p.toml")).expect_err("a bad policy");
    assert_eq!(error.kind(), crate::ErrorKind::BadPolicy);
    error.to_string()
}

#[test]
fn the_documented_policy_loads() {
    let policy = Policy::parse(GOOD, Path::new("/etc/cf/policy.toml")).expect("good");
    assert_eq!(policy.keyring, Path::new("/etc/cf/keys/keyring.json"));
    assert_eq!(policy.unlisted, Unlisted::Error);
    let phone = policy.rule("phone").expect("rule");
    assert_eq!(phone.tweak, Tweak::Column("region".into()));
    assert_eq!((phone.mask.keep_last, phone.mask.with), (2, '*'));
    assert_eq!(phone.domain, "phone");
    let custkey = policy.rule("custkey").expect("rule");
    assert_eq!(custkey.domain, "customer-key");
    assert_eq!(custkey.key.to_string(), "pii@3");
    assert_eq!(policy.grant(Some("analyst"), "card").expect("role"), Grant::Masked);
    assert_eq!(policy.grant(Some("analyst"), "phone").expect("role"), Grant::Denied);
    assert_eq!(policy.grant(None, "phone").expect("no role"), Grant::Plain);
    // A misspelt role is not the trusted case without one.
    assert!(policy.grant(Some("nobody"), "phone").is_err());
}

#[test]
fn errors_say_file_line_and_column() {
    for (from, to, at, what) in [
        ("unlisted = \"error\"", "unlist = \"error\"", "p.toml:3:1", "unlist"),
        ("version = 1", "version = 2", "p.toml:1:11", "version = 2"),
        ("\"pan\"", "\"pam\"", "p.toml:6:10", "no format is called `pam`"),
        ("key = \"pii@3\"", "key = \"pii@x\"", "p.toml:11:7", ""),
        ("max = 999_999_999", "max = 0", "p.toml:10:10", "not below"),
        ("keep = [2, 0]", "kepe = [2, 0]", "p.toml:15:10", "kepe"),
        ("{ column = \"region\" }", "\"nine\"", "p.toml:17:9", "tweak"),
        (
            "{ column = \"region\" }",
            "{ hex = \"abc\" }",
            "p.toml:17:9",
            "hexadecimal",
        ),
        ("= \"phone\"", "= \"fone\"", "p.toml:22:13", "no rule `fone`"),
        (
            "card = \"masked\"",
            "cart = \"masked\"",
            "p.toml:25:1",
            "no rule `cart`",
        ),
        ("\"masked\"", "\"maskd\"", "p.toml:25:8", "maskd"),
        ("\"masked\"", "{ se = \"masked\" }", "p.toml:25:10", "se"),
        (
            "\"masked\"",
            "{ see = \"masked\", protect = true }",
            "p.toml:25:1",
            "right to reveal",
        ),
        ("\"masked\"", "7", "p.toml:25:8", "protect = true"),
        ("domain = \"customer-key\"", "domain = \"\"", "p.toml:12:10", "empty"),
        (
            "format = \"pan\"",
            "format = \"pan\"\ntreatment = \"rot13\"",
            "p.toml:7:13",
            "rot13",
        ),
    ] {
        // A case whose text is not in the policy would change nothing, and so test nothing.
        assert!(GOOD.contains(from), "{from}");
        let message = error(&GOOD.replacen(from, to, 1));
        assert!(
            message.starts_with(&format!("{at}: ")),
            "{message} should start with {at}"
        );
        assert!(message.contains(what), "{message} should contain {what}");
    }
}

#[test]
fn values_left_in_the_clear_must_be_told_from_protected_ones() {
    // Protected values of this rule fail Luhn, as do those that are left in the clear.
    let invalid = "format = { type = \"pan\", check_digit = \"invalid\" }";
    let text = GOOD.replacen(
        "format = \"pan\"",
        &format!("{invalid}\non_invalid = \"insecure-keep\""),
        1,
    );
    assert!(error(&text).starts_with("p.toml:6:10: rule `card`: on_invalid"));
}

#[test]
fn keep_and_drop_are_no_rules() {
    assert!(error(&GOOD.replacen("[rules.card]", "[rules.keep]", 1)).contains("cannot be called `keep`"));
}

const TOKENS: &str = r#"version = 1
keyring = "k"
tokens = "sqlite:tokens.db"

[rules.account]
treatment = "tokenize"
format = "opaque"
key = "pii"
ttl = "90 days"
never_valid_as = ["card"]

[rules.card]
treatment = "tokenize"
format = "pan"
key = "pii"
tokens = "postgres://db/tokens"
per_occurrence = true
on_forgotten = "keep"
"#;

#[test]
fn rules_that_tokenize() {
    let policy = Policy::parse(TOKENS, Path::new("/etc/p.toml")).expect("good");
    let account = policy.rule("account").expect("rule").tokens.clone().expect("tokens");
    assert_eq!(account.store, StoreUrl::Sqlite("/etc/tokens.db".into()));
    assert_eq!(account.ttl, Some(std::time::Duration::from_secs(90 * 86_400)));
    assert_eq!(account.never_valid_as.len(), 1);
    let card = policy.rule("card").expect("rule").tokens.clone().expect("tokens");
    assert!(card.per_occurrence && card.on_forgotten == OnForgotten::Keep);
    assert_eq!(card.store.to_string(), "postgres://db/tokens");
}

#[test]
fn what_only_some_treatments_have() {
    for (rule, what) in [
        ("", "names no format"),
        ("format = \"opaque\"", "for treatments that keep no format"),
        ("treatment = \"hash\"\nbits = 64", "bits is 128 to 256"),
        ("treatment = \"hash\"\nbits = 130", "in whole bytes"),
        (
            "format = \"digits\"\nbits = 128",
            "bits is for rules with treatment = \"hash\"",
        ),
        ("treatment = \"shift\"\nformat = \"date\"", "whose dates move together"),
        (
            "treatment = \"shift\"\nformat = \"date\"\nentity = \"id\"\ndays = 0",
            "days is 1 to 36500",
        ),
        (
            "treatment = \"shift\"\nformat = \"date\"\nentity = \"id\"\ntweak = \"none\"",
            "takes no tweak",
        ),
        ("treatment = \"shift\"\nentity = \"id\"", "names no format"),
        ("treatment = \"bucket\"", "what a bucket is"),
        ("treatment = \"bucket\"\nbucket = { width = 0 }", "a bucket of nothing"),
        ("treatment = \"bucket\"\nbucket = { edges = [] }", "a bucket of nothing"),
        (
            "format = \"digits\"\nbucket = { width = 10 }",
            "bucket is for rules with treatment = \"bucket\"",
        ),
        (
            "treatment = \"encrypt-legacy\"\nformat = \"digits\"",
            "a tweak of 56 bits",
        ),
        (
            "treatment = \"encrypt-legacy\"\nformat = \"digits\"\ntweak = { hex = \"00\" }",
            "a tweak of 56 bits",
        ),
        (
            "format = \"digits\"\ninsecure_legacy = \"a reason\"",
            "insecure_legacy is for rules",
        ),
        (
            "treatment = \"encrypt-legacy\"\nformat = \"digits\"\ntweak = { hex = \"00000000000000\" \
             }\ninsecure_legacy = \" \"",
            "insecure_legacy takes the reason",
        ),
        (
            "treatment = \"hash\"\nversion_character = true",
            "version_character is for rules",
        ),
        (
            "format = \"digits\"\nversion_character = true\non_invalid = \"insecure-keep\"",
            "version_character does not go with",
        ),
        (
            "treatment = \"siv\"\non_short = \"band\"",
            "on_short = \"band\" is for rules",
        ),
        ("format = \"pan\"\non_short = \"band\"", "does not go with this format"),
    ] {
        let message = error(&format!(
            "version = 1\nkeyring = \"k\"\n[rules.r]\nkey = \"pii\"\n{rule}\n"
        ));
        assert!(message.starts_with("p.toml:"), "{message}");
        assert!(message.contains(what), "{rule}: {message} should contain {what}");
    }
    for rule in ["hash", "siv", "mask", "drop"] {
        let text = format!("version = 1\nkeyring = \"k\"\n[rules.r]\nkey = \"pii\"\ntreatment = \"{rule}\"\n");
        assert!(Policy::parse(&text, Path::new("p.toml")).is_ok(), "{rule}");
    }
}

#[test]
fn what_only_tokens_have_and_what_they_do_not_have() {
    for (from, to, at, what) in [
        (
            "tokens = \"sqlite:tokens.db\"\n",
            "",
            "p.toml:6:10",
            "where its tokens are kept",
        ),
        ("sqlite:tokens.db", "mysql:x", "p.toml:3:10", "no URL of a token store"),
        ("//db/", "//u:pw@db/", "p.toml:16:10", "no place for the password"),
        ("90 days", "soon", "p.toml:9:7", "time to live"),
        ("[\"card\"]", "[\"cart\"]", "p.toml:10:18", "no rule `cart`"),
        ("ttl = \"90 days\"", "tweak = \"none\"", "p.toml:9:9", "takes no tweak"),
        (
            "treatment = \"tokenize\"\nformat = \"pan\"",
            "format = \"pan\"",
            "p.toml:15:10",
            "treatment",
        ),
        (
            "treatment = \"tokenize\"\nformat = \"opaque\"\nkey = \"pii\"\nttl = \"90 days\"\nnever_valid_as = \
             [\"card\"]",
            "format = \"opaque\"\nkey = \"pii\"",
            "p.toml:6:10",
            "opaque",
        ),
        (
            "tokens = \"postgres://db/tokens\"",
            "domain = \"account\"",
            "p.toml:14:10",
            "per occurrence",
        ),
        (
            "tokens = \"postgres://db/tokens\"\nper_occurrence = true",
            "domain = \"account\"",
            "p.toml:14:10",
            "share a domain of tokens, and they have unlike formats",
        ),
    ] {
        assert!(TOKENS.contains(from), "{from}");
        let message = error(&TOKENS.replacen(from, to, 1));
        assert!(
            message.starts_with(&format!("{at}: ")),
            "{message} should start with {at}"
        );
        assert!(message.contains(what), "{message} should contain {what}");
    }
}

#[test]
fn an_override_of_the_floor_takes_a_reason() {
    // A space is no reason.
    let text = GOOD.replacen("key = \"pii\"", "key = \"pii\"\ninsecure_small_domain = \" \"", 1);
    assert!(error(&text).contains("reason"));
}
