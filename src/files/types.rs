//! The types of a new file: those that readers of the source saw.
//!
//! Arrow has types that Parquet lacks, and a file that was made from Arrow says in its metadata which it was. The crate
//! `parquet` writes some of them as plain numbers, which only it reads as what they were; others read them as `DATE` or
//! `TIMESTAMP` before, and have to go on doing so.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter};
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor, Type};

/// The Parquet schema for `output`, in which the dates of `source` stay dates: Arrow's dates in milliseconds would
/// become plain numbers.
pub(super) fn parquet_schema(output: &Schema, source: &SchemaDescriptor) -> Result<SchemaDescriptor, ParquetError> {
    let plain = ArrowSchemaConverter::new().convert(output)?;
    let dates: HashSet<Vec<String>> = source
        .columns()
        .iter()
        .filter(|column| is_date(column))
        .map(|column| path(column))
        .collect();
    if dates.is_empty() {
        return Ok(plain);
    }
    let in_days: Vec<FieldRef> = output.fields().iter().map(in_days).collect();
    let in_days = ArrowSchemaConverter::new().convert(&Schema::new(in_days))?;
    // Both have the same columns in the same order.
    let mut chosen = plain.columns().iter().zip(in_days.columns()).map(|(plain, in_days)| {
        let column = if dates.contains(&path(plain)) { in_days } else { plain };
        column.self_type_ptr()
    });
    let root = with_leaves(plain.root_schema(), &mut chosen)?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

fn is_date(column: &ColumnDescriptor) -> bool {
    column.physical_type() == PhysicalType::INT32
        && (column.logical_type_ref() == Some(&LogicalType::Date) || column.converted_type() == ConvertedType::DATE)
}

/// The path of a column; writers have several names for what is in a list.
fn path(column: &ColumnDescriptor) -> Vec<String> {
    let parts = column.path().parts();
    let mut path = parts.to_vec();
    for at in 1..parts.len() {
        if parts[at - 1] == "list" {
            "element".clone_into(&mut path[at]);
        }
    }
    path
}

/// `field` with dates in days in place of those in milliseconds.
fn in_days(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Date64 => DataType::Date32,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(in_days).collect()),
        DataType::List(element) => DataType::List(in_days(element)),
        DataType::LargeList(element) => DataType::LargeList(in_days(element)),
        DataType::ListView(element) => DataType::ListView(in_days(element)),
        DataType::LargeListView(element) => DataType::LargeListView(in_days(element)),
        DataType::FixedSizeList(element, n) => DataType::FixedSizeList(in_days(element), *n),
        DataType::Map(entries, sorted) => DataType::Map(in_days(entries), *sorted),
        // In Parquet these are columns of what they hold.
        DataType::Dictionary(_, values) if **values == DataType::Date64 => DataType::Date32,
        DataType::RunEndEncoded(_, values) if *values.data_type() == DataType::Date64 => DataType::Date32,
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// `group` with these leaves in place of its own.
fn with_leaves(group: &Type, leaves: &mut impl Iterator<Item = Arc<Type>>) -> Result<Type, ParquetError> {
    let mut fields = Vec::with_capacity(group.get_fields().len());
    for field in group.get_fields() {
        fields.push(if field.is_group() {
            Arc::new(with_leaves(field, leaves)?)
        } else {
            leaves.next().unwrap_or_else(|| Arc::clone(field))
        });
    }
    let info = group.get_basic_info();
    let mut builder = Type::group_type_builder(group.name())
        .with_fields(fields)
        .with_converted_type(info.converted_type())
        .with_logical_type(info.logical_type_ref().cloned())
        .with_id(info.has_id().then(|| info.id()));
    if info.has_repetition() {
        builder = builder.with_repetition(info.repetition());
    }
    builder.build()
}

/// `read`, as what a file is read, with the zones of timestamps that were seconds in Arrow: Parquet has them in
/// milliseconds, and then the crate `parquet` takes none but UTC. `None` if there are no such.
pub(super) fn with_zones(read: &Schema, file: &ParquetMetaData) -> Option<Schema> {
    let key_values = file.file_metadata().key_value_metadata()?;
    let encoded = key_values.iter().find(|pair| pair.key == ARROW_SCHEMA_META_KEY)?;
    let bytes = BASE64_STANDARD.decode(encoded.value.as_ref()?).ok()?;
    let written = try_schema_from_ipc_buffer(&bytes).ok()?;
    // The note is not of this file's columns; what stands in the file counts.
    if written.fields().len() != read.fields().len() {
        return None;
    }
    let mut found = false;
    let pairs = read.fields().iter().zip(written.fields());
    let fields: Vec<FieldRef> = pairs.map(|(read, written)| zoned(read, written, &mut found)).collect();
    found.then(|| Schema::new_with_metadata(fields, read.metadata().clone()))
}

fn zoned(read: &FieldRef, written: &Field, found: &mut bool) -> FieldRef {
    let data_type = match (read.data_type(), written.data_type()) {
        (DataType::Timestamp(unit, Some(utc)), DataType::Timestamp(TimeUnit::Second, Some(zone)))
            // Only where the reader has lost the zone; a zone that it knows is left alone.
            if *unit != TimeUnit::Second && utc != zone =>
        {
            *found = true;
            DataType::Timestamp(*unit, Some(Arc::clone(zone)))
        }
        (DataType::Struct(fields), DataType::Struct(written)) if fields.len() == written.len() => {
            let pairs = fields.iter().zip(written);
            DataType::Struct(pairs.map(|(field, written)| zoned(field, written, found)).collect())
        }
        (DataType::List(element), DataType::List(written)) => DataType::List(zoned(element, written, found)),
        (DataType::LargeList(element), DataType::LargeList(written)) => {
            DataType::LargeList(zoned(element, written, found))
        }
        _ => return Arc::clone(read),
    };
    Arc::new(read.as_ref().clone().with_data_type(data_type))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    use arrow::array::{Array, ArrayRef, AsArray, Date64Array, Int64Array, RecordBatch, StringArray};
    use arrow::array::{FixedSizeListArray, ListArray, StructArray, TimestampMillisecondArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::compute::cast;
    use arrow::datatypes::{Fields, Int64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::arrow::{ArrowWriter, encode_arrow_schema};
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;

    use super::super::{Job, Source};
    use super::*;
    use crate::Engine;
    use crate::columns::RevealOptions;
    use crate::keys::{KeyUse, Keyring, KmsRegistry};
    use crate::kms::MemoryKms;
    use crate::policy::Policy;

    const DAY: i64 = 86_400_000;

    const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
[rules.day]
format = "date"
key = "pii"
insecure_small_domain = "a test"
[rules.visit]
treatment = "shift"
format = "date"
key = "pii"
entity = "who"
[columns]
born = "day"
"in.day" = "day"
"days[]" = "day"
seen = "visit"
coded = "day"
"#;

    fn dates() -> ArrayRef {
        Arc::new(Date64Array::from(vec![
            Some(0),
            None,
            Some(-3 * DAY),
            Some(10_957 * DAY),
        ]))
    }

    fn batch() -> RecordBatch {
        let day = |name: &str| Arc::new(Field::new(name, DataType::Date64, true));
        let within = StructArray::new(Fields::from(vec![day("day")]), vec![dates()], None);
        let lists = ListArray::new(day("item"), OffsetBuffer::from_lengths([1, 0, 2, 1]), dates(), None);
        let pairs = FixedSizeListArray::new(day("item"), 1, dates(), None);
        let coded = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Date64));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("who", Arc::new(StringArray::from(vec!["ann", "bob", "ann", "eve"]))),
            ("born", dates()),
            ("seen", dates()),
            ("kept", dates()),
            ("in", Arc::new(within)),
            ("days", Arc::new(lists)),
            ("pairs", Arc::new(pairs)),
            ("coded", cast(&dates(), &coded).unwrap()),
            ("n", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    fn write(path: &Path, batch: &RecordBatch, properties: WriterProperties) {
        let file = std::fs::File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    }

    fn read(path: &Path) -> RecordBatch {
        let file = std::fs::File::open(path).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.next().unwrap().unwrap()
    }

    /// The view of a reader that does not know Arrow.
    fn seen(path: &Path) -> Vec<(String, PhysicalType, Option<LogicalType>)> {
        let source = Source::open(path).unwrap();
        let columns = source.parquet().file_metadata().schema_descr().columns().iter();
        columns
            .map(|column| {
                (
                    self::path(column).join("."),
                    column.physical_type(),
                    column.logical_type_ref().cloned(),
                )
            })
            .collect()
    }

    #[tokio::test]
    async fn readers_see_dates_where_they_saw_dates() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
        let policy = Policy::parse(POLICY, &path("policy.toml")).unwrap();
        let kms = "memory:main".parse().unwrap();
        let mut keyring = Keyring::create(&policy.keyring, &kms, &registry).await.unwrap();
        keyring
            .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
            .await
            .unwrap();
        let engine = Engine::new(policy, keyring);
        let (plain, protected, revealed) = (path("t.parquet"), path("p.parquet"), path("r.parquet"));
        // As others write Arrow's dates in milliseconds, and as the crate `parquet` does.
        for coerced in [true, false] {
            write(
                &plain,
                &batch(),
                WriterProperties::builder().set_coerce_types(coerced).build(),
            );
            let found = seen(&plain);
            let dates = found
                .iter()
                .filter(|(_, _, logical)| *logical == Some(LogicalType::Date));
            assert_eq!(dates.count(), if coerced { 7 } else { 0 });
            let go_on = AtomicBool::new(false);
            let job = Job::protect(&engine, &plain, None).await.unwrap();
            job.run(&protected, true, &go_on, &mut |_| {}).await.unwrap();
            let job = Job::reveal(&engine, &protected, None, RevealOptions::default())
                .await
                .unwrap();
            job.run(&revealed, true, &go_on, &mut |_| {}).await.unwrap();
            assert_eq!(seen(&protected), found);
            assert_eq!(seen(&revealed), found);
            assert_eq!(read(&revealed).columns(), read(&plain).columns());
            for column in ["born", "seen", "in", "days", "coded"] {
                let columns = [&protected, &plain].map(|path| read(path).column_by_name(column).unwrap().clone());
                assert_ne!(columns[0].to_data(), columns[1].to_data(), "{column}");
            }
        }
    }

    #[test]
    fn zones_of_seconds_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let zone = |unit, zone: &str| DataType::Timestamp(unit, Some(zone.into()));
        let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![5_000, -1_000]).with_timezone("UTC"));
        let batch = RecordBatch::try_from_iter([("at", at)]).unwrap();
        // pyarrow writes seconds as milliseconds, and notes that they were seconds in Warsaw.
        let noted = Schema::new(vec![Field::new("at", zone(TimeUnit::Second, "Europe/Warsaw"), true)]);
        let noted = KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(&noted));
        let file = std::fs::File::create(&path).unwrap();
        let options = parquet::arrow::arrow_writer::ArrowWriterOptions::new()
            .with_skip_arrow_metadata(true)
            .with_properties(
                WriterProperties::builder()
                    .set_key_value_metadata(Some(vec![noted]))
                    .build(),
            );
        let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let source = Source::open(&path).unwrap();
        assert_eq!(
            source.schema().field(0).data_type(),
            &zone(TimeUnit::Millisecond, "Europe/Warsaw")
        );
        let rows = source.read(0).unwrap().next().unwrap().unwrap();
        let rows = arrow::compute::cast(rows.column(0), &DataType::Int64).unwrap();
        assert_eq!(rows.as_primitive::<Int64Type>().values(), &[5_000, -1_000]);
    }
}
