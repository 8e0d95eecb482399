//! Every type of column goes there and back, and strings that nobody meant give an error or a value.

mod ordinal;
mod shapes;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, Date64Array, FixedSizeListArray, Int8Array, Int16Array,
    Int32Array, LargeBinaryArray, LargeListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use tempfile::TempDir;

use super::task::CHUNK;
use super::*;
use crate::Result;
use crate::cipher::Direction;
use crate::keys::{KeyUse, Keyring, KmsRegistry};
use crate::kms::MemoryKms;
use crate::policy::Policy;
use crate::transform::Transform;
use crate::{Engine, ErrorKind};

/// An engine with these rules, all under one key.
async fn engine(rules: &str) -> (Engine, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let policy = format!("version = 1\nkeyring = \"keyring.json\"\n{rules}");
    let policy = Policy::parse(&policy, &folder.path().join("policy.toml")).unwrap();
    let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
    let kms = "memory:main".parse().unwrap();
    let mut keyring = Keyring::create(&policy.keyring, &kms, &registry).await.unwrap();
    keyring
        .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
        .await
        .unwrap();
    (Engine::new(policy, keyring), folder)
}

fn rule(name: &str, rest: &str) -> String {
    format!("[rules.{name}]\nkey = \"pii\"\n{rest}\n")
}

async fn transform(engine: &Engine, rule: &str, direction: Direction) -> Arc<Transform> {
    engine.resolve(&rule.parse().unwrap(), direction).await.unwrap()
}

const DAY: i64 = 86_400_000;

#[tokio::test]
async fn types_that_few_have() {
    // Small domains are accepted here: narrow types have few values, and the floor is not what is tested.
    let rules = [
        ("day", "format = \"date\""),
        (
            "tiny",
            "format = { type = \"integer\", min = 0, max = 120 }\ninsecure_small_domain = \"a test\"",
        ),
        (
            "small",
            "format = { type = \"integer\", min = 0, max = 32_000 }\ninsecure_small_domain = \"a test\"",
        ),
        ("seconds", "format = { type = \"timestamp\", resolution = \"s\" }"),
        ("nanoseconds", "format = { type = \"timestamp\", resolution = \"ns\" }"),
        ("sealed", "treatment = \"siv\""),
        ("hashed", "treatment = \"hash\""),
    ]
    .map(|(name, rest)| rule(name, rest))
    .concat();
    let (engine, _folder) = engine(&rules).await;
    // Not UTF-8, and with a zero byte: bytes are no text.
    let bytes: [Option<&[u8]>; 3] = [Some(b"one"), None, Some(b"\xff\0")];
    let cases: Vec<(&str, ArrayRef)> = vec![
        (
            "day",
            // Negative days: division towards zero would move dates before 1970 by one.
            Arc::new(Date64Array::from(vec![Some(0), None, Some(-400 * DAY)])),
        ),
        ("tiny", Arc::new(Int8Array::from(vec![Some(0), None, Some(120)]))),
        ("tiny", Arc::new(UInt8Array::from(vec![Some(7), None, Some(120)]))),
        ("small", Arc::new(Int16Array::from(vec![Some(32_000), None, Some(1)]))),
        ("small", Arc::new(UInt16Array::from(vec![Some(32_000), None, Some(1)]))),
        ("small", Arc::new(Int32Array::from(vec![Some(5), None, Some(1)]))),
        (
            "seconds",
            Arc::new(TimestampSecondArray::from(vec![Some(-5), None, Some(1 << 30)])),
        ),
        (
            "seconds",
            // A zone must come back with the type, and change no value.
            Arc::new(TimestampSecondArray::from(vec![Some(-5), None, Some(9)]).with_timezone("+01:00")),
        ),
        (
            "seconds",
            Arc::new(TimestampMillisecondArray::from(vec![Some(-5_000), None, Some(9_000)])),
        ),
        (
            "seconds",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(-5_000_000), None, Some(0)])),
        ),
        (
            "seconds",
            Arc::new(TimestampNanosecondArray::from(vec![
                Some(-5_000_000_000),
                None,
                Some(0),
            ])),
        ),
        (
            "nanoseconds",
            Arc::new(TimestampNanosecondArray::from(vec![Some(-1), None, Some(7)])),
        ),
        ("sealed", Arc::new(BinaryArray::from_iter(bytes))),
        ("sealed", Arc::new(LargeBinaryArray::from_iter(bytes))),
        ("sealed", Arc::new(BinaryViewArray::from_iter(bytes))),
        ("hashed", Arc::new(LargeBinaryArray::from_iter(bytes))),
        ("hashed", Arc::new(BinaryViewArray::from_iter(bytes))),
    ];
    for (rule, array) in cases {
        let what = format!("{rule} of {}", array.data_type());
        let protect = transform(&engine, rule, Direction::Encrypt).await;
        let done = apply(Task::new(&protect, Direction::Encrypt, "c"), &array, None).expect(&what);
        assert_eq!(done.array.data_type(), array.data_type());
        assert_ne!(&done.array, &array, "{what}");
        assert_eq!(done.array.nulls(), array.nulls(), "{what}");
        if protect.rule().treatment.is_one_way() {
            continue;
        }
        let reveal = transform(&engine, rule, Direction::Decrypt).await;
        let back = apply(Task::new(&reveal, Direction::Decrypt, "c"), &done.array, None).expect(&what);
        assert_eq!(&back.array, &array, "{what}");
    }
}

