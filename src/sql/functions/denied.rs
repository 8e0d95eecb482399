//! What stands in a view for a column that a role may not see: a query that needs the column fails.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::sql::external;
use crate::{Error, ErrorKind};

/// The function. It is in no registry: only views have it.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Denied {
    message: String,
    signature: Signature,
}

impl Denied {
    pub(super) fn new(message: String) -> Self {
        Self {
            message,
            // Volatile, so that it is never evaluated for a query that does not ask for it.
            signature: Signature::any(1, Volatility::Volatile),
        }
    }
}

impl ScalarUDFImpl for Denied {
    fn name(&self) -> &str {
        "denied"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(external(Error::new(ErrorKind::NotAllowed, self.message.clone())))
    }
}
