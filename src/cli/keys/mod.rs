//! `cipherform keys …`

mod audit;
mod backup;
mod doctor;
mod exchange;
mod kms_key;
mod ledger;
mod life;
mod passphrase;
mod policy;
mod show;

use super::args::{AnyKey, KeyArgs, KeysArgs, KeysCommand, ListFormat};
use super::printer::{self, Printer};
use super::session::{self, Clients};
use crate::keys::{KeyInfo, KeyState, KeyUse, Keyring, KmsKeyRef, Sender};
use crate::kms::LocalKms;
use crate::policy::Policy;
use crate::{Error, Result};

pub(super) async fn run(args: KeysArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let told = Told {
        printer,
        format: args.format,
    };
    if let KeysCommand::Restore { file, check } = &args.command {
        // The policy may be what is lost.
        return backup::restore(file, *check, keys, &told).await;
    }
    let policy = Policy::load(&keys.policy)?;
    if let KeysCommand::Policy { command } = args.command {
        return policy::run(command, keys, &policy, &told).await;
    }
    if let KeysCommand::Passphrase { .. } = &args.command {
        return passphrase::run(&args.command, keys, &policy, &told).await;
    }
    let command = match kms_key::Verb::of(args.command) {
        Ok(verb) => return kms_key::run(verb, keys, &policy, &told).await,
        Err(command) => *command,
    };
    let mut needed = Keyring::kms_keys(&policy.keyring)?;
    match &command {
        KeysCommand::Export {
            sign_with: Some(key), ..
        }
        | KeysCommand::Import {
            recipient: Some(key), ..
        } => needed.push(key.clone()),
        _ => {}
    }
    match &command {
        KeysCommand::Create { kms: Some(key), .. }
        | KeysCommand::Import { kms: Some(key), .. }
        | KeysCommand::Rewrap { to: key, .. } => needed.push(key.clone()),
        _ => {}
    }
    let Clients { registry, local } = session::clients(keys, policy.approved_only, session::any_local(&needed)).await?;
    if let KeysCommand::Doctor = command {
        return doctor::run(&policy, &registry, local.as_deref(), &told).await;
    }
    let keyring = Keyring::open(&policy.keyring, &registry).await?;
    let mut keyring = keyring.not_older_than(policy.keyring_generation)?;
    if let Some(path) = &policy.audit {
        keyring = keyring.with_audit_log(path)?;
    }
    if let Some(local) = &local {
        let due = match command {
            KeysCommand::List
            | KeysCommand::Describe { .. }
            | KeysCommand::Audit { .. }
            | KeysCommand::PublicKey { .. }
            | KeysCommand::Limit { reason: None, .. }
            | KeysCommand::Periods { reason: None, .. } => ledger::Due::IsTold,
            _ => ledger::Due::IsDone,
        };
        ledger::tend(local, Some(&keyring), due, printer);
    }
    match command {
        KeysCommand::Doctor => Ok(()),
        KeysCommand::Backup { to } => backup::run(&mut keyring, local.as_deref(), &keys.policy, &to, &told),
        KeysCommand::List => show::list(&keyring, local.as_deref(), &told),
        KeysCommand::Describe {
            name: AnyKey::Data(name),
        } => show::describe(&keyring, &name, &told).await,
        KeysCommand::Audit { command } => audit::run(&command, &keyring, &told),
        KeysCommand::Create {
            name: AnyKey::Data(name),
            key_use,
            kms,
            rotate_every: None,
            spec: None,
            usage: None,
            origin: None,
        } => {
            let key_use = key_use.unwrap_or(KeyUse::Derive);
            policy.check_use(key_use)?;
            let key = keyring.create_key(&name, key_use, kms.as_ref()).await?;
            told.changed(
                &key,
                &keyring,
                format_args!("Made key `{}`, version 1, wrapped by `{}`.", key.name, key.kms_key),
            )
        }
        KeysCommand::Create {
            name: AnyKey::Kms(key), ..
        } => Err(of_data_keys(&key, "--use and --kms")),
        KeysCommand::Rotate {
            name: AnyKey::Kms(key), ..
        } => Err(of_data_keys(&key, "--prepare")),
        KeysCommand::Create { .. } => Err(of_kms_keys("--rotate-every, --spec, --usage and --origin")),
        KeysCommand::Rotate {
            name: AnyKey::Data(name),
            prepare,
            every: None,
            on_demand: false,
            reason,
        } => {
            let key = match prepare {
                true => keyring.prepare(&name).await?,
                false => keyring.rotate(&name, reason.as_ref()).await?,
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
        KeysCommand::Rotate { .. } => Err(of_kms_keys("--every and --on-demand")),
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
            match told.format {
                ListFormat::Json => told.json(&serde_json::json!({ "kms_key": to, "rewrapped": count })),
                ListFormat::Table => Ok(()),
            }
        }
        KeysCommand::PublicKey { pem, .. } => {
            let key = Sender::from(keyring.exchange_public_key()?);
            match told.format {
                ListFormat::Json => told.json(&exchange::public_key(&key)?),
                ListFormat::Table if pem => printer.line(key.to_pem()?.trim_end()),
                ListFormat::Table => printer.line(hex::encode(key.public_key())),
            }
        }
        KeysCommand::Export {
            domain,
            recipient,
            ca,
            sign_with,
            reason,
            output,
        } => {
            let signer = sign_with
                .map(|key| in_local(local.as_deref(), &key)?.signer(&key))
                .transpose()?;
            let parcel = exchange::Parcel {
                domain: &domain,
                recipient: &recipient,
                authorities: ca.as_deref(),
                signer: signer.as_ref(),
                reason: &reason,
            };
            exchange::export(policy, keyring, parcel, output.as_deref(), &told).await
        }
        KeysCommand::Import {
            file,
            name,
            identity,
            recipient,
            from,
            certificate,
            ca,
            kms,
            reason,
        } => {
            let sender = exchange::sender(from.as_deref(), certificate.as_deref(), ca.as_deref(), printer)?;
            let identity = match (identity, recipient) {
                (Some(path), _) => exchange::identity(&path)?,
                (None, Some(key)) => in_local(local.as_deref(), &key)?.identity(&key)?,
                (None, None) => return Err(Error::bad_input("which private key opens it? Pass --for or --identity")),
            };
            let key = exchange::import(&mut keyring, &file, &name, (&identity, &sender), kms.as_ref(), &reason).await?;
            if let Some(subject) = sender.subject() {
                printer.say(format_args!("The sender is {subject}."));
            }
            told.changed(&key, &keyring, came_in(&key))
        }
        KeysCommand::Activate(args) => life::activate(&mut keyring, &args, &told),
        KeysCommand::Resume(args) => life::resume(&mut keyring, &args, &told),
        KeysCommand::Suspend(args) => life::transition(&mut keyring, &args, KeyState::Suspended, &told),
        KeysCommand::Deactivate(args) => life::transition(&mut keyring, &args, KeyState::Deactivated, &told),
        KeysCommand::Compromise(args) => life::transition(&mut keyring, &args, KeyState::Compromised, &told),
        KeysCommand::Remove(args) => life::remove(&mut keyring, &policy, &args, &told).await,
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
        KeysCommand::Describe { .. }
        | KeysCommand::Enable(_)
        | KeysCommand::Disable(_)
        | KeysCommand::ScheduleDeletion { .. }
        | KeysCommand::CancelDeletion(_)
        | KeysCommand::GetParametersForImport { .. }
        | KeysCommand::ImportMaterial { .. }
        | KeysCommand::DeleteMaterial(_)
        | KeysCommand::Passphrase { .. }
        | KeysCommand::Policy { .. }
        | KeysCommand::Restore { .. }
        | KeysCommand::Alias { .. } => Err(Error::bug("a verb for KMS keys came to the keyring")),
    }
}

/// The local KMS, if the key is there.
fn in_local<'a>(local: Option<&'a LocalKms>, key: &KmsKeyRef) -> Result<&'a LocalKms> {
    match local.filter(|_| key.scheme() == "local") {
        Some(local) => Ok(local),
        None => {
            Err(Error::bad_input(format!("`{key}` is no key of the local KMS")).with_hint("name one: `local:NAME`"))
        }
    }
}

/// What an import has made: the last version.
fn came_in(key: &KeyInfo) -> String {
    let (name, kms_key) = (&key.name, &key.kms_key);
    let last = key.versions.last().map_or(0, |version| version.number);
    let active = (key.versions.iter()).find(|version| version.state == KeyState::Active);
    match active {
        _ if last == 1 => format!("Key `{name}` came in, wrapped by `{kms_key}`."),
        Some(active) if active.number == last => {
            format!("Key `{name}` has version {last}: it protects from now on; older versions still reveal.")
        }
        _ => format!(
            "Key `{name}` has version {last}, which is older than what it had: it reveals, and does not protect."
        ),
    }
}

fn of_data_keys(key: &KmsKeyRef, what: &str) -> Error {
    Error::bad_input(format!("{what} are for data keys, and `{key}` is a KMS key"))
        .with_hint("`--help` says what KMS keys take")
}

fn of_kms_keys(what: &str) -> Error {
    Error::bad_input(format!("{what} are for KMS keys of the local KMS")).with_hint(
        "name one: `local:NAME`; how long the versions of a data key may be used is set by `cipherform keys periods`",
    )
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
            .map_err(|error| Error::bug("a result that JSON cannot hold").with_source(error))?;
        self.printer.line(text)
    }
}
