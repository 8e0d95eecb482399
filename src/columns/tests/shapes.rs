//! Texts of all shapes, side by side, are what each is by itself: lengths that differ, separators, NULLs, empties,
//! values that are too short or do not fit, whatever becomes of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use fpe::ff1::{FF1, FlexibleNumeralString};

use super::super::task::CHUNK;
use super::super::*;
use crate::cipher::{Direction, Tweaks};
use crate::keys::{DirectMode, KeyBits, KeyUse, Keyring, KmsRegistry};
use crate::kms::MemoryKms;
use crate::policy::Policy;
use crate::transform::{TextBatch, Texts, Transform};
use crate::{Engine, ErrorKind};

const FORMATS: [(&str, &str); 10] = [
    ("digits", "format = \"digits\""),
    ("fixed", "format = \"digits\"\ntweak = { hex = \"00ff10\" }"),
    ("column", "format = \"digits\"\ntweak = { column = \"t\" }"),
    ("kept", "format = { type = \"digits\", keep = [2, 1] }"),
    ("pan", "format = \"pan\""),
    (
        "bin",
        "format = { type = \"pan\", keep = [6, 4], check_digit = \"off\" }",
    ),
    ("never", "format = { type = \"pan\", check_digit = \"invalid\" }"),
    ("band", "format = \"digits\"\non_short = \"band\""),
    ("letters", "format = { type = \"alphanumeric\", case = \"upper\" }"),
    (
        "ends",
        "format = { type = \"alphanumeric\", case = \"upper\", keep = [1, 2] }",
    ),
];

const INVALID: [&str; 3] = ["error", "null", "insecure-keep"];

