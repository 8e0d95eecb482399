//! From a policy and a schema to a plan.

use std::collections::HashMap;
#[cfg(feature = "sql")]
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};

use super::batch::{BatchPlan, TweakLeaf, Work};
use super::metadata::{ProtectedColumn, clear, with_descriptions};
use super::nested::{self, Leaf};
use super::tweak;
use super::types::check_type;
use crate::cipher::Direction;
use crate::keys::KeyVersionId;
#[cfg(feature = "sql")]
use crate::policy::Grant;
use crate::policy::{Astray, Bound, Rule, RuleRef, Treatment, Tweak};
use crate::transform::{Engine, Transform};
use crate::{Error, ErrorKind, Hint, Remedy, Result};

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
    /// Whatever can be known without the rows: a column the policy names and the table lacks, a column that is
    /// protected already, a type or tweak that does not fit its rule, a key that cannot be had, nothing to protect at
    /// all.
    pub async fn protect(engine: &Engine, table: &str, schema: &SchemaRef) -> Result<Self> {
        let schema = &with_descriptions(schema)?;
        let leaves = nested::leaves(schema);
        let names: Vec<&[String]> = leaves.iter().map(|leaf| leaf.names.as_slice()).collect();
        check_paths(engine, table, &leaves, &names, Direction::Encrypt)?;
        let bound = engine.policy().bind(table, &names, Direction::Encrypt)?;
        if bound.iter().all(|bound| matches!(bound, Bound::Drop)) {
            return Err(Error::bad_policy(format!(
                "the policy `{}` drops every column of table `{table}`: nothing would be left",
                engine.policy().path.display()
            )));
        }
        if bound.iter().all(|bound| matches!(bound, Bound::Keep)) {
            let names: Vec<&str> = leaves.iter().map(Leaf::path).collect();
            return Err(Error::bad_policy(format!(
                "no line of [columns] in `{}` names a column of table `{table}`: there is nothing to protect",
                engine.policy().path.display()
            ))
            .with_hint(format!("its columns are {}", names.join(", "))));
        }
        let idle = engine.policy().idle_lines(table, &names)?;
        Ok(Self::protect_bound(engine, schema, &leaves, &bound)
            .await?
            .with_idle_lines(idle))
    }

    /// How to reveal `schema`, which describes itself, and how to protect what comes of it anew: under the same
    /// rules, or those that `rules` has for a column, with the current versions of their keys. What is one-way, or a
    /// token without a rule of its own in `rules`, stays as it is.
    ///
    /// # Errors
    /// As [`BatchPlan::reveal`] and [`BatchPlan::protect`]; [`ErrorKind::BadInput`] when a column is not there, or
    /// all are as they would become.
    pub async fn reprotect(engine: &Engine, schema: &SchemaRef, rules: &[(String, String)]) -> Result<[Self; 2]> {
        let schema = &with_descriptions(schema)?;
        let reveal = Self::reveal_where(engine, schema, |path, described| {
            described.treatment != Treatment::Tokenize || rules.iter().any(|(column, _)| column == path)
        })
        .await?;
        let before = nested::leaves(schema);
        for (column, _) in rules {
            if !before.iter().any(|leaf| leaf.path() == column) {
                let names: Vec<&str> = before.iter().map(Leaf::path).collect();
                return Err(Error::bad_input(format!("there is no column `{column}`"))
                    .with_hint(format!("its columns are {}", names.join(", "))));
            }
        }
        let leaves = nested::leaves(reveal.output());
        let mut bound = Vec::with_capacity(leaves.len());
        let mut changed = false;
        for (old, leaf) in before.iter().zip(&leaves) {
            let described = ProtectedColumn::read(&old.field)?;
            let stays = ProtectedColumn::read(&leaf.field)?.is_some();
            let given = rules.iter().find(|(column, _)| column == leaf.path());
            let rule = match (&described, given) {
                (_, Some((_, rule))) if !stays => rule,
                (Some(described), None) if !stays => &described.rule,
                (_, Some(_)) => {
                    return Err(Error::bad_input(format!(
                        "column `{}` cannot be revealed, so not be protected otherwise",
                        leaf.path()
                    )));
                }
                _ => {
                    bound.push(Bound::Keep);
                    continue;
                }
            };
            let rule = engine.policy().rule(rule)?;
            let current = engine.resolve(&reference(rule, None), Direction::Encrypt).await?;
            changed |= described.is_none_or(|described| described.compare(&current).is_err());
            bound.push(Bound::Rule(rule));
        }
        if !changed {
            return Err(
                Error::bad_input("every column is protected by the current version of its key already")
                    .with_hint("there is something to do once a key has a new version"),
            );
        }
        let protect = Self::protect_bound(engine, reveal.output(), &leaves, &bound).await?;
        Ok([reveal, protect])
    }

    async fn protect_bound(engine: &Engine, schema: &SchemaRef, leaves: &[Leaf], bound: &[Bound<'_>]) -> Result<Self> {
        let places = Places::new(leaves);
        let (mut fates, mut works) = (Vec::new(), Vec::new());
        for (leaf, fate) in leaves.iter().zip(bound) {
            let rule = match fate {
                Bound::Drop => {
                    fates.push(None);
                    continue;
                }
                Bound::Keep => {
                    fates.push(Some((Arc::clone(&leaf.field), None)));
                    continue;
                }
                Bound::Rule(rule) => rule,
            };
            if ProtectedColumn::read(&leaf.field)?.is_some() {
                return Err(
                    Error::bad_input(format!("column `{}` is protected already", leaf.path()))
                        .with_hint("reveal it first; protecting twice would make it unreadable by its own metadata"),
                );
            }
            check_tweaks(rule, leaf.path(), bound, leaves)?;
            let transform = engine.resolve(&reference(rule, None), Direction::Encrypt).await?;
            let described = ProtectedColumn::of(&transform).write(&made(leaf, &transform)?)?;
            let tweak = places.tweak(&transform, leaf)?;
            fates.push(Some((Arc::new(described), Some(works.len()))));
            works.push(Work::new(leaf.clone(), transform, tweak));
        }
        Ok(Self::new(Direction::Encrypt, schema, fates, works))
    }

    /// How to reveal `schema`, of table `table`, whose columns say how they were protected. What cannot be revealed,
    /// such as hashes, stays as it is and goes on saying what it is.
    ///
    /// # Errors
    /// Nothing that is protected; a rule the policy lacks or has changed; a key that cannot be had, or is another one.
    pub async fn reveal(engine: &Engine, table: &str, schema: &SchemaRef, options: RevealOptions) -> Result<Self> {
        Self::reveal_all(engine, table, schema, options, |_, _| true).await
    }

    /// Plans to reveal those columns alone that describe themselves and that `wanted` names.
    async fn reveal_where(
        engine: &Engine,
        schema: &SchemaRef,
        wanted: impl Fn(&str, &ProtectedColumn) -> bool,
    ) -> Result<Self> {
        Self::reveal_all(engine, "", schema, RevealOptions::default(), wanted).await
    }

    async fn reveal_all(
        engine: &Engine,
        table: &str,
        schema: &SchemaRef,
        options: RevealOptions,
        wanted: impl Fn(&str, &ProtectedColumn) -> bool,
    ) -> Result<Self> {
        let schema = &with_descriptions(schema)?;
        let leaves = nested::leaves(schema);
        let described = leaves
            .iter()
            .map(|leaf| ProtectedColumn::read(&leaf.field))
            .collect::<Result<Vec<_>>>()?;
        let by_path = leaves.iter().zip(&described);
        let protected = by_path.filter_map(|(leaf, described)| Some((leaf.path(), described.as_ref()?)));
        check_circles(engine, protected)?;
        let from_policy = match options.key_version {
            Some(version) if described.iter().all(Option::is_none) => {
                let names: Vec<&[String]> = leaves.iter().map(|leaf| leaf.names.as_slice()).collect();
                check_paths(engine, table, &leaves, &names, Direction::Decrypt)?;
                Some((engine.policy().bind(table, &names, Direction::Decrypt)?, version))
            }
            Some(_) => {
                return Err(
                    Error::bad_input("the file says itself which key version it was protected with")
                        .with_hint("leave the key version out"),
                );
            }
            None => None,
        };
        let (mut transforms, mut one_way) = (Vec::new(), None);
        for (at, (leaf, described)) in leaves.iter().zip(&described).enumerate() {
            if described
                .as_ref()
                .is_some_and(|described| !wanted(leaf.path(), described))
            {
                transforms.push(None);
                continue;
            }
            let from_policy = from_policy.as_ref().and_then(|(bound, version)| match bound[at] {
                Bound::Rule(rule) => Some((rule, *version)),
                _ => None,
            });
            let treatment = described.as_ref().map(|described| described.treatment);
            let treatment = treatment.or_else(|| from_policy.map(|(rule, _)| rule.treatment));
            transforms.push(match (described, from_policy) {
                _ if treatment.is_some_and(Treatment::is_one_way) => {
                    one_way = treatment;
                    None
                }
                (Some(described), _) => Some(resolve(engine, leaf.path(), described).await?),
                (None, Some((rule, version))) => Some(
                    engine
                        .resolve(&reference(rule, Some(version)), Direction::Decrypt)
                        .await?,
                ),
                (None, None) => None,
            });
        }
        match (transforms.iter().all(Option::is_none), one_way) {
            (true, Some(treatment)) => Err(Error::bad_input(format!(
                "nothing can be revealed: what treatment = \"{treatment}\" made is one-way"
            ))
            .with_hint("use it as it is")),
            (true, None) => Err(Error::bad_input("no column says that it is protected").with_hint(
                Hint::from("if it is, and its metadata was lost on the way, go by the policy's [columns] and ")
                    .then(Remedy::NameKeyVersion),
            )),
            (false, _) => Self::reveal_with(schema, &leaves, transforms),
        }
    }

    /// How to reveal the fields of the first column of `schema`, which is nested, whose paths are in `wanted`. The
    /// other columns are there for tweaks; `described` says of each path how it was protected.
    ///
    /// # Errors
    /// As [`BatchPlan::reveal`]; [`ErrorKind::NotAllowed`] when the role may not see the plain value of a tweak.
    #[cfg(feature = "sql")]
    pub(crate) async fn reveal_nested(
        engine: &Engine,
        schema: &SchemaRef,
        wanted: &BTreeSet<String>,
        described: &BTreeMap<String, ProtectedColumn>,
    ) -> Result<Self> {
        let leaves = nested::leaves(schema);
        let mut transforms: Vec<Option<Arc<Transform>>> = vec![None; leaves.len()];
        let of_column = leaves.iter().enumerate().filter(|(_, leaf)| leaf.column == 0);
        // Leaves to reveal, each with the column whose tweak it is.
        let mut pending: Vec<(usize, Option<&str>)> = of_column
            .filter(|(_, leaf)| wanted.contains(leaf.path()))
            .map(|(at, _)| (at, None))
            .collect();
        while let Some((at, tweaked)) = pending.pop() {
            let path = leaves[at].path();
            let described = match described.get(path) {
                Some(described) if transforms[at].is_none() => described,
                _ => continue,
            };
            if let Some(tweaked) = tweaked
                && engine.grant(&described.rule)? != Grant::Plain
            {
                return Err(Error::new(
                    ErrorKind::NotAllowed,
                    format!(
                        "column `{tweaked}` needs the plain value of column `{path}`, and role `{}` may not see that \
                         (rule `{}`)",
                        engine.role().unwrap_or_default(),
                        described.rule
                    ),
                ));
            }
            let transform = resolve(engine, path, described).await?;
            let tweak = transform
                .tweak_column()
                .and_then(|name| leaves.iter().position(|leaf| leaf.path() == name));
            pending.extend(tweak.map(|tweak| (tweak, Some(path))));
            transforms[at] = Some(transform);
        }
        Self::reveal_with(schema, &leaves, transforms)
    }

    /// Reveals the leaves that have a transform.
    fn reveal_with(schema: &SchemaRef, leaves: &[Leaf], transforms: Vec<Option<Arc<Transform>>>) -> Result<Self> {
        let places = Places::new(leaves);
        let (mut fates, mut works) = (Vec::new(), Vec::new());
        for (leaf, transform) in leaves.iter().zip(transforms) {
            let Some(transform) = transform else {
                fates.push(Some((Arc::clone(&leaf.field), None)));
                continue;
            };
            let field = Arc::new(clear(&made(leaf, &transform)?));
            let tweak = places.tweak(&transform, leaf)?;
            fates.push(Some((field, Some(works.len()))));
            works.push(Work::new(leaf.clone(), transform, tweak));
        }
        Ok(Self::new(Direction::Decrypt, schema, fates, works))
    }
}

