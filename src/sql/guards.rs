//! Guards: rows that a CASE keeps from a function.
//!
//! DataFusion rewrites `CASE WHEN valid THEN protect(x, 'card') = y ELSE false END` as `valid AND protect(x, 'card') =
//! y` and then computes the call on all rows, and it computes asynchronous functions on all rows wherever they stand.
//! So a value that the guard was written for would fail the statement, or get a token. The guard goes into the
//! argument: `protect(CASE WHEN valid THEN x END, 'card')`, which is NULL where the row is not meant.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Case, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Volatility, when};
use datafusion::optimizer::AnalyzerRule;

use super::functions::FALLIBLE;

/// The analyzer rule.
#[derive(Debug)]
pub(super) struct GuardsRule;

impl AnalyzerRule for GuardsRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let guarded = plan.transform_up_with_subqueries(|node| {
            let mut schema = DFSchema::empty();
            for input in node.inputs() {
                schema.merge(input.schema());
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let guarded = expression.transform_up(|part| guarded(part, &schema))?;
                Ok(guarded.update_data(|expression| name.restore(expression)))
            })
        });
        Ok(guarded?.data)
    }

    fn name(&self) -> &str {
        "cipherform_guards"
    }
}

fn guarded(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match part {
        Expr::Case(case) => {
            let is_boolean = case
                .when_then_expr
                .first()
                .and_then(|(_, then)| then.get_type(schema).ok())
                .is_none_or(|data_type| data_type == arrow::datatypes::DataType::Boolean);
            in_case(case, is_boolean)
        }
        Expr::ScalarFunction(call) if ["coalesce", "nvl", "ifnull"].contains(&call.func.name()) => in_coalesce(call),
        other => Ok(Transformed::no(other)),
    }
}

/// Each branch is reached by the rows whose condition is true, and no condition before it.
fn in_case(case: Case, is_boolean: bool) -> Result<Transformed<Expr>> {
    let Case {
        expr,
        when_then_expr,
        else_expr,
    } = case;
    let mut transformed = false;
    let mut before: Option<Expr> = None;
    let mut branches = Vec::with_capacity(when_then_expr.len());
    for (when, then) in when_then_expr {
        let condition = match &expr {
            Some(compared) => compared.as_ref().clone().eq(when.as_ref().clone()),
            None => when.as_ref().clone(),
        };
        let reached = and(before.clone(), condition.clone());
        let then = in_branch(*then, Some(&reached), is_boolean)?;
        let when = in_branch(*when, before.as_ref(), is_boolean)?;
        transformed |= when.transformed || then.transformed;
        branches.push((Box::new(when.data), Box::new(then.data)));
        before = Some(and(before, condition.is_not_true()));
    }
    let else_expr = match else_expr {
        Some(otherwise) => {
            let otherwise = in_branch(*otherwise, before.as_ref(), is_boolean)?;
            transformed |= otherwise.transformed;
            Some(Box::new(otherwise.data))
        }
        None => None,
    };
    let case = Expr::Case(Case {
        expr,
        when_then_expr: branches,
        else_expr,
    });
    Ok(Transformed::new_transformed(case, transformed))
}

/// Each argument is reached by the rows in which all before it are NULL.
fn in_coalesce(call: ScalarFunction) -> Result<Transformed<Expr>> {
    let mut transformed = false;
    let mut before: Option<Expr> = None;
    let mut arguments = Vec::with_capacity(call.args.len());
    for argument in call.args {
        let is_null = argument.clone().is_null();
        let argument = in_branch(argument, before.as_ref(), true)?;
        transformed |= argument.transformed;
        arguments.push(argument.data);
        before = Some(and(before, is_null));
    }
    let call = Expr::ScalarFunction(ScalarFunction {
        func: call.func,
        args: arguments,
    });
    Ok(Transformed::new_transformed(call, transformed))
}

fn and(before: Option<Expr>, condition: Expr) -> Expr {
    match before {
        Some(before) => before.and(condition),
        None => condition,
    }
}

/// Puts the guard into the calls within a branch. Those that are not asynchronous need it only where the whole CASE may
/// become a condition.
fn in_branch(branch: Expr, reached: Option<&Expr>, is_condition: bool) -> Result<Transformed<Expr>> {
    let Some(reached) = reached else {
        return Ok(Transformed::no(branch));
    };
    branch.transform_up(|part| {
        let Expr::ScalarFunction(mut call) = part else {
            return Ok(Transformed::no(part));
        };
        let needs_guard = is_condition || call.func.signature().volatility == Volatility::Volatile;
        let is_open = match call.args.first() {
            None | Some(Expr::Literal(..)) => false,
            // A plan is analyzed more than once.
            Some(Expr::Case(case)) => case.when_then_expr.first().is_none_or(|(when, _)| **when != *reached),
            Some(_) => true,
        };
        if !needs_guard || !is_open || !FALLIBLE.contains(&call.func.name()) {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        }
        call.args[0] = when(reached.clone(), call.args[0].clone()).end()?;
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    })
}
