//! What somebody who can write the files of another tries: each fails before anything is asked, loaded or shown.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sandbox::{Sandbox, people, text};

/// A host that counts who comes.
fn listener() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, count)
}

/// A keyring that names a KMS key of the attacker's: nothing is sent there, no library is loaded, no file is read.
#[test]
fn a_keyring_cannot_choose_whom_to_ask() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let (port, seen) = listener();
    let keyring = fs::read_to_string(sandbox.path("keyring.json")).unwrap();
    for key in [
        format!("vault:http://127.0.0.1:{port}/transit/main"),
        format!("aws-kms:alias/main?region=us-east-1&endpoint=http://127.0.0.1:{port}"),
        format!("kmip://127.0.0.1:{port}/1"),
        "azure-kv:https://evil.example/keys/main".to_owned(),
        "pkcs11:token=t;object=o?module-path=/tmp/evil.so&pin-source=/etc/passwd".to_owned(),
    ] {
        fs::write(
            sandbox.path("keyring.json"),
            keyring.replace("\"local:main\"", &format!("\"{key}\"")),
        )
        .unwrap();
        for policy in [
            fs::read_to_string(sandbox.path("policy.toml")).unwrap(),
            crate::sandbox::POLICY.to_owned(),
        ] {
            let before = fs::read_to_string(sandbox.path("policy.toml")).unwrap();
            fs::write(sandbox.path("policy.toml"), policy).unwrap();
            for command in [
                &["protect", "people.parquet", "safe.parquet"][..],
                &["keys", "list"],
                &["keys", "doctor"],
                &["query", "-c", "SELECT protect('123-45-6789', 'ssn')", "people.parquet"],
            ] {
                let mut command = sandbox.command(command);
                command
                    .env("VAULT_TOKEN", "secret")
                    .env("AWS_ACCESS_KEY_ID", "a")
                    .env("AWS_SECRET_ACCESS_KEY", "b");
                let output = command.output().unwrap();
                let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
                assert!(
                    !output.status.success() && said.contains("is not trusted"),
                    "{key}: {said}"
                );
            }
            fs::write(sandbox.path("policy.toml"), before).unwrap();
        }
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "somebody was asked");
}

/// A keyring that somebody else made under a KMS key that the victim's KMS unwraps.
#[test]
fn a_keyring_of_somebody_else_does_not_open() {
    let (sandbox, other) = (Sandbox::new(), Sandbox::empty());
    for file in ["kms.json", "unlock.key"] {
        fs::copy(sandbox.path(file), other.path(file)).unwrap();
    }
    // The attacker may wrap with the same KMS, and makes a keyring of his own.
    other.ok(&["init"]);
    fs::copy(other.path("keyring.json"), sandbox.path("keyring.json")).unwrap();
    let refused = sandbox.fails(3, &["keys", "list"]);
    assert!(refused.contains("this is another keyring"), "{refused}");
    // He gives it the id that is pinned: what was wrapped for another does not unwrap.
    let policy = fs::read_to_string(sandbox.path("policy.toml")).unwrap();
    let id = |policy: &str| policy.split("keyring = \"").nth(2).unwrap()[..32].to_owned();
    let theirs = fs::read_to_string(other.path("policy.toml")).unwrap();
    let forged = fs::read_to_string(other.path("keyring.json"))
        .unwrap()
        .replace(&id(&theirs), &id(&policy));
    fs::write(sandbox.path("keyring.json"), forged).unwrap();
    sandbox.fails(3, &["keys", "list"]);
    // A root that is not the pinned one, whatever else is right.
    let pinned = fs::read_to_string(other.path("policy.toml")).unwrap();
    let root = pinned.split("root = [\"").nth(1).unwrap()[..32].to_owned();
    fs::write(other.path("policy.toml"), pinned.replace(&root, &"0".repeat(32))).unwrap();
    let refused = other.fails(3, &["keys", "list"]);
    assert!(refused.contains("root is not one that [trust.main] pins"), "{refused}");
}

/// A local KMS whose unlock line names another KMS.
#[test]
fn a_local_kms_cannot_choose_whom_to_ask() {
    let sandbox = Sandbox::new();
    let (port, seen) = listener();
    let file = fs::read_to_string(sandbox.path("kms.json")).unwrap();
    assert!(file.contains("\"unlock\""), "{file}");
    let mut document: serde_json::Value = serde_json::from_str(&file).unwrap();
    let key = format!("vault:http://127.0.0.1:{port}/transit/main");
    let unlock = find(&mut document, "unlock").expect("what unlocks it");
    *unlock = serde_json::json!({ "kms": { "key": key, "id": "00112233445566778899aabbccddeeff", "wrapped": "AAAA" } });
    fs::write(sandbox.path("kms.json"), document.to_string()).unwrap();
    for command in [&["keys", "list"][..], &["init", "second"]] {
        let output = sandbox.command(command).env("VAULT_TOKEN", "secret").output().unwrap();
        assert!(!output.status.success());
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "somebody was asked");
}

