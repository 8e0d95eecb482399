//! `cipherform keys create | list | describe | rotate | rewrap | doctor`

use std::path::Path;

use super::args::{KeyArgs, KeysArgs, KeysCommand};
use super::printer::{self, Printer};
use super::session;
use crate::keys::{DirectMode, Finding, KeyInfo, KeyUse, Keyring, KmsRegistry};
use crate::policy::Policy;
use crate::{Error, Result};

pub(super) async fn run(args: KeysArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let policy = Policy::load(&keys.policy)?;
    let mut needed = Keyring::kms_keys(&policy.keyring)?;
    match &args.command {
        KeysCommand::Create { kms: Some(key), .. } | KeysCommand::Rewrap { to: key, .. } => needed.push(key.clone()),
        _ => {}
    }
    let registry = session::registry(keys, &needed)?;
    if let KeysCommand::Doctor = args.command {
        return doctor(&policy.keyring, &registry, printer).await;
    }
    let mut keyring = Keyring::open(&policy.keyring, &registry).await?;
    match args.command {
        KeysCommand::Create { name, key_use, kms } => {
            if let KeyUse::Direct {
                mode: DirectMode::Ff31Legacy,
                ..
            } = key_use
            {
                return Err(Error::bad_input("no rule of this version can use an FF3-1 key"));
            }
            let key = keyring.create_key(&name, key_use, kms.as_ref()).await?;
            printer.say(format_args!(
                "Made key `{}`, version 1, wrapped by `{}`.",
                key.name, key.kms_key
            ));
            back_up(&keyring, printer);
        }
        KeysCommand::Rotate { name } => {
            let key = keyring.rotate(&name).await?;
            let newest = key.versions.last().map_or(0, |version| version.number);
            printer.say(format_args!(
                "Key `{name}` has version {newest}: it protects from now on; older versions still reveal."
            ));
            back_up(&keyring, printer);
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
            back_up(&keyring, printer);
        }
        KeysCommand::Doctor => {}
        KeysCommand::List => {
            let mut rows = vec![["KEY", "USE", "ACTIVE VERSION", "VERSIONS", "CREATED", "KMS KEY"].map(String::from)];
            rows.extend(keyring.list().iter().map(row));
            printer.table(&rows)?;
        }
        KeysCommand::Describe { name } => {
            let key = keyring.describe(&name)?;
            printer.line(format_args!("key      {}", key.name))?;
            printer.line(format_args!("id       {}", key.id))?;
            printer.line(format_args!("use      {}", key.key_use))?;
            printer.line(format_args!("created  {}", key.created))?;
            printer.line(format_args!("kms key  {}", key.kms_key))?;
            let told = keyring.describe_kms_key(&key.kms_key).await?;
            let created = told.created.map(|created| created.to_string());
            for (what, said) in [
                ("manager", Some(told.manager)),
                ("id", Some(told.id)),
                ("state", Some(told.state.to_string())),
                ("usage", told.usage),
                ("origin", told.origin),
                ("rotation", told.rotation),
                ("created", created),
            ] {
                if let Some(said) = said {
                    printer.line(format_args!("  {what:<9}{said}"))?;
                }
            }
            printer.line("")?;
            let mut rows = vec![["VERSION", "STATE", "CREATED", "ID"].map(String::from)];
            rows.extend(key.versions.iter().map(|version| {
                [
                    version.number.to_string(),
                    version.state.to_string(),
                    version.created.to_string(),
                    version.id.to_string(),
                ]
            }));
            printer.table(&rows)?;
        }
    }
    Ok(())
}

/// Says how each thing is; fails like the first that is not well.
async fn doctor(keyring: &Path, registry: &KmsRegistry, printer: &Printer) -> Result<()> {
    let (mut ill, mut first) = (0, None);
    for Finding {
        subject,
        outcome,
        advice,
        ..
    } in Keyring::examine(keyring, registry).await?
    {
        match outcome {
            Ok(well) => printer.line(format_args!("ok    {subject}: {well}"))?,
            Err(error) => {
                printer.line(format_args!("FAIL  {subject}: {error}"))?;
                if let Some(hint) = error.hint() {
                    printer.line(format_args!("      hint: {hint}"))?;
                }
                ill += 1;
                first.get_or_insert(error.kind());
            }
        }
        if let Some(advice) = advice {
            printer.line(format_args!("due   {subject}: {advice}"))?;
        }
    }
    match first {
        None => Ok(()),
        Some(kind) => Err(Error::new(kind, format!("{} not well", printer::count(ill, "thing")))),
    }
}

fn row(key: &KeyInfo) -> [String; 6] {
    use crate::keys::Operation;
    let active = key
        .versions
        .iter()
        .rev()
        .find(|version| version.state.may(Operation::Protect));
    [
        key.name.to_string(),
        key.key_use.to_string(),
        active.map_or("none".to_owned(), |version| version.number.to_string()),
        key.versions.len().to_string(),
        key.created.to_string(),
        key.kms_key.to_string(),
    ]
}

fn back_up(keyring: &Keyring, printer: &Printer) {
    printer.say(format_args!("Back up `{}`: it has changed.", keyring.path().display()));
}
