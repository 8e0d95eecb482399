//! `mask(value, 'rule')`: letters, digits and the format's other symbols replaced as the rule's `mask` says.
//!
//! It needs no key: whoever has the value may mask it. `mask(column)` of a column that a role sees masked is what it is
//! shown, as text: analysis puts [`present`](super::present) in its place.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature};

use super::call::{Binding, coerce, literal};
use crate::policy::RuleRef;
use crate::sql::external;
use crate::transform::{Engine, mask};

pub(in crate::sql) const NAME: &str = "mask";

/// The function.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Mask {
    binding: Binding,
}

impl Mask {
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            binding: Binding::new(engine),
        }
    }
}

impl ScalarUDFImpl for Mask {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.binding.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if let [column] = types {
            // Analysis has put another function in its place where the role sees the column masked.
            return match self.binding.engine.role() {
                Some(_) => Ok(vec![column.clone()]),
                None => plan_err!("{NAME} takes a value and a rule; a column alone is for roles that see it masked"),
            };
        }
        let types = coerce(NAME, types, 2)?;
        match &types[0] {
            text @ (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
                Ok(vec![text.clone(), DataType::Utf8])
            }
            DataType::Dictionary(_, values) if values.is_string() => Ok(vec![values.as_ref().clone(), DataType::Utf8]),
            other => plan_err!("{NAME} takes text, not {other}"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Scalar(rule)) = args.args.get(1) else {
            return exec_err!("{NAME}: the rule must be a literal");
        };
        let rule: RuleRef = literal(NAME, Some(rule))?.parse().map_err(external)?;
        let rule = self.binding.engine.policy().rule(&rule.rule).map_err(external)?;
        let scalar = matches!(&args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if scalar { 1 } else { args.number_rows })?;
        let text = cast(&array, &DataType::Utf8)?;
        let masked: StringArray = text
            .as_string::<i32>()
            .iter()
            .map(|value| value.map(|value| mask(value, rule)))
            .collect();
        let masked: ArrayRef = cast(&(Arc::new(masked) as ArrayRef), array.data_type())?;
        if scalar {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&masked, 0)?))
        } else {
            Ok(ColumnarValue::Array(masked))
        }
    }
}
