//! Dictionary arrays: by distinct value.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, PrimitiveArray, UInt64Array, make_comparator};
use arrow::compute::{SortOptions, cast, sort_to_indices, take};
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType, DataType};
use arrow::downcast_dictionary_array;
use arrow::error::ArrowError;

use super::task::{Task, Treated};
use crate::{Error, Result};

/// Does a dictionary array with `values`, which does its array of distinct values.
///
/// The result's dictionary is rebuilt: values that no row refers to are dropped, and the rest stand in the order of
/// the results, which tells nothing of the order they had.
pub(super) fn apply(
    task: Task<'_>,
    array: &ArrayRef,
    values: impl FnOnce(Task<'_>, &ArrayRef) -> Result<Treated>,
) -> Result<Treated> {
    downcast_dictionary_array!(
        array => by_distinct(task, array, values),
        other => Err(Error::bug(format!("{other} is no dictionary")))
    )
}

fn by_distinct<K: ArrowDictionaryKeyType>(
    task: Task<'_>,
    array: &DictionaryArray<K>,
    values: impl FnOnce(Task<'_>, &ArrayRef) -> Result<Treated>,
) -> Result<Treated> {
    // Which values are referred to, and first by which row (for messages).
    let mut first_row: Vec<Option<usize>> = vec![None; array.values().len()];
    // A dictionary often has more values than a slice or a filtered array still uses. Those must not be encrypted:
    // they would cost time, could fail, and would tell what else there was.
    for (row, key) in array.keys().iter().enumerate() {
        if let Some(key) = key {
            first_row[key.as_usize()].get_or_insert(row);
        }
    }
    // A NULL may stand among the keys or among the values. Here the former fall out; the latter are treated as
    // NULL below.
    let used: Vec<usize> = (0..first_row.len()).filter(|i| first_row[*i].is_some()).collect();
    let distinct = take(array.values(), &indices(&used), None).map_err(broken)?;
    // Composed with the task's own rows, as the dictionary may itself be inside a list.
    let rows: Vec<usize> = used
        .iter()
        .filter_map(|i| first_row[*i])
        .map(|row| task.row(row))
        .collect();
    let task = task.with_rows(&rows);
    let done = values(task, &distinct)?;

    // The results in their own order, equal ones once; NULLs become NULL rows.
    let results = done.array;
    // In the order of the ciphertext: that of the plaintext values would remain as the order of the dictionary,
    // and leak rank.
    let order = sort_to_indices(&results, None, None).map_err(broken)?;
    // Results may be equal though values were not, as with masks and hashes: Arrow wants distinct values.
    let compare = make_comparator(&results, &results, SortOptions::default()).map_err(broken)?;
    let mut kept: Vec<usize> = Vec::new();
    let mut new_key: Vec<Option<usize>> = vec![None; first_row.len()];
    for at in order.values().iter().map(|at| *at as usize) {
        // A result that is NULL has no place in the new dictionary; its rows get no key.
        if results.is_null(at) {
            continue;
        }
        if kept.last().is_none_or(|last| compare(*last, at) != Ordering::Equal) {
            kept.push(at);
        }
        // `at` counts distinct results, `used` leads back to the old key.
        new_key[used[at]] = Some(kept.len() - 1);
    }
    let dictionary = take(&results, &indices(&kept), None).map_err(broken)?;
    let keys: PrimitiveArray<K> = array
        .keys()
        .iter()
        // There are no more results than values, so each key fits its type.
        .map(|key| new_key[key?.as_usize()].and_then(K::Native::from_usize))
        .collect();
    let array = DictionaryArray::try_new(keys, dictionary).map_err(broken)?;
    Ok(Treated {
        array: Arc::new(array),
        outcome: done.outcome,
    })
}

/// Does a dictionary array row by row: with a tweak a row equal values differ, so that the dictionary is of no use.
pub(super) fn apply_by_row(
    task: Task<'_>,
    array: &ArrayRef,
    values: &DataType,
    rows: impl FnOnce(Task<'_>, &ArrayRef) -> Result<Treated>,
) -> Result<Treated> {
    // The cause says that the keys overflow, and nothing of a value.
    let too_many = |error: ArrowError| {
        Error::bad_input(format!(
            "column `{}`: with a tweak column its values differ row by row, more than its dictionary's keys can number",
            task.column
        ))
        .with_source(error)
        .with_hint("store the column as plain text")
    };
    // Unpacked to one value a row, and packed again after.
    let mut done = rows(task, &cast(array, values).map_err(broken)?)?;
    done.array = cast(&done.array, array.data_type()).map_err(too_many)?;
    Ok(done)
}

fn indices(at: &[usize]) -> UInt64Array {
    at.iter().map(|i| *i as u64).collect()
}

fn broken(error: ArrowError) -> Error {
    Error::bug("a dictionary could not be rebuilt").with_source(error)
}
