//! From a policy and a schema to a plan.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::batch::{Action, BatchPlan, Column};
use super::metadata::{ProtectedColumn, clear};
use super::{check_type, tweak};
use crate::cipher::Direction;
use crate::keys::{KeyVersionId, Operation};
use crate::policy::{Bound, Rule, RuleRef, Treatment, Tweak};
use crate::transform::{Engine, Transform};
use crate::{Error, ErrorKind, Result};

/// How to reveal data that does not say how it was protected.
#[derive(Clone, Copy, Debug, Default)]
pub struct RevealOptions {
    /// Take the rules from the policy's `[columns]` and this version of their keys, for data without metadata.
    pub key_version: Option<u32>,
}

impl BatchPlan {
    /// How to protect `schema` as table `table`.
    ///
    /// # Errors
    /// Whatever can be known without the rows: a column the policy names and the table lacks, a column that is protected
    /// already, a type or tweak that does not fit its rule, a key that cannot be had, nothing to protect at all.
    pub async fn protect(engine: &Engine, table: &str, schema: &SchemaRef) -> Result<Self> {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let bound = engine.policy().bind(table, &names)?;
        let mut columns = Vec::new();
        for (at, (field, fate)) in schema.fields().iter().zip(&bound).enumerate() {
            let (action, field) = match fate {
                Bound::Drop => continue,
                Bound::Keep => (Action::Copy, Arc::clone(field)),
                Bound::Rule(rule) => {
                    if ProtectedColumn::read(field)?.is_some() {
                        return Err(
                            Error::bad_input(format!("column `{}` is protected already", field.name())).with_hint(
                                "reveal it first; protecting twice would make it unreadable by its own metadata",
                            ),
                        );
                    }
                    check_tweaks(rule, field.name(), &bound, &names)?;
                    let transform = engine.resolve(&reference(rule, None), Operation::Protect).await?;
                    let (action, field) = transformed(transform, field, schema)?;
                    let described = ProtectedColumn::of(action.transform()?).write(&field)?;
                    (action, Arc::new(described))
                }
            };
            columns.push(Column {
                input: at,
                field,
                action,
            });
        }
        if columns.iter().all(|column| matches!(column.action, Action::Copy)) {
            return Err(Error::bad_policy(format!(
                "no line of [columns] in `{}` names a column of table `{table}`: there is nothing to protect",
                engine.policy().path.display()
            ))
            .with_hint(format!("its columns are {}", names.join(", "))));
        }
        Ok(Self::new(Direction::Encrypt, schema, columns))
    }

    /// How to reveal `schema`, of table `table`, whose columns say how they were protected.
    ///
    /// # Errors
    /// Nothing that is protected; a rule the policy lacks or has changed; a key that cannot be had, or is another one.
    pub async fn reveal(engine: &Engine, table: &str, schema: &SchemaRef, options: RevealOptions) -> Result<Self> {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let described = schema
            .fields()
            .iter()
            .map(|field| ProtectedColumn::read(field))
            .collect::<Result<Vec<_>>>()?;
        let by_name = schema.fields().iter().zip(&described);
        let protected = by_name.filter_map(|(field, described)| Some((field.name().as_str(), described.as_ref()?)));
        check_circles(engine, protected)?;
        let from_policy = match options.key_version {
            Some(version) if described.iter().all(Option::is_none) => {
                Some((engine.policy().bind(table, &names)?, version))
            }
            Some(_) => {
                return Err(
                    Error::bad_input("the file says itself which key version it was protected with")
                        .with_hint("leave out --key-version"),
                );
            }
            None => None,
        };
        let mut columns = Vec::new();
        for (at, (field, described)) in schema.fields().iter().zip(&described).enumerate() {
            let transform = match (described, &from_policy) {
                (Some(described), _) => Some(resolve(engine, field.name(), described).await?),
                (None, Some((bound, version))) => match bound[at] {
                    Bound::Rule(rule) => Some(
                        engine
                            .resolve(&reference(rule, Some(*version)), Operation::Reveal)
                            .await?,
                    ),
                    _ => None,
                },
                (None, None) => None,
            };
            let (action, field) = match transform {
                None => (Action::Copy, Arc::clone(field)),
                Some(transform) => {
                    let (action, field) = transformed(transform, field, schema)?;
                    (action, Arc::new(clear(&field)))
                }
            };
            columns.push(Column {
                input: at,
                field,
                action,
            });
        }
        if columns.iter().all(|column| matches!(column.action, Action::Copy)) {
            return Err(Error::bad_input("no column says that it is protected").with_hint(
                "if it is, and its metadata was lost on the way, pass --key-version N to go by the policy's [columns]",
            ));
        }
        Ok(Self::new(Direction::Decrypt, schema, columns))
    }
}