#[tokio::test]
async fn lists_that_few_have() {
    let lines = "[columns]\n\"large[]\" = \"phone\"\n\"fixed[]\" = \"phone\"\n";
    let (engine, _folder) = engine(&format!("{}{lines}", rule("phone", "format = \"digits\""))).await;
    let texts: ArrayRef = Arc::new(StringArray::from(vec![
        Some("555-010-0100"),
        None,
        Some("1234567"),
        Some("555-010-0199"),
    ]));
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    // Three elements and one: a fixed length could not be told from these.
    let offsets = OffsetBuffer::from_lengths([3, 1]);
    let large = LargeListArray::new(Arc::clone(&item), offsets, Arc::clone(&texts), None);
    let fixed = FixedSizeListArray::new(item, 2, texts, None);
    let columns: [(&str, ArrayRef); 2] = [("large", Arc::new(large)), ("fixed", Arc::new(fixed))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let plan = BatchPlan::protect(&engine, "t", &batch.schema()).await.unwrap();
    let protected = plan.apply(&batch, 0).await.unwrap();
    assert!(
        protected
            .columns()
            .iter()
            .zip(batch.columns())
            .all(|(one, other)| one != other)
    );
    let plan = BatchPlan::reveal(&engine, "t", &protected.schema(), RevealOptions::default()).await;
    assert_eq!(plan.unwrap().apply(&protected, 0).await.unwrap(), batch);
}

/// Strings that were trouble somewhere, once.
const CORPUS: &str = include_str!("../../../tests/vectors/ours/hostile.json");

/// As `tests/hostile.rs`, but by way of arrays, whose kernels take most rows, and with values that do not fit as
/// errors.
#[tokio::test]
async fn hostile_strings_give_an_error_or_a_value() {
    let corpus: Vec<String> = serde_json::from_str(CORPUS).unwrap();
    let formats = [
        "\"digits\"",
        "{ type = \"digits\", keep = [1, 1] }",
        "{ type = \"digits\", output = \"0123456789ABC\" }",
        "\"alphanumeric\"",
        "{ type = \"alphabet\", symbols = \"αβγδεζηθ\" }",
        "\"hex\"",
        "\"pan\"",
        "\"iban\"",
        "\"email\"",
        "\"text\"",
        "\"name\"",
        "\"phone\"",
        "{ type = \"template\", pattern = \"AA-99999\" }",
        "{ type = \"template\", pattern = \"9{8}\", check = \"luhn\" }",
        "\"us-ssn\"",
        "\"uuid\"",
        "\"ipv4\"",
        "\"ipv6\"",
        "\"mac\"",
        "\"base64url\"",
        "\"vin\"",
        "\"npi\"",
        "\"date\"",
        "\"timestamp\"",
        "{ type = \"integer\", min = 0, max = 9_999_999 }",
        "{ type = \"decimal\", min = 0, max = 9_999_999, scale = 2 }",
    ];
    let rules: String = formats
        .iter()
        .enumerate()
        .map(|(at, format)| {
            let format = format!("format = {format}\ndomain = \"d{at}\"");
            rule(&format!("e{at}"), &format) + &rule(&format!("n{at}"), &format!("{format}\non_invalid = \"null\""))
        })
        .collect();
    let (engine, _folder) = engine(&rules).await;
    // What fits stands among what does not, so that whole batches take each way there is.
    let mut rows: Vec<String> = corpus;
    for fits in [
        "4111111111111111",
        "555-010-0100",
        "deadbeef",
        "Ann O'Neil",
        "CB-12345",
        "1999-12-31",
    ] {
        rows.push(fits.to_owned());
        rows.push(format!("{fits} "));
        rows.push(format!("{fits}\u{301}"));
    }
    let all: ArrayRef = Arc::new(StringArray::from_iter_values(&rows));
    for (at, format) in formats.iter().enumerate() {
        let [strict, lenient] = ["e", "n"].map(|kind| format!("{kind}{at}"));
        let protect = transform(&engine, &lenient, Direction::Encrypt).await;
        let reveal = transform(&engine, &lenient, Direction::Decrypt).await;
        // The three text layouts have code of their own.
        for data_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
            let array = cast(&all, &data_type).unwrap();
            let done = apply(Task::new(&protect, Direction::Encrypt, "c"), &array, None)
                .unwrap()
                .array;
            let back = apply(Task::new(&reveal, Direction::Decrypt, "c"), &done, None)
                .unwrap()
                .array;
            let back = cast(&back, &DataType::Utf8).unwrap();
            for (row, back) in back.as_string::<i32>().iter().enumerate() {
                assert_eq!(back.is_some(), done.is_valid(row), "{format}, row {row}");
                assert!(back.is_none_or(|back| back == rows[row]), "{format}, row {row}");
            }
            // What nobody protected is an error or a value, too.
            for row in 0..rows.len() {
                match apply(Task::new(&reveal, Direction::Decrypt, "c"), &array.slice(row, 1), None) {
                    Ok(one) => assert!(one.array.is_valid(0), "{format}, row {row}"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::BadInput, "{format}, row {row}"),
                }
            }

            // With errors, the first row that became NULL is the one that is named; and its value is not.
            let strict = transform(&engine, &strict, Direction::Encrypt).await;
            let result = apply(Task::new(&strict, Direction::Encrypt, "c"), &array, None);
            match (0..rows.len()).find(|row| done.is_null(*row)) {
                None => assert_eq!(&result.unwrap().array, &done, "{format}"),
                // Rows count from 1 in messages.
                Some(row) => {
                    let error = result.unwrap_err();
                    let text = format!("{error} {}", error.hint().map(ToString::to_string).unwrap_or_default());
                    assert_eq!(error.kind(), ErrorKind::BadInput, "{format}: {text}");
                    assert!(
                        text.starts_with(&format!("column `c`, row {}: ", row + 1)),
                        "{format}: {text}"
                    );
                    // Short values may occur in a message by chance, as numbers do.
                    let value = &rows[row];
                    assert!(
                        value.chars().count() < 8 || !text.contains(value.as_str()),
                        "{format}: {text}"
                    );
                }
            }
        }
        // Each alone, so that no other row decides what way it goes.
        let protect = transform(&engine, &strict, Direction::Encrypt).await;
        let reveal = transform(&engine, &strict, Direction::Decrypt).await;
        for row in 0..rows.len() {
            let alone = all.slice(row, 1);
            if let Ok(done) = apply(Task::new(&protect, Direction::Encrypt, "c"), &alone, None) {
                let back = apply(Task::new(&reveal, Direction::Decrypt, "c"), &done.array, None);
                assert_eq!(&back.unwrap().array, &alone, "{format}, row {row}");
            }
        }
    }
}

