//! The footer's own entries: what of them may stand in the new file.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use serde_json::{Map, Value, json};

use super::schema::NewLeaf;
use crate::columns::{self, METADATA_KEY};
use crate::{Error, Result};

/// Entries that writers fill from the data of columns: least and greatest record keys, and filters of them; what people
/// wrote in `df.attrs` of pandas and polars.
const FROM_DATA: [&str; 5] = [
    "PANDAS_ATTRS",
    "hoodie_min_record_key",
    "hoodie_max_record_key",
    "org.apache.hudi.bloomfilter",
    "hoodie_bloom_filter_type_code",
];

/// Entries that tell types and names alone.
const OF_TYPES: [&str; 8] = [
    "org.apache.spark.version",
    "org.apache.spark.sql.parquet.row.metadata",
    "org.apache.spark.timeZone",
    "parquet.avro.schema",
    "avro.schema",
    "iceberg.schema",
    "writer.model.name",
    "writer.date.proleptic",
];

/// Marks of the calendar that Spark had before version 3: dates before 1582 have other numbers in it.
const OLD_CALENDAR: [&str; 2] = ["org.apache.spark.legacyDateTime", "org.apache.spark.legacyINT96"];

/// The footer's entries for the new file.
#[derive(Debug, Default)]
pub(super) struct Footer {
    /// Keys and values.
    pub(super) entries: Vec<(String, Option<String>)>,
    /// Notes on them, for a person.
    pub(super) notes: Vec<String>,
}

/// Columns by what becomes of them.
#[derive(Debug)]
pub(super) struct Touched {
    /// Whole columns that are made anew, or of which a field is.
    pub(super) made: BTreeSet<String>,
    /// Whole columns that are left out.
    pub(super) dropped: BTreeSet<String>,
}

impl Touched {
    fn is_empty(&self) -> bool {
        self.made.is_empty() && self.dropped.is_empty()
    }

    fn is_touched(&self, column: &str) -> bool {
        self.made.contains(column) || self.dropped.contains(column)
    }
}

