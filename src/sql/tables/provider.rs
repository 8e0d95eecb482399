//! A table as DataFusion scans it: files that were listed once, or batches in memory.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::datasource::MemTable;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion_datasource_parquet::metadata::DFParquetMetadata;
use object_store::ObjectMeta;
use object_store::path::Path as ObjectPath;

use super::listing::TableFile;
use super::names::stored_name;
use super::reader::CheckedReaders;
use crate::sql::access::Access;
use crate::sql::external;
use crate::sql::types::without_metadata;
use crate::{Error, Result as OurResult};

/// The stored rows of one generation of a table, and what the session's role may do with each column.
///
/// What the metadata of the files says was read when the table was opened. It is not in the schema: DataFusion loses
/// field metadata in some expressions and keeps it in others where it has become false.
#[derive(Debug)]
pub(in crate::sql) struct StoredTable {
    schema: SchemaRef,
    access: Vec<Access>,
    protected: Vec<bool>,
    /// Do its columns have the names of stored ones below a view?
    is_below_view: bool,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Files(Files),
    Memory(MemTable),
}

#[derive(Debug)]
struct Files {
    table_schema: TableSchema,
    files: Vec<PartitionedFile>,
    statistics: Statistics,
    known: Arc<HashMap<String, Arc<TableFile>>>,
}

impl StoredTable {
    /// A table of `files`, whose columns are those of `schema` and then one for each of `partitions`.
    ///
    /// # Errors
    /// A path that is not UTF-8; our bug.
    pub(super) fn of_files(
        schema: &SchemaRef,
        partitions: &[FieldRef],
        is_protected: &[bool],
        files: Vec<Arc<TableFile>>,
        access: Vec<Access>,
    ) -> OurResult<Self> {
        let table_schema = TableSchema::builder(Arc::clone(schema))
            .with_table_partition_cols(partitions.to_vec())
            .build();
        let whole = Arc::clone(table_schema.table_schema());
        let (mut scanned, mut known) = (Vec::new(), HashMap::new());
        let mut statistics: Option<Statistics> = None;
        for file in files {
            let object = object_meta(&file)?;
            known.insert(object.location.as_ref().to_owned(), Arc::clone(&file));
            let values = partitions.iter().map(|partition| {
                let value = file.partitions.iter().find(|(column, _)| column == partition.name());
                ScalarValue::Utf8(value.and_then(|(_, value)| value.clone()))
            });
            let mut partitioned = PartitionedFile::new_from_meta(object);
            partitioned.partition_values = values.collect();
            let of_file = file_statistics(&file, schema, is_protected)?;
            let partitioned = partitioned.with_statistics(Arc::new(of_file));
            if let Some(of_file) = &partitioned.statistics {
                statistics = Some(match statistics {
                    None => of_file.as_ref().clone(),
                    Some(before) => merged(&before, of_file, &whole)?,
                });
            }
            scanned.push(partitioned);
        }
        Ok(Self {
            schema: Arc::clone(&whole),
            access,
            protected: is_protected
                .iter()
                .copied()
                .chain(partitions.iter().map(|_| false))
                .collect(),
            is_below_view: false,
            rows: Rows::Files(Files {
                statistics: statistics.unwrap_or_else(|| Statistics::new_unknown(&whole)),
                table_schema,
                files: scanned,
                known: Arc::new(known),
            }),
        })
    }

    /// A table of batches in memory.
    pub(super) fn of_batches(rows: MemTable, protected: Vec<bool>, access: Vec<Access>) -> Self {
        Self {
            schema: rows.schema(),
            access,
            protected,
            is_below_view: false,
            rows: Rows::Memory(rows),
        }
    }

    /// Gives the columns the names that stored ones have below a view.
    #[must_use]
    pub(super) fn below_view(self) -> Self {
        let fields = self.schema.fields().iter();
        let renamed = fields.map(|field| field.as_ref().clone().with_name(stored_name(field.name())));
        Self {
            schema: Arc::new(Schema::new(renamed.collect::<Vec<_>>())),
            is_below_view: true,
            ..self
        }
    }

    /// Tells of each column whether it is protected, or has protected fields.
    pub(in crate::sql) fn protected(&self) -> &[bool] {
        &self.protected
    }

    /// The access of the session's role to each column, in the order of the schema.
    pub(in crate::sql) fn access(&self) -> &[Access] {
        &self.access
    }
}

