//! `cipherform keys create`

use clap::Args;

use crate::Result;
use crate::cli::args::{kms_key, ours};
use crate::cli::report::Report;
use crate::keys::{KeyName, KeyUse, Keyring, KmsKeyRef};
use crate::policy::Policy;

/// Make a new data key.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform keys create payroll
  cipherform keys create cards --kms aws-kms:alias/cards?region=eu-west-1   made and wrapped by AWS KMS
  cipherform keys create cards --kms local:cards            wrapped by another KMS key of the local KMS: `kms create \
      cards`
  cipherform keys create exchange --use direct-ff1-256      an FF1 key itself, to exchange data with other software")]
pub(super) struct CreateArgs {
    /// The name
    #[arg(value_parser = ours::<KeyName>)]
    name: KeyName,
    /// The use, for ever: derive; direct-ff1-128, -192 or -256; direct-ff3-1-legacy-128, -192 or -256
    #[arg(long = "use", value_name = "USE", default_value = "derive", value_parser = ours::<KeyUse>)]
    key_use: KeyUse,
    /// The KMS key that wraps it [default: the one that wraps the keyring's root]
    #[arg(long, value_name = "URI", value_parser = kms_key())]
    pub(super) kms: Option<KmsKeyRef>,
}

pub(super) async fn run(args: CreateArgs, policy: &Policy, keyring: &mut Keyring, report: &Report<'_>) -> Result<()> {
    // Under `approved_only` some uses are refused, before a key is made that could never be used.
    policy.check_use(args.key_use)?;
    let key = keyring.create_key(&args.name, args.key_use, args.kms.as_ref()).await?;
    report.changed(
        &key,
        keyring,
        format_args!("Made key `{}`, version 1, wrapped by `{}`.", key.name, key.kms_key),
    )
}
