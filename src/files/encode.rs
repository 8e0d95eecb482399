//! Columns that are decoded, transformed and encoded anew, apart from all others.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader as _;
use parquet::file::writer::SerializedFileWriter;
use tokio::runtime::Handle;

use super::chunk::SharedFile;
use super::page_store::PageStores;
use super::pages;
use super::schema::{self, NewLeaf};
use super::source::{Source, caught};
use crate::columns::{BatchPlan, LeafFate};
use crate::{Error, ErrorKind, Result};

/// The most rows of a batch.
const ROWS: usize = 8192;

/// Bytes of a batch that its rows are chosen for.
const BYTES: usize = 32 << 20;

/// Columns that are worked on together: one takes tweaks from another, or both are fields of one column.
pub(super) struct Component {
    plans: Vec<BatchPlan>,
    /// The file, with the types it is read with.
    source: Arc<Source>,
    file: SharedFile,
    mask: ProjectionMask,
    /// The numbers of the source's leaves that are read.
    read: Vec<usize>,
    writers: ArrowRowGroupWriterFactory,
    /// Of each leaf that the plans give: its number in the source, if it is made anew.
    made: Vec<Option<usize>>,
}

/// The new file: its columns, settings and folder.
#[derive(Clone, Debug)]
pub(super) struct Target<'a> {
    /// The new form of each leaf of the source.
    pub(super) leaves: &'a [NewLeaf],
    pub(super) properties: &'a Arc<WriterProperties>,
    /// The folder it will stand in.
    pub(super) folder: PathBuf,
}

/// A leaf of the source that was made anew, and its number.
pub(super) type MadeLeaf = (usize, ArrowColumnChunk);

impl Component {
    /// The work of `plans` on the Arrow leaves `kept`.
    pub(super) fn new(
        source: &Arc<Source>,
        file: &SharedFile,
        plans: &[BatchPlan],
        kept: &[bool],
        target: Target<'_>,
    ) -> Result<Self> {
        let Target { leaves, properties, .. } = target;
        let first = plans.first().ok_or_else(|| Error::bug("a job without a plan"))?;
        let widths: Vec<usize> = first.leaf_types().iter().map(schema::parquet_leaves).collect();
        let is_made = |at: usize| plans.iter().any(|plan| plan.leaf_fates()[at] == LeafFate::Made);
        let (mut read, mut made, mut parquet) = (Vec::new(), Vec::new(), 0);
        for (at, width) in widths.iter().enumerate() {
            for leaf in parquet..parquet + width {
                if kept[at] {
                    read.push(leaf);
                    made.push(is_made(at).then_some(leaf));
                }
            }
            parquet += width;
        }
        let plans: Vec<BatchPlan> = plans.iter().map(|plan| plan.narrowed_to(kept)).collect();
        let output = plans.last().ok_or_else(|| Error::bug("a job without a plan"))?.output();
        let of_source = source.parquet().file_metadata().schema_descr();
        // The types that these leaves have in the new file, without all others.
        let here = leaves.iter().enumerate().map(|(at, leaf)| match leaf {
            _ if !read.contains(&at) => NewLeaf::Dropped,
            leaf => leaf.clone(),
        });
        let here = schema::with_leaves(of_source, here.collect()).map_err(cannot_prepare)?;
        let nowhere = SerializedFileWriter::new(io::sink(), here.root_schema_ptr(), Arc::clone(properties));
        let writers = ArrowRowGroupWriterFactory::new(&nowhere.map_err(cannot_prepare)?, Arc::clone(output))
            .with_page_store_factory(Arc::new(PageStores { folder: target.folder }));
        Ok(Self {
            mask: ProjectionMask::leaves(of_source, read.iter().copied()),
            source: Arc::clone(source),
            file: file.clone(),
            plans,
            read,
            writers,
            made,
        })
    }

    /// The plans, which count what they do.
    pub(super) fn plans(&self) -> &[BatchPlan] {
        &self.plans
    }

    /// Bytes that a row group's columns have once they are decompressed.
    pub(super) fn bytes(&self, row_group: usize) -> u64 {
        let group = self.source.parquet().row_group(row_group);
        let sizes = self.read.iter().map(|leaf| group.column(*leaf).uncompressed_size());
        u64::try_from(sizes.sum::<i64>()).unwrap_or_default()
    }

