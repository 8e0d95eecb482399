//! Jobs over files: progress, interruption, the closing lines.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::args::{JobArgs, ListFormat};
use super::printer::{Printer, count};
use crate::columns::{ColumnSummary, MisfitRows, ValueCounts};
use crate::files::{Job, Progress, Report};
use crate::formats::digit_groups;
use crate::transform::Outcome;
use crate::{Error, ErrorKind, Result};

/// Runs `job`, and says what it did.
pub(super) async fn run(job: &Job, args: &JobArgs, what: &'static str, printer: &Printer) -> Result<()> {
    let cancel = Arc::new(AtomicBool::new(false));
    // Ctrl-C or a termination request ends the job at its next batch, and its half-written file goes with it.
    cancel_on_signal(&cancel)?;
    let started = Instant::now();
    // Made with the first progress, when the total is known.
    let mut bar = None;
    let mut progress = |Progress { rows, total }| {
        if !args.quiet {
            bar.get_or_insert_with(|| printer.progress(total, what))
                .set_position(rows);
        }
    };
    // Whichever ends first. Dropping the job takes its half-written file away.
    let report = tokio::select! {
        report = job.run(&args.target, args.force, &cancel, &mut progress) => report,
        // A token store that does not answer keeps the job from its next batch.
        () = long_after(&cancel) => Err(Error::new(ErrorKind::Interrupted, "interrupted; nothing was written")),
    };
    // Before anything is printed, or the bar's line stays between the messages.
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    // Only now, so that the bar is gone also after an error.
    let report = report?;
    // Warnings about keys are shown under --quiet, too: they need somebody to act.
    for due in &report.due {
        printer.say(format_args!("warning: {due}"));
    }
    for column in &report.columns {
        // Under --quiet, too: a value that is lost or in the clear needs somebody to know.
        for warning in warnings(column) {
            printer.say(format_args!("warning: column `{}`: {warning}", column.column));
        }
    }
    if args.quiet {
        return Ok(());
    }
    for note in &report.notes {
        printer.say(format_args!("note: {note}"));
    }
    for column in &report.columns {
        printer.say(format_args!(
            "  {:<24} rule {:<16} key {:<10} {}",
            column.column,
            column.rule,
            column.key,
            fates(&column.counts, what)
        ));
    }
    let seconds = started.elapsed().as_secs_f64();
    printer.say(format_args!(
        "{what} {}, {}, into `{}` in {seconds:.1} s",
        count(report.rows, "row"),
        count(report.columns.len() as u64, "protected column"),
        args.target.display()
    ));
    Ok(())
}

/// Examines what `job` would do to `file`, and says so. Returns the number of values that would be refused.
pub(super) async fn check(job: &Job, file: &Path, format: ListFormat, quiet: bool, printer: &Printer) -> Result<usize> {
    let cancel = Arc::new(AtomicBool::new(false));
    cancel_on_signal(&cancel)?;
    let mut bar = None;
    let mut progress = |Progress { rows, total }| {
        if !quiet {
            bar.get_or_insert_with(|| printer.progress(total, "checked"))
                .set_position(rows);
        }
    };
    let report = job.examine(&cancel, &mut progress).await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let report = report?;
    for due in &report.due {
        printer.say(format_args!("warning: {due}"));
    }
    match format {
        ListFormat::Table => print_examined(file, &report, printer)?,
        ListFormat::Json => printer.line(examined(file, &report))?,
    }
    Ok(report.columns.iter().map(|column| column.counts.refused).sum())
}

