//! `on_invalid = "siv"`: every value has a place, and comes back.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray};
use cipherform::cipher::Direction;
use cipherform::columns::{Task, apply};
use cipherform::transform::{Outcome, TextBatch, Texts, Transform};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::sandbox::{Sandbox, read, text};

/// Rules with a place for everything: name, format, further settings.
const RULES: &[(&str, &str, &str)] = &[
    ("digits", "\"digits\"", "on_short = \"band\""),
    ("alphanumeric", "\"alphanumeric\"", "on_short = \"band\""),
    ("text", "\"text\"", "on_short = \"band\""),
    ("name", "\"name\"", "on_short = \"band\""),
    ("email", "\"email\"", ""),
    ("phone", "\"phone\"", ""),
    ("pan", "\"pan\"", ""),
    ("iban", "\"iban\"", ""),
    ("ssn", "\"us-ssn\"", ""),
    ("uuid", "\"uuid\"", ""),
    ("ipv4", "\"ipv4\"", ""),
    ("ipv6", "\"ipv6\"", ""),
    ("mac", "\"mac\"", ""),
    ("vin", "\"vin\"", ""),
    ("npi", "\"npi\"", "insecure_small_domain = \"a test\""),
    ("hex", "\"hex\"", ""),
    ("base64url", "\"base64url\"", ""),
    (
        "postcode",
        "{ type = \"postcode\", country = \"GB\" }",
        "insecure_small_domain = \"a test\"",
    ),
    ("integer", "{ type = \"integer\", min = 0, max = 9_999_999 }", ""),
    (
        "decimal",
        "{ type = \"decimal\", min = 0, max = 1_000_000, scale = 2 }",
        "",
    ),
    ("date", "\"date\"", "insecure_small_domain = \"a test\""),
    ("timestamp", "\"timestamp\"", ""),
    (
        "template",
        "{ type = \"template\", patterns = [\"AA-999999\", \"~999999\"] }",
        "wrap_mark = \"!\"",
    ),
    (
        "symbols",
        "{ type = \"alphabet\", symbols = \"abc~\", separators = \"!-\" }",
        "wrap_mark = \"!\"",
    ),
    ("fixed", "\"digits\"", "tweak = { hex = \"00ff\" }"),
    ("kept", "\"digits\"", "on_empty = \"invalid\""),
    ("versioned", "\"digits\"", "version_character = true"),
];

fn policy() -> String {
    let mut policy = "version = 1\nkeyring = \"keyring.json\"\n".to_owned();
    for (name, format, more) in RULES {
        let text = format!("[rules.{name}]\nkey = \"pii\"\nformat = {format}\non_invalid = \"siv\"\n{more}\n");
        policy.write_str(&text).unwrap();
    }
    policy
}

struct Rule {
    protect: Arc<Transform>,
    reveal: Arc<Transform>,
}

async fn rules(sandbox: &Sandbox) -> HashMap<&'static str, Rule> {
    sandbox.policy(&policy());
    let engine = sandbox.engine().await;
    let mut rules = HashMap::new();
    for (name, ..) in RULES {
        let reference = name.parse().unwrap();
        let rule = Rule {
            protect: engine.resolve(&reference, Direction::Encrypt).await.unwrap(),
            reveal: engine.resolve(&reference, Direction::Decrypt).await.unwrap(),
        };
        rules.insert(*name, rule);
    }
    rules
}

/// Through the rows, as single values go.
fn by_rows(transform: &Transform, direction: Direction, values: &[Option<&str>]) -> (Vec<Option<String>>, Outcome) {
    let mut out = Texts::default();
    let outcome = transform
        .texts(TextBatch::new(direction, values), &mut out)
        .unwrap_or_else(|error| panic!("{}: {error:?}", transform.rule().name));
    (out.iter().map(|text| text.map(str::to_owned)).collect(), outcome)
}

/// Through the column, which has faster ways for most values.
fn by_column(transform: &Transform, direction: Direction, values: &[Option<&str>]) -> (Vec<Option<String>>, Outcome) {
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let done = apply(Task::new(transform, direction, "c"), &array, None).unwrap();
    let texts = done.array.as_string::<i32>().iter();
    (texts.map(|text| text.map(str::to_owned)).collect(), done.outcome)
}

fn as_rows(values: &[Option<String>]) -> Vec<Option<&str>> {
    values.iter().map(Option::as_deref).collect()
}

