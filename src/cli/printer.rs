//! Data to stdout, messages to stderr; readable without colour.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::hints;
use crate::{Error, Result};

/// The one outlet of everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printer;

impl Printer {
    pub(super) fn new() -> Self {
        Self
    }

    /// A message for the person, on stderr.
    // stderr, so that stdout has data only and can be piped.
    pub(super) fn say(&self, message: impl Display) {
        // With stderr closed nobody is listening.
        let _ = writeln!(io::stderr(), "{message}");
    }

    /// An error, and its hint on a line of its own.
    pub(super) fn error(&self, error: &Error) {
        self.say(format_args!("error: {error}"));
        // On its own line, so that a search for `hint:` finds all.
        if let Some(hint) = error.hint() {
            self.say(format_args!("hint: {}", hints::words(hint)));
        }
    }

    /// A line of data, on stdout.
    pub(super) fn line(&self, line: impl Display) -> Result<()> {
        writeln!(self.stdout(), "{line}").map_err(|error| Error::io("cannot write to stdout", error))
    }

    /// The writer of data.
    pub(super) fn stdout(&self) -> Stdout {
        Stdout(io::stdout())
    }

    /// Rows as a table for people: aligned columns, two spaces apart.
    pub(super) fn table<const N: usize>(&self, rows: &[[String; N]]) -> Result<()> {
        // In characters, not bytes: names of columns may be of any script.
        let mut widths = [0; N];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows {
            let mut line = String::new();
            for (width, cell) in widths.iter().zip(row) {
                line.push_str(&format!("{cell:width$}  "));
            }
            // Without blanks at the end, which a comparison of outputs would trip over.
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// A progress bar over `total` rows, shown on a terminal only.
    pub(super) fn progress(&self, total: u64, what: &'static str) -> ProgressBar {
        // Hidden in a pipe, where a bar would fill a log with control characters.
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style =
            ProgressStyle::with_template("{msg} [{bar:30}] {human_pos}/{human_len} rows, {per_sec}, {eta} left");
        ProgressBar::with_draw_target(Some(total), target)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(what)
    }
}

/// `1 row`, `1,500 rows`.
pub(super) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", HumanCount(number))
}

/// Stdout, whose reader may stop (`| head`): then we are done.
pub(super) struct Stdout(io::Stdout);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_closed(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_closed(self.0.flush())
    }
}

fn unless_closed<T>(result: io::Result<T>) -> io::Result<T> {
    match result {
        // The reader has what it wanted. An error here would make `| head` fail in scripts with pipefail.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        result => result,
    }
}
