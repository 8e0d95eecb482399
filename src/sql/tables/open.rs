//! Tables of Parquet files: one, those of a pattern, or those of a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};

use super::listing::{self, TableFile};
use super::names::is_within;
use super::opened::OpenedTable;
use super::provider::{StoredTable, as_scanned};
use super::view::{self, Generation};
use crate::columns::{self, ProtectedColumn};
use crate::transform::Engine;
use crate::{Error, Result};

/// Descriptions of the columns of a file, by path.
type Descriptions = BTreeMap<String, ProtectedColumn>;

/// Opens what is at `location` as table `name`: with an engine as its role may see it, without as it is stored.
pub(in crate::sql) async fn open(engine: Option<&Engine>, name: &str, location: &Path) -> Result<OpenedTable> {
    let files: Vec<Arc<TableFile>> = listing::open(location)?.into_iter().map(Arc::new).collect();
    let partitions = partition_fields(&files)?;
    let schema = Arc::new(merged_schema(&files, &partitions)?);
    let mut generations: Vec<(Descriptions, Vec<Arc<TableFile>>)> = Vec::new();
    for file in &files {
        let described: Descriptions = columns::protected_columns(file.source.schema())
            .map_err(|error| error.context(format_args!("`{}`", file.shown.display())))?
            .into_iter()
            .collect();
        match generations.iter_mut().find(|(of, _)| *of == described) {
            Some((_, members)) => members.push(Arc::clone(file)),
            None => generations.push((described, vec![Arc::clone(file)])),
        }
    }
    check_unmixed(&generations)?;
    let in_files = |error: Error| match files.as_slice() {
        [file] => error.context(format_args!("`{}`", file.shown.display())),
        _ => error.context(format_args!("table `{name}`")),
    };
    let scanned = Arc::new(as_scanned(&schema));
    let Some(engine) = engine else {
        let is_protected: Vec<bool> = schema
            .fields()
            .iter()
            .map(|field| says_protected(field, &generations))
            .collect();
        let access = vec![crate::sql::access::Access::Open; scanned.fields().len() + partitions.len()];
        let stored = StoredTable::of_files(&scanned, &partitions, &is_protected, files, access)?;
        return Ok(OpenedTable {
            provider: Arc::new(stored),
            grants: Vec::new(),
        });
    };
    check_partitions(engine, name, &partitions)?;
    let (mut parts, mut grants) = (Vec::new(), Vec::new());
    for (described, members) in generations {
        let schema = with_descriptions(&schema, &members);
        let is_protected: Vec<bool> = schema
            .fields()
            .iter()
            .map(|field| described.keys().any(|path| is_within(path, field.name())))
            .collect();
        let generation = Generation::new(engine, name, &schema, described)
            .await
            .map_err(in_files)?;
        let access = generation.access(partitions.len());
        grants = generation.grants(name);
        let stored = StoredTable::of_files(&scanned, &partitions, &is_protected, members, access)?;
        parts.push((generation, stored));
    }
    Ok(OpenedTable {
        provider: view::table(name, parts)?,
        grants,
    })
}

fn says_protected(field: &Field, generations: &[(Descriptions, Vec<Arc<TableFile>>)]) -> bool {
    let mut paths = generations.iter().flat_map(|(described, _)| described.keys());
    paths.any(|path| is_within(path, field.name()))
}

