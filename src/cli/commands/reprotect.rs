//! `cipherform reprotect`

use clap::Args;

use crate::Result;
use crate::cli::args::{JobArgs, KeyArgs};
use crate::cli::printer::Printer;
use crate::cli::{job, session};
use crate::files::Job;

/// Protect a protected Parquet file anew, with the current versions of the keys.
///
/// Each batch is revealed and protected again in memory; no plaintext is written.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform keys rotate pii && cipherform reprotect safe.parquet safe-2.parquet
  cipherform reprotect safe.parquet safe-2.parquet --rule card=card-2026    to another rule, for one column

Columns of the old and the new file do not join as they are stored. Hashes, masks and tokens stay as they are; \
    tokens have
`cipherform tokens reseal`.")]
pub(in crate::cli) struct ReprotectArgs {
    #[command(flatten)]
    pub(in crate::cli) job: JobArgs,
    /// Protect this column under another rule
    #[arg(long = "rule", value_name = "COLUMN=RULE", value_parser = column_rule)]
    pub(in crate::cli) rules: Vec<(String, String)>,
}

// Split at the first =, as rules have none in their names.
fn column_rule(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, rule)) if !column.is_empty() && !rule.is_empty() => Ok((column.to_owned(), rule.to_owned())),
        _ => Err("write COLUMN=RULE".to_owned()),
    }
}

pub(in crate::cli) async fn run(args: ReprotectArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let engine = session::engine(keys).await?;
    let planned = Job::reprotect(&engine, &args.job.source, &args.rules).await?;
    job::run(&planned, &args.job, "reprotected", printer).await
}
