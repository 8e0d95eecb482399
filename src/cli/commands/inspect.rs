//! `cipherform inspect`

use std::path::PathBuf;

use clap::Args;

use crate::Result;
use crate::cli::printer::{Printer, count};
use crate::files::Source;

/// Show which columns of a Parquet file are protected, and how.
#[derive(Args, Debug)]
pub(in crate::cli) struct InspectArgs {
    /// The Parquet file
    pub(in crate::cli) file: PathBuf,
}

pub(in crate::cli) fn run(args: &InspectArgs, printer: &Printer) -> Result<()> {
    // Reads the footer only, so no key, no policy and no row is needed.
    let source = Source::open(&args.file)?;
    let columns = source.columns()?;
    let protected = columns.iter().filter(|column| column.protected.is_some()).count();
    printer.line(format_args!(
        "{}: {} in {}, {}, {protected} protected",
        args.file.display(),
        count(source.rows(), "row"),
        count(source.row_groups() as u64, "row group"),
        count(columns.len() as u64, "column")
    ))?;
    printer.line("")?;
    let mut rows = vec![["COLUMN", "TYPE", "TREATMENT", "RULE", "FORMAT", "KEY", "TWEAK", "CHECK"].map(String::from)];
    let mut notes = Vec::new();
    for column in columns {
        let mut row = [
            column.name,
            column.data_type,
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ];
        if let Some(protected) = column.protected {
            notes.extend(protected.nonconforming.iter().map(|note| format!("{}: {note}", row[0])));
            row[2] = protected.treatment.to_string();
            row[3] = protected.rule;
            row[4] = protected.format;
            row[5] = format!(
                "{}@{} ({})",
                protected.key, protected.key_version, &protected.key_version_id
            );
            row[6] = protected.tweak;
            // Enough to compare two columns by eye; the whole value is in the metadata.
            row[7] = protected.check.chars().take(8).collect();
        } else {
            row[2] = "-".to_owned();
        }
        rows.push(row);
    }
    printer.table(&rows)?;
    // Departures from the standard stand below the table, as their reasons are sentences.
    if !notes.is_empty() {
        printer.line("")?;
        printer.line("Nonconforming:")?;
    }
    notes.iter().try_for_each(|note| printer.line(format_args!("  {note}")))
}
