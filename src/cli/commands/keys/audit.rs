//! `cipherform keys audit show | verify | checkpoint`

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::args::ListFormat;
use crate::cli::printer;
use crate::cli::report::Report;
use crate::keys::{AuditEntry, AuditEvent, AuditLog, Checkpoint, Keyring, VerifiedLog, verb};
use crate::{Error, Result, fs};

/// The verbs for audit logs.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// Show the entries, after verifying them
    Show {
        /// Only the last so many
        #[arg(long, value_name = "N")]
        last: Option<usize>,
    },
    /// Verify that no entry was changed, taken out or put in
    #[command(after_help = "\
Examples:
  cipherform keys audit verify
  cipherform keys audit verify --checkpoint checkpoint.json    also that the end was not cut off since, and the \
      keyring is no older copy")]
    Verify {
        /// A file that `checkpoint` wrote then
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Write out how far the log is, signed: keep it where the users of the keyring cannot write
    Checkpoint,
}

pub(super) fn run(command: &AuditCommand, keyring: &Keyring, report: &Report<'_>) -> Result<()> {
    let log = keyring.audit_log().ok_or_else(|| {
        Error::bad_policy("the policy names no audit log")
            .with_hint("add a line like audit = \"audit.jsonl\" to it, above the first [table]")
    })?;
    match command {
        AuditCommand::Show { last } => show(log, *last, report),
        AuditCommand::Verify { checkpoint: None } => verified(log.verify()?, log, None, report),
        AuditCommand::Verify { checkpoint: Some(path) } => {
            let checkpoint = Checkpoint::parse(&fs::read(path)?)
                .map_err(|error| error.context(format_args!("`{}`", path.display())))?;
            // Together with the generation: an older copy of keyring and log would otherwise verify.
            let log_verified = log.verify_since(&checkpoint, keyring.generation())?;
            verified(log_verified, log, Some(&checkpoint), report)
        }
        AuditCommand::Checkpoint => {
            let checkpoint = log.checkpoint(keyring.generation())?;
            // To stdout, so that it can go straight to another machine.
            let written = report.printer.stdout().write_all(&checkpoint.to_bytes());
            written.map_err(|error| Error::io("cannot write to stdout", error))
        }
    }
}

fn verified(verified: VerifiedLog, log: &AuditLog, since: Option<&Checkpoint>, report: &Report<'_>) -> Result<()> {
    let entries = verified.entries.len() as u64;
    if report.format == ListFormat::Json {
        return report.json(&serde_json::json!({
            "entries": entries,
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

fn show(log: &AuditLog, last: Option<usize>, report: &Report<'_>) -> Result<()> {
    let entries = log.verify()?.entries;
    // The whole log is verified also if only its end is shown.
    let from = last.map_or(0, |last| entries.len().saturating_sub(last));
    let shown = &entries[from..];
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
