//! Counts of the values of a column, by what became of them.

use std::ops::AddAssign;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{ArrowNativeType, DataType};
use arrow::downcast_dictionary_array;
use arrow::error::ArrowError;

use crate::policy::{OnEmpty, Rule};
use crate::transform::Outcome;
use crate::{Error, Result};

/// Counts of the values of a column, by what became of them. In lists each element counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ValueCounts {
    /// All values, NULLs among them.
    pub values: usize,
    /// NULLs, which stay.
    pub nulls: usize,
    /// Empty texts and bytes, which stay by `on_empty = "keep"`.
    pub empty: usize,
    /// Values that do not fit and would be refused, as far as they were
    /// [examined](super::BatchPlan::examine): else the first of them ends the work.
    pub refused: usize,
    /// Values that were not treated as the rule's treatment says.
    pub outcome: Outcome,
}

impl ValueCounts {
    /// The counts of `array`, whose treatment had this outcome.
    ///
    /// # Errors
    /// Our bug.
    pub(super) fn of(array: &ArrayRef, rule: &Rule, outcome: Outcome) -> Result<Self> {
        let empty = match rule.on_empty {
            OnEmpty::Keep => empty(array).map_err(|error| Error::bug("a column without lengths").with_source(error))?,
            OnEmpty::Invalid => 0,
        };
        Ok(Self {
            values: array.len(),
            nulls: array.logical_null_count(),
            empty,
            refused: 0,
            outcome,
        })
    }

    /// Values that were treated as the rule's treatment says: all that nothing else was done to.
    pub fn treated(&self) -> usize {
        let Outcome {
            kept_clear,
            wrapped,
            nulled,
            banded,
            forgotten,
        } = self.outcome;
        let others = self.nulls + self.empty + self.refused + kept_clear + wrapped + nulled + banded + forgotten;
        self.values.saturating_sub(others)
    }
}

impl AddAssign for ValueCounts {
    fn add_assign(&mut self, other: Self) {
        self.values += other.values;
        self.nulls += other.nulls;
        self.empty += other.empty;
        self.refused += other.refused;
        self.outcome += other.outcome;
    }
}

/// Counts the empty texts and bytes of `array`.
fn empty(array: &ArrayRef) -> Result<usize, ArrowError> {
    match array.data_type() {
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => {
            let lengths = length(array)?;
            Ok(match lengths.as_any().downcast_ref::<Int32Array>() {
                Some(lengths) => lengths.iter().filter(|length| *length == Some(0)).count(),
                None => {
                    let lengths: &Int64Array = lengths.as_primitive();
                    lengths.iter().filter(|length| *length == Some(0)).count()
                }
            })
        }
        // By distinct value, of which at most one is empty, as a rule.
        DataType::Dictionary(..) => downcast_dictionary_array!(
            array => {
                if empty(array.values())? == 0 {
                    return Ok(0);
                }
                let is_empty: Vec<bool> = (0..array.values().len())
                    .map(|at| Ok(empty(&array.values().slice(at, 1))? == 1))
                    .collect::<Result<_, ArrowError>>()?;
                let keys = array.keys().iter().flatten();
                Ok(keys.filter(|key| is_empty[key.as_usize()]).count())
            },
            _ => Ok(0)
        ),
        DataType::RunEndEncoded(_, values) => empty(&cast(array, values.data_type())?),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Int64Array, StringArray, StringViewArray};
    use arrow::datatypes::Int8Type;

    use super::*;

    #[test]
    fn empty_texts_are_counted_by_row() {
        let texts = vec![Some(""), None, Some("a"), Some("")];
        let dictionary: DictionaryArray<Int8Type> = texts.iter().copied().collect();
        let arrays: [(ArrayRef, usize); 4] = [
            (Arc::new(StringArray::from(texts.clone())), 2),
            (Arc::new(StringViewArray::from(texts)), 2),
            (Arc::new(dictionary), 2),
            (Arc::new(Int64Array::from(vec![0, 1])), 0),
        ];
        for (array, expected) in arrays {
            assert_eq!(empty(&array).unwrap(), expected, "{}", array.data_type());
        }
    }
}
