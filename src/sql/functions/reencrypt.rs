//! `reencrypt(column, 'rule@1', 'rule@2')`: stored values under another version of their key, so that columns of
//! several versions can be compared by who does not see them plain.
//!
//! It is in no registry: views have it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call::{Binding, literal};
use crate::cipher::Direction;
use crate::columns::{self, Task};
use crate::policy::RuleRef;
use crate::sql::external;
use crate::transform::Engine;

/// The function's name in plans.
pub(in crate::sql) const NAME: &str = "reencrypt";

/// The function.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Reencrypt {
    binding: Binding,
}

impl Reencrypt {
    pub(super) fn udf(engine: &Engine) -> ScalarUDF {
        let binding = Binding {
            engine: engine.clone(),
            signature: Signature::any(3, Volatility::Immutable),
        };
        Self { binding }.into()
    }
}

impl ScalarUDFImpl for Reencrypt {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.binding.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let stored = &args.arg_fields[0];
        Ok(Arc::new(Field::new(stored.name(), stored.data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [
            ColumnarValue::Array(array),
            ColumnarValue::Scalar(from),
            ColumnarValue::Scalar(to),
        ] = &args.args[..]
        else {
            return exec_err!("{NAME} takes a column and two rules");
        };
        let rule = |text| literal(NAME, Some(text))?.parse::<RuleRef>().map_err(external);
        let transforms = self.binding.engine.reencryption(&rule(from)?, &rule(to)?);
        let [reveal, protect] = transforms.map_err(external)?;
        let column = args.arg_fields[0].name();
        let plain = columns::apply(Task::new(&reveal, Direction::Decrypt, column), array, None).map_err(external)?;
        let again = columns::apply(Task::new(&protect, Direction::Encrypt, column), &plain.array, None);
        Ok(ColumnarValue::Array(again.map_err(external)?.array))
    }
}
