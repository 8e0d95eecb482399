//! The kinds of expressions.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{
    AggregateFunction, Case, InList, InSubquery, ScalarFunction, SetComparison, Sort, WindowFunction,
};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, Subquery, WindowFunctionDefinition};

use super::checker::{Checker, Scope};
use super::kind::Kind;
use crate::policy::Grant;
use crate::sql::access::CheckResult as Result;
use crate::sql::from_datafusion;
use crate::sql::functions::{mask, present, reencrypt, reveal_nested, stored};
use crate::{Error, ErrorKind};

impl Checker<'_> {
    /// Finds what `expression` shows.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`]: a use of a column that the role may not make of it.
    pub(super) fn kind(&mut self, expression: &Expr, scope: &Scope<'_>) -> Result<Kind> {
        match expression {
            Expr::Column(column) => scope.column(column),
            Expr::OuterReferenceColumn(_, column) => scope.outer_column(column),
            Expr::Alias(alias) => self.kind(&alias.expr, scope),
            Expr::Literal(value, _) if value.is_null() => Ok(Kind::Null),
            // Looked at again with its value, before it runs.
            Expr::Placeholder(_) => Ok(Kind::Null),
            Expr::Cast(cast) => self.cast(&cast.expr, cast.field.data_type(), scope),
            Expr::TryCast(cast) => self.cast(&cast.expr, cast.field.data_type(), scope),
            Expr::IsNull(inner) | Expr::IsNotNull(inner) => {
                self.kind(inner, scope)?;
                Ok(Kind::Open)
            }
            Expr::BinaryExpr(binary) => self.binary(binary, scope),
            Expr::InList(list) => self.in_list(list, scope),
            Expr::InSubquery(within) => self.in_subquery(within, scope),
            Expr::Exists(exists) => {
                self.subquery(&exists.subquery, scope, false)?;
                Ok(Kind::Open)
            }
            Expr::SetComparison(comparison) => self.set_comparison(comparison, scope),
            Expr::ScalarSubquery(subquery) => {
                let kinds = self.subquery(subquery, scope, true)?;
                Ok(kinds.into_iter().next().unwrap_or(Kind::Open))
            }
            Expr::Case(case) => self.case(case, scope),
            Expr::ScalarFunction(call) => self.scalar_function(call, scope),
            Expr::AggregateFunction(call) => self.aggregate_function(call, scope),
            Expr::WindowFunction(call) => self.window_function(call, scope),
            Expr::GroupingSet(set) => {
                for expression in set.distinct_expr() {
                    self.kind(expression, scope)?.check_distinct("GROUP BY")?;
                }
                Ok(Kind::Open)
            }
            Expr::Unnest(unnest) => self.kind(&unnest.expr, scope)?.element(),
            other => self.all_open(other, scope),
        }
    }

    /// Whatever is not in the list of what is allowed: nothing in it may be sealed.
    fn all_open(&mut self, expression: &Expr, scope: &Scope<'_>) -> Result<Kind> {
        let what = name_of(expression);
        let mut found: Result<()> = Ok(());
        let walked = expression.apply_children(|child| {
            found = self.kind(child, scope).and_then(|kind| kind.open(what));
            Ok(match found {
                Ok(()) => TreeNodeRecursion::Continue,
                Err(_) => TreeNodeRecursion::Stop,
            })
        });
        walked.map_err(from_datafusion)?;
        found.map(|()| Kind::Open)
    }

    /// A cast keeps the kind if it keeps equality: type coercion writes such ones itself.
    fn cast(&mut self, inner: &Expr, to: &DataType, scope: &Scope<'_>) -> Result<Kind> {
        let kind = self.kind(inner, scope)?;
        if matches!(kind, Kind::Open | Kind::Null) {
            return Ok(kind);
        }
        let from = inner_type(inner, scope)?;
        if keeps_equality(&from, to) {
            return Ok(kind);
        }
        kind.open("a cast to another type")?;
        Ok(Kind::Open)
    }

    fn binary(&mut self, binary: &BinaryExpr, scope: &Scope<'_>) -> Result<Kind> {
        let BinaryExpr { left, op, right } = binary;
        let (one, two) = (self.kind(left, scope)?, self.kind(right, scope)?);
        match op {
            Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => {
                if *op == Operator::Eq && (self.searches(&one, left, right) || self.searches(&two, right, left)) {
                    return Ok(Kind::Open);
                }
                one.check_comparable(&two, &format!("a comparison ({op})"))?;
            }
            op => {
                let what = match op {
                    Operator::And | Operator::Or => "a condition".to_owned(),
                    Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                        format!("a comparison of order ({op})")
                    }
                    op => format!("{op}"),
                };
                one.open(&what)?;
                two.open(&what)?;
            }
        }
        Ok(Kind::Open)
    }

    fn in_list(&mut self, list: &InList, scope: &Scope<'_>) -> Result<Kind> {
        let searched = self.kind(&list.expr, scope)?;
        if list.list.iter().all(|item| searched_value(item).is_some())
            && !list.negated
            && list.list.len() <= MOST_SEARCHED
            && list.list.iter().all(|item| self.searches(&searched, &list.expr, item))
        {
            return Ok(Kind::Open);
        }
        for item in &list.list {
            searched.check_comparable(&self.kind(item, scope)?, "IN")?;
        }
        Ok(Kind::Open)
    }

    fn in_subquery(&mut self, within: &InSubquery, scope: &Scope<'_>) -> Result<Kind> {
        let searched = self.kind(&within.expr, scope)?;
        let found = self.subquery(&within.subquery, scope, true)?;
        for kind in &found {
            searched.check_comparable(kind, "IN")?;
        }
        Ok(Kind::Open)
    }

    fn set_comparison(&mut self, comparison: &SetComparison, scope: &Scope<'_>) -> Result<Kind> {
        let one = self.kind(&comparison.expr, scope)?;
        let found = self.subquery(&comparison.subquery, scope, true)?;
        for two in &found {
            match comparison.op {
                Operator::Eq | Operator::NotEq => one.check_comparable(two, "ANY or ALL")?,
                _ => {
                    one.open("a comparison of order")?;
                    two.open("a comparison of order")?;
                }
            }
        }
        Ok(Kind::Open)
    }

    /// The kinds of a subquery's columns, of which all are needed, or none but for its rows.
    fn subquery(&mut self, subquery: &Subquery, scope: &Scope<'_>, values: bool) -> Result<Vec<Kind>> {
        let plan = &subquery.subquery;
        let needed = vec![values; plan.schema().fields().len()];
        self.plan(plan, &needed, Some(scope))
    }

    fn case(&mut self, case: &Case, scope: &Scope<'_>) -> Result<Kind> {
        let compared = match &case.expr {
            Some(compared) => Some(self.kind(compared, scope)?),
            None => None,
        };
        let mut kind = Kind::Null;
        for (when, then) in &case.when_then_expr {
            let when = self.kind(when, scope)?;
            match &compared {
                Some(compared) => compared.check_comparable(&when, "CASE")?,
                None => when.open("the condition of CASE")?,
            }
            kind = kind.either(self.kind(then, scope)?, "CASE")?;
        }
        if let Some(otherwise) = &case.else_expr {
            kind = kind.either(self.kind(otherwise, scope)?, "CASE")?;
        }
        Ok(kind)
    }

    fn scalar_function(&mut self, call: &ScalarFunction, scope: &Scope<'_>) -> Result<Kind> {
        let name = call.func.name();
        match name {
            "coalesce" | "nvl" | "ifnull" | "nvl2" | "nullif" => self.coalesce(call, scope),
            "get_field" => {
                let mut kind = match call.args.first() {
                    Some(first) => self.kind(first, scope)?,
                    None => return Ok(Kind::Open),
                };
                for step in &call.args[1..] {
                    kind = match step {
                        Expr::Literal(field, _) => match field.try_as_str() {
                            Some(Some(field)) => kind.field(field)?.needed()?,
                            _ => kind.element()?.needed()?,
                        },
                        _ => return self.all_open_call(call, scope),
                    };
                }
                Ok(kind)
            }
            "array_element" | "list_element" | "array_extract" | "list_extract" => {
                for index in call.args.iter().skip(1) {
                    self.kind(index, scope)?.open(name)?;
                }
                match call.args.first() {
                    Some(list) => self.kind(list, scope)?.element()?.needed(),
                    None => Ok(Kind::Open),
                }
            }
            "arrow_typeof" => {
                self.kinds(&call.args, scope)?;
                Ok(Kind::Open)
            }
            "array_length" | "list_length" | "cardinality" | "empty" | "array_empty" | "list_empty" => {
                // How many elements a list has is not protected; in which dimension is an argument like others.
                self.kinds(&call.args[..1.min(call.args.len())], scope)?;
                for more in call.args.iter().skip(1) {
                    self.kind(more, scope)?.open(name)?;
                }
                Ok(Kind::Open)
            }
            "input_file_name" => Err(Error::new(
                ErrorKind::NotAllowed,
                "paths of files are not for roles: input_file_name() shows one",
            )
            .into()),
            present::NAME => self.present(call, scope),
            reencrypt::NAME | reveal_nested::NAME => {
                // Views and the root have these; what they make of a column is what the column is.
                let kinds = self.kinds(&call.args[..1.min(call.args.len())], scope)?;
                for tweak in call.args.iter().skip(1) {
                    self.kind(tweak, scope)?;
                }
                let kind = kinds.into_iter().next().unwrap_or(Kind::Open);
                Ok(if is_presented(call) { Kind::Open } else { kind })
            }
            stored::NAME => self.stored(call, scope),
            mask::NAME => self.mask(call, scope),
            _ => self.all_open_call(call, scope),
        }
    }

    fn all_open_call(&mut self, call: &ScalarFunction, scope: &Scope<'_>) -> Result<Kind> {
        for argument in &call.args {
            self.kind(argument, scope)?.open(&format!("{}()", call.func.name()))?;
        }
        Ok(Kind::Open)
    }

    fn coalesce(&mut self, call: &ScalarFunction, scope: &Scope<'_>) -> Result<Kind> {
        let name = call.func.name();
        let mut kinds = self.kinds(&call.args, scope)?;
        if name == "nvl2" && !kinds.is_empty() {
            // The first is only looked at for being NULL.
            kinds.remove(0);
        }
        if name == "nullif"
            && let [one, two] = &kinds[..]
        {
            one.check_comparable(two, "nullif()")?;
            return Ok(one.clone());
        }
        let what = format!("{name}()");
        kinds
            .into_iter()
            .try_fold(Kind::Null, |kind, next| kind.either(next, &what))
    }

    /// Checks a call of `present`: of a column, with the rule that the column is under.
    fn present(&mut self, call: &ScalarFunction, scope: &Scope<'_>) -> Result<Kind> {
        let kinds = self.kinds(&call.args, scope)?;
        let literal = |at: usize| match call.args.get(at) {
            Some(Expr::Literal(value, _)) => value.try_as_str().flatten().map(str::to_owned),
            _ => None,
        };
        match kinds.first() {
            Some(Kind::Sealed(sealed))
                if sealed.grant == Grant::Masked && literal(1) == Some(sealed.rule.to_string()) =>
            {
                match literal(2).as_deref() {
                    Some(present::TEXT) => Ok(Kind::Open),
                    _ => Ok(Kind::Shown(std::sync::Arc::clone(sealed))),
                }
            }
            _ => Err(Error::new(
                ErrorKind::NotAllowed,
                "present() is not for statements: columns are shown as the role may see them, without it",
            )
            .into()),
        }
    }

    fn stored(&mut self, call: &ScalarFunction, scope: &Scope<'_>) -> Result<Kind> {
        match self.kinds(&call.args, scope)?.first() {
            Some(Kind::Sealed(_)) => Ok(Kind::Open),
            _ => Err(Error::new(
                ErrorKind::NotAllowed,
                "stored() takes a column that the role sees masked or protected",
            )
            .with_hint("who sees a column plain reads what is stored from the file, with --stored")
            .into()),
        }
    }

    /// `mask(column)` of a column that is seen masked is put in its place later; other text is masked as it is.
    fn mask(&mut self, call: &ScalarFunction, scope: &Scope<'_>) -> Result<Kind> {
        let kinds = self.kinds(&call.args, scope)?;
        match kinds.first() {
            Some(Kind::Sealed(sealed)) if sealed.grant == Grant::Masked => {
                self.masks_columns = true;
                Ok(Kind::Open)
            }
            Some(kind) => {
                kind.open("mask()")?;
                match call.args.len() {
                    1 => Err(
                        Error::bad_input("mask() of a column alone is for one that the role sees masked")
                            .with_hint("name the rule: mask(value, 'rule')")
                            .into(),
                    ),
                    _ => Ok(Kind::Open),
                }
            }
            None => Ok(Kind::Open),
        }
    }

    fn aggregate_function(&mut self, call: &AggregateFunction, scope: &Scope<'_>) -> Result<Kind> {
        let name = call.func.name();
        let params = &call.params;
        let what = format!("{name}()");
        for argument in &params.args {
            let kind = self.kind(argument, scope)?;
            match name {
                "count" if !params.distinct => {}
                "count" | "approx_distinct" => kind.check_distinct(&what)?,
                "grouping" => {}
                _ => kind.open(&what)?,
            }
        }
        if let Some(filter) = &params.filter {
            self.kind(filter, scope)?.open("FILTER")?;
        }
        self.sorts(&params.order_by, scope)?;
        Ok(Kind::Open)
    }

    fn window_function(&mut self, call: &WindowFunction, scope: &Scope<'_>) -> Result<Kind> {
        let params = &call.params;
        let name = call.fun.name();
        let counts = matches!(&call.fun, WindowFunctionDefinition::AggregateUDF(udf) if udf.name() == "count");
        let what = format!("{name}()");
        for argument in &params.args {
            let kind = self.kind(argument, scope)?;
            match (counts, params.distinct) {
                (true, false) => {}
                (true, true) => kind.check_distinct(&what)?,
                (false, _) => kind.open(&what)?,
            }
        }
        for partition in &params.partition_by {
            self.kind(partition, scope)?.check_distinct("PARTITION BY")?;
        }
        if let Some(filter) = &params.filter {
            self.kind(filter, scope)?.open("FILTER")?;
        }
        self.sorts(&params.order_by, scope)?;
        Ok(Kind::Open)
    }

    /// Nothing sealed may be in an order: that of ciphertext is not that of values.
    pub(super) fn sorts(&mut self, sorts: &[Sort], scope: &Scope<'_>) -> Result<()> {
        for sort in sorts {
            self.kind(&sort.expr, scope)?.open("ORDER BY")?;
        }
        Ok(())
    }

    fn kinds(&mut self, expressions: &[Expr], scope: &Scope<'_>) -> Result<Vec<Kind>> {
        expressions
            .iter()
            .map(|expression| self.kind(expression, scope))
            .collect()
    }

    /// Is this a search for a given value in a column that the role may search? The column stands in this statement,
    /// not in one around it, so that the value is replaced here.
    fn searches(&mut self, kind: &Kind, column: &Expr, literal: &Expr) -> bool {
        let is_here = match column {
            Expr::Cast(cast) => matches!(cast.expr.as_ref(), Expr::Column(_)),
            other => matches!(other, Expr::Column(_)),
        };
        let may = matches!(kind, Kind::Sealed(sealed) if sealed.search && sealed.identity.is_some());
        let searches = may && is_here && searched_value(literal).is_some_and(|value| !value.is_null());
        self.searches_columns |= searches;
        searches
    }
}

