//! Row group by row group.

use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::commit::{OutputFile, cannot_write};
use super::source::{Source, unreadable};
use super::{table_name, types};
use crate::cipher::Direction;
use crate::columns::{BatchPlan, ColumnSummary, RevealOptions};
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result};

/// A file to protect or reveal, checked, not yet begun.
#[derive(Debug)]
pub struct Job {
    engine: Engine,
    source: Source,
    /// Plans that each batch goes through, one after the other.
    plans: Vec<BatchPlan>,
    what: &'static str,
}

/// How far a job is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Rows done.
    pub rows: u64,
    /// Rows in all.
    pub total: u64,
}

/// The report of a job.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rows written.
    pub rows: u64,
    /// The columns that were not just copied.
    pub columns: Vec<ColumnSummary>,
    /// Warnings about the keys that were used: periods that end soon, compromised versions.
    pub due: Vec<String>,
}

impl Job {
    /// Plans to protect the file at `source`, as table `table` or else as its stem.
    ///
    /// # Errors
    /// As [`Source::open`] and [`BatchPlan::protect`].
    pub async fn protect(engine: &Engine, source: &Path, table: Option<&str>) -> Result<Self> {
        let source = Source::open(source)?;
        let table = table.map_or_else(|| table_name(&source.path), str::to_owned);
        // Rules and keys are resolved here, before anything is written: a key that is missing costs no
        // half-written file.
        let plan = BatchPlan::protect(engine, &table, source.schema()).await;
        Self::new(engine, source, plan.map(|plan| vec![plan]), "protect")
    }

    /// Plans to reveal the file at `source`.
    ///
    /// # Errors
    /// As [`Source::open`] and [`BatchPlan::reveal`].
    pub async fn reveal(engine: &Engine, source: &Path, table: Option<&str>, options: RevealOptions) -> Result<Self> {
        let source = Source::open(source)?;
        let table = table.map_or_else(|| table_name(&source.path), str::to_owned);
        let plan = BatchPlan::reveal(engine, &table, source.schema(), options).await;
        Self::new(engine, source, plan.map(|plan| vec![plan]), "reveal")
    }

    /// Plans to protect the protected file at `source` anew: with the current versions of the keys, under the same
    /// rules or, column by column, `rules`. What is revealed in between stays in memory.
    ///
    /// # Errors
    /// As [`Source::open`] and [`BatchPlan::reprotect`].
    pub async fn reprotect(engine: &Engine, source: &Path, rules: &[(String, String)]) -> Result<Self> {
        let source = Source::open(source)?;
        let plans = BatchPlan::reprotect(engine, source.schema(), rules).await;
        Self::new(engine, source, plans.map(Vec::from), "reprotect")
    }

    fn new(engine: &Engine, source: Source, plans: Result<Vec<BatchPlan>>, what: &'static str) -> Result<Self> {
        let plans = plans.map_err(|error| error.context(format_args!("`{}`", source.path.display())))?;
        Ok(Self {
            engine: engine.clone(),
            source,
            plans,
            what,
        })
    }

    fn last(&self) -> Result<&BatchPlan> {
        self.plans.last().ok_or_else(|| Error::bug("a job without a plan"))
    }

