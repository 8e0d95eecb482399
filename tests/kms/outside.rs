//! A provider from outside the crate, and what the build carries without any.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cipherform::cipher::Direction;
use cipherform::keys::{
    CacheLimits, KeyAction, KeyAudit, KeyEvent, KeyUse, Keyring, KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState,
    KmsRegistry, WrapContext,
};
use cipherform::kms::{MemoryKms, conformance};
use cipherform::{Error, ErrorKind, Result, Secret};

/// A KMS that keeps what it wraps, and hands out receipts.
#[derive(Debug, Default)]
struct Cloakroom(Mutex<BTreeMap<Receipt, Coat>>);

type Receipt = Vec<u8>;

/// Under which key, for which context, what.
type Coat = (String, Vec<u8>, Secret<Vec<u8>>);

#[async_trait]
impl KmsClient for Cloakroom {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        match key.rest() {
            "main" => Ok(KmsKeyInfo::new("cloakroom", "main", KmsKeyState::Enabled)),
            _ => Err(Error::new(ErrorKind::KeyNotFound, "no such hook")),
        }
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        self.describe(key).await?;
        // A provider without associated data of its own, as an HSM may be: what is bound is compared here.
        let receipt = self.random(16).await?.expose().clone();
        let kept = (key.rest().to_owned(), context.to_bytes(), plaintext.clone());
        self.0.lock().unwrap().insert(receipt.clone(), kept);
        Ok(receipt)
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        // A wrong context and a wrong receipt are one error, as an attacker should learn no more.
        match self.0.lock().unwrap().get(wrapped) {
            Some((name, bound, plaintext)) if name == key.rest() && *bound == context.to_bytes() => {
                Ok(plaintext.clone())
            }
            _ => Err(Error::new(ErrorKind::WrongKey, "no such receipt")),
        }
    }
}

/// One new type and one line that registers it.
#[tokio::test]
async fn a_provider_of_ones_own() {
    conformance::check(&Cloakroom::default(), &"cloakroom:main".parse().unwrap())
        .await
        .unwrap();
    let registry = KmsRegistry::new().with("cloakroom", Cloakroom::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.json");
    let mut keyring = Keyring::create(&path, &"cloakroom:main".parse().unwrap(), &registry)
        .await
        .unwrap();
    keyring
        .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
        .await
        .unwrap();
    let keyring = Keyring::open(&path, &registry).await.unwrap();
    keyring
        .handle(&"pii".parse().unwrap(), Direction::Encrypt)
        .await
        .unwrap();
}

#[derive(Debug, Default)]
struct Record(Mutex<Vec<KeyEvent>>);

impl KeyAudit for Record {
    fn record(&self, event: &KeyEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// A thousand columns under ten data keys cost ten fetches, and each is on record.
#[tokio::test]
async fn few_fetches_each_on_record() {
    let record = Arc::new(Record::default());
    let kms = MemoryKms::new().with_key("main");
    let registry = KmsRegistry::new()
        .with("memory", kms.clone())
        .with_audit(record.clone())
        .with_cache(CacheLimits::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.json");
    let mut keyring = Keyring::create(&path, &"memory:main".parse().unwrap(), &registry)
        .await
        .unwrap();
    let mut policy = String::from("version = 1\nkeyring = \"keyring.json\"\n");
    // Ten keys for a thousand columns: fetches go by key, not by column.
    for key in 0..10 {
        keyring
            .create_key(&format!("key{key}").parse().unwrap(), KeyUse::Derive, None)
            .await
            .unwrap();
    }
    for column in 0..1_000 {
        policy += &format!("[rules.r{column}]\nformat = \"digits\"\nkey = \"key{}\"\n", column % 10);
    }
    policy += "[columns]\n";
    for column in 0..1_000 {
        policy += &format!("c{column} = \"r{column}\"\n");
    }
    std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
    let engine = cipherform::Engine::open(&folder.path().join("policy.toml"), &registry)
        .await
        .unwrap();
    // What opening costs is not counted: only the plan.
    let (opened, recorded) = (kms.calls().unwrap, record.0.lock().unwrap().len());
    let fields: Vec<_> = (0..1_000)
        .map(|column| arrow::datatypes::Field::new(format!("c{column}"), arrow::datatypes::DataType::Utf8, true))
        .collect();
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let plan = cipherform::columns::BatchPlan::protect(&engine, "wide", &schema)
        .await
        .unwrap();
    assert_eq!(plan.summary().len(), 1_000);
    assert_eq!(kms.calls().unwrap - opened, 10);
    let record = record.0.lock().unwrap();
    assert_eq!(record.len() - recorded, 10);
    assert!(
        record[recorded..]
            .iter()
            .all(|event| event.action == KeyAction::Unwrap && event.outcome.is_ok())
    );
    assert_eq!(
        record
            .iter()
            .filter(|event| event.action == KeyAction::Generate)
            .count(),
        11,
        "the root, and ten keys"
    );
}

/// The library alone brings no network and no columns; a provider brings no columns, and one TLS.
#[test]
fn what_the_builds_carry() {
    let crates = |features: &str| {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--locked",
                "--offline",
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--format",
                "{p}",
                "--no-default-features",
            ])
            .args(["--package", "cipherform", "--features", features])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).unwrap();
        tree.lines()
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    // A dependency that comes in by a feature of another library is seen here.
    let found = |features: &str, unwanted: &[&str]| {
        let mut names = crates(features);
        assert!(names.iter().any(|name| name == "aes"), "{features}: this is a tree");
        names.retain(|name| {
            unwanted
                .iter()
                .any(|prefix| name == prefix || (prefix.ends_with('-') && name.starts_with(prefix)))
        });
        names
    };
    // Names of crates, and prefixes where one ends in a hyphen.
    const NETWORK: &[&str] = &[
        "http",
        "hyper",
        "hyper-",
        "ureq",
        "reqwest",
        "h2",
        "rustls",
        "rustls-",
        "ring",
        "openssl",
        "openssl-",
        "native-tls",
        "aws-",
        "tokio",
        "curl",
    ];
    const COLUMNS: &[&str] = &["arrow", "arrow-", "parquet", "datafusion", "datafusion-"];
    // The library alone is used where no network stack may be linked.
    assert_eq!(found("", NETWORK), [""; 0]);
    assert_eq!(found("", COLUMNS), [""; 0]);
    let providers = "kms-aws,kms-azure,kms-gcp,kms-kmip,kms-pkcs11,kms-vault";
    assert_eq!(found(providers, COLUMNS), [""; 0]);
    assert_eq!(
        found(
            providers,
            // One TLS library is enough: a second one doubles what has to be kept up to date.
            &[
                "aws-lc-rs",
                "aws-lc-sys",
                "openssl",
                "openssl-sys",
                "native-tls",
                "hyper",
                "hyper-",
                "reqwest"
            ]
        ),
        [""; 0]
    );
}