/// Refuses a table of which one file has a column protected and another has it plain: one of them is wrong, and a
/// query over both would compare ciphertext with values.
fn check_unmixed(generations: &[(Descriptions, Vec<Arc<TableFile>>)]) -> Result<()> {
    for (described, members) in generations {
        for (path, description) in described {
            for (other, others) in generations {
                let Some(file) = others.iter().find(|file| has_leaf(file, path)) else {
                    continue; // it has no such column
                };
                let (one, two) = (members[0].shown.display(), file.shown.display());
                match other.get(path) {
                    None => {
                        return Err(Error::bad_input(format!(
                            "column `{path}` is protected in `{one}` and not in `{two}`"
                        ))
                        .with_hint("protect the one or reveal the other, and open them together then"));
                    }
                    Some(other) if other.treatment != description.treatment => {
                        return Err(Error::bad_input(format!(
                            "column `{path}` was protected with {} in `{one}` and with {} in `{two}`",
                            description.treatment, other.treatment
                        ))
                        .with_hint("bring both under one rule with `cipherform reprotect`"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    Ok(())
}

fn has_leaf(file: &TableFile, path: &str) -> bool {
    let columns = file.source.columns();
    columns.is_ok_and(|columns| columns.iter().any(|column| column.name == path))
}

/// The columns that the folders of the files name: each file must name the same.
fn partition_fields(files: &[Arc<TableFile>]) -> Result<Vec<FieldRef>> {
    let names = |file: &TableFile| -> Vec<String> { file.partitions.iter().map(|(name, _)| name.clone()).collect() };
    let first = &files[0];
    for file in files {
        if names(file) != names(first) {
            return Err(Error::bad_input(format!(
                "`{}` and `{}` are in folders that name different partitions",
                first.shown.display(),
                file.shown.display()
            )));
        }
    }
    let field = |name: String| Arc::new(Field::new(name, DataType::Utf8, true));
    Ok(names(first).into_iter().map(field).collect())
}

/// Refuses a partition by a column that the policy protects: its values stand in the paths, for all to read.
fn check_partitions(engine: &Engine, table: &str, partitions: &[FieldRef]) -> Result<()> {
    for partition in partitions {
        let column = partition.name();
        if let Some(rule) = engine.policy().rule_of(table, std::slice::from_ref(column))? {
            return Err(Error::bad_policy(format!(
                "column `{column}` of table `{table}` is under rule `{}`, and the table is partitioned by it: its \
                 values stand in the paths",
                rule.name
            ))
            .with_hint("write the table anew, without this partition"));
        }
    }
    Ok(())
}

/// The columns of all files: those of the first, and then what others have beyond.
fn merged_schema(files: &[Arc<TableFile>], partitions: &[FieldRef]) -> Result<Schema> {
    let mut fields: Vec<FieldRef> = Vec::new();
    let mut seen: BTreeMap<String, &TableFile> = BTreeMap::new();
    for file in files {
        let mut own: BTreeMap<&str, ()> = BTreeMap::new();
        for field in file.source.schema().fields() {
            let name = field.name();
            if own.insert(name, ()).is_some() {
                return Err(Error::bad_input(format!(
                    "`{}` has two columns `{name}`, which SQL could not tell apart",
                    file.shown.display()
                )));
            }
            if partitions.iter().any(|partition| partition.name() == name) {
                return Err(Error::bad_input(format!(
                    "`{}` has a column `{name}`, and stands in a folder that says `{name}=…`",
                    file.shown.display()
                )));
            }
            match fields.iter_mut().find(|known| known.name() == name) {
                None => {
                    seen.insert(name.clone(), file);
                    fields.push(Arc::clone(field));
                }
                Some(known) if scanned_type(known) == scanned_type(field) => {
                    if field.is_nullable() && !known.is_nullable() {
                        *known = Arc::new(known.as_ref().clone().with_nullable(true));
                    }
                }
                Some(known) => {
                    let first = seen
                        .get(name)
                        .map_or("", |file| file.shown.to_str().unwrap_or_default());
                    return Err(Error::bad_input(format!(
                        "column `{name}` is of type {} in `{first}` and of type {} in `{}`",
                        known.data_type(),
                        field.data_type(),
                        file.shown.display()
                    )));
                }
            }
        }
    }
    // What a file lacks is NULL in its rows.
    let is_everywhere = |name: &str| {
        files
            .iter()
            .all(|file| file.source.schema().field_with_name(name).is_ok())
    };
    let fields = fields.into_iter().map(|field| {
        if is_everywhere(field.name()) {
            field
        } else {
            Arc::new(field.as_ref().clone().with_nullable(true))
        }
    });
    Ok(Schema::new(fields.collect::<Fields>()))
}

fn scanned_type(field: &FieldRef) -> DataType {
    as_scanned(&Schema::new(vec![Arc::clone(field)]))
        .field(0)
        .data_type()
        .clone()
}

/// The schema with the fields as the files of one generation have them, which say how they are protected.
fn with_descriptions(schema: &Schema, members: &[Arc<TableFile>]) -> Schema {
    let field = |field: &FieldRef| {
        let mut own = members
            .iter()
            .filter_map(|file| file.source.schema().field_with_name(field.name()).ok());
        match own.next() {
            Some(own) => Arc::new(own.clone().with_nullable(field.is_nullable())),
            None => Arc::clone(field),
        }
    };
    Schema::new(schema.fields().iter().map(field).collect::<Fields>())
}

/// Tells whether a column of what is at `location` says that it is protected.
///
/// # Errors
/// As [`Session::register_file`](crate::sql::Session::register_file).
#[cfg(feature = "cli")]
pub(crate) fn is_protected(location: &Path) -> Result<bool> {
    for file in listing::open(location)? {
        let columns = file.source.columns()?;
        if columns.iter().any(|column| column.protected.is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}