fn print_examined(file: &Path, report: &Report, printer: &Printer) -> Result<()> {
    printer.line(format_args!("{}: {}", file.display(), count(report.rows, "row")))?;
    for column in &report.columns {
        printer.line(format_args!(
            "  {:<24} rule {:<16} {}",
            column.column,
            column.rule,
            fates(&column.counts, "protected")
        ))?;
        for (reason, MisfitRows { values, first }) in column.misfits.iter() {
            let rows: Vec<String> = first.iter().map(u64::to_string).collect();
            let more = if *values > first.len() { ", …" } else { "" };
            let row = if *values == 1 { "row" } else { "rows" };
            printer.line(format_args!(
                "      {}: {reason} ({row} {}{more})",
                digit_groups(*values as u128),
                rows.join(", ")
            ))?;
        }
    }
    report
        .notes
        .iter()
        .try_for_each(|note| printer.line(format_args!("  note: {note}")))
}

fn examined(file: &Path, report: &Report) -> serde_json::Value {
    let column = |column: &ColumnSummary| {
        let ValueCounts {
            values,
            nulls,
            empty,
            refused,
            outcome,
        } = column.counts;
        let misfits = column.misfits.iter();
        let misfits =
            misfits.map(|(reason, rows)| json!({"reason": reason, "values": rows.values, "rows": rows.first}));
        json!({
            "column": column.column,
            "rule": column.rule,
            "values": values,
            "protected": column.counts.treated(),
            "band": outcome.banded,
            "siv": outcome.wrapped,
            "made_null": outcome.nulled,
            "in_the_clear": outcome.kept_clear,
            "refused": refused,
            "null": nulls,
            "empty": empty,
            "misfits": misfits.collect::<Vec<_>>(),
        })
    };
    let columns: Vec<_> = report.columns.iter().map(column).collect();
    json!({
        "file": file.display().to_string(),
        "rows": report.rows,
        "columns": columns,
        "warnings": report.due,
        "notes": report.notes,
    })
}

/// Words what became of the values of a column, which `what` says was done to the usual ones.
fn fates(counts: &ValueCounts, what: &str) -> String {
    let Outcome {
        kept_clear,
        wrapped,
        nulled,
        banded,
        forgotten,
    } = counts.outcome;
    let fates = [
        (counts.treated(), what),
        (banded, "short (band)"),
        (wrapped, "misfit (siv)"),
        (nulled, "made NULL"),
        (kept_clear, "in the clear"),
        (forgotten, "forgotten"),
        (counts.nulls, "NULL"),
        (counts.empty, "empty"),
        (counts.refused, "refused"),
    ];
    // The first also if there are none: a column of nothing but NULLs says so.
    let fates = fates
        .iter()
        .enumerate()
        .filter(|(at, (values, _))| *at == 0 || *values > 0);
    let fates: Vec<String> = fates
        .map(|(_, (values, fate))| format!("{} {fate}", digit_groups(*values as u128)))
        .collect();
    fates.join(", ")
}

/// Words what became of values that are lost, or not protected.
fn warnings(column: &ColumnSummary) -> Vec<String> {
    let outcome = &column.counts.outcome;
    let all = [
        (
            outcome.kept_clear,
            "value",
            "left as it is by on_invalid = \"insecure-keep\"",
        ),
        (outcome.nulled, "value", "lost, made NULL by on_invalid = \"null\""),
        (outcome.forgotten, "token", "their value was deleted, or has expired"),
    ];
    let counted = all.iter().filter(|(values, ..)| *values > 0);
    counted
        .map(|(values, noun, what)| format!("{what}: {}", count(*values as u64, noun)))
        .collect()
}

/// Ends some seconds after `cancel` was set: a job that gets that far has ended by itself.
async fn long_after(cancel: &AtomicBool) {
    while !cancel.load(Ordering::Relaxed) {
        // Polled, as the flag is set by a signal handler, which may not wake a task.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Time for the job to end at its next batch and clean up by itself.
    tokio::time::sleep(Duration::from_secs(5)).await;
}

/// Sets `cancel` when the person or the system asks this process to end: Ctrl-C, a termination request, a closed
/// terminal.
pub(super) fn cancel_on_signal(cancel: &Arc<AtomicBool>) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    // Each of them would otherwise kill the process in the middle of its work.
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(cancel))
            .map_err(|error| Error::io("cannot listen for signals", error))?;
    }
    Ok(())
}