/// The transform that reveals a column that describes itself, after comparing the two.
pub(crate) async fn resolve(engine: &Engine, column: &str, described: &ProtectedColumn) -> Result<Arc<Transform>> {
    let transform = match described.treatment {
        // Each token's row in the store says which version sealed it, which may be another one by now.
        Treatment::Tokenize => {
            let rule = RuleRef {
                rule: described.rule.clone(),
                version: None,
            };
            engine.resolve(&rule, Direction::Decrypt).await
        }
        _ => {
            let id: KeyVersionId = described
                .key_version_id
                .parse()
                .map_err(|error: Error| error.context(format_args!("column `{column}`, `cipherform` metadata")))?;
            engine.resolve_version(&described.rule, id).await
        }
    };
    let transform = transform.map_err(|error| error.context(format_args!("column `{column}`")))?;
    if let Some(retired) = described.retired(&transform) {
        let message = format!("column `{column}` was protected {retired}");
        return Err(Error::bad_input(message)
            .with_hint("reveal it with the release that protected it, and protect it again with this one"));
    }
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
    // By what was done when the column was protected, whatever the policy says by now.
    let mark = described.wrap_mark.unwrap_or(transform.rule().wrap_mark);
    let transform = transform.handling_misfits(described.on_invalid());
    Ok(Arc::new(transform.with_wrap_mark(mark)))
}

