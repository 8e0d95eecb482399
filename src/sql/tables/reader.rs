//! Readers of files that must not have changed since their table was opened.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::file::metadata::ParquetMetaData;

use super::listing::TableFile;
use crate::sql::external;

/// Makes readers that check their file, and know its footer.
#[derive(Debug)]
pub(super) struct CheckedReaders {
    /// The readers underneath.
    pub(super) inner: Arc<dyn ParquetFileReaderFactory>,
    /// The table's files by their place in the object store.
    pub(super) files: Arc<HashMap<String, Arc<TableFile>>>,
}

impl ParquetFileReaderFactory for CheckedReaders {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let known = self.files.get(file.object_meta.location.as_ref()).cloned();
        let inner = self
            .inner
            .create_reader(partition_index, file, metadata_size_hint, metrics)?;
        let Some(known) = known else { return Ok(inner) };
        known.check_unchanged().map_err(external)?;
        Ok(Box::new(CheckedReader { inner, file: known }))
    }
}

/// A reader whose footer is the one that the table was opened with, so that no other file's bytes are read by it
/// without an error.
struct CheckedReader {
    inner: Box<dyn AsyncFileReader + Send>,
    file: Arc<TableFile>,
}

impl AsyncFileReader for CheckedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<bytes::Bytes>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<bytes::Bytes>>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let footer = Arc::clone(self.file.source.footer());
        async move { Ok(footer) }.boxed()
    }
}
