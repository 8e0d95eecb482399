//! Work on the rows of a batch that all treatments share: NULL, empty and unfit values, tweaks.

use super::batch::{BytesBatch, OrdinalBatch, Outcome, TextBatch, Texts, Values};
use crate::cipher::Tweaks;
use crate::formats::{FormatError, OrdinalRange, RowError};
use crate::policy::{OnEmpty, OnInvalid, Rule, Tweak};
use crate::{Error, Result};

/// The result of a row whose value does not fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unfit {
    Null,
    KeptClear,
}

/// Handles a value that does not fit as the rule says.
///
/// # Errors
/// That it does not fit, if the rule says so.
pub(super) fn handle_unfit(rule: &Rule, row: usize, cause: FormatError) -> Result<Unfit, RowError> {
    match rule.on_invalid {
        // The error has the reason and the row, never the value.
        // A text has a place for what does not fit; a column of numbers or bytes has none.
        OnInvalid::Error | OnInvalid::Siv => Err(RowError::Row { row, cause }),
        OnInvalid::Null => Ok(Unfit::Null),
        OnInvalid::InsecureKeep => Ok(Unfit::KeptClear),
    }
}

/// The result of a row of a batch of which some rows are treated together.
pub(super) enum RowResult {
    Null,
    /// The value as it is.
    Clear,
    /// The value is to be wrapped, as it does not fit.
    Misfit(FormatError),
    /// The result of the treated row with this number.
    Treated(usize),
}

impl RowResult {
    /// The result of a row whose value does not fit.
    ///
    /// # Errors
    /// That it does not fit, if the rule says so.
    pub(super) fn for_unfit(rule: &Rule, row: usize, cause: FormatError) -> Result<Self, RowError> {
        if rule.on_invalid == OnInvalid::Siv {
            return Ok(Self::Misfit(cause));
        }
        Ok(match handle_unfit(rule, row, cause)? {
            Unfit::Null => Self::Null,
            Unfit::KeptClear => Self::Clear,
        })
    }
}

impl Texts {
    /// Appends one result a row; `write` writes that of a treated row from its number and the value.
    pub(super) fn push_results(
        &mut self,
        rows: &[Option<&str>],
        results: Vec<RowResult>,
        mut write: impl FnMut(usize, &str, &mut String),
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for (value, result) in rows.iter().zip(results) {
            match (value, result) {
                (Some(value), RowResult::Treated(at)) => self.push_with(|out| write(at, value, out)),
                (Some(value), RowResult::Clear) => {
                    // An empty text is kept on purpose, and is no value in the clear.
                    outcome.kept_clear += usize::from(!value.is_empty());
                    self.push_with(|out| out.push_str(value));
                }
                (Some(_), RowResult::Misfit(cause)) => self.push_misfit(cause),
                // A treated row without a value cannot be.
                (value, _) => {
                    // Only what does not fit is a value whose result is NULL.
                    outcome.nulled += usize::from(value.is_some());
                    self.push_null();
                }
            }
        }
        outcome
    }
}

/// Tells whether `value` stays as it is for being empty.
pub(super) fn stays_empty(rule: &Rule, value: &str) -> bool {
    value.is_empty() && rule.on_empty == OnEmpty::Keep
}

/// Tweaks of some rows of a batch.
pub(super) enum GatheredTweaks<'a> {
    Shared(&'a [u8]),
    PerRow(Vec<&'a [u8]>),
}

impl<'a> GatheredTweaks<'a> {
    /// Gathers the tweaks of `rows` out of those of a batch.
    pub(super) fn from_rows(tweaks: Tweaks<'a>, rows: impl Iterator<Item = usize>) -> Self {
        match tweaks {
            // Shared tweaks stay shared, whichever rows are taken.
            Tweaks::Shared(tweak) => Self::Shared(tweak),
            tweaks => Self::collect(rows.map(|row| tweaks.get(row))),
        }
    }

    /// Gathers tweaks. Where all are the same bytes in memory, they are shared: the cipher then hashes them once.
    pub(super) fn collect(tweaks: impl Iterator<Item = &'a [u8]>) -> Self {
        let tweaks: Vec<&[u8]> = tweaks.collect();
        match tweaks.first() {
            // By address and not by contents: comparing addresses costs nothing, and a miss only costs speed.
            Some(first) if tweaks.iter().all(|tweak| std::ptr::eq(*tweak, *first)) => Self::Shared(first),
            _ => Self::PerRow(tweaks),
        }
    }

    /// Gathers the tweaks that `rule` has for `rows`, where nothing of a value is kept in the clear.
    ///
    /// # Errors
    /// A rule with a tweak column, and none in the batch.
    pub(super) fn for_rule(
        rule: &'a Rule,
        column: Option<Tweaks<'a>>,
        rows: impl Iterator<Item = usize>,
    ) -> Result<Self> {
        let tweaks = rule_tweaks(rule, column).ok_or_else(|| missing_tweaks(rule))?;
        Ok(Self::from_rows(tweaks, rows))
    }

    pub(super) fn get(&self, row: usize) -> &'a [u8] {
        match self {
            Self::Shared(tweak) => tweak,
            Self::PerRow(tweaks) => tweaks[row],
        }
    }

    pub(super) fn as_tweaks(&self) -> Tweaks<'_> {
        match self {
            Self::Shared(tweak) => Tweaks::Shared(tweak),
            Self::PerRow(tweaks) => Tweaks::PerRow(tweaks),
        }
    }
}

