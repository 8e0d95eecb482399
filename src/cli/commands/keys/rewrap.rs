//! `cipherform keys rewrap`

use clap::Args;

use crate::Result;
use crate::cli::args::{ListFormat, kms_key, ours};
use crate::cli::printer;
use crate::cli::report::Report;
use crate::keys::{KeyName, Keyring, KmsKeyRef};

/// Wrap the same data keys under another KMS key: no data is touched.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform keys rewrap --to vault:https://vault.example:8200/transit/main     everything, the keyring's root included
  cipherform keys rewrap --to aws-kms:alias/cards?region=eu-west-1 cards        only this data key

It does not remedy a KMS key that somebody else has had: rotate the data keys, and protect the data anew.")]
pub(super) struct RewrapArgs {
    /// The KMS key that wraps from now on
    #[arg(long, value_name = "URI", value_parser = kms_key())]
    pub(super) to: KmsKeyRef,
    /// The data keys [default: all of them, and the keyring's root]
    #[arg(value_name = "NAME", value_parser = ours::<KeyName>)]
    names: Vec<KeyName>,
}

pub(super) async fn run(args: RewrapArgs, keyring: &mut Keyring, report: &Report<'_>) -> Result<()> {
    let RewrapArgs { to, names } = args;
    let rewrapped = keyring.rewrap(&to, &names).await?;
    report.printer.say(format_args!(
        "{} wrapped by `{to}` now.",
        printer::count(rewrapped as u64, "key version")
    ));
    // Only the whole keyring takes its root along.
    if names.is_empty() {
        report.printer.say(
            "So is the keyring itself: the former KMS key is not needed for this keyring any more, but for its older \
             copies.",
        );
    }
    report.back_up(keyring);
    match report.format {
        ListFormat::Json => report.json(&serde_json::json!({ "kms_key": to, "rewrapped": rewrapped })),
        ListFormat::Table => Ok(()),
    }
}
