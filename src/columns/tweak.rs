//! The plaintext of one column as the tweak of another.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::ascii::common_length;
use super::task::Task;
use crate::cipher::Tweaks;
use crate::{Error, Result};

/// A tweak column as text: strings as they are, integers in decimal.
pub(super) struct TweakColumn(StringArray);

impl TweakColumn {
    pub(super) fn try_new(array: &ArrayRef) -> Result<Self> {
        check_type(array.data_type())?;
        // One form for all types, so a column that is stored as a dictionary or as text gives the same tweak.
        let text = cast(array, &DataType::Utf8)
            .map_err(|error| Error::bad_input("the tweak column cannot be read as text").with_source(error))?;
        Ok(Self(text.as_string().clone()))
    }

    /// The tweaks of these rows, if none is NULL and all have the same length.
    pub(super) fn packed(&self, rows: Range<usize>) -> Option<Tweaks<'_>> {
        // Checked for these rows only: a NULL elsewhere in the array does not cost the fast way.
        if self
            .0
            .nulls()
            .is_some_and(|nulls| nulls.slice(rows.start, rows.len()).null_count() > 0)
        {
            return None;
        }
        let offsets = &self.0.value_offsets()[rows.start..=rows.end];
        // One length for all: the tweaks are then one rectangle, without a pointer for each row.
        let length = common_length(offsets)?;
        // Offsets of a slice begin anywhere.
        let whole = offsets[0] as usize..offsets[rows.len()] as usize;
        Some(Tweaks::Packed {
            bytes: &self.0.value_data()[whole],
            length,
        })
    }

    /// The tweaks of `rows` rows from `start` on; where the value is NULL the tweak does not matter.
    pub(super) fn bytes(
        &self,
        task: &Task<'_>,
        start: usize,
        is_null: impl ExactSizeIterator<Item = bool>,
    ) -> Result<Vec<&[u8]>> {
        is_null
            .enumerate()
            .map(|(i, is_null)| {
                let row = start + i;
                match (self.0.is_null(row), is_null) {
                    (false, _) => Ok(self.0.value(row).as_bytes()),
                    (true, true) => Ok(&[][..]),
                    // An error and not an empty tweak: all such values would share one permutation, unnoticed.
                    (true, false) => Err(Error::bad_input(format!(
                        "column `{}`, row {}: its tweak, column `{}`, is NULL (rule `{}`)",
                        task.column,
                        task.number(row),
                        task.transform.tweak_column().unwrap_or_default(),
                        task.transform.rule().name
                    ))),
                }
            })
            .collect()
    }
}

/// Checks that a column of this type can be a tweak: only types whose text is the same everywhere.
pub(super) fn check_type(data_type: &DataType) -> Result<()> {
    match data_type {
        // Decimals, floats and dates have several texts, which differ from system to system.
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(()),
        other if other.is_integer() => Ok(()),
        DataType::Dictionary(_, values) => check_type(values),
        other => Err(Error::bad_policy(format!(
            "a tweak column is text or integers, not {other}"
        ))),
    }
}
