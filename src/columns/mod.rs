//! Arrow arrays in, Arrow arrays out, of the same type.
//!
//! [`treat`] does one array under one transform ([`apply`] does so without waiting, for what waits for nothing). A [`BatchPlan`] does whole record batches: it binds a policy to a schema, or
//! reads the metadata of one that is protected, and checks all that can be checked before the first row.

mod batch;
mod bind;
mod counted;
mod dictionary;
mod metadata;
mod runs;
mod text;
mod tokens;
mod tweak;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

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
    let reason = match (data_type, transform.counts()) {
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, _) => return Ok(()),
        (DataType::Dictionary(_, values), _) => return check_type(transform, column, values),
        (DataType::RunEndEncoded(_, values), _) => return check_type(transform, column, values.data_type()),
        (other, Some(counts)) => match counted::factor(&counts, other) {
            Ok(_) => return Ok(()),
            Err(reason) => reason,
        },
        (other, None) if other.is_integer() => "integer columns take format = { type = \"integer\", min = …, max = … }",
        (other, None) if other.is_decimal() => {
            "decimal columns take format = { type = \"decimal\", min = …, max = …, scale = … }"
        }
        (DataType::Date32 | DataType::Date64, None) => "columns of dates take format = \"date\"",
        (DataType::Time32(_) | DataType::Time64(_), None) => {
            "columns of times take format = { type = \"time\", resolution = … }"
        }
        (DataType::Timestamp(..), None) => "columns of timestamps take format = \"timestamp\"",
        (DataType::Float16 | DataType::Float32 | DataType::Float64, None) => {
            "a floating-point number has no format to keep; make it a decimal, or drop the column"
        }
        (DataType::Struct(_) | DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..), None) => {
            "name a field within it, as in \"address.postcode\" or \"phones[]\""
        }
        _ => "text columns take every format",
    };
    let rule = transform.rule();
    let error = Error::bad_policy(format!(
        "column `{column}` is of type {data_type}, and rule `{}` (format {}) cannot protect that",
        rule.name,
        rule.format.definition().split(" symbols=").next().unwrap_or_default()
    ));
    Err(error.with_hint(reason))
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
        DataType::Dictionary(_, values) if tweak_column.is_some() => {
            dictionary::apply_by_row(task, array, values, |task, rows| apply(task, rows, tweaks))
        }
        DataType::Dictionary(..) => dictionary::apply(task, array, |task, values| apply(task, values, None)),
        DataType::RunEndEncoded(_, values) => runs::apply(task, array, values.data_type(), tweaks),
        other => counted::apply(task, array, tweak_column.as_ref())
            .unwrap_or_else(|| Err(Error::bug(format!("no code for type {other}")))),
    }
}