#[async_trait]
impl TableProvider for StoredTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        match &self.rows {
            Rows::Files(files) => Some(files.statistics.clone()),
            Rows::Memory(_) => None,
        }
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = match &self.rows {
            Rows::Memory(rows) => {
                let plan = rows.scan(state, projection, filters, limit).await?;
                return self.renamed(plan, projection);
            }
            Rows::Files(files) => files,
        };
        for file in files.known.values() {
            file.check_unchanged().map_err(external)?;
        }
        let url = ObjectStoreUrl::local_filesystem();
        let runtime = state.runtime_env();
        let readers = CheckedReaders {
            inner: Arc::new(CachedParquetFileReaderFactory::new(
                runtime.object_store(&url)?,
                runtime.cache_manager.get_file_metadata_cache(),
            )),
            files: Arc::clone(&files.known),
        };
        let source = ParquetSource::new(files.table_schema.clone())
            .with_table_parquet_options(state.default_table_options().parquet)
            .with_parquet_file_reader_factory(Arc::new(readers));
        let groups = FileGroup::new(files.files.clone()).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(files.statistics.clone())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        self.renamed(DataSourceExec::from_data_source(config), projection)
    }
}

impl StoredTable {
    /// Puts the names of the table's columns in place of those of the rows.
    fn renamed(&self, plan: Arc<dyn ExecutionPlan>, projection: Option<&Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>> {
        if !self.is_below_view {
            return Ok(plan);
        }
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let named = projection.unwrap_or(&all).iter().enumerate().map(|(at, column)| {
            let stored: Arc<dyn PhysicalExpr> = Arc::new(Column::new(plan.schema().field(at).name(), at));
            (stored, self.schema.field(*column).name().clone())
        });
        let named: Vec<_> = named.collect();
        Ok(Arc::new(ProjectionExec::try_new(named, plan)?))
    }
}

fn object_meta(file: &TableFile) -> OurResult<ObjectMeta> {
    let location = ObjectPath::from_absolute_path(&file.path).map_err(|error| {
        Error::bad_input(format!("the path of `{}` cannot be used", file.shown.display())).with_source(error)
    })?;
    Ok(ObjectMeta {
        location,
        last_modified: file.stamp.modified.into(),
        size: file.stamp.length,
        e_tag: None,
        version: None,
    })
}

/// Statistics of a file's columns, out of its footer. Of those that are protected neither the least nor the greatest
/// value: the join planner would take `max − min` for the number of distinct values, and ciphertext is spread over all
/// of a format's range, so that every column would look like a key.
fn file_statistics(file: &TableFile, schema: &SchemaRef, is_protected: &[bool]) -> OurResult<Statistics> {
    let statistics = DFParquetMetadata::statistics_from_parquet_metadata(file.source.footer(), schema);
    let mut statistics = statistics.map_err(crate::sql::from_datafusion)?;
    let columns = statistics.column_statistics.iter_mut().zip(is_protected);
    for (column, _) in columns.filter(|(_, is_protected)| **is_protected) {
        *column = ColumnStatistics {
            null_count: column.null_count,
            distinct_count: column.distinct_count,
            byte_size: column.byte_size,
            ..ColumnStatistics::new_unknown()
        };
    }
    Ok(statistics)
}

/// The statistics of two sets of rows together.
fn merged(one: &Statistics, other: &Statistics, schema: &SchemaRef) -> OurResult<Statistics> {
    let mut merged = Statistics::try_merge_iter([one, other], schema).map_err(crate::sql::from_datafusion)?;
    for (column, (one, other)) in merged
        .column_statistics
        .iter_mut()
        .zip(one.column_statistics.iter().zip(&other.column_statistics))
    {
        // At least as many as in either.
        let least = one.distinct_count.get_value().max(other.distinct_count.get_value());
        if column.distinct_count == Precision::Absent
            && let Some(least) = least
        {
            column.distinct_count = Precision::Inexact(*least);
        }
    }
    Ok(merged)
}

/// The schema as DataFusion reads it best: text as views, and dictionaries with keys that have room for those of
/// several files and of results.
pub(super) fn as_scanned(schema: &Schema) -> Schema {
    let field = |field: &FieldRef| {
        let data_type = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
            DataType::Dictionary(key, value) if is_narrow(key) => {
                DataType::Dictionary(Box::new(DataType::Int32), value.clone())
            }
            other => without_metadata(other),
        };
        Field::new(field.name(), data_type, field.is_nullable())
    };
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

fn is_narrow(key: &DataType) -> bool {
    matches!(
        key,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 | DataType::UInt16
    )
}
