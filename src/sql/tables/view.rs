//! A table as a role sees it: what is stored, with expressions that reveal what the role sees plain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ScalarUDF, lit};

use super::names::{is_within, original_name, stored_name};
use super::provider::StoredTable;
use crate::columns::{self, BatchPlan, ProtectedColumn};
use crate::policy::{Grant, RuleRef, Treatment, Tweak};
use crate::sql::access::{Access, Nested, Sealed};
use crate::sql::functions::present::SHOWN;
use crate::sql::functions::reveal_nested::{NestedFields, REVEALED};
use crate::sql::grants::ColumnGrant;
use crate::sql::{from_datafusion, functions};
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result};

fn stored_column(name: &str) -> Expr {
    Expr::Column(Column::from_name(stored_name(name)))
}

/// The files of a table that were protected alike, as a role sees them.
pub(super) struct Generation {
    columns: Vec<SeenColumn>,
    /// The rule of each protected column or field, and the role's grant.
    grants: Vec<(String, String, Grant)>,
}

/// A column as a role sees it.
struct SeenColumn {
    name: String,
    /// Over the columns as they are stored.
    expression: Expr,
    access: Access,
}

impl Generation {
    /// Plans how the columns of `schema` are seen, which `described` says how they are protected.
    pub(super) async fn new(
        engine: &Engine,
        table: &str,
        schema: &Schema,
        described: impl IntoIterator<Item = (String, ProtectedColumn)>,
    ) -> Result<Self> {
        let described: Vec<_> = described.into_iter().collect();
        columns::check_circles(
            engine,
            described.iter().map(|(name, described)| (name.as_str(), described)),
        )?;
        let view = View {
            engine,
            table,
            schema,
            reveal: Arc::new(functions::reveal_udf(engine)),
            described: described.into_iter().collect(),
        };
        let mut columns = Vec::new();
        for field in schema.fields() {
            let seen = if field.data_type().is_nested() {
                view.nested(field).await
            } else {
                view.column(field.name()).await
            };
            let (expression, access) = match seen {
                // A tweak that the role may not see: this column cannot be shown, the others can.
                Err(error) if error.kind() == ErrorKind::NotAllowed => view.refused(field.name(), &error),
                seen => seen?,
            };
            columns.push(SeenColumn {
                name: field.name().clone(),
                expression,
                access,
            });
        }
        let mut grants = Vec::new();
        for (path, described) in &view.described {
            grants.push((path.clone(), described.rule.clone(), engine.grant(&described.rule)?));
        }
        // Columns that say nothing of themselves, and that the policy denies for that.
        for column in &columns {
            if let Access::Sealed(sealed) = &column.access
                && !view.described.contains_key(&column.name)
            {
                grants.push((column.name.clone(), sealed.rule.rule.clone(), sealed.grant));
            }
        }
        grants.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(Self { columns, grants })
    }

    /// The role's grants on the protected columns.
    pub(super) fn grants(&self, table: &str) -> Vec<ColumnGrant> {
        let grants = self.grants.iter();
        let grants = grants.map(|(column, rule, grant)| ColumnGrant {
            table: table.to_owned(),
            column: column.clone(),
            rule: rule.clone(),
            grant: *grant,
        });
        grants.collect()
    }

    /// The access of the role to each stored column, and to as many partitions, which are never protected.
    pub(super) fn access(&self, partitions: usize) -> Vec<Access> {
        let columns = self.columns.iter().map(|column| column.access.clone());
        columns.chain(std::iter::repeat_n(Access::Open, partitions)).collect()
    }

    /// Is every column seen as it is stored, so that no view is needed?
    pub(super) fn is_bare(&self) -> bool {
        self.columns
            .iter()
            .all(|column| matches!(column.expression, Expr::Column(_)))
    }
}