#[tokio::test]
async fn hints_offer_what_the_rule_takes() {
    let rules = [
        ("digits", "format = \"digits\""),
        ("banded", "format = \"digits\"\non_short = \"band\""),
        ("accepted", "format = \"digits\"\ninsecure_small_domain = \"a test\""),
        ("marked", "format = \"digits\"\nversion_character = true"),
        ("widened", "format = { type = \"digits\", output = \"0123456789ABC\" }"),
        ("parted", "format = \"text\"\non_short = \"band\""),
        (
            "century",
            "format = { type = \"date\", min = 1900-01-01, max = 1999-12-31 }",
        ),
        ("numbers", "format = { type = \"integer\", min = 0, max = 9_999_999 }"),
        (
            "legacy",
            "treatment = \"encrypt-legacy\"\nformat = \"digits\"\ntweak = { column = \"k\" }\ninsecure_legacy = \"a \
             test\"",
        ),
        (
            "old-dates",
            "treatment = \"encrypt-legacy\"\nformat = \"date\"\ntweak = { column = \"k\" }\ninsecure_legacy = \"a \
             test\"",
        ),
    ]
    .map(|(name, rest)| rule(name, rest))
    .concat();
    let (engine, _folder) = engine(&rules).await;
    let refusal = async |rule: &str, value: &str| {
        let protect = transform(&engine, rule, Direction::Encrypt).await;
        let array: ArrayRef = Arc::new(StringArray::from(vec![value]));
        let error = apply(Task::new(&protect, Direction::Encrypt, "c"), &array, None).unwrap_err();
        error.hint().unwrap().to_string()
    };
    let short = refusal("digits", "12345").await;
    assert!(
        short.contains("on_short") && short.contains("insecure_small_domain"),
        "{short}"
    );
    let short = refusal("accepted", "1").await;
    assert!(
        short.contains("on_short") && !short.contains("insecure_small_domain"),
        "{short}"
    );
    let short = refusal("parted", "Bo 7").await;
    assert!(
        !short.contains("on_short") && short.contains("on_invalid = \"null\""),
        "{short}"
    );
    assert!(refusal("digits", "123456x").await.contains("insecure-keep"));
    assert!(refusal("banded", "123456x").await.contains("insecure-keep"));
    for rule in ["marked", "widened"] {
        let hint = refusal(rule, "123456x").await;
        assert!(!hint.contains("insecure-keep") && hint.contains("\"null\""), "{hint}");
    }

    // A message is only of use if its row is that of the file, not of the batch.
    // Rows count from 1, wherever a batch begins, and rows whose value is NULL as well.
    let protect = transform(&engine, "legacy", Direction::Encrypt).await;
    let values: ArrayRef = Arc::new(StringArray::from(vec![None, Some("1234567"), Some("1234567")]));
    let tweaks: ArrayRef = Arc::new(StringArray::from(vec!["", "seventy", "short"]));
    let task = Task::new(&protect, Direction::Encrypt, "c").after(100);
    let error = apply(task, &values, Some(&tweaks)).unwrap_err().to_string();
    assert!(
        error.starts_with("column `c`, row 103: its tweak has 5 bytes, and the cipher takes 7"),
        "{error}"
    );
    assert!(apply(task, &values.slice(0, 2), Some(&tweaks.slice(0, 2))).is_ok());

    // A rule is named once, and dates are dates.
    let resolved = async |rule: &str| engine.resolve(&rule.parse().unwrap(), Direction::Encrypt).await;
    let error = resolved("century").await.unwrap_err().to_string();
    let expected = "rule `century`: format date/1 from 1900-01-01 to 1999-12-31 leaves 36,524 possible values";
    assert!(error.starts_with(expected), "{error}");
    let error = resolved("old-dates").await.unwrap_err().to_string();
    assert!(error.starts_with("rule `old-dates`: treatment"), "{error}");

    let numbers = transform(&engine, "numbers", Direction::Encrypt).await;
    for (data_type, what) in [
        (DataType::Boolean, "nothing to hide among"),
        (DataType::Duration(TimeUnit::Second), "lengths of time"),
    ] {
        for transform in [&numbers, &transform(&engine, "digits", Direction::Encrypt).await] {
            let error = check_type(transform, "c", &data_type).unwrap_err();
            assert!(error.hint().unwrap().to_string().contains(what), "{error:?}");
        }
    }
}
