//! The Parquet schema of a new file, and the Arrow schema that a file is read with.
//!
//! The new file has the schema of its source, so that every mark of a column that nobody touched (INTERVAL, UUID, JSON,
//! field ids, forms of lists) is what it was. Only leaves that cannot be written as they were have other types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter};
use parquet::basic::{LogicalType, Repetition, TimeUnit as ParquetUnit, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor, Type, TypePtr};

/// The form of a source's leaf in the new file.
#[derive(Clone, Debug)]
pub(super) enum NewLeaf {
    /// Of the same type.
    Same,
    /// Not there.
    Dropped,
    /// Of this type.
    Typed(TypePtr),
}

/// The schema of `source` with these leaves.
///
/// # Errors
/// None that a source's schema can cause.
pub(super) fn with_leaves(source: &SchemaDescriptor, leaves: Vec<NewLeaf>) -> Result<SchemaDescriptor, ParquetError> {
    let mut leaves = leaves.into_iter();
    let mut fields = Vec::new();
    for field in source.root_schema().get_fields() {
        fields.extend(with_leaves_of(field, &mut leaves)?);
    }
    let root = Type::group_type_builder(source.root_schema().name()).with_fields(fields);
    Ok(SchemaDescriptor::new(Arc::new(root.build()?)))
}

fn with_leaves_of(
    field: &TypePtr,
    leaves: &mut impl Iterator<Item = NewLeaf>,
) -> Result<Option<TypePtr>, ParquetError> {
    if !field.is_group() {
        return Ok(match leaves.next() {
            Some(NewLeaf::Typed(new)) => Some(new),
            Some(NewLeaf::Same) => Some(Arc::clone(field)),
            Some(NewLeaf::Dropped) | None => None,
        });
    }
    let mut fields = Vec::with_capacity(field.get_fields().len());
    for child in field.get_fields() {
        fields.extend(with_leaves_of(child, leaves)?);
    }
    if fields.is_empty() {
        return Ok(None);
    }
    let info = field.get_basic_info();
    let group = Type::group_type_builder(field.name())
        .with_fields(fields)
        .with_repetition(info.repetition())
        .with_converted_type(info.converted_type())
        .with_logical_type(info.logical_type_ref().cloned())
        .with_id(info.has_id().then(|| info.id()));
    Ok(Some(Arc::new(group.build()?)))
}

/// The type that a transform's result is written with, in place of the leaf `column`.
///
/// # Errors
/// An Arrow type that Parquet has nothing for.
pub(super) fn new_leaf(
    column: &ColumnDescriptor,
    before: &DataType,
    after: &DataType,
) -> Result<NewLeaf, ParquetError> {
    let name = column.name();
    let old = column.self_type();
    let repetition = old.get_basic_info().repetition();
    let id = old.get_basic_info().has_id().then(|| old.get_basic_info().id());
    if column.physical_type() == PhysicalType::INT96 {
        // INT96 is not written any more. It was an instant, whatever its readers make of it.
        let unit = match after {
            DataType::Timestamp(TimeUnit::Nanosecond, _) => ParquetUnit::NANOS,
            _ => ParquetUnit::MICROS,
        };
        let instant = LogicalType::timestamp(true, unit);
        let leaf = Type::primitive_type_builder(name, PhysicalType::INT64)
            .with_logical_type(Some(instant))
            .with_repetition(repetition)
            .with_id(id);
        return Ok(NewLeaf::Typed(Arc::new(leaf.build()?)));
    }
    if before == after {
        return Ok(NewLeaf::Same);
    }
    let field = Field::new(name, after.clone(), repetition == Repetition::OPTIONAL);
    let converted = ArrowSchemaConverter::new().convert(&Schema::new(vec![field]))?;
    let new = converted.column(0);
    let new = new.self_type();
    let leaf = Type::primitive_type_builder(name, new.get_physical_type())
        .with_logical_type(new.get_basic_info().logical_type_ref().cloned())
        .with_converted_type(new.get_basic_info().converted_type())
        .with_length(length(new))
        .with_precision(precision(new))
        .with_scale(scale(new))
        .with_repetition(repetition)
        .with_id(id);
    Ok(NewLeaf::Typed(Arc::new(leaf.build()?)))
}

fn length(leaf: &Type) -> i32 {
    match leaf {
        Type::PrimitiveType { type_length, .. } => *type_length,
        Type::GroupType { .. } => -1,
    }
}

fn precision(leaf: &Type) -> i32 {
    match leaf {
        Type::PrimitiveType { precision, .. } => *precision,
        Type::GroupType { .. } => -1,
    }
}

fn scale(leaf: &Type) -> i32 {
    match leaf {
        Type::PrimitiveType { scale, .. } => *scale,
        Type::GroupType { .. } => -1,
    }
}

/// The number of Parquet's leaves in a column or field of Arrow's type.
pub(super) fn parquet_leaves(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| parquet_leaves(field.data_type())).sum(),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _)
        | DataType::Map(element, _) => parquet_leaves(element.data_type()),
        DataType::Dictionary(_, values) => parquet_leaves(values),
        DataType::RunEndEncoded(_, values) => parquet_leaves(values.data_type()),
        _ => 1,
    }
}

/// `read` with other types for some of its leaves, which `wanted` gives by the number of the Parquet leaf; `None` if
/// there are none.
pub(super) fn retyped(read: &Schema, wanted: &dyn Fn(usize, &DataType) -> Option<DataType>) -> Option<Schema> {
    let (mut leaf, mut found) = (0, false);
    let fields: Vec<FieldRef> = read
        .fields()
        .iter()
        .map(|field| retyped_field(field, wanted, &mut leaf, &mut found))
        .collect();
    found.then(|| Schema::new_with_metadata(fields, read.metadata().clone()))
}

fn retyped_field(
    field: &FieldRef,
    wanted: &dyn Fn(usize, &DataType) -> Option<DataType>,
    leaf: &mut usize,
    found: &mut bool,
) -> FieldRef {
    let mut within = |field: &FieldRef| retyped_field(field, wanted, leaf, found);
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(within).collect()),
        DataType::List(element) => DataType::List(within(element)),
        DataType::LargeList(element) => DataType::LargeList(within(element)),
        DataType::FixedSizeList(element, n) => DataType::FixedSizeList(within(element), *n),
        DataType::Map(entries, sorted) => DataType::Map(within(entries), *sorted),
        other => {
            let new = wanted(*leaf, other);
            *leaf += parquet_leaves(other);
            match new {
                None => return Arc::clone(field),
                Some(new) => {
                    *found = true;
                    new
                }
            }
        }
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
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
                    column.path().string(),
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
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(source.handle().unwrap(), source.reader().clone());
        let rows = reader.build().unwrap().next().unwrap().unwrap();
        let rows = arrow::compute::cast(rows.column(0), &DataType::Int64).unwrap();
        assert_eq!(rows.as_primitive::<Int64Type>().values(), &[5_000, -1_000]);
    }
}
