//! What share of a job of ten million rows goes into its keys: `cargo bench --features full --bench keys`.
//!
//! The local KMS with a key file, and one whose every answer takes 20 ms, as one in the same region may.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // a bench prints, and a panic is its message

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use async_trait::async_trait;
use cipherform::columns::BatchPlan;
use cipherform::keys::{KeyUse, Keyring, KmsClient, KmsKeyInfo, KmsKeyRef, KmsRegistry, WrapContext};
use cipherform::kms::{LocalKms, MemoryKms, Unlock};
use cipherform::{Engine, Result, Secret};

/// A customer: four columns of one class, as a table of ten million people has at least.
const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
[rules.ssn]
format = "us-ssn"
key = "pii"
[rules.phone]
format = "digits"
key = "pii"
[rules.card]
format = { type = "pan", check_digit = "off" }
key = "pii"
[rules.mail]
format = "email"
key = "pii"
[columns]
ssn = "ssn"
phone = "phone"
card = "card"
mail = "mail"
"#;

/// A KMS some way off.
#[derive(Debug)]
struct Distant(MemoryKms);

impl Distant {
    async fn travel(&self) {
        // The round trip is all that distance costs here.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[async_trait]
impl KmsClient for Distant {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        self.travel().await;
        self.0.describe(key).await
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        self.travel().await;
        self.0.wrap(key, plaintext, context).await
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        self.travel().await;
        self.0.unwrap(key, wrapped, context).await
    }
}

#[tokio::main]
async fn main() {
    // As a part of the tests it only shows that it runs.
    let rows = if std::env::args().any(|argument| argument == "--bench") {
        10_000_000
    } else {
        10_000
    };
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("kms.json"), folder.path().join("unlock.key"));
    LocalKms::create_key_file(&key).unwrap();
    LocalKms::create(&file, &Unlock::KeyFile(key.clone()), &"main".parse().unwrap()).unwrap();
    let local = KmsRegistry::new().with("local", LocalKms::open(file, Unlock::KeyFile(key)));
    measure("local KMS", "local:main", &local, rows).await;
    let distant = KmsRegistry::new().with("memory", Distant(MemoryKms::new().with_key("main")));
    measure("KMS 20 ms away", "memory:main", &distant, rows).await;
}

async fn measure(name: &str, kms_key: &str, registry: &KmsRegistry, rows: usize) {
    // A folder each, so that no cache is shared between the two.
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, POLICY).unwrap();
    let mut keyring = Keyring::create(folder.path().join("keyring.json"), &kms_key.parse().unwrap(), registry)
        .await
        .unwrap();
    keyring
        .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
        .await
        .unwrap();

    // One batch is enough: it is protected again and again, and only keys are fetched once.
    let column =
        |value: fn(u32) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..8_192).map(value))) };
    let batch = RecordBatch::try_from_iter([
        (
            "ssn",
            column(|row| format!("{:03}-{:02}-{:04}", 1 + row % 600, 1 + row % 99, 1 + row % 9_999)),
        ),
        ("phone", column(|row| format!("+1 212 555 {:04}", row % 10_000))),
        ("card", column(|row| format!("400000{:010}", row * 7_919))),
        ("mail", column(|row| format!("customer.{row}@example.com"))),
    ])
    .unwrap();
    let started = Instant::now();
    let engine = Engine::open(&policy, registry).await.unwrap();
    let plan = BatchPlan::protect(&engine, "t", &batch.schema()).await.unwrap();
    // Up to here everything that has to do with keys is done.
    let keys = started.elapsed();
    let mut done = 0;
    // The same batch: reading a file would hide the share of the keys.
    while done < rows {
        plan.apply(&batch, done as u64).await.unwrap();
        done += batch.num_rows();
    }
    let all = started.elapsed();
    let share = 100.0 * keys.as_secs_f64() / all.as_secs_f64();
    println!("{name}: keys {keys:.2?} of {all:.2?} for {done} rows: {share:.3} %");
}
