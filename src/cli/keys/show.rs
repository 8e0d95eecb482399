//! `cipherform keys list | describe`

use serde_json::json;

use super::{Told, kms_key};
use crate::Result;
use crate::cli::args::ListFormat;
use crate::keys::{KeyInfo, KeyName, Keyring, KmsKeyInfo, Operation};
use crate::kms::LocalKms;

/// The data keys; behind them the KMS keys of `local`, if a data key needed it.
pub(super) fn list(keyring: &Keyring, local: Option<&LocalKms>, told: &Told<'_>) -> Result<()> {
    let kms_keys = local.map(LocalKms::list).transpose()?.unwrap_or_default();
    if told.format == ListFormat::Json {
        keyring.list().iter().try_for_each(|key| told.json(key))?;
        return kms_keys.iter().try_for_each(|key| kms_key::json(key, told));
    }
    let mut rows = vec![["KEY", "USE", "ACTIVE VERSION", "VERSIONS", "CREATED", "KMS KEY"].map(String::from)];
    rows.extend(keyring.list().iter().map(row));
    told.printer.table(&rows)?;
    if kms_keys.is_empty() {
        return Ok(());
    }
    told.printer.line("")?;
    kms_key::table(&kms_keys, told)
}

/// What a KMS says of its key.
pub(super) fn of_kms(kms: KmsKeyInfo, told: &Told<'_>) -> Result<()> {
    let created = kms.created.map(|created| created.to_string());
    for (what, said) in [
        ("manager", Some(kms.manager)),
        ("id", Some(kms.id)),
        ("state", Some(kms.state.to_string())),
        ("usage", kms.usage),
        ("origin", kms.origin),
        ("rotation", kms.rotation),
        ("created", created),
    ] {
        if let Some(said) = said {
            told.printer.line(format_args!("  {what:<14} {said}"))?;
        }
    }
    Ok(())
}

fn row(key: &KeyInfo) -> [String; 6] {
    let active = key
        .versions
        .iter()
        .rev()
        .find(|version| version.state.may(Operation::Protect));
    [
        key.name.to_string(),
        key.key_use.to_string(),
        active.map_or("none".to_owned(), |version| version.number.to_string()),
        key.versions.len().to_string(),
        key.created.to_string(),
        key.kms_key.to_string(),
    ]
}

pub(super) async fn describe(keyring: &Keyring, name: &KeyName, told: &Told<'_>) -> Result<()> {
    let key = keyring.describe(name)?;
    let kms = keyring.describe_kms_key(&key.kms_key).await?;
    if told.format == ListFormat::Json {
        return told.json(&json!({ "key": key, "kms": kms }));
    }
    let printer = told.printer;
    let limit = key.values_limit.map_or("none".to_owned(), |limit| limit.to_string());
    for (what, said) in [
        ("key", key.name.to_string()),
        ("id", key.id.to_string()),
        ("use", key.key_use.to_string()),
        ("created", key.created.to_string()),
        (
            "periods",
            format!(
                "protects {} days, reveals {} days from activation on",
                key.periods.originator_days, key.periods.recipient_days
            ),
        ),
        ("limit of values", limit),
        ("kms key", key.kms_key.to_string()),
    ] {
        printer.line(format_args!("{what:<16} {said}"))?;
    }
    of_kms(kms, told)?;
    printer.line("")?;
    let mut rows = vec![["VERSION", "STATE", "ACTIVATED", "PROTECTS UNTIL", "REVEALS UNTIL", "ID"].map(String::from)];
    let time = |time: Option<crate::keys::Timestamp>| time.map_or("-".to_owned(), |time| time.to_string());
    rows.extend(key.versions.iter().map(|version| {
        [
            version.number.to_string(),
            version.state.to_string(),
            time(version.activated),
            time(version.protects_until),
            time(version.reveals_until),
            version.id.to_string(),
        ]
    }));
    printer.table(&rows)?;
    // It is the same for all versions.
    let from = key
        .versions
        .iter()
        .find_map(|version| Some((version.only_for.as_ref()?, &version.sender)));
    if let Some((map, sender)) = from {
        printer.line("")?;
        printer.line("from a partner, for one rule:")?;
        printer.line(format_args!("  domain = \"{}\"", map.domain))?;
        printer.line(format_args!("  format: {}", map.format))?;
        printer.line(format_args!("  tweak: {}", map.tweak))?;
        if let Some(sender) = sender {
            printer.line(format_args!("  sender: {sender}"))?;
        }
    }
    let changes = key.versions.iter().flat_map(|version| {
        let number = version.number;
        version.history.iter().map(move |change| (number, change))
    });
    let mut rows = vec![["VERSION", "WHEN", "FROM", "TO", "WHO", "WHY"].map(String::from)];
    rows.extend(changes.map(|(number, change)| {
        [
            number.to_string(),
            change.time.to_string(),
            change.from.to_string(),
            change.to.to_string(),
            change.who.clone(),
            change.reason.to_string(),
        ]
    }));
    if rows.len() > 1 {
        printer.line("")?;
        printer.table(&rows)?;
    }
    Ok(())
}
