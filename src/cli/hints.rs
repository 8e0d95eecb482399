//! Hints in the words of the command line: each remedy with the command or the argument for it.

use crate::{Hint, HintPart, Remedy};

/// Words a hint, with the commands of `cipherform` for its remedies.
// The library names a remedy; each face words it, since Python and SQL have other words.
pub(super) fn words(hint: &Hint) -> String {
    let mut text = String::new();
    for part in hint.parts() {
        match part {
            HintPart::Text(words) => text.push_str(words),
            HintPart::Remedy(remedy) => text.push_str(&format!("{remedy}: `{}`", command(remedy))),
        }
    }
    text
}

/// Returns the command, or the argument, for a remedy.
fn command(remedy: &Remedy) -> String {
    let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "NAME".to_owned());
    let kms_key = |key: &Option<String>| key.clone().unwrap_or_else(|| "local:NAME".to_owned());
    // Exhaustive, so that a new remedy cannot be without words here.
    match remedy {
        Remedy::Initialize => "cipherform init".to_owned(),
        Remedy::NamePolicy => "--policy FILE".to_owned(),
        Remedy::CreateKey(name) => format!("cipherform keys create {}", named(name)),
        Remedy::CreateFf1Key => "cipherform keys create NAME --use direct-ff1-256".to_owned(),
        Remedy::DescribeKey(name) => format!("cipherform keys describe {name}"),
        Remedy::NameKeyVersion => "--key-version N".to_owned(),
        Remedy::ListKeys => "cipherform keys list".to_owned(),
        Remedy::RotateKey(name) => format!("cipherform keys rotate {name}"),
        Remedy::ActivateVersion(version) => format!("cipherform keys activate {version}"),
        Remedy::ResumeVersion(version) => format!("cipherform keys resume {version}"),
        Remedy::ChangePeriods(name) => format!("cipherform keys periods {name}"),
        Remedy::ChangeLimit { key, values: None } => format!("cipherform keys limit {key}"),
        Remedy::ChangeLimit {
            key,
            values: Some(values),
        } => {
            format!("cipherform keys limit {key} --values {values} --reason …")
        }
        Remedy::RewrapKeys => "cipherform keys rewrap --to KMS-KEY".to_owned(),
        Remedy::ImportVersion(name) => format!("cipherform keys import FILE --name {name}"),
        Remedy::ShowPublicKey => "cipherform keys public-key".to_owned(),
        Remedy::NameAuthority => "--ca ca.pem".to_owned(),
        // An example, since reasons that say nothing are refused or useless.
        Remedy::GiveReason => "--reason 'staff change'".to_owned(),
        Remedy::ReplaceOutput => "--force".to_owned(),
        Remedy::ReindexTokens => "cipherform tokens reindex".to_owned(),
        Remedy::ShowTokenStats => "cipherform tokens stats".to_owned(),
        Remedy::VerifyAuditLog => "cipherform keys audit verify".to_owned(),
        Remedy::AdoptAuditLog => "cipherform keys audit adopt --reason …".to_owned(),
        Remedy::MakeBackup => "cipherform keys backup --to FILE".to_owned(),
        Remedy::RestoreBackup => "cipherform keys restore".to_owned(),
        Remedy::NameLocalKms => "--local-kms FILE".to_owned(),
        Remedy::CreateKmsKey { external: true, .. } => "cipherform kms create NAME --origin external".to_owned(),
        Remedy::CreateKmsKey { spec: None, .. } => "cipherform kms create NAME".to_owned(),
        Remedy::CreateKmsKey { spec: Some(spec), .. } => format!("cipherform kms create NAME --spec {spec}"),
        Remedy::EnableKmsKey(key) => format!("cipherform kms enable {key}"),
        Remedy::CancelDeletion(key) => format!("cipherform kms cancel-deletion {key}"),
        Remedy::RotateKmsKey(key) => format!("cipherform kms rotate {}", kms_key(key)),
        Remedy::ImportMaterial(key) => format!("cipherform kms get-parameters-for-import {}", kms_key(key)),
        Remedy::CreateAlias(alias) => format!("cipherform kms alias create {} --to local:NAME", named(alias)),
        Remedy::MoveAlias { alias, to } => {
            format!("cipherform kms alias update {} --to {}", named(alias), kms_key(to))
        }
        Remedy::ReadKeyPolicy(key) => format!("cipherform kms policy get {key}"),
        Remedy::ReadIdentityPolicy(identity) => format!("cipherform kms policy get --identity '{identity}'"),
        Remedy::BypassLockoutCheck => "--bypass-lockout-check".to_owned(),
        Remedy::UsePbkdf2 => "cipherform kms passphrase --kdf pbkdf2".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_has_its_command() {
        let hint = Hint::from("if the clock is wrong, set it right; else ").then(Remedy::RotateKey("pii".to_owned()));
        assert_eq!(
            words(&hint),
            "if the clock is wrong, set it right; else give key `pii` a new version: `cipherform keys rotate pii`"
        );
    }
}
