//! `cipherform kms alias`

use clap::Subcommand;
use serde_json::json;

use super::change::Change;
use crate::Result;
use crate::cli::args::{ConfirmArgs, ListFormat, local_key, ours};
use crate::cli::audited::entry;
use crate::cli::report::Report;
use crate::keys::{AuditEntry, AuditEvent, KeyName, KmsKeyRef};
use crate::kms::LocalKms;

/// The verbs for aliases.
#[derive(Debug, Subcommand)]
pub(super) enum AliasCommand {
    /// List them
    List,
    /// Make a new one
    Create {
        /// The alias: `local:alias/NAME` means the key from then on
        #[arg(value_parser = ours::<KeyName>)]
        name: KeyName,
        /// The KMS key
        #[arg(long, value_name = "KMS KEY", value_parser = local_key())]
        to: KmsKeyRef,
    },
    /// Move one to another key: that wraps from now on; what the former one wrapped still unwraps
    Update {
        /// The alias
        #[arg(value_parser = ours::<KeyName>)]
        name: KeyName,
        /// The KMS key
        #[arg(long, value_name = "KMS KEY", value_parser = local_key())]
        to: KmsKeyRef,
    },
    /// Take one away: what stands under it in a keyring is not found any more
    Delete {
        /// The alias
        #[arg(value_parser = ours::<KeyName>)]
        name: KeyName,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

impl AliasCommand {
    /// The KMS key that the alias is to mean.
    pub(super) fn key(&self) -> Option<&KmsKeyRef> {
        match self {
            Self::Create { to, .. } | Self::Update { to, .. } => Some(to),
            Self::List | Self::Delete { .. } => None,
        }
    }
}

pub(super) async fn change(command: AliasCommand, change: Change<'_>) -> Result<()> {
    // The entry names the key, as the alias may point elsewhere later.
    let audited = |alias: &KeyName, key: &KmsKeyRef| entry(AuditEvent::Alias, key, Some(format!("alias {alias}")));
    match command {
        AliasCommand::List => list(change.local, change.report),
        AliasCommand::Create { name, to } => {
            let act = async |local: &LocalKms| local.create_alias(&name, &to, None);
            let words = |_: &_| format!("`local:alias/{name}` is KMS key `{to}`.");
            change.make(audited(&name, &to), act, words).await
        }
        AliasCommand::Update { name, to } => {
            let act = async |local: &LocalKms| local.update_alias(&name, &to, None);
            let words = |_: &_| format!("`local:alias/{name}` is KMS key `{to}` from now on.");
            change.make(audited(&name, &to), act, words).await
        }
        AliasCommand::Delete { name, confirm } => {
            let key = KmsKeyRef::local_alias(&name);
            let consequence = "What stands under this name in a keyring is not found any more.";
            // A deleted alias makes keyrings that use it unreadable, so it is confirmed.
            let reason = change.confirm(&key, &confirm, Some(consequence))?;
            let entry = AuditEntry {
                reason: Some(reason.clone()),
                ..entry(AuditEvent::Alias, &key, Some("gone".to_owned()))
            };
            let act = async |local: &LocalKms| local.delete_alias(&name, Some(&reason));
            change
                .make(entry, act, |_| format!("There is no `{key}` any more."))
                .await
        }
    }
}

pub(super) fn list(local: &LocalKms, report: &Report<'_>) -> Result<()> {
    let keys = local.list()?;
    let aliases = keys
        .iter()
        .flat_map(|key| key.aliases.iter().map(move |alias| (alias, key)));
    if report.format == ListFormat::Json {
        let mut lines = aliases.map(|(alias, key)| {
            let alias = KmsKeyRef::local_alias(alias);
            json!({ "alias": alias, "kms_key": KmsKeyRef::local(&key.name) })
        });
        return lines.try_for_each(|line| report.json(&line));
    }
    let mut rows = vec![["ALIAS", "KMS KEY"].map(String::from)];
    rows.extend(aliases.map(|(alias, key)| {
        [
            KmsKeyRef::local_alias(alias).to_string(),
            KmsKeyRef::local(&key.name).to_string(),
        ]
    }));
    report.printer.table(&rows)
}
