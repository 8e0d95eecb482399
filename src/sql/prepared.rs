//! `PREPARE`, `EXECUTE` and `DEALLOCATE`.
//!
//! DataFusion's own folds the literals of a statement before any rule has seen it, and computes the arguments of
//! EXECUTE: each would answer for any string it is given. Here a statement is analyzed when it is prepared and again
//! with its values, and an argument is a literal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use datafusion::common::{ParamValues, ScalarValue};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{Expr, LogicalPlan, Statement};
use datafusion::prelude::SessionContext;

use super::from_datafusion;
use crate::{Error, Result};

/// The prepared statements of a session by their names.
#[derive(Default)]
pub(super) struct PreparedStatements(Mutex<HashMap<String, LogicalPlan>>);

impl PreparedStatements {
    /// Prepares, runs or forgets a statement.
    ///
    /// # Errors
    /// A name that is taken, or of no statement; a statement that the role may not run; arguments that are no literals,
    /// or do not fit.
    pub(super) async fn run(&self, ctx: &SessionContext, statement: Statement) -> Result<DataFrame> {
        match statement {
            Statement::Prepare(prepare) => {
                let state = ctx.state();
                let plan = prepare.input.as_ref().clone();
                // What the role may not is said now, not when it runs.
                let checked = state
                    .analyzer()
                    .execute_and_check(plan.clone(), state.config_options(), |_, _| ());
                checked.map_err(from_datafusion)?;
                if self.plans().contains_key(&prepare.name) {
                    return Err(
                        Error::bad_input(format!("a statement `{}` is prepared already", prepare.name))
                            .with_hint(format!("DEALLOCATE {} first", prepare.name)),
                    );
                }
                self.plans().insert(prepare.name, plan);
                ctx.read_empty().map_err(from_datafusion)
            }
            Statement::Execute(execute) => {
                let plan = self.plans().get(&execute.name).cloned();
                let plan = plan.ok_or_else(|| unknown(&execute.name))?;
                let values = execute.parameters.iter().map(argument).collect::<Result<Vec<_>>>()?;
                let values = values.into_iter().map(Into::into).collect();
                let plan = plan
                    .with_param_values(ParamValues::List(values))
                    .map_err(from_datafusion)?;
                ctx.execute_logical_plan(plan).await.map_err(from_datafusion)
            }
            Statement::Deallocate(deallocate) => {
                let known = self.plans().remove(&deallocate.name);
                known.ok_or_else(|| unknown(&deallocate.name))?;
                ctx.read_empty().map_err(from_datafusion)
            }
            _ => Err(Error::bad_input(
                "this statement changes the session, which is not allowed",
            )),
        }
    }

    fn plans(&self) -> std::sync::MutexGuard<'_, HashMap<String, LogicalPlan>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(name: &str) -> Error {
    Error::bad_input(format!("no statement `{name}` is prepared"))
}

/// The value of an argument, which is a literal, perhaps with a sign.
fn argument(expression: &Expr) -> Result<ScalarValue> {
    match expression {
        Expr::Literal(value, _) => Ok(value.clone()),
        Expr::Negative(inner) => argument(inner)?.arithmetic_negate().map_err(from_datafusion),
        Expr::Alias(alias) => argument(&alias.expr),
        _ => Err(Error::bad_input("the arguments of EXECUTE are literals")),
    }
}
