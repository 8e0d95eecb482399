//! The verbs for data keys.

use clap::{Args, Subcommand};

use super::audit::{self, AuditCommand};
use super::backup::{self, BackupArgs, RestoreArgs};
use super::create::{self, CreateArgs};
use super::exchange::{self, ExportArgs, ImportArgs};
use super::lifecycle::{self, LifecycleArgs, LimitArgs, PeriodsArgs};
use super::new_root::{self, NewRootArgs};
use super::rewrap::{self, RewrapArgs};
use super::rotate::{self, RotateArgs};
use super::{doctor, show, trust};
use crate::Result;
use crate::cli::args::{KeyArgs, ListFormat, ours};
use crate::cli::audited::{self, Scheduled};
use crate::cli::printer::Printer;
use crate::cli::report::Report;
use crate::cli::session::{self, Clients};
use crate::keys::{KeyName, KeyState, Keyring, KmsKeyRef};
use crate::policy::Policy;

/// Look after data keys: the keys of the keyring, which protect data.
#[derive(Args, Debug)]
pub(in crate::cli) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
    /// How results are written
    #[arg(long, global = true, value_enum, default_value_t)]
    format: ListFormat,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    Create(CreateArgs),
    /// List the data keys
    List,
    /// Show a data key, its versions, and the answer of its KMS about the KMS key
    Describe {
        /// The key
        #[arg(value_parser = ours::<KeyName>)]
        name: KeyName,
    },
    Rewrap(RewrapArgs),
    NewRoot(NewRootArgs),
    /// Reach each KMS, unwrap each wrapped key, tell what is due
    Doctor,
    /// Print the `[trust.NAME]` of the policy: the keyring's id, its root's check value, the KMS keys it names
    Trust,
    Rotate(RotateArgs),
    Backup(BackupArgs),
    Restore(RestoreArgs),
    /// Bring a prepared version into use, in place of the active one: the newest, unless the key names one
    Activate(LifecycleArgs),
    /// Pause the active version: it still reveals, but protects nothing
    Suspend(LifecycleArgs),
    /// Bring a suspended version back into use
    Resume(LifecycleArgs),
    /// Retire a version: it still reveals, but will never protect again
    Deactivate(LifecycleArgs),
    /// Record that others know a version, or may: it never protects again, and revealing warns
    Compromise(LifecycleArgs),
    /// Take a version's key out of the keyring: what it protected cannot be revealed any more
    #[command(after_help = "\
The version is `removed` then: a backup of the keyring and its KMS key together still have it. Run it again when \
    that KMS
key is deleted, and the version is `destroyed`.")]
    #[command(mut_arg("key", |key| key.value_name("KEY@VERSION").help("The key and its version: NAME@VERSION")))]
    Remove(LifecycleArgs),
    Periods(PeriodsArgs),
    Limit(LimitArgs),
    Export(ExportArgs),
    Import(ImportArgs),
    /// Show the public key that keys for partners are signed with (Ed25519)
    PublicKey {
        /// Show it in PEM: what a certificate authority takes
        #[arg(long)]
        pem: bool,
    },
    /// Show and verify who used which key: needs a line like audit = "audit.jsonl" in the policy
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
}

impl KeysCommand {
    /// KMS keys that the command needs beside those of the keyring.
    // Clients are made before the command runs, so it has to say early which it will need.
    fn kms_keys(&self) -> Vec<KmsKeyRef> {
        let named = match self {
            Self::Create(args) => vec![args.kms.as_ref()],
            Self::Rewrap(args) => vec![Some(&args.to)],
            Self::Export(args) => vec![args.sign_with.as_ref()],
            Self::Import(args) => vec![args.recipient.as_ref(), args.kms.as_ref()],
            _ => Vec::new(),
        };
        // None for options that were not given.
        named.into_iter().flatten().cloned().collect()
    }

