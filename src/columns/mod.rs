//! Arrow arrays in, Arrow arrays out, of the same type.
//!
//! [`treat`] does one array under one transform ([`apply`] does so without waiting, for what waits for nothing). A [`BatchPlan`] does whole record batches: it binds a policy to a schema, or
//! reads the metadata of one that is protected, and checks all that can be checked before the first row.

mod ascii;
mod batch;
mod bind;
mod bytes;
mod counted;
mod dictionary;
mod metadata;
mod nested;
mod runs;
#[cfg(test)]
mod tests;
mod text;
mod tokens;
mod tweak;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

pub use batch::{BatchPlan, ColumnSummary};
pub use bind::RevealOptions;
#[cfg(feature = "sql")]
pub(crate) use bind::{check_circles, resolve};
pub use metadata::{ColumnDescription, METADATA_KEY, ProtectedColumn, describe, protected_columns};

use crate::cipher::Direction;
use crate::keys::Operation;
use crate::transform::{Left, Transform};
use crate::{Error, Result};

/// Rows that walk together: large enough to fill every lane, small enough to stay in the cache.
const CHUNK: usize = 8192;

/// What is done, to which column: for the work, and for messages.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    transform: &'a Transform,
    direction: Direction,
    column: &'a str,
    before: u64,
    /// For an array that is part of a column: the row that each of its rows stands for, or first stands for.
    rows: Option<&'a [usize]>,
}

impl<'a> Task<'a> {
    /// To protect or reveal the column called `column`.
    pub fn new(transform: &'a Transform, direction: Direction, column: &'a str) -> Self {
        Self {
            transform,
            direction,
            column,
            before: 0,
            rows: None,
        }
    }

    /// The same, for an array before which `rows` rows came: messages count on from there.
    #[must_use]
    pub fn after(self, rows: u64) -> Self {
        Self { before: rows, ..self }
    }

    /// Counts the values of `array` for the key's limit and the audit log. Dictionaries and runs are counted by what stands in them.
    fn count(&self, array: &ArrayRef) -> Result<()> {
        if matches!(
            array.data_type(),
            DataType::Dictionary(..) | DataType::RunEndEncoded(..)
        ) {
            return Ok(());
        }
        let operation = match self.direction {
            Direction::Encrypt => Operation::Protect,
            Direction::Decrypt => Operation::Reveal,
        };
        let values = array.len() - array.null_count();
        self.transform.key().count(operation, values as u64)
    }

    /// The number, from 1, of row `row`, from 0, of the array.
    fn number(&self, row: usize) -> u64 {
        self.before + self.row(row) as u64 + 1
    }

    /// The row of the column that row `row` of the array stands for.
    fn row(&self, row: usize) -> usize {
        self.rows.map_or(row, |rows| rows[row])
    }
}

/// An array done.
#[derive(Debug)]
pub struct Done {
    /// The result, of the same type and length.
    pub array: ArrayRef,
    /// Values left in the clear because they do not fit and the rule says `on_invalid = "insecure-keep"`. In a dictionary array
    /// distinct values count, not rows.
    pub left_clear: usize,
}

/// Can `task`'s transform work on columns of `data_type`?
///
/// # Errors
/// [`crate::ErrorKind::BadPolicy`] that says which types it works on.
pub fn check_type(transform: &Transform, column: &str, data_type: &DataType) -> Result<()> {
    let Err(hint) = suits(transform, data_type) else {
        return Ok(());
    };
    let rule = transform.rule();
    let error = Error::bad_policy(format!(
        "column `{column}` is of type {data_type}, and rule `{}` ({} of format {}) cannot protect that",
        rule.name,
        rule.treatment,
        rule.format.described()
    ));
    Err(error.with_hint(hint))
}

