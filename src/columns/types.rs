//! Arrow types that a transform works on.

use arrow::datatypes::DataType;

use super::ordinal;
use crate::transform::Transform;
use crate::{Error, Result};

/// Checks that `transform` works on columns of `data_type`.
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

/// Checks a type; the error says what else to do.
fn suits(transform: &Transform, data_type: &DataType) -> Result<(), &'static str> {
    use DataType as T;
    match (data_type, transform.ordinal_range()) {
        // Text takes every treatment: formats are defined on text first.
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, _) => Ok(()),
        (T::Dictionary(_, values), _) => suits(transform, values),
        // Tokens are not done by run.
        (T::RunEndEncoded(_, values), _) if transform.tokenizer().is_none() => suits(transform, values.data_type()),
        (T::Struct(_) | T::List(_) | T::LargeList(_) | T::FixedSizeList(..), _) => {
            Err("name a field within it in [columns], as in \"address.postcode\" or \"phones[]\"")
        }
        (T::Map(..) | T::ListView(_) | T::LargeListView(_) | T::Union(..), _) => {
            Err("make it a struct or a list, or drop the column")
        }
        // Nothing but NULLs, which stay so.
        (T::Null, _) => Ok(()),
        (T::Binary | T::LargeBinary | T::BinaryView, _) if transform.takes_bytes() => Ok(()),
        (T::FixedSizeBinary(16), _) if transform.takes_uuids() => Ok(()),
        // The width is part of the type, and a plan never changes a type.
        (T::FixedSizeBinary(n), _) if transform.takes_bytes() => match transform.result_length() {
            Some(length) if usize::try_from(*n) == Ok(length) => Ok(()),
            Some(_) => Err("a hash has another length; make the column Binary"),
            None => Err("the result is longer; make the column Binary"),
        },
        (T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_), _) => Err(
            "columns of bytes take treatment = \"siv\" or \"hash\"; if they hold text that their writer did not mark \
             as text, write them with the mark: CAST(column AS VARCHAR)",
        ),
        // After bytes and text: whatever is left is numbers, dates and times, or takes nothing.
        (_, _) if !transform.takes_ordinals() => Err("make the column text first: the result is text"),
        // Two values are under every floor, and frequency tells them apart.
        (T::Boolean, _) => Err("true and false have nothing to hide among: drop the column"),
        (T::Duration(_) | T::Interval(_), _) => {
            Err("lengths of time have no format: make them integers of one unit, or drop the column")
        }
        (other, Some(range)) => ordinal::factor(&range, other).map(|_| ()),
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
        (T::Float16 | T::Float32 | T::Float64, None) => Err(ordinal::FLOATS),
        _ => Err("text columns take every format"),
    }
}
