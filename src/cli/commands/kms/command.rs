//! The verbs for the local KMS.

use clap::{Args, Subcommand};

use super::alias::{self, AliasCommand};
use super::change::Change;
use super::create::{self, CreateArgs};
use super::material::{self, ImportMaterialArgs, ParametersForImportArgs};
use super::passphrase::{self, PassphraseArgs};
use super::policy::{self, PolicyCommand};
use super::rotate::{self, RotateArgs};
use super::show;
use super::state::{self, KmsKeyArgs, ScheduleDeletionArgs};
use crate::cli::args::{KeyArgs, ListFormat, local_key};
use crate::cli::audited::Scheduled;
use crate::cli::printer::Printer;
use crate::cli::report::Report;
use crate::cli::session;
use crate::keys::KmsKeyRef;
use crate::policy::Policy;
use crate::{Error, Result};

/// Look after the local KMS: its keys, which wrap data keys, their policies, and what unlocks it.
#[derive(Args, Debug)]
pub(in crate::cli) struct KmsArgs {
    #[command(subcommand)]
    command: KmsCommand,
    /// How results are written
    #[arg(long, global = true, value_enum, default_value_t)]
    format: ListFormat,
}

#[derive(Debug, Subcommand)]
enum KmsCommand {
    Create(CreateArgs),
    /// List the KMS keys
    List,
    /// Show a KMS key, of the local KMS or of another
    Describe {
        /// NAME, or the URI of a KMS key
        #[arg(value_name = "KMS KEY", value_parser = local_key())]
        key: KmsKeyRef,
    },
    Rotate(RotateArgs),
    /// Switch on a KMS key that is switched off
    Enable(KmsKeyArgs),
    /// Switch off a KMS key: it wraps and unwraps nothing until it is enabled again
    Disable(KmsKeyArgs),
    ScheduleDeletion(ScheduleDeletionArgs),
    /// Take a scheduled deletion back: the KMS key is disabled then
    CancelDeletion(KmsKeyArgs),
    GetParametersForImport(ParametersForImportArgs),
    ImportMaterial(ImportMaterialArgs),
    /// Erase imported material at once: the KMS key waits for the same material then
    DeleteMaterial(KmsKeyArgs),
    /// Show the public key of an asymmetric KMS key: RSA in PEM, Ed25519 as 64 hexadecimal digits
    PublicKey {
        /// The KMS key
        #[arg(value_name = "KMS KEY", value_parser = local_key())]
        key: KmsKeyRef,
        /// Show Ed25519 in PEM, too: what a certificate authority takes
        #[arg(long)]
        pem: bool,
    },
    /// Look after other names for KMS keys: local:alias/NAME
    Alias {
        #[command(subcommand)]
        command: AliasCommand,
    },
    /// Look after who may do what with KMS keys: guardrails, while users open the file themselves
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    Passphrase(PassphraseArgs),
}