/// The tweaks that `rule` has for rows of which nothing is kept in the clear; `None` if its tweak column is missing.
pub(super) fn rule_tweaks<'a>(rule: &'a Rule, column: Option<Tweaks<'a>>) -> Option<Tweaks<'a>> {
    match &rule.tweak {
        // Nothing is kept by formats that come here, so the tweak is empty.
        Tweak::Kept | Tweak::None => Some(Tweaks::Shared(&[])),
        Tweak::Fixed(bytes) => Some(Tweaks::Shared(bytes)),
        Tweak::Column(_) => column,
    }
}

pub(super) fn missing_tweaks(rule: &Rule) -> Error {
    let column = match &rule.tweak {
        Tweak::Column(name) => name,
        _ => "",
    };
    Error::bad_input(format!("rule `{}` takes its tweak from column `{column}`", rule.name))
        .with_hint("give the whole table, or pass the tweak as one more argument")
}

/// Treats each text by itself: `treat` gets the value and its tweak, and appends the result to the text it is given.
///
/// # Errors
/// The first row that does not fit, if the rule says so.
pub(super) fn each_text(
    rule: &Rule,
    batch: TextBatch<'_>,
    out: &mut Texts,
    mut treat: impl FnMut(&str, &[u8], &mut String) -> Result<(), FormatError>,
) -> Result<Outcome, RowError> {
    let tweaks = GatheredTweaks::for_rule(rule, batch.tweaks, 0..batch.rows.len())?;
    let mut outcome = Outcome::default();
    // A buffer of its own: `treat` may append a part and then fail, which must not reach the results.
    let mut result = String::new();
    for (row, value) in batch.rows.iter().enumerate() {
        let Some(value) = value else {
            out.push_null();
            continue;
        };
        if stays_empty(rule, value) {
            out.push_with(|_| ());
            continue;
        }
        result.clear();
        // The tweak by row of the batch: NULLs are not taken out here.
        match treat(value, tweaks.get(row), &mut result) {
            Ok(()) => out.push_with(|out| out.push_str(&result)),
            Err(cause) => match handle_unfit(rule, row, cause)? {
                Unfit::KeptClear => {
                    outcome.kept_clear += 1;
                    out.push_with(|out| out.push_str(value));
                }
                Unfit::Null => {
                    outcome.nulled += 1;
                    out.push_null();
                }
            },
        }
    }
    Ok(outcome)
}

/// Treats each ordinal by itself, as [`each_text`] does texts.
///
/// # Errors
/// The first row that does not fit, if the rule says so.
pub(super) fn each_ordinal(
    rule: &Rule,
    batch: OrdinalBatch<'_>,
    mut treat: impl FnMut(i128, &[u8]) -> Result<i128, FormatError>,
) -> Result<Values<i128>, RowError> {
    let tweaks = GatheredTweaks::for_rule(rule, batch.tweaks, 0..batch.rows.len())?;
    let mut outcome = Outcome::default();
    let mut out = Vec::with_capacity(batch.rows.len());
    for (row, value) in batch.rows.iter().enumerate() {
        // No empty values here: an ordinal always has one.
        let result = match value.map(|value| treat(value, tweaks.get(row))) {
            None => None,
            Some(Ok(result)) => Some(result),
            Some(Err(cause)) => match handle_unfit(rule, row, cause)? {
                Unfit::KeptClear => {
                    outcome.kept_clear += 1;
                    *value
                }
                Unfit::Null => {
                    outcome.nulled += 1;
                    None
                }
            },
        };
        out.push(result);
    }
    Ok((out, outcome))
}

/// Treats each text that spells an ordinal by itself, as [`each_ordinal`] does ordinals.
///
/// # Errors
/// The first row that does not fit, if the rule says so; our bug for a format without ordinals.
pub(super) fn each_ordinal_text(
    rule: &Rule,
    batch: TextBatch<'_>,
    out: &mut Texts,
    mut treat: impl FnMut(i128, &[u8]) -> Result<i128, FormatError>,
) -> Result<Outcome, RowError> {
    let Some((format, OrdinalRange { min, .. })) = rule.format.ranked().zip(rule.format.ordinal_range()) else {
        return Err(Error::bug("a format without ordinals").into());
    };
    each_text(rule, batch, out, |value, tweak, out| {
        // `rank` has tested the range, so the sum does not wrap in truth.
        let ordinal = treat(min.wrapping_add_unsigned(format.rank(value)?), tweak)?;
        format.unrank(ordinal.abs_diff(min), value, out);
        Ok(())
    })
}

/// Treats each value of bytes by itself.
///
/// # Errors
/// The first row that does not fit, if the rule says so.
pub(super) fn each_bytes(
    rule: &Rule,
    batch: BytesBatch<'_>,
    mut treat: impl FnMut(&[u8], &[u8]) -> Result<Vec<u8>, FormatError>,
) -> Result<Values<Vec<u8>>, RowError> {
    let tweaks = GatheredTweaks::for_rule(rule, batch.tweaks, 0..batch.rows.len())?;
    let mut outcome = Outcome::default();
    let mut out = Vec::with_capacity(batch.rows.len());
    for (row, value) in batch.rows.iter().enumerate() {
        let result = match value {
            None => None,
            // As an empty text: no format is lost by keeping it, and it tells nothing but that it is empty.
            Some([]) if rule.on_empty == OnEmpty::Keep => Some(Vec::new()),
            Some(value) => match treat(value, tweaks.get(row)) {
                Ok(result) => Some(result),
                Err(cause) => match handle_unfit(rule, row, cause)? {
                    Unfit::KeptClear => {
                        outcome.kept_clear += 1;
                        Some(value.to_vec())
                    }
                    Unfit::Null => {
                        outcome.nulled += 1;
                        None
                    }
                },
            },
        };
        out.push(result);
    }
    Ok((out, outcome))
}
