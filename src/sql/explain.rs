//! `EXPLAIN` of a session: it fails when the statement fails, and prints no value.
//!
//! DataFusion's own turns a refusal into a row of text, and prints plans from before any rule has seen them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::SessionContext;

use super::tables::provider::StoredTable;
use super::{from_datafusion, from_execution, functions};
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result};

/// A value that is not shown.
const HIDDEN: &str = "…";

/// How a plan is explained.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExplainOptions {
    /// Run the statement, and say what each step did.
    pub(super) analyze: bool,
    pub(super) verbose: bool,
}

/// The plans of a statement as text.
pub(super) async fn explain(
    ctx: &SessionContext,
    engine: Option<&Engine>,
    plan: LogicalPlan,
    options: ExplainOptions,
) -> Result<RecordBatch> {
    let role = engine.and_then(Engine::role);
    if let Some(role) = role
        && options.verbose
    {
        return Err(Error::new(
            ErrorKind::NotAllowed,
            format!("role `{role}` may not use EXPLAIN VERBOSE: statistics show values"),
        )
        .with_hint("EXPLAIN shows the plan"));
    }
    if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        return Err(Error::bad_input("EXPLAIN of EXPLAIN is not there"));
    }
    let state = ctx.state();
    let optimized = state.optimize(&plan).map_err(from_datafusion)?;
    let physical = state.create_physical_plan(&optimized).await.map_err(from_datafusion)?;
    let mut secrets = BTreeSet::new();
    for plan in [&plan, &optimized] {
        collect_secrets(plan, &mut secrets).map_err(from_datafusion)?;
    }
    let hide = |text: String| hidden(text, &secrets, role.is_some());
    let logical = hide(optimized.display_indent().to_string());
    let (name, text) = if options.analyze {
        collect(Arc::clone(&physical), ctx.task_ctx())
            .await
            .map_err(from_execution)?;
        let shown = DisplayableExecutionPlan::with_metrics(physical.as_ref());
        ("physical_plan_with_metrics", shown.indent(options.verbose).to_string())
    } else {
        let shown = displayable(physical.as_ref()).set_show_statistics(options.verbose);
        ("physical_plan", shown.indent(options.verbose).to_string())
    };
    let types: ArrayRef = Arc::new(StringArray::from(vec!["logical_plan", name]));
    let plans: ArrayRef = Arc::new(StringArray::from(vec![logical, hide(text)]));
    RecordBatch::try_from_iter([("plan_type", types), ("plan", plans)])
        .map_err(|error| Error::bug("a plan that cannot be shown").with_source(error))
}

/// Collects the literals that meet a protected column, and returns which columns of the plan come from one.
fn collect_secrets(plan: &LogicalPlan, secrets: &mut BTreeSet<String>) -> datafusion::common::Result<Vec<bool>> {
    let width = plan.schema().fields().len();
    if let LogicalPlan::TableScan(scan) = plan {
        let provider = source_as_provider(&scan.source).ok();
        let table = provider
            .as_ref()
            .and_then(|provider| provider.downcast_ref::<StoredTable>());
        let mut protected = vec![false; width];
        if let Some(table) = table {
            let all = table.protected();
            let projected: Vec<usize> = scan.projection.clone().unwrap_or_else(|| (0..all.len()).collect());
            protected = projected.iter().map(|at| all[*at]).collect();
        }
        for filter in &scan.filters {
            secrets_of(filter, plan, &[&protected], secrets)?;
        }
        return Ok(protected);
    }
    // Rows of literals may be compared with a protected column somewhere above.
    let is_of_literals = match plan {
        LogicalPlan::Values(_) => true,
        LogicalPlan::Projection(projection) => matches!(projection.input.as_ref(), LogicalPlan::EmptyRelation(_)),
        _ => false,
    };
    if is_of_literals {
        for expression in plan.expressions() {
            literals(&expression, secrets)?;
        }
    }
    let mut of_inputs = Vec::new();
    for input in plan.inputs() {
        of_inputs.push(collect_secrets(input, secrets)?);
    }
    let slices: Vec<&[bool]> = of_inputs.iter().map(Vec::as_slice).collect();
    let mut made = Vec::new();
    for expression in plan.expressions() {
        made.push(secrets_of(&expression, plan, &slices, secrets)?);
    }
    let all = slices.concat();
    Ok(match plan {
        LogicalPlan::Projection(_) => made,
        LogicalPlan::Aggregate(_) if made.len() == width => made,
        LogicalPlan::Window(_) if all.len() + made.len() == width => [all, made].concat(),
        LogicalPlan::Union(_) => (0..width)
            .map(|at| of_inputs.iter().any(|input| input.get(at).copied().unwrap_or(true)))
            .collect(),
        _ if all.len() == width => all,
        // Whatever is not known is taken for protected: more is hidden then, never less.
        _ => vec![all.contains(&true); width],
    })
}

