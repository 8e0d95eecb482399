//! Tokens for whole arrays.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::ordinal;
use super::task::{Task, Treated};
use super::types::check_type;
use crate::transform::Texts;
use crate::{Error, Result};

/// Dictionaries are done row by row and built anew: in the store each distinct value counts once all the same.
pub(super) async fn apply(task: Task<'_>, array: &ArrayRef) -> Result<Treated> {
    check_type(task.transform, task.column, array.data_type())?;
    // The type of the values decides, as their dictionary is unpacked anyway.
    let values = match array.data_type() {
        DataType::Dictionary(_, values) => values,
        other => other,
    };
    if !values.is_string() {
        let plain = cast(array, values).map_err(unreadable)?;
        // The unpacked array: a dictionary itself is not counted.
        task.count(&plain)?;
        let done = ordinal::tokenized(task, &plain).await;
        let mut done = done.unwrap_or_else(|| Err(Error::bug(format!("no code for type {values}"))))?;
        done.array = like(&done.array, array.data_type(), task.column)?;
        return Ok(done);
    }
    // 64-bit offsets, so that tokens longer than their values cannot overflow on the way.
    let text = cast(array, &DataType::LargeUtf8).map_err(unreadable)?;
    task.count(&text)?;
    let rows: Vec<Option<&str>> = text.as_string::<i64>().iter().collect();
    let mut texts = Texts::with_capacity(rows.len(), text.as_string::<i64>().value_data().len());
    let outcome = task
        .transform
        .token_texts(task.direction, &rows, &mut texts)
        .await
        .map_err(|error| task.locate(error, 0))?;
    let results: LargeStringArray = texts.iter().collect();
    let results: ArrayRef = Arc::new(results);
    Ok(Treated {
        array: like(&results, array.data_type(), task.column)?,
        outcome,
    })
}

/// `results`, as the type of the column that came.
fn like(results: &ArrayRef, data_type: &DataType, column: &str) -> Result<ArrayRef> {
    // The default makes NULL of what does not fit, which would lose tokens silently.
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    // The cause is left out: it may hold a value.
    cast_with_options(results, data_type, &strict).map_err(|_| {
        Error::bad_input(format!("column `{column}`: the results do not fit type {data_type}"))
            .with_hint("use smaller batches, LargeUtf8, or a dictionary with larger keys")
    })
}

fn unreadable(error: ArrowError) -> Error {
    Error::bug("a column cannot be read as what it holds").with_source(error)
}
