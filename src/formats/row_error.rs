//! Errors of the rows of a batch.

use super::error::FormatError;
use crate::Error;
use crate::cipher::CipherError;

/// An error of one row of a batch, or of the batch as a whole.
#[derive(Debug)]
pub enum RowError {
    /// The value or the tweak of a row does not fit, and the rule says that this is an error.
    Row {
        /// The row's number in the batch, from 0.
        row: usize,
        /// The reason.
        cause: FormatError,
    },
    /// An error that is no row's fault.
    Batch(Error),
}

impl From<Error> for RowError {
    fn from(error: Error) -> Self {
        Self::Batch(error)
    }
}

impl From<CipherError> for RowError {
    fn from(error: CipherError) -> Self {
        Self::Batch(error.into())
    }
}

impl RowError {
    /// Renumbers the row, for a batch that holds some rows of another one.
    #[must_use]
    pub fn renumber(self, number: impl FnOnce(usize) -> usize) -> Self {
        match self {
            Self::Row { row, cause } => Self::Row {
                row: number(row),
                cause,
            },
            Self::Batch(error) => Self::Batch(error),
        }
    }
}
