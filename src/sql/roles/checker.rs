//! The walk over a statement: what it has found, and the columns that an expression may name.
//!
//! Plans hold expressions, and expressions hold the plans of subqueries: `plans` and `expressions` each have their part
//! of the walk.

use datafusion::common::{Column, DFSchema};

use super::kind::Kind;
use crate::Error;
use crate::sql::access::CheckResult as Result;
use crate::sql::from_datafusion;
use crate::transform::Engine;

/// A walk over a plan, from what is needed of it to what its columns show.
pub(super) struct Checker<'a> {
    pub(super) engine: &'a Engine,
    /// Was there a `mask(column)` of a sealed column?
    pub(super) masks_columns: bool,
    /// Was there a search for a given value?
    pub(super) searches_columns: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(engine: &'a Engine) -> Self {
        Self {
            engine,
            masks_columns: false,
            searches_columns: false,
        }
    }
}

/// The columns that an expression may name, with their kinds; and those of the statements around it.
pub(super) struct Scope<'a> {
    pub(super) schema: &'a DFSchema,
    kinds: &'a [Kind],
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(schema: &'a DFSchema, kinds: &'a [Kind], outer: Option<&'a Scope<'a>>) -> Self {
        Self { schema, kinds, outer }
    }

    /// The kind of a column of this statement.
    pub(super) fn column(&self, column: &Column) -> Result<Kind> {
        let at = self.schema.index_of_column(column).map_err(from_datafusion)?;
        match self.kinds.get(at).cloned() {
            // What was not marked as needed was not looked at, and must not pass for open.
            None | Some(Kind::Unneeded) => Err(Error::bug("a column that nothing was said to need").into()),
            Some(kind) => kind.needed(),
        }
    }

    /// The kind of a column of a statement around this one.
    pub(super) fn outer_column(&self, column: &Column) -> Result<Kind> {
        let mut scope = self.outer;
        while let Some(outer) = scope {
            if outer.schema.maybe_index_of_column(column).is_some() {
                return outer.column(column);
            }
            scope = outer.outer;
        }
        let column = column.flat_name();
        Err(Error::bad_input(format!("no statement around this one has a column `{column}`")).into())
    }
}
