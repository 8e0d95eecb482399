//! Parquet files: every type round-trips, and what is not protected is not touched.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array,
    Int64Array, LargeStringArray, ListArray, RecordBatch, StringArray, StringViewArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int8Type, Int32Type, Int64Type, Schema};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::sandbox::{Sandbox, people, read};

const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
[rules.phone]
format = { type = "digits", keep = [2, 0] }
key = "pii"
[rules.id]
format = { type = "integer", min = -2_000_000_000, max = 2_000_000_000 }
key = "pii"
[rules.by-region]
format = "digits"
key = "pii"
tweak = { column = "region" }
[columns]
"t.utf8" = "phone"
"t.large" = "phone"
"t.view" = "phone"
"t.dict" = "phone"
"t.dict_int" = "id"
"t.i32" = "id"
"t.i64" = "id"
"t.tweaked" = "by-region"
"t.region" = "phone"
"#;

const ROWS: usize = 1000;

fn phone(row: usize) -> Option<String> {
    // NULLs in the column, and values that repeat.
    (row % 7 != 3).then(|| format!("{:02}-{:03}-{:04}", row % 40, row % 90, row * 37 % 10_000))
}

fn number(row: usize) -> Option<i32> {
    // Spread over the whole range of the rule, negative numbers among them.
    (row % 11 != 5).then(|| (row as i32).wrapping_mul(3_999_971) % 2_000_000_000)
}

/// A table of everything: what is protected, in every type it may have, and what is not.
fn table() -> RecordBatch {
    let phones = || (0..ROWS).map(phone);
    // Nine phones and 1,000 rows.
    let dictionary: DictionaryArray<Int32Type> = (0..ROWS)
        .map(|row| phone(row % 9))
        .collect::<Vec<_>>()
        .iter()
        .map(Option::as_deref)
        .collect();
    // NULL among the keys as well as among the values: two different NULLs.
    let keys = (0..ROWS).map(|row| (row % 5 != 2).then_some((row % 3) as i8));
    let numbers = Arc::new(Int64Array::from(vec![Some(1), None, Some(-2_000_000_000)]));
    let dict_int = DictionaryArray::<Int8Type>::try_new(keys.collect(), numbers).unwrap();
    // NULL lists, and NULL elements within lists.
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(
        (0..ROWS).map(|row| (row % 4 != 0).then(|| vec![Some(row as i64), None])),
    );
    let inner: ArrayRef = Arc::new(BooleanArray::from_iter((0..ROWS).map(|row| Some(row % 2 == 0))));
    let nested = StructArray::from(vec![(Arc::new(Field::new("b", DataType::Boolean, true)), inner)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("utf8", Arc::new(StringArray::from_iter(phones()))),
        ("large", Arc::new(LargeStringArray::from_iter(phones()))),
        ("view", Arc::new(StringViewArray::from_iter(phones()))),
        ("dict", Arc::new(dictionary)),
        ("dict_int", Arc::new(dict_int)),
        ("i32", Arc::new(Int32Array::from_iter((0..ROWS).map(number)))),
        (
            "i64",
            Arc::new(Int64Array::from_iter((0..ROWS).map(|row| number(row).map(i64::from)))),
        ),
        (
            "tweaked",
            Arc::new(StringArray::from_iter(
                (0..ROWS).map(|row| Some(format!("{:06}", row % 3))),
            )),
        ),
        (
            "region",
            Arc::new(StringArray::from_iter(
                (0..ROWS).map(|row| Some(format!("{:010}", row % 2))),
            )),
        ),
        (
            "float",
            Arc::new(Float64Array::from_iter(
                (0..ROWS).map(|row| (row % 3 > 0).then_some(row as f64 / 7.0)),
            )),
        ),
        ("day", Arc::new(Date32Array::from_iter_values(0..ROWS as i32))),
        (
            "money",
            Arc::new(
                Decimal128Array::from_iter_values(0..ROWS as i128)
                    .with_precision_and_scale(15, 2)
                    .unwrap(),
            ),
        ),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(0..ROWS as i64).with_timezone("Europe/Vienna")),
        ),
        ("list", Arc::new(list)),
        ("nested", Arc::new(nested)),
        (
            "same",
            Arc::new(StringArray::from_iter(
                (0..ROWS).map(|row| Some(if row % 2 == 0 { "" } else { "ünchanged" })),
            )),
        ),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| {
            let field = Field::new(*name, array.data_type().clone(), true);
            // Metadata of others must survive beside ours.
            field.with_metadata(HashMap::from([("comment".to_owned(), format!("about {name}"))]))
        })
        .collect();
    let schema = Schema::new_with_metadata(fields, HashMap::from([("origin".to_owned(), "a test".to_owned())]));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).unwrap()
}