/// Protects and reveals `values`, of which no two may become one.
fn there_and_back(rule: &Rule, values: &[Option<&str>]) -> Vec<Option<String>> {
    let name = &rule.protect.rule().name;
    let (protected, outcome) = by_rows(&rule.protect, Direction::Encrypt, values);
    let of_column = by_column(&rule.protect, Direction::Encrypt, values);
    assert_eq!(of_column, (protected.clone(), outcome), "{name}: {values:?}");
    for reveal in [by_rows, by_column] {
        let (revealed, _) = reveal(&rule.reveal, Direction::Decrypt, &as_rows(&protected));
        assert_eq!(as_rows(&revealed), values, "{name}");
    }
    let mut sources: HashMap<&str, &str> = HashMap::new();
    for (value, protected) in values.iter().zip(&protected) {
        let (Some(value), Some(protected)) = (value, protected) else {
            continue;
        };
        let other = *sources.entry(protected).or_insert(value);
        assert_eq!(other, *value, "{name}: two values became one");
    }
    protected
}

/// Values of the formats, and such as people have in their place.
const SEEDS: &[&str] = &[
    "",
    "n/a",
    "N/A",
    "-",
    "~",
    "~1",
    "~~",
    "!",
    "!1",
    "unknown",
    "0",
    "1",
    "12",
    "123456",
    "1234567",
    "555-010-0100",
    "+44 20 7946 0958",
    "+1 (555) 010-0199 ext. 5",
    "ann@example.org",
    "a@x.io",
    "try..this..0511@docomo.ne.jp",
    "abc.def.@docomo.ne.jp",
    "\"odd name\"@example.com",
    "4111111111111111",
    "4111-1111-1111-1112",
    "501800000009",
    "DE89370400440532013000",
    "HN88CABF00000000000250005469",
    "862-45-3891",
    "000-00-0000",
    "王",
    "Mª José",
    "Əliyev",
    "کیانوش پورعلی",
    "ﾀﾅｶ ﾀﾛｳ",
    "𠮷田",
    "काव्य",
    "สมชาย",
    "Jose\u{301}",
    "\u{202d}+15550100\u{202c}",
    "550e8400-e29b-41d4-a716-446655440000",
    "550E8400-E29B-41D4-A716-446655440000",
    "10.0.0.1",
    "::1",
    "2001:db8::1",
    "00:00:5e:00:53:01",
    "WVGZZZ5NZEW069297",
    "1M8GDM9AXKP042788",
    "deadbeef",
    "SGVsbG8gd29ybGQ",
    "SW1A 1AA",
    "GIR 0AA",
    "1985-04-12",
    "0000-00-00",
    "2024-02-29T12:00:00.000000",
    "12.50",
    "-3",
    "AA-123456",
    "~123456",
    "abc~abc~abc~abc~",
    "!abcabcabcabc",
    "~555-010-0100",
];

/// Any text, seeds, and seeds behind marks, cut, or doubled.
fn value() -> impl Strategy<Value = String> {
    let seed = || prop::sample::select(SEEDS).prop_map(str::to_owned);
    prop_oneof![
        3 => seed(),
        2 => proptest::collection::vec(any::<char>(), 0..200).prop_map(String::from_iter),
        2 => "[ -~]{0,24}",
        1 => "[0-9]{1,20}",
        1 => ("[~!]1?", seed()).prop_map(|(mark, seed)| mark + &seed),
        1 => (seed(), seed()).prop_map(|(one, two)| one + &two),
        1 => "~1[a-z2-7]{26}",
        1 => "~1[a-z2-7]{52}",
    ]
}

