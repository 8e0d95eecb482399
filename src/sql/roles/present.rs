//! The mask where a column leaves a statement, and in place of `mask(column)`; ciphertext in place of what is searched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Projection, lit};

use super::checker::{Checker, Scope};
use super::expressions::{MOST_SEARCHED, searched_value};
use super::kind::{Kind, NestedKind};
use crate::cipher::Direction;
use crate::columns::{self, Task};
use crate::policy::{Grant, RuleRef, Tweak};
use crate::sql::access::{CheckResult as Result, Sealed};
use crate::sql::functions::present::{SHOWN, TEXT};
use crate::sql::functions::reveal_nested::NestedFields;
use crate::sql::functions::{self, mask};
use crate::sql::{external, from_datafusion};
use crate::transform::Engine;

/// Puts the mask on those of the plan's columns that the role sees masked.
pub(super) fn at_root(engine: &Engine, plan: LogicalPlan, kinds: &[Kind]) -> Result<LogicalPlan> {
    let is_masked = |kind: &Kind| match kind {
        Kind::Sealed(sealed) => sealed.grant == Grant::Masked,
        Kind::Nested(_) => true,
        _ => false,
    };
    if !kinds.iter().any(is_masked) {
        return Ok(plan);
    }
    let columns = plan.schema().columns();
    let mut expressions = Vec::with_capacity(columns.len());
    for (column, kind) in columns.into_iter().zip(kinds) {
        let (relation, name) = (column.relation.clone(), column.name.clone());
        let column = Expr::Column(column);
        let shown = match kind {
            Kind::Sealed(sealed) if sealed.grant == Grant::Masked => {
                Some(shown(engine, sealed, column.clone(), SHOWN)?)
            }
            Kind::Nested(nested) => Some(shown_nested(engine, nested, column.clone())?),
            _ => None,
        };
        expressions.push(match shown {
            Some(shown) => shown.alias_qualified(relation, name),
            None => column,
        });
    }
    let projection = Projection::try_new(expressions, Arc::new(plan)).map_err(from_datafusion)?;
    Ok(LogicalPlan::Projection(projection))
}

/// The expression for a column as the role is shown it.
fn shown(engine: &Engine, sealed: &Sealed, column: Expr, what: &str) -> Result<Expr> {
    let rule = engine.policy().rule(&sealed.rule.rule)?;
    let present = functions::present_udf(engine, rule.tokens.is_some());
    Ok(present.call(vec![column, lit(sealed.rule.to_string()), lit(what)]))
}

/// A struct or list with those fields masked that the role sees so.
fn shown_nested(engine: &Engine, nested: &NestedKind, column: Expr) -> Result<Expr> {
    if let Some(denied) = nested.sealed().find(|sealed| sealed.grant == Grant::Denied) {
        return Err(denied.refuse(""));
    }
    let schema = Schema::new(vec![Arc::clone(&nested.field)]);
    let protected: BTreeMap<_, _> = columns::protected_columns(&schema)?.into_iter().collect();
    let (mut revealed, mut detokenizes) = (BTreeSet::new(), false);
    for (path, described) in &protected {
        let rule = engine.policy().rule(&described.rule)?;
        // Where a tweak column is needed, the view has put the mask on.
        let by_row = matches!(rule.tweak, Tweak::Column(_));
        if engine.grant(&rule.name)? == Grant::Masked && !by_row && !described.treatment.is_one_way() {
            revealed.insert(path.clone());
            detokenizes |= rule.tokens.is_some();
        }
    }
    let fields = NestedFields {
        columns: vec![nested.field.name().clone()],
        revealed,
        protected,
    };
    let arguments = vec![column, lit(SHOWN), lit(fields.text()?)];
    Ok(functions::reveal_nested_udf(engine, detokenizes).call(arguments))
}

/// Puts what is shown in place of each `mask(column)`, and ciphertext in place of what is searched for.
pub(super) fn within(engine: &Engine, plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let schemas: Vec<_> = node
            .inputs()
            .into_iter()
            .map(|input| Arc::clone(input.schema()))
            .collect();
        let mut schema = DFSchema::empty();
        let mut kinds = Vec::new();
        for (input, of_input) in node.inputs().into_iter().zip(&schemas) {
            schema.merge(of_input);
            kinds.extend(kinds_of(engine, input));
        }
        if kinds.len() != schema.fields().len() {
            return Ok(Transformed::no(node)); // two inputs with columns of one name: nothing here can name either
        }
        let names = NamePreserver::new(&node);
        let transformed = node.map_expressions(|expression| {
            let name = names.save(&expression);
            let transformed = expression.transform(|part| {
                rewritten(engine, part, &schema, &kinds).map_err(|refusal| external(refusal.error))
            })?;
            Ok(transformed.update_data(|expression| name.restore(expression)))
        })?;
        if transformed.transformed {
            Ok(Transformed::yes(transformed.data.recompute_schema()?))
        } else {
            Ok(transformed)
        }
    });
    Ok(rewritten.map_err(from_datafusion)?.data)
}

