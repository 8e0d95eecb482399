//! `denied`: in a view, a column that a role may not see. A query that needs the column fails.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::call::Binding;
use crate::cipher::Direction;
use crate::policy::RuleRef;
use crate::sql::external;
use crate::transform::Engine;
use crate::{Error, ErrorKind};

/// The function. It is in no registry: only views have it.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Denied {
    message: String,
    /// The rule that the role may not reveal, unless that is written down already.
    rule: Option<RuleRef>,
    binding: Binding,
}

impl Denied {
    pub(super) fn udf(engine: &Engine, message: String, rule: Option<RuleRef>) -> ScalarUDF {
        let binding = Binding {
            engine: engine.clone(),
            // Volatile, so that it is never evaluated for a query that does not ask for it.
            signature: Signature::any(1, Volatility::Volatile),
        };
        Self { message, rule, binding }.into()
    }
}

impl ScalarUDFImpl for Denied {
    fn name(&self) -> &str {
        "denied"
    }

    fn signature(&self) -> &Signature {
        &self.binding.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let refusal = Error::new(ErrorKind::NotAllowed, self.message.clone());
        if let Some(rule) = &self.rule {
            let engine = &self.binding.engine;
            engine
                .audit_refusal(rule, Direction::Decrypt, &refusal)
                .map_err(external)?;
        }
        Err(external(refusal))
    }
}