fn reference(rule: &Rule, version: Option<u32>) -> RuleRef {
    RuleRef {
        rule: rule.name.clone(),
        version,
    }
}

/// The field that `transform` makes of a leaf, after checking its type.
fn made(leaf: &Leaf, transform: &Transform) -> Result<Field> {
    check_type(transform, leaf.path(), leaf.field.data_type())?;
    // An order the dictionary was said to have is gone.
    Ok(leaf.field.as_ref().clone().with_dict_is_ordered(false))
}

/// The columns in which tweaks are looked up.
struct Places<'a>(HashMap<&'a str, &'a Leaf>);

impl<'a> Places<'a> {
    fn new(leaves: &'a [Leaf]) -> Self {
        // Of two with the same name the first.
        Self(leaves.iter().rev().map(|leaf| (leaf.path(), leaf)).collect())
    }

    /// Finds the tweak of `leaf` under `transform`, if it is a column.
    fn tweak(&self, transform: &Transform, leaf: &Leaf) -> Result<Option<TweakLeaf>> {
        let Some(name) = transform.tweak_column() else {
            return Ok(None);
        };
        let rule = &transform.rule().name;
        let tweak = self.0.get(name).ok_or_else(|| {
            Error::bad_policy(format!(
                "rule `{rule}` takes the tweak of column `{}` from column `{name}`, which is not there",
                leaf.path()
            ))
        })?;
        if !tweak.is_one_a_row() {
            return Err(Error::bad_policy(format!(
                "rule `{rule}` takes the tweak of column `{}` from `{name}`, of which a row has more than one",
                leaf.path()
            )));
        }
        tweak::check_type(tweak.field.data_type())
            .map_err(|error| error.context(format_args!("column `{}`", leaf.path())))?;
        Ok(Some(TweakLeaf {
            column: tweak.column,
            steps: tweak.steps.clone(),
        }))
    }
}