#[test]
fn every_type_comes_back() {
    let sandbox = Sandbox::new();
    sandbox.policy(POLICY);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        // 1,000 rows are four groups, the last of them short.
        .set_max_row_group_row_count(Some(300))
        .build();
    sandbox.write_with("t.parquet", &table(), properties);
    sandbox.ok(&["protect", "t.parquet", "safe.parquet"]);
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);

    let (schema, plain) = read(&sandbox.path("t.parquet"));
    let (safe_schema, safe) = read(&sandbox.path("safe.parquet"));
    assert_eq!(read(&sandbox.path("back.parquet")), (schema.clone(), plain.clone()));

    for (field, safe_field) in schema.fields().iter().zip(safe_schema.fields()) {
        assert_eq!(
            (field.name(), field.data_type()),
            (safe_field.name(), safe_field.data_type())
        );
        assert_eq!(safe_field.metadata()["comment"], field.metadata()["comment"]);
        let (before, after) = (&plain[field.name().as_str()], &safe[field.name().as_str()]);
        // Logical NULLs: those of a dictionary may be in its values.
        assert_eq!(before.logical_nulls(), after.logical_nulls(), "{}", field.name());
        match safe_field.metadata().get("cipherform") {
            Some(_) => assert_ne!(before, after, "{}", field.name()),
            None => assert_eq!(before, after, "{}", field.name()),
        }
    }
    assert_eq!(safe_schema.metadata()["origin"], "a test");
    let described = safe_schema
        .fields()
        .iter()
        .filter(|field| field.metadata().contains_key("cipherform"));
    assert_eq!(described.count(), 9);

    // Equal values under one rule have equal results, whatever their Arrow type.
    // Or a join between columns of unlike types would find nothing.
    assert_eq!(
        safe["utf8"].as_string::<i32>().value(0),
        safe["large"].as_string::<i64>().value(0)
    );
    assert_eq!(
        safe["utf8"].as_string::<i32>().value(0),
        safe["view"].as_string_view().value(0)
    );
    assert_eq!(
        i64::from(safe["i32"].as_primitive::<Int32Type>().value(0)),
        safe["i64"].as_primitive::<Int64Type>().value(0)
    );
    // A tweak column makes equal values differ, and only with it.
    let tweaked = safe["tweaked"].as_string::<i32>();
    // Rows 0 and 3 have one value and unlike tweaks, rows 0 and 6 have both alike.
    assert_ne!(tweaked.value(0), tweaked.value(3));
    assert_eq!(tweaked.value(0), tweaked.value(6));

    // Row groups, compression.
    let open = |name: &str| SerializedFileReader::new(std::fs::File::open(sandbox.path(name)).unwrap()).unwrap();
    let (before, after) = (open("t.parquet"), open("safe.parquet"));
    assert_eq!(before.metadata().num_row_groups(), 4);
    // Readers plan by row groups, so their boundaries stay.
    for (a, b) in before.metadata().row_groups().iter().zip(after.metadata().row_groups()) {
        assert_eq!(a.num_rows(), b.num_rows());
        assert_eq!(a.column(0).compression(), b.column(0).compression());
    }
}

