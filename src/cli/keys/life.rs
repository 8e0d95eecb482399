//! `cipherform keys activate | suspend | resume | deactivate | compromise | remove | periods | limit`

use std::fmt::Display;
use std::io::{BufRead, IsTerminal, Write};

use super::Told;
use crate::cli::args::{LifeArgs, ListFormat, Meant};
use crate::cli::printer::Printer;
use crate::keys::{KeyName, KeyRef, KeyState, Keyring, Periods, Reason, VersionInfo};
use crate::policy::{Policy, Treatment};
use crate::{Error, ErrorKind, Result};

pub(super) fn transition(keyring: &mut Keyring, args: &LifeArgs, to: KeyState, told: &Told<'_>) -> Result<()> {
    let consequence = match to {
        KeyState::Deactivated => Some("It will never protect again."),
        KeyState::Compromised => Some("It will never protect again, and every reveal warns."),
        _ => None,
    };
    change(keyring, (&args.key, &args.meant), to, consequence, told)
}

/// Brings a version that was prepared into use: the newest, unless the key names one.
pub(super) fn activate(keyring: &mut Keyring, args: &LifeArgs, told: &Told<'_>) -> Result<()> {
    let versions = keyring.describe(&args.key.name)?.versions;
    let prepared = |version: &&VersionInfo| {
        version.state == KeyState::PreActivation && args.key.version.is_none_or(|number| number == version.number)
    };
    let Some(prepared) = versions.iter().rev().find(prepared) else {
        let message = format!("key `{}` was not prepared: nothing is to be activated", args.key);
        return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint(format!(
            "`cipherform keys rotate {0} --prepare` makes a version for later; `keys resume` brings a suspended one back",
            args.key.name
        )));
    };
    let key = KeyRef {
        version: Some(prepared.number),
        ..args.key.clone()
    };
    change(keyring, (&key, &args.meant), KeyState::Active, None, told)
}

/// Brings a suspended version back: the newest, unless the key names one.
pub(super) fn resume(keyring: &mut Keyring, args: &LifeArgs, told: &Told<'_>) -> Result<()> {
    let versions = keyring.describe(&args.key.name)?.versions;
    let number = args.key.version.or_else(|| {
        let suspended = versions.iter().rfind(|version| version.state == KeyState::Suspended);
        suspended.map(|version| version.number)
    });
    let waits = |version: &VersionInfo| version.state == KeyState::PreActivation && number == Some(version.number);
    if versions.iter().any(waits) {
        let message = format!("key `{}` was never in use: it cannot be resumed", args.key);
        return Err(Error::new(ErrorKind::KeyNotUsable, message)
            .with_hint(format!("bring it into use: `cipherform keys activate {}`", args.key)));
    }
    let key = KeyRef {
        version: number,
        ..args.key.clone()
    };
    change(keyring, (&key, &args.meant), KeyState::Active, None, told)
}

fn change(
    keyring: &mut Keyring,
    (key, meant): (&KeyRef, &Meant),
    to: KeyState,
    consequence: Option<&str>,
    told: &Told<'_>,
) -> Result<()> {
    let reason = ask(key, meant, consequence, told.printer)?;
    let changed = keyring.transition(key, to, &reason)?;
    told.changed(&changed, keyring, format_args!("Key `{key}` is {to} now."))
}

pub(super) async fn remove(keyring: &mut Keyring, policy: &Policy, args: &LifeArgs, told: &Told<'_>) -> Result<()> {
    if args.key.version.is_none() {
        return Err(Error::bad_input("which version is to be removed?").with_hint(format!(
            "name it, as in `{0}@1`; `cipherform keys describe {0}` lists them",
            args.key.name
        )));
    }
    let of_tokens = policy
        .rules()
        .filter(|rule| rule.treatment == Treatment::Tokenize)
        .filter(|rule| rule.key.name == args.key.name)
        .map(|rule| format!("`{}`", rule.name));
    let of_tokens: Vec<String> = of_tokens.collect();
    let known = keyring.describe(&args.key.name)?.versions;
    let is_there = (known.iter())
        .filter(|version| Some(version.number) == args.key.version)
        .any(|version| !matches!(version.state, KeyState::Removed | KeyState::Destroyed));
    if is_there && !of_tokens.is_empty() {
        told.printer.say(format_args!(
            "warning: tokens of {} may be sealed and found by this version: `cipherform tokens reseal` and `tokens reindex` move them to the active one",
            of_tokens.join(", ")
        ));
    }
    let reason = ask(
        &args.key,
        &args.meant,
        Some("What it protected cannot be revealed any more, unless from a backup of the keyring."),
        told.printer,
    )?;
    let key = keyring.remove(&args.key, &reason).await?;
    let number = args.key.version;
    let version = key.versions.iter().find(|version| Some(version.number) == number);
    let what = match version.map(|version| version.state) {
        Some(KeyState::Destroyed) => format!(
            "Key `{}` is destroyed: it is out of this keyring, and the KMS key that wrapped it is gone.",
            args.key
        ),
        _ => format!(
            "Key `{}` is removed from this keyring. Backups of the keyring still have it, as long as KMS key `{}` is there.",
            args.key, key.kms_key
        ),
    };
    told.changed(&key, keyring, what)
}

