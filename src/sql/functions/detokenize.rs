//! `detokenize(token, 'rule')`: the value of a token. One that was deleted, or has expired, is what the rule's
//! `on_forgotten` says.
//!
//! For who sees the rule plain; other roles are shown columns as they may see them.

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

const NAME: &str = "detokenize";

/// The function.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Detokenize {
    binding: Binding,
}

impl Detokenize {
    pub(super) fn udf(engine: &Engine) -> ScalarUDF {
        let binding = Binding::volatile(engine);
        AsyncScalarUDF::new(Arc::new(Self { binding })).into_scalar_udf()
    }
}

impl ScalarUDFImpl for Detokenize {
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
        self.binding.token_field(NAME, Direction::Decrypt, &args)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{NAME} is asynchronous")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Detokenize {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.binding.tokens(NAME, Direction::Decrypt, args).await
    }
}
