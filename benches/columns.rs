//! Whole columns: Arrow in, Arrow out, against AES alone and the crate `fpe`.
//!
//! `make bench`, or `cargo bench --no-default-features --features columns --bench columns -- pan` for shapes with
//! that name (`formats`: every format and treatment).

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)]

mod common;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use cipherform::cipher::limit::AesAlone;
use cipherform::cipher::{AesKey, Direction, Kernel};
use cipherform::columns::{Task, apply};
use cipherform::keys::{DirectMode, KeyBits, KeyUse, Keyring, KmsRegistry};
use cipherform::kms::MemoryKms;
use cipherform::policy::{Policy, RuleRef};
use cipherform::{Engine, transform::Transform};
use common::{Contender, Line, Report};
use fpe::ff1::{FF1, FlexibleNumeralString};
use serde::Deserialize;

/// Rows of a column.
// Eight chunks, so that what is done once for an array weighs little.
const ROWS: usize = 65_536;

/// What FF1 sees of one value: radix, tweak, numerals.
type Seen = (u32, Vec<u8>, Vec<u16>);

/// Says it of a row of a column.
type See = Box<dyn Fn(&ArrayRef, usize) -> Seen>;

struct Shape {
    name: String,
    format: &'static str,
    key_bits: usize,
    column: ArrayRef,
    tweaks: Option<ArrayRef>,
    /// What FF1 sees of a row.
    seen: See,
    /// For ranked domains: how many values there are.
    size: Option<u64>,
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn text(&mut self, alphabet: &str, n: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..n)
            .map(|_| char::from(alphabet[self.below(alphabet.len())]))
            .collect()
    }
}

const DIGITS: &str = "0123456789";
const UPPER: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const MIXED: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn numerals(alphabet: &str, text: &str) -> Vec<u16> {
    text.bytes()
        // Separators fall out, as they do in the format.
        .filter_map(|byte| alphabet.bytes().position(|symbol| symbol == byte))
        .map(|at| at as u16)
        .collect()
}

/// All symbols, no tweak.
fn whole(alphabet: &'static str) -> See {
    Box::new(move |array, row| {
        let text = cast(&array.slice(row, 1), &DataType::Utf8).expect("text");
        (
            alphabet.len() as u32,
            Vec::new(),
            numerals(alphabet, text.as_string::<i32>().value(0)),
        )
    })
}

/// A card number with so many digits kept, which are the tweak, and as many more not encrypted.
fn card(first: usize, last: usize, solved: usize) -> See {
    Box::new(move |array, row| {
        let digits = numerals(DIGITS, array.as_string::<i32>().value(row));
        let end = digits.len() - last;
        let mut tweak = Vec::new();
        for part in [&digits[..first], &digits[end..]] {
            // Written anew, so that a change of the encoding is noticed.
            tweak.extend((2 * part.len() as u32).to_be_bytes());
            tweak.extend(part.iter().flat_map(|digit| digit.to_be_bytes()));
        }
        (10, tweak, digits[first..end - solved].to_vec())
    })
}

