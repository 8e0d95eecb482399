//! Arrow arrays in, Arrow arrays out, of the same type.
//!
//! [`treat`] does one array under one transform ([`apply`] does so without waiting, for what waits for nothing). A [`BatchPlan`] does whole record batches: it binds a policy to a schema, or
//! reads the metadata of one that is protected, and checks all that can be checked before the first row.

mod batch;
mod bind;
mod dictionary;
mod integer;
mod metadata;
mod text;
mod tokens;
mod tweak;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};

pub use batch::{BatchPlan, ColumnSummary};
pub use bind::RevealOptions;
#[cfg(feature = "sql")]
pub(crate) use bind::{check_circles, resolve};
pub use metadata::{METADATA_KEY, ProtectedColumn, protected_columns};

use crate::cipher::Direction;
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
    /// Where the rows of an array of distinct values first stand.
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

    /// The number, from 1, of row `row`, from 0, of the array.
    fn number(&self, row: usize) -> u64 {
        let row = self.rows.map_or(row, |rows| rows[row]);
        self.before + row as u64 + 1
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
    let (min, max) = transform.integers().unwrap_or((0, 0));
    let fits = match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Int32 => transform.integers().is_some() && i32::try_from(min).is_ok() && i32::try_from(max).is_ok(),
        DataType::Int64 => transform.integers().is_some(),
        DataType::Dictionary(_, values) => return check_type(transform, column, values),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let rule = transform.rule();
    let error = Error::bad_policy(format!(
        "column `{column}` is of type {data_type}, and rule `{}` (format {}) cannot protect that",
        rule.name,
        rule.format.definition().split(" symbols=").next().unwrap_or_default()
    ));
    Err(error.with_hint(match data_type {
        DataType::Int32 | DataType::Int64 if transform.integers().is_none() => {
            "integer columns take format = { type = \"integer\", min = …, max = … }"
        }
        DataType::Int32 => "the range must lie within −2,147,483,648 … 2,147,483,647",
        _ => "text columns take every format; Int32 and Int64 take `integer`; so do dictionaries of these",
    }))
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
    match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => text::apply(task, array, tweak_column.as_ref()),
        DataType::Int32 => integer::apply::<Int32Type>(task, array.as_primitive(), tweak_column.as_ref()),
        DataType::Int64 => integer::apply::<Int64Type>(task, array.as_primitive(), tweak_column.as_ref()),
        DataType::Dictionary(_, values) if tweak_column.is_some() => {
            dictionary::apply_by_row(task, array, values, |task, rows| apply(task, rows, tweaks))
        }
        DataType::Dictionary(..) => dictionary::apply(task, array, |task, values| apply(task, values, None)),
        other => Err(Error::bug(format!("no code for type {other}"))),
    }
}