/// The most values that one IN may look for.
pub(super) const MOST_SEARCHED: usize = 100;

/// Does this call show a nested column as the role may see it, rather than reveal what it sees plain?
fn is_presented(call: &ScalarFunction) -> bool {
    match call.args.get(1) {
        Some(Expr::Literal(shown, _)) => shown.try_as_str().flatten() == Some(present::SHOWN),
        _ => false,
    }
}

fn inner_type(expression: &Expr, scope: &Scope<'_>) -> Result<DataType> {
    use datafusion::logical_expr::ExprSchemable;
    Ok(expression.get_type(scope.schema).map_err(from_datafusion)?)
}

/// Do casts between the types keep different values apart? So do those between forms of text, and to wider integers.
fn keeps_equality(from: &DataType, to: &DataType) -> bool {
    let inner = |data_type: &DataType| match data_type {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::RunEndEncoded(_, values) => values.data_type().clone(),
        other => other.clone(),
    };
    let (from, to) = (inner(from), inner(to));
    let is_bytes = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        )
    };
    from == to
        || from.is_string() && to.is_string()
        || is_bytes(&from) && is_bytes(&to)
        || from.is_integer() && to.is_integer() && fits(&from, &to)
        || from.is_integer() && has_room(&from, &to)
        || matches!((&from, &to), (DataType::Date32, DataType::Date64))
}

