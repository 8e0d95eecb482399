//! `cipherform keys list | describe`

use serde_json::json;

use crate::Result;
use crate::cipher::Direction;
use crate::cli::args::ListFormat;
use crate::cli::report::Report;
use crate::keys::{KeyInfo, KeyName, Keyring};

/// Lists the data keys.
pub(super) fn list(keyring: &Keyring, report: &Report<'_>) -> Result<()> {
    if report.format == ListFormat::Json {
        return keyring.list().iter().try_for_each(|key| report.json(key));
    }
    let mut rows = vec![["KEY", "USE", "ACTIVE VERSION", "VERSIONS", "CREATED", "KMS KEY"].map(String::from)];
    rows.extend(keyring.list().iter().map(row));
    report.printer.table(&rows)
}

fn row(key: &KeyInfo) -> [String; 6] {
    let active = key
        .versions
        .iter()
        // From the newest back: that is the one that protects.
        .rev()
        .find(|version| version.state.may(Direction::Encrypt));
    [
        key.name.to_string(),
        key.key_use.to_string(),
        active.map_or("none".to_owned(), |version| version.number.to_string()),
        key.versions.len().to_string(),
        key.created.to_string(),
        key.kms_key.to_string(),
    ]
}

pub(super) async fn describe(keyring: &Keyring, name: &KeyName, report: &Report<'_>) -> Result<()> {
    let key = keyring.describe(name)?;
    // The KMS is asked, so what is shown is its state now.
    let kms = keyring.describe_kms_key(&key.kms_key).await?;
    if report.format == ListFormat::Json {
        return report.json(&json!({ "key": key, "kms": kms }));
    }
    let printer = report.printer;
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
    report.kms_key(kms)?;
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
    // Only with changes beside the header.
    if rows.len() > 1 {
        printer.line("")?;
        printer.table(&rows)?;
    }
    Ok(())
}