/// An engine with a rule for each format and each way to take what does not fit, and the key of all.
async fn engine() -> (Engine, Vec<u8>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut policy = "version = 1\nkeyring = \"keyring.json\"\n".to_owned();
    for (name, format) in FORMATS {
        for invalid in INVALID {
            // A format with different sides refuses "insecure-keep".
            let same_sides = !format.contains("invalid");
            let invalid_line = match invalid {
                "insecure-keep" if !same_sides => "null",
                other => other,
            };
            policy += &format!(
                "[rules.{name}-{invalid}]\nkey = \"direct\"\n{format}\non_invalid = \
                 \"{invalid_line}\"\ninsecure_small_domain = \"a test\"\n"
            );
        }
    }
    let policy = Policy::parse(&policy, &folder.path().join("policy.toml")).unwrap();
    let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
    let kms = "memory:main".parse().unwrap();
    let mut keyring = Keyring::create(&policy.keyring, &kms, &registry).await.unwrap();
    // A key for direct use, so that the crate `fpe` can be given its bytes.
    let (mode, bits) = (DirectMode::Ff1, KeyBits::B256);
    let name = "direct".parse().unwrap();
    keyring
        .create_key(&name, KeyUse::Direct { mode, bits }, None)
        .await
        .unwrap();
    let handle = keyring
        .handle(&"direct".parse().unwrap(), Direction::Encrypt)
        .await
        .unwrap();
    let key = handle.direct_key(mode).unwrap().expose().clone();
    (Engine::new(policy, keyring), key, folder)
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

    fn digits(&mut self, n: usize) -> String {
        (0..n).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    /// With a last digit that makes the Luhn sum right.
    fn card(&mut self, n: usize) -> String {
        let mut card = self.digits(n - 1);
        let doubled = |digit: u32| 2 * digit - 9 * u32::from(digit > 4);
        let digits = card.bytes().rev().map(|byte| u32::from(byte - b'0')).enumerate();
        let sum: u32 = digits
            .map(|(i, digit)| if i % 2 == 0 { doubled(digit) } else { digit })
            .sum();
        card.push(char::from(b'0' + ((10 - sum % 10) % 10) as u8));
        card
    }

    fn value(&mut self) -> Option<String> {
        let n = 1 + self.below(24);
        Some(match self.below(16) {
            0 => return None,
            1 => String::new(),
            // Fullwidth digits and accents are no ASCII, and a NUL is no separator.
            2 => ["-", "7", "12-34", "abc", "12345678é", "１２３４５６", "123456\u{0}"][self.below(7)].to_owned(),
            3 => self.digits(33 + 2 * n),
            4 | 5 => grouped(&self.card(16)),
            6 => grouped(&self.digits(n)),
            7 => format!("A{}Z", self.digits(n)),
            8..11 => self.card(13 + n % 7),
            _ => self.digits(12 + n % 8),
        })
    }

    /// Values of all kinds, a few times each in a row now and then.
    fn values(&mut self, rows: usize) -> Vec<Option<String>> {
        let mut values = Vec::new();
        while values.len() < rows {
            let value = self.value();
            let again = if self.below(3) == 0 { 1 + self.below(9) } else { 1 };
            values.extend(std::iter::repeat_n(value, again));
        }
        values.truncate(rows);
        values
    }

    /// NULL, nothing and digits, some of them too few or too many; after a chunk of those, one of something else.
    fn bare(&mut self, rows: usize) -> Vec<Option<String>> {
        let mut value = |row: usize| match self.below(16) {
            0 => None,
            1 => Some(self.digits(self.0 as usize % 3)),
            // Beyond the lengths for which there are groups.
            2 => Some(self.digits(19 + self.0 as usize % 60)),
            _ if row == CHUNK + 100 => Some("1234-5678".to_owned()),
            n => Some(self.digits(8 + n)),
        };
        (0..rows).map(&mut value).collect()
    }
}

fn grouped(text: &str) -> String {
    let groups: Vec<&str> = text
        .as_bytes()
        .chunks(4)
        .map(|group| std::str::from_utf8(group).unwrap())
        .collect();
    groups.join("-")
}

/// Each row by itself: its result, or that it is an error.
fn alone(
    transform: &Transform,
    direction: Direction,
    values: &[Option<String>],
    tweaks: Option<&[&[u8]]>,
) -> Vec<Result<Option<String>, ()>> {
    let one = |(row, value): (usize, &Option<String>)| {
        let mut out = Texts::default();
        let tweak = tweaks.map(|tweaks| Tweaks::PerRow(&tweaks[row..row + 1]));
        match transform.texts(
            TextBatch::new(direction, &[value.as_deref()]).with_tweaks(tweak),
            &mut out,
        ) {
            Ok(_) => Ok(out.iter().next().flatten().map(str::to_owned)),
            Err(_) => Err(()),
        }
    };
    values.iter().enumerate().map(one).collect()
}

#[tokio::test]
async fn side_by_side_is_one_by_one() {
    let (engine, key, _folder) = engine().await;
    let mut random = Random(3);
    let mut judged = 0;
    // Around 32 and 64 rows, of which kernels take groups, and more than a chunk.
    let of_all_kinds = [1, 2, 31, 32, 33, 64, 65, 300, 9000].map(|rows| (rows, false));
    let bare = [1, 33, 300, 9000].map(|rows| (rows, true));
    for (rows, bare) in of_all_kinds.into_iter().chain(bare) {
        let all = if bare { random.bare(rows) } else { random.values(rows) };
        let lengths = [8, 1 + random.below(20)];
        let tweaks: Vec<String> = (0..rows).map(|row| random.digits(lengths[row / 100 % 2])).collect();
        let tweak_bytes: Vec<&[u8]> = tweaks.iter().map(String::as_bytes).collect();
        let tweak_array: ArrayRef = Arc::new(StringArray::from_iter_values(&tweaks));
        for (name, _) in FORMATS {
            let of_column = name == "column";
            for invalid in INVALID {
                let rule = format!("{name}-{invalid}");
                let mut values = all.clone();
                for direction in [Direction::Encrypt, Direction::Decrypt] {
                    let transform = engine.resolve(&rule.parse().unwrap(), direction).await.unwrap();
                    let tweak_bytes = of_column.then_some(&tweak_bytes[..]);
                    let expected = alone(&transform, direction, &values, tweak_bytes);
                    if name == "digits" && direction == Direction::Encrypt {
                        for (value, result) in values.iter().zip(&expected).filter(|(value, _)| value.is_some()) {
                            judged += usize::from(judge(&key, value.as_deref().unwrap_or_default(), result));
                        }
                    }
                    let arrays: [ArrayRef; 3] = [
                        Arc::new(StringArray::from(values.clone())),
                        Arc::new(LargeStringArray::from(values.clone())),
                        Arc::new(StringViewArray::from_iter(values.clone())),
                    ];
                    for array in arrays {
                        for (start, length) in [(0, rows), (rows / 3, rows - rows / 2)] {
                            let expected = &expected[start..start + length];
                            let (part, tweaks) = (array.slice(start, length), tweak_array.slice(start, length));
                            let task = Task::new(&transform, direction, "c").after(start as u64);
                            let done = apply(task, &part, of_column.then_some(&tweaks));
                            let context = format!("{rule}, {direction:?}, {}, {length} rows", array.data_type());
                            if let Some(bad) = expected.iter().position(Result::is_err) {
                                let error = done.unwrap_err();
                                let text =
                                    format!("{error} {}", error.hint().map(ToString::to_string).unwrap_or_default());
                                assert_eq!(error.kind(), ErrorKind::BadInput, "{context}");
                                let named = format!("column `c`, row {}: ", start + bad + 1);
                                assert!(text.starts_with(&named), "{context}: {text}");
                                let value = values[start + bad].as_deref().unwrap_or_default();
                                assert!(value.len() < 8 || !text.contains(value), "{context}");
                                continue;
                            }
                            let done = done.unwrap().array;
                            assert_eq!(done.data_type(), array.data_type());
                            // Arrow's own check of offsets, UTF-8 and nulls: the arrays were built without it.
                            done.to_data().validate_full().unwrap();
                            let texts = cast(&done, &DataType::LargeUtf8).unwrap();
                            let texts = texts.as_string::<i64>().iter();
                            for (row, (text, expected)) in texts.zip(expected).enumerate() {
                                assert_eq!(text, expected.as_ref().unwrap().as_deref(), "{context}, row {row}");
                            }
                        }
                    }
                    // Those that fit go back.
                    values = expected.into_iter().map(|result| result.ok().flatten()).collect();
                }
            }
        }
    }
    // Or the independent cipher might have judged nothing.
    assert!(judged > 1000);
}

/// Compares the result of nothing but digits with that of the crate `fpe`; `false` if it is something else.
fn judge(key: &[u8], value: &str, result: &Result<Option<String>, ()>) -> bool {
    let Some(result) = result.as_ref().ok().and_then(Option::as_deref) else {
        return false;
    };
    // Only digits and nothing else are plain FF1, which the other cipher can do.
    if !(6..=60).contains(&value.len()) || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let numerals: Vec<u16> = value.bytes().map(|byte| u16::from(byte - b'0')).collect();
    let ff1 = FF1::<aes::Aes256>::new(key, 10).unwrap();
    let expected: Vec<u16> = ff1.encrypt(&[], &FlexibleNumeralString::from(numerals)).unwrap().into();
    let expected: String = expected.iter().map(|digit| char::from(b'0' + *digit as u8)).collect();
    assert_eq!(result, expected);
    true
}
