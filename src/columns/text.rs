//! Utf8, LargeUtf8 and Utf8View.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, LargeStringArray, StringArray, StringViewArray};
use arrow::datatypes::DataType;

use super::{CHUNK, Done, Task, tweak};
use crate::transform::Texts;
use crate::{Error, Result};

pub(super) fn apply<'a>(
    task: Task<'_>,
    array: &ArrayRef,
    values: impl Iterator<Item = Option<&'a str>>,
    tweaks: Option<&tweak::Column>,
) -> Result<Done> {
    let rows: Vec<Option<&str>> = values.collect();
    let bytes = rows.iter().flatten().map(|value| value.len()).sum();
    let mut texts = Texts::with_capacity(rows.len(), bytes);
    let mut left_clear = 0;
    for (i, chunk) in rows.chunks(CHUNK).enumerate() {
        let start = i * CHUNK;
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&task, start, chunk.iter().map(Option::is_none))?),
            None => None,
        };
        left_clear += task
            .transform
            .texts(task.direction, chunk, tweaks.as_deref(), &mut texts)
            .map_err(|error| error.locate(|row| task.number(start + row), task.column, task.transform))?;
    }
    let array: ArrayRef = match array.data_type() {
        // A result may be longer than its value, so that a full array of 2 GiB would not hold it any more.
        DataType::Utf8 if texts.bytes() > i32::MAX as usize => {
            return Err(Error::bad_input(format!(
                "column `{}`: the results exceed the 2 GiB of one Utf8 array",
                task.column
            ))
            .with_hint("use smaller batches, or LargeUtf8"));
        }
        DataType::Utf8 => Arc::new(texts.iter().collect::<StringArray>()),
        DataType::LargeUtf8 => Arc::new(texts.iter().collect::<LargeStringArray>()),
        _ => Arc::new(texts.iter().collect::<StringViewArray>()),
    };
    Ok(Done { array, left_clear })
}