fn shapes() -> Vec<Shape> {
    let mut random = Random(1);
    let mut shapes = Vec::new();
    let mut text = |name: String, format, key_bits, rows: Vec<String>, seen| {
        shapes.push(Shape {
            name,
            format,
            key_bits,
            column: Arc::new(StringArray::from(rows)),
            tweaks: None,
            seen,
            size: None,
        });
    };
    // Every length: kernels differ by how many digits a word holds.
    for n in 9..=38 {
        let rows = (0..ROWS).map(|_| random.text(DIGITS, n)).collect();
        text(format!("{n} digits"), "\"digits\"", 256, rows, whole(DIGITS));
    }
    for n in [40, 48, 56] {
        let rows = (0..ROWS).map(|_| random.text(DIGITS, n)).collect();
        text(format!("{n} digits"), "\"digits\"", 256, rows, whole(DIGITS));
    }
    for key_bits in [128, 192] {
        let rows = (0..ROWS).map(|_| random.text(DIGITS, 16)).collect();
        text("16 digits".into(), "\"digits\"", key_bits, rows, whole(DIGITS));
    }
    let rows = (0..ROWS).map(|_| random.text(UPPER, 12)).collect();
    text(
        "radix 36, n = 12".into(),
        "{ type = \"alphanumeric\", case = \"upper\" }",
        256,
        rows,
        whole(UPPER),
    );
    for n in [10, 20] {
        let rows = (0..ROWS).map(|_| random.text(MIXED, n)).collect();
        text(
            format!("radix 62, n = {n}"),
            "\"alphanumeric\"",
            256,
            rows,
            whole(MIXED),
        );
    }
    // Mixed lengths, which cannot be one rectangle.
    let rows = (0..ROWS)
        .map(|_| {
            let n = 12 + random.below(8);
            random.text(DIGITS, n)
        })
        .collect();
    text("12 to 19 digits".into(), "\"digits\"", 256, rows, whole(DIGITS));
    let rows = (0..ROWS)
        .map(|_| {
            let digits = random.text(DIGITS, 16);
            format!(
                "{}-{}-{}-{}",
                &digits[..4],
                &digits[4..8],
                &digits[8..12],
                &digits[12..]
            )
        })
        .collect();
    text(
        "pan, separators, keep 6 + 4, check off".into(),
        "{ type = \"pan\", keep = [6, 4], check_digit = \"off\" }",
        256,
        rows,
        card(6, 4, 0),
    );
    // A tenth of random numbers pass Luhn: drawn until one does.
    let rows = (0..ROWS)
        .map(|_| {
            loop {
                let card = random.text(DIGITS, 16);
                let doubled = |i: usize, d: usize| {
                    if i.is_multiple_of(2) {
                        2 * d - 9 * usize::from(d > 4)
                    } else {
                        d
                    }
                };
                let sum: usize = card
                    .bytes()
                    .enumerate()
                    .map(|(i, byte)| doubled(i, usize::from(byte - b'0')))
                    .sum();
                if sum.is_multiple_of(10) {
                    break card;
                }
            }
        })
        .collect();
    text(
        "pan, keep last four, check on".into(),
        "\"pan\"",
        256,
        rows,
        card(0, 4, 1),
    );

    let digits: Vec<String> = (0..ROWS).map(|_| random.text(DIGITS, 16)).collect();
    let digits: ArrayRef = Arc::new(StringArray::from(digits));
    shapes.push(Shape {
        name: "16 digits, Utf8View".into(),
        format: "\"digits\"",
        key_bits: 256,
        column: cast(&digits, &DataType::Utf8View).expect("text"),
        tweaks: None,
        seen: whole(DIGITS),
        size: None,
    });
    let tweaks: Vec<String> = (0..ROWS).map(|_| random.text(MIXED, 8)).collect();
    let tweaks: ArrayRef = Arc::new(StringArray::from(tweaks));
    let of = tweaks.clone();
    shapes.push(Shape {
        name: "16 digits, 8-byte tweak a row".into(),
        format: "\"digits\"",
        key_bits: 256,
        column: digits,
        tweaks: Some(tweaks),
        seen: Box::new(move |array, row| {
            let tweak = of.as_string::<i32>().value(row).as_bytes().to_vec();
            (10, tweak, numerals(DIGITS, array.as_string::<i32>().value(row)))
        }),
        size: None,
    });
    let numbers: Vec<i64> = (0..ROWS).map(|_| random.below(1_000_000_000) as i64).collect();
    shapes.push(Shape {
        name: "Int64, 0 to 999,999,999".into(),
        format: "{ type = \"integer\", min = 0, max = 999_999_999 }",
        key_bits: 256,
        column: Arc::new(Int64Array::from(numbers)),
        tweaks: None,
        seen: Box::new(|array, row| {
            let number = array.as_primitive::<Int64Type>().value(row);
            (
                2,
                Vec::new(),
                // 10^9 values take 30 bits.
                (0..30).rev().map(|bit| (number >> bit & 1) as u16).collect(),
            )
        }),
        size: Some(1_000_000_000),
    });
    shapes
}

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut report = Report::new("columns");
    for shape in shapes() {
        if only.is_empty() || only.iter().any(|name| shape.name.contains(name)) {
            runtime.block_on(run(&mut report, &shape));
        }
    }
    if only.is_empty() || only.iter().any(|name| name == "formats") {
        // Into a file of its own, since formats are not compared with AES.
        runtime.block_on(formats(&mut Report::new("formats")));
    }
    report.memcpy("columns", ROWS);
}

