//! What every format and treatment makes of given values: stored once, the same in Rust, SQL and on the command line,
//! for ever.
//!
//! The Python module is held to the same file by `python/tests/test_answers.py`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cipherform::cipher::Direction;
use cipherform::columns::{Task, apply};
use cipherform::policy::RuleRef;
use cipherform::sql::Session;
use serde::Deserialize;

use crate::sandbox::{Sandbox, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) rule: String,
    /// Arrow's name for the type of the column.
    pub(crate) r#type: String,
    /// As text; bytes as the text they are.
    pub(crate) values: Vec<String>,
    pub(crate) tweaks: Option<Vec<String>>,
    /// As text; bytes in base64url.
    #[serde(default)]
    protected: Vec<String>,
}

impl Case {
    fn data_type(&self) -> DataType {
        self.r#type.parse().unwrap()
    }

    fn array(&self) -> ArrayRef {
        let text = StringArray::from_iter_values(&self.values);
        match self.data_type() {
            // Arrow does not cast text to bytes that are not those of the text, so this is built directly.
            DataType::Binary => Arc::new(BinaryArray::from_iter_values(&self.values)),
            other => cast(&text, &other).unwrap(),
        }
    }

    fn tweaks(&self) -> Option<ArrayRef> {
        let tweaks = self.tweaks.as_ref()?;
        Some(Arc::new(StringArray::from_iter_values(tweaks)))
    }

    fn is_one_way(&self) -> bool {
        // By the name of the rule: the file names rules by what they do.
        ["hash", "masked", "fixed", "bucket"]
            .iter()
            .any(|name| self.rule.starts_with(name))
    }

    fn name(&self) -> String {
        format!("{} of {}", self.rule, self.r#type)
    }
}

/// As the file has them.
fn texts(array: &ArrayRef) -> Vec<String> {
    // Hashes and ciphertexts of bytes are no text, so the file has them in base64url.
    if let Some(bytes) = array.as_binary_opt::<i32>() {
        return bytes
            .iter()
            .flatten()
            .map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))
            .collect();
    }
    let text = cast(array, &DataType::Utf8).unwrap();
    text.as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

pub(crate) fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/ours")
}