    /// Scheduled maintenance is only announced by a command that changes nothing.
    fn scheduled(&self) -> Scheduled {
        // With a reason, `limit` and `periods` change something; without one, they show.
        let only_shows = match self {
            Self::List | Self::Trust | Self::Describe { .. } | Self::PublicKey { .. } => true,
            Self::Audit { command } => !matches!(command, AuditCommand::Adopt { .. }),
            Self::Limit(args) => args.reason.is_none(),
            Self::Periods(args) => args.reason.is_none(),
            _ => false,
        };
        if only_shows {
            Scheduled::Announce
        } else {
            Scheduled::Run
        }
    }
}

pub(in crate::cli) async fn run(args: KeysArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let report = Report {
        printer,
        format: args.format,
    };
    // Before the policy is loaded.
    if let KeysCommand::Restore(args) = &args.command {
        // The policy may be what is lost.
        return backup::restore(args, keys, &report).await;
    }
    let policy = Policy::load(&keys.policy)?;
    let mut needed = Keyring::kms_keys(&policy.keyring)?;
    // The passphrase is asked for only if one of these keys is in the local KMS.
    needed.extend(args.command.kms_keys());
    session::warn_of_pins(&needed, &policy.trust(keys.trust.as_deref())?);
    let with_local = session::any_local(&needed);
    let clients = session::clients_for(keys, &policy, with_local, &args.command.kms_keys()).await?;
    let Clients { registry, local } = &clients;
    let local = local.as_deref();
    // Before the keyring is opened: doctor reports a keyring that does not open, and must not fail with it.
    if let KeysCommand::Doctor = args.command {
        return doctor::run(&policy, registry, local, &report).await;
    }
    let mut keyring = session::keyring(&policy, registry).await?;
    if let KeysCommand::Trust = args.command {
        return trust::run(&keyring, &report);
    }
    if let Some(local) = local {
        audited::run_scheduled(local, Some(&keyring), args.command.scheduled(), printer);
    }
    for key in args.command.kms_keys() {
        // The files name it from now on, and the next command goes by the policy.
        if policy.trust(keys.trust.as_deref())?.names(&key) {
            continue;
        }
        printer.say(format_args!(
            "note: the policy does not trust `{key}`: add it to kms in its [trust.NAME], or the keyring will not open"
        ));
    }
    match args.command {
        // They were run above.
        KeysCommand::Doctor | KeysCommand::Restore(_) | KeysCommand::Trust => Ok(()),
        KeysCommand::Create(args) => create::run(args, &policy, &mut keyring, &report).await,
        KeysCommand::List => show::list(&keyring, &report),
        KeysCommand::Describe { name } => show::describe(&keyring, &name, &report).await,
        KeysCommand::Rewrap(args) => rewrap::run(args, &mut keyring, &report).await,
        KeysCommand::NewRoot(args) => new_root::run(args, &mut keyring, &report).await,
        KeysCommand::Rotate(args) => rotate::run(args, &mut keyring, &report).await,
        KeysCommand::Backup(args) => backup::run(&mut keyring, local, &keys.policy, &args.to, &report),
        KeysCommand::Activate(args) => lifecycle::activate(&mut keyring, &args, &report),
        KeysCommand::Resume(args) => lifecycle::resume(&mut keyring, &args, &report),
        KeysCommand::Suspend(args) => lifecycle::transition(&mut keyring, &args, KeyState::Suspended, &report),
        KeysCommand::Deactivate(args) => lifecycle::transition(&mut keyring, &args, KeyState::Deactivated, &report),
        KeysCommand::Compromise(args) => lifecycle::transition(&mut keyring, &args, KeyState::Compromised, &report),
        KeysCommand::Remove(args) => lifecycle::remove(&mut keyring, &policy, &args, &report).await,
        KeysCommand::Periods(args) => lifecycle::periods(&mut keyring, &args, &report),
        KeysCommand::Limit(args) => lifecycle::limit(&mut keyring, &args, &report),
        KeysCommand::Export(args) => exchange::export(policy, keyring, local, &args, &report).await,
        KeysCommand::Import(args) => exchange::import(&mut keyring, local, &args, &report).await,
        KeysCommand::PublicKey { pem } => exchange::public_key(&keyring, pem, &report),
        KeysCommand::Audit { command } => audit::run(&command, &mut keyring, &report),
    }
}
