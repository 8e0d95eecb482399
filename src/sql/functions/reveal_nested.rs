//! `reveal_nested`: in a view, a struct or list whose protected fields are revealed as the role may see them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use async_trait::async_trait;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use futures_util::FutureExt;

use crate::columns::BatchPlan;
use crate::sql::external;
use crate::sql::revealed_values::RevealedValues;
use crate::sql::types::without_metadata;

pub(in crate::sql) const NAME: &str = "reveal_nested";

/// The function. It is in no registry: only views have it. Its arguments are the columns of its plan.
#[derive(Debug)]
pub(in crate::sql) struct RevealNested {
    plan: Arc<BatchPlan>,
    /// Is it where a column leaves a statement, for the role to see?
    is_presented: bool,
    signature: Signature,
}

impl PartialEq for RevealNested {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for RevealNested {}

impl Hash for RevealNested {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.plan).hash(state);
    }
}

impl RevealNested {
    pub(super) fn udf(plan: BatchPlan, is_presented: bool) -> ScalarUDF {
        let arguments = plan.input().fields().len();
        let asks_a_store = plan.asks_a_store();
        let volatility = if asks_a_store {
            Volatility::Volatile
        } else {
            Volatility::Immutable
        };
        let function = Self {
            plan: Arc::new(plan),
            is_presented,
            signature: Signature::any(arguments, volatility),
        };
        if asks_a_store {
            AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf()
        } else {
            function.into()
        }
    }

    /// Is it where a column leaves a statement, for the role to see?
    pub(in crate::sql) fn is_presented(&self) -> bool {
        self.is_presented
    }

    async fn run(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let input = self.plan.input();
        let columns = args.args.iter().zip(input.fields()).map(|(argument, field)| {
            // A reader may have other types for the same values, such as views of text.
            Ok(cast(&argument.to_array(args.number_rows)?, field.data_type())?)
        });
        let options = RecordBatchOptions::new().with_row_count(Some(args.number_rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(input), columns.collect::<Result<_>>()?, &options)?;
        let done = self.plan.apply(&batch, 0).await.map_err(external)?;
        for work in self.plan.summary() {
            RevealedValues::count(&args.config_options, &work.rule, batch.num_rows());
        }
        Ok(ColumnarValue::Array(cast(done.column(0), &self.data_type())?))
    }

    fn data_type(&self) -> DataType {
        without_metadata(self.plan.output().field(0).data_type())
    }
}

impl ScalarUDFImpl for RevealNested {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(NAME, self.data_type(), true)))
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
