//! Examination of a column: everything is done but writing.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::array::apply;
use super::counts::ValueCounts;
use super::ordinal;
use super::task::{Task, Treated};
use crate::error::Detail;
use crate::formats::FormatError;
use crate::policy::{OnEmpty, OnInvalid, Rule};
use crate::tokens::Tokenizer;
use crate::transform::Outcome;
use crate::{Error, Result};

/// The most rows that are named for each reason.
const ROWS: usize = 5;

/// Values that do not fit their format, by reason.
#[derive(Clone, Debug, Default)]
pub struct MisfitReasons(BTreeMap<&'static str, MisfitRows>);

/// Values that do not fit for one reason.
#[derive(Clone, Debug, Default)]
pub struct MisfitRows {
    /// The number of values.
    pub values: usize,
    /// The numbers of the first rows, from 1.
    pub first: Vec<u64>,
}

impl MisfitReasons {
    /// Iterates over the reasons and their values, the most frequent reason first.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &MisfitRows)> {
        let mut reasons: Vec<_> = self.0.iter().map(|(reason, rows)| (*reason, rows)).collect();
        reasons.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.values));
        reasons.into_iter()
    }

    fn add(&mut self, reason: &'static str, row: u64) {
        self.extend(reason, 1, [row]);
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (reason, MisfitRows { values, first }) in other.0 {
            self.extend(reason, values, first);
        }
    }

    /// Adds `values` values, of which `first` are the first rows.
    fn extend(&mut self, reason: &'static str, values: usize, first: impl IntoIterator<Item = u64>) {
        let rows = self.0.entry(reason).or_default();
        rows.values += values;
        rows.first.extend(first);
        // Parts of a file are examined side by side, and the first rows may come last.
        rows.first.sort_unstable();
        rows.first.truncate(ROWS);
    }
}

/// Examines `array`. Nothing of what `task` does leaves this function, and no token is minted.
///
/// # Errors
/// As [`apply`], but for values that do not fit.
pub(super) fn examine(
    task: Task<'_>,
    array: &ArrayRef,
    tweaks: Option<&ArrayRef>,
) -> Result<(ValueCounts, MisfitReasons)> {
    let task = task.uncounted();
    let transform = task.transform;
    let rule = transform.rule();
    if let Some(tokenizer) = transform.tokenizer() {
        return examine_tokens(task, tokenizer, array);
    }
    let strict = transform.handling_misfits(OnInvalid::Error);
    let is_wrapping = rule.on_invalid == OnInvalid::Siv && value_type(array.data_type()).is_string();
    let (counts, rows) = if is_wrapping {
        let Treated { array: done, outcome } = apply(task, array, tweaks)?;
        let rows = marked(&done, rule.wrap_mark, outcome.wrapped)?;
        (ValueCounts::of(array, rule, outcome)?, rows)
    } else {
        // They become NULL, by which they are found.
        let lenient = transform.handling_misfits(OnInvalid::Null);
        let Treated { array: done, outcome } = apply(task.with_transform(&lenient), array, tweaks)?;
        let rows = new_nulls(array, &done, outcome.nulled);
        (counts(array, rule, outcome.nulled, outcome)?, rows)
    };
    let mut reasons = MisfitReasons::default();
    for row in rows {
        let tweak = tweaks.map(|tweaks| tweaks.slice(row, 1));
        let alone = apply(task.with_transform(&strict), &array.slice(row, 1), tweak.as_ref());
        let reason = match alone {
            // It fits, and yet is wrapped.
            Ok(_) => "begins with the mark of values that do not fit",
            Err(error) => match error.detail() {
                Some(Detail::Misfit(reason)) => reason,
                _ => return Err(error),
            },
        };
        reasons.add(reason, task.number(row));
    }
    Ok((counts, reasons))
}

/// Examines `array` as values to be tokenized.
fn examine_tokens(task: Task<'_>, tokenizer: &Tokenizer, array: &ArrayRef) -> Result<(ValueCounts, MisfitReasons)> {
    let rule = task.transform.rule();
    let values = value_type(array.data_type());
    let unreadable = |error| Error::bug("a column that cannot be read as what it holds").with_source(error);
    let misfits: Vec<(usize, FormatError)> = if values.is_string() {
        let texts = cast(array, &DataType::LargeUtf8).map_err(unreadable)?;
        let rows = texts.as_string::<i64>().iter().enumerate();
        let is_value = |text: &&str| !text.is_empty() || rule.on_empty == OnEmpty::Invalid;
        let (rows, texts): (Vec<usize>, Vec<&str>) = rows
            .filter_map(|(row, text)| Some((row, text.filter(is_value)?)))
            .unzip();
        let misfits = tokenizer.misfits(&texts).into_iter();
        misfits.map(|(at, cause)| (rows[at], cause)).collect()
    } else {
        let plain = cast(array, values).map_err(unreadable)?;
        ordinal::misfits(task, &plain).transpose()?.unwrap_or_default()
    };
    let mut reasons = MisfitReasons::default();
    for (row, cause) in &misfits {
        reasons.add(cause.reason(), task.number(*row));
    }
    Ok((counts(array, rule, misfits.len(), Outcome::default())?, reasons))
}

/// The type of single values.
fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    }
}

/// The rows, `count` of them, of `results` that begin with `mark`.
fn marked(results: &ArrayRef, mark: char, count: usize) -> Result<Vec<usize>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let texts = cast(results, &DataType::LargeUtf8)
        .map_err(|error| Error::bug("a column of texts that cannot be read as such").with_source(error))?;
    let rows = texts.as_string::<i64>().iter().enumerate();
    let is_marked = |text: Option<&str>| text.is_some_and(|text| text.starts_with(mark));
    Ok(rows.filter(|(_, text)| is_marked(*text)).map(|(row, _)| row).collect())
}

/// The rows, `count` of them, that are NULL in `results` and not in `array`.
fn new_nulls(array: &ArrayRef, results: &ArrayRef, count: usize) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let (before, after) = (array.logical_nulls(), results.logical_nulls());
    let is_null = |nulls: &Option<NullBuffer>, row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let rows = 0..array.len();
    rows.filter(|row| is_null(&after, *row) && !is_null(&before, *row))
        .collect()
}

/// The counts under the rule's own setting, of `array` in which `misfits` values do not fit; `done` has what else was
/// done.
fn counts(array: &ArrayRef, rule: &Rule, misfits: usize, done: Outcome) -> Result<ValueCounts> {
    let mut counts = ValueCounts::of(array, rule, Outcome { nulled: 0, ..done })?;
    match rule.on_invalid {
        // Where texts have a place, they were wrapped, and are no misfits here.
        OnInvalid::Error | OnInvalid::Siv => counts.refused = misfits,
        OnInvalid::Null => counts.outcome.nulled = misfits,
        OnInvalid::InsecureKeep => counts.outcome.kept_clear = misfits,
    }
    Ok(counts)
}
