//! Jobs over files: progress, interruption, the closing lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::args::JobArgs;
use super::printer::{Printer, count};
use crate::files::{Job, Progress};
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
    if args.quiet {
        return Ok(());
    }
    for note in &report.notes {
        printer.say(format_args!("note: {note}"));
    }
    for column in &report.columns {
        printer.say(format_args!(
            "  {:<24} rule {:<16} key {}",
            column.column, column.rule, column.key
        ));
        // Values in the clear in a file that looks protected: said, unless --quiet asks for silence.
        if column.kept_clear > 0 {
            printer.say(format_args!(
                "warning: column `{}`: left as it is by on_invalid = \"insecure-keep\": {}",
                column.column,
                count(column.kept_clear as u64, "value")
            ));
        }
        if column.forgotten > 0 {
            printer.say(format_args!(
                "warning: column `{}`: their value was deleted, or has expired: {}",
                column.column,
                count(column.forgotten as u64, "token")
            ));
        }
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
