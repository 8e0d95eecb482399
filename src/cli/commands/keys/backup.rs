//! `cipherform keys backup | restore`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::args::{KeyArgs, ListFormat, kms_key, ours};
use crate::cli::report::Report;
use crate::cli::session::{self, Ask};
use crate::keys::{Backup, Keyring, KmsKeyRef, Reason, StagedBackup, Trust};
use crate::kms::{self, LocalKms};
use crate::policy::Policy;
use crate::{Error, Result, fs};

/// Write keyring, local KMS and policy into one file, sealed as they are.
#[derive(Args, Debug)]
#[command(after_help = "\
What unlocks the local KMS, its passphrase or key file, is not in it: keep that elsewhere. `keys restore FILE \
    --check` tries a backup out.")]
pub(in crate::cli) struct BackupArgs {
    /// The file to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(super) to: PathBuf,
}

/// Put keyring and local KMS back from a backup, and the policy if there is none.
#[derive(Args, Debug)]
#[command(after_help = "\
Files that are newer than the backup, or are of another keyring, are not overwritten. What was protected with key \
    versions that were made since the backup
cannot be revealed with what is restored.")]
pub(in crate::cli) struct RestoreArgs {
    /// A file that `keys backup` wrote
    pub(super) file: PathBuf,
    /// Only verify that the backup can be opened and is whole; write nothing
    #[arg(long)]
    pub(super) check: bool,
    /// A KMS key that the backup may name, where there is no policy that says so; can be given several times
    #[arg(long, value_name = "URI", value_parser = kms_key())]
    pub(super) kms: Vec<KmsKeyRef>,
    /// Why an older keyring comes back for good, where the audit log knows a newer one: it is recorded
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    pub(super) reason: Option<Reason>,
}

pub(super) fn run(
    keyring: &mut Keyring,
    local: Option<&LocalKms>,
    policy: &Path,
    to: &Path,
    report: &Report<'_>,
) -> Result<()> {
    let text = std::fs::read_to_string(policy)
        .map_err(|error| Error::io(format!("cannot read `{}`", policy.display()), error))?;
    // With the generation that these bytes have: another process may change the file meanwhile.
    let (bytes, generation) = local.map(LocalKms::bytes).transpose()?.unzip();
    let backup = keyring.backup(bytes, &text, &to.display().to_string())?;
    // A backup is never overwritten: the one that is there may be the only good one.
    fs::create_atomic(to, &backup.to_bytes(), fs::PRIVATE)?;
    // Put down only now that it is there: whoever is killed in between has a backup too many, not one too few.
    keyring.record_backup(&backup)?;
    if let (Some(local), Some(generation)) = (local, generation) {
        local.record_backup(generation)?;
    }
    report.printer.say(format_args!(
        "Wrote `{}`: the keyring, {}and the policy, sealed as they are. Keep what unlocks them elsewhere.",
        to.display(),
        if local.is_some() { "the local KMS " } else { "" }
    ));
    match report.format {
        ListFormat::Table => Ok(()),
        ListFormat::Json => report.json(&summary(&backup)),
    }
}

pub(super) async fn restore(args: &RestoreArgs, keys: &KeyArgs, report: &Report<'_>) -> Result<()> {
    let (file, check) = (args.file.as_path(), args.check);
    let backup =
        Backup::parse(&fs::read(file)?).map_err(|error| error.context(format_args!("`{}`", file.display())))?;
    // A policy that is there is the newer one, and says where things are.
    let lost = keys.policy.symlink_metadata().is_err();
    let policy = if lost {
        Policy::parse(backup.policy(), &keys.policy)?
    } else {
        Policy::load(&keys.policy)?
    };
    // Unpacked aside first, so that a backup that does not open changes nothing.
    let staged = StagedBackup::try_new(backup)?;
    // The pins are the living policy's, or there are none: a backup that says what to trust would say its own.
    let trust = if lost {
        Trust::of_local_kms()
    } else {
        policy.trust(keys.trust.as_deref())?
    };
    let trust = args.kms.iter().fold(trust, |trust, key| trust.allowing(key));
    let mut registry = session::remote(policy.approved_only)?.with_trust(trust.clone());
    if staged.backup().has_local_kms() {
        let path = staged.local_kms();
        let elsewhere = LocalKms::guarded_unlock(&path, &registry).await;
        let unlock = match elsewhere.map_err(|error| staged.in_file(error, file))? {
            Some(unlock) => unlock,
            // The passphrase is the one of the backup's time.
            None => session::unlock(keys, Ask::Once)?,
        };
        let local = LocalKms::open(path, unlock).with_actor(kms::actor());
        let local = if policy.approved_only {
            local.approved_only()
        } else {
            local
        };
        registry = registry.with("local", local);
    }
    // Keyring and local KMS must open each other before either is put back.
    let whole = staged.verify(&registry).await;
    whole.map_err(|error| staged.in_file(error, file))?;
    let backup = staged.backup();
    if check {
        report.printer.say(format_args!(
            "`{}` is whole and opens: it is of {}, with the keyring's generation {}.",
            file.display(),
            backup.time(),
            backup.keyring_generation()
        ));
    } else {
        // What is there and newer stays; what is lost comes back older than the log knows it. Asked before anything is
        // written.
        if let Some(path) = policy.audit.as_ref().filter(|_| staged.replaces(&policy.keyring)) {
            let candidate = Keyring::open(staged.keyring(), &registry).await;
            let candidate = candidate.map_err(|error| staged.in_file(error, file))?;
            candidate.check_restorable(path, args.reason.as_ref())?;
        }
        let local_kms = if backup.has_local_kms() {
            session::local_kms_path(keys)?
        } else {
            staged.local_kms()
        };
        // A newer file has keys that the backup lacks, so it is not overwritten.
        for newer in staged.put(&policy.keyring, &local_kms)? {
            report.printer.say(format_args!(
                "`{}` is newer than the backup, and stays as it is.",
                newer.display()
            ));
        }
        if lost {
            fs::create_atomic(&keys.policy, backup.policy().as_bytes(), fs::PUBLIC)?;
        }
        // The pin in the policy exists to refuse older keyrings, and cannot tell a restore from an attack.
        if backup.keyring_generation() < policy.keyring_generation {
            report.printer.say(format_args!(
                "warning: the policy says keyring_generation = {}, and so refuses this keyring, of generation {}: \
                 lower that line, if the newer keyring is lost",
                policy.keyring_generation,
                backup.keyring_generation()
            ));
        }
        let clients = session::clients_trusting(trust, keys, policy.approved_only, backup.has_local_kms()).await?;
        let keyring = Keyring::open(&policy.keyring, &clients.registry).await?;
        // The log goes on; the entry explains why generations go back.
        if let Some(path) = &policy.audit {
            keyring.restored(path, &file.display().to_string(), args.reason.as_ref())?;
        }
        report.printer.say(format_args!(
            "Restored what was backed up at {}. Key versions that were made since are not in it.",
            backup.time()
        ));
    }
    match report.format {
        ListFormat::Table => Ok(()),
        ListFormat::Json => report.json(&summary(backup)),
    }
}

fn summary(backup: &Backup) -> serde_json::Value {
    json!({
        "time": backup.time(), "keyring_generation": backup.keyring_generation(), "local_kms": backup.has_local_kms(),
    })
}
