//! `cipherform selftest`

use std::path::PathBuf;

use clap::Args;

use crate::cipher::selftest;
use crate::cli::printer::Printer;
use crate::{Error, Result, vectors};

/// Check the ciphers on this machine against known answers.
#[derive(Args, Debug)]
pub(in crate::cli) struct SelftestArgs {
    /// A folder of vector files of schema fpe-vectors/1, to be checked too
    pub(in crate::cli) folder: Option<PathBuf>,
}

pub(in crate::cli) fn run(args: &SelftestArgs, printer: &Printer) -> Result<()> {
    let files = args
        .folder
        .as_deref()
        // The folder is read whole first, so that a file that is no vector file fails before any case runs.
        .map_or_else(|| Ok(Vec::new()), vectors::read_directory)?;
    // The callback cannot fail, so the first failure to print is kept for afterwards.
    let mut printed = Ok(());
    let summary = selftest::run(&files, &mut |line| {
        if printed.is_ok() {
            printed = printer.line(line);
        }
    })?;
    printed?;
    let built_in = summary.built_in;
    printer.line(format_args!(
        "built in: {} passed, {} failed",
        // A case that must be refused and is refused has passed.
        built_in.passed + built_in.refused,
        built_in.failed
    ))?;
    if args.folder.is_some() {
        let vectors = summary.vectors;
        printer.line(format_args!(
            "vectors: {} failed of {} ({} valid passed, {} invalid refused) in {} files",
            vectors.failed,
            vectors.passed + vectors.refused + vectors.failed,
            vectors.passed,
            vectors.refused,
            summary.files
        ))?;
    }
    if summary.ok() {
        Ok(())
    } else {
        // Our failure by exit code, whatever the cause: such a build must not encrypt.
        Err(
            Error::bug("the ciphers of this build give wrong answers on this machine")
                .with_hint("do not use it; the failed cases stand above"),
        )
    }
}