#[test]
fn a_protected_dictionary_tells_nothing_of_the_old_one() {
    let sandbox = Sandbox::new();
    sandbox.policy(POLICY);
    sandbox.write("t.parquet", &table());
    sandbox.ok(&["protect", "t.parquet", "safe.parquet"]);
    let (_, safe) = read(&sandbox.path("safe.parquet"));
    let dictionary = safe["dict"].as_dictionary::<Int32Type>();
    let values = dictionary.values().as_string::<i32>();
    // No NULL among the values of the new dictionary.
    assert!(values.iter().all(|value| value.is_some()));
    let distinct: std::collections::HashSet<_> = values.iter().collect();
    assert_eq!(distinct.len(), 8, "nine phones, one of them NULL");
}

#[test]
fn a_misfit_in_a_dictionary_is_named_by_its_first_row() {
    let sandbox = Sandbox::new();
    // Twice each, so that the first row of a value and the first misfit are different questions.
    let values = [Some("40-000-0001"), None, Some("40-000-0001"), Some("bad"), Some("bad")];
    let dictionary: DictionaryArray<Int32Type> = values.into_iter().collect();
    let plan = "version = 1\nkeyring = \"keyring.json\"\n[rules.phone]\nformat = \"digits\"\nkey = \"pii\"\n\
                [columns]\ndict = \"phone\"\n";
    sandbox.policy(plan);
    let batch = RecordBatch::try_from_iter([("dict", Arc::new(dictionary) as ArrayRef)]).unwrap();
    sandbox.write("t.parquet", &batch);
    let stderr = sandbox.fails(1, &["protect", "t.parquet", "out.parquet"]);
    // Row 4 of the file, not entry 2 of the dictionary.
    assert!(stderr.contains("column `dict`, row 4: character 1"), "{stderr}");
}

#[test]
fn statistics_are_those_of_what_is_stored() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    let file = SerializedFileReader::new(std::fs::File::open(sandbox.path("safe.parquet")).unwrap()).unwrap();
    let (_, safe) = read(&sandbox.path("safe.parquet"));
    // Computed from what is stored: a minimum of the plaintext would reveal the least value.
    let mut ssns: Vec<&str> = safe["ssn"].as_string::<i32>().iter().flatten().collect();
    ssns.sort_unstable();
    let statistics = file.metadata().row_group(0).column(1).statistics().unwrap();
    assert_eq!(statistics.min_bytes_opt(), Some(ssns[0].as_bytes()));
}

#[test]
fn files_of_no_rows_and_of_one() {
    let sandbox = Sandbox::new();
    // A file without rows has no row group at all.
    for rows in [0, 1] {
        sandbox.write("people.parquet", &people().slice(0, rows));
        sandbox.ok(&["protect", "people.parquet", "safe.parquet", "--force"]);
        sandbox.ok(&["reveal", "safe.parquet", "back.parquet", "--force"]);
        assert_eq!(read(&sandbox.path("back.parquet")).1, people().slice(0, rows));
    }
}

#[test]
fn invalid_values_by_choice_become_null_or_stay() {
    let sandbox = Sandbox::new();
    // One that fits, one that does not, NULL, and empty.
    let ssn = StringArray::from(vec![Some("123-45-6789"), Some("000-00-0000"), None, Some("")]);
    let batch = RecordBatch::try_from_iter_with_nullable([("ssn", Arc::new(ssn) as ArrayRef, true)]).unwrap();
    sandbox.write("people.parquet", &batch);
    let policy = |choice: &str| {
        format!(
            "version = 1\nkeyring = \"keyring.json\"\n[rules.ssn]\nformat = \"us-ssn\"\nkey = \"pii\"\n\
             on_invalid = \"{choice}\"\n[columns]\nssn = \"ssn\"\n"
        )
    };
    sandbox.policy(&policy("null"));
    sandbox.ok(&["protect", "people.parquet", "null.parquet"]);
    let (_, nulled) = read(&sandbox.path("null.parquet"));
    let nulled: Vec<_> = nulled["ssn"]
        .as_string::<i32>()
        .iter()
        .map(|value| value.map(str::len))
        .collect();
    // The misfit is gone, and empty stays empty.
    assert_eq!(nulled, [Some(11), None, None, Some(0)]);

    sandbox.policy(&policy("insecure-keep"));
    let output = sandbox.run(&["protect", "people.parquet", "kept.parquet"]);
    let stderr = crate::sandbox::text(&output.stderr);
    // Counted, so that nobody overlooks it.
    assert!(stderr.contains("insecure-keep\": 1 value"), "{stderr}");
    let (_, kept) = read(&sandbox.path("kept.parquet"));
    assert_eq!(kept["ssn"].as_string::<i32>().value(1), "000-00-0000");
    assert!(sandbox.ok(&["inspect", "kept.parquet"]).contains("insecure-keep"));
    // A value that was kept comes back as it is: it fits neither side.
    sandbox.ok(&["reveal", "kept.parquet", "back.parquet"]);
    assert_eq!(read(&sandbox.path("back.parquet")).1, batch);
}