/// The table of these parts: one scan each, revealed as far as the role sees plain, and all of them together.
pub(super) fn table(name: &str, mut parts: Vec<(Generation, StoredTable)>) -> Result<Arc<dyn TableProvider>> {
    if parts.len() == 1 && parts[0].0.is_bare() {
        return Ok(Arc::new(parts.remove(0).1));
    }
    let mut plan: Option<LogicalPlanBuilder> = None;
    for (generation, stored) in parts {
        let stored: Arc<dyn TableProvider> = Arc::new(stored.below_view());
        let schema = stored.schema();
        let partitions = schema.fields().iter().skip(generation.columns.len());
        let partitions = partitions.map(|field| {
            let name = original_name(field.name());
            stored_column(name).alias(name)
        });
        let columns = generation
            .columns
            .into_iter()
            .map(|column| column.expression.alias(column.name));
        let branch = LogicalPlanBuilder::scan(TableReference::bare(name), provider_as_source(stored), None)
            .and_then(|scan| scan.project(columns.chain(partitions).collect::<Vec<_>>()))
            .map_err(from_datafusion)?;
        plan = Some(match plan {
            None => branch,
            Some(plan) => branch
                .build()
                .and_then(|branch| plan.union(branch))
                .map_err(from_datafusion)?,
        });
    }
    let plan = plan.ok_or_else(|| Error::bug("a table without files"))?;
    let plan = plan.build().map_err(from_datafusion)?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// The columns of one generation as a role sees them.
struct View<'a> {
    engine: &'a Engine,
    table: &'a str,
    schema: &'a Schema,
    reveal: Arc<ScalarUDF>,
    described: BTreeMap<String, ProtectedColumn>,
}

