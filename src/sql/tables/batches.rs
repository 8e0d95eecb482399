//! Record batches in memory.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::datasource::MemTable;

use super::names::is_within;
use super::opened::OpenedTable;
use super::provider::StoredTable;
use super::view::{self, Generation};
use crate::columns;
use crate::sql::access::Access;
use crate::sql::from_datafusion;
use crate::sql::types::without_metadata;
use crate::transform::Engine;
use crate::{Error, Result};

/// Makes table `name` of `batches`, all of `schema`.
pub(in crate::sql) async fn open(
    engine: Option<&Engine>,
    name: &str,
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<OpenedTable> {
    let in_table = |error: Error| error.context(format_args!("table `{name}`"));
    let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("it has two columns `{}`, which SQL could not tell apart", twice[0]);
        return Err(in_table(Error::bad_input(message)));
    }
    // As with files, metadata does not go into plans, where it would get lost or stale.
    let bare = Arc::new(bare_schema(schema));
    let batches = batches.into_iter().map(|batch| with_schema(batch, &bare));
    let rows = MemTable::try_new(Arc::clone(&bare), vec![batches.collect::<Result<_>>()?]).map_err(from_datafusion)?;
    let described = columns::protected_columns(schema).map_err(in_table)?;
    let is_protected = |field: &Arc<Field>| described.iter().any(|(path, _)| is_within(path, field.name()));
    let protected: Vec<bool> = schema.fields().iter().map(is_protected).collect();
    let Some(engine) = engine else {
        let access = vec![Access::Open; bare.fields().len()];
        return Ok(OpenedTable {
            provider: Arc::new(StoredTable::of_batches(rows, protected, access)),
            grants: Vec::new(),
        });
    };
    let generation = Generation::new(engine, name, schema, described)
        .await
        .map_err(in_table)?;
    let stored = StoredTable::of_batches(rows, protected, generation.access(0));
    Ok(OpenedTable {
        grants: generation.grants(name),
        provider: view::table(name, vec![(generation, stored)])?,
    })
}

fn bare_schema(schema: &Schema) -> Schema {
    let bare = |field: &Arc<Field>| {
        let data_type = without_metadata(field.data_type());
        field
            .as_ref()
            .clone()
            .with_data_type(data_type)
            .with_metadata(Default::default())
    };
    Schema::new(schema.fields().iter().map(bare).collect::<Vec<_>>())
}

fn with_schema(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let other = |error| Error::bad_input("a batch has another schema than its table").with_source(error);
    if batch.num_columns() != schema.fields().len() {
        return Err(Error::bad_input("a batch has another schema than its table"));
    }
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| match field.data_type() {
        nested if nested.is_nested() => cast(column, nested),
        _ => Ok(Arc::clone(column)),
    });
    let columns = columns.collect::<Result<_, _>>().map_err(other)?;
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(other)
}
