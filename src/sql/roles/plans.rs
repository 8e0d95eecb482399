//! The kinds of the columns of plans.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, Join, LogicalPlan, Projection, TableScan, Unnest, Window,
};

use super::checker::{Checker, Scope};
use super::kind::Kind;
use crate::sql::access::CheckResult as Result;
use crate::sql::from_datafusion;
use crate::sql::tables::provider::StoredTable;
use crate::{Error, ErrorKind};

/// Tables of `information_schema` that a role may read: names and types, nothing of what stands in tables.
const OPEN_INFORMATION: [&str; 6] = ["tables", "columns", "schemata", "routines", "parameters", "df_settings"];

impl Checker<'_> {
    /// The kinds of the columns of `plan`, of which those are computed that are `needed`.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`]: a use of a column that the role may not make of it.
    pub(super) fn plan(&mut self, plan: &LogicalPlan, needed: &[bool], outer: Option<&Scope<'_>>) -> Result<Vec<Kind>> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan, needed),
            LogicalPlan::Projection(projection) => self.projection(projection, needed, outer),
            LogicalPlan::Filter(filter) => {
                let kinds = self.input(&filter.input, [&filter.predicate], Some(needed), outer)?;
                let scope = Scope::new(filter.input.schema(), &kinds, outer);
                self.kind(&filter.predicate, &scope)?.open("a condition")?;
                Ok(kinds)
            }
            LogicalPlan::Window(window) => self.window(window, needed, outer),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, needed, outer),
            LogicalPlan::Sort(sort) => {
                let keys = sort.expr.iter().map(|sort| &sort.expr);
                let kinds = self.input(&sort.input, keys, Some(needed), outer)?;
                self.sorts(&sort.expr, &Scope::new(sort.input.schema(), &kinds, outer))?;
                Ok(kinds)
            }
            LogicalPlan::Join(join) => self.join(join, needed, outer),
            LogicalPlan::Repartition(repartition) => self.plan(&repartition.input, needed, outer),
            LogicalPlan::Union(union) => {
                let mut kinds = vec![Kind::Unneeded; needed.len()];
                for input in &union.inputs {
                    let more = self.plan(input, needed, outer)?;
                    let both = kinds.into_iter().zip(more);
                    kinds = both
                        .map(|(one, two)| one.either(two, "a set operation"))
                        .collect::<Result<_>>()?;
                }
                Ok(kinds)
            }
            LogicalPlan::Subquery(subquery) => self.plan(&subquery.subquery, needed, outer),
            LogicalPlan::SubqueryAlias(alias) => self.plan(&alias.input, needed, outer),
            LogicalPlan::Limit(limit) => self.plan(&limit.input, needed, outer),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                // Which rows are left goes by all columns.
                let kinds = self.plan(input, &vec![true; needed.len()], outer)?;
                for kind in &kinds {
                    kind.check_distinct("DISTINCT")?;
                }
                Ok(kinds)
            }
            LogicalPlan::Distinct(Distinct::On(on)) => self.distinct_on(on, outer),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest, outer),
            LogicalPlan::RecursiveQuery(recursive) => {
                for part in [&recursive.static_term, &recursive.recursive_term] {
                    for kind in self.plan(part, &vec![true; needed.len()], outer)? {
                        kind.open("WITH RECURSIVE")?;
                    }
                }
                Ok(vec![Kind::Open; needed.len()])
            }
            LogicalPlan::Explain(explain) => {
                self.whole(&explain.plan, outer)?;
                Ok(vec![Kind::Open; needed.len()])
            }
            LogicalPlan::Analyze(analyze) => {
                self.whole(&analyze.input, outer)?;
                Ok(vec![Kind::Open; needed.len()])
            }
            LogicalPlan::EmptyRelation(_) | LogicalPlan::DescribeTable(_) => Ok(vec![Kind::Open; needed.len()]),
            LogicalPlan::Values(values) => {
                let nothing = DFSchema::empty();
                let scope = Scope::new(&nothing, &[], outer);
                for expression in values.values.iter().flatten() {
                    self.kind(expression, &scope)?.open("VALUES")?;
                }
                Ok(vec![Kind::Open; needed.len()])
            }
            // What writes, makes tables, or is not known here: nothing sealed may go through it.
            other => {
                for input in other.inputs() {
                    for kind in self.whole(input, outer)? {
                        kind.open("this statement")?;
                    }
                }
                Ok(vec![Kind::Open; needed.len()])
            }
        }
    }

    /// The kinds of all columns of `plan`.
    pub(super) fn whole(&mut self, plan: &LogicalPlan, outer: Option<&Scope<'_>>) -> Result<Vec<Kind>> {
        self.plan(plan, &vec![true; plan.schema().fields().len()], outer)
    }

    /// The kinds of the columns of an `input`, of which those are needed that the expressions name, and `more`.
    fn input<'e>(
        &mut self,
        input: &LogicalPlan,
        expressions: impl IntoIterator<Item = &'e Expr>,
        more: Option<&[bool]>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Vec<Kind>> {
        let mut needed = match more {
            Some(more) => more.to_vec(),
            None => vec![false; input.schema().fields().len()],
        };
        for expression in expressions {
            mark(expression, input.schema(), &mut needed)?;
        }
        self.plan(input, &needed, outer)
    }

    fn scan(&mut self, scan: &TableScan, needed: &[bool]) -> Result<Vec<Kind>> {
        if scan.table_name.schema() == Some("information_schema")
            && !OPEN_INFORMATION.contains(&scan.table_name.table())
        {
            let role = self.engine.role().unwrap_or_default();
            let message = format!(
                "role `{role}` may not read information_schema.{}",
                scan.table_name.table()
            );
            return Err(Error::new(ErrorKind::NotAllowed, message).into());
        }
        let provider = source_as_provider(&scan.source).ok();
        let Some(table) = provider
            .as_ref()
            .and_then(|provider| provider.downcast_ref::<StoredTable>())
        else {
            return Ok(vec![Kind::Open; needed.len()]);
        };
        let access = table.access();
        let projected: Vec<usize> = match &scan.projection {
            Some(columns) => columns.clone(),
            None => (0..access.len()).collect(),
        };
        let all: Vec<Kind> = projected.iter().map(|at| Kind::of(&access[*at])).collect();
        // Conditions that an optimizer has put here were checked above the scan, and are again if they come back.
        let scope = Scope::new(&scan.projected_schema, &all, None);
        for filter in &scan.filters {
            let mut columns = filter.column_refs().into_iter();
            if columns.all(|column| scan.projected_schema.maybe_index_of_column(column).is_some()) {
                self.kind(filter, &scope)?.open("a condition")?;
            }
        }
        let kinds = all.into_iter().zip(needed);
        kinds
            .map(|(kind, needed)| if *needed { kind.needed() } else { Ok(Kind::Unneeded) })
            .collect()
    }

    fn projection(&mut self, projection: &Projection, needed: &[bool], outer: Option<&Scope<'_>>) -> Result<Vec<Kind>> {
        let input = &projection.input;
        let wanted = projection.expr.iter().zip(needed).filter(|(_, needed)| **needed);
        let kinds = self.input(input, wanted.map(|(expression, _)| expression), None, outer)?;
        let scope = Scope::new(input.schema(), &kinds, outer);
        let mut shown = Vec::with_capacity(projection.expr.len());
        for (expression, needed) in projection.expr.iter().zip(needed) {
            shown.push(if *needed {
                self.kind(expression, &scope)?
            } else {
                Kind::Unneeded
            });
        }
        Ok(shown)
    }

    fn window(&mut self, window: &Window, needed: &[bool], outer: Option<&Scope<'_>>) -> Result<Vec<Kind>> {
        let width = window.input.schema().fields().len();
        let mut kinds = self.input(&window.input, &window.window_expr, Some(&needed[..width]), outer)?;
        let mut more = Vec::new();
        let scope = Scope::new(window.input.schema(), &kinds, outer);
        for expression in &window.window_expr {
            more.push(self.kind(expression, &scope)?);
        }
        kinds.extend(more);
        Ok(kinds)
    }

    fn distinct_on(&mut self, on: &DistinctOn, outer: Option<&Scope<'_>>) -> Result<Vec<Kind>> {
        let sorts = on.sort_expr.iter().flatten().map(|sort| &sort.expr);
        let all = on.on_expr.iter().chain(&on.select_expr).chain(sorts);
        let kinds = self.input(&on.input, all, None, outer)?;
        let scope = Scope::new(on.input.schema(), &kinds, outer);
        for expression in &on.on_expr {
            self.kind(expression, &scope)?.check_distinct("DISTINCT ON")?;
        }
        self.sorts(on.sort_expr.as_deref().unwrap_or_default(), &scope)?;
        on.select_expr
            .iter()
            .map(|expression| self.kind(expression, &scope))
            .collect()
    }

    fn aggregate(&mut self, aggregate: &Aggregate, needed: &[bool], outer: Option<&Scope<'_>>) -> Result<Vec<Kind>> {
        let input = &aggregate.input;
        let groups = grouping_set_to_exprlist(&aggregate.group_expr).map_err(from_datafusion)?;
        let is_set = matches!(aggregate.group_expr.first(), Some(Expr::GroupingSet(_)));
        // With grouping sets there is a column more, which numbers them.
        let width = groups.len() + usize::from(is_set);
        let wanted = aggregate.aggr_expr.iter().zip(needed.get(width..).unwrap_or_default());
        let wanted: Vec<&Expr> = wanted.filter(|(_, needed)| **needed).map(|(call, _)| call).collect();
        let all = groups.iter().copied().chain(wanted.iter().copied());
        let kinds = self.input(input, all, None, outer)?;
        let scope = Scope::new(input.schema(), &kinds, outer);
        let mut shown = Vec::with_capacity(needed.len());
        for expression in &groups {
            let kind = self.kind(expression, &scope)?;
            kind.check_distinct("GROUP BY")?;
            shown.push(kind);
        }
        shown.extend(is_set.then_some(Kind::Open));
        for (at, call) in aggregate.aggr_expr.iter().enumerate() {
            shown.push(match needed.get(width + at) {
                Some(true) => self.kind(call, &scope)?,
                _ => Kind::Unneeded,
            });
        }
        Ok(shown)
    }

    fn join(&mut self, join: &Join, needed: &[bool], outer: Option<&Scope<'_>>) -> Result<Vec<Kind>> {
        let (left, right) = (join.left.schema(), join.right.schema());
        let (left_width, right_width) = (left.fields().len(), right.fields().len());
        let (of_left, of_right): (Vec<bool>, Vec<bool>) = match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                (needed[..left_width].to_vec(), vec![false; right_width])
            }
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                (vec![false; left_width], needed[..right_width].to_vec())
            }
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                (needed[..left_width].to_vec(), needed[left_width..].to_vec())
            }
        };
        let both = left.join(right).map_err(from_datafusion)?;
        let mut all = [of_left, of_right].concat();
        for expression in join.on.iter().flat_map(|(one, two)| [one, two]).chain(&join.filter) {
            mark(expression, &both, &mut all)?;
        }
        // A lateral right side names columns of the left.
        let mut lateral = Vec::new();
        outer_columns(&join.right, &mut lateral).map_err(from_datafusion)?;
        for column in lateral {
            if let Some(at) = left.maybe_index_of_column(&column) {
                all[at] = true;
            }
        }
        let mut kinds = self.plan(&join.left, &all[..left_width], outer)?;
        let beside = Scope::new(left, &kinds, outer);
        let of_right = self.plan(&join.right, &all[left_width..], Some(&beside))?;
        kinds.extend(of_right);
        let scope = Scope::new(&both, &kinds, outer);
        for (one, two) in &join.on {
            let (one, two) = (self.kind(one, &scope)?, self.kind(two, &scope)?);
            one.check_comparable(&two, "a join")?;
        }
        if let Some(filter) = &join.filter {
            self.kind(filter, &scope)?.open("the condition of a join")?;
        }
        Ok(match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => kinds[..left_width].to_vec(),
            JoinType::RightSemi | JoinType::RightAnti => kinds[left_width..].to_vec(),
            JoinType::LeftMark => [&kinds[..left_width], &[Kind::Open]].concat(),
            JoinType::RightMark => [&kinds[left_width..], &[Kind::Open]].concat(),
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => kinds,
        })
    }

    fn unnest(&mut self, unnest: &Unnest, outer: Option<&Scope<'_>>) -> Result<Vec<Kind>> {
        let kinds = self.whole(&unnest.input, outer)?;
        let mut shown = Vec::with_capacity(unnest.dependency_indices.len());
        for (at, from) in unnest.dependency_indices.iter().enumerate() {
            let kind = &kinds[*from];
            let depth = unnest.list_type_columns.iter().find(|(column, _)| column == from);
            shown.push(if let Some((_, list)) = depth {
                let mut element = kind.clone();
                for _ in 0..list.depth {
                    element = element.element()?;
                }
                element.needed()?
            } else if unnest.struct_type_columns.contains(from) {
                let first = unnest.dependency_indices.iter().position(|other| other == from);
                let names = struct_fields(unnest.input.schema(), *from);
                let fields = kind.fields(&names)?;
                let place = at - first.unwrap_or(at);
                fields.into_iter().nth(place).unwrap_or(Kind::Open).needed()?
            } else {
                kind.clone()
            });
        }
        Ok(shown)
    }
}

