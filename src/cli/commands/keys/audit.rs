//! `cipherform keys audit show | verify | checkpoint | adopt`

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

use super::audit_filter::FilterArgs;
use crate::cli::args::{ListFormat, ours};
use crate::cli::printer;
use crate::cli::report::Report;
use crate::keys::{AuditEntry, AuditEvent, AuditLog, Checkpoint, Keyring, Reason, VerifiedLog, verb};
use crate::{Error, Result, fs};

/// The verbs for audit logs.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// Show the entries, after verifying them
    #[command(after_help = "\
Examples:
  cipherform keys audit show --last 20
  cipherform keys audit show --who ann@laptop --since 2026-03-01 --until 2026-04-01
  cipherform keys audit show --rule ssn --event query --format json")]
    Show {
        #[command(flatten)]
        filter: FilterArgs,
        /// Only the last so many of these
        #[arg(long, value_name = "N")]
        last: Option<usize>,
    },
    /// Verify that no entry was changed, taken out or put in, and that it is the log that the keyring knows
    #[command(after_help = "\
Examples:
  cipherform keys audit verify
  cipherform keys audit verify --checkpoint checkpoint.json    also that the end was not cut off since, and the \
      keyring is no older copy")]
    Verify {
        /// A file that `checkpoint` wrote then
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Write out how far the log is, signed: keep it where the users of the keyring cannot write
    Checkpoint,
    /// Take the log that is there for the keyring's own, where the one before is lost
    #[command(after_help = "\
The keyring notes the end of its log at each change, so `verify` and `keys doctor` miss a log that was removed or cut.
Look for who did that first: what the lost log said is gone.")]
    Adopt {
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
        reason: Reason,
    },
}

pub(super) fn run(command: &AuditCommand, keyring: &mut Keyring, report: &Report<'_>) -> Result<()> {
    if let AuditCommand::Adopt { reason } = command {
        keyring.adopt_audit_log(reason)?;
        report
            .printer
            .say("The keyring takes this log for its own from now on.");
        report.back_up(keyring);
        return Ok(());
    }
    let log = keyring.audit_log().ok_or_else(|| {
        Error::bad_policy("the policy names no audit log")
            .with_hint("add a line like audit = \"audit.jsonl\" to it, above the first [table]")
    })?;
    match command {
        AuditCommand::Show { filter, last } => show(log, filter, *last, report),
        AuditCommand::Verify {
            checkpoint: None,
            filter,
        } => verified(log.verify()?, log, None, filter, report),
        AuditCommand::Verify {
            checkpoint: Some(path),
            filter,
        } => {
            let checkpoint = Checkpoint::parse(&fs::read(path)?)
                .map_err(|error| error.context(format_args!("`{}`", path.display())))?;
            // Together with the generation: an older copy of keyring and log would otherwise verify.
            let log_verified = log.verify_since(&checkpoint, keyring.generation())?;
            verified(log_verified, log, Some(&checkpoint), filter, report)
        }
        // It was run above.
        AuditCommand::Adopt { .. } => Ok(()),
        AuditCommand::Checkpoint => {
            let checkpoint = log.checkpoint(keyring.generation())?;
            // To stdout, so that it can go straight to another machine.
            let written = report.printer.stdout().write_all(&checkpoint.to_bytes());
            written.map_err(|error| Error::io("cannot write to stdout", error))
        }
    }
}

fn verified(
    verified: VerifiedLog,
    log: &AuditLog,
    since: Option<&Checkpoint>,
    filter: &FilterArgs,
    report: &Report<'_>,
) -> Result<()> {
    let entries = verified.entries.len() as u64;
    let matching = verified.entries.iter().filter(|entry| filter.matches(entry)).count() as u64;
    let matching = (!filter.is_empty()).then_some(matching);
    if report.format == ListFormat::Json {
        return report.json(&serde_json::json!({
            "entries": entries,
            "matching": matching,
            "unfinished": verified.unfinished,
            "public_key": hex::encode(log.public_key()?),
            "checkpoint_entries": since.map(Checkpoint::entries),
        }));
    }
    let printer = report.printer;
    printer.line(format_args!(
        "{}, each follows the one before it.",
        printer::count(entries, "entry").replace("entrys", "entries")
    ))?;
    if let Some(matching) = matching {
        printer.line(format_args!("{matching} of them are what was asked for."))?;
    }
    match since {
        Some(checkpoint) => printer.line(format_args!(
            "The log goes on from the checkpoint of {} ({} of them), and the keyring is no older copy.",
            checkpoint.time(),
            checkpoint.entries()
        ))?,
        // A chain proves that nothing is missing before its end, and cannot say where the end was.
        None => {
            printer.line("Whether its end was cut off, only a checkpoint tells: `cipherform keys audit checkpoint`.")?
        }
    }
    printer.line(format_args!(
        "public key of its checkpoints (Ed25519): {}",
        hex::encode(log.public_key()?)
    ))?;
    if verified.unfinished {
        printer.line("There is an unfinished entry at its end: whoever wrote it was interrupted.")?;
    }
    Ok(())
}

fn show(log: &AuditLog, filter: &FilterArgs, last: Option<usize>, report: &Report<'_>) -> Result<()> {
    // The whole log is verified also if only a part of it is shown.
    let entries = log.verify_chain()?.entries;
    // What is there can be read, whatever became of the rest.
    if let Err(error) = log.check_known() {
        report.printer.say(format_args!("warning: {error}"));
    }
    let shown: Vec<&AuditEntry> = entries.iter().filter(|entry| filter.matches(entry)).collect();
    let from = last.map_or(0, |last| shown.len().saturating_sub(last));
    let shown = &shown[from..];
    if report.format == ListFormat::Json {
        return shown.iter().try_for_each(|entry| report.json(entry));
    }
    // A failure is an entry of its own behind the one it is of, since entries are never changed.
    let failed: HashSet<u64> = (entries.iter().enumerate())
        .filter(|(_, entry)| entry.event == AuditEvent::Failed)
        .filter_map(|(at, failure)| entries[..at].iter().rfind(|entry| failure.is_of(entry)))
        .map(|entry| entry.number)
        .collect();
    let mut rows = vec![["", "WHEN", "WHO", "ROLE", "WHAT", "KEY", "FOR", "VALUES", "OUTCOME"].map(String::from)];
    rows.extend(shown.iter().map(|entry| row(entry, failed.contains(&entry.number))));
    report.printer.table(&rows)
}

fn row(entry: &AuditEntry, failed: bool) -> [String; 9] {
    let text = |text: Option<String>| text.unwrap_or("-".to_owned());
    let purpose = entry.purpose.map(|purpose| verb(purpose).to_owned());
    let purpose = [
        purpose,
        entry.rule.clone().map(|rule| format!("under {rule}")),
        entry.context.clone(),
    ];
    let purpose: Vec<String> = purpose.into_iter().flatten().collect();
    let kms_key = entry.kms_key.as_ref().map(ToString::to_string);
    let done = if failed { "failed" } else { "done" };
    let outcome = match (&entry.refused, &entry.reason) {
        (Some(refused), _) => format!("refused: {refused}"),
        (None, Some(reason)) => format!("{done}: {reason}"),
        (None, None) => done.to_owned(),
    };
    [
        entry.number.to_string(),
        entry.time.to_string(),
        entry.who.clone(),
        text(entry.role.clone()),
        entry.event.to_string(),
        text(entry.key.clone().or(kms_key)),
        text((!purpose.is_empty()).then(|| purpose.join(", "))),
        text(entry.values.map(|values| values.to_string())),
        outcome,
    ]
}