#[tokio::test]
async fn any_value_comes_back_under_any_rule() {
    let sandbox = Sandbox::new();
    let rules = rules(&sandbox).await;
    let mut runner = TestRunner::new(Config::with_cases(48));
    let values = proptest::collection::vec(proptest::option::weighted(0.95, value()), 1..40);
    for (name, ..) in RULES {
        let rule = &rules[name];
        let tried = runner.run(&values, |values| {
            let protected = there_and_back(rule, &as_rows(&values));
            // What was protected is a value as well: protected once more it comes back, and meets no other.
            let both: Vec<Option<&str>> = values.iter().chain(&protected).map(Option::as_deref).collect();
            there_and_back(rule, &both);
            Ok(())
        });
        tried.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn equal_values_stay_equal_and_nothing_of_them_shows() {
    let sandbox = Sandbox::new();
    let rules = rules(&sandbox).await;
    let values = [
        Some("n/a"),
        None,
        Some("n/a"),
        Some("555-010-0100"),
        Some("~1"),
        Some(""),
        Some("12"),
    ];
    let protected = there_and_back(&rules["phone"], &values);
    let wrapped = protected[0].as_deref().unwrap();
    assert!(wrapped.starts_with("~1") && wrapped.len() == 2 + 52, "{wrapped}");
    assert!(!wrapped.contains("n/a"));
    assert_eq!(protected[0], protected[2]);
    let (_, outcome) = by_rows(&rules["phone"].protect, Direction::Encrypt, &values);
    assert_eq!((outcome.wrapped, outcome.nulled, outcome.kept_clear), (4, 0, 0));
    // Under another rule, which has another domain, it is another text and does not open.
    let other = by_rows(&rules["ssn"].protect, Direction::Encrypt, &[Some("n/a")]).0;
    assert_ne!(other[0], protected[0]);
    let mut out = Texts::default();
    let rows = [protected[0].as_deref()];
    let refused = rules["ssn"]
        .reveal
        .texts(TextBatch::new(Direction::Decrypt, &rows), &mut out);
    assert!(refused.is_err());
    // Spelt in capitals, or with another last character, it is nobody's.
    for changed in [
        wrapped.to_uppercase(),
        // Bits beyond the last byte that are not zero; another last bit.
        format!("{}b", &wrapped[..wrapped.len() - 1]),
        format!(
            "{}{}",
            &wrapped[..wrapped.len() - 1],
            if wrapped.ends_with('a') { 'q' } else { 'a' }
        ),
        format!("{wrapped}a"),
    ] {
        let rows = [Some(changed.as_str())];
        let mut out = Texts::default();
        assert!(
            rules["phone"]
                .reveal
                .texts(TextBatch::new(Direction::Decrypt, &rows), &mut out)
                .is_err()
        );
    }
}

/// All strings of up to six characters over three, which are a symbol, a separator and the mark.
#[tokio::test]
async fn short_strings_are_permuted_whole() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        "version = 1\nkeyring = \"keyring.json\"\n[rules.r]\nkey = \"pii\"\non_invalid = \"siv\"\n\
         insecure_small_domain = \"a test\"\non_empty = \"invalid\"\n\
         format = { type = \"alphabet\", symbols = \"0123456789\", separators = \"~-\" }\n",
    );
    let engine = sandbox.engine().await;
    let reference = "r".parse().unwrap();
    let rule = Rule {
        protect: engine.resolve(&reference, Direction::Encrypt).await.unwrap(),
        reveal: engine.resolve(&reference, Direction::Decrypt).await.unwrap(),
    };
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..6 {
        last = last
            .iter()
            .flat_map(|text| ["0", "-", "~"].map(|more| format!("{text}{more}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    let values: Vec<Option<&str>> = all.iter().map(|text| Some(text.as_str())).collect();
    there_and_back(&rule, &values);
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    for (rule, what) in [
        (
            "format = { type = \"alphabet\", symbols = \"abcdefgh~\" }\non_invalid = \"siv\"",
            "begin with `~`",
        ),
        (
            "format = { type = \"template\", pattern = \"~9999999\" }\non_invalid = \"siv\"",
            "begin with `~`",
        ),
        ("format = \"digits\"\nwrap_mark = \"!\"", "on_invalid = \"siv\""),
        (
            "format = \"digits\"\non_invalid = \"siv\"\nwrap_mark = \"a\"",
            "no letter",
        ),
        ("treatment = \"hash\"\non_invalid = \"siv\"", "treatment = \"encrypt\""),
    ] {
        let text = format!("version = 1\nkeyring = \"k\"\n[rules.r]\nkey = \"pii\"\n{rule}\n");
        let error = cipherform::policy::Policy::parse(&text, std::path::Path::new("p.toml")).unwrap_err();
        assert!(error.to_string().contains(what), "{rule}: {error}");
    }
    let text = "version = 1\nkeyring = \"k\"\napproved_only = true\n[rules.r]\nkey = \"pii\"\nformat = \"digits\"\n\
                on_invalid = \"siv\"\n";
    let error = cipherform::policy::Policy::parse(text, std::path::Path::new("p.toml")).unwrap_err();
    assert!(error.to_string().contains("AES-SIV"), "{error}");
}

/// A table with what real ones have, and rules with a place for all of it.
fn messy() -> (RecordBatch, &'static str) {
    let text = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
    let phones = vec![
        Some("555-010-0100"),
        Some("n/a"),
        None,
        Some("~555"),
        Some(""),
        Some("555-010-0101"),
    ];
    let codes = vec![
        Some("12345678"),
        Some("7"),
        Some("unknown"),
        Some("12"),
        None,
        Some("12345678"),
    ];
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5, -1]));
    let columns = [("phone", text(phones)), ("code", text(codes)), ("id", ids)];
    let table = RecordBatch::try_from_iter(columns.map(|(name, array)| (name, array))).unwrap();
    let policy = "version = 1\nkeyring = \"keyring.json\"\n\
                  [rules.phone]\nformat = \"phone\"\nkey = \"pii\"\non_invalid = \"siv\"\n\
                  [rules.code]\nformat = \"digits\"\nkey = \"pii\"\non_invalid = \"siv\"\non_short = \"band\"\n\
                  [rules.id]\nformat = { type = \"integer\", min = 0, max = 9_999_999 }\nkey = \"pii\"\n\
                  [columns]\nphone = \"phone\"\ncode = \"code\"\n";
    (table, policy)
}

#[test]
fn a_messy_table_goes_there_and_back() {
    let sandbox = Sandbox::new();
    let (table, policy) = messy();
    sandbox.policy(policy);
    sandbox.write("t.parquet", &table);
    let output = sandbox.run(&["protect", "t.parquet", "safe.parquet"]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("2 protected, 2 misfit (siv), 1 NULL, 1 empty"),
        "{stderr}"
    );
    assert!(
        stderr.contains("2 protected, 2 short (band), 1 misfit (siv), 1 NULL"),
        "{stderr}"
    );
    let raw = std::fs::read(sandbox.path("safe.parquet")).unwrap();
    for value in ["unknown", "555-010-0100", "12345678"] {
        assert!(
            !raw.windows(value.len()).any(|bytes| bytes == value.as_bytes()),
            "{value}"
        );
    }
    // Today's policy no longer has the setting: the file says what was done.
    sandbox.policy(&policy.replace("on_invalid = \"siv\"", "on_invalid = \"null\""));
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    assert_eq!(read(&sandbox.path("back.parquet")).1, table);
    // Equal values are equal still, misfits included.
    sandbox.policy(policy);
    let found = sandbox.ok(&[
        "query",
        "safe.parquet",
        "-c",
        "SELECT count(*) AS n FROM safe WHERE phone = 'n/a'",
    ]);
    assert!(found.contains("| 1 |"), "{found}");
}

#[test]
fn check_says_what_would_become_of_each_column() {
    let sandbox = Sandbox::new();
    let (table, policy) = messy();
    sandbox.policy(
        &policy
            .replace("on_invalid = \"siv\"", "on_invalid = \"error\"")
            .replace("code = \"code\"", "code = \"code\"\nid = \"id\""),
    );
    sandbox.write("t.parquet", &table);
    let before = sandbox.listing();
    let output = sandbox.run(&["check", "t.parquet"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    for line in [
        "refused",
        "(rows 2, 4)",
        "1: outside of the range (row 6)",
        "2 protected, 2 short (band), 1 NULL, 1 refused",
    ] {
        assert!(stdout.contains(line), "{line}: {stdout}");
    }
    // Never a value.
    for value in ["n/a", "unknown", "-1"] {
        assert!(!stdout.contains(value), "{stdout}");
    }
    let dry = sandbox.run(&["protect", "--dry-run", "t.parquet", "safe.parquet"]);
    assert_eq!((text(&dry.stdout), dry.status.code()), (stdout, Some(1)));
    assert_eq!(sandbox.listing(), before);

    sandbox.policy(policy);
    let json = sandbox.ok(&["check", "--format", "json", "t.parquet"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let phone = &json["columns"][0];
    let counts = ["values", "protected", "siv", "null", "empty", "refused"].map(|name| phone[name].as_u64().unwrap());
    assert_eq!(counts, [6, 2, 2, 1, 1, 0]);
    let reasons = phone["misfits"].as_array().unwrap();
    assert_eq!((reasons.len(), &reasons[0]["values"]), (1, &serde_json::json!(2)));
}

#[test]
fn reveal_never_makes_null_of_a_value() {
    let sandbox = Sandbox::new();
    let (table, policy) = messy();
    sandbox.policy(&policy.replace("code = \"code\"\n", ""));
    sandbox.write("t.parquet", &table);
    sandbox.ok(&["protect", "t.parquet", "safe.parquet"]);
    // Somebody writes over a value behind the back of its column.
    let (_, safe) = read(&sandbox.path("safe.parquet"));
    let mut columns = safe.columns().to_vec();
    columns[0] = Arc::new(StringArray::from(vec![Some("oops"); 6]));
    let changed = RecordBatch::try_new(safe.schema(), columns).unwrap();
    sandbox.write("safe.parquet", &changed);
    sandbox.policy(&policy.replace("on_invalid = \"siv\"", "on_invalid = \"null\""));
    let error = sandbox.fails(1, &["reveal", "safe.parquet", "back.parquet"]);
    assert!(error.contains("row 1"), "{error}");
}

/// UUIDs in 16 bytes, as DuckDB and others store them, and as text have one ciphertext.
#[test]
fn uuids_of_16_bytes_join_with_those_of_text() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        "version = 1\nkeyring = \"keyring.json\"\n[rules.u]\nformat = \"uuid\"\nkey = \"pii\"\non_invalid = \"siv\"\n\
         [columns]\nbytes = \"u\"\ntext = \"u\"\n",
    );
    let texts = [
        "550e8400-e29b-41d4-a716-446655440000",
        "00112233-4455-4677-8899-aabbccddeeff",
    ];
    let bytes = texts.map(|text| Some(hex::decode(text.replace('-', "")).unwrap()));
    let bytes = FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes.into_iter().chain([None]), 16).unwrap();
    let texts: StringArray = texts.into_iter().map(Some).chain([None]).collect();
    let columns: [(&str, ArrayRef); 2] = [("bytes", Arc::new(bytes)), ("text", Arc::new(texts))];
    let table = RecordBatch::try_from_iter(columns).unwrap();
    sandbox.write("t.parquet", &table);
    sandbox.ok(&["protect", "t.parquet", "safe.parquet"]);
    let (_, safe) = read(&sandbox.path("safe.parquet"));
    assert_ne!(safe.column(0), table.column(0));
    let protected = safe.column(0).as_fixed_size_binary().iter();
    let protected: Vec<Option<String>> = protected.map(|bytes| bytes.map(hex::encode)).collect();
    let texts = safe.column(1).as_string::<i32>().iter();
    let texts: Vec<Option<String>> = texts.map(|text| text.map(|text| text.replace('-', ""))).collect();
    assert_eq!(protected, texts);
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    assert_eq!(read(&sandbox.path("back.parquet")).1, table);
}

#[test]
fn lines_that_name_nothing_are_told() {
    let sandbox = Sandbox::new();
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let table = [
        ("EMAIL", text("ann.lee@example.com")),
        ("ssn", text("862-45-3891")),
        ("other", text("x")),
    ];
    sandbox.write("t.parquet", &RecordBatch::try_from_iter(table).unwrap());
    let policy = |unlisted: &str| {
        format!(
            "version = 1\nkeyring = \"keyring.json\"\nunlisted = \"{unlisted}\"\n\
             [rules.email]\nformat = \"email\"\nkey = \"pii\"\n[rules.ssn]\nformat = \"us-ssn\"\nkey = \"pii\"\n\
             [columns]\n\"*email\" = \"email\"\nssn = \"ssn\"\n\"people.phone\" = \"ssn\"\n"
        )
    };
    sandbox.policy(&policy("keep"));
    let output = sandbox.run(&["protect", "--quiet", "t.parquet", "safe.parquet"]);
    let stderr = crate::sandbox::text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("\"*email\" names no column of table `t`, though it has `EMAIL`"),
        "{stderr}"
    );
    // A line of another table is not missed.
    assert!(!stderr.contains("phone"), "{stderr}");
    // All columns at once, as lines to paste.
    sandbox.policy(&policy("error"));
    let error = sandbox.fails(1, &["protect", "t.parquet", "safe.parquet"]);
    assert!(error.contains("columns `EMAIL`, `other` of table `t`"), "{error}");
    assert!(
        error.contains("\"t.EMAIL\" = \"keep\"\n\"t.other\" = \"keep\""),
        "{error}"
    );
}
