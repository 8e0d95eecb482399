//! `cipherform keys create | list | describe | rotate`

use super::args::{KeyArgs, KeysArgs, KeysCommand};
use super::printer::Printer;
use super::session::{self, Ask};
use crate::keys::{DirectMode, KeyInfo, KeyUse, Keyring};
use crate::policy::Policy;
use crate::{Error, Result};

pub(super) async fn run(args: KeysArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let policy = Policy::load(&keys.policy)?;
    let registry = session::registry(keys, Ask::Once)?;
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
