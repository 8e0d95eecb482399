//! No key and no plaintext in any message, `Debug`, log or file other than the one the user asked for.
//!
//! Every outlet is listed here; a new one is added here.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use cipherform::cipher::Direction;
use cipherform::cipher::{AesKey, Cipher, Radix};
use cipherform::keys::{DirectMode, KeyBits, KeyUse, Keyring, Purpose};
use cipherform::kms::{LocalKms, MemoryKms, Unlock};
use cipherform::policy::RuleRef;
use cipherform::{Error, Secret};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::sandbox::{POLICY, Sandbox, people, text};

/// A social security number with a digit too many, a card with a wrong check digit: values that fail, and must not
/// show.
const VALUES: &[&str] = &[
    "123-45-67890",
    "4111-1111-1111-1112",
    "nobody@@example.com",
    "Zz9-secret-Zz9",
];

#[test]
fn messages_hold_no_value() {
    let sandbox = Sandbox::new();
    for value in VALUES {
        let column = Arc::new(StringArray::from(vec![*value])) as ArrayRef;
        for rule in ["ssn", "card", "email", "id"] {
            let batch = RecordBatch::try_from_iter([("c", Arc::clone(&column))]).unwrap();
            // As a column, in a query over it, and as a literal: three ways to the same message.
            sandbox.write("t.parquet", &batch);
            let lines = format!(
                "{}[columns]\nc = \"{rule}\"\n",
                POLICY.split("[columns]").next().unwrap()
            );
            sandbox.policy(&lines);
            let protect = sandbox.fails(1, &["protect", "t.parquet", "out.parquet"]);
            let literal = format!("SELECT protect('{value}', '{rule}')");
            let column = format!("SELECT protect(c, '{rule}') FROM t");
            for message in [
                protect,
                sandbox.fails(1, &["query", "-c", &column, "t.parquet"]),
                sandbox.fails(1, &["query", "-c", &literal, "t.parquet"]),
            ] {
                // Rust's and DataFusion's own errors quote what they could not parse.
                assert!(!message.contains(value), "{message}");
            }
        }
    }
}

#[test]
fn errors_of_the_query_engine_hold_no_value() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    // Functions whose errors would print their argument.
    for sql in [
        "SELECT CAST(ssn AS INT) FROM safe",
        "SELECT to_timestamp(card) FROM safe",
        "SELECT id * 10000000000000000 FROM safe",
        "SELECT arrow_cast(id, 'Int8') FROM safe",
        "SELECT CAST(ssn AS DATE) FROM safe",
        "SELECT regexp_like('a', concat(ssn, '(')) FROM safe",
        "SELECT encode('a', ssn) FROM safe",
    ] {
        let output = sandbox.run(&["query", "-c", sql, "safe.parquet"]);
        let message = text(&output.stderr);
        for value in ["6789", "899999999", "4111", "999999999", "0001"] {
            assert!(!message.contains(value), "{sql}: {message}");
        }
    }
}

