//! `cipherform keys activate | suspend | resume | deactivate | compromise | remove | periods | limit`

use clap::Args;

use crate::cli::args::{ConfirmArgs, ListFormat, ours};
use crate::cli::confirm::confirm;
use crate::cli::report::Report;
use crate::keys::{KeyName, KeyRef, KeyState, Keyring, Periods, Reason, VersionInfo};
use crate::policy::{Policy, Treatment};
use crate::{Error, ErrorKind, Result};

/// A change in the life of a key version.
#[derive(Args, Debug)]
pub(in crate::cli) struct LifecycleArgs {
    /// The key, and which version if not the current one: NAME or NAME@VERSION
    #[arg(value_name = "KEY", value_parser = ours::<KeyRef>)]
    pub(in crate::cli) key: KeyRef,
    #[command(flatten)]
    pub(in crate::cli) confirm: ConfirmArgs,
}

/// Show or set how long versions of a key may be used (SP 800-57 Part 1, section 5.3).
#[derive(Args, Debug)]
pub(in crate::cli) struct PeriodsArgs {
    /// The key
    #[arg(value_parser = ours::<KeyName>)]
    pub(super) name: KeyName,
    /// For how many days a version protects, from its activation on: the originator-usage period
    #[arg(long, value_name = "DAYS", requires = "reason")]
    pub(super) protect: Option<u32>,
    /// For how many days it reveals: the recipient-usage period
    #[arg(long, value_name = "DAYS", requires = "reason")]
    pub(super) reveal: Option<u32>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    pub(super) reason: Option<Reason>,
}

/// Show or set how many values may be protected with one version of a key; the audit log counts them.
#[derive(Args, Debug)]
pub(in crate::cli) struct LimitArgs {
    /// The key
    #[arg(value_parser = ours::<KeyName>)]
    pub(super) name: KeyName,
    /// The greatest number of values
    #[arg(long, requires = "reason", conflicts_with = "none")]
    pub(super) values: Option<u64>,
    /// No limit
    #[arg(long, requires = "reason")]
    pub(super) none: bool,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    pub(super) reason: Option<Reason>,
}

pub(super) fn transition(keyring: &mut Keyring, args: &LifecycleArgs, to: KeyState, report: &Report<'_>) -> Result<()> {
    // Only what cannot be taken back has to be confirmed; a suspension can.
    let consequence = match to {
        KeyState::Deactivated => Some("It will never protect again."),
        KeyState::Compromised => Some("It will never protect again, and every reveal warns."),
        _ => None,
    };
    change(keyring, (&args.key, &args.confirm), to, consequence, report)
}

/// Brings a version that was prepared into use: the newest, unless the key names one.
pub(super) fn activate(keyring: &mut Keyring, args: &LifecycleArgs, report: &Report<'_>) -> Result<()> {
    let versions = keyring.describe(&args.key.name)?.versions;
    let prepared = |version: &&VersionInfo| {
        version.state == KeyState::PreActivation && args.key.version.is_none_or(|number| number == version.number)
    };
    // From the newest back: that is the one that was prepared last.
    let Some(prepared) = versions.iter().rev().find(prepared) else {
        let message = format!("key `{}` was not prepared: nothing is to be activated", args.key);
        return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint(format!(
            "`cipherform keys rotate {0} --prepare` makes a version for later; `keys resume` brings a suspended one \
             back",
            args.key.name
        )));
    };
    let key = KeyRef {
        version: Some(prepared.number),
        ..args.key.clone()
    };
    change(keyring, (&key, &args.confirm), KeyState::Active, None, report)
}

/// Brings a suspended version back: the newest, unless the key names one.
pub(super) fn resume(keyring: &mut Keyring, args: &LifecycleArgs, report: &Report<'_>) -> Result<()> {
    let versions = keyring.describe(&args.key.name)?.versions;
    let number = args.key.version.or_else(|| {
        let suspended = versions.iter().rfind(|version| version.state == KeyState::Suspended);
        suspended.map(|version| version.number)
    });
    // A version that was never in use is brought into use by `activate` alone.
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
    change(keyring, (&key, &args.confirm), KeyState::Active, None, report)
}

fn change(
    keyring: &mut Keyring,
    (key, args): (&KeyRef, &ConfirmArgs),
    to: KeyState,
    consequence: Option<&str>,
    report: &Report<'_>,
) -> Result<()> {
    // Asked before anything is changed.
    let reason = confirm(key, args, consequence, report.printer)?;
    let changed = keyring.transition(key, to, &reason)?;
    report.changed(&changed, keyring, format_args!("Key `{key}` is {to} now."))
}

