//! `cipherform reveal`

use super::args::{KeyArgs, RevealArgs};
use super::printer::Printer;
use super::{job, session};
use crate::Result;
use crate::columns::RevealOptions;
use crate::files::Job;

pub(super) async fn run(args: RevealArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let engine = session::engine(keys).await?;
    let options = RevealOptions {
        key_version: args.key_version,
    };
    let planned = Job::reveal(&engine, &args.job.source, args.table.table.as_deref(), options).await?;
    job::run(&planned, &args.job, "revealed", printer).await
}