/// The entries of `source` as far as they hold nothing of the columns that are touched, with those that describe
/// `output`.
///
/// # Errors
/// Dates and times of the old calendar in a column that is touched.
pub(super) fn footer(
    source: &ParquetMetaData,
    output: &Schema,
    leaves: &dyn Fn(&Schema) -> Option<Schema>,
    touched: &Touched,
    touches_times: bool,
) -> Result<Footer> {
    let known = source.file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let mut footer = Footer::default();
    if touches_times && known.iter().any(|pair| OLD_CALENDAR.contains(&pair.key.as_str())) {
        return Err(Error::bad_input(
            "dates and times are of the calendar that Spark had before version 3, in which those before 1582 have \
             other numbers",
        )
        .with_hint(
            "write the file anew with Spark 3 or later, spark.sql.parquet.datetimeRebaseModeInWrite=CORRECTED",
        ));
    }
    let mut copied = Vec::new();
    for pair in known {
        match pair.key.as_str() {
            METADATA_KEY => {}
            ARROW_SCHEMA_META_KEY => {
                let schema = arrow_schema(pair.value.as_deref(), output, leaves, touched);
                footer.entries.push((pair.key, Some(encode_arrow_schema(&schema))));
            }
            key => match entry(key, pair.value.as_deref(), touched) {
                FooterEntry::Kept => {
                    if !OF_TYPES.contains(&key) && !OLD_CALENDAR.contains(&key) && key != "pandas" && key != "geo" {
                        copied.push(pair.key.clone());
                    }
                    footer.entries.push((pair.key, pair.value));
                }
                FooterEntry::Changed(value) => footer.entries.push((pair.key, Some(value))),
                FooterEntry::Dropped => {
                    let note = format!("left out of the footer, as it is filled from data: `{key}`");
                    footer.notes.push(note);
                }
            },
        }
    }
    if !copied.is_empty() && !touched.is_empty() {
        footer.notes.push(format!(
            "copied in the footer as it stands, whatever it says: {}",
            copied
                .iter()
                .map(|key| format!("`{key}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    if let Some(description) = columns::file_description(output)? {
        footer.entries.push((METADATA_KEY.to_owned(), Some(description)));
    }
    Ok(footer)
}

/// The Arrow schema that the file says it has: that of the source, with the fields that were made anew.
fn arrow_schema(
    written: Option<&str>,
    output: &Schema,
    leaves: &dyn Fn(&Schema) -> Option<Schema>,
    touched: &Touched,
) -> Schema {
    let written = written
        .and_then(|text| BASE64_STANDARD.decode(text).ok())
        .and_then(|bytes| try_schema_from_ipc_buffer(&bytes).ok());
    let Some(schema) = written.as_ref().and_then(leaves) else {
        return output.clone().with_metadata(std::collections::HashMap::new());
    };
    // It holds the entries of the footer a second time.
    let metadata = schema
        .metadata()
        .iter()
        .filter_map(|(key, value)| match entry(key, Some(value), touched) {
            FooterEntry::Kept if key != METADATA_KEY => Some((key.clone(), value.clone())),
            FooterEntry::Changed(value) => Some((key.clone(), value)),
            FooterEntry::Kept | FooterEntry::Dropped => None,
        });
    let metadata = metadata.collect();
    schema.with_metadata(metadata)
}

enum FooterEntry {
    Kept,
    Changed(String),
    Dropped,
}

fn entry(key: &str, value: Option<&str>, touched: &Touched) -> FooterEntry {
    if touched.is_empty() {
        return FooterEntry::Kept;
    }
    let parsed = || -> Option<Map<String, Value>> { serde_json::from_str(value?).ok() };
    match key {
        _ if FROM_DATA.contains(&key) => FooterEntry::Dropped,
        // Types and names: still true of what is protected, not of what is gone.
        _ if OF_TYPES.contains(&key) && !touched.dropped.is_empty() => FooterEntry::Dropped,
        "pandas" => parsed().map_or(FooterEntry::Dropped, |pandas| {
            FooterEntry::Changed(without_pandas(pandas, touched))
        }),
        "geo" => match parsed() {
            Some(geo) => geo_without(geo, touched),
            None => FooterEntry::Dropped,
        },
        _ => FooterEntry::Kept,
    }
}

/// The entry of pandas without `df.attrs`, which hold what people wrote, and without columns that are gone.
fn without_pandas(mut pandas: Map<String, Value>, touched: &Touched) -> String {
    pandas.remove("attributes");
    let is_gone = |name: Option<&Value>| {
        name.and_then(Value::as_str)
            .is_some_and(|name| touched.dropped.contains(name))
    };
    if let Some(Value::Array(columns)) = pandas.get_mut("columns") {
        columns.retain(|column| !is_gone(column.get("field_name")) && !is_gone(column.get("name")));
    }
    if let Some(Value::Array(index)) = pandas.get_mut("index_columns") {
        index.retain(|column| !is_gone(Some(column)));
    }
    Value::Object(pandas).to_string()
}

/// The entry of GeoParquet without the bounding boxes and columns that were touched.
fn geo_without(mut geo: Map<String, Value>, touched: &Touched) -> FooterEntry {
    let primary = geo.get("primary_column").and_then(Value::as_str).map(str::to_owned);
    if primary.is_some_and(|primary| touched.is_touched(&primary)) {
        return FooterEntry::Dropped;
    }
    let Some(Value::Object(columns)) = geo.get_mut("columns") else {
        return FooterEntry::Dropped;
    };
    columns.retain(|name, _| !touched.is_touched(name));
    FooterEntry::Changed(json!(geo).to_string())
}

/// The columns that every row group says it is sorted by, up to the first that is touched, by their new numbers.
pub(super) fn sorting_columns(
    source: &ParquetMetaData,
    leaves: &[NewLeaf],
    made: &[bool],
) -> Option<Vec<SortingColumn>> {
    let mut groups = source.row_groups().iter().map(|group| group.sorting_columns());
    let first = groups.next()??;
    // One setting for all row groups of a file.
    if !groups.all(|other| other == Some(first)) {
        return None;
    }
    let is_gone = |at: usize| matches!(leaves.get(at), Some(NewLeaf::Dropped) | None);
    let mut kept = Vec::new();
    for column in first {
        let at = usize::try_from(column.column_idx).ok()?;
        if is_gone(at) || made.get(at).copied().unwrap_or(true) {
            break;
        }
        let before = (0..at).filter(|before| is_gone(*before)).count();
        kept.push(SortingColumn {
            column_idx: i32::try_from(at - before).ok()?,
            ..*column
        });
    }
    (!kept.is_empty()).then_some(kept)
}

/// `schema` with these fields in place of its leaves; `None` if it has other leaves than `made` was made for.
pub(super) fn with_made(
    schema: &Schema,
    paths: &[String],
    made: &[Option<FieldRef>],
    dropped: &[bool],
    distinct: &dyn Fn(usize) -> u64,
) -> Option<Schema> {
    if columns::leaf_paths(schema) != paths {
        return None;
    }
    Some(columns::with_leaves(schema, &mut |at, field| match &made[at] {
        _ if dropped[at] => None,
        Some(made) => Some(with_keys(made, field.data_type(), &|| distinct(at))),
        None => Some(Arc::clone(field)),
    }))
}

/// `made` with the dictionary keys of the type `before`, unless `distinct` values need wider ones: then other readers
/// could not read the source either.
fn with_keys(made: &FieldRef, before: &DataType, distinct: &dyn Fn() -> u64) -> FieldRef {
    let (DataType::Dictionary(_, values), DataType::Dictionary(key, _)) = (made.data_type(), before) else {
        return Arc::clone(made);
    };
    let most = match key.as_ref() {
        DataType::Int8 => i8::MAX as u64,
        DataType::UInt8 => u64::from(u8::MAX),
        DataType::Int16 => i16::MAX as u64,
        DataType::UInt16 => u64::from(u16::MAX),
        _ => return Arc::clone(made),
    };
    if distinct() > most {
        return Arc::clone(made);
    }
    let narrow = DataType::Dictionary(key.clone(), values.clone());
    Arc::new(made.as_ref().clone().with_data_type(narrow))
}
