//! Record batches in memory.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::datasource::MemTable;

use super::view;
use crate::sql::{Session, from_datafusion};
use crate::{Error, Result};

pub(in crate::sql) async fn register(
    session: &Session,
    name: &str,
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<()> {
    view::check_name(session, name)?;
    // As with files, metadata does not go into plans, where it would get lost or stale.
    let bare = Arc::new(without_metadata(schema));
    let batches = batches.into_iter().map(|batch| with_schema(batch, &bare));
    let table = MemTable::try_new(Arc::clone(&bare), vec![batches.collect::<Result<_>>()?]).map_err(from_datafusion)?;
    let stored = session.context().read_table(Arc::new(table)).map_err(from_datafusion)?;
    view::register(session, name, schema, stored)
        .await
        .map_err(|error| error.context(format_args!("table `{name}`")))
}

fn without_metadata(schema: &Schema) -> Schema {
    let bare = |field: &Arc<Field>| field.as_ref().clone().with_metadata(Default::default());
    Schema::new(schema.fields().iter().map(bare).collect::<Vec<_>>())
}

fn with_schema(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)
        .map_err(|error| Error::bad_input("a batch has another schema than its table").with_source(error))
}
