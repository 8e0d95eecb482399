//! Types of columns in plans.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};

/// The type without the metadata of fields within it, which does not go into plans: there it gets lost or stale.
pub(super) fn without_metadata(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| {
        let data_type = without_metadata(field.data_type());
        Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
    };
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::List(element) => DataType::List(field(element)),
        DataType::LargeList(element) => DataType::LargeList(field(element)),
        DataType::FixedSizeList(element, n) => DataType::FixedSizeList(field(element), *n),
        other => other.clone(),
    }
}