#[test]
fn unlisted_columns_by_choice_stay_fail_or_go() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let policy =
        |choice: &str| crate::sandbox::POLICY.replace("version = 1", &format!("version = 1\nunlisted = \"{choice}\""));
    sandbox.policy(&policy("error"));
    let stderr = sandbox.fails(1, &["protect", "people.parquet", "out.parquet"]);
    assert!(stderr.contains("column `note`"), "{stderr}");
    sandbox.policy(&policy("drop"));
    sandbox.ok(&["protect", "people.parquet", "out.parquet"]);
    let names: Vec<String> = read(&sandbox.path("out.parquet"))
        .0
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(names, ["id", "ssn", "card"]);
}

#[test]
fn tweak_columns_that_could_not_be_undone_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("t.parquet", &table());
    // Each would have to be revealed before the other.
    let circle = POLICY.replace("\"t.region\" = \"phone\"", "\"t.region\" = \"by-tweaked\"")
        + "[rules.by-tweaked]\nformat = \"digits\"\nkey = \"pii\"\ntweak = { column = \"tweaked\" }\n";
    sandbox.policy(&circle);
    let stderr = sandbox.fails(1, &["protect", "t.parquet", "out.parquet"]);
    assert!(stderr.contains("circle"), "{stderr}");
    sandbox.policy(
        &POLICY
            // The tweak column is gone from the result, so reveal would have nothing to go by.
            .replace("\"t.region\" = \"phone\"\n", "")
            .replace("version = 1", "version = 1\nunlisted = \"drop\""),
    );
    let stderr = sandbox.fails(1, &["protect", "t.parquet", "out.parquet"]);
    assert!(stderr.contains("drops"), "{stderr}");
    // A float has many texts, and reads back as another one elsewhere.
    sandbox.policy(&POLICY.replace("column = \"region\"", "column = \"float\""));
    let stderr = sandbox.fails(1, &["protect", "t.parquet", "out.parquet"]);
    assert!(stderr.contains("not Float64"), "{stderr}");
}

#[test]
fn a_null_tweak_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        "version = 1\nkeyring = \"keyring.json\"\n[rules.r]\nformat = \"digits\"\nkey = \"pii\"\n\
         tweak = { column = \"region\" }\n[columns]\nv = \"r\"\n",
    );
    let write = |values: Vec<Option<&str>>| {
        let region = Arc::new(StringArray::from(vec![Some("a"), None])) as ArrayRef;
        let v = Arc::new(StringArray::from(values)) as ArrayRef;
        let batch = RecordBatch::try_from_iter_with_nullable([("v", v, true), ("region", region, true)]).unwrap();
        sandbox.write("t.parquet", &batch);
    };
    write(vec![Some("1234567"), Some("1234567")]);
    let stderr = sandbox.fails(1, &["protect", "t.parquet", "out.parquet"]);
    assert!(
        stderr.contains("column `v`, row 2: its tweak, column `region`, is NULL"),
        "{stderr}"
    );
    // Where the value is NULL as well, nothing is encrypted and no tweak is needed.
    write(vec![Some("1234567"), None]);
    sandbox.ok(&["protect", "t.parquet", "out.parquet"]);
}
