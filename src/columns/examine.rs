//! Examination of a column: everything is done but writing.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::array::apply;
use super::counts::ValueCounts;
use super::ordinal;
use super::task::Task;
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

    /// Counts all of them.
    pub fn values(&self) -> usize {
        self.0.values().map(|rows| rows.values).sum()
    }

    fn add(&mut self, reason: &'static str, row: u64) {
        let rows = self.0.entry(reason).or_default();
        rows.values += 1;
        rows.first.push(row);
        // Parts of a file are examined side by side, and the first rows may come last.
        rows.first.sort_unstable();
        rows.first.truncate(ROWS);
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (reason, rows) in other.0 {
            let mine = self.0.entry(reason).or_default();
            mine.values += rows.values;
            mine.first.extend(rows.first);
            mine.first.sort_unstable();
            mine.first.truncate(ROWS);
        }
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
    let (outcome, rows) = if is_wrapping {
        let done = apply(task, array, tweaks)?;
        (done.outcome, marked(&done.array, rule.wrap_mark)?)
    } else {
        // They become NULL, by which they are found.
        let lenient = transform.handling_misfits(OnInvalid::Null);
        let done = apply(task.with_transform(&lenient), array, tweaks)?;
        let rows = new_nulls(array, &done.array, done.outcome.nulled);
        (outcome_of(rule, done.outcome), rows)
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
    Ok((ValueCounts::of(array, rule, outcome)?, reasons))
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
    let found = Outcome {
        nulled: misfits.len(),
        ..Outcome::default()
    };
    Ok((ValueCounts::of(array, rule, outcome_of(rule, found))?, reasons))
}

/// The type of single values.
fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    }
}

/// The rows of `results` that begin with `mark`.
fn marked(results: &ArrayRef, mark: char) -> Result<Vec<usize>> {
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

/// The outcome under the rule's own setting, where misfits were made NULL to find them.
fn outcome_of(rule: &Rule, lenient: Outcome) -> Outcome {
    let mut outcome = Outcome { nulled: 0, ..lenient };
    match rule.on_invalid {
        // Counted by reason; nothing becomes of them, as the job would fail.
        OnInvalid::Error | OnInvalid::Siv => {}
        OnInvalid::Null => outcome.nulled = lenient.nulled,
        OnInvalid::InsecureKeep => outcome.kept_clear = lenient.nulled,
    }
    outcome
}