    /// Makes the columns of a row group, of which `base` rows come before. `progress` is told the rows of each batch.
    ///
    /// # Errors
    /// A value that does not fit, a damaged page; [`ErrorKind::Interrupted`] once `stop` is true.
    pub(super) fn encode(
        &self,
        row_group: usize,
        base: u64,
        runtime: &Handle,
        stop: &AtomicBool,
        progress: &dyn Fn(u64),
    ) -> Result<Vec<MadeLeaf>> {
        self.attempts(row_group, progress, |plans, rows, tell| {
            let mut writers = self.writers.create_column_writers(row_group)?;
            self.each_batch(row_group, rows, stop, tell, &mut |batch, before| {
                let batch = self
                    .transformed(plans, batch, base + before, runtime)
                    .map_err(AttemptError::Other)?;
                self.write(&batch, &mut writers)
            })?;
            let made = writers.into_iter().zip(&self.made);
            made.filter_map(|(writer, made)| Some((made.as_ref()?, writer)))
                .map(|(leaf, writer)| Ok((*leaf, writer.close()?)))
                .collect()
        })
    }

    /// Examines the columns of a row group, of which `base` rows come before. `progress` is told the rows of each
    /// batch.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), but for values that do not fit.
    pub(super) fn examine(&self, row_group: usize, base: u64, stop: &AtomicBool, progress: &dyn Fn(u64)) -> Result<()> {
        self.attempts(row_group, progress, |plans, rows, tell| {
            self.each_batch(row_group, rows, stop, tell, &mut |batch, before| {
                // Only the first plan meets the values that stand in the file.
                let examined = plans
                    .iter()
                    .take(1)
                    .try_for_each(|plan| plan.examine(&batch, base + before));
                examined.map_err(|error| AttemptError::Other(self.in_file(error)))
            })
        })
    }

    /// Tries `attempt`, with smaller batches each time the file cannot be read. Only what the plans of the attempt that
    /// worked have found counts.
    fn attempts<T>(
        &self,
        row_group: usize,
        progress: &dyn Fn(u64),
        mut attempt: impl FnMut(&[BatchPlan], usize, &mut dyn FnMut(u64)) -> Result<T, AttemptError>,
    ) -> Result<T> {
        let mut rows = self.batch_rows(row_group);
        let mut told = 0;
        loop {
            let mut done = 0;
            let mut tell = |more: u64| {
                done += more;
                // Not again what was told before the batches were made smaller.
                if done > told {
                    progress(done - told);
                    told = done;
                }
            };
            let plans: Vec<BatchPlan> = self.plans.iter().map(BatchPlan::afresh).collect();
            let result = self.verify(row_group).map_err(AttemptError::Other);
            match result.and_then(|()| attempt(&plans, rows, &mut tell)) {
                // Text of a batch that is beyond what Arrow can address: that shows only once it is decoded.
                Err(AttemptError::Read(_)) if rows > 1 => rows = rows.div_ceil(64),
                Err(AttemptError::Read(error)) => return Err(self.damaged(row_group, error)),
                Err(AttemptError::Other(error)) => return Err(error),
                Ok(result) => {
                    self.plans.iter().zip(&plans).for_each(|(all, plan)| all.add(plan));
                    return Ok(result);
                }
            }
        }
    }

