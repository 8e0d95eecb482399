//! `cipherform kms create`

use clap::{Args, ValueEnum};

use super::change::Change;
use crate::cli::args::local_key;
use crate::cli::audited::entry;
use crate::keys::{AuditEvent, KmsKeyRef};
use crate::kms::{KmsKeyOrigin, KmsKeySpec, KmsKeyUsage, NewKmsKey};
use crate::{Error, Result};

/// Make a new KMS key in the local KMS.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform kms create cards --rotate-every 365   `keys create cards --kms local:cards` then uses it
  cipherform kms create ours --origin external     a key whose material is imported: `get-parameters-for-import` \
      comes next
  cipherform kms create partners --spec rsa-4096   opens what partners export: `kms public-key`, `keys import --for`
  cipherform kms create seal --usage sign-verify   signs what we export: `keys export --sign-with`")]
pub(super) struct CreateArgs {
    /// The name, or local:NAME
    #[arg(value_name = "KMS KEY", value_parser = local_key())]
    pub(super) key: KmsKeyRef,
    /// Give it new material after so many days (90 to 2560) [default: only on demand]
    #[arg(long, value_name = "DAYS")]
    rotate_every: Option<u32>,
    /// The kind of key [default: symmetric-default, or ed25519 to sign]
    #[arg(long, value_enum)]
    spec: Option<Spec>,
    /// The one use of the key [default: the one that the spec is for]
    #[arg(long, value_enum)]
    usage: Option<Usage>,
    /// The origin of its material [default: local]
    #[arg(long, value_enum)]
    origin: Option<Origin>,
}

/// The kinds of KMS keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Spec {
    /// AES-256-GCM: wraps data keys
    SymmetricDefault,
    /// RSA-OAEP: opens keys from partners
    #[value(name = "rsa-3072")]
    Rsa3072,
    /// RSA-OAEP, longer
    #[value(name = "rsa-4096")]
    Rsa4096,
    /// Signs keys for partners
    Ed25519,
}

/// The uses of KMS keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Usage {
    EncryptDecrypt,
    SignVerify,
}

/// The origins of the material of KMS keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Origin {
    /// It is made here
    Local,
    /// It is imported
    External,
}

pub(super) async fn run(args: CreateArgs, change: Change<'_>) -> Result<()> {
    let key = &args.key;
    let new = new_key(&args)?;
    let words = |_: &_| match new.origin {
        KmsKeyOrigin::External => format!(
            "Made KMS key `{key}`, without material: `cipherform kms get-parameters-for-import {key}` comes next."
        ),
        _ => format!("Made KMS key `{key}`."),
    };
    let entry = entry(AuditEvent::Create, key, None);
    change
        .make(entry, async |local| local.create_kms_key(key, new), words)
        .await
}

/// The new key. A key has one use, so spec and usage must fit.
fn new_key(args: &CreateArgs) -> Result<NewKmsKey> {
    let CreateArgs {
        spec,
        usage,
        origin,
        rotate_every,
        ..
    } = *args;
    // An explicit kind decides; else the use does.
    let spec = match (spec, usage) {
        (None, Some(Usage::SignVerify)) | (Some(Spec::Ed25519), _) => KmsKeySpec::Ed25519,
        (None | Some(Spec::SymmetricDefault), _) => KmsKeySpec::SymmetricDefault,
        (Some(Spec::Rsa3072), _) => KmsKeySpec::Rsa3072,
        (Some(Spec::Rsa4096), _) => KmsKeySpec::Rsa4096,
    };
    let asked = usage.map(|usage| match usage {
        Usage::EncryptDecrypt => KmsKeyUsage::EncryptDecrypt,
        Usage::SignVerify => KmsKeyUsage::SignVerify,
    });
    // Spec and usage may contradict each other: that is an error and not a choice of ours.
    if let Some(asked) = asked.filter(|asked| *asked != spec.usage()) {
        return Err(
            Error::bad_input(format!("a key of the kind {spec} is for {}, not {asked}", spec.usage()))
                .with_hint("ed25519 signs; the others encrypt and decrypt"),
        );
    }
    let new = NewKmsKey::new(spec).with_rotation(rotate_every);
    Ok(match origin {
        Some(Origin::External) => new.external(),
        Some(Origin::Local) | None => new,
    })
}
