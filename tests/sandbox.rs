//! A folder of its own for each test, with policy, keyring and local KMS, and the command to run in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use cipherform::Engine;
use cipherform::keys::KmsRegistry;
use cipherform::kms::{LocalKms, Unlock};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// Rules for the columns of [`people`].
pub(crate) const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
[rules.ssn]
format = "us-ssn"
key = "pii"
[rules.card]
format = "pan"
key = "pii"
mask = { keep_last = 4 }
[rules.email]
format = "email"
key = "pii"
[rules.id]
format = { type = "integer", min = 1, max = 999_999_999 }
key = "pii"
[columns]
"people.ssn" = "ssn"
"people.card" = "card"
"people.id" = "id"
[roles.analyst]
card = "masked"
id = "protected"
"*" = "denied"
"#;

pub(crate) struct Sandbox {
    pub(crate) folder: TempDir,
}

impl Sandbox {
    /// A folder in which `cipherform init` has run and the policy is [`POLICY`].
    pub(crate) fn new() -> Self {
        let sandbox = Self::empty();
        sandbox.ok(&["init"]);
        sandbox.policy(POLICY);
        sandbox
    }

    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the policy; what `init` wrote into it of trust stays.
    pub(crate) fn policy(&self, text: &str) {
        let before = std::fs::read_to_string(self.path("policy.toml")).unwrap_or_default();
        let trust = before.find("[trust.").map(|at| &before[at..]).unwrap_or_default();
        let trust = if text.contains("[trust.") { "" } else { trust };
        std::fs::write(self.path("policy.toml"), format!("{text}\n{trust}")).unwrap();
    }

    /// Lets files name a KMS key, as a person does who has read what the command says.
    pub(crate) fn trust(&self, key: &str) {
        let policy = std::fs::read_to_string(self.path("policy.toml")).unwrap();
        assert!(policy.contains("\nkms = ["), "{policy}");
        std::fs::write(
            self.path("policy.toml"),
            policy.replacen("\nkms = [", &format!("\nkms = [\"{key}\", "), 1),
        )
        .unwrap();
    }

    /// The command, in this folder, with this folder's local KMS and key file and nothing else from the environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cipherform"));
        command
            .current_dir(self.folder.path())
            // Credentials, proxies and settings of whoever runs the tests must not decide a result.
            .env_clear()
            .env("CIPHERFORM_LOCAL_KMS", self.path("kms.json"))
            .env("CIPHERFORM_KEY_FILE", self.path("unlock.key"))
            .args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the command, which must succeed, and gives what it wrote to stdout.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}{}",
            // Both streams, as the cause of a failure may stand in either.
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Runs the command, which must fail with exit code `code`, and gives what it wrote to stderr.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        stderr
    }

    /// Another program's keys and certificates, in this folder. `line` quotes nothing.
    pub(crate) fn openssl(&self, line: &str) {
        let made = Command::new("openssl")
            .current_dir(self.folder.path())
            .args(words(line))
            .output()
            .expect("openssl, which Debian has");
        assert!(made.status.success(), "openssl {line}: {}", text(&made.stderr));
    }

    pub(crate) fn write(&self, name: &str, batch: &RecordBatch) -> PathBuf {
        self.write_with(name, batch, WriterProperties::default())
    }

    pub(crate) fn write_with(&self, name: &str, batch: &RecordBatch, properties: WriterProperties) -> PathBuf {
        let path = self.path(name);
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        path
    }

    /// The engine that the command would use.
    pub(crate) async fn engine(&self) -> Engine {
        Engine::open(&self.path("policy.toml"), &self.registry()).await.unwrap()
    }

    pub(crate) fn registry(&self) -> KmsRegistry {
        let unlock = Unlock::KeyFile(self.path("unlock.key"));
        KmsRegistry::new().with("local", LocalKms::open(self.path("kms.json"), unlock))
    }

    /// The names of everything in the folder, hidden or not.
    pub(crate) fn listing(&self) -> Vec<String> {
        // Hidden files too: files written aside begin with a dot.
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The arguments in a line that quotes nothing.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The whole of a Parquet file.
pub(crate) fn read(path: &Path) -> (SchemaRef, RecordBatch) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let batch = arrow::compute::concat_batches(&schema, &batches).unwrap();
    (schema, batch)
}

/// Three people and a row of NULLs.
pub(crate) fn people() -> RecordBatch {
    let text = |values: [Option<&str>; 4]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    RecordBatch::try_from_iter_with_nullable([
        (
            "id",
            Arc::new(Int64Array::from(vec![Some(1), Some(999_999_999), Some(77), None])) as ArrayRef,
            true,
        ),
        (
            // Hyphens, none, and spaces: three layouts of one format.
            "ssn",
            text([Some("123-45-6789"), Some("899999999"), Some("001 01 0001"), None]),
            true,
        ),
        (
            "card",
            // An empty text among values, and NULL in the last row of every column.
            text([Some("4111-1111-1111-1111"), Some("5500000000000004"), Some(""), None]),
            true,
        ),
        ("note", text([Some("as it is"), Some(""), None, None]), true),
    ])
    .unwrap()
}
