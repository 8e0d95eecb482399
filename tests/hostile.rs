//! Strings that nobody meant: each format gives an error or a value that comes back, and never panics.

use cipherform::cipher::{Direction, Tweaks};
use cipherform::formats::RowError;
use cipherform::transform::{TextBatch, Texts, Transform};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::answers;
use crate::sandbox::Sandbox;

/// Strings of each kind, for each rule.
// Few enough for every run of the tests.
const STRINGS: usize = 5_000;

/// Strings that were trouble somewhere, once.
const CORPUS: &str = include_str!("vectors/ours/hostile.json");

/// Protects `rows`; what fits must come back.
fn check(protect: &Transform, reveal: &Transform, rows: &[String]) {
    fn batch<'a>(direction: Direction, rows: &'a [Option<&'a str>]) -> TextBatch<'a> {
        // Seven bytes, as FF3-1 has it; the other rules ignore the tweak, or take any.
        TextBatch::new(direction, rows).with_tweaks(Some(Tweaks::Shared(b"tweak42")))
    }
    let values: Vec<Option<&str>> = rows.iter().map(|row| Some(row.as_str())).collect();
    let mut protected = Texts::default();
    protect
        .texts(batch(Direction::Encrypt, &values), &mut protected)
        .unwrap();
    let protected: Vec<Option<&str>> = protected.iter().collect();
    // One result a row, whatever became of it.
    assert_eq!(protected.len(), rows.len());
    if protect.rule().treatment.is_one_way() {
        return;
    }
    let mut revealed = Texts::default();
    reveal
        .texts(batch(Direction::Decrypt, &protected), &mut revealed)
        .unwrap();
    for ((value, protected), revealed) in rows.iter().zip(&protected).zip(revealed.iter()) {
        match protected {
            // Whatever was protected comes back, byte for byte: normalisation or folding on the way would show.
            Some(_) => assert_eq!(revealed, Some(value.as_str()), "{}", protect.rule().name),
            None => assert_eq!(revealed, None),
        }
    }
    // What nobody protected is an error or a value, too: reveal runs on files that others may have written.
    for value in &values {
        let mut out = Texts::default();
        match reveal.texts(batch(Direction::Decrypt, std::slice::from_ref(value)), &mut out) {
            Ok(_) => assert_eq!(out.iter().count(), 1),
            Err(error) => assert!(matches!(error, RowError::Row { row: 0, .. }), "{error:?}"),
        }
    }
}

/// A value with a few characters changed, doubled, swapped or left out.
fn spoiled(random: &mut StdRng, value: &str, corpus: &[String]) -> String {
    let mut symbols: Vec<char> = value.chars().collect();
    // One to three edits keep a value close to the format, where parsers decide.
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=symbols.len());
        match random.random_range(0..6) {
            0 if at < symbols.len() => {
                symbols.remove(at);
            }
            1 if at < symbols.len() => symbols.insert(at, symbols[at]),
            2 if at + 1 < symbols.len() => symbols.swap(at, at + 1),
            3 => symbols.truncate(at),
            4 => {
                let other = corpus.choose(random).map_or("", String::as_str);
                symbols.splice(at..at, other.chars().take(20));
            }
            _ if at < symbols.len() => {
                // Up to U+3000: scripts, marks and spaces of other kinds than ASCII.
                let other = char::from_u32(random.random_range(0..0x3000)).unwrap_or('\u{fffd}');
                symbols[at] = if random.random_bool(0.5) {
                    other
                } else {
                    char::from(random.random_range(b' '..=b'~'))
                };
            }
            _ => symbols.push(char::from(random.random_range(b'0'..=b'z'))),
        }
    }
    symbols.into_iter().collect()
}

#[tokio::test]
async fn hostile_strings_give_an_error_or_a_value() {
    let corpus: Vec<String> = serde_json::from_str(CORPUS).unwrap();
    let policy = std::fs::read_to_string(answers::folder().join("policy.toml")).unwrap();
    let sandbox = Sandbox::new();
    // NULL for a misfit, so that one bad row does not end the batch.
    sandbox.policy(&policy.replace("key = \"pii\"", "key = \"pii\"\non_invalid = \"null\""));
    let engine = sandbox.engine().await;
    let cases = answers::cases();
    // A failure can be repeated.
    let mut random = StdRng::seed_from_u64(19);
    for rule in engine.policy().rules() {
        let name = rule.name.parse().unwrap();
        let protect = engine.resolve(&name, Direction::Encrypt).await.unwrap();
        let reveal = engine.resolve(&name, Direction::Decrypt).await.unwrap();
        let valid: Vec<&String> = cases
            .iter()
            .filter(|case| case.rule == rule.name)
            .flat_map(|case| &case.values)
            .collect();
        let mut rows: Vec<String> = corpus.clone();
        rows.extend(valid.iter().map(|value| (*value).clone()));
        for _ in 0..STRINGS {
            let value = valid.choose(&mut random).unwrap();
            rows.push(spoiled(&mut random, value, &corpus));
        }
        check(&protect, &reveal, &rows);

        // What breaks is made as small as it can be, which fixed strings cannot.
        let mut runner = TestRunner::new(Config {
            cases: (STRINGS / 50) as u32,
            failure_persistence: None,
            ..Config::default()
        });
        let strings = prop::collection::vec(
            // Any characters, printable ones, ASCII, and what numbers and dates are made of.
            prop_oneof![any::<String>(), "\\PC{0,40}", "[ -~]{0,40}", "[0-9 :./-]{0,40}"],
            50,
        );
        runner
            .run(&strings, |rows| {
                check(&protect, &reveal, &rows);
                Ok(())
            })
            .unwrap();
    }
}

/// A value of 1 MiB costs no more than a few times its length, whatever the format: it is done, or told to be too long.
#[test]
fn memory_is_bounded() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, LargeStringArray, RecordBatch};

    let policy = std::fs::read_to_string(answers::folder().join("policy.toml")).unwrap();
    let policy = policy.replace("key = \"pii\"", "key = \"pii\"\non_invalid = \"null\"");
    let mut lines = String::new();
    let mut columns: Vec<(String, ArrayRef, bool)> = Vec::new();
    for (at, case) in answers::cases().iter().enumerate() {
        let rule = case.rule.as_str();
        if case.r#type != "Utf8" || case.tweaks.is_some() {
            continue;
        }
        let value = &case.values[0];
        // Repeats a valid value, so that parsers go as far as they can.
        let long = value.repeat((1 << 20) / value.len());
        lines.push_str(&format!("c{at} = \"{rule}\"\n"));
        columns.push((
            format!("c{at}"),
            Arc::new(LargeStringArray::from(vec![long.as_str()])),
            true,
        ));
    }
    let sandbox = Sandbox::new();
    sandbox.policy(&format!("{policy}\n[columns]\n{lines}"));
    for column in columns {
        sandbox.write(
            "long.parquet",
            &RecordBatch::try_from_iter_with_nullable([column.clone()]).unwrap(),
        );
        // 768 MiB of address space for program, threads and all.
        // A process of its own: the limit is one of the process.
        let command = sandbox.command(&["protect", "--force", "long.parquet", "safe.parquet"]);
        let script = "ulimit -v 786432; exec \"$@\"";
        let mut limited = std::process::Command::new("sh");
        limited
            .args(["-c", script, "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        limited.current_dir(sandbox.folder.path()).env_clear();
        limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = limited.output().unwrap();
        assert!(
            output.status.success(),
            "{}: {}",
            column.0,
            crate::sandbox::text(&output.stderr)
        );
    }
}