#[test]
fn protected_files_hold_no_plaintext_byte_for_byte() {
    let sandbox = Sandbox::new();
    // Uncompressed, so that a search of bytes finds what is there.
    let plain = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .build();
    sandbox.write_with("people.parquet", &people(), plain);
    let contains = |name: &str, needle: &[u8]| {
        let bytes = fs::read(sandbox.path(name)).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    let values: [&[u8]; 4] = [
        b"123-45-6789",
        b"899999999",
        b"4111-1111-1111-1111",
        // Plain encoding writes integers in little-endian.
        &999_999_999i64.to_le_bytes(),
    ];
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    for value in values {
        // Otherwise a search that never finds anything would pass.
        assert!(contains("people.parquet", value), "the search works");
        assert!(!contains("safe.parquet", value));
    }
}

#[tokio::test]
async fn keys_are_in_no_file_and_no_debug() {
    let sandbox = Sandbox::new();
    let keyring = Keyring::open(sandbox.path("keyring.json"), &sandbox.registry()).await;
    let mut keyring = keyring.unwrap().with_audit_log(sandbox.path("audit.jsonl")).unwrap();
    let key_use = KeyUse::Direct {
        mode: DirectMode::Ff1,
        bits: KeyBits::B256,
    };
    keyring
        .create_key(&"exchange".parse().unwrap(), key_use, None)
        .await
        .unwrap();
    let handle = keyring
        .handle(&"exchange".parse().unwrap(), Direction::Encrypt)
        .await
        .unwrap();
    let key = handle.direct_key(DirectMode::Ff1).unwrap();
    let derived = keyring
        .handle(&"pii".parse().unwrap(), Direction::Encrypt)
        .await
        .unwrap();
    let subkey = derived.subkey(Purpose::Ff1, "card", b"fingerprint", 32).unwrap();

    let engine = sandbox.engine().await;
    let rule: RuleRef = "card".parse().unwrap();
    let transform = engine.resolve(&rule, Direction::Encrypt).await.unwrap();
    let cipher = Cipher::ff1(&AesKey::try_new(key.expose()).unwrap(), Radix::try_new(10).unwrap());
    let unlock = Unlock::Passphrase(Secret::new("a passphrase of mine".to_owned()));
    let log = keyring.audit_log().unwrap();
    let checkpoint = log.checkpoint(keyring.generation()).unwrap();
    // Whatever can be printed or written: types, files, and what they are nested in.
    let outlets = [
        format!("{log:?} {checkpoint:?}"),
        fs::read_to_string(log.path()).unwrap(),
        String::from_utf8(checkpoint.to_bytes()).unwrap(),
        format!("{keyring:?}"),
        format!("{keyring:#?}"),
        format!("{handle:?}"),
        format!("{derived:#?}"),
        format!("{key:?}"),
        format!("{engine:?}"),
        format!("{transform:#?}"),
        format!("{cipher:#?}"),
        format!("{:?}", AesKey::try_new(key.expose()).unwrap()),
        format!("{unlock:?}"),
        format!("{:?}", LocalKms::open(sandbox.path("kms.json"), unlock.clone())),
        format!("{:?}", MemoryKms::new().with_key("main")),
        format!("{:?}", sandbox.registry()),
        format!("{:?}", Error::bad_input("x")),
        fs::read_to_string(sandbox.path("keyring.json")).unwrap(),
        fs::read_to_string(sandbox.path("kms.json")).unwrap(),
    ];
    for (i, outlet) in outlets.iter().enumerate() {
        // The key that is used as it is, and one that was derived.
        for bytes in [key.expose(), subkey.expose()] {
            for form in forms(bytes) {
                assert!(!outlet.contains(&form), "outlet {i} shows a key");
            }
        }
        assert!(
            !outlet.contains("a passphrase of mine"),
            "outlet {i} shows the passphrase"
        );
    }
}

/// A reference stands in keyrings and messages; what should not be in one is refused unseen.
#[test]
fn references_with_credentials_are_not_printed() {
    let sandbox = Sandbox::new();
    // RFC 7512 allows a PIN in the URI, and every URI allows user and password: people paste them.
    for reference in [
        "pkcs11:token=a;object=b?pin-value=hunter22",
        "vault:https://ann:hunter22@host/transit/main",
        "aws-kms:alias/main?endpoint=https%3A%2F%2Fann%3Ahunter22%40host",
    ] {
        for arguments in [
            ["keys", "create", "x", "--kms", reference],
            ["keys", "rewrap", "pii", "--to", reference],
            ["init", "other", "--key=pii", "--kms", reference],
        ] {
            // clap prints the value of an argument that it refuses, unless it is told not to.
            let stderr = sandbox.fails(2, &arguments);
            assert!(!stderr.contains("hunter22"), "{stderr}");
            assert!(stderr.contains("no place for names, passwords and PINs"), "{stderr}");
        }
    }
}

/// How bytes may be written down; half of a key is a secret, too.
fn forms(bytes: &[u8]) -> Vec<String> {
    let half = &bytes[..bytes.len() / 2];
    let list = format!("{half:?}");
    vec![
        hex::encode(half),
        hex::encode_upper(half),
        list.trim_matches(['[', ']']).to_owned(),
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, half)[..20].to_owned(),
    ]
}

#[test]
fn the_forms_find_a_key() {
    let key: Vec<u8> = (100..132).collect();
    assert!(forms(&key).iter().any(|form| format!("{key:?}").contains(form)));
    assert!(forms(&key).iter().any(|form| hex::encode(&key).contains(form)));
}

#[test]
fn no_core_dump_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    // The limit is set before anything else: a run that waits on stdin shows it, and /proc has it from outside.
    let mut child = sandbox
        .command(&["query", "people.parquet"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let mut core = String::new();
    for _ in 0..200 {
        let all = fs::read_to_string(&limits).unwrap();
        core = all
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap()
            .to_owned();
        if core.split_whitespace().nth(4) == Some("0") && core.split_whitespace().nth(5) == Some("0") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"],
        "{core}"
    );
}

/// Files of secrets that others can read are said, with what to do.
#[cfg(unix)]
#[test]
fn files_that_others_can_read_are_said() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    let mode = |name: &str, mode| {
        fs::set_permissions(sandbox.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let said = |arguments: &[&str]| {
        let output = sandbox.run(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    assert!(!said(&["keys", "list"]).contains("warning"));
    for (name, what) in [("unlock.key", "key file"), ("kms.json", "local KMS")] {
        mode(name, 0o644);
        let told = said(&["keys", "list"]);
        let path = sandbox.path(name).display().to_string();
        assert!(told.contains(&format!("warning: {what} `{path}`")), "{told}");
        assert!(told.contains(&format!("chmod 600 '{path}'")), "{told}");
        mode(name, 0o600);
    }
    fs::write(sandbox.path("pin"), "1234").unwrap();
    mode("pin", 0o640);
    let mut command = sandbox.command(&["keys", "list"]);
    let output = command
        .env("CIPHERFORM_PKCS11_PIN_FILE", sandbox.path("pin"))
        .output()
        .unwrap();
    assert!(
        text(&output.stderr).contains("warning: PIN file"),
        "{}",
        text(&output.stderr)
    );
}