    /// Gives each batch of a row group to `work`, with the number of rows before it.
    fn each_batch(
        &self,
        row_group: usize,
        rows: usize,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(u64),
        work: &mut dyn FnMut(RecordBatch, u64) -> Result<(), AttemptError>,
    ) -> Result<(), AttemptError> {
        let expected = u64::try_from(self.source.parquet().row_group(row_group).num_rows()).unwrap_or_default();
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.source.reader().clone())
                .with_projection(self.mask.clone())
                .with_row_groups(vec![row_group])
                .with_batch_size(rows);
        let mut reader = caught(|| reader.build()).map_err(AttemptError::Read)?;
        let mut done = 0;
        while let Some(batch) =
            caught(|| reader.next().transpose().map_err(ParquetError::from)).map_err(AttemptError::Read)?
        {
            // Between two batches, where nothing is half done.
            if stop.load(Ordering::Relaxed) {
                return Err(AttemptError::Other(interrupted()));
            }
            let rows = batch.num_rows() as u64;
            work(batch, done)?;
            done += rows;
            progress(rows);
        }
        if done != expected {
            let message = format!("the row group has {expected} rows, and its columns {done}");
            return Err(AttemptError::Other(
                self.damaged(row_group, ParquetError::General(message)),
            ));
        }
        Ok(())
    }

    /// Writes those leaves of `batch` that are made anew.
    fn write(&self, batch: &RecordBatch, writers: &mut [ArrowColumnWriter]) -> Result<(), AttemptError> {
        let schema = batch.schema();
        let mut writers = writers.iter_mut().zip(&self.made);
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, column)? {
                let Some((writer, made)) = writers.next() else {
                    return Err(AttemptError::Other(Error::bug("more leaves than writers")));
                };
                if made.is_some() {
                    writer.write(&leaf)?;
                }
            }
        }
        Ok(())
    }

    /// Compares the checksums of pages, where their writer gave them some.
    fn verify(&self, row_group: usize) -> Result<()> {
        for leaf in &self.read {
            let chunk = self.source.parquet().row_group(row_group).column(*leaf);
            let verified = caught(|| {
                let (start, length) = chunk.byte_range();
                Ok(pages::verify(self.file.get_read(start)?, length)?)
            });
            verified.map_err(|error| damaged(&self.source, row_group, &[*leaf], error))?;
        }
        Ok(())
    }

    fn transformed(
        &self,
        plans: &[BatchPlan],
        mut batch: RecordBatch,
        base: u64,
        runtime: &Handle,
    ) -> Result<RecordBatch> {
        for plan in plans {
            // Waits for a token store at most; the threads of the runtime go on meanwhile.
            let done = runtime.block_on(plan.apply(&batch, base));
            batch = done.map_err(|error| self.in_file(error))?;
        }
        Ok(batch)
    }

    fn in_file(&self, error: Error) -> Error {
        error.context(format_args!("`{}`", self.source.path.display()))
    }

    /// Rows of a batch, so that long texts do not take all memory.
    fn batch_rows(&self, row_group: usize) -> usize {
        let group = self.source.parquet().row_group(row_group);
        let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX).max(1);
        let of_leaf = |leaf: &usize| {
            let chunk = group.column(*leaf);
            let plain = usize::try_from(chunk.uncompressed_size()).unwrap_or_default() / rows;
            let of_dictionary = match chunk.column_descr().physical_type() {
                PhysicalType::BYTE_ARRAY => self.dictionary_value(chunk),
                _ => 0,
            };
            plain.max(of_dictionary)
        };
        let row = self.read.iter().map(of_leaf).sum::<usize>().max(1);
        (BYTES / row).clamp(1, ROWS)
    }

    /// Bytes of a value of a chunk's dictionary, on average: rows refer to it as often as they like.
    fn dictionary_value(&self, chunk: &ColumnChunkMetaData) -> usize {
        let header = pages::dictionary(&self.file, chunk);
        header.map_or(0, |header| match header.dictionary_values {
            Some(values) if values > 0 => header.uncompressed / values,
            _ => 0,
        })
    }

    fn damaged(&self, row_group: usize, error: ParquetError) -> Error {
        damaged(&self.source, row_group, &self.read, error)
    }
}

/// A row group of `source` that cannot be read, and the leaves that were being read.
pub(super) fn damaged(source: &Source, row_group: usize, leaves: &[usize], error: ParquetError) -> Error {
    let schema = source.parquet().file_metadata().schema_descr();
    let names: Vec<String> = leaves
        .iter()
        .map(|leaf| format!("`{}`", schema.column(*leaf).path().string()))
        .collect();
    let message = format!(
        "`{}` is damaged: row group {row_group}, {} {}",
        source.path.display(),
        if names.len() == 1 { "column" } else { "columns" },
        names.join(", ")
    );
    // An error of ours comes wrapped in one of the reader's, which would say it twice.
    let error = match error {
        ParquetError::External(cause) => cause,
        error => error.into(),
    };
    Error::bad_input(message)
        .with_source(error)
        .with_hint("write it anew, or take a copy that is whole")
}

pub(super) fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "interrupted; nothing was written")
}

fn cannot_prepare(error: ParquetError) -> Error {
    Error::bug("a schema that cannot be written").with_source(error)
}

enum AttemptError {
    /// The file could not be read.
    Read(ParquetError),
    Other(Error),
}

impl From<ParquetError> for AttemptError {
    fn from(error: ParquetError) -> Self {
        Self::Other(Error::new(ErrorKind::Io, "cannot encode a column").with_source(error))
    }
}
