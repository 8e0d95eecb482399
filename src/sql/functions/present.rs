//! `present(column, 'rule@version', 'what' [, tweak])`: what a role is shown of a column that it sees masked.
//!
//! It is in no registry, so that nobody can write it: analysis puts it where a column leaves a statement, and views
//! where a column can only be shown. It is given whole columns, never a literal.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, FieldRef};
use async_trait::async_trait;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call::{Binding, literal};
use crate::cipher::Direction;
use crate::columns::{self, Task};
use crate::policy::RuleRef;
use crate::sql::external;
use crate::sql::revealed_values::RevealedValues;
use crate::transform::Engine;
use crate::{Error, ErrorKind};

/// The function's name in plans.
pub(in crate::sql) const NAME: &str = "present";

/// The result is what is shown, and nothing can be computed with it.
pub(in crate::sql) const SHOWN: &str = "shown";

/// The result is text like any other, since the person asked for the mask by name.
pub(in crate::sql) const TEXT: &str = "text";

/// The function, and under the same name its twin that asks a token store.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Present {
    binding: Binding,
}

impl Present {
    /// The function for rules that encrypt, or for rules that tokenize.
    pub(super) fn udf(engine: &Engine, tokenizes: bool) -> ScalarUDF {
        let volatility = if tokenizes {
            Volatility::Volatile
        } else {
            Volatility::Immutable
        };
        let function = Self {
            binding: Binding {
                engine: engine.clone(),
                signature: Signature::variadic_any(volatility),
            },
        };
        if tokenizes {
            AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf()
        } else {
            function.into()
        }
    }

    async fn run(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // EXECUTE and PREPARE fold literals before any plan is analyzed, so the refusal stands here as well.
        let ColumnarValue::Array(array) = &args.args[0] else {
            return Err(external(Error::new(
                ErrorKind::NotAllowed,
                "what a role is shown comes from the columns of a table",
            )));
        };
        let rule = match &args.args[1] {
            ColumnarValue::Scalar(rule) => rule.clone(),
            ColumnarValue::Array(rules) => datafusion::common::ScalarValue::try_from_array(rules, 0)?,
        };
        let rule: RuleRef = literal(NAME, Some(&rule))?.parse().map_err(external)?;
        let transform = self
            .binding
            .engine
            .resolved(&rule, Direction::Decrypt)
            .map_err(external)?;
        if !transform.is_masked() {
            return internal_err!("{NAME} is for columns that are seen masked");
        }
        let tweaks = args
            .args
            .get(3)
            .map(|tweak| tweak.to_array(args.number_rows))
            .transpose()?;
        let task = Task::new(&transform, Direction::Decrypt, args.arg_fields[0].name());
        let done = match transform.tokenizer() {
            Some(_) => columns::treat(task, array, None).await,
            None => columns::apply(task, array, tweaks.as_ref()),
        };
        let shown = done.map_err(external)?.array;
        // A mask is made of the value, which was revealed for it.
        RevealedValues::count(
            &args.config_options,
            &rule.to_string(),
            array.len() - array.logical_null_count(),
        );
        Ok(ColumnarValue::Array(shown))
    }
}

impl ScalarUDFImpl for Present {
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
        let shown = &args.arg_fields[0];
        Ok(Arc::new(Field::new(shown.name(), shown.data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match futures_util::FutureExt::now_or_never(self.run(args)) {
            Some(done) => done,
            None => internal_err!("{NAME} waits for a store"),
        }
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Present {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.run(args).await
    }
}
