//! `cipherform protect`

use clap::Args;

use super::check::refusal;
use crate::Result;
use crate::cli::args::{JobArgs, KeyArgs, ListFormat, TableArgs};
use crate::cli::printer::Printer;
use crate::cli::{job, session};
use crate::files::Job;

/// Protect a Parquet file as the policy says.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform protect customer.parquet out/customer.parquet
  cipherform protect part-0001.parquet safe.parquet --table customer")]
pub(in crate::cli) struct ProtectArgs {
    #[command(flatten)]
    pub(in crate::cli) job: JobArgs,
    #[command(flatten)]
    pub(in crate::cli) table: TableArgs,
    /// Write nothing: say what would become of each column, as `cipherform check` does
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

pub(in crate::cli) async fn run(args: ProtectArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let engine = session::engine(keys).await?;
    let planned = Job::protect(&engine, &args.job.source, args.table.table.as_deref()).await?;
    if args.dry_run {
        let JobArgs { source, quiet, .. } = &args.job;
        return refusal(job::check(&planned, source, ListFormat::Table, *quiet, printer).await?);
    }
    job::run(&planned, &args.job, "protected", printer).await
}
