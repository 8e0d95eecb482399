//! `cipherform check`

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::{KeyArgs, ListFormat, TableArgs};
use crate::cli::printer::{Printer, count};
use crate::cli::{job, session};
use crate::files::Job;
use crate::{Engine, Error, Result};

/// Say what `protect` would do to each column, without writing anything.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads every row. Says of each column how many values would be encrypted, share a band, be encrypted as a whole or be
refused, with the reasons and the first rows of each; never a value.

Examples:
  cipherform check customer.parquet
  cipherform check --format json 2026-*.parquet

Exit codes: 0 everything has a place, 1 values would be refused.")]
pub(in crate::cli) struct CheckArgs {
    /// The Parquet files
    #[arg(required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) table: TableArgs,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(in crate::cli) format: ListFormat,
    /// Show no progress
    #[arg(long, short)]
    pub(in crate::cli) quiet: bool,
}

pub(in crate::cli) async fn run(args: CheckArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let engine = session::engine(keys).await?;
    let mut refused = 0;
    for file in &args.files {
        refused += check(&engine, file, &args, printer).await?;
    }
    refusal(refused)
}

async fn check(engine: &Engine, file: &Path, args: &CheckArgs, printer: &Printer) -> Result<usize> {
    let planned = Job::protect(engine, file, args.table.table.as_deref()).await?;
    job::check(&planned, file, args.format, args.quiet, printer).await
}

/// An error if `refused` values have no place.
pub(in crate::cli) fn refusal(refused: usize) -> Result<()> {
    if refused == 0 {
        return Ok(());
    }
    Err(
        Error::bad_input(format!("{} would be refused", count(refused as u64, "value")))
            .with_hint("mend them, or give them a place: on_invalid = \"siv\" in their rules"),
    )
}
