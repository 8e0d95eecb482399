//! `cipherform keys new-root`

use clap::Args;

use super::trust;
use crate::Result;
use crate::cli::args::{ListFormat, ours};
use crate::cli::report::Report;
use crate::keys::{Keyring, Reason};

/// Replace the keyring's root key, which authenticates keyring, audit log and backups: no data is touched.
#[derive(Args, Debug)]
#[command(after_help = "\
For when somebody else may have had the root, or was allowed to wrap one: see the manual, keys, Roots of trust.
It prints the [trust.NAME] that the policy needs from now on. Data keys stay as they are: `keys rotate` is for those.")]
pub(super) struct NewRootArgs {
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    reason: Option<Reason>,
}

pub(super) async fn run(args: NewRootArgs, keyring: &mut Keyring, report: &Report<'_>) -> Result<()> {
    let former = keyring.root_check()?;
    keyring.new_root(args.reason.as_ref()).await?;
    let printer = report.printer;
    printer.say(format_args!(
        "The keyring has a new root, wrapped by `{}`. Where the policy has a [trust.NAME], put its check value in \
         place of {former}, or the keyring will not open. It is in:",
        keyring.kms_key()
    ));
    match report.format {
        ListFormat::Table => printer.line(trust::entry("main", keyring)?.trim_end())?,
        ListFormat::Json => report.json(&serde_json::json!({ "root": keyring.root_check()?, "former": former }))?,
    }
    printer.say(format_args!(
        "Keys for partners are signed with another key from now on: give partners the new public key, {}.",
        hex::encode(keyring.exchange_public_key()?)
    ));
    if keyring.audit_log().is_some() {
        printer.say("Checkpoints have another public key, too; former ones still count for what they are of.");
    }
    printer.say(format_args!(
        "To restore a backup from before, add {former} to root in [trust.NAME] while it is restored."
    ));
    report.back_up(keyring);
    Ok(())
}
