//! `cipherform kms list | describe | public-key`

use serde_json::json;

use super::change::json_line;
use super::material::public_key_pem;
use crate::Result;
use crate::cli::args::{KeyArgs, ListFormat};
use crate::cli::report::Report;
use crate::cli::session;
use crate::keys::{KeyName, KmsKeyRef, Sender, Timestamp};
use crate::kms::{KmsKeySpec, LocalKeyInfo, LocalKms};
use crate::policy::Policy;

/// Lists the keys of the local KMS.
pub(super) fn list(local: &LocalKms, report: &Report<'_>) -> Result<()> {
    let keys = local.list()?;
    if report.format == ListFormat::Json {
        return keys.iter().try_for_each(|key| json_line(key, report));
    }
    let mut rows = vec![
        [
            "KMS KEY", "STATE", "USAGE", "ORIGIN", "MATERIAL", "ROTATION", "CREATED", "ALIASES",
        ]
        .map(String::from),
    ];
    rows.extend(keys.iter().map(|key| {
        let aliases: Vec<_> = key.aliases.iter().map(KeyName::as_str).collect();
        [
            KmsKeyRef::local(&key.name).to_string(),
            key.state.to_string(),
            key.usage.to_string(),
            key.origin.to_string(),
            key.material.len().to_string(),
            rotation(key),
            key.created.to_string(),
            aliases.join(", "),
        ]
    }));
    report.printer.table(&rows)
}

fn rotation(key: &LocalKeyInfo) -> String {
    key.rotation().unwrap_or("-".to_owned())
}

/// Shows one key of the local KMS.
pub(super) fn describe(key: &KmsKeyRef, info: &LocalKeyInfo, report: &Report<'_>) -> Result<()> {
    if report.format == ListFormat::Json {
        return json_line(info, report);
    }
    let printer = report.printer;
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let aliases: Vec<_> = info.aliases.iter().map(KeyName::as_str).collect();
    for (what, said) in [
        ("kms key", Some(key.to_string())),
        ("id", Some(info.id.clone())),
        ("manager", Some("local".to_owned())),
        ("aliases", (!aliases.is_empty()).then(|| aliases.join(", "))),
        ("state", Some(info.state.to_string())),
        ("deletion", time(info.deletion)),
        ("spec", Some(info.spec.to_string())),
        ("usage", Some(info.usage.to_string())),
        ("origin", Some(info.origin.to_string())),
        ("rotation", Some(rotation(info))),
        ("next rotation", time(info.next_rotation)),
        ("created", Some(info.created.to_string())),
    ] {
        // A line for what this key has; most have no deletion and no next rotation.
        if let Some(said) = said {
            printer.line(format_args!("{what:<16} {said}"))?;
        }
    }
    printer.line("")?;
    let mut rows = vec![["MATERIAL", "CREATED", "THERE", "ID"].map(String::from)];
    rows.extend(info.material.iter().map(|material| {
        [
            material.number.to_string(),
            material.created.to_string(),
            match (material.present, material.valid_to) {
                (true, Some(end)) => format!("until {end}"),
                (true, None) => "yes".to_owned(),
                (false, _) => "erased".to_owned(),
            },
            material.id.clone(),
        ]
    }));
    printer.table(&rows)?;
    let mut rows = vec![["WHEN", "WHAT", "WHO", "WHY"].map(String::from)];
    rows.extend(info.history.iter().map(|change| {
        [
            change.time.to_string(),
            change.what.clone(),
            change.who.clone(),
            change.reason.as_ref().map_or("-".to_owned(), ToString::to_string),
        ]
    }));
    printer.line("")?;
    printer.table(&rows)
}

/// Shows a key of another KMS.
pub(super) async fn describe_remote(
    key: &KmsKeyRef,
    keys: &KeyArgs,
    policy: &Policy,
    report: &Report<'_>,
) -> Result<()> {
    let clients = session::clients_for(keys, policy, false, std::slice::from_ref(key)).await?;
    let info = clients.registry.client(key)?.describe(key).await;
    let info = info.map_err(|error| error.context(format!("KMS key `{key}`")))?;
    if report.format == ListFormat::Json {
        return report.json(&json!({ "kms_key": key, "kms": info }));
    }
    report.printer.line(format_args!("kms key          {key}"))?;
    report.kms_key(info)
}

/// Shows the public key of an asymmetric key.
pub(super) fn public_key(key: &KmsKeyRef, as_pem: bool, local: &LocalKms, report: &Report<'_>) -> Result<()> {
    let (info, bytes) = (local.key(key)?, local.public_key(key)?);
    let signer = <[u8; 32]>::try_from(bytes.as_slice()).ok();
    // Ed25519 keys are 32 bytes, which partners compare by eye; RSA has no such form.
    let (text, pem) = match signer.filter(|_| info.spec == KmsKeySpec::Ed25519) {
        Some(signer) => (Some(hex::encode(signer)), Sender::from(signer).to_pem()?),
        None => (None, public_key_pem(&bytes)?),
    };
    // JSON has both forms in any case.
    let text = text.filter(|_| !as_pem || report.format == ListFormat::Json);
    let text = text.as_deref().unwrap_or(&pem);
    match report.format {
        ListFormat::Json => report
            .json(&json!({ "kms_key": key, "spec": info.spec, "usage": info.usage, "public_key": text, "pem": pem })),
        ListFormat::Table => report.printer.line(text.trim_end()),
    }
}
