//! Int32 and Int64.

use std::sync::Arc;

use arrow::array::{ArrowPrimitiveType, PrimitiveArray};

use super::{CHUNK, Done, Task, tweak};
use crate::{Error, Result};

pub(super) fn apply<T>(task: Task<'_>, array: &PrimitiveArray<T>, tweaks: Option<&tweak::Column>) -> Result<Done>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64> + TryFrom<i64>,
{
    let rows: Vec<Option<i64>> = array.iter().map(|value| value.map(Into::into)).collect();
    let mut results: Vec<Option<T::Native>> = Vec::with_capacity(rows.len());
    let mut left_clear = 0;
    for (i, chunk) in rows.chunks(CHUNK).enumerate() {
        let start = i * CHUNK;
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&task, start, chunk.iter().map(Option::is_none))?),
            None => None,
        };
        let (done, left) = task
            .transform
            .integers_of(task.direction, chunk, tweaks.as_deref())
            .map_err(|error| error.locate(|row| task.number(start + row), task.column, task.transform))?;
        left_clear += left;
        for value in done {
            // `check_type` has compared the range with the type's.
            let narrow = value.map(T::Native::try_from).transpose();
            results.push(narrow.map_err(|_| Error::bug("a result outside of its type"))?);
        }
    }
    let array = Arc::new(results.into_iter().collect::<PrimitiveArray<T>>());
    Ok(Done { array, left_clear })
}
