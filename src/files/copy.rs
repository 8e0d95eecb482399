//! Columns that are copied as they stand: compressed pages, statistics, indexes and bloom filters.

use std::io::Write;

use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::reader::ChunkReader as _;
use parquet::file::writer::SerializedRowGroupWriter;

use super::chunk::SharedFile;
use super::pages;

/// A file whose columns are copied, with the indexes that stand outside of its footer.
#[derive(Debug)]
pub(super) struct CopySource {
    file: SharedFile,
    /// With the page indexes, if these can be read.
    metadata: ParquetMetaData,
    /// Has every column that is copied an index of its pages? The library writes such for all columns, or for none.
    is_indexed: bool,
}

impl CopySource {
    /// The columns `leaves` of a file.
    pub(super) fn new(file: SharedFile, metadata: &ParquetMetaData, leaves: &[usize]) -> Self {
        let mut reader = ParquetMetaDataReader::new_with_metadata(metadata.clone())
            .with_page_index_policy(PageIndexPolicy::Optional);
        // Without its indexes a file can be read as well, so that damaged ones are left out.
        let indexed = super::source::caught(|| reader.read_page_indexes(&file)).and_then(|()| reader.finish());
        let metadata = indexed.unwrap_or_else(|_| metadata.clone());
        let has_index = |group: usize, leaf: usize| offset_index(&metadata, group, leaf).is_some();
        let is_indexed = (0..metadata.num_row_groups()).all(|group| leaves.iter().all(|leaf| has_index(group, *leaf)));
        Self {
            file,
            is_indexed,
            metadata,
        }
    }

    /// Has the new file indexes of its pages?
    pub(super) fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    /// Copies leaf `leaf` of a row group. Checksums of pages are compared, where there are some.
    ///
    /// # Errors
    /// A page that is not what its writer wrote; a full disk.
    pub(super) fn copy<W: Write + Send>(
        &self,
        row_group: usize,
        leaf: usize,
        into: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let group = self.metadata.row_group(row_group);
        let chunk = group.column(leaf);
        let trusted = self.has_orders() && !chunk.statistics().is_some_and(|known| known.is_min_max_deprecated());
        let metadata = cleaned(chunk, trusted)?;
        let (start, length) = metadata.byte_range();
        pages::verify(self.file.get_read(start)?, length)?;
        let column_index = self
            .metadata
            .column_index()
            .and_then(|groups| groups.get(row_group)?.get(leaf));
        into.append_column(
            &self.file,
            ColumnCloseResult {
                bytes_written: length,
                rows_written: u64::try_from(group.num_rows()).unwrap_or_default(),
                metadata,
                bloom_filter: Sbbf::read_from_column_chunk(chunk, &self.file)?,
                column_index: column_index
                    .filter(|index| self.is_indexed && trusted && !matches!(index, ColumnIndexMetaData::NONE))
                    .cloned(),
                offset_index: offset_index(&self.metadata, row_group, leaf)
                    .filter(|_| self.is_indexed)
                    .cloned(),
            },
        )
    }

    /// Says the file how its statistics are ordered? The new file says so of all, and would have statistics trusted
    /// that were compared as signed bytes.
    fn has_orders(&self) -> bool {
        self.metadata.file_metadata().column_orders().is_some()
    }
}

fn offset_index(metadata: &ParquetMetaData, row_group: usize, leaf: usize) -> Option<&OffsetIndexMetaData> {
    let index = metadata.offset_index()?.get(row_group)?.get(leaf)?;
    (!index.page_locations.is_empty()).then_some(index)
}

/// The metadata of a chunk, without statistics that readers must not trust, and without an offset of a dictionary that
/// is not there.
fn cleaned(chunk: &ColumnChunkMetaData, trusted: bool) -> Result<ColumnChunkMetaData> {
    let dictionary = chunk.dictionary_page_offset();
    let mut builder = chunk.clone().into_builder();
    // Some writers say 0 for "none".
    if dictionary.is_some_and(|at| at <= 0 || at >= chunk.data_page_offset()) {
        builder = builder.set_dictionary_page_offset(None);
    }
    if !trusted {
        builder = builder.clear_statistics();
    }
    builder.build()
}