/// One of the stored answers.
#[derive(Deserialize)]
struct Answer {
    rule: String,
    r#type: String,
    values: Vec<String>,
    tweaks: Option<Vec<String>>,
}

/// Every format and treatment, over the values of its stored answers again and again, beside a plain column of 16
/// digits.
async fn formats(report: &mut Report) {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/ours");
    let read = |name: &str| std::fs::read_to_string(ours.join(name)).expect("it is in the repository");
    let answers: Vec<Answer> = serde_json::from_str(&read("answers.json")).expect("answers");
    let folder = tempfile::tempdir().expect("a folder");
    let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("bench"));
    let kms_key = "memory:bench".parse().expect("a reference");
    let path = folder.path().join("keyring.json");
    let mut keyring = Keyring::create(&path, &kms_key, &registry).await.expect("a keyring");
    let pii = "pii".parse().expect("a name");
    keyring.create_key(&pii, KeyUse::Derive, None).await.expect("a key");
    let policy = Policy::parse(&read("policy.toml"), &folder.path().join("policy.toml")).expect("a policy");
    let engine = Engine::new(policy, keyring);
    let column = |values: &[String], data_type: &DataType| -> ArrayRef {
        // The stored values again and again: what is measured is the format, not the data.
        let texts: Vec<&str> = values.iter().map(String::as_str).cycle().take(ROWS / 8).collect();
        match data_type {
            DataType::Binary => Arc::new(BinaryArray::from_iter_values(texts)),
            // Names of zones are not known to the lean build.
            DataType::Timestamp(unit, Some(_)) => cast(
                &StringArray::from(texts),
                &DataType::Timestamp(*unit, Some("+00:00".into())),
            )
            .expect("a column"),
            other => cast(&StringArray::from(texts), other).expect("a column"),
        }
    };
    // What each is compared with: a column that does nothing but FF1.
    let digits = column(&["4111111111111111".to_owned()], &DataType::Utf8);
    let plain = "digits".parse().expect("a rule");
    let plain = engine.resolve(&plain, Direction::Encrypt).await.expect("a transform");
    for answer in answers {
        let rule: RuleRef = answer.rule.parse().expect("a rule");
        let protect = engine.resolve(&rule, Direction::Encrypt).await.expect("a transform");
        let reveal = engine.resolve(&rule, Direction::Decrypt).await.expect("a transform");
        let values = column(&answer.values, &answer.r#type.parse().expect("a type"));
        let tweaks = answer.tweaks.map(|tweaks| column(&tweaks, &DataType::Utf8));
        let done = |transform, direction, column: &ArrayRef| {
            apply(Task::new(transform, direction, "c"), column, tweaks.as_ref())
                .expect("fits")
                .array
        };
        let protected = done(&protect, Direction::Encrypt, &values);
        let line = Line {
            bench: "formats",
            shape: answer.rule,
            mode: answer.r#type.split('(').next().unwrap_or_default().to_owned(),
            key_bits: 256,
            kernel: Kernel::fastest().to_string(),
        };
        let rows = values.len();
        let encrypt = Contender::new(rows, || done(&protect, Direction::Encrypt, &values).len() as u64);
        let plain = Contender::new(rows, || {
            let task = Task::new(&plain, Direction::Encrypt, "c");
            apply(task, &digits, None).expect("fits").array.len() as u64
        });
        // What is one-way has nothing to compare in the other direction.
        match protect.rule().treatment.is_one_way() {
            true => report.one_way(&line, encrypt, plain),
            false => {
                let decrypt = Contender::new(rows, || done(&reveal, Direction::Decrypt, &protected).len() as u64);
                report.beside(&line, encrypt, decrypt, plain);
            }
        }
    }
}

