//! A column done side by side is what its values are one by one: texts of any shape, between each other.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use cipherform::cipher::Direction;
use cipherform::columns::{Task, apply};
use cipherform::policy::RuleRef;
use cipherform::transform::{TextBatch, Texts, Transform};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::sandbox::Sandbox;

const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
[rules.digits]
format = "digits"
key = "k"
on_invalid = "insecure-keep"
[rules.null]
format = "digits"
key = "k"
on_invalid = "null"
on_empty = "keep"
[rules.kept]
format = { type = "digits", keep = [2, 1] }
key = "k"
on_invalid = "insecure-keep"
[rules.pan]
format = { type = "pan", keep = [0, 4] }
key = "k"
on_invalid = "null"
[rules.bin]
format = { type = "pan", keep = [6, 4], check_digit = "off" }
key = "k"
on_invalid = "null"
insecure_small_domain = "a test"
[rules.letters]
format = { type = "alphanumeric", case = "upper" }
key = "k"
on_invalid = "insecure-keep"
tweak = { hex = "00ff10" }
"#;

/// Values of all kinds, those that fit among those that do not.
fn hostile(random: &mut StdRng, rows: usize) -> Vec<Option<String>> {
    let digits = |random: &mut StdRng, n: usize| -> String {
        (0..n).map(|_| char::from(b'0' + random.random_range(0..10))).collect()
    };
    // Luhn (ISO/IEC 7812-1, annex B): every second digit from the right is doubled.
    let valid = |mut card: String| -> String {
        let sum: u32 = card
            .bytes()
            .rev()
            .enumerate()
            .map(|(i, b)| {
                let digit = u32::from(b - b'0');
                if i % 2 == 0 {
                    2 * digit - 9 * u32::from(digit > 4)
                } else {
                    digit
                }
            })
            .sum();
        card.push(char::from(b'0' + ((10 - sum % 10) % 10) as u8));
        card
    };
    let grouped = |text: &str, with: char| -> String {
        let mut out = String::new();
        for (i, c) in text.chars().enumerate() {
            if i > 0 && i % 4 == 0 {
                out.push(with);
            }
            out.push(c);
        }
        out
    };
    // Each stands for a way that a row may leave the kernels: empty, separators alone, too short, not ASCII,
    // fullwidth digits, a NUL, another script.
    let odd = [
        "",
        " ",
        "-",
        "7",
        "------",
        "12-34",
        "１２３４５６７８",
        "12345678é",
        "1234567890\u{0}",
        "абвгдежз",
        "0000000000",
        "99999999999999999999",
        "4111 1111-1111 1111",
        "ABC123DEF456",
        "abc123",
    ];
    (0..rows)
        .map(|_| {
            // Lengths on both sides of a card's 13 to 19.
            let n = random.random_range(1..=24);
            Some(match random.random_range(0..12) {
                0 => return None,
                1 => (*odd.choose(random).unwrap()).to_owned(),
                2 => grouped(&valid(digits(random, 15)), '-'),
                3 => valid(digits(random, n)),
                4 => grouped(&digits(random, n), ' '),
                5 => digits(random, 3 * n),
                6 => format!("A{}Z", digits(random, n)),
                _ => digits(random, n),
            })
        })
        .collect()
}

fn one_by_one(transform: &Transform, direction: Direction, rows: &[Option<&str>]) -> Vec<Option<String>> {
    // A batch of one takes no path that joins rows.
    let done = rows.iter().map(|row| {
        let mut out = Texts::default();
        transform
            .texts(TextBatch::new(direction, &[*row]), &mut out)
            .ok()
            .unwrap();
        out.iter().map(|text| text.map(str::to_owned)).next().flatten()
    });
    done.collect()
}

fn texts(array: &ArrayRef) -> Vec<Option<String>> {
    let array = cast(array, &DataType::LargeUtf8).unwrap();
    let texts = array.as_string::<i64>().iter();
    texts.map(|text| text.map(str::to_owned)).collect()
}

#[tokio::test]
async fn of_texts() {
    let sandbox = Sandbox::new();
    sandbox.policy(POLICY);
    sandbox.ok(&["keys", "create", "k"]);
    let engine = sandbox.engine().await;
    let mut random = StdRng::seed_from_u64(7);
    for rule in ["digits", "null", "kept", "pan", "bin", "letters"] {
        let rule: RuleRef = rule.parse().unwrap();
        // Around 64 rows, and beyond a chunk of 8,192.
        for rows in [1, 2, 63, 64, 65, 700, 9000] {
            let mut values = hostile(&mut random, rows);
            // One length and one value: the path for uniform rows.
            if rows == 700 {
                values
                    .iter_mut()
                    .for_each(|value| *value = Some("4111111111111111".into())); // all alike
            }
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let transform = engine.resolve(&rule, direction).await.unwrap();
                let slices: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                let expected = one_by_one(&transform, direction, &slices);
                // 32-bit offsets, 64-bit offsets, views: code of their own each.
                for array in [
                    Arc::new(StringArray::from(slices.clone())) as ArrayRef,
                    Arc::new(LargeStringArray::from(slices.clone())),
                    Arc::new(StringViewArray::from(slices.clone())),
                ] {
                    // A slice has offsets that do not begin at 0, and a null buffer that may begin within a byte.
                    for (start, length) in [(0, rows), (rows / 3, rows - rows / 2)] {
                        let part = array.slice(start, length);
                        let done = apply(Task::new(&transform, direction, "c"), &part, None).unwrap();
                        assert_eq!(done.array.data_type(), array.data_type());
                        // The arrays were built without Arrow's checks, so these are made here.
                        done.array.to_data().validate_full().unwrap();
                        assert_eq!(
                            texts(&done.array),
                            expected[start..start + length],
                            "{rule}, {rows} rows"
                        );
                    }
                }
                // The way back starts from what came, misfits and NULLs included.
                values = expected;
            }
        }
    }
}
