//! `cipherform protect`

use super::args::{KeyArgs, ProtectArgs};
use super::printer::Printer;
use super::{job, session};
use crate::Result;
use crate::files::Job;

pub(super) async fn run(args: ProtectArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let engine = session::engine(keys).await?;
    let planned = Job::protect(&engine, &args.job.source, args.table.table.as_deref()).await?;
    job::run(&planned, &args.job, "protected", printer).await
}
