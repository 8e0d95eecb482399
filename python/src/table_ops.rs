//! Whole tables, by the policy's `[columns]` or by what their columns say of themselves.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cipherform::columns::{BatchPlan, RevealOptions};
use cipherform::{Engine, Error, HintPart, Remedy, Result};

use crate::data::Data;

/// A table done, and how many values of which columns were left in the clear.
pub(crate) type Applied = (Data, Vec<(String, usize)>);

pub(crate) async fn protect(
    engine: &Engine,
    table: Option<&str>,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Applied> {
    // Without its name only some of its lines would be found, and the rest would stay in the clear.
    let plan = BatchPlan::protect(engine, table.ok_or_else(which)?, schema).await?;
    apply(&plan, batches).await
}

pub(crate) async fn reveal(
    engine: &Engine,
    table: Option<&str>,
    key_version: Option<u32>,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Applied> {
    // A name is only needed where the policy's lines decide.
    let table = match key_version {
        None => table.unwrap_or_default(),
        Some(_) => table.ok_or_else(which)?,
    };
    let plan = BatchPlan::reveal(engine, table, schema, RevealOptions { key_version }).await;
    let asks_for_version = HintPart::Remedy(Remedy::NameKeyVersion);
    // The library's hint names an option of the command line; here it is an argument.
    let plan = plan.map_err(|error| {
        if error
            .hint()
            .is_some_and(|hint| hint.parts().contains(&asks_for_version))
        {
            error.with_hint(
                "if it is, and its metadata was lost on the way, pass table= and key_version= to go by the policy's \
                 [columns]",
            )
        } else {
            error
        }
    })?;
    apply(&plan, batches).await
}

async fn apply(plan: &BatchPlan, batches: &[RecordBatch]) -> Result<Applied> {
    let mut done = Vec::with_capacity(batches.len());
    // Rows count through all batches.
    let mut base = 0;
    for batch in batches {
        done.push(plan.apply(batch, base).await?);
        base += batch.num_rows() as u64;
    }
    let columns = plan.summary().into_iter();
    let kept_clear = columns
        .map(|column| (column.column, column.counts.outcome.kept_clear))
        .collect();
    Ok((Data::Table(done, plan.output().clone()), kept_clear))
}

fn which() -> Error {
    Error::bad_input("which table of the policy's [columns] this is has not been said")
        .with_hint("pass table=, such as table=\"customer\"")
}