/// The transform that reveals a column that describes itself, after comparing the two.
pub(crate) async fn resolve(engine: &Engine, column: &str, described: &ProtectedColumn) -> Result<Arc<Transform>> {
    let transform = match described.treatment {
        Treatment::Encrypt => {
            let id: KeyVersionId = described
                .key_version_id
                .parse()
                .map_err(|error: Error| error.context(format_args!("column `{column}`, `cipherform` metadata")))?;
            engine.resolve_version(&described.rule, id).await
        }
        // Each token's row in the store says which version sealed it, which may be another one by now.
        Treatment::Tokenize => {
            let rule = RuleRef {
                rule: described.rule.clone(),
                version: None,
            };
            engine.resolve(&rule, Operation::Reveal).await
        }
    };
    let transform = transform.map_err(|error| error.context(format_args!("column `{column}`")))?;
    described.compare(&transform).map_err(|what| {
        Error::new(
            ErrorKind::WrongKey,
            format!(
                "column `{column}` was protected under another rule `{}` than the policy has: {what}",
                described.rule
            ),
        )
        .with_hint("reveal with the policy and keyring it was protected with")
    })?;
    Ok(transform)
}

fn reference(rule: &Rule, version: Option<u32>) -> RuleRef {
    RuleRef {
        rule: rule.name.clone(),
        version,
    }
}

/// The action of `transform` on `field`, after checking types; and the field it makes.
fn transformed(transform: Arc<Transform>, field: &Arc<Field>, schema: &Schema) -> Result<(Action, Arc<Field>)> {
    check_type(&transform, field.name(), field.data_type())?;
    let tweak = match transform.tweak_column() {
        None => None,
        Some(name) => {
            let at = schema.index_of(name).map_err(|_| {
                Error::bad_policy(format!(
                    "rule `{}` takes the tweak of column `{}` from column `{name}`, which is not there",
                    transform.rule().name,
                    field.name()
                ))
            })?;
            tweak::check_type(schema.field(at).data_type())
                .map_err(|error| error.context(format_args!("column `{}`", field.name())))?;
            Some(at)
        }
    };
    let action = Action::Transform { transform, tweak };
    // An order the dictionary was said to have is gone.
    let field = Arc::new(field.as_ref().clone().with_dict_is_ordered(false));
    Ok((action, field))
}

/// Refuses protected columns whose tweaks go in a circle: none could be revealed first. `protect` makes no such file.
pub(crate) fn check_circles<'a>(
    engine: &Engine,
    protected: impl Iterator<Item = (&'a str, &'a ProtectedColumn)>,
) -> Result<()> {
    let rules: HashMap<&str, &str> = protected
        .map(|(column, described)| (column, described.rule.as_str()))
        .collect();
    for start in rules.keys() {
        let (mut column, mut seen) = (*start, Vec::new());
        while let Some(rule) = rules.get(column) {
            if seen.contains(&column) {
                return Err(Error::bad_input(format!(
                    "column `{start}`: by its metadata, tweak columns go in a circle: {} → {column}",
                    seen.join(" → ")
                ))
                .with_hint("this file was not written by cipherform, or was changed since"));
            }
            seen.push(column);
            match &engine.policy().rule(rule)?.tweak {
                Tweak::Column(next) => column = next,
                _ => break,
            }
        }
    }
    Ok(())
}

/// Refuses a tweak column that would not be there on the way back: dropped, or part of a cycle.
fn check_tweaks(rule: &Rule, column: &str, bound: &[Bound<'_>], names: &[&str]) -> Result<()> {
    let by_name: HashMap<&str, Bound<'_>> = names.iter().copied().zip(bound.iter().copied()).collect();
    let (mut rule, mut steps) = (rule, vec![column]);
    while let Tweak::Column(next) = &rule.tweak {
        if steps.contains(&next.as_str()) {
            return Err(Error::bad_policy(format!(
                "the tweak columns go in a circle: {} → {next}; none of them could be revealed first",
                steps.join(" → ")
            )));
        }
        steps.push(next);
        rule = match by_name.get(next.as_str()) {
            Some(Bound::Rule(rule)) => rule,
            Some(Bound::Drop) => {
                return Err(Error::bad_policy(format!(
                    "column `{next}` is the tweak of another, and the policy drops it: nothing could be revealed"
                )));
            }
            _ => break,
        };
    }
    Ok(())
}