/// The same; if not, what else to do.
fn suits(transform: &Transform, data_type: &DataType) -> Result<(), &'static str> {
    use DataType as T;
    match (data_type, transform.counts()) {
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, _) => Ok(()),
        (T::Dictionary(_, values), _) => suits(transform, values),
        (T::RunEndEncoded(_, values), _) if transform.tokenizer().is_none() => suits(transform, values.data_type()),
        (T::Struct(_) | T::List(_) | T::LargeList(_) | T::FixedSizeList(..), _) => {
            Err("name a field within it in [columns], as in \"address.postcode\" or \"phones[]\"")
        }
        (T::Map(..) | T::ListView(_) | T::LargeListView(_) | T::Union(..), _) => {
            Err("make it a struct or a list, or drop the column")
        }
        (T::Null, _) => Err("a column of nothing but NULLs has nothing to protect: leave it out of [columns]"),
        (T::Binary | T::LargeBinary | T::BinaryView, _) if transform.takes_bytes() => Ok(()),
        (T::FixedSizeBinary(n), _) if transform.takes_bytes() => match transform.fixed_length() {
            Some(length) if usize::try_from(*n) == Ok(length) => Ok(()),
            Some(_) => Err("a hash has another length; make the column Binary"),
            None => Err("the result is longer; make the column Binary"),
        },
        (T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_), _) => {
            Err("columns of bytes take treatment = \"siv\" or \"hash\"")
        }
        (_, _) if !transform.takes_counts() => Err("make the column text first: the result is text"),
        (T::Boolean, _) => Err("true and false have nothing to hide among: drop the column"),
        (T::Duration(_) | T::Interval(_), _) => {
            Err("lengths of time have no format: make them integers of one unit, or drop the column")
        }
        (other, Some(counts)) => counted::factor(&counts, other).map(|_| ()),
        (other, None) if other.is_integer() => {
            Err("integer columns take format = { type = \"integer\", min = …, max = … }")
        }
        (other, None) if other.is_decimal() => {
            Err("decimal columns take format = { type = \"decimal\", min = …, max = …, scale = … }")
        }
        (T::Date32 | T::Date64, None) => Err("columns of dates take format = \"date\""),
        (T::Time32(_) | T::Time64(_), None) => {
            Err("columns of times take format = { type = \"time\", resolution = … }")
        }
        (T::Timestamp(..), None) => Err("columns of timestamps take format = \"timestamp\""),
        (T::Float16 | T::Float32 | T::Float64, None) => {
            Err("a floating-point number has no format to keep; make it a decimal, or drop the column")
        }
        _ => Err("text columns take every format"),
    }
}

/// Protects or reveals one array, as [`apply`] does, under any treatment: tokens are asked of their store.
///
/// # Errors
/// As [`apply`]; what the store says.
pub async fn treat(task: Task<'_>, array: &ArrayRef, tweaks: Option<&ArrayRef>) -> Result<Treated> {
    match task.transform.tokenizer() {
        Some(_) => tokens::apply(task, array).await,
        None => apply(task, array, tweaks).map(|done| Treated {
            array: done.array,
            left: Left {
                clear: done.left_clear,
                forgotten: 0,
            },
        }),
    }
}

/// An array done, under any treatment.
#[derive(Debug)]
pub struct Treated {
    /// The result, of the same type and length.
    pub array: ArrayRef,
    /// Rows that did not get what they came for.
    pub left: Left,
}

/// Encrypts or decrypts one array. `tweaks` is the tweak column, of the same length, for a transform that has one.
///
/// # Errors
/// A type that does not fit (see [`check_type`]); a row that does not fit, if the rule says so; a NULL tweak.
pub fn apply(task: Task<'_>, array: &ArrayRef, tweaks: Option<&ArrayRef>) -> Result<Done> {
    check_type(task.transform, task.column, array.data_type())?;
    if task.transform.tokenizer().is_some() {
        let rule = &task.transform.rule().name;
        return Err(
            Error::bad_policy(format!("rule `{rule}` tokenizes, which is not encryption"))
                .with_hint("use tokenize and detokenize, or protect and reveal"),
        );
    }
    let tweak_column = match (task.transform.tweak_column(), tweaks) {
        (Some(_), Some(tweaks)) => Some(tweak::Column::try_new(tweaks)?),
        _ => None,
    };
    task.count(array)?;
    match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => text::apply(task, array, tweak_column.as_ref()),
        DataType::Dictionary(_, values) if tweak_column.is_some() => {
            dictionary::apply_by_row(task, array, values, |task, rows| apply(task, rows, tweaks))
        }
        DataType::Dictionary(..) => dictionary::apply(task, array, |task, values| apply(task, values, None)),
        DataType::RunEndEncoded(_, values) => runs::apply(task, array, values.data_type(), tweaks),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            bytes::apply(task, array, tweak_column.as_ref())
        }
        other => counted::apply(task, array, tweak_column.as_ref())
            .unwrap_or_else(|| Err(Error::bug(format!("no code for type {other}")))),
    }
}
