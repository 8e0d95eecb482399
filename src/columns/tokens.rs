//! Tokens for whole arrays.

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::DataType;

use super::{Task, Treated, check_type};
use crate::cipher::Direction;
use crate::transform::{Left, Texts};
use crate::{Error, Result};

/// Dictionaries are done row by row and built anew: in the store each distinct value counts once all the same.
pub(super) async fn apply(task: Task<'_>, array: &ArrayRef) -> Result<Treated> {
    check_type(task.transform, task.column, array.data_type())?;
    if task.transform.is_masked() && task.direction == Direction::Decrypt && is_integer(array.data_type()) {
        return Ok(Treated {
            array: new_null_array(array.data_type(), array.len()),
            left: Left::default(),
        });
    }
    let text = cast(array, &DataType::LargeUtf8)
        .map_err(|error| Error::bug("a column cannot be read as text").with_source(error))?;
    task.count(&text)?;
    let rows: Vec<Option<&str>> = text.as_string::<i64>().iter().collect();
    let mut texts = Texts::with_capacity(rows.len(), text.as_string::<i64>().value_data().len());
    let left = task
        .transform
        .token_texts(task.direction, &rows, &mut texts)
        .await
        .map_err(|error| error.locate(|row| task.number(row), task.column, task.transform))?;
    let results: LargeStringArray = texts.iter().collect();
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    // The cause is left out: it may hold a value.
    let array = cast_with_options(&results, array.data_type(), &strict).map_err(|_| {
        Error::bad_input(format!(
            "column `{}`: the results do not fit type {}",
            task.column,
            array.data_type()
        ))
        .with_hint("use smaller batches, LargeUtf8, or a dictionary with larger keys")
    })?;
    Ok(Treated { array, left })
}

fn is_integer(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => values.is_integer(),
        other => other.is_integer(),
    }
}