async fn run(report: &mut Report, shape: &Shape) {
    let folder = tempfile::tempdir().expect("a folder");
    let (transform, key) = transform(folder.path(), shape).await;
    let column_apply = |direction, column: &ArrayRef| {
        let task = Task::new(&transform, direction, "c");
        apply(task, column, shape.tweaks.as_ref()).expect("fits").array
    };

    // Right first, then fast: compared with the crate at every 101st row, and revealed as a whole.
    let protected = column_apply(Direction::Encrypt, &shape.column);
    assert_eq!(protected.data_type(), shape.column.data_type());
    let judge = |seen: Seen| {
        let (radix, tweak, mut numerals) = seen;
        loop {
            numerals = fpe(&key, radix, &tweak, numerals);
            let rank = numerals.iter().fold(0, |rank, bit| rank * 2 + u64::from(*bit));
            // A ranked domain walks, and so must the other implementation.
            if shape.size.is_none_or(|size| rank < size) {
                return numerals;
            }
        }
    };
    for row in (0..ROWS).step_by(101) {
        let expected = judge((shape.seen)(&shape.column, row));
        assert_eq!((shape.seen)(&protected, row).2, expected, "{}, row {row}", shape.name);
    }
    assert!(
        *column_apply(Direction::Decrypt, &protected) == *shape.column,
        "reveal gives the column back"
    );

    let alone = AesAlone::new(&AesKey::try_new(&key).expect("a key"));
    let few: Vec<Seen> = (0..64).map(|row| (shape.seen)(&shape.column, row)).collect();
    let line = Line {
        bench: "columns",
        shape: shape.name.clone(),
        mode: shape.column.data_type().to_string(),
        key_bits: shape.key_bits,
        kernel: Kernel::fastest().to_string(),
    };
    report.race(
        // The floor is AES alone: ten blocks a value.
        &line,
        Contender::new(ROWS / 8, || alone.encrypt(10 * ROWS as u64 / 8)),
        Contender::new(ROWS, || column_apply(Direction::Encrypt, &shape.column).len() as u64),
        Contender::new(ROWS, || column_apply(Direction::Decrypt, &protected).len() as u64),
        Contender::new(64, || {
            few.iter().fold(0, |sum, seen| sum ^ u64::from(judge(seen.clone())[0]))
        }),
    );
}

/// The rule's transform, and its key.
async fn transform(folder: &Path, shape: &Shape) -> (Arc<Transform>, Vec<u8>) {
    let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("bench"));
    let path = folder.join("keyring.json");
    let kms_key = "memory:bench".parse().expect("a reference");
    let mut keyring = Keyring::create(&path, &kms_key, &registry).await.expect("a keyring");
    let bits = match shape.key_bits {
        128 => KeyBits::B128,
        192 => KeyBits::B192,
        _ => KeyBits::B256,
    };
    // A key for direct use, so that the crate can be given it.
    let mode = DirectMode::Ff1;
    let name = "key".parse().expect("a name");
    keyring
        .create_key(&name, KeyUse::Direct { mode, bits }, None)
        .await
        .expect("a key");
    let handle = keyring
        .handle(&"key".parse().expect("a reference"), Direction::Encrypt)
        .await
        .expect("a key");
    let key = handle.direct_key(mode).expect("a key").expose().clone();
    let tweak = if shape.tweaks.is_some() {
        "tweak = { column = \"t\" }"
    } else {
        ""
    };
    let policy = format!(
        "version = 1\nkeyring = \"keyring.json\"\n[rules.rule]\nformat = {}\nkey = \"key\"\n{tweak}\n",
        shape.format
    );
    let policy = Policy::parse(&policy, &folder.join("policy.toml")).expect("a policy");
    let engine = Engine::new(policy, keyring);
    let rule = "rule".parse().expect("a name");
    (
        engine.resolve(&rule, Direction::Encrypt).await.expect("a transform"),
        key,
    )
}

fn fpe(key: &[u8], radix: u32, tweak: &[u8], numerals: Vec<u16>) -> Vec<u16> {
    let numerals = FlexibleNumeralString::from(numerals);
    match key.len() {
        16 => FF1::<aes::Aes128>::new(key, radix)
            .expect("a radix")
            .encrypt(tweak, &numerals),
        24 => FF1::<aes::Aes192>::new(key, radix)
            .expect("a radix")
            .encrypt(tweak, &numerals),
        _ => FF1::<aes::Aes256>::new(key, radix)
            .expect("a radix")
            .encrypt(tweak, &numerals),
    }
    .expect("fits")
    .into()
}