/// Refuses a line of `[columns]` that means something within a column, and fits nothing there: what it means would stay
/// in the clear.
fn check_paths(engine: &Engine, table: &str, leaves: &[Leaf], names: &[&[String]], direction: Direction) -> Result<()> {
    for line in engine.policy().astray(table, names, direction)? {
        let Astray { known, rest, .. } = line;
        let leaf = leaves.iter().find(|leaf| leaf.path() == known);
        let is_leaf = leaf.is_some_and(|leaf| leaf.steps.is_empty());
        let (what, hint) = match leaf.map(|leaf| leaf.field.data_type()) {
            // "region.name" may be a column of the table `region`.
            Some(data_type) if !data_type.is_nested() && is_leaf && rest.starts_with('.') && !line.names_table => {
                continue;
            }
            Some(data_type) if data_type.is_nested() => (
                format!("is of type {data_type}, and what is in that cannot be named"),
                format!("make it a struct or a list before, or leave it out: \"{known}\" = \"drop\""),
            ),
            Some(data_type) => (
                format!("is of type {data_type}, and has nothing in it"),
                format!("name the column itself: \"{known}\""),
            ),
            None => {
                let inside = |name: &&str| {
                    name.strip_prefix(known)
                        .is_some_and(|rest| rest.starts_with(['.', '[']))
                };
                let within: Vec<&str> = leaves.iter().map(Leaf::path).filter(inside).collect();
                let or_else = match line.pattern.split_once('.') {
                    Some((column, _)) if !line.names_table && !column.contains(['[', '*']) => {
                        format!("; if a table `{column}` is meant, add \"{table}.{column}\" = \"keep\" (or \"drop\")")
                    }
                    _ => String::new(),
                };
                (
                    "has nothing in it of that name".to_owned(),
                    format!("what is in it is {}{or_else}", within.join(", ")),
                )
            }
        };
        return Err(Error::bad_policy(format!(
            "{}: the line \"{}\" names something within column `{known}` of table `{table}`, which {what}",
            line.at, line.pattern
        ))
        .with_hint(hint));
    }
    Ok(())
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
fn check_tweaks(rule: &Rule, column: &str, bound: &[Bound<'_>], leaves: &[Leaf]) -> Result<()> {
    let by_name: HashMap<&str, Bound<'_>> = leaves.iter().map(Leaf::path).zip(bound.iter().copied()).collect();
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use arrow::datatypes::{DataType, Schema};

    use super::*;
    use crate::keys::{KeyUse, Keyring, KmsRegistry};
    use crate::kms::MemoryKms;
    use crate::policy::Policy;

    fn schema() -> SchemaRef {
        let text = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
        let entries = DataType::Struct(vec![text("key"), text("value")].into());
        let entries = Arc::new(Field::new("entries", entries, false));
        let geo = DataType::Struct(vec![text("lat"), text("lon")].into());
        let address = DataType::Struct(vec![text("street"), Arc::new(Field::new("geo", geo, true))].into());
        Arc::new(Schema::new(vec![
            Field::new("z", DataType::Utf8, true),
            Field::new("region", DataType::Utf8, true),
            Field::new("phones", DataType::List(text("item")), true),
            Field::new("view", DataType::ListView(text("item")), true),
            Field::new("large_view", DataType::LargeListView(text("item")), true),
            Field::new("m", DataType::Map(entries, false), true),
            Field::new("address", address, true),
        ]))
    }

    #[tokio::test]
    async fn lines_that_would_leave_something_in_the_clear_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
        let path = folder.path().join("keyring.json");
        let mut keyring = Keyring::create(&path, &"memory:main".parse().unwrap(), &registry)
            .await
            .unwrap();
        keyring
            .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
            .await
            .unwrap();
        let plan = async |line: &str| {
            let policy = format!(
                "version = 1\nkeyring = \"{}\"\n[rules.r]\nformat = \"digits\"\nkey = \"pii\"\n[columns]\nz = \
                 \"r\"\n{line}\n",
                path.display()
            );
            let policy = Policy::parse(&policy, Path::new("p.toml")).unwrap();
            let engine = Engine::new(policy, Keyring::open(&path, &registry).await.unwrap());
            BatchPlan::protect(&engine, "t", &schema()).await
        };
        for (line, column, what) in [
            ("\"view[]\" = \"r\"", "view", "cannot be named"),
            ("\"t.view[]\" = \"r\"", "view", "cannot be named"),
            ("\"large_view[]\" = \"drop\"", "large_view", "cannot be named"),
            ("\"m[].value\" = \"r\"", "m", "Map("),
            ("\"m.*\" = \"r\"", "m", "cannot be named"),
            ("\"m.value\" = \"r\"", "m", "cannot be named"),
            ("\"phones.number\" = \"r\"", "phones", "nothing in it of that name"),
            ("\"phones[].number\" = \"r\"", "phones[]", "has nothing in it"),
            ("\"phones.*\" = \"r\"", "phones", "nothing in it of that name"),
            ("\"address.town\" = \"r\"", "address", "nothing in it of that name"),
            (
                "\"address.geo.alt\" = \"drop\"",
                "address.geo",
                "nothing in it of that name",
            ),
            ("\"region[]\" = \"r\"", "region", "has nothing in it"),
            ("\"t.region.*\" = \"r\"", "region", "has nothing in it"),
        ] {
            let error = plan(line).await.expect_err(line);
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::BadPolicy);
            assert!(text.starts_with("p.toml:8:1: the line "), "{line}: {text}");
            assert!(
                text.contains(&format!("column `{column}` of table `t`")),
                "{line}: {text}"
            );
            assert!(text.contains(what) && error.hint().is_some(), "{line}: {text}");
        }
        let error = plan("\"address.town\" = \"r\"").await.unwrap_err();
        assert_eq!(
            error.hint().map(ToString::to_string).as_deref(),
            Some(
                "what is in it is address.street, address.geo.lat, address.geo.lon; if a table `address` is meant, \
                 add \"t.address\" = \"keep\" (or \"drop\")"
            )
        );
        for line in [
            "\"phones[]\" = \"r\"",
            "\"t.phones[]\" = \"r\"",
            "\"address.*\" = \"r\"",
            "\"address.geo\" = \"drop\"",
            "\"m.value\" = \"keep\"",
            "m = \"drop\"",
            "\"region.r_name\" = \"r\"", // of another table
            "\"*_phone\" = \"r\"",
            "\"address.town\" = \"r\"\n\"t.address\" = \"keep\"",
        ] {
            assert!(plan(line).await.is_ok(), "{line}: {:?}", plan(line).await.unwrap_err());
        }
    }
}