impl View<'_> {
    /// A column that is not nested.
    async fn column(&self, name: &str) -> Result<(Expr, Access)> {
        let stored = stored_column(name);
        let Some(described) = self.described.get(name) else {
            let sealed = self.undescribed(&[name.to_owned()])?;
            return Ok((stored, sealed.map_or(Access::Open, Access::Sealed)));
        };
        let rule = self.stored_rule(described)?;
        let Some(sealed) = Access::to_described(self.engine, name, described, rule.clone())? else {
            let seen = if described.treatment.is_one_way() {
                stored
            } else {
                self.revealed(name, described).await?
            };
            return Ok((seen, Access::Open));
        };
        if sealed.grant == Grant::Denied {
            return Ok((stored, Access::Sealed(sealed)));
        }
        if sealed.grant == Grant::Masked {
            // Compares rule and key with what the file says, and has the key ready.
            let transform = columns::resolve(self.engine, name, described).await?;
            if let Tweak::Column(tweak) = &transform.rule().tweak {
                let tweak = self.tweak(name, tweak).await?;
                let present = functions::present_udf(self.engine, false);
                let arguments = vec![stored, lit(sealed.rule.to_string()), lit(SHOWN), tweak];
                return Ok((present.call(arguments), Access::Sealed(sealed)));
            }
        }
        if sealed.is_one_to_one && described.treatment != Treatment::Tokenize {
            // Above the union of all generations nobody knows which version a row is of, so all are brought to one.
            if let Ok(Some(current)) = self.engine.resolve_reencryption(&rule).await {
                let arguments = vec![stored, lit(rule.to_string()), lit(current.to_string())];
                let sealed = Access::to_described(self.engine, name, described, current)?;
                let access = sealed.map_or(Access::Open, Access::Sealed);
                return Ok((functions::reencrypt_udf(self.engine).call(arguments), access));
            }
        }
        Ok((stored, Access::Sealed(sealed)))
    }

    /// A column that the role cannot be shown, for what `error` says.
    fn refused(&self, name: &str, error: &Error) -> (Expr, Access) {
        let rule = self.described.get(name).map_or("", |described| described.rule.as_str());
        let sealed = Access::denied(self.engine, name, rule, error.message());
        (stored_column(name), Access::Sealed(sealed))
    }

    /// A struct or list: with the fields revealed that the role sees plain.
    async fn nested(&self, field: &FieldRef) -> Result<(Expr, Access)> {
        let name = field.name();
        let stored = stored_column(name);
        let mut sealed: Vec<(String, Arc<Sealed>)> = Vec::new();
        let mut reveals = false;
        for leaf in columns::describe(&Schema::new(vec![Arc::clone(field)]))? {
            let of_leaf = match &leaf.protected {
                None => self.undescribed(&paths_around(&leaf.name))?,
                Some(described) => {
                    let rule = self.stored_rule(described)?;
                    let of_leaf = Access::to_described(self.engine, &leaf.name, described, rule)?;
                    reveals |= of_leaf.is_none() && !described.treatment.is_one_way();
                    if of_leaf.as_ref().is_some_and(|sealed| sealed.grant == Grant::Masked) {
                        columns::resolve(self.engine, &leaf.name, described).await?;
                        reveals |= self.takes_tweak_column(described)?;
                    }
                    of_leaf
                }
            };
            sealed.extend(of_leaf.map(|of_leaf| (leaf.name.clone(), of_leaf)));
        }
        let access = if sealed.is_empty() {
            Access::Open
        } else {
            Access::Nested(Arc::new(Nested {
                field: Arc::clone(field),
                sealed,
            }))
        };
        if !reveals {
            return Ok((stored, access));
        }
        let others = self.schema.fields().iter().filter(|other| other.name() != name);
        let fields: Vec<FieldRef> = std::iter::once(field).chain(others).cloned().collect();
        let schema = Arc::new(Schema::new(fields));
        let mut revealed = BTreeSet::new();
        for (path, described) in self.described.iter().filter(|(path, _)| is_within(path, name)) {
            let is_revealed = match self.engine.grant(&described.rule)? {
                Grant::Plain => true,
                Grant::Masked => self.takes_tweak_column(described)?,
                Grant::Protected | Grant::Denied => false,
            };
            if is_revealed && !described.treatment.is_one_way() {
                revealed.insert(path.clone());
            }
        }
        let plan = BatchPlan::reveal_nested(self.engine, &schema, &revealed, &self.described);
        let (plan, columns) = plan.await?.narrowed();
        let described = self.described.iter();
        let needed = described.filter(|(path, _)| columns.iter().any(|column| is_within(path, column)));
        let fields = NestedFields {
            revealed,
            protected: needed
                .map(|(path, described)| (path.clone(), described.clone()))
                .collect(),
            columns,
        };
        let mut arguments = vec![stored, lit(REVEALED), lit(fields.text()?)];
        arguments.extend(fields.columns.iter().skip(1).map(|column| stored_column(column)));
        let reveal = functions::reveal_nested_udf(self.engine, plan.asks_a_store());
        Ok((reveal.call(arguments), access))
    }

    /// The access to a column that says nothing of itself: the policy may put it under a rule all the same.
    fn undescribed(&self, names: &[String]) -> Result<Option<Arc<Sealed>>> {
        match self.engine.policy().rule_of(self.table, names)? {
            Some(rule) => Access::to_undescribed(self.engine, &names[0], &rule.name),
            None => Ok(None),
        }
    }

    fn takes_tweak_column(&self, described: &ProtectedColumn) -> Result<bool> {
        let rule = self.engine.policy().rule(&described.rule)?;
        Ok(matches!(rule.tweak, Tweak::Column(_)))
    }

    /// The rule of a column with the version that it is stored under; of tokens without, since each has its own.
    fn stored_rule(&self, described: &ProtectedColumn) -> Result<RuleRef> {
        let version = (described.treatment != Treatment::Tokenize).then_some(described.key_version);
        Ok(RuleRef {
            rule: described.rule.clone(),
            version,
        })
    }

    async fn revealed(&self, name: &str, described: &ProtectedColumn) -> Result<Expr> {
        let transform = columns::resolve(self.engine, name, described).await?;
        let stored = stored_column(name);
        if transform.tokenizer().is_some() {
            return Ok(functions::detokenize_udf(self.engine).call(vec![stored, lit(described.rule.as_str())]));
        }
        let rule = lit(format!("{}@{}", described.rule, transform.key().version()));
        match &transform.rule().tweak {
            Tweak::Column(tweak) => {
                let tweak = self.tweak(name, tweak).await?;
                Ok(self.reveal.call(vec![stored, rule, tweak]))
            }
            _ => Ok(self.reveal.call(vec![stored, rule])),
        }
    }

    /// The plain value of the column that is the tweak of `name`.
    async fn tweak(&self, name: &str, tweak: &str) -> Result<Expr> {
        match self.described.get(tweak) {
            None => Ok(stored_column(tweak)),
            // The tweak is a plaintext: only who may see it in the clear can reveal what it tweaks.
            Some(other) if self.engine.grant(&other.rule)? == Grant::Plain => {
                Box::pin(self.revealed(tweak, other)).await
            }
            Some(other) => Err(Error::new(
                ErrorKind::NotAllowed,
                format!(
                    "column `{name}` needs the plain value of column `{tweak}`, and role `{}` may not see that (rule \
                     `{}`)",
                    self.engine.role().unwrap_or_default(),
                    other.rule
                ),
            )
            .with_hint("grant both plain, or deny both")),
        }
    }
}

/// The path of a field, and those of what it is in, innermost first.
fn paths_around(path: &str) -> Vec<String> {
    let mut paths = vec![path.to_owned()];
    let mut rest = path;
    while let Some(end) = rest.rfind(['.', '[']) {
        rest = &rest[..end];
        paths.push(rest.to_owned());
    }
    paths
}