/// The kinds of a plan's columns, of each as far as it may be needed.
fn kinds_of(engine: &Engine, plan: &LogicalPlan) -> Vec<Kind> {
    let width = plan.schema().fields().len();
    let mut kinds = Vec::with_capacity(width);
    for at in 0..width {
        let needed: Vec<bool> = (0..width).map(|other| other == at).collect();
        let found = Checker::new(engine).plan(plan, &needed, None);
        kinds.push(
            found
                .ok()
                .and_then(|kinds| kinds.into_iter().nth(at))
                .unwrap_or(Kind::Unneeded),
        );
    }
    kinds
}

fn rewritten(engine: &Engine, part: Expr, schema: &DFSchema, kinds: &[Kind]) -> Result<Transformed<Expr>> {
    let sealed = |expression: &Expr| {
        let kind = Checker::new(engine).kind(expression, &Scope::new(schema, kinds, None));
        match kind {
            Ok(Kind::Sealed(sealed)) => Some(sealed),
            _ => None,
        }
    };
    match &part {
        Expr::ScalarFunction(call) if call.func.name() == mask::NAME => match call.args.first() {
            Some(column) => match sealed(column).filter(|sealed| sealed.grant == Grant::Masked) {
                Some(sealed) => Ok(Transformed::yes(shown(engine, &sealed, column.clone(), TEXT)?)),
                None => Ok(Transformed::no(part)),
            },
            None => Ok(Transformed::no(part)),
        },
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => {
            for (column, literal) in [(left, right), (right, left)] {
                if let Some(value) = searched_value(literal)
                    && let Some(sealed) = sealed(column).filter(|sealed| sealed.search)
                {
                    let stored = stored(column);
                    let data_type = stored.get_type(schema).map_err(from_datafusion)?;
                    return Ok(Transformed::yes(
                        match ciphertext(engine, &sealed.rule, value, &data_type)? {
                            Some(found) => stored.eq(found),
                            None => never(stored),
                        },
                    ));
                }
            }
            Ok(Transformed::no(part))
        }
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) if list.len() <= MOST_SEARCHED => {
            let Some(sealed) = sealed(expr).filter(|sealed| sealed.search) else {
                return Ok(Transformed::no(part));
            };
            let stored = stored(expr);
            let data_type = stored.get_type(schema).map_err(from_datafusion)?;
            let mut found = Vec::new();
            for value in list.iter().filter_map(searched_value) {
                found.extend(ciphertext(engine, &sealed.rule, value, &data_type)?);
            }
            Ok(Transformed::yes(if found.is_empty() {
                never(stored)
            } else {
                stored.in_list(found, false)
            }))
        }
        _ => Ok(Transformed::no(part)),
    }
}

/// The stored column, as text: so that ciphertext is compared with it, and is not taken for a value the next time that
/// the plan is analyzed.
fn stored(column: &Expr) -> Expr {
    let column = match column {
        Expr::Cast(cast) => cast.expr.as_ref(),
        other => other,
    };
    functions::stored_udf().call(vec![column.clone()])
}

/// The stored form of a value, in a column of this type; `None` of what is no value of the rule's format.
fn ciphertext(engine: &Engine, rule: &RuleRef, value: &ScalarValue, stored: &DataType) -> crate::Result<Option<Expr>> {
    let protect = engine.search(rule)?;
    let array: ArrayRef = value.to_array_of_size(1).map_err(from_datafusion)?;
    let Ok(done) = columns::apply(Task::new(&protect, Direction::Encrypt, "the value"), &array, None) else {
        return Ok(None);
    };
    let found = ScalarValue::try_from_array(&done.array, 0);
    // Types were coerced before.
    let found = found.and_then(|found| found.cast_to(stored));
    Ok(Some(Expr::Literal(found.map_err(from_datafusion)?, None)))
}

/// A comparison with what no row has: false, and NULL where the column is.
fn never(stored: Expr) -> Expr {
    stored.is_null().and(Expr::Literal(ScalarValue::Boolean(None), None))
}