/// Collects the literals of an expression that meets a protected column; tells whether it does.
fn secrets_of(
    expression: &Expr,
    plan: &LogicalPlan,
    protected: &[&[bool]],
    secrets: &mut BTreeSet<String>,
) -> datafusion::common::Result<bool> {
    let mut schemas: Vec<_> = plan.inputs().into_iter().map(LogicalPlan::schema).collect();
    if schemas.is_empty() {
        schemas.push(plan.schema());
    }
    let mut meets = false;
    expression.apply(|part| {
        match part {
            Expr::Column(column) => {
                for (schema, protected) in schemas.iter().zip(protected) {
                    let at = schema.maybe_index_of_column(column);
                    meets |= at.is_some_and(|at| protected.get(at).copied().unwrap_or(true));
                }
            }
            // A column of a statement around this one is not looked for: what is compared with it is hidden.
            Expr::OuterReferenceColumn(..) => meets = true,
            Expr::ScalarFunction(call) => meets |= functions::NAMES.contains(&call.func.name()),
            Expr::Exists(exists) => drop(collect_secrets(&exists.subquery.subquery, secrets)?),
            Expr::InSubquery(within) => drop(collect_secrets(&within.subquery.subquery, secrets)?),
            Expr::ScalarSubquery(subquery) => {
                meets |= collect_secrets(&subquery.subquery, secrets)?.contains(&true);
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if meets {
        expression.apply(|part| {
            match part {
                // The rule and the version of our functions are no values.
                Expr::ScalarFunction(call) if functions::NAMES.contains(&call.func.name()) => {
                    if let Some(value) = call.args.first() {
                        literals(value, secrets)?;
                    }
                    return Ok(TreeNodeRecursion::Jump);
                }
                Expr::Literal(value, _) => add(value, secrets),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(meets)
}

fn literals(expression: &Expr, secrets: &mut BTreeSet<String>) -> datafusion::common::Result<()> {
    expression.apply(|part| {
        if let Expr::Literal(value, _) = part {
            add(value, secrets);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn add(value: &ScalarValue, secrets: &mut BTreeSet<String>) {
    if !value.is_null() && !matches!(value, ScalarValue::Boolean(_)) {
        secrets.insert(value.to_string());
        // Patterns are taken apart: LIKE 'Ann%' becomes a comparison with 'Ann'.
        let text = value.to_string();
        secrets.extend(
            text.split(['%', '_'])
                .filter(|part| part.chars().count() > 1)
                .map(str::to_owned),
        );
    }
}

/// The text of a plan without the secrets, and, for a role, without paths.
fn hidden(text: String, secrets: &BTreeSet<String>, for_role: bool) -> String {
    // First, since a value may have several lines.
    let mut longest: Vec<&String> = secrets.iter().collect();
    longest.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let text = longest.into_iter().fold(text, |text, secret| without(&text, secret));
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        // Derived from the statement's conditions in ways of their own: bounds, guarantees, what a join has found.
        for from in [", predicate=", ", pruning_predicate="] {
            if let Some(at) = line.find(from).filter(|_| !secrets.is_empty() || for_role) {
                line.truncate(at);
                line.push_str(", predicate=");
                line.push_str(HIDDEN);
            }
        }
        line = between(&line, "DynamicFilter [", "]");
        // Of TopK: the greatest value that still counts.
        line = between(&line, "filter=[", "]");
        if for_role {
            line = between(&line, "file_groups={", "}");
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// The line with what stands between two marks hidden, up to the last of the second.
fn between(line: &str, open: &str, close: &str) -> String {
    match line.find(open) {
        Some(start) => {
            let inside = start + open.len();
            let end = line[inside..].rfind(close).map_or(line.len(), |end| inside + end);
            format!("{}{HIDDEN}{}", &line[..inside], &line[end..])
        }
        None => line.to_owned(),
    }
}

/// The text with each occurrence of `secret` hidden that is not a part of a longer word or number.
fn without(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '@');
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        let before_word = is_word(before.chars().next_back().or(shown.chars().next_back()));
        let joins = before_word && is_word(secret.chars().next())
            || is_word(after.chars().next()) && is_word(secret.chars().next_back());
        shown.push_str(before);
        shown.push_str(if joins { secret } else { HIDDEN });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_as_words() {
        assert_eq!(
            without("reveal(id, id@1) = Int64(1) AND x1 = 1", "1"),
            "reveal(id, id@1) = Int64(…) AND x1 = …"
        );
        assert_eq!(without("ssn = 123-45-6789", "123-45-6789"), "ssn = …");
        assert_eq!(
            between("x DynamicFilter [ a >= [b] AND c ] y", "DynamicFilter [", "]"),
            "x DynamicFilter […] y"
        );
    }
}
