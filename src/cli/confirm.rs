//! Questions to the person at the terminal before a change that cannot be taken back.

use std::fmt::Display;
use std::io::{BufRead, IsTerminal, Write};

use super::args::ConfirmArgs;
use super::printer::Printer;
use crate::keys::Reason;
use crate::{Error, Result};

/// Takes the reason for a change, and its confirmation where it has a consequence: from the command line, or else from
/// the person at the terminal.
pub(super) fn confirm(
    key: &impl Display,
    args: &ConfirmArgs,
    consequence: Option<&str>,
    printer: &Printer,
) -> Result<Reason> {
    confirm_for("Key", key, args, consequence, printer)
}

/// Takes reason and confirmation like [`confirm`], for a `subject` that is of the `kind` that the question names.
pub(super) fn confirm_for(
    kind: &str,
    subject: &impl Display,
    args: &ConfirmArgs,
    consequence: Option<&str>,
    printer: &Printer,
) -> Result<Reason> {
    let terminal = std::io::stdin().is_terminal();
    // Confirmed before the reason is asked for: the more important question first.
    if let Some(consequence) = consequence.filter(|_| !args.yes) {
        // Never assumed from a script: --yes has to be written down.
        if !terminal {
            return Err(
                Error::bad_input("this asks whether it is meant, and there is no terminal to ask on")
                    .with_hint("pass --yes and --reason"),
            );
        }
        type_to_confirm(kind, subject, consequence, printer)?;
    }
    match &args.reason {
        Some(reason) => Ok(reason.clone()),
        // Parsed like the argument, so an empty line is refused.
        None if terminal => line("Why? ")?.parse(),
        None => Err(
            Error::bad_input("a reason is recorded with this, and there is no terminal to ask on")
                .with_hint("pass --reason 'a sentence that says why'"),
        ),
    }
}

fn type_to_confirm(kind: &str, subject: &impl Display, consequence: &str, printer: &Printer) -> Result<()> {
    printer.say(format_args!("{kind} `{subject}`: {consequence}"));
    // The name and not "y", which is typed by habit.
    if line(&format!("Type `{subject}` to go on: "))?.trim() == subject.to_string() {
        Ok(())
    } else {
        Err(Error::bad_input("that is not its name; nothing was changed"))
    }
}

/// Reads a line that the person types.
fn line(prompt: &str) -> Result<String> {
    let failed = |error| Error::io("cannot ask", error);
    let mut line = String::new();
    // To stderr: stdout may be redirected into a file.
    write!(std::io::stderr(), "{prompt}").map_err(failed)?;
    std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
    Ok(line)
}