fn struct_fields(schema: &DFSchema, at: usize) -> Vec<String> {
    match schema.field(at).data_type() {
        arrow::datatypes::DataType::Struct(fields) => fields.iter().map(|field| field.name().clone()).collect(),
        _ => Vec::new(),
    }
}

/// Marks the columns of `schema` that `expression` names, in subqueries too.
fn mark(expression: &Expr, schema: &DFSchema, needed: &mut [bool]) -> Result<()> {
    let mut found: Vec<Column> = Vec::new();
    expression
        .apply(|part| {
            match part {
                Expr::Column(column) => found.push(column.clone()),
                Expr::OuterReferenceColumn(_, column) => found.push(column.clone()),
                Expr::Exists(exists) => outer_columns(&exists.subquery.subquery, &mut found)?,
                Expr::InSubquery(within) => outer_columns(&within.subquery.subquery, &mut found)?,
                Expr::ScalarSubquery(subquery) => outer_columns(&subquery.subquery, &mut found)?,
                Expr::SetComparison(comparison) => outer_columns(&comparison.subquery.subquery, &mut found)?,
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(from_datafusion)?;
    for column in found {
        if let Some(at) = schema.maybe_index_of_column(&column) {
            needed[at] = true;
        }
    }
    Ok(())
}

/// The columns of statements around it that `plan` names.
fn outer_columns(plan: &Arc<LogicalPlan>, found: &mut Vec<Column>) -> datafusion::common::Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::OuterReferenceColumn(_, column) = part {
                    found.push(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}
