//! `cipherform keys trust`

use std::path::Path;

use serde_json::json;

use crate::Result;
use crate::cli::args::ListFormat;
use crate::cli::report::Report;
use crate::keys::{Keyring, KmsKeyRef};

/// Prints the entry of a policy that pins the keyring.
pub(super) fn run(keyring: &Keyring, report: &Report<'_>) -> Result<()> {
    let kms = Keyring::kms_keys(keyring.path())?;
    match report.format {
        ListFormat::Table => report.printer.line(entry("main", keyring)?.trim_end()),
        ListFormat::Json => report.json(&json!({
            "keyring": keyring.id().to_string(),
            "root": [keyring.root_check()?],
            "kms": named(&kms),
        })),
    }
}

/// The entry called `name` of a policy, in TOML.
pub(in crate::cli) fn entry(name: &str, keyring: &Keyring) -> Result<String> {
    let kms = Keyring::kms_keys(Path::new(keyring.path()))?;
    let kms: Vec<String> = named(&kms).into_iter().map(|key| format!("{key:?}")).collect();
    Ok(format!(
        "[trust.{name}]\nkeyring = \"{}\"\nroot = [\"{}\"]\nkms = [{}]\n",
        keyring.id(),
        keyring.root_check()?,
        kms.join(", ")
    ))
}

fn named(kms: &[KmsKeyRef]) -> Vec<&str> {
    kms.iter().map(KmsKeyRef::as_str).collect()
}