    /// Does the job: writes `target`, replacing one that is there only if `replace` says so. `progress` is told after
    /// each batch; when `cancel` turns true the job ends, and leaves nothing behind.
    ///
    /// # Errors
    /// A row that does not fit, a damaged page, a full or read-only target; `target` is then as it was.
    pub async fn run(
        &self,
        target: &Path,
        replace: bool,
        cancel: &AtomicBool,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Report> {
        let done = self.rewrite(target, replace, cancel, progress).await;
        // What was worked on counts, whether it came to an end or not. The file is there only once that is written
        // down.
        let ended = if done.is_ok() { "" } else { ", which failed" };
        self.engine
            .audit_usage(&format!("{} {}{ended}", self.what, self.source.path.display()))?;
        let (aside, report) = done?;
        // A protected file may be read by whoever might read the plain one; a revealed one by its owner alone.
        aside.commit(match self.last()?.direction() {
            Direction::Encrypt => {
                let metadata = self.source.file.metadata();
                Some(metadata.map_err(|error| cannot_write(target, error))?.permissions())
            }
            Direction::Decrypt => None,
        })?;
        Ok(report)
    }

    async fn rewrite(
        &self,
        target: &Path,
        replace: bool,
        cancel: &AtomicBool,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(OutputFile, Report)> {
        let aside = OutputFile::create(target, replace)?;
        let failed = |error: ParquetError| write_error(target, error);
        let buffered = BufWriter::with_capacity(1 << 20, aside.file());
        let output = self.last()?.output();
        let types = types::parquet_schema(output, self.source.parquet().file_metadata().schema_descr());
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties())
            .with_parquet_schema(types.map_err(failed)?);
        let mut writer = ArrowWriter::try_new_with_options(buffered, Arc::clone(output), options).map_err(failed)?;
        let total = self.source.rows();
        let mut rows = 0;
        for row_group in 0..self.source.row_groups() {
            for batch in self.source.read(row_group)? {
                // Between two batches, where nothing is half done. Returning drops the file, which
                // removes it.
                if cancel.load(Ordering::Relaxed) {
                    return Err(Error::new(ErrorKind::Interrupted, "interrupted; nothing was written"));
                }
                let batch = batch.map_err(|error| unreadable(&self.source.path, error))?;
                let mut done = batch;
                for plan in &self.plans {
                    done = plan
                        .apply(&done, rows)
                        .await
                        .map_err(|error| error.context(format_args!("`{}`", self.source.path.display())))?;
                }
                writer.write(&done).map_err(failed)?;
                rows += done.num_rows() as u64;
                progress(Progress { rows, total });
            }
            // Ends a row group where the source's ends, so the memory is that of one.
            writer.flush().map_err(failed)?;
        }
        // Writes the footer. An error here, such as a full disk, must not be lost in a drop.
        let buffered = writer.into_inner().map_err(failed)?;
        buffered
            .into_inner()
            .map_err(|error| cannot_write(target, error.into_error()))?;
        let report = Report {
            rows,
            columns: self.last()?.summary(),
            due: self.plans.iter().flat_map(BatchPlan::due).collect(),
        };
        Ok((aside, report))
    }

    /// The source's compression, bloom filters and metadata; row groups are cut where the source's are.
    fn properties(&self) -> WriterProperties {
        let parquet = self.source.parquet();
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("cipherform ", env!("CARGO_PKG_VERSION")).to_owned())
            // The writer must not cut by itself: groups of the source would come out in other sizes.
            .set_max_row_group_row_count(None)
            .set_key_value_metadata(self.key_values());
        if let Some(row_group) = parquet.row_groups().first() {
            for column in row_group.columns() {
                let path: ColumnPath = column.column_path().clone();
                properties = properties.set_column_compression(path.clone(), column.compression());
                // The writer fills the filter anew, from what is written: that of the source would tell
                // which plain values there were.
                properties = bloom_filter(properties, path, column.bloom_filter_offset().is_some());
            }
        }
        properties.build()
    }

    /// The file's own metadata, without the Arrow schema: the new file gets a new one.
    fn key_values(&self) -> Option<Vec<KeyValue>> {
        let key_values = self.source.parquet().file_metadata().key_value_metadata()?;
        Some(
            key_values
                .iter()
                // It describes the types of the source. A reader would apply them to protected columns of
                // other types.
                .filter(|pair| pair.key != ARROW_SCHEMA_META_KEY)
                .cloned()
                .collect(),
        )
    }
}

fn bloom_filter(properties: WriterPropertiesBuilder, path: ColumnPath, wanted: bool) -> WriterPropertiesBuilder {
    if wanted {
        properties.set_column_bloom_filter_enabled(path, true)
    } else {
        properties
    }
}

/// A full disk comes wrapped in the Parquet writer's error.
fn write_error(target: &Path, error: ParquetError) -> Error {
    let error = match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => return cannot_write(target, *error),
            Err(cause) => ParquetError::External(cause),
        },
        error => error,
    };
    Error::new(ErrorKind::Io, format!("cannot write `{}`", target.display())).with_source(error)
}
