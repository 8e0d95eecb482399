//! `reveal(value, 'rule' [, tweak])`: undoes `protect`; `'rule@2'` names a key version.
//!
//! For who sees the rule plain; other roles are shown columns as they may see them.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature};

use super::call::{Binding, TweakArgument, coerce};
use crate::cipher::Direction;
use crate::transform::Engine;

const NAME: &str = "reveal";

/// The function.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Reveal {
    binding: Binding,
}

impl Reveal {
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            binding: Binding::new(engine),
        }
    }
}

impl ScalarUDFImpl for Reveal {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.binding.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(NAME, types, 3)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("{NAME} goes by return_field_from_args")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.binding.return_field(NAME, Direction::Decrypt, &args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.binding
            .run(NAME, Direction::Decrypt, TweakArgument::IsTheColumn, &args)
    }
}