/// Has the decimal type every integer of the first?
fn has_room(from: &DataType, to: &DataType) -> bool {
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = to else {
        return false;
    };
    // Of the widest, 18,446,744,073,709,551,615.
    let digits = match from.primitive_width() {
        Some(1) => 3,
        Some(2) => 5,
        Some(4) => 10,
        _ => 20,
    };
    u8::try_from(*scale).is_ok_and(|scale| precision.saturating_sub(scale) >= digits)
}

/// Has the second type every integer of the first?
fn fits(from: &DataType, to: &DataType) -> bool {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or_default();
    match (from.is_unsigned_integer(), to.is_unsigned_integer()) {
        (true, true) | (false, false) => width(from) <= width(to),
        (true, false) => width(from) < width(to),
        (false, true) => false,
    }
}

/// Names an expression as a person does.
fn name_of(expression: &Expr) -> &'static str {
    match expression {
        Expr::Like(_) | Expr::SimilarTo(_) => "LIKE",
        Expr::Between(_) => "BETWEEN",
        Expr::Negative(_) => "arithmetic",
        _ => "this expression",
    }
}

/// The value of a literal, which type coercion may have put a cast around.
pub(super) fn searched_value(literal: &Expr) -> Option<&ScalarValue> {
    match literal {
        Expr::Literal(value, _) => Some(value),
        Expr::Cast(cast) => searched_value(&cast.expr),
        _ => None,
    }
}
