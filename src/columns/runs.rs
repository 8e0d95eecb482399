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
        // `cast` makes runs again where neighbours are equal.
        let mut done = treat(task, &cast(array, values).map_err(broken)?, true)?;
        done.array = cast(&done.array, array.data_type()).map_err(broken)?;
        return Ok(done);
    }
    match array.data_type() {
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            // Arrow allows these three types of run ends only.
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
    // An empty slice still has runs of the whole, and no first or last one of its own.
    if array.is_empty() {
        return Ok(Treated {
            array: Arc::new(array.clone()),
            outcome: Outcome::default(),
        });
    }
    // An array that is a slice of another refers to the runs of the whole: only its own are done.
    let (first, last) = (array.get_start_physical_index(), array.get_end_physical_index());
    // Run ends count rows, values count runs: the last run is included.
    let values = array.values().slice(first, last - first + 1);
    let mut start = 0;
    let mut ends = Vec::with_capacity(values.len());
    let mut first_row = Vec::with_capacity(values.len());
    // Ends are those of the slice, cut to it and counted from its beginning.
    for end in array.run_ends().sliced_values() {
        first_row.push(task.row(start));
        ends.push(end.as_usize());
        start = end.as_usize();
    }
    let task = task.with_rows(&first_row);
    let done = treat(task, &values, false)?;
    // Neighbouring runs may have become equal; they stay apart, which Arrow allows and which tells no more than
    // before.
    let ends: PrimitiveArray<R> = ends.into_iter().map(R::Native::from_usize).collect();
    // With the fields of the array that came, whatever their names.
    // From parts, since the typed constructor would name its fields anew.
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
