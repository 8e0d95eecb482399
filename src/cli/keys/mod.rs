//! `cipherform keys …`

mod audit;
mod doctor;
mod exchange;
mod life;
mod show;

use super::args::{KeyArgs, KeysArgs, KeysCommand, ListFormat};
use super::printer::{self, Printer};
use super::session;
use crate::Result;
use crate::keys::{KeyInfo, KeyState, Keyring};
use crate::policy::Policy;

pub(super) async fn run(args: KeysArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let policy = Policy::load(&keys.policy)?;
    let mut needed = Keyring::kms_keys(&policy.keyring)?;
    match &args.command {
        KeysCommand::Create { kms: Some(key), .. }
        | KeysCommand::Import { kms: Some(key), .. }
        | KeysCommand::Rewrap { to: key, .. } => needed.push(key.clone()),
        _ => {}
    }
    let registry = session::registry(keys, &policy, &needed)?;
    let told = Told {
        printer,
        format: args.format,
    };
    if let KeysCommand::Doctor = args.command {
        return doctor::run(&policy, &registry, &told).await;
    }
    let keyring = Keyring::open(&policy.keyring, &registry).await?;
    let mut keyring = keyring.not_older_than(policy.keyring_generation)?;
    if let Some(path) = &policy.audit {
        keyring = keyring.with_audit_log(path)?;
    }
    match args.command {
        KeysCommand::Doctor => Ok(()),
        KeysCommand::List => show::list(&keyring, &told),
        KeysCommand::Describe { name } => show::describe(&keyring, &name, &told).await,
        KeysCommand::Audit { command } => audit::run(&command, &keyring, &told),
        KeysCommand::Create { name, key_use, kms } => {
            policy.check_use(key_use)?;
            let key = keyring.create_key(&name, key_use, kms.as_ref()).await?;
            told.changed(
                &key,
                &keyring,
                format_args!("Made key `{}`, version 1, wrapped by `{}`.", key.name, key.kms_key),
            )
        }
        KeysCommand::Rotate { name, prepare } => {
            let key = match prepare {
                true => keyring.prepare(&name).await?,
                false => keyring.rotate(&name).await?,
            };
            let newest = key.versions.last().map_or(0, |version| version.number);
            let what = match prepare {
                true => format!(
                    "Key `{name}` has version {newest}, not in use yet: `cipherform keys activate {name}@{newest}` brings it into use."
                ),
                false => {
                    format!("Key `{name}` has version {newest}: it protects from now on; older versions still reveal.")
                }
            };
            told.changed(&key, &keyring, what)
        }
        KeysCommand::Rewrap { to, names } => {
            let count = keyring.rewrap(&to, &names).await?;
            printer.say(format_args!(
                "{} wrapped by `{to}` now.",
                printer::count(count as u64, "key version")
            ));
            if names.is_empty() {
                printer.say("So is the keyring itself: the former KMS key is not needed for this keyring any more, but for its older copies.");
            }
            told.back_up(&keyring);
            Ok(())
        }
        KeysCommand::PublicKey => printer.line(hex::encode(keyring.exchange_public_key()?)),
        KeysCommand::Export {
            domain,
            recipient,
            reason,
            output,
        } => exchange::export(policy, keyring, &domain, &recipient, &reason, output.as_deref(), &told).await,
        KeysCommand::Import {
            file,
            name,
            identity,
            from,
            kms,
            reason,
        } => {
            let key = exchange::import(&mut keyring, &file, &name, (&identity, &from), kms.as_ref(), &reason).await?;
            told.changed(
                &key,
                &keyring,
                format_args!("Key `{name}` came in, wrapped by `{}`.", key.kms_key),
            )
        }
        KeysCommand::Activate(args) => life::transition(&mut keyring, &args, KeyState::Active, &told),
        KeysCommand::Resume(args) => life::transition(&mut keyring, &args, KeyState::Active, &told),
        KeysCommand::Suspend(args) => life::transition(&mut keyring, &args, KeyState::Suspended, &told),
        KeysCommand::Deactivate(args) => life::transition(&mut keyring, &args, KeyState::Deactivated, &told),
        KeysCommand::Compromise(args) => life::transition(&mut keyring, &args, KeyState::Compromised, &told),
        KeysCommand::Remove(args) => life::remove(&mut keyring, &args, &told).await,
        KeysCommand::Periods {
            name,
            protect,
            reveal,
            reason,
        } => life::periods(&mut keyring, &name, (protect, reveal), reason.as_ref(), &told),
        KeysCommand::Limit {
            name,
            values,
            none,
            reason,
        } => life::limit(&mut keyring, &name, (values, none), reason.as_ref(), &told),
    }
}

/// Where results go, and how.
struct Told<'a> {
    printer: &'a Printer,
    format: ListFormat,
}

impl Told<'_> {
    /// Says what became of a key: in words, or all of it as JSON.
    fn changed(&self, key: &KeyInfo, keyring: &Keyring, what: impl std::fmt::Display) -> Result<()> {
        self.printer.say(what);
        if self.format == ListFormat::Json {
            self.json(key)?;
        }
        self.back_up(keyring);
        Ok(())
    }

    fn back_up(&self, keyring: &Keyring) {
        self.printer
            .say(format_args!("Back up `{}`: it has changed.", keyring.path().display()));
    }

    fn json(&self, object: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string(object)
            .map_err(|error| crate::Error::bug("a result that JSON cannot hold").with_source(error))?;
        self.printer.line(text)
    }
}
