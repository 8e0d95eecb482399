//! Run-end encoded arrays: by run.

use std::sync::Arc;

use arrow::array::{Array, ArrayDataBuilder, ArrayRef, AsArray, PrimitiveArray, RunArray, make_array};
use arrow::compute::cast;
use arrow::datatypes::{ArrowNativeType, DataType, Int16Type, Int32Type, Int64Type, RunEndIndexType};
use arrow::error::ArrowError;

use super::task::{Task, Treated};
use crate::transform::Outcome;
use crate::{Error, Result};

/// Treats a run-end encoded array whose values are of type `values`. `treat` treats an array of values, with a tweak a
/// row if its last argument says so.
pub(super) fn apply(
    task: Task<'_>,
    array: &ArrayRef,
    values: &DataType,
    treat: impl Fn(Task<'_>, &ArrayRef, bool) -> Result<Treated>,
) -> Result<Treated> {
    if task.transform.tweak_column().is_some() {
        // Equal values in a row differ then, so that runs are of no use.
        let mut done = treat(task, &cast(array, values).map_err(broken)?, true)?;
        done.array = cast(&done.array, array.data_type()).map_err(broken)?;
        return Ok(done);
    }
    match array.data_type() {
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => by_run(task, array.as_run::<Int16Type>(), treat),
            DataType::Int32 => by_run(task, array.as_run::<Int32Type>(), treat),
            _ => by_run(task, array.as_run::<Int64Type>(), treat),
        },
        other => Err(Error::bug(format!("{other} has no runs"))),
    }
}

fn by_run<R: RunEndIndexType>(
    task: Task<'_>,
    array: &RunArray<R>,
    treat: impl Fn(Task<'_>, &ArrayRef, bool) -> Result<Treated>,
) -> Result<Treated> {
    if array.is_empty() {
        return Ok(Treated {
            array: Arc::new(array.clone()),
            outcome: Outcome::default(),
        });
    }
    // An array that is a slice of another refers to the runs of the whole: only its own are done.
    let (first, last) = (array.get_start_physical_index(), array.get_end_physical_index());
    let values = array.values().slice(first, last - first + 1);
    let mut start = 0;
    let mut ends = Vec::with_capacity(values.len());
    let mut first_row = Vec::with_capacity(values.len());
    for end in array.run_ends().sliced_values() {
        first_row.push(task.row(start));
        ends.push(end.as_usize());
        start = end.as_usize();
    }
    let task = task.with_rows(&first_row);
    let done = treat(task, &values, false)?;
    let ends: PrimitiveArray<R> = ends.into_iter().map(R::Native::from_usize).collect();
    // With the fields of the array that came, whatever their names.
    let array = ArrayDataBuilder::new(array.data_type().clone())
        .len(array.len())
        .child_data(vec![ends.into_data(), done.array.into_data()])
        .build()
        .map_err(broken)?;
    Ok(Treated {
        array: make_array(array),
        outcome: done.outcome,
    })
}

fn broken(error: ArrowError) -> Error {
    Error::bug("a run-end encoded array could not be rebuilt").with_source(error)
}
