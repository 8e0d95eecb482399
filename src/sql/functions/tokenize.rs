//! `tokenize(value, 'rule')`: the token of a value, minted if it has none.
//!
//! Volatile and asynchronous: nothing is minted by EXPLAIN, or by an optimizer that evaluates what looks constant.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use async_trait::async_trait;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::call::Binding;
use crate::cipher::Direction;
use crate::transform::Engine;

const NAME: &str = "tokenize";

/// The function.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Tokenize {
    binding: Binding,
}

impl Tokenize {
    pub(super) fn udf(engine: &Engine) -> ScalarUDF {
        let binding = Binding::volatile(engine);
        AsyncScalarUDF::new(Arc::new(Self { binding })).into_scalar_udf()
    }
}

impl ScalarUDFImpl for Tokenize {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.binding.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("{NAME} goes by return_field_from_args")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.binding.token_field(NAME, Direction::Encrypt, &args)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{NAME} is asynchronous")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Tokenize {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.binding.tokens(NAME, Direction::Encrypt, args).await
    }
}