fn find<'a>(value: &'a mut serde_json::Value, name: &str) -> Option<&'a mut serde_json::Value> {
    match value {
        serde_json::Value::Object(map) => {
            if map.contains_key(name) {
                return map.get_mut(name);
            }
            map.values_mut().find_map(|value| find(value, name))
        }
        _ => None,
    }
}

/// `init` pins what it made, and says of columns that nothing names.
#[test]
fn init_pins_and_closes() {
    let sandbox = Sandbox::empty();
    sandbox.ok(&["init"]);
    let policy = fs::read_to_string(sandbox.path("policy.toml")).unwrap();
    assert!(
        policy.contains("[trust.main]") && policy.contains("unlisted = \"error\""),
        "{policy}"
    );
    let printed = sandbox.ok(&["keys", "trust"]);
    assert!(policy.contains(printed.trim()), "{policy} has not {printed}");
}

/// An old copy of the keyring, in which a key was not compromised yet.
#[test]
fn an_old_keyring_does_not_bring_a_compromised_key_back() {
    let sandbox = Sandbox::new();
    sandbox.policy(&crate::sandbox::POLICY.replace("[rules.ssn]", "audit = \"audit.jsonl\"\n[rules.ssn]"));
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["keys", "backup", "--to", "old.json"]);
    let old = fs::read(sandbox.path("keyring.json")).unwrap();
    sandbox.ok(&["keys", "rotate", "pii", "--reason", "leak"]);
    sandbox.ok(&["keys", "compromise", "pii@1", "--reason", "leak", "--yes"]);
    let new = fs::read(sandbox.path("keyring.json")).unwrap();
    fs::write(sandbox.path("keyring.json"), &old).unwrap();
    for command in [
        &["protect", "people.parquet", "safe.parquet"][..],
        &["keys", "list"],
        &["keys", "doctor"],
    ] {
        let output = sandbox.run(command);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(
            !output.status.success() && said.contains("its audit log knows generation"),
            "{command:?}: {said}"
        );
    }
    fs::write(sandbox.path("keyring.json"), &new).unwrap();
    sandbox.ok(&["keys", "list"]);
    // Where the newer one is lost, an older one comes back for a reason, and the lost one is the older copy then.
    fs::remove_file(sandbox.path("keyring.json")).unwrap();
    let refused = sandbox.fails(3, &["keys", "restore", "old.json"]);
    assert!(refused.contains("say why with --reason"), "{refused}");
    assert!(!sandbox.path("keyring.json").exists(), "nothing was written");
    sandbox.ok(&["keys", "restore", "old.json", "--reason", "the disk died"]);
    sandbox.ok(&["keys", "list"]);
    assert!(sandbox.ok(&["keys", "audit", "show"]).contains("the disk died"));
    fs::write(sandbox.path("keyring.json"), &new).unwrap();
    sandbox.fails(3, &["keys", "list"]);
}

/// A file that was renamed: its columns do not go out in the clear because no line is about a table of that name.
#[test]
fn a_renamed_file_is_not_left_in_the_clear() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    fs::rename(sandbox.path("people.parquet"), sandbox.path("people-2026.parquet")).unwrap();
    let policy = crate::sandbox::POLICY.replace("\"people.id\" = \"id\"", "id = \"id\"\nnote = \"keep\"");
    sandbox.policy(&policy);
    let refused = sandbox.fails(1, &["protect", "people-2026.parquet", "safe.parquet"]);
    assert!(refused.contains("is protected in table `people`"), "{refused}");
    assert!(
        refused.contains("--table people") && refused.contains("= \"keep\""),
        "{refused}"
    );
    assert!(!sandbox.path("safe.parquet").exists());
    sandbox.ok(&["protect", "--table", "people", "people-2026.parquet", "safe.parquet"]);
}

/// A log is not made of a file that is something else.
#[cfg(unix)]
#[test]
fn an_audit_log_does_not_overwrite_what_is_none() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let policy = |log: &str| {
        sandbox.policy(&crate::sandbox::POLICY.replace("[rules.ssn]", &format!("audit = \"{log}\"\n[rules.ssn]")));
    };
    fs::write(sandbox.path("diary.txt"), "Dear diary,\nno line feed at the end").unwrap();
    fs::write(sandbox.path("short.txt"), "one line without an end").unwrap();
    std::os::unix::fs::symlink(sandbox.path("diary.txt"), sandbox.path("link.jsonl")).unwrap();
    for log in ["diary.txt", "short.txt", "link.jsonl", "keyring.json"] {
        policy(log);
        let before = fs::read(sandbox.path(log)).unwrap();
        let output = sandbox.run(&["protect", "people.parquet", "safe.parquet"]);
        assert!(!output.status.success(), "{log}: {}", text(&output.stderr));
        assert_eq!(fs::read(sandbox.path(log)).unwrap(), before, "{log}");
    }
}
