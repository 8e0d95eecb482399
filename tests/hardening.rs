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
    let older = fs::read(sandbox.path("keyring.json")).unwrap();
    sandbox.ok(&["keys", "backup", "--to", "old.json"]);
    let old = fs::read(sandbox.path("keyring.json")).unwrap();
    sandbox.ok(&["keys", "backup", "--to", "later.json"]);
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
    // Nor does a backup that is newer than what is there, and older than the log.
    fs::write(sandbox.path("keyring.json"), &older).unwrap();
    sandbox.fails(3, &["keys", "restore", "later.json"]);
    assert_eq!(
        fs::read(sandbox.path("keyring.json")).unwrap(),
        older,
        "nothing was written"
    );
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

/// The root is replaced: what hangs on it goes on, and what is from before is used or refused with a way out.
#[test]
fn a_new_root_takes_everything_along() {
    let sandbox = Sandbox::new();
    sandbox.policy(&crate::sandbox::POLICY.replace("[rules.ssn]", "audit = \"audit.jsonl\"\n[rules.ssn]"));
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    sandbox.ok(&["keys", "backup", "--to", "old.json"]);
    let checkpoint = sandbox.ok(&["keys", "audit", "checkpoint"]);
    fs::write(sandbox.path("checkpoint.json"), checkpoint).unwrap();
    let (policy, keyring) = ["policy.toml", "keyring.json"]
        .map(|name| fs::read_to_string(sandbox.path(name)).unwrap())
        .into();

    let entry = sandbox.ok(&["keys", "new-root", "--reason", "the KMS key was open to all"]);
    // The policy pins the former root, and says what to do.
    let refused = sandbox.fails(3, &["keys", "list"]);
    assert!(
        refused.contains("new-root") && refused.contains("[trust.main]"),
        "{refused}"
    );
    let at = policy.find("[trust.").unwrap();
    fs::write(sandbox.path("policy.toml"), format!("{}{entry}", &policy[..at])).unwrap();
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    sandbox.ok(&["keys", "audit", "verify", "--checkpoint", "checkpoint.json"]);
    let shown = sandbox.ok(&["keys", "audit", "show", "--event", "new-root"]);
    assert!(shown.contains("the KMS key was open to all"), "{shown}");
    sandbox.ok(&["keys", "backup", "--to", "new.json"]);
    sandbox.ok(&["keys", "restore", "new.json", "--check"]);
    sandbox.ok(&["keys", "doctor"]);

    // The former keyring is refused, by the pin and by the log.
    let now = fs::read_to_string(sandbox.path("keyring.json")).unwrap();
    fs::write(sandbox.path("keyring.json"), &keyring).unwrap();
    sandbox.fails(3, &["keys", "list"]);
    fs::write(sandbox.path("policy.toml"), &policy).unwrap();
    assert!(
        sandbox
            .fails(3, &["keys", "list"])
            .contains("its audit log knows generation")
    );
    fs::write(sandbox.path("keyring.json"), &now).unwrap();
    // With all of the newer one lost, a backup of before comes back beside a new log, once that is said.
    fs::remove_file(sandbox.path("keyring.json")).unwrap();
    let refused = sandbox.fails(3, &["keys", "restore", "old.json", "--reason", "all is lost"]);
    assert!(
        refused.contains("move the log away") && refused.contains("keys audit adopt"),
        "{refused}"
    );
    assert!(!sandbox.path("keyring.json").exists(), "nothing was written");
    fs::rename(sandbox.path("audit.jsonl"), sandbox.path("former.jsonl")).unwrap();
    sandbox.ok(&["keys", "restore", "old.json", "--reason", "all is lost"]);
    sandbox.ok(&["reveal", "safe.parquet", "again.parquet"]);
    sandbox.fails(3, &["keys", "audit", "verify"]);
    sandbox.ok(&["keys", "audit", "adopt", "--reason", "the log went with the keyring"]);
    sandbox.ok(&["keys", "audit", "verify"]);
}

/// A log that is gone is missed, whatever was done since.
#[test]
fn a_removed_audit_log_does_not_pass() {
    let sandbox = Sandbox::new();
    sandbox.policy(&crate::sandbox::POLICY.replace("[rules.ssn]", "audit = \"audit.jsonl\"\n[rules.ssn]"));
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    sandbox.ok(&["keys", "audit", "verify"]);
    fs::remove_file(sandbox.path("audit.jsonl")).unwrap();
    for _ in 0..2 {
        let refused = sandbox.fails(3, &["keys", "audit", "verify"]);
        assert!(refused.contains("not the log that the keyring knows"), "{refused}");
        assert!(refused.contains("cipherform keys audit adopt --reason"), "{refused}");
        let doctor = sandbox.run(&["keys", "doctor"]);
        assert_eq!(doctor.status.code(), Some(3), "{}", text(&doctor.stdout));
        // Neither use nor change covers it up.
        sandbox.ok(&["keys", "rotate", "pii"]);
    }
    let said = sandbox.run(&["keys", "audit", "show"]);
    assert!(
        said.status.success() && text(&said.stderr).contains("warning: "),
        "{}",
        text(&said.stderr)
    );
    sandbox.fails(2, &["keys", "audit", "adopt"]);
    sandbox.ok(&["keys", "audit", "adopt", "--reason", "the disk died"]);
    sandbox.ok(&["keys", "audit", "verify"]);
    sandbox.ok(&["keys", "doctor"]);
    sandbox.fails(1, &["keys", "audit", "adopt", "--reason", "again"]);
    // A policy that names no log any more.
    sandbox.policy(crate::sandbox::POLICY);
    let doctor = sandbox.ok(&["keys", "doctor"]);
    assert!(doctor.contains("due   audit log: "), "{doctor}");
}

