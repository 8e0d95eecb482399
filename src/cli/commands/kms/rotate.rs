//! `cipherform kms rotate`

use clap::Args;

use super::change::Change;
use crate::Result;
use crate::cli::args::{local_key, ours};
use crate::cli::audited::entry;
use crate::keys::{AuditEntry, AuditEvent, KmsKeyRef, Reason};

/// Give a KMS key new material: it wraps from now on; what the old one wrapped still unwraps.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform kms rotate main
  cipherform kms rotate main --every 365    by itself, from now on: with the first change of a key after it is due")]
pub(super) struct RotateArgs {
    /// The KMS key: NAME, alias/NAME, or its URI
    #[arg(value_name = "KMS KEY", value_parser = local_key())]
    pub(super) key: KmsKeyRef,
    /// By itself, after so many days (90 to 2560)
    #[arg(long, value_name = "DAYS", conflicts_with = "on_demand")]
    every: Option<u32>,
    /// Not by itself any more
    #[arg(long)]
    on_demand: bool,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    reason: Option<Reason>,
}

pub(super) async fn run(args: RotateArgs, change: Change<'_>) -> Result<()> {
    let (key, reason) = (&args.key, args.reason.as_ref());
    let audited = |context: Option<String>| AuditEntry {
        reason: args.reason.clone(),
        ..entry(AuditEvent::Rotate, key, context)
    };
    // A schedule is another change than a rotation now, with an entry of its own.
    if args.every.is_some() || args.on_demand {
        let when = args
            .every
            .map_or("on demand only".to_owned(), |days| format!("every {days} days"));
        let words = |_: &_| format!("KMS key `{key}` gets new material {when}.");
        let set = async |local: &crate::kms::LocalKms| local.set_rotation(key, args.every, reason);
        return change.make(audited(Some(when.clone())), set, words).await;
    }
    let words = |rotated: &crate::kms::LocalKeyInfo| {
        let number = rotated.material.last().map_or(0, |newest| newest.number);
        format!(
            "KMS key `{key}` has material {number}: it wraps from now on; what the older material wrapped still \
             unwraps. \
             `keys rewrap --to {key}` wraps it anew."
        )
    };
    change
        .make(audited(None), async |local| local.rotate(key, reason), words)
        .await
}
