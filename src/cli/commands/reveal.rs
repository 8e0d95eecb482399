//! `cipherform reveal`

use clap::Args;

use crate::Result;
use crate::cli::args::{JobArgs, KeyArgs, TableArgs};
use crate::cli::printer::Printer;
use crate::cli::{job, session};
use crate::columns::RevealOptions;
use crate::files::Job;

/// Reveal a protected Parquet file.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform reveal out/customer.parquet customer.parquet
  cipherform reveal stripped.parquet plain.parquet --table customer --key-version 1")]
pub(in crate::cli) struct RevealArgs {
    #[command(flatten)]
    pub(in crate::cli) job: JobArgs,
    #[command(flatten)]
    pub(in crate::cli) table: TableArgs,
    /// For files whose metadata was lost: take the rules from the policy's [columns], and this version of their keys
    // Versions count from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) key_version: Option<u32>,
}

pub(in crate::cli) async fn run(args: RevealArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let engine = session::engine(keys).await?;
    let options = RevealOptions {
        key_version: args.key_version,
    };
    let planned = Job::reveal(&engine, &args.job.source, args.table.table.as_deref(), options).await?;
    job::run(&planned, &args.job, "revealed", printer).await
}
