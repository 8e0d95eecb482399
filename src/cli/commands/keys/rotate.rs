//! `cipherform keys rotate`

use clap::Args;

use crate::Result;
use crate::cli::args::ours;
use crate::cli::report::Report;
use crate::keys::{KeyName, Keyring, Reason};

/// Make a new version of a data key: it protects from now on, the others still reveal.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform keys rotate pii
  cipherform keys rotate pii --prepare && cipherform keys activate pii    a version for later

A KMS key of the local KMS gets new material with `cipherform kms rotate`.")]
pub(super) struct RotateArgs {
    /// The key
    #[arg(value_parser = ours::<KeyName>)]
    name: KeyName,
    /// Only make it; `activate` brings it into use
    #[arg(long)]
    prepare: bool,
    /// Why: it is recorded (with --prepare, `activate` takes the reason)
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>, conflicts_with = "prepare")]
    reason: Option<Reason>,
}

pub(super) async fn run(args: RotateArgs, keyring: &mut Keyring, report: &Report<'_>) -> Result<()> {
    let name = &args.name;
    let key = if args.prepare {
        keyring.prepare(name).await?
    } else {
        keyring.rotate(name, args.reason.as_ref()).await?
    };
    // Versions are in order of their numbers.
    let newest = key.versions.last().map_or(0, |version| version.number);
    let what = if args.prepare {
        format!(
            "Key `{name}` has version {newest}, not in use yet: `cipherform keys activate {name}@{newest}` brings it \
             into use."
        )
    } else {
        format!("Key `{name}` has version {newest}: it protects from now on; older versions still reveal.")
    };
    report.changed(&key, keyring, what)
}
