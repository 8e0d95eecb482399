//! `reveal_nested(column, "as", "fields" [, tweaks])`: a struct or list with some of its protected fields revealed.
//!
//! It is in no registry: views have it, and analysis puts it where a nested column leaves a statement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use async_trait::async_trait;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

use super::call::{Binding, literal};
use crate::columns::{BatchPlan, ProtectedColumn};
use crate::sql::external;
use crate::sql::revealed_values::RevealedValues;
use crate::sql::types::without_metadata;
use crate::transform::Engine;
use crate::{Error, ErrorKind};

/// The function's name in plans.
pub(in crate::sql) const NAME: &str = "reveal_nested";

/// The second argument in a view: what the role does not see plain stays as it is stored.
pub(in crate::sql) const REVEALED: &str = "revealed";

/// The third argument: which fields are revealed. The whole work stands in the call, so that whoever has the same
/// policy and keys can do it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sql) struct NestedFields {
    /// The names of the columns that the call is given: the nested one, and those of tweaks.
    pub(in crate::sql) columns: Vec<String>,
    /// The paths of the fields.
    pub(in crate::sql) revealed: BTreeSet<String>,
    /// How the fields of these columns were protected.
    pub(in crate::sql) protected: BTreeMap<String, ProtectedColumn>,
}

impl NestedFields {
    /// The work on columns of these types, as far as nothing has to be waited for.
    fn plan(&self, engine: &Engine, types: impl Iterator<Item = DataType>) -> crate::Result<BatchPlan> {
        let fields = self.columns.iter().zip(types);
        let fields: Vec<Field> = fields
            .map(|(name, data_type)| Field::new(name, data_type, true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        // Every key was resolved when the table was opened.
        BatchPlan::reveal_nested(engine, &schema, &self.revealed, &self.protected)
            .now_or_never()
            .ok_or_else(|| Error::bug("a nested column whose keys were not resolved"))?
    }

    /// The literal.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub(in crate::sql) fn text(&self) -> crate::Result<String> {
        serde_json::to_string(self).map_err(|_| Error::bug("a description that cannot be written as JSON"))
    }
}

/// The function, and under the same name its twin that asks a token store.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct RevealNested {
    binding: Binding,
}

impl RevealNested {
    /// The function for fields of which none is a token, or one is.
    pub(super) fn udf(engine: &Engine, detokenizes: bool) -> ScalarUDF {
        let volatility = if detokenizes {
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
        if detokenizes {
            AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf()
        } else {
            function.into()
        }
    }

    fn plan(&self, fields: &ScalarValue, mut types: impl Iterator<Item = DataType>) -> Result<BatchPlan> {
        let fields: NestedFields = serde_json::from_str(literal(NAME, Some(fields))?)
            .map_err(|_| external(Error::bad_input(format!("{NAME} is not for statements"))))?;
        let nested = types.next();
        // The literals are between the nested column and those of tweaks.
        fields
            .plan(&self.binding.engine, nested.into_iter().chain(types.skip(2)))
            .map_err(external)
    }

    async fn run(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // EXECUTE and PREPARE fold literals before any plan is analyzed, so the refusal stands here as well.
        if !matches!(args.args.first(), Some(ColumnarValue::Array(_))) || args.args.len() < 3 {
            let message = format!("{NAME} takes columns of a table");
            return Err(external(Error::new(ErrorKind::NotAllowed, message)));
        }
        let fields = match &args.args[2] {
            ColumnarValue::Scalar(fields) => fields.clone(),
            ColumnarValue::Array(fields) => ScalarValue::try_from_array(fields, 0)?,
        };
        let plan = self.plan(&fields, args.args.iter().map(ColumnarValue::data_type))?;
        let arguments = args.args[..1].iter().chain(&args.args[3..]);
        let columns = arguments.map(|argument| argument.to_array(args.number_rows));
        let options = RecordBatchOptions::new().with_row_count(Some(args.number_rows));
        let columns = columns.collect::<Result<_>>()?;
        let batch = RecordBatch::try_new_with_options(Arc::clone(plan.input()), columns, &options)?;
        let done = plan.apply(&batch, 0).await.map_err(external)?;
        for work in plan.summary() {
            RevealedValues::count(&args.config_options, &work.rule, batch.num_rows());
        }
        Ok(ColumnarValue::Array(Arc::clone(done.column(0))))
    }
}

impl ScalarUDFImpl for RevealNested {
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
        let data_type = without_metadata(args.arg_fields[0].data_type());
        Ok(Arc::new(Field::new(args.arg_fields[0].name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.run(args).now_or_never() {
            Some(done) => done,
            None => internal_err!("{NAME} waits for a token store"),
        }
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for RevealNested {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.run(args).await
    }
}