pub(crate) fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(folder().join("answers.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The policy and keys of the answers, in a folder of their own.
fn sandbox(columns: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    // Keys that were made once and stand in the repository: only with these can answers be stored.
    for name in ["keyring.json", "kms.json", "unlock.key"] {
        std::fs::copy(folder().join(name), sandbox.path(name)).unwrap();
    }
    let policy = std::fs::read_to_string(folder().join("policy.toml")).unwrap();
    sandbox.policy(&format!("{policy}\n[columns]\n{columns}"));
    sandbox
}

#[tokio::test]
async fn answers_never_change() {
    let sandbox = sandbox("");
    let engine = sandbox.engine().await;
    let mut wrong = Vec::new();
    for case in cases() {
        // Through the engine and not a format alone: the answer also depends on subkey, tweak and shape.
        let rule: RuleRef = case.rule.parse().unwrap();
        let tweaks = case.tweaks();
        let transform = engine.resolve(&rule, Direction::Encrypt).await.unwrap();
        let task = Task::new(&transform, Direction::Encrypt, &case.rule);
        let protected = apply(task, &case.array(), tweaks.as_ref()).unwrap().array;
        assert_eq!(protected.data_type(), &case.data_type());
        // All that differ are listed before the test fails: a change that touches one rule looks unlike one that
        // touches all.
        if texts(&protected) != case.protected {
            wrong.push(format!("{}: {:?}", case.name(), texts(&protected)));
        }
        if case.is_one_way() {
            continue;
        }
        let transform = engine.resolve(&rule, Direction::Decrypt).await.unwrap();
        let task = Task::new(&transform, Direction::Decrypt, &case.rule);
        let revealed = apply(task, &protected, tweaks.as_ref()).unwrap().array;
        // The stored answer has to come back as well: a frozen answer that cannot be revealed is no use.
        assert_eq!(&revealed, &case.array(), "{}", case.name());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every rule of the policy has its answers, and the policy has every format and treatment there is.
#[tokio::test]
async fn nothing_is_left_out() {
    let engine = sandbox("").engine().await;
    let cases = cases();
    let rules: Vec<_> = engine.policy().rules().collect();
    // A rule without an answer could change unseen.
    for rule in &rules {
        assert!(cases.iter().any(|case| case.rule == rule.name), "{}", rule.name);
    }
    // A new format fails here until it has answers.
    for format in cipherform::formats::names() {
        let has = |rule: &&&cipherform::policy::Rule| rule.format.version().starts_with(&format!("{format}/"));
        assert!(rules.iter().any(|rule| has(&rule)), "{format}");
    }
    // Tokens are random, and of what is dropped there is no answer.
    for treatment in ["encrypt", "encrypt-legacy", "siv", "hash", "mask", "shift", "bucket"] {
        assert!(
            rules.iter().any(|rule| rule.treatment.name() == treatment),
            "{treatment}"
        );
    }
}

#[tokio::test]
async fn sql_gives_the_same() {
    let sandbox = sandbox("");
    let engine = sandbox.engine().await;
    let session = Session::new(&engine).await.unwrap();
    // Each case in a table of its own, as columns have unlike numbers of rows.
    for (at, case) in cases().iter().enumerate() {
        let mut columns = vec![("v", case.array())];
        columns.extend(case.tweaks().map(|tweaks| ("tweak", tweaks)));
        let tweak = if case.tweaks.is_some() { ", tweak" } else { "" };
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let table = format!("t{at}");
        session
            .register_batches(&table, &batch.schema(), vec![batch])
            .await
            .unwrap();
        let reveal = match case.is_one_way() {
            true => "v".to_owned(),
            // Both in one statement: the optimizer may fold or reorder the calls, and must not change a value.
            false => format!("reveal(protect(v, '{rule}'{tweak}), '{rule}'{tweak})", rule = case.rule),
        };
        let sql = format!("SELECT protect(v, '{}'{tweak}), {reveal} FROM {table}", case.rule);
        let done = session.query(&sql).await.unwrap().collect().await.unwrap();
        let column = |at: usize| {
            let chunks: Vec<&dyn Array> = done.iter().map(|batch| batch.column(at).as_ref()).collect();
            concat(&chunks).unwrap()
        };
        assert_eq!(texts(&column(0)), case.protected, "{}", case.name());
        assert_eq!(texts(&column(1)), texts(&case.array()), "{}", case.name());
    }
}

/// One file for all cases without tweaks, and one for each of the others.
#[test]
fn the_command_gives_the_same() {
    let cases = cases();
    let rows = cases.iter().map(|case| case.values.len()).max().unwrap();
    let lines: String = cases
        .iter()
        .enumerate()
        .map(|(at, case)| format!("c{at} = \"{}\"\n", case.rule))
        .collect();
    let sandbox = sandbox(&lines);
    let wide: Vec<usize> = (0..cases.len()).filter(|at| cases[*at].tweaks.is_none()).collect();
    let single = (0..cases.len())
        .filter(|at| cases[*at].tweaks.is_some())
        .map(|at| vec![at]);
    // Cases with tweaks need a column called `tweak` each, so they cannot share a file.
    for (file, columns) in std::iter::once(wide).chain(single).enumerate() {
        let padded = |at: &usize| {
            // Filled up with NULLs to one length: a NULL stays NULL and changes nothing of its neighbours.
            let array = cases[*at].array();
            let nulls = new_null_array(array.data_type(), rows - array.len());
            (format!("c{at}"), concat(&[&array, &nulls]).unwrap(), true)
        };
        let mut table: Vec<(String, ArrayRef, bool)> = columns.iter().map(padded).collect();
        if let Some(tweaks) = cases[columns[0]].tweaks() {
            let nulls = new_null_array(tweaks.data_type(), rows - tweaks.len());
            table.push(("tweak".to_owned(), concat(&[&tweaks, &nulls]).unwrap(), true));
        }
        let batch = RecordBatch::try_from_iter_with_nullable(table).unwrap();
        let [plain, safe, back] = ["plain", "safe", "back"].map(|name| format!("{name}{file}.parquet"));
        sandbox.write(&plain, &batch);
        sandbox.ok(&["protect", &plain, &safe]);
        sandbox.ok(&["reveal", &safe, &back]);
        let (_, protected) = read(&sandbox.path(&safe));
        let (_, revealed) = read(&sandbox.path(&back));
        for (at, place) in columns.iter().zip(0..) {
            let case = &cases[*at];
            let some = |array: &ArrayRef| texts(&array.slice(0, case.values.len()));
            assert_eq!(some(protected.column(place)), case.protected, "{}", case.name());
            // Neither a value became NULL nor a NULL a value.
            assert_eq!(protected.column(place).null_count(), rows - case.values.len());
            if !case.is_one_way() {
                assert_eq!(revealed.column(place), batch.column(place), "{}", case.name());
            }
        }
    }
}
