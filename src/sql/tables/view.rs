//! A table as a role sees it: stored as it is, or a view that reveals.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{Column, TableReference};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{Expr, ScalarUDF, lit};

use crate::columns::{self, BatchPlan, ProtectedColumn};
use crate::policy::{Grant, RuleRef, Tweak};
use crate::sql::{Session, from_datafusion, functions};
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result};

/// Refuses a name that is taken.
pub(super) fn check_name(session: &Session, name: &str) -> Result<()> {
    let exists = session.context().table_exist(TableReference::bare(name));
    if exists.map_err(from_datafusion)? {
        Err(Error::bad_input(format!("two of them would both be table `{name}`")).with_hint("rename one of them"))
    } else {
        Ok(())
    }
}

/// Registers what is `stored`, whose columns say in `schema` how they are protected, as table `name`.
pub(super) async fn register(session: &Session, name: &str, schema: &Schema, stored: DataFrame) -> Result<()> {
    let protected = columns::protected_columns(schema)?;
    let provider = match session.engine() {
        Some(engine) if !protected.is_empty() => {
            columns::check_circles(
                engine,
                protected.iter().map(|(name, described)| (name.as_str(), described)),
            )?;
            let view = View::new(engine, schema, protected);
            let mut expressions = Vec::new();
            for field in schema.fields() {
                let column = if field.data_type().is_nested() {
                    view.nested(field).await?
                } else {
                    view.column(field.name()).await?
                };
                expressions.push(column.alias(field.name()));
            }
            stored.select(expressions).map_err(from_datafusion)?.into_view()
        }
        _ => stored.into_view(),
    };
    let registered = session.context().register_table(TableReference::bare(name), provider);
    registered.map_err(from_datafusion)?;
    Ok(())
}

/// The columns of a protected table as a role sees them.
struct View<'a> {
    engine: &'a Engine,
    schema: &'a Schema,
    reveal: Arc<ScalarUDF>,
    protected: HashMap<String, ProtectedColumn>,
}

impl<'a> View<'a> {
    fn new(engine: &'a Engine, schema: &'a Schema, protected: Vec<(String, ProtectedColumn)>) -> Self {
        Self {
            engine,
            schema,
            reveal: Arc::new(functions::reveal_udf(engine)),
            protected: protected.into_iter().collect(),
        }
    }

    /// The expression for column `name`: itself, `reveal(…)`, or a refusal.
    async fn column(&self, name: &str) -> Result<Expr> {
        let stored = Expr::Column(Column::from_name(name));
        let Some(described) = self.protected.get(name) else {
            return Ok(stored);
        };
        match self.engine.grant(&described.rule)? {
            Grant::Denied => Ok(self.refuse(stored, name, &described.rule)),
            // Nobody sees more of what is one-way.
            _ if described.treatment.is_one_way() => Ok(stored),
            Grant::Protected => Ok(stored),
            Grant::Plain | Grant::Masked => self.revealed(name, described).await,
        }
    }

    /// The expression for a struct or a list: itself, with the fields revealed that the role may see, or a refusal.
    async fn nested(&self, field: &FieldRef) -> Result<Expr> {
        let name = field.name();
        let stored = || Expr::Column(Column::from_name(name));
        let below = |path: &String| path.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '[']));
        if !self.protected.keys().any(below) {
            return Ok(stored());
        }
        let others = self.schema.fields().iter().filter(|other| other.name() != name);
        let fields: Vec<FieldRef> = std::iter::once(field).chain(others).cloned().collect();
        let plan = BatchPlan::reveal_nested(self.engine, &Arc::new(Schema::new(fields))).await;
        match plan {
            Ok(plan) => {
                let (plan, columns) = plan.narrowed();
                let arguments = columns.iter().map(|column| Expr::Column(Column::from_name(column)));
                Ok(functions::reveal_nested_udf(plan).call(arguments.collect()))
            }
            Err(error) if error.kind() == ErrorKind::NotAllowed => {
                Ok(functions::denied(self.engine, error.message().to_owned(), None).call(vec![stored()]))
            }
            Err(error) => Err(error),
        }
    }

    async fn revealed(&self, name: &str, described: &ProtectedColumn) -> Result<Expr> {
        let transform = columns::resolve(self.engine, name, described).await?;
        let stored = Expr::Column(Column::from_name(name));
        if transform.tokenizer().is_some() {
            return Ok(functions::detokenize_udf(self.engine).call(vec![stored, lit(described.rule.as_str())]));
        }
        let rule = lit(format!("{}@{}", described.rule, transform.key().version()));
        let Tweak::Column(tweak) = &transform.rule().tweak else {
            return Ok(self.reveal.call(vec![stored, rule]));
        };
        let tweak = match self.protected.get(tweak) {
            None => Expr::Column(Column::from_name(tweak)),
            // The tweak is a plaintext: only who may see it in the clear can reveal what it tweaks.
            Some(other) if self.engine.grant(&other.rule)? == Grant::Plain => {
                Box::pin(self.revealed(tweak, other)).await?
            }
            Some(other) => {
                let role = self.engine.role().unwrap_or_default();
                let message = format!(
                    "column `{name}` needs the plain value of column `{tweak}`, and role `{role}` may not see that \
                     (rule `{}`)",
                    other.rule
                );
                let rule = RuleRef {
                    rule: other.rule.clone(),
                    version: None,
                };
                return Ok(functions::denied(self.engine, message, Some(rule)).call(vec![stored]));
            }
        };
        Ok(self.reveal.call(vec![stored, rule, tweak]))
    }

    fn refuse(&self, stored: Expr, column: &str, rule: &str) -> Expr {
        let role = self.engine.role().unwrap_or_default();
        let message = format!("role `{role}` may not see column `{column}` (rule `{rule}`)");
        let rule = RuleRef {
            rule: rule.to_owned(),
            version: None,
        };
        functions::denied(self.engine, message, Some(rule)).call(vec![stored])
    }
}