pub(super) async fn remove(
    keyring: &mut Keyring,
    policy: &Policy,
    args: &LifecycleArgs,
    report: &Report<'_>,
) -> Result<()> {
    // Never the current one by default: what is removed is lost.
    if args.key.version.is_none() {
        return Err(Error::bad_input("which version is to be removed?").with_hint(format!(
            "name it, as in `{0}@1`; `cipherform keys describe {0}` lists them",
            args.key.name
        )));
    }
    // Tokens name the version that sealed them row by row, so removal may lose them though no column names it.
    let of_tokens = policy
        .rules()
        .filter(|rule| rule.treatment == Treatment::Tokenize)
        .filter(|rule| rule.key.name == args.key.name)
        .map(|rule| format!("`{}`", rule.name));
    let of_tokens: Vec<String> = of_tokens.collect();
    let known = keyring.describe(&args.key.name)?.versions;
    // The second run, which turns removed into destroyed, needs no warning any more.
    let is_there = (known.iter())
        .filter(|version| Some(version.number) == args.key.version)
        .any(|version| !matches!(version.state, KeyState::Removed | KeyState::Destroyed));
    if is_there && !of_tokens.is_empty() {
        report.printer.say(format_args!(
            "warning: tokens of {} may be sealed and found by this version: `cipherform tokens reseal` and `tokens \
             reindex` move them to the active one",
            of_tokens.join(", ")
        ));
    }
    let reason = confirm(
        &args.key,
        &args.confirm,
        Some("What it protected cannot be revealed any more, unless from a backup of the keyring."),
        report.printer,
    )?;
    let key = keyring.remove(&args.key, &reason).await?;
    let number = args.key.version;
    let version = key.versions.iter().find(|version| Some(version.number) == number);
    // Destroyed is said only when the KMS key is gone: until then a backup could bring the version back.
    let what = match version.map(|version| version.state) {
        Some(KeyState::Destroyed) => format!(
            "Key `{}` is destroyed: it is out of this keyring, and the KMS key that wrapped it is gone.",
            args.key
        ),
        _ => format!(
            "Key `{}` is removed from this keyring. Backups of the keyring still have it, as long as KMS key `{}` is \
             there.",
            args.key, key.kms_key
        ),
    };
    report.changed(&key, keyring, what)
}

pub(super) fn periods(keyring: &mut Keyring, args: &PeriodsArgs, report: &Report<'_>) -> Result<()> {
    let PeriodsArgs {
        name,
        protect,
        reveal,
        reason,
    } = args;
    let key = keyring.describe(name)?;
    // clap demands a reason with a new value; without both, this only shows.
    let (Some(reason), true) = (reason, protect.is_some() || reveal.is_some()) else {
        return match report.format {
            ListFormat::Json => report.json(&key.periods),
            ListFormat::Table => report.printer.line(format_args!(
                "protects {} days, reveals {} days from activation on",
                key.periods.originator_days, key.periods.recipient_days
            )),
        };
    };
    // What is not given stays as it was.
    let periods = Periods::try_new(
        protect.unwrap_or(key.periods.originator_days),
        reveal.unwrap_or(key.periods.recipient_days),
    )?;
    let key = keyring.set_periods(name, periods, reason)?;
    let what = format!(
        "Versions of key `{name}` protect for {} days and reveal for {} days, from activation on.",
        periods.originator_days, periods.recipient_days
    );
    report.changed(&key, keyring, what)
}

pub(super) fn limit(keyring: &mut Keyring, args: &LimitArgs, report: &Report<'_>) -> Result<()> {
    let LimitArgs {
        name,
        values,
        none,
        reason,
    } = args;
    let values = *values;
    let key = keyring.describe(name)?;
    // As for periods.
    let (Some(reason), true) = (reason, values.is_some() || *none) else {
        let limit = key.values_limit;
        return match report.format {
            ListFormat::Json => report.json(&serde_json::json!({ "values_limit": limit })),
            ListFormat::Table => report
                .printer
                .line(limit.map_or("none".to_owned(), |limit| limit.to_string())),
        };
    };
    let key = keyring.set_values_limit(name, values, reason)?;
    let what = match values {
        Some(values) => format!("With one version of key `{name}` {values} values may be protected."),
        None => format!("Key `{name}` has no limit of values."),
    };
    report.changed(&key, keyring, what)
}
