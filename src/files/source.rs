//! A Parquet file to read from.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::types;
use crate::columns::{self, ColumnDescription};
use crate::{Error, Result};

/// Rows in a batch.
const BATCH: usize = 8192;

/// A Parquet file whose footer has been read.
#[derive(Debug)]
pub struct Source {
    pub(super) path: PathBuf,
    pub(super) file: File,
    metadata: ArrowReaderMetadata,
}

impl Source {
    /// Opens the Parquet file at `path` and reads its footer.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it cannot be opened, [`crate::ErrorKind::BadInput`] when it is not a whole
    /// Parquet file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io(format!("cannot open `{}`", path.display()), error))?;
        let is_file = file.metadata().map(|metadata| metadata.is_file());
        // Opening a folder succeeds on Unix, and fails only at the first read, with a message that helps
        // nobody.
        if !is_file.map_err(|error| Error::io(format!("cannot open `{}`", path.display()), error))? {
            return Err(
                Error::bad_input(format!("`{}` is not a file", path.display())).with_hint("name one Parquet file")
            );
        }
        let load = |options| ArrowReaderMetadata::load(&file, options).map_err(|error| unreadable(path, error));
        let metadata = load(ArrowReaderOptions::new())?;
        let zoned = types::with_zones(metadata.schema(), metadata.metadata());
        let read = zoned.as_ref().unwrap_or(metadata.schema());
        let metadata = match int96_in_microseconds(read, metadata.metadata()).or(zoned) {
            Some(schema) => load(ArrowReaderOptions::new().with_schema(Arc::new(schema)))?,
            None => metadata,
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
        })
    }

    /// The Arrow schema.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.parquet().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The number of row groups.
    pub fn row_groups(&self) -> usize {
        self.parquet().num_row_groups()
    }

    /// The columns with their descriptions; of structs and lists their fields.
    ///
    /// # Errors
    /// Metadata that cannot be read.
    pub fn columns(&self) -> Result<Vec<ColumnDescription>> {
        columns::describe(self.schema())
    }

    /// The footer.
    #[cfg(feature = "sql")]
    pub(crate) fn footer(&self) -> &Arc<ParquetMetaData> {
        self.metadata.metadata()
    }

    pub(super) fn parquet(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// The batches of one row group.
    pub(super) fn read(&self, row_group: usize) -> Result<ParquetRecordBatchReader> {
        // The file that was opened, not its path: another file put in its place meanwhile would not fit
        // the footer.
        let file = self.file.try_clone();
        let file = file.map_err(|error| Error::io(format!("cannot read `{}`", self.path.display()), error))?;
        ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            // One at a time: a reader over all of them would hold several.
            .with_row_groups(vec![row_group])
            .with_batch_size(BATCH)
            .build()
            .map_err(|error| unreadable(&self.path, error))
    }
}

/// The schema for a file with timestamps of the old INT96 type, as Spark, Hive and Impala write them; `None` if it
/// has none.
///
/// They read as nanoseconds unless told otherwise, and those end in 2262: year 9999, which often stands for "never",
/// would wrap.
fn int96_in_microseconds(read: &Schema, file: &ParquetMetaData) -> Option<Schema> {
    let parquet = file.file_metadata().schema_descr();
    let is_int96 = |root: usize| {
        let mut leaves = (0..parquet.num_columns()).filter(|leaf| parquet.get_column_root_idx(*leaf) == root);
        leaves.any(|leaf| parquet.column(leaf).physical_type() == PhysicalType::INT96)
    };
    let mut found = false;
    let fields: Vec<_> = read
        .fields()
        .iter()
        .enumerate()
        .map(|(root, field)| match field.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, zone) if is_int96(root) => {
                found = true;
                let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                Arc::new(field.as_ref().clone().with_data_type(micros))
            }
            _ => Arc::clone(field),
        })
        .collect();
    found.then(|| Schema::new_with_metadata(fields, read.metadata().clone()))
}

/// A Parquet file that is not what it should be.
pub(super) fn unreadable(path: &Path, error: impl Into<ParquetError>) -> Error {
    Error::bad_input(format!("`{}` is not a whole Parquet file", path.display()))
        .with_source(error.into())
        .with_hint("it may be cut short, damaged, or of another format")
}
