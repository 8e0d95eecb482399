//! A Parquet file to read from.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Encoding, PageType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats, ParquetMetaData};

use super::chunk::SharedFile;
use super::{pages, schema};
use crate::columns::{self, ColumnDescription};
use crate::{Error, Result};

/// The bytes that an encrypted Parquet file ends with.
const ENCRYPTED: &[u8] = b"PARE";

/// A Parquet file whose footer has been read.
#[derive(Debug)]
pub struct Source {
    pub(super) path: PathBuf,
    pub(super) file: File,
    metadata: ArrowReaderMetadata,
    /// The Arrow schema, in which columns say how they are protected even if only the file says so.
    schema: SchemaRef,
}

impl Source {
    /// Opens the Parquet file at `path` and reads its footer. Timestamps of the old INT96 type are read as
    /// microseconds: as nanoseconds they would end in 2262, and year 9999, which often stands for "never", would wrap.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it cannot be opened, [`crate::ErrorKind::BadInput`] when it is not a whole
    /// Parquet file, or contradicts itself.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &|_| Some((TimeUnit::Microsecond, None)))
    }

    /// Opens the file at `path`, reading leaf `n`, if it is of type INT96, in the unit and zone that `int96(n)` says.
    pub(super) fn open_with(
        path: &Path,
        int96: &dyn Fn(usize) -> Option<(TimeUnit, Option<Arc<str>>)>,
    ) -> Result<Self> {
        let cannot_open = |error| Error::io(format!("cannot open `{}`", path.display()), error);
        let file = File::open(path).map_err(cannot_open)?;
        // Opening a folder succeeds on Unix, and fails only at the first read, with a message that helps
        // nobody.
        if !file.metadata().map_err(cannot_open)?.is_file() {
            return Err(
                Error::bad_input(format!("`{}` is not a file", path.display())).with_hint("name one Parquet file")
            );
        }
        // With every encoding of its pages, as these are copied.
        let options = || ArrowReaderOptions::new().with_encoding_stats_as_mask(false);
        let load = |options| caught(|| ArrowReaderMetadata::load(&file, options));
        let metadata = load(options()).map_err(|error| not_opened(path, &file, error))?;
        check_rows(path, metadata.metadata())?;
        let zoned = schema::with_zones(metadata.schema(), metadata.metadata());
        let read = zoned.as_ref().unwrap_or(metadata.schema());
        let parquet = metadata.metadata().file_metadata().schema_descr_ptr();
        let wanted = |leaf: usize, data_type: &DataType| match data_type {
            DataType::Timestamp(..) if parquet.column(leaf).physical_type() == PhysicalType::INT96 => {
                let (unit, zone) = int96(leaf)?;
                Some(DataType::Timestamp(unit, zone))
            }
            // Its writer had another dictionary for each batch; those of a row group together may need wider keys.
            DataType::Dictionary(key, values) if is_narrow(key) => {
                Some(DataType::Dictionary(Box::new(DataType::Int32), values.clone()))
            }
            _ => None,
        };
        let metadata = match schema::retyped(read, &wanted).or(zoned) {
            Some(schema) => {
                load(options().with_schema(Arc::new(schema))).map_err(|error| not_opened(path, &file, error))?
            }
            None => metadata,
        };
        let schema = columns::with_descriptions(metadata.schema())
            .map_err(|error| error.context(format_args!("`{}`", path.display())))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
            schema,
        })
    }

    /// The Arrow schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
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

    /// The most distinct values that the column `leaf` may have: those of its dictionaries, or all that are not in one.
    pub(super) fn most_distinct(&self, file: &SharedFile, leaf: usize) -> u64 {
        let of_chunk = |chunk: &ColumnChunkMetaData| {
            let all = u64::try_from(chunk.num_values()).unwrap_or(u64::MAX);
            let in_dictionary = |stats: &PageEncodingStats| match stats.page_type {
                PageType::DATA_PAGE | PageType::DATA_PAGE_V2 => {
                    matches!(stats.encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY)
                }
                _ => true,
            };
            if !chunk
                .page_encoding_stats()
                .is_some_and(|stats| stats.iter().all(in_dictionary))
            {
                return all;
            }
            let header = pages::dictionary(file, chunk);
            header
                .and_then(|header| header.dictionary_values)
                .map_or(all, |values| values as u64)
        };
        let groups = self.parquet().row_groups().iter();
        groups.fold(0, |most, group| most.saturating_add(of_chunk(group.column(leaf))))
    }

    /// The footer as the Arrow reader takes it.
    pub(super) fn reader(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }

    /// The file that was opened: another one that was put in its place would not fit the footer.
    pub(super) fn handle(&self) -> Result<File> {
        self.file
            .try_clone()
            .map_err(|error| Error::io(format!("cannot read `{}`", self.path.display()), error))
    }
}

fn is_narrow(key: &DataType) -> bool {
    use DataType::{Int8, Int16, UInt8, UInt16};
    matches!(key, Int8 | UInt8 | Int16 | UInt16)
}

/// Runs a part of the library `parquet`, which panics on some damaged files.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    caught.unwrap_or_else(|_| Err(ParquetError::General("the reader gave up".to_owned())))
}

/// Compares the rows that the footer names with those of the row groups and of their columns.
fn check_rows(path: &Path, parquet: &ParquetMetaData) -> Result<()> {
    let of_footer = parquet.file_metadata().num_rows();
    let of_groups = parquet
        .row_groups()
        .iter()
        .try_fold(0_i64, |all, group| all.checked_add(group.num_rows()));
    if of_groups != Some(of_footer) {
        let message = format!(
            "`{}` contradicts itself: its footer names {of_footer} rows, and its row groups have {}",
            path.display(),
            of_groups.unwrap_or(i64::MAX)
        );
        return Err(Error::bad_input(message).with_hint("it is damaged, or its writer was; write it anew"));
    }
    for (number, group) in parquet.row_groups().iter().enumerate() {
        for column in group.columns() {
            // A column that does not repeat has one value a row, NULLs counted.
            if column.column_descr().max_rep_level() == 0 && column.num_values() != group.num_rows() {
                let message = format!(
                    "`{}` contradicts itself: row group {number} has {} rows, and its column `{}` {} values",
                    path.display(),
                    group.num_rows(),
                    column.column_descr().path().string(),
                    column.num_values()
                );
                return Err(Error::bad_input(message).with_hint("it is damaged, or its writer was; write it anew"));
            }
        }
    }
    Ok(())
}

/// A file whose footer cannot be read.
fn not_opened(path: &Path, file: &File, error: ParquetError) -> Error {
    let mut file = file;
    let mut end = [0; 4];
    let ends = file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut end));
    if ends.is_ok() && end == ENCRYPTED || format!("{error}").contains("encrypted footer") {
        return Error::bad_input(format!("`{}` is an encrypted Parquet file", path.display()))
            .with_source(error)
            .with_hint("decrypt it first, with the program that has its key");
    }
    unreadable(path, error)
}

/// A Parquet file that is not what it should be.
pub(super) fn unreadable(path: &Path, error: impl Into<ParquetError>) -> Error {
    Error::bad_input(format!("`{}` is not a whole Parquet file", path.display()))
        .with_source(error.into())
        .with_hint("it may be cut short, damaged, or of another format")
}
