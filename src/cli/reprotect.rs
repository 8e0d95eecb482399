//! `cipherform reprotect`

use super::args::{KeyArgs, ReprotectArgs};
use super::printer::Printer;
use super::{job, session};
use crate::Result;
use crate::files::Job;

pub(super) async fn run(args: ReprotectArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let engine = session::engine(keys).await?;
    let planned = Job::reprotect(&engine, &args.job.source, &args.rules).await?;
    job::run(&planned, &args.job, "reprotected", printer).await
}
