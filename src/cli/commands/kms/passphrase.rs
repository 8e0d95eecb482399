//! `cipherform kms passphrase`

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{Kdf, ListFormat, kms_key, ours};
use crate::cli::audited::{AuditedKms, Scheduled};
use crate::cli::report::Report;
use crate::cli::session::{self, Ask, Clients};
use crate::keys::{AuditEntry, AuditEvent, KmsKeyRef, Reason};
use crate::kms::{LocalKms, Unlock};
use crate::policy::Policy;
use crate::{Error, Result};

/// Change what unlocks the local KMS: another passphrase, a key file, a key of another KMS, the OS's keyring.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform kms passphrase                                   asks for a new passphrase
  cipherform kms passphrase --kdf pbkdf2                      the same, stretched as NIST has approved \
      (approved_only = true)
  cipherform kms passphrase --new-key-file ~/cf.key           no passphrase any more; the file is made if it is not \
      there
  cipherform kms passphrase --kms 'pkcs11:token=hsm;object=kek?module-path=/usr/lib/softhsm/libsofthsm2.so'

Everything is sealed anew. Copies of the file are still opened by what opened it before: destroy them.")]
pub(super) struct PassphraseArgs {
    /// Read the new passphrase from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(super) new_passphrase_file: Option<PathBuf>,
    /// This key file from now on
    #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_file")]
    pub(super) new_key_file: Option<PathBuf>,
    /// A key of another KMS: it wraps a random unlock key, and is asked whenever the local KMS is opened
    #[arg(
        long,
        value_name = "URI",
        value_parser = kms_key(),
        conflicts_with_all = ["new_passphrase_file", "new_key_file"]
    )]
    pub(super) kms: Option<KmsKeyRef>,
    /// The keyring of the operating system keeps a random unlock key (Secret Service, Keychain, Credential Manager)
    #[arg(long, conflicts_with_all = ["new_passphrase_file", "new_key_file", "kms"])]
    pub(super) os_keyring: bool,
    /// How a passphrase is stretched [default: argon2id, or pbkdf2 where the policy says approved_only = true]
    #[arg(long, value_enum, conflicts_with_all = ["new_key_file", "kms", "os_keyring"])]
    pub(super) kdf: Option<Kdf>,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    pub(super) reason: Option<Reason>,
}

pub(super) async fn run(
    args: &PassphraseArgs,
    policy: &Policy,
    clients: &Clients,
    local: &LocalKms,
    report: &Report<'_>,
) -> Result<()> {
    let PassphraseArgs {
        new_passphrase_file,
        new_key_file,
        kms,
        os_keyring,
        kdf,
        reason,
    } = args;
    let audited = AuditedKms::open(policy, clients, Scheduled::Run, report.printer).await?;
    // Before a new passphrase is asked for.
    // This change is in no key's history, so without a log entry nothing would record it.
    audited.is_open()?;
    // Opens the file with what unlocks it now: a wrong passphrase is said before a new one is asked for.
    local.list()?;
    let kdf = match (kdf, policy.approved_only) {
        // NIST has approved PBKDF2 (SP 800-132), and not Argon2id.
        (Some(Kdf::Argon2id), true) => {
            return Err(Error::bad_input("approved_only = true: NIST has not approved Argon2id")
                .with_hint("leave out --kdf, or say --kdf pbkdf2"));
        }
        (Some(kdf), _) => *kdf,
        (None, true) => Kdf::Pbkdf2,
        (None, false) => Kdf::default(),
    };
    let (new, what) = match (new_passphrase_file, new_key_file, kms) {
        _ if *os_keyring => (None, "the keyring of the operating system".to_owned()),
        (_, _, Some(key)) => (None, format!("KMS key `{key}`")),
        (_, Some(path), _) => {
            // Made before the change; left over, if that fails, it opens nothing.
            if path.symlink_metadata().is_err() {
                LocalKms::create_key_file(path)?;
                report.printer.say(format_args!(
                    "Wrote `{}`: the key file. Whoever has it opens the local KMS.",
                    path.display()
                ));
            }
            (
                Some(Unlock::KeyFile(path.clone())),
                format!("the key file `{}`", path.display()),
            )
        }
        (Some(path), ..) => (Some(Unlock::passphrase_file(path)?), "the new passphrase".to_owned()),
        // Twice, as it is a new one.
        _ => (
            Some(Unlock::Passphrase(session::prompt(Ask::Twice)?)),
            "the new passphrase".to_owned(),
        ),
    };
    let entry = AuditEntry {
        context: Some(format!("the local KMS, by {what}")),
        reason: reason.clone(),
        ..AuditEntry::new(AuditEvent::Unlock)
    };
    // One entry for each way, around the change itself.
    match (new, kms) {
        (Some(new), _) => {
            audited
                .around(entry, async || local.change_unlock(&new, kdf.into()))
                .await?
        }
        (None, Some(key)) => {
            audited
                .around(entry, async || local.guard_by_kms(key, &clients.registry).await)
                .await?;
        }
        (None, None) => audited.around(entry, async || local.guard_by_os_keyring()).await?,
    }
    // The old way still opens old copies: sealing anew cannot reach those.
    report.printer.say(format_args!(
        "The local KMS `{}` is unlocked by {what} from now on. Copies of the file are still opened by what opened it \
         before.",
        local.path().display()
    ));
    report
        .printer
        .say(format_args!("Back up `{}`: it has changed.", local.path().display()));
    match report.format {
        ListFormat::Json => report.json(&serde_json::json!({ "local_kms": local.path(), "unlocked_by": what })),
        ListFormat::Table => Ok(()),
    }
}