/// Entries are chosen by who, when, key, rule and event.
#[test]
fn the_audit_log_is_filtered() {
    let sandbox = Sandbox::new();
    sandbox.policy(&crate::sandbox::POLICY.replace("[rules.ssn]", "audit = \"audit.jsonl\"\n[rules.ssn]"));
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&["keys", "create", "other"]);
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    let entries = |filter: &[&str]| -> Vec<serde_json::Value> {
        let arguments = [&["keys", "audit", "show", "--format", "json"], filter].concat();
        let lines = sandbox.ok(&arguments);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = entries(&[]);
    let who = all[0]["who"].as_str().unwrap();
    let chosen = entries(&["--event", "create"]);
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0]["key"], "other@1");
    let chosen = entries(&["--key", "pii"]);
    assert!(
        chosen.len() > 2
            && chosen
                .iter()
                .all(|entry| entry["key"].as_str().unwrap().starts_with("pii"))
    );
    assert!(entries(&["--key", "pii@1"]).iter().all(|entry| entry["key"] == "pii@1"));
    let chosen = entries(&["--rule", "ssn"]);
    assert!(
        !chosen.is_empty() && chosen.iter().all(|entry| entry["rule"] == "ssn"),
        "{chosen:?}"
    );
    assert!(entries(&["--who", who]).len() >= all.len());
    assert!(entries(&["--who", "somebody@else"]).is_empty());
    assert!(entries(&["--until", "2020-01-01"]).is_empty());
    assert!(entries(&["--since", "2020-01-01T00:00:00Z"]).len() >= all.len());
    assert_eq!(entries(&["--key", "pii", "--last", "1"]).len(), 1);
    let verified = sandbox.ok(&["keys", "audit", "verify", "--event", "create"]);
    assert!(verified.contains("1 of them"), "{verified}");
    sandbox.fails(2, &["keys", "audit", "show", "--event", "creation"]);
}

/// A local KMS out of a backup is opened by what is approved alone, where the policy says so.
#[test]
fn approved_only_reaches_a_restore() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("new.txt"), "correct horse battery staple").unwrap();
    sandbox.ok(&[
        "kms",
        "passphrase",
        "--new-passphrase-file",
        "new.txt",
        "--reason",
        "a test",
    ]);
    let with = |arguments: &[&'static str]| [arguments, &["--passphrase-file", "new.txt"]].concat();
    sandbox.ok(&with(&["keys", "backup", "--to", "backup.json"]));
    let check = with(&["keys", "restore", "backup.json", "--check"]);
    sandbox.ok(&check);
    sandbox.policy(&format!(
        "approved_only = true\n{}",
        crate::sandbox::POLICY.trim_start()
    ));
    let refused = sandbox.fails(3, &check);
    assert!(refused.contains("approved_only = true"), "{refused}");
}

/// Roles of one engine: each is counted, refused and served by itself; an access that cannot be written down is refused
/// however often it is asked for.
#[tokio::test]
async fn roles_of_one_engine_are_apart() {
    use cipherform::cipher::Direction;
    use cipherform::policy::RuleRef;
    let sandbox = Sandbox::new();
    sandbox.policy(
        &(crate::sandbox::POLICY.replace("[rules.ssn]", "audit = \"audit.jsonl\"\n[rules.ssn]")
            + "[roles.loader]\ncard = { see = \"plain\", protect = true }\n"
            + "[roles.clerk]\n\"*\" = { see = \"plain\", protect = true }\n"),
    );
    let engine = sandbox.engine().await;
    let card: RuleRef = "card".parse().unwrap();
    let role = |name: &str| engine.clone().with_role(name).unwrap();
    let (analyst, loader, clerk) = (role("analyst"), role("loader"), role("clerk"));
    for engine in [&analyst, &loader, &clerk] {
        engine.resolve_all().await.unwrap();
    }
    // The refusal of one blocks nobody else.
    assert!(analyst.resolved(&card, Direction::Encrypt).is_err());
    for (engine, values) in [(&loader, 5), (&clerk, 7)] {
        let transform = engine.resolved(&card, Direction::Encrypt).unwrap();
        transform.key().count(Direction::Encrypt, values).unwrap();
    }
    loader.audit_usage("a job of loader").unwrap();
    clerk.audit_usage("a job of clerk").unwrap();
    let entries = engine.keyring().audit_log().unwrap().verify().unwrap().entries;
    let uses: Vec<_> = (entries.iter())
        .filter(|entry| entry.event == cipherform::keys::AuditEvent::Use)
        .map(|entry| (entry.role.as_deref().unwrap(), entry.values.unwrap()))
        .collect();
    assert_eq!(uses, [("loader", 5), ("clerk", 7)]);

    fs::remove_file(sandbox.path("audit.jsonl")).unwrap();
    fs::create_dir(sandbox.path("audit.jsonl")).unwrap();
    for _ in 0..2 {
        assert!(
            clerk.resolved(&card, Direction::Decrypt).is_err(),
            "nothing was written down"
        );
    }
}