pub(super) fn periods(
    keyring: &mut Keyring,
    name: &KeyName,
    (protect, reveal): (Option<u32>, Option<u32>),
    reason: Option<&Reason>,
    told: &Told<'_>,
) -> Result<()> {
    let key = keyring.describe(name)?;
    let (Some(reason), true) = (reason, protect.is_some() || reveal.is_some()) else {
        return match told.format {
            ListFormat::Json => told.json(&key.periods),
            ListFormat::Table => told.printer.line(format_args!(
                "protects {} days, reveals {} days from activation on",
                key.periods.originator_days, key.periods.recipient_days
            )),
        };
    };
    let periods = Periods::try_new(
        protect.unwrap_or(key.periods.originator_days),
        reveal.unwrap_or(key.periods.recipient_days),
    )?;
    let key = keyring.set_periods(name, periods, reason)?;
    let what = format!(
        "Versions of key `{name}` protect for {} days and reveal for {} days, from activation on.",
        periods.originator_days, periods.recipient_days
    );
    told.changed(&key, keyring, what)
}

pub(super) fn limit(
    keyring: &mut Keyring,
    name: &KeyName,
    (values, none): (Option<u64>, bool),
    reason: Option<&Reason>,
    told: &Told<'_>,
) -> Result<()> {
    let key = keyring.describe(name)?;
    let (Some(reason), true) = (reason, values.is_some() || none) else {
        let limit = key.values_limit;
        return match told.format {
            ListFormat::Json => told.json(&serde_json::json!({ "values_limit": limit })),
            ListFormat::Table => told
                .printer
                .line(limit.map_or("none".to_owned(), |limit| limit.to_string())),
        };
    };
    let key = keyring.set_values_limit(name, values, reason)?;
    let what = match values {
        Some(values) => format!("With one version of key `{name}` {values} values may be protected."),
        None => format!("Key `{name}` has no limit of values."),
    };
    told.changed(&key, keyring, what)
}

/// The reason, and that it is meant: from the command line, or else from the person at the terminal.
pub(super) fn ask(
    subject: &impl Display,
    meant: &Meant,
    consequence: Option<&str>,
    printer: &Printer,
) -> Result<Reason> {
    let terminal = std::io::stdin().is_terminal();
    if let Some(consequence) = consequence.filter(|_| !meant.yes) {
        if !terminal {
            return Err(
                Error::bad_input("this asks whether it is meant, and there is no terminal to ask on")
                    .with_hint("pass --yes and --reason"),
            );
        }
        confirm(subject, consequence, printer)?;
    }
    match &meant.reason {
        Some(reason) => Ok(reason.clone()),
        None if terminal => line("Why? ")?.parse(),
        None => Err(
            Error::bad_input("a reason is recorded with this, and there is no terminal to ask on")
                .with_hint("pass --reason 'a sentence that says why'"),
        ),
    }
}

fn confirm(subject: &impl Display, consequence: &str, printer: &Printer) -> Result<()> {
    printer.say(format_args!("Key `{subject}`: {consequence}"));
    match line(&format!("Type `{subject}` to go on: "))?.trim() == subject.to_string() {
        true => Ok(()),
        false => Err(Error::bad_input("that is not its name; nothing was changed")),
    }
}

/// What the person types.
fn line(prompt: &str) -> Result<String> {
    let failed = |error| Error::io("cannot ask", error);
    let mut line = String::new();
    write!(std::io::stderr(), "{prompt}").map_err(failed)?;
    std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
    Ok(line)
}
