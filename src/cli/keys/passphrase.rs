//! `cipherform keys passphrase`

use super::Told;
use super::ledger::{Due, Ledger};
use crate::cli::args::{Kdf, KeyArgs, KeysCommand, ListFormat};
use crate::cli::session::{self, Ask};
use crate::keys::{AuditEntry, AuditEvent};
use crate::kms::{LocalKms, Unlock};
use crate::policy::Policy;
use crate::{Error, Result};

pub(super) async fn run(command: &KeysCommand, keys: &KeyArgs, policy: &Policy, told: &Told<'_>) -> Result<()> {
    let KeysCommand::Passphrase {
        new_passphrase_file,
        new_key_file,
        kms,
        os_keyring,
        kdf,
        reason,
    } = command
    else {
        return Err(Error::bug("another verb came to `keys passphrase`"));
    };
    // A file that is unlocked in a way that is not approved is opened, to be changed.
    let clients = session::clients(keys, false, true).await?;
    let Some(local) = clients.local.as_deref() else {
        return Err(Error::bug("the local KMS was wanted, and is not there"));
    };
    let ledger = Ledger::open(policy, &clients, Due::IsDone, told.printer).await?;
    // Before a new passphrase is asked for.
    ledger.is_open()?;
    local.list()?;
    let kdf = match (kdf, policy.approved_only) {
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
            if path.symlink_metadata().is_err() {
                LocalKms::create_key_file(path)?;
                told.printer.say(format_args!(
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
    match (new, kms) {
        (Some(new), _) => {
            ledger
                .around(entry, async || local.change_unlock(&new, kdf.into()))
                .await?
        }
        (None, Some(key)) => {
            ledger
                .around(entry, async || local.guard_by_kms(key, &clients.registry).await)
                .await?;
        }
        (None, None) => ledger.around(entry, async || local.guard_by_os_keyring()).await?,
    }
    told.printer.say(format_args!(
        "The local KMS `{}` is unlocked by {what} from now on. Copies of the file are still opened by what opened it before.",
        local.path().display()
    ));
    told.printer
        .say(format_args!("Back up `{}`: it has changed.", local.path().display()));
    match told.format {
        ListFormat::Json => told.json(&serde_json::json!({ "local_kms": local.path(), "unlocked_by": what })),
        ListFormat::Table => Ok(()),
    }
}
