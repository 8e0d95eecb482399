//! Whole arrays, by their types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::task::{Task, Treated};
use super::tweak::TweakColumn;
use super::types::check_type;
use super::{bytes, dictionary, ordinal, runs, text, tokens};
use crate::transform::Outcome;
use crate::{Error, Result};

/// Protects or reveals one array under any treatment: tokens are asked of their store.
///
/// # Errors
/// As [`apply`]; what the store says.
pub async fn treat(task: Task<'_>, array: &ArrayRef, tweaks: Option<&ArrayRef>) -> Result<Treated> {
    match task.transform.tokenizer() {
        Some(_) => tokens::apply(task, array).await,
        None => apply(task, array, tweaks),
    }
}

/// Encrypts or decrypts one array. `tweaks` is the tweak column, of the same length, for a transform that has one.
///
/// # Errors
/// A type that does not fit (see [`check_type`]); a row that does not fit, if the rule says so; a NULL tweak.
pub fn apply(task: Task<'_>, array: &ArrayRef, tweaks: Option<&ArrayRef>) -> Result<Treated> {
    if array.data_type() == &DataType::Null {
        return Ok(Treated {
            array: Arc::clone(array),
            outcome: Outcome::default(),
        });
    }
    // Again, though a plan has checked it: this function is public, and takes any array.
    check_type(task.transform, task.column, array.data_type())?;
    if task.transform.tokenizer().is_some() {
        let rule = &task.transform.rule().name;
        return Err(
            Error::bad_policy(format!("rule `{rule}` tokenizes, which is not encryption"))
                .with_hint("use tokenize and detokenize, or protect and reveal"),
        );
    }
    // Made once for the whole array: a tweak column may have to be cast to text.
    let tweak_column = match (task.transform.tweak_column(), tweaks) {
        (Some(_), Some(tweaks)) => Some(TweakColumn::try_new(tweaks)?),
        _ => None,
    };
    // Before anything is treated: a key at its limit refuses the array as a whole, not in the middle.
    task.count(array)?;
    by_type(task, array, tweaks, tweak_column.as_ref())
}

/// As [`apply`], for an array that was counted.
fn by_type(
    task: Task<'_>,
    array: &ArrayRef,
    tweaks: Option<&ArrayRef>,
    tweak_column: Option<&TweakColumn>,
) -> Result<Treated> {
    match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => text::apply(task, array, tweak_column),
        // Equal values with unequal tweaks have unequal results, so the distinct values do not suffice.
        DataType::Dictionary(_, values) if tweak_column.is_some() => {
            dictionary::apply_by_row(task, array, values, |task, rows| apply(task, rows, tweaks))
        }
        // The recursion sees an array of the values' own type, so a dictionary of numbers or texts needs no code
        // of its own.
        DataType::Dictionary(_, values) => {
            let done = dictionary::apply(task, array, |task, values| apply(task, values, None))?;
            by_row(task, array, values, done)
        }
        DataType::RunEndEncoded(_, values) => {
            let done = runs::apply(task, array, values.data_type(), |task, values, with_tweaks| {
                apply(task, values, tweaks.filter(|_| with_tweaks))
            })?;
            match tweak_column {
                None => by_row(task, array, values.data_type(), done),
                Some(_) => Ok(done),
            }
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            bytes::apply(task, array, tweak_column)
        }
        other => ordinal::apply(task, array, tweak_column)
            .unwrap_or_else(|| Err(Error::bug(format!("no code for type {other}")))),
    }
}

/// Counts what was done to the distinct values of `array` once for each row that has them.
fn by_row(task: Task<'_>, array: &ArrayRef, values: &DataType, done: Treated) -> Result<Treated> {
    // The usual column has nothing to count.
    if done.outcome == Outcome::default() {
        return Ok(done);
    }
    let rows = cast(array, values).map_err(|error| Error::bug("a dictionary without values").with_source(error))?;
    Ok(Treated {
        outcome: by_type(task, &rows, None, None)?.outcome,
        ..done
    })
}