impl KmsCommand {
    /// KMS keys, of other KMSs, that are to unlock the local KMS from now on.
    fn unlocked_by(&self) -> Vec<KmsKeyRef> {
        match self {
            Self::Passphrase(args) => args.kms.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The KMS key that the command is about.
    fn key(&self) -> Option<&KmsKeyRef> {
        match self {
            Self::Create(args) => Some(&args.key),
            Self::Describe { key } | Self::PublicKey { key, .. } => Some(key),
            Self::Rotate(args) => Some(&args.key),
            Self::Enable(args) | Self::Disable(args) | Self::CancelDeletion(args) | Self::DeleteMaterial(args) => {
                Some(&args.key)
            }
            Self::ScheduleDeletion(args) => Some(&args.args.key),
            Self::GetParametersForImport(args) => Some(&args.key),
            Self::ImportMaterial(args) => Some(&args.key),
            Self::Alias { command } => command.key(),
            Self::List | Self::Policy { .. } | Self::Passphrase(_) => None,
        }
    }
}

pub(in crate::cli) async fn run(args: KmsArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let report = Report {
        printer,
        format: args.format,
    };
    let policy = Policy::load(&keys.policy)?;
    // A key elsewhere needs no unlocked local KMS, so no passphrase is asked for.
    if let Some(key) = args.command.key().filter(|key| key.scheme() != "local") {
        return match args.command {
            KmsCommand::Describe { .. } => show::describe_remote(key, keys, &policy, &report).await,
            _ => Err(managed_elsewhere(key)),
        };
    }
    // A file that is unlocked in a way that is not approved is opened to change that.
    let mut opening = policy.clone();
    opening.approved_only &= !matches!(args.command, KmsCommand::Passphrase(_));
    let named = args.command.unlocked_by();
    let clients = session::clients_for(keys, &opening, true, &named).await?;
    let Some(local) = clients.local.as_deref() else {
        return Err(Error::bug("the local KMS was wanted, and is not there"));
    };
    // These two bring a key back: maintenance that is due would erase it a moment before.
    let scheduled = match args.command {
        KmsCommand::CancelDeletion(_) | KmsCommand::Enable(_) => Scheduled::Postpone,
        _ => Scheduled::Run,
    };
    // Opened only by commands that change something, as it opens the log.
    let change = async || Change::open(&policy, &clients, local, scheduled, &report).await;
    match args.command {
        KmsCommand::List => show::list(local, &report),
        KmsCommand::Describe { key } => show::describe(&key, &local.key(&key)?, &report),
        KmsCommand::PublicKey { key, pem } => show::public_key(&key, pem, local, &report),
        KmsCommand::Alias {
            command: AliasCommand::List,
        } => alias::list(local, &report),
        KmsCommand::Policy { command } => policy::run(command, &policy, &clients, local, &report).await,
        KmsCommand::Passphrase(args) => passphrase::run(&args, &policy, &clients, local, &report).await,
        KmsCommand::Create(args) => create::run(args, change().await?).await,
        KmsCommand::Rotate(args) => rotate::run(args, change().await?).await,
        KmsCommand::Enable(args) => state::enable(&args, change().await?).await,
        KmsCommand::Disable(args) => state::disable(&args, change().await?).await,
        KmsCommand::ScheduleDeletion(args) => state::schedule_deletion(&args, &policy, change().await?).await,
        KmsCommand::CancelDeletion(args) => state::cancel_deletion(&args, change().await?).await,
        KmsCommand::GetParametersForImport(args) => material::parameters(&args, change().await?).await,
        KmsCommand::ImportMaterial(args) => material::import(&args, change().await?).await,
        KmsCommand::DeleteMaterial(args) => material::delete(&args, change().await?).await,
        KmsCommand::Alias { command } => alias::change(command, change().await?).await,
    }
}

/// The error of a change to a key of another KMS: it is managed there.
// Says which tool does it: a cloud's key belongs to other people, with other rights.
fn managed_elsewhere(key: &KmsKeyRef) -> Error {
    let tool = match key.scheme() {
        "aws-kms" => {
            "`aws kms create-key`, `enable-key`, `disable-key`, `rotate-key-on-demand`, `enable-key-rotation`, \
             `schedule-key-deletion`, `cancel-key-deletion`, \
             `create-alias`"
        }
        "vault" => {
            "`vault write -f transit/keys/NAME` makes a key, `vault write -f transit/keys/NAME/rotate` rotates it, \
             `vault delete transit/keys/NAME` deletes it \
             once `deletion_allowed` is set; `bao` likewise"
        }
        "gcp-kms" => {
            "`gcloud kms keys create`, `gcloud kms keys versions create --primary` to rotate, `gcloud kms keys \
             versions enable`, `disable`, `destroy`, `restore`"
        }
        "azure-kv" => {
            "`az keyvault key create`, `set-attributes --enabled true` or `false`, `rotate`, `delete`, `recover`"
        }
        "pkcs11" => "`pkcs11-tool --keygen`, `pkcs11-tool --delete-object`, or the tool of the HSM",
        "kmip" => "the tool of the KMIP server",
        _ => "the tool of that KMS",
    };
    Error::bad_input(format!(
        "`{key}` is looked after in its own KMS; this is for keys of the local KMS, `local:NAME`"
    ))
    .with_hint(format!("use {tool}"))
}
