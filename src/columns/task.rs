//! Tasks: what is done to an array, and how messages name its rows.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use crate::cipher::Direction;
use crate::formats::RowError;
use crate::transform::{Outcome, Transform};
use crate::{Error, Result};

/// Rows that go through the cipher together: enough to fill every lane, few enough to stay in the cache.
// Also the row count of DataFusion's usual batch, so most batches are one chunk.
pub(super) const CHUNK: usize = 8192;

/// A transform of a column in one direction, with what messages name.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub(super) transform: &'a Transform,
    pub(super) direction: Direction,
    pub(super) column: &'a str,
    /// Rows of the column before the array.
    before: u64,
    /// For an array that is part of a column: the row that each of its rows stands for, or first stands for.
    rows: Option<&'a [usize]>,
    /// Counts for the key's limit and the audit log?
    is_counted: bool,
}

impl<'a> Task<'a> {
    /// Makes a task that protects or reveals the column called `column`.
    pub fn new(transform: &'a Transform, direction: Direction, column: &'a str) -> Self {
        Self {
            transform,
            direction,
            column,
            before: 0,
            rows: None,
            is_counted: true,
        }
    }

    /// Counts the rows in messages on from `rows`, the number of rows before the array.
    #[must_use]
    pub fn after(self, rows: u64) -> Self {
        Self { before: rows, ..self }
    }

    /// Puts `transform` in the place of the task's own.
    pub(super) fn with_transform<'b>(&self, transform: &'b Transform) -> Task<'b>
    where
        'a: 'b,
    {
        Task { transform, ..*self }
    }

    /// Leaves the values out of the key's usage: nothing of the results is given to anybody.
    pub(super) fn uncounted(self) -> Self {
        Self {
            is_counted: false,
            ..self
        }
    }

    /// Names the row of the column that each row of the array stands for.
    pub(super) fn with_rows(self, rows: &'a [usize]) -> Self {
        Self {
            rows: Some(rows),
            ..self
        }
    }

    /// Counts the values of `array` for the key's limit and the audit log. Dictionaries and runs are counted when their
    /// distinct values are treated.
    pub(super) fn count(&self, array: &ArrayRef) -> Result<()> {
        // Otherwise a value would be counted once for each row that refers to it, and again when it is treated.
        let is_counted_later = matches!(
            array.data_type(),
            DataType::Dictionary(..) | DataType::RunEndEncoded(..)
        );
        if is_counted_later || !self.is_counted {
            return Ok(());
        }
        let operation = self.direction;
        // NULLs pass by the key.
        let values = array.len() - array.null_count();
        self.transform.key().count(operation, values as u64)
    }

    /// The number, from 1, of row `row`, from 0, of the array.
    pub(super) fn number(&self, row: usize) -> u64 {
        // Counted from 1, as editors and spreadsheets do.
        self.before + self.row(row) as u64 + 1
    }

    /// The row of the column that row `row` of the array stands for.
    pub(super) fn row(&self, row: usize) -> usize {
        // Without a map each row stands for itself.
        self.rows.map_or(row, |rows| rows[row])
    }

    /// Says in which column and row an error of the transform occurred, in a chunk that begins at row `start`.
    pub(super) fn locate(&self, error: RowError, start: usize) -> Error {
        let number = |row| self.number(start + row);
        self.transform.locate(error, number, self.column)
    }
}

/// A treated array.
#[derive(Debug)]
pub struct Treated {
    /// The result, of the same type and length.
    pub array: ArrayRef,
    /// Values that were not treated as the rule's treatment says. Rows count, in dictionaries as well.
    pub outcome: Outcome,
}
