//! The life of a key, as a person at the command line sees it.

use std::fs;
use std::process::Stdio;

use cipherform::keys::{KeyState, Keyring};

use crate::sandbox::{POLICY, Sandbox, people, read, text, words};

/// With an audit log, and roles that may or may not protect.
fn audited() -> Sandbox {
    let sandbox = Sandbox::new();
    let policy = POLICY.replacen("\nkeyring", "\naudit = \"audit.jsonl\"\nkeyring", 1);
    sandbox.policy(&format!(
        "{policy}\n[roles.loader]\ncard = {{ see = \"plain\", protect = true }}\nid = \"plain\"\n"
    ));
    sandbox.write("people.parquet", &people());
    sandbox
}

fn csv(sandbox: &Sandbox, role: &str, sql: &str) -> std::process::Output {
    sandbox.run(&["query", "--role", role, "--format", "csv", "-c", sql, "people.parquet"])
}

#[test]
fn a_version_goes_through_its_life_and_all_of_it_is_recorded() {
    let sandbox = audited();
    sandbox.ok(&["protect", "people.parquet", "one.parquet"]);
    sandbox.ok(&["keys", "rotate", "pii", "--prepare"]);
    // An active version is resumed by nobody: only what is suspended can be.
    assert!(
        sandbox
            .fails(3, &["keys", "resume", "pii@1", "--reason", "no"])
            .contains("is active, and cannot become active")
    );
    assert!(
        sandbox
            .fails(3, &["keys", "resume", "pii@2", "--reason", "no"])
            .contains("was never in use: it cannot be resumed")
    );
    // Activation names no version: the newest that was prepared is meant.
    sandbox.ok(&["keys", "activate", "pii", "--reason", "new quarter"]);
    assert!(
        sandbox
            .fails(3, &["keys", "activate", "pii", "--reason", "no"])
            .contains("was not prepared")
    );
    let shown = sandbox.ok(&["keys", "audit", "show"]);
    for said in ["to deactivated", "replaced by version 2", "to active", "new quarter"] {
        assert!(shown.contains(said), "{shown}");
    }
    sandbox.ok(&["protect", "people.parquet", "two.parquet"]);

    sandbox.ok(&["keys", "suspend", "pii@2", "--reason", "an alarm"]);
    // Suspension stops new data and not old: the reveal below warns, and works.
    let refused = sandbox.fails(3, &["protect", "people.parquet", "three.parquet"]);
    assert!(
        refused.contains("`pii@2` is suspended and may not protect"),
        "{refused}"
    );
    assert!(
        refused.contains("hint: resume `pii@2`: `cipherform keys resume pii@2`"),
        "{refused}"
    );
    // Something is due, but nothing is broken, so doctor ends well.
    let doctor = sandbox.ok(&["keys", "doctor"]);
    assert!(
        doctor.contains("due   key `pii@2`: ") && doctor.contains("key `pii` has no active version"),
        "{doctor}"
    );
    let warned = sandbox.run(&["reveal", "two.parquet", "back.parquet"]);
    assert!(warned.status.success() && text(&warned.stderr).contains("warning: key `pii@2` is suspended"));
    sandbox.ok(&["keys", "resume", "pii", "--reason", "a false alarm"]);
    sandbox.ok(&["protect", "people.parquet", "three.parquet"]);

    // What cannot be undone asks, and nobody is there to answer.
    // stdin is no terminal here: an answer must not be assumed.
    let asked = sandbox.fails(1, &["keys", "compromise", "pii@1", "--reason", "a lost laptop"]);
    assert!(asked.contains("pass --yes and --reason"), "{asked}");
    let asked = sandbox.fails(1, &["keys", "compromise", "pii@1", "--yes"]);
    assert!(asked.contains("pass --reason"), "{asked}");
    sandbox.ok(&["keys", "compromise", "pii@1", "--yes", "--reason", "a lost laptop"]);
    let warned = sandbox.run(&["reveal", "one.parquet", "again.parquet"]);
    assert!(warned.status.success() && text(&warned.stderr).contains("`pii@1` is compromised"));
    let query = |sql: &str| sandbox.run(&["query", "one.parquet", "--format", "csv", "-c", sql]);
    // Two statements in one session: a warning that repeats is not read.
    let warned = query("SELECT ssn FROM one; SELECT ssn FROM one");
    assert_eq!(
        text(&warned.stderr)
            .matches("warning: key `pii@1` is compromised")
            .count(),
        1
    );
    // The first statement has used the key, so it warns although the second fails.
    let warned = text(&query("SELECT min(ssn) FROM one; SELECT nothing FROM one").stderr);
    assert!(
        warned.contains("`pii@1` is compromised") && warned.contains("error: "),
        "{warned}"
    );
    // A count reads no protected column, so no key is used and nobody has to be warned.
    let silent = query("SELECT count(*) FROM one");
    assert!(
        silent.status.success() && silent.stderr.is_empty(),
        "{}",
        text(&silent.stderr)
    );

    // Removal is for ever, so the version has to be named.
    let asked = sandbox.fails(1, &["keys", "remove", "pii", "--yes", "--reason", "which one?"]);
    assert!(asked.contains("hint: name it, as in `pii@1`"), "{asked}");
    // An active version cannot be removed: data would be lost the moment it is protected.
    sandbox.fails(3, &["keys", "remove", "pii@2", "--yes", "--reason", "too early"]);
    sandbox.ok(&["keys", "remove", "pii@1", "--yes", "--reason", "all is moved"]);
    let gone = sandbox.fails(3, &["reveal", "one.parquet", "never.parquet"]);
    assert!(
        gone.contains("`pii@1` is removed and may not reveal") && gone.contains("backup"),
        "{gone}"
    );
    // Nothing may be left of a target that was refused.
    assert!(!sandbox.listing().contains(&"never.parquet".to_owned()));
    let entries = || sandbox.ok(&words("keys audit show --format json")).lines().count();
    let before = entries();
    let doctor = sandbox.ok(&["keys", "doctor"]);
    assert!(doctor.contains("audit.jsonl`: can be written"), "{doctor}");
    // The root once more, by who asks for the log.
    assert_eq!(entries() - before, 4, "root twice, pii@2, and this");
    assert!(
        doctor.contains("ok    key `pii@1`: removed") && doctor.contains("ok    key `pii@2`: active, unwraps"),
        "{doctor}"
    );

    let described = sandbox.ok(&["keys", "describe", "pii"]);
    for said in [
        "an alarm",
        "a false alarm",
        "a lost laptop",
        "all is moved",
        "replaced by version 2",
        "PROTECTS UNTIL",
    ] {
        assert!(described.contains(said), "{described}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&sandbox.ok(&["keys", "describe", "pii", "--format", "json"])).unwrap();
    assert_eq!(json["key"]["versions"][0]["state"], "removed");
    assert_eq!(json["kms"]["manager"], "local");

    let shown = sandbox.ok(&["keys", "audit", "show"]);
    for said in [
        "protect people.parquet",
        "reveal two.parquet",
        "under card",
        "done: a lost laptop",
        "to removed",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    // The log is read by people who may not see values.
    for value in ["123-45-6789", "4111"] {
        assert!(!shown.contains(value));
    }
    let entries = sandbox.ok(&["keys", "audit", "show", "--format", "json"]);
    let uses: Vec<serde_json::Value> = entries
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let protect = uses
        .iter()
        .find(|entry| entry["event"] == "use" && entry["context"] == "protect people.parquet")
        .unwrap();
    // Three numbers, three social security numbers, three cards of which one is empty.
    assert_eq!(
        (&protect["values"], &protect["key"]),
        (&serde_json::json!(9), &serde_json::json!("pii@1"))
    );
}

#[test]
fn an_audit_log_that_was_touched_is_noticed() {
    let sandbox = audited();
    sandbox.ok(&["protect", "people.parquet", "one.parquet"]);
    sandbox.ok(&["keys", "audit", "verify"]);
    let checkpoint = sandbox.ok(&["keys", "audit", "checkpoint"]);
    fs::write(sandbox.path("checkpoint.json"), checkpoint).unwrap();
    // A chain of hashes proves all but its end; for that, something outside is needed.
    let verify = ["keys", "audit", "verify", "--checkpoint", "checkpoint.json"];
    sandbox.ok(&verify);

    let whole = fs::read_to_string(sandbox.path("audit.jsonl")).unwrap();
    let older = fs::read(sandbox.path("keyring.json")).unwrap();
    // A log cut at a line's end is a valid, shorter log.
    let kept: String = whole.lines().take(3).map(|line| format!("{line}\n")).collect();
    fs::write(sandbox.path("audit.jsonl"), kept).unwrap();
    // The question itself is written down, so three entries are four by then.
    assert!(sandbox.fails(3, &verify).contains("the log was cut"));
    // Without the checkpoint nobody can know: this is why there are checkpoints.
    sandbox.ok(&["keys", "audit", "verify"]);

    // One word within an entry.
    fs::write(
        sandbox.path("audit.jsonl"),
        whole.replacen("people.parquet", "nobody.parquet", 1),
    )
    .unwrap();
    let changed = sandbox.fails(3, &["keys", "audit", "show"]);
    assert!(changed.contains("does not follow the one before it"), "{changed}");

    // An older copy of the keyring, which is sound in itself.
    fs::write(sandbox.path("audit.jsonl"), &whole).unwrap();
    sandbox.ok(&["keys", "rotate", "pii"]);
    let checkpoint = sandbox.ok(&["keys", "audit", "checkpoint"]);
    fs::write(sandbox.path("checkpoint.json"), checkpoint).unwrap();
    fs::write(sandbox.path("keyring.json"), older).unwrap();
    // Without a checkpoint it is the log that knows better.
    let refused = sandbox.fails(3, &["keys", "audit", "verify"]);
    assert!(refused.contains("its audit log knows generation 3"), "{refused}");
    assert!(sandbox.fails(3, &verify).contains("its audit log knows generation 3"));
    let policy = fs::read_to_string(sandbox.path("policy.toml")).unwrap();
    // Pinned in the policy, an older copy is refused also without a checkpoint.
    sandbox.policy(&policy.replacen("\nkeyring", "\nkeyring_generation = 3\nkeyring", 1));
    let pinned = sandbox.fails(3, &["protect", "people.parquet", "two.parquet"]);
    assert!(
        pinned.contains("is an older copy: generation 2, and 3 was seen before"),
        "{pinned}"
    );
    assert!(!sandbox.listing().contains(&"two.parquet".to_owned()));
}

#[test]
fn without_room_for_an_entry_no_key_is_used() {
    let sandbox = audited();
    // A folder of that name can be written to by nobody, root included.
    fs::create_dir(sandbox.path("audit.jsonl")).unwrap();
    let stderr = sandbox.fails(1, &["protect", "people.parquet", "one.parquet"]);
    assert!(
        stderr.contains("audit log") && stderr.contains("hint: no key is used without an entry"),
        "{stderr}"
    );
    assert!(!sandbox.listing().contains(&"one.parquet".to_owned()));
}

#[test]
fn to_protect_is_a_right_of_its_own() {
    let sandbox = audited();
    let protects = "SELECT protect(card, 'card') FROM people";
    assert!(csv(&sandbox, "loader", protects).status.success());
    let refused = csv(&sandbox, "analyst", protects);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains("role `analyst` may not protect what is under rule `card`"));
    // Who sees the values may not protect for that: reading and writing are separate rights.
    let refused = csv(&sandbox, "loader", "SELECT protect(id, 'id') FROM people");
    assert!(
        text(&refused.stderr).contains("role `loader` may not protect what is under rule `id`"),
        "{}",
        text(&refused.stderr)
    );
    let shown = sandbox.ok(&["keys", "audit", "show"]);
    assert!(
        shown.contains("refused: not allowed") && shown.contains("loader"),
        "{shown}"
    );

    // A column that a role may not see: the question is written down, once for a session.
    sandbox.ok(&["protect", "people.parquet", "one.parquet"]);
    let ssn = "SELECT ssn FROM one; SELECT ssn FROM one";
    let refused = sandbox.run(&["query", "--role", "analyst", "-c", ssn, "one.parquet"]);
    assert!(text(&refused.stderr).contains("role `analyst` may not see column `ssn`"));
    let last = sandbox.ok(&words("keys audit show --last 4 --format json"));
    assert!(
        last.contains("\"rule\":\"ssn\",\"refused\":\"not allowed\"") && last.contains("\"role\":\"analyst\""),
        "{last}"
    );

    // Where all values can be listed, to protect is to reveal.
    // A masked role that may protect would encrypt every number and compare.
    sandbox.policy(&format!(
        "{POLICY}\n[roles.sly]\nssn = {{ see = \"masked\", protect = true }}\n"
    ));
    let stderr = sandbox.fails(1, &["protect", "people.parquet", "one.parquet"]);
    assert!(
        stderr.contains("the right to protect is the right to reveal"),
        "{stderr}"
    );
}

#[test]
fn a_limit_of_values_ends_a_job() {
    let sandbox = audited();
    let policy = fs::read_to_string(sandbox.path("policy.toml")).unwrap();
    // The file has nine values: one run fits, two do not.
    sandbox.ok(&["keys", "limit", "pii", "--values", "10", "--reason", "policy 7"]);
    assert_eq!(sandbox.ok(&["keys", "limit", "pii"]), "10\n");
    assert_eq!(
        sandbox.ok(&words("keys limit pii --format json")),
        "{\"values_limit\":10}\n"
    );
    sandbox.ok(&["protect", "people.parquet", "one.parquet"]);
    let stderr = sandbox.fails(3, &["protect", "people.parquet", "two.parquet"]);
    assert!(
        stderr.contains("key `pii@1` may protect 10 values, and this would be more"),
        "{stderr}"
    );
    assert!(!sandbox.listing().contains(&"two.parquet".to_owned()));
    // A limit is on protecting; revealing never ends by it.
    sandbox.ok(&["reveal", "one.parquet", "back.parquet"]);
    // A new version counts from zero.
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&["protect", "people.parquet", "two.parquet"]);

    // Another log does not count from the beginning, so it counts nothing until somebody says so; and then the one
    // before counts no more.
    let named = |log: &str| sandbox.policy(&policy.replacen("audit.jsonl", log, 1));
    let refused = || sandbox.fails(3, &["protect", "people.parquet", "four.parquet"]);
    let not_set = "the limit of key `pii` was not set in audit log";
    named("other.jsonl");
    assert!(refused().contains(not_set), "{}", refused());
    named("audit.jsonl");
    assert!(refused().contains("key `pii@2` may protect 10 values"), "{}", refused());
    named("other.jsonl");
    sandbox.ok(&words("keys limit pii --values 10 --reason anew"));
    sandbox.ok(&["protect", "people.parquet", "three.parquet"]);
    named("audit.jsonl");
    assert!(refused().contains(not_set), "{}", refused());
    assert!(
        sandbox
            .ok(&["keys", "periods", "pii"])
            .contains("protects 730 days, reveals 1825 days")
    );
    // Data that may be protected for longer than it may be revealed would be lost.
    sandbox.fails(
        1,
        &[
            "keys",
            "periods",
            "pii",
            "--protect",
            "9",
            "--reveal",
            "8",
            "--reason",
            "no",
        ],
    );
    sandbox.ok(&[
        "keys",
        "periods",
        "pii",
        "--protect",
        "90",
        "--reveal",
        "900",
        "--reason",
        "policy 7",
    ]);
    assert!(
        sandbox
            .ok(&["keys", "periods", "pii"])
            .contains("protects 90 days, reveals 900 days")
    );
}

#[test]
fn reprotect_moves_a_file_to_the_current_version() {
    let sandbox = audited();
    sandbox.ok(&["protect", "people.parquet", "old.parquet"]);
    // Nothing to do is said, rather than a copy made.
    let stderr = sandbox.fails(1, &["reprotect", "old.parquet", "new.parquet"]);
    assert!(stderr.contains("by the current version of its key already"), "{stderr}");
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&["reprotect", "old.parquet", "new.parquet"]);
    let (old, new) = (
        read(&sandbox.path("old.parquet")).1,
        read(&sandbox.path("new.parquet")).1,
    );
    for (column, differs) in [("id", true), ("ssn", true), ("card", true), ("note", false)] {
        assert_eq!(
            old.column_by_name(column) != new.column_by_name(column),
            differs,
            "{column}"
        );
    }
    assert!(sandbox.ok(&["inspect", "new.parquet"]).contains("pii@2"));
    sandbox.ok(&["reveal", "new.parquet", "back.parquet"]);
    assert_eq!(
        read(&sandbox.path("back.parquet")),
        read(&sandbox.path("people.parquet"))
    );
    // The same as protecting the plain file: reprotect has no format of its own.
    sandbox.ok(&["protect", "people.parquet", "direct.parquet"]);
    assert_eq!(
        read(&sandbox.path("direct.parquet")),
        read(&sandbox.path("new.parquet"))
    );

    let policy = fs::read_to_string(sandbox.path("policy.toml")).unwrap();
    sandbox.policy(&policy.replacen(
        "[columns]",
        "[rules.card-2]\nformat = \"pan\"\nkey = \"pii\"\n[columns]",
        1,
    ));
    sandbox.ok(&["reprotect", "new.parquet", "moved.parquet", "--rule", "card=card-2"]);
    let moved = read(&sandbox.path("moved.parquet")).1;
    assert_ne!(moved.column_by_name("card"), new.column_by_name("card"));
    assert_eq!(moved.column_by_name("ssn"), new.column_by_name("ssn"));
    sandbox.ok(&["reveal", "moved.parquet", "moved-back.parquet"]);
    assert_eq!(
        read(&sandbox.path("moved-back.parquet")),
        read(&sandbox.path("people.parquet"))
    );
    // Both halves of the argument are checked before anything is written.
    for (rule, said) in [
        ("nothing=card", "there is no column `nothing`"),
        ("card=nothing", "no rule `nothing`"),
    ] {
        let stderr = sandbox.fails(1, &["reprotect", "new.parquet", "x.parquet", "--rule", rule]);
        assert!(stderr.contains(said), "{stderr}");
    }
}

/// Two values that look the same under two versions are not equal: tables of both versions compare what they mean.
#[tokio::test]
async fn rows_of_two_versions_never_compare_equal_by_accident() {
    use arrow::array::{AsArray, RecordBatch, StringArray};
    use cipherform::cipher::Direction;
    use cipherform::columns::{Task, apply};

    let sandbox = audited();
    sandbox.ok(&["keys", "rotate", "pii"]);
    let engine = sandbox.engine().await;
    let reveal = |version: u32| {
        let engine = engine.clone();
        async move {
            engine
                .resolve(&format!("ssn@{version}").parse().unwrap(), Direction::Decrypt)
                .await
                .unwrap()
        }
    };
    // The same ciphertext, read with each version, is two different people.
    let stored = std::sync::Arc::new(StringArray::from(vec!["123-45-6789", "234-56-7890", "345-67-8901"]))
        as arrow::array::ArrayRef;
    for version in [1, 2] {
        let transform = reveal(version).await;
        let plain = apply(Task::new(&transform, Direction::Decrypt, "ssn"), &stored, None)
            .unwrap()
            .array;
        let id = std::sync::Arc::new(arrow::array::Int64Array::from(vec![1, 2, 3])) as _;
        let card = std::sync::Arc::new(StringArray::from(vec![None::<&str>; 3])) as _;
        let name = format!("plain-{version}.parquet");
        let columns = [("id", id, true), ("ssn", plain, true), ("card", card, true)];
        sandbox.write(&name, &RecordBatch::try_from_iter_with_nullable(columns).unwrap());
    }
    sandbox.ok(&["protect", "plain-2.parquet", "two.parquet", "--table", "people"]);
    // The older version protects no more, so its file is made where it is the active one.
    sandbox.ok(&["keys", "suspend", "pii@2", "--reason", "for a moment"]);
    let mut keyring = Keyring::open(sandbox.path("keyring.json"), &sandbox.registry())
        .await
        .unwrap();
    assert!(
        keyring
            .transition(
                &"pii@1".parse().unwrap(),
                KeyState::Active,
                &"no way back".parse().unwrap()
            )
            .is_err()
    );
    drop(keyring);
    sandbox.ok(&["keys", "resume", "pii@2", "--reason", "back"]);
    // So its stored column is put in by hand, with the metadata that its version gives.
    sandbox.ok(&["protect", "people.parquet", "template-2.parquet"]);
    let first = Sandbox::empty();
    for name in ["kms.json", "unlock.key", "policy.toml"] {
        fs::copy(sandbox.path(name), first.path(name)).unwrap();
    }
    let two = read(&sandbox.path("two.parquet")).1;
    assert_eq!(
        two.column_by_name("ssn").unwrap().as_string::<i32>().value(0),
        "123-45-6789"
    );
    let (schema, _) = read(&sandbox.path("two.parquet"));
    let described = engine.keyring().describe(&"pii".parse().unwrap()).unwrap();
    let transform = reveal(1).await;
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| {
            let mut metadata = field.metadata().clone();
            if field.name() == "ssn" {
                let mut object: serde_json::Value = serde_json::from_str(&metadata["cipherform"]).unwrap();
                object["key_version"] = 1.into();
                object["key_version_id"] = described.versions[0].id.to_string().into();
                object["check"] = hex::encode(transform.check_value()).into();
                metadata.insert("cipherform".to_owned(), object.to_string());
            }
            field.as_ref().clone().with_metadata(metadata)
        })
        .collect();
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(fields));
    sandbox.write(
        "one.parquet",
        &RecordBatch::try_new(schema, two.columns().to_vec()).unwrap(),
    );

    let count = |sql: &str, flags: &[&str]| {
        let mut arguments = vec!["query", "--format", "csv", "-c", sql];
        arguments.extend(flags);
        arguments.extend(["one.parquet", "two.parquet"]);
        sandbox.ok(&arguments)
    };
    let join = "SELECT count(*) AS n FROM one JOIN two ON one.ssn = two.ssn";
    // The engine decrypts each side by its own version before it compares.
    assert_eq!(count(join, &[]), "n\n0\n", "by what they mean, nobody is the same");
    assert_eq!(count(join, &["--stored"]), "n\n3\n", "by what is stored, all are");
    let union = "SELECT count(DISTINCT ssn) AS n FROM (SELECT ssn FROM one UNION ALL SELECT ssn FROM two)";
    assert_eq!(count(union, &[]), "n\n6\n");
}

/// Killed at any moment, a change of keys is made or not, never half; the log goes on from there.
#[test]
fn whatever_moment_the_process_is_killed_at_the_keyring_is_whole() {
    let sandbox = audited();
    let mut versions = 1;
    let mut killed = 0;
    for round in 0..100u64 {
        let mut child = sandbox
            .command(match round % 4 {
                0 | 2 => &["keys", "rotate", "pii"],
                1 => &["keys", "rewrap", "--to", "local:main"],
                _ => &["keys", "limit", "pii", "--none", "--reason", "a test"],
            })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Moments from the start of the process to beyond its end.
        // A prime step spreads the moments over the run of the process.
        std::thread::sleep(std::time::Duration::from_micros(round * 7_919 % 25_000));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        if round % 10 == 9 {
            let described: serde_json::Value =
                serde_json::from_str(&sandbox.ok(&["keys", "describe", "pii", "--format", "json"])).unwrap();
            let now = described["key"]["versions"].as_array().unwrap().len();
            assert!(now >= versions, "no version is lost");
            versions = now;
        }
    }
    assert!(killed > 0, "no process was killed in its middle");
    let doctor = sandbox.ok(&["keys", "doctor"]);
    // Every version in the keyring still unwraps: none is half written.
    assert_eq!(doctor.matches(", unwraps").count(), versions, "{doctor}");
    sandbox.ok(&["keys", "audit", "verify"]);
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    assert_eq!(
        read(&sandbox.path("back.parquet")),
        read(&sandbox.path("people.parquet"))
    );
}

/// Two copies of a keyring, each given a version: both are sound, and no id stands for two keys.
#[test]
fn two_copies_that_were_both_rotated_are_told_apart() {
    let sandbox = audited();
    // As after a restore on two machines.
    fs::copy(sandbox.path("keyring.json"), sandbox.path("copy.json")).unwrap();
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&["protect", "people.parquet", "one.parquet"]);
    fs::rename(sandbox.path("keyring.json"), sandbox.path("first.json")).unwrap();
    fs::rename(sandbox.path("copy.json"), sandbox.path("keyring.json")).unwrap();
    // Each machine has a log of its own.
    fs::remove_file(sandbox.path("audit.jsonl")).unwrap();
    sandbox.ok(&["keys", "rotate", "pii"]);
    let stderr = sandbox.fails(3, &["reveal", "one.parquet", "back.parquet"]);
    assert!(stderr.contains("has no version with the id"), "{stderr}");
    assert!(
        stderr.contains("hint: reveal with the keyring it was protected with"),
        "{stderr}"
    );
    fs::rename(sandbox.path("first.json"), sandbox.path("keyring.json")).unwrap();
    sandbox.ok(&["reveal", "one.parquet", "back.parquet"]);
}

#[test]
fn approved_only_refuses_what_is_not() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let approved = |rules: &str| sandbox.policy(&format!("approved_only = true\n{}\n{rules}", POLICY.trim_start()));
    approved("");
    // Encryption by FF1 is approved (SP 800-38G), so the ordinary case goes on to work.
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    for (rule, what) in [
        ("treatment = \"siv\"", "AES-SIV"),
        (
            "treatment = \"encrypt-legacy\"\nformat = \"digits\"\ntweak = { hex = \"00000000000000\" }",
            "FF3-1",
        ),
        (
            "treatment = \"shift\"\nformat = \"date\"\nentity = \"id\"",
            "no encryption",
        ),
        (
            "format = \"digits\"\ninsecure_small_domain = \"old data\"",
            "under the floor",
        ),
    ] {
        approved(&format!("[rules.other]\nkey = \"pii\"\n{rule}\n"));
        let stderr = sandbox.fails(1, &["protect", "people.parquet", "x.parquet"]);
        assert!(
            stderr.contains("NIST has not approved") && stderr.contains(what),
            "{stderr}"
        );
    }
    approved("");
    let stderr = sandbox.fails(1, &["keys", "create", "old", "--use", "direct-ff3-1-legacy-256"]);
    assert!(stderr.contains("NIST has withdrawn FF3-1"), "{stderr}");
    let stderr = sandbox.fails(1, &words("kms passphrase --new-passphrase-file new.txt --kdf argon2id"));
    assert!(stderr.contains("NIST has not approved Argon2id"), "{stderr}");
}

/// The KMS keys of the local KMS, looked after from the command line, with what stands in the audit log.
#[test]
fn kms_keys_go_through_their_life() {
    let sandbox = audited();
    sandbox.ok(&["protect", "people.parquet", "one.parquet"]);
    sandbox.ok(&["kms", "create", "local:cards", "--rotate-every", "365"]);
    sandbox.ok(&["keys", "create", "cards", "--kms", "local:cards"]);
    let listed = sandbox.ok(&["kms", "list"]);
    assert!(
        listed.contains("every 365 days") && listed.contains("ENCRYPT_DECRYPT"),
        "{listed}"
    );
    // New material wraps from now on, and the old still unwraps: the file from before must open.
    sandbox.ok(&["kms", "rotate", "local:main", "--reason", "policy 7"]);
    let rewrapped = sandbox.ok(&["keys", "rewrap", "--to", "local:main"]);
    assert_eq!(rewrapped, "");
    sandbox.ok(&["reveal", "one.parquet", "back.parquet"]);

    // The keyring itself is wrapped by this key, so nothing opens now.
    sandbox.ok(&["kms", "disable", "local:main", "--reason", "an alarm"]);
    let refused = sandbox.fails(3, &["reveal", "one.parquet", "x.parquet"]);
    assert!(
        refused.contains("KMS key `main` is disabled")
            && refused.contains("hint: enable `local:main`: `cipherform kms enable local:main`"),
        "{refused}"
    );
    // The keyring is closed meanwhile, and so is the log: the key is enabled all the same.
    let enabled = sandbox.ok(&[
        "kms",
        "enable",
        "local:main",
        "--reason",
        "a false alarm",
        "--format",
        "json",
    ]);
    let enabled: serde_json::Value = serde_json::from_str(&enabled).unwrap();
    assert_eq!(
        (&enabled["kms_key"], &enabled["kms"]["state"]),
        (&"local:main".into(), &"enabled".into())
    );

    // Deletion needs a confirmation, and there is no terminal.
    let asked = sandbox.fails(1, &["kms", "schedule-deletion", "local:cards", "--reason", "not used"]);
    assert!(asked.contains("pass --yes and --reason"), "{asked}");
    sandbox.fails(
        1,
        &[
            "kms",
            "schedule-deletion",
            "local:cards",
            "--days",
            "3",
            "--yes",
            "--reason",
            "too soon",
        ],
    );
    let scheduled = sandbox.run(&[
        "kms",
        "schedule-deletion",
        "local:main",
        "--yes",
        "--reason",
        "by mistake",
    ]);
    // The keyring still needs the key: said at once, not after 30 days.
    let told = text(&scheduled.stderr);
    assert!(
        told.contains("needs it: take it back, enable it, and `cipherform keys rewrap --to`"),
        "{told}"
    );
    let refused = sandbox.fails(3, &["keys", "list"]);
    assert!(
        refused.contains("hint: cancel the deletion of `local:main`: `cipherform kms cancel-deletion local:main`"),
        "{refused}"
    );
    // A key whose deletion was taken back is disabled, so that nobody relies on it by mistake.
    sandbox.ok(&["kms", "cancel-deletion", "local:main", "--reason", "it was"]);
    sandbox.fails(3, &["keys", "list"]);
    sandbox.ok(&["kms", "enable", "local:main", "--reason", "it was"]);

    sandbox.ok(&["kms", "alias", "create", "current", "--to", "local:main"]);
    sandbox.ok(&["keys", "create", "more", "--kms", "local:alias/current"]);
    // The alias moves; what the former key wrapped still unwraps.
    sandbox.ok(&["kms", "alias", "update", "current", "--to", "local:cards"]);
    sandbox.ok(&["keys", "rotate", "more"]);
    let doctor = sandbox.ok(&["keys", "doctor"]);
    assert!(
        doctor.contains("ok    key `more@1`") && doctor.contains("ok    key `more@2`"),
        "{doctor}"
    );
    assert_eq!(
        sandbox.ok(&["kms", "alias", "list"]),
        "ALIAS                KMS KEY\nlocal:alias/current  local:cards\n"
    );
    sandbox.fails(3, &["kms", "alias", "update", "none", "--to", "local:cards"]);

    let scheduled = sandbox.run(&[
        "kms",
        "schedule-deletion",
        "local:cards",
        "--yes",
        "--reason",
        "by mistake",
    ]);
    assert!(
        text(&scheduled.stderr).contains("needs it"),
        "{}",
        text(&scheduled.stderr)
    );
    sandbox.ok(&["kms", "cancel-deletion", "local:cards", "--reason", "it was"]);
    let described = sandbox.ok(&["kms", "describe", "local:main"]);
    for said in [
        "an alarm",
        "a false alarm",
        "by mistake",
        "cancel deletion",
        "policy 7",
        "LOCAL",
    ] {
        assert!(described.contains(said), "{said}: {described}");
    }
    let shown = sandbox.ok(&["keys", "audit", "show"]);
    for said in [
        "to disabled",
        "to enabled",
        "done: by mistake",
        "to pending-deletion",
        "alias current",
        "local:cards",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    sandbox.ok(&["keys", "audit", "verify"]);

    // Keys of other systems are not ours to change; the message names the tool that does.
    for (arguments, said) in [
        (
            &[
                "kms",
                "disable",
                "aws-kms:alias/main?region=eu-west-1",
                "--reason",
                "no",
            ][..],
            "disable-key",
        ),
        (
            &["kms", "rotate", "vault:https://vault.example/transit/main"],
            "transit/keys/NAME/rotate",
        ),
        (&["kms", "create", "local:main"], "choose another name"),
        (
            &["kms", "create", "local:alias/other"],
            "an alias is no name for a new KMS key",
        ),
    ] {
        let stderr = sandbox.fails(1, arguments);
        assert!(stderr.contains(said), "{stderr}");
    }
}

/// What the program wrote when the file of the local KMS had format 1 goes on to work, and is converted by the first
/// change.
#[test]
fn a_local_kms_of_format_1_goes_on_to_work() {
    let sandbox = Sandbox::empty();
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/local-kms-1");
    for file in ["kms.json", "keyring.json", "unlock.key"] {
        // Written by the release that had format 1, and never written again.
        fs::copy(fixture.join(file), sandbox.path(file)).unwrap();
    }
    sandbox.policy(POLICY);
    let unwraps = |count: usize| assert_eq!(sandbox.ok(&["keys", "doctor"]).matches(", unwraps").count(), count);
    unwraps(2);
    let format = || {
        fs::read_to_string(sandbox.path("kms.json"))
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned()
    };
    // Reading converts nothing: an older release may still need the file.
    assert!(format().contains("cipherform-local-kms/1"));
    sandbox.ok(&["kms", "create", "local:second"]);
    assert!(format().contains("cipherform-local-kms/2"));
    unwraps(2);
    sandbox.ok(&["kms", "rotate", "local:main"]);
    sandbox.ok(&["keys", "rotate", "pii"]);
    unwraps(3);
}

/// Material that was made elsewhere comes in, wrapped by another program, and guards a data key.
#[test]
fn material_comes_from_elsewhere() {
    let sandbox = audited();
    let wrap = |material: &str| {
        // OpenSSL, so that our own RSA-OAEP does not check itself.
        sandbox.openssl(&format!(
            "pkeyutl -encrypt -pubin -inkey wrapping.pem -in {material} -out wrapped.bin \
             -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"
        ));
    };
    let parameters = || {
        for file in ["wrapping.pem", "import.token"] {
            let _ = fs::remove_file(sandbox.path(file));
        }
        let files = ["--public-key", "wrapping.pem", "--token", "import.token"];
        sandbox.ok(&[&["kms", "get-parameters-for-import", "local:ours"], &files[..]].concat());
    };
    let import = |more: &[&str]| {
        let files = [
            "--material",
            "wrapped.bin",
            "--token",
            "import.token",
            "--reason",
            "a ceremony",
        ];
        sandbox.run(&[&["kms", "import-material", "local:ours"], &files[..], more].concat())
    };
    fs::write(sandbox.path("material.bin"), [0x5A; 32]).unwrap();
    fs::write(sandbox.path("other.bin"), [0xA5; 32]).unwrap();
    sandbox.ok(&["kms", "create", "local:ours", "--origin", "external"]);
    // A key without material can wrap nothing.
    sandbox.fails(3, &["keys", "create", "ours", "--kms", "local:ours"]);
    parameters();
    wrap("material.bin");
    let done = import(&[]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let again = import(&[]);
    assert_eq!(again.status.code(), Some(3), "a token is good once");
    // Two files that a person may mistake for each other.
    fs::copy(sandbox.path("wrapped.bin"), sandbox.path("import.token")).unwrap();
    let swapped = text(&import(&[]).stderr);
    assert!(
        swapped.contains("with `import.token`: this is not an import token"),
        "{swapped}"
    );
    sandbox.ok(&["keys", "create", "ours", "--kms", "local:ours"]);

    sandbox.fails(1, &["kms", "delete-material", "local:ours", "--reason", "an audit"]);
    sandbox.ok(&["kms", "delete-material", "local:ours", "--yes", "--reason", "an audit"]);
    let refused = sandbox.fails(3, &["keys", "doctor"]);
    assert!(refused.contains("not well"), "{refused}");
    let doctor = text(&sandbox.run(&["keys", "doctor"]).stdout);
    assert!(doctor.contains("hint: its material is missing"), "{doctor}");
    parameters();
    wrap("other.bin");
    let other = text(&import(&[]).stderr);
    // Other material would leave all that the key has wrapped unreadable.
    assert!(other.contains("this is not the material that the key had"), "{other}");
    wrap("material.bin");
    let soon =
        humantime::format_rfc3339_seconds(std::time::SystemTime::now() + std::time::Duration::from_secs(30 * 86_400));
    let done = import(&["--valid-to", &soon.to_string()]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let due = sandbox.ok(&["keys", "doctor"]);
    assert!(
        due.contains(&format!(
            "due   KMS key `local:ours`: its imported material expires at {soon}"
        )),
        "{due}"
    );
    parameters();
    wrap("material.bin");
    // The same material once more only changes when it expires.
    let done = import(&["--valid-to", "2999-01-01T00:00:00Z"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    sandbox.ok(&["keys", "doctor"]);
    let described = sandbox.ok(&["kms", "describe", "local:ours"]);
    assert!(
        described.contains("EXTERNAL") && described.contains("until 2999-01-01"),
        "{described}"
    );
    let shown = sandbox.ok(&["keys", "audit", "show"]);
    assert!(
        shown.contains("import-material") && shown.contains("delete-material"),
        "{shown}"
    );
}

/// While the log cannot be written, since the keyring is shut, nothing changes that no history tells.
#[test]
fn nothing_changes_without_a_trace() {
    // The log needs the keyring, the keyring needs the key, and the key is disabled.
    let sandbox = audited();
    fs::write(sandbox.path("second.key"), [7; 32]).unwrap();
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}"#;
    fs::write(sandbox.path("bob.json"), policy).unwrap();
    sandbox.ok(&words("kms disable local:main --reason off"));
    let relock = words("kms passphrase --new-key-file second.key --reason secretly");
    let refused = sandbox.fails(3, &relock);
    assert!(
        refused.contains("the audit log can have no entry of this, since the keyring does not open"),
        "{refused}"
    );
    // Policies stand in the history of the KMS, so this change has a trace without the log.
    sandbox.ok(&words(
        "kms policy put --identity bob@x --file bob.json --reason whybob",
    ));
    sandbox.ok(&words("kms enable local:main --reason on"));
    let described = sandbox.ok(&words("kms describe local:main"));
    assert!(
        described.contains("put policy of identity `bob@x`") && described.contains("whybob"),
        "{described}"
    );
    // What is announced and does not come about is not said to be done.
    sandbox.fails(3, &words("kms cancel-deletion local:main --reason none"));
    let shown = sandbox.ok(&words("keys audit show --last 3"));
    for said in ["failed: none", "local:main  state", "refused: key not usable"] {
        assert!(shown.contains(said), "{shown}");
    }
    sandbox.ok(&relock);
    let shown = sandbox
        .command(&words("keys audit show"))
        .env("CIPHERFORM_KEY_FILE", sandbox.path("second.key"))
        .output();
    let shown = text(&shown.unwrap().stdout);
    assert!(shown.contains("unlock") && shown.contains("secretly"), "{shown}");
}

/// What the doctor is asked for: neither an older keyring nor a log that takes no entry is well, and the rest is told
/// all the same.
#[test]
fn the_doctor_overlooks_no_older_keyring_and_no_dead_log() {
    let sandbox = Sandbox::new();
    let with = |line: &str| sandbox.policy(&POLICY.replacen("\nkeyring", &format!("\n{line}\nkeyring"), 1));
    // The doctor must look further after the first thing that is not well.
    for (line, code, said) in [
        (
            "keyring_generation = 99",
            3,
            "is an older copy: generation 2, and 99 was seen before",
        ),
        (
            "audit = \"nowhere/audit.jsonl\"",
            1,
            "FAIL  audit log `nowhere/audit.jsonl`: ",
        ),
    ] {
        with(line);
        let doctor = sandbox.run(&["keys", "doctor"]);
        let told = text(&doctor.stdout);
        assert_eq!(doctor.status.code(), Some(code), "{told}");
        assert!(
            // The rest is reported all the same.
            told.contains(said) && told.contains("ok    key `pii@1`: active, unwraps"),
            "{told}"
        );
    }
}

/// Whenever an import of material is killed: either it is there, or it can be imported again by the same token.
#[test]
fn whatever_moment_an_import_of_material_is_killed_at_nothing_is_lost() {
    let sandbox = audited();
    sandbox.ok(&words("kms create local:ours --origin external"));
    sandbox.openssl("rand -out material.bin 32");
    let ready = || {
        for file in ["wrapping.pem", "import.token"] {
            let _ = fs::remove_file(sandbox.path(file));
        }
        sandbox.ok(&words(
            "kms get-parameters-for-import local:ours --public-key wrapping.pem --token import.token",
        ));
        sandbox.openssl(
            "pkeyutl -encrypt -pubin -inkey wrapping.pem -in material.bin -out wrapped.bin -pkeyopt rsa_padding_mode:oaep \
             -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256",
        );
    };
    let import = words("kms import-material local:ours --material wrapped.bin --token import.token --reason ceremony");
    ready();
    // The time of a whole import on this machine, so that kills fall all over it.
    let start = std::time::Instant::now();
    sandbox.ok(&import);
    let whole = start.elapsed();
    sandbox.ok(&words("keys create data --kms local:ours"));
    sandbox.ok(&words("kms delete-material local:ours --yes --reason ceremony"));
    ready();
    let waiting = fs::read(sandbox.path("kms.json")).unwrap();
    let keyring = fs::read(sandbox.path("keyring.json")).unwrap();

    let (mut killed, mut imported) = (0, 0);
    for round in 0..100u32 {
        fs::write(sandbox.path("kms.json"), &waiting).unwrap();
        let mut child = sandbox
            .command(&import)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Moments from the start of the process to beyond its end.
        // From 0 to 125 % of that time.
        std::thread::sleep(whole * (round * 37 % 100) / 80);
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let again = sandbox.run(&import);
        if !again.status.success() {
            let stderr = text(&again.stderr);
            assert!(
                // Refused only because the first run had finished: the token was used.
                stderr.contains("the import token is of another key, was used"),
                "{stderr}"
            );
            imported += 1;
        }
        if round % 10 == 0 {
            let doctor = sandbox.ok(&["keys", "doctor"]);
            assert!(doctor.contains("key `data@1`: active, unwraps"), "{doctor}");
            assert!(doctor.contains("key `pii@1`: active, unwraps"), "{doctor}");
        }
    }
    assert!(killed > 0 && imported > 0, "{killed} {imported}");
    // The keyring is no part of an import of material.
    assert_eq!(fs::read(sandbox.path("keyring.json")).unwrap(), keyring);
    sandbox.ok(&["keys", "doctor"]);
}

#[test]
fn what_unlocks_the_local_kms_is_changed() {
    let sandbox = audited();
    sandbox.ok(&["protect", "people.parquet", "one.parquet"]);
    let older = fs::read(sandbox.path("kms.json")).unwrap();
    fs::write(sandbox.path("new.txt"), "correct horse battery\n").unwrap();
    fs::write(sandbox.path("short.txt"), "short\n").unwrap();
    let change = ["kms", "passphrase", "--reason", "policy 7", "--new-passphrase-file"];
    let refused = sandbox.fails(1, &[&change[..], &["short.txt"]].concat());
    assert!(refused.contains("shorter than 8 characters"), "{refused}");
    sandbox.ok(&[&change[..], &["new.txt"]].concat());
    // The key file that opened it before does so no more.
    let refused = sandbox.fails(3, &["reveal", "one.parquet", "x.parquet"]);
    assert!(
        refused.contains("a passphrase unlocks it, and nothing else"),
        "{refused}"
    );
    let with = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command
            .env_remove("CIPHERFORM_KEY_FILE")
            .env("CIPHERFORM_PASSPHRASE_FILE", "new.txt");
        let output = command.output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    assert_eq!(with(&["reveal", "one.parquet", "back.parquet"]).0, Some(0));

    // Argon2id is not approved; the verb that remedies it works all the same.
    let policy = fs::read_to_string(sandbox.path("policy.toml")).unwrap();
    sandbox.policy(&format!("approved_only = true\n{}", policy.trim_start()));
    let (code, refused) = with(&["keys", "list"]);
    assert_eq!(code, Some(3));
    assert!(
        refused.contains("hint: stretch the passphrase by PBKDF2: `cipherform kms passphrase --kdf pbkdf2`"),
        "{refused}"
    );
    assert_eq!(
        with(&["kms", "passphrase", "--new-passphrase-file", "new.txt"]).0,
        Some(0)
    );
    assert!(
        fs::read_to_string(sandbox.path("kms.json"))
            .unwrap()
            .contains("pbkdf2-hmac-sha256")
    );
    assert_eq!(with(&["reveal", "one.parquet", "again.parquet"]).0, Some(0));
    assert_eq!(with(&["kms", "passphrase", "--new-key-file", "second.key"]).0, Some(0));
    sandbox.ok(&["reveal", "one.parquet", "third.parquet", "--key-file", "second.key"]);
    let shown = sandbox.ok(&["keys", "audit", "show", "--key-file", "second.key"]);
    assert!(
        shown.contains("unlock") && shown.contains("the local KMS, by the key file `second.key`"),
        "{shown}"
    );
    let stderr = sandbox.fails(
        1,
        &["kms", "passphrase", "--kms", "local:main", "--key-file", "second.key"],
    );
    assert!(stderr.contains("cannot guard a local KMS"), "{stderr}");
    // A copy from before is opened by what opened it then: the manual says so. Sealing anew cannot reach copies.
    fs::write(sandbox.path("kms.json"), older).unwrap();
    sandbox.ok(&["reveal", "one.parquet", "fourth.parquet"]);
}

#[test]
fn key_policies_are_put_shown_simulated_and_enforced() {
    let sandbox = audited();
    sandbox.ok(&["protect", "people.parquet", "one.parquet"]);
    let everybody = sandbox.ok(&["kms", "policy", "get", "local:main"]);
    assert!(
        everybody.contains("\"Principal\": \"*\"") && everybody.contains("kms:*"),
        "{everybody}"
    );
    let statement = |principal: &str, action: &str| {
        format!(
            r#"{{ "Version": "2012-10-17", "Statement": [{{ "Sid": "one", "Effect": "Allow", "Principal": {principal}, "Action": "{action}", "Resource": "*" }}] }}"#
        )
    };
    // An action that does not exist would never match: refused, not ignored.
    fs::write(sandbox.path("bad.json"), statement("\"*\"", "kms:Everything")).unwrap();
    fs::write(
        sandbox.path("ann.json"),
        statement(r#"{ "User": "ann@laptop" }"#, "kms:*"),
    )
    .unwrap();
    fs::write(sandbox.path("reveal.json"), statement("\"*\"", "kms:Decrypt")).unwrap();
    let put = |file: &str, more: &[&str]| {
        let arguments = [
            "kms",
            "policy",
            "put",
            "local:main",
            "--file",
            file,
            "--reason",
            "policy 7",
        ];
        sandbox.run(&[&arguments[..], more].concat())
    };
    let refused = text(&put("bad.json", &[]).stderr);
    assert!(
        refused.contains("an action matches no known action") && refused.contains("hint: the actions are kms:Encrypt"),
        "{refused}"
    );
    // The lockout check: nobody could replace this policy any more.
    let refused = put("ann.json", &[]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        text(&refused.stderr).contains("you could not replace it again"),
        "{}",
        text(&refused.stderr)
    );

    let simulate = |principal: &str, action: &str| {
        sandbox.ok(&[
            "kms",
            "policy",
            "simulate",
            "local:main",
            "--principal",
            principal,
            "--action",
            action,
            "--context",
            "use=derive",
        ])
    };
    assert!(simulate("eve@laptop", "kms:Decrypt").contains("allowed by the key's statement `everybody`"));
    assert!(put("reveal.json", &["--bypass-lockout-check"]).status.success());
    assert!(simulate("eve@laptop", "kms:Decrypt").contains("allowed by the key's statement `one`"));
    assert!(simulate("eve@laptop", "kms:Encrypt").contains("denied: no statement allows it"));
    sandbox.ok(&["reveal", "one.parquet", "back.parquet"]);
    // What the policy leaves out is denied, also to who put it.
    let refused = sandbox.fails(3, &["keys", "rotate", "pii"]);
    assert!(refused.contains("may not kms:GenerateDataKey"), "{refused}");
    let refused = sandbox.fails(3, &["kms", "disable", "local:main", "--reason", "an alarm"]);
    assert!(refused.contains("may not kms:DisableKey"), "{refused}");
    let json = sandbox.ok(&[
        "kms",
        "policy",
        "simulate",
        "local:main",
        "--action",
        "kms:DisableKey",
        "--format",
        "json",
    ]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["allowed"], false);

    // Who may put a policy can do so without being able to open the keyring, and so the log. A policy that locks
    // the keyring out must not be for ever.
    fs::write(sandbox.path("put.json"), statement("\"*\"", "kms:PutKeyPolicy")).unwrap();
    fs::write(sandbox.path("all.json"), statement("\"*\"", "kms:*")).unwrap();
    let other = Sandbox::new();
    let put_other = |file: &str| {
        other.run(&[
            "kms",
            "policy",
            "put",
            "local:main",
            "--file",
            &sandbox.path(file).display().to_string(),
            "--reason",
            "a test",
        ])
    };
    assert!(put_other("put.json").status.success());
    other.fails(3, &["keys", "list"]);
    assert!(put_other("all.json").status.success());
    other.ok(&["keys", "list"]);

    // The policy of an identity can only take away here.
    let who = json["principal"].as_str().unwrap().to_owned();
    fs::write(
        sandbox.path("leave.json"),
        r#"{ "Version": "2012-10-17", "Statement": [{ "Sid": "leave", "Effect": "Deny", "Action": "kms:*", "Resource": "*" }] }"#,
    )
    .unwrap();
    let attach = [
        "kms",
        "policy",
        "put",
        "--identity",
        &who,
        "--file",
        "leave.json",
        "--reason",
        "on leave",
    ];
    sandbox.ok(&attach);
    let refused = sandbox.fails(3, &["reveal", "one.parquet", "x.parquet"]);
    assert!(
        refused.contains("denied by the identity's statement `leave`"),
        "{refused}"
    );
    assert!(
        sandbox
            .ok(&["kms", "policy", "get", "--identity", &who])
            .contains("leave")
    );
    // 1 for what does not exist, and 2, usage, for neither key nor identity.
    sandbox.fails(1, &["kms", "policy", "get", "--identity", "nobody@home"]);
    sandbox.fails(2, &["kms", "policy", "get"]);
}

#[test]
fn a_backup_brings_everything_back() {
    let sandbox = audited();
    assert!(sandbox.ok(&["keys", "doctor"]).contains("there is no backup yet"));
    sandbox.ok(&["protect", "people.parquet", "one.parquet"]);
    sandbox.ok(&["kms", "rotate", "local:main"]);
    sandbox.ok(&["keys", "backup", "--to", "first.json"]);
    assert!(!sandbox.ok(&["keys", "doctor"]).contains("backup"));
    // A backup is never overwritten.
    sandbox.fails(1, &["keys", "backup", "--to", "first.json"]);
    for change in [&["keys", "create", "more"][..], &["kms", "create", "local:more"]] {
        sandbox.ok(change);
    }
    let doctor = sandbox.ok(&["keys", "doctor"]);
    assert_eq!(doctor.matches("changed since its last backup").count(), 2, "{doctor}");
    // A restore must not undo changes made since.
    let refused = sandbox.fails(1, &["keys", "restore", "first.json"]);
    assert!(
        refused.contains("is newer") && refused.contains("move it away first"),
        "{refused}"
    );
    sandbox.ok(&["keys", "restore", "first.json", "--check"]);
    // One of the two is lost: the other is newer, if only by the note that there is a backup, and stays.
    for (lost, stays) in [("kms.json", "keyring.json"), ("keyring.json", "kms.json")] {
        let before = [lost, stays].map(|file| fs::read(sandbox.path(file)).unwrap());
        fs::remove_file(sandbox.path(lost)).unwrap();
        let told = text(
            &sandbox
                .run(&["keys", "restore", "first.json", "--reason", "lost"])
                .stderr,
        );
        assert!(
            told.contains(&format!("{stays}` is newer than the backup, and stays")),
            "{told}"
        );
        assert_eq!(fs::read(sandbox.path(stays)).unwrap(), before[1]);
        sandbox.ok(&["reveal", "one.parquet", "back.parquet", "--force"]);
        fs::write(sandbox.path(lost), &before[0]).unwrap();
        // The log knows the keyring that was brought back, and would take this one for an older copy.
        fs::remove_file(sandbox.path("audit.jsonl")).unwrap();
    }

    // No key stands in it in the clear, nor what unlocks it: a backup lies on other media.
    let bytes = fs::read_to_string(sandbox.path("first.json")).unwrap();
    let unlock = fs::read_to_string(sandbox.path("unlock.key")).unwrap();
    assert!(!bytes.contains(unlock.trim()));
    sandbox.ok(&["keys", "backup", "--to", "second.json"]);

    // All is lost but the backup and the key file, on another machine.
    let elsewhere = Sandbox::empty();
    for file in ["second.json", "unlock.key", "one.parquet"] {
        fs::copy(sandbox.path(file), elsewhere.path(file)).unwrap();
    }
    // A key file of the right form and wrong contents.
    fs::write(elsewhere.path("other.key"), "07".repeat(32)).unwrap();
    let refused = elsewhere.fails(3, &["keys", "restore", "second.json", "--key-file", "other.key"]);
    assert!(
        refused.contains("`second.json`: keyring `keyring.json`: ") && refused.contains("local KMS `kms.json`"),
        "{refused}"
    );
    // Nothing is put down before the backup is known to open.
    assert!(!elsewhere.listing().contains(&"keyring.json".to_owned()));
    let restored = elsewhere.ok(&["keys", "restore", "second.json", "--format", "json"]);
    assert!(restored.contains("\"local_kms\":true"), "{restored}");
    elsewhere.ok(&["reveal", "one.parquet", "back.parquet"]);
    assert_eq!(
        read(&elsewhere.path("back.parquet")),
        read(&sandbox.path("people.parquet"))
    );
    assert!(elsewhere.ok(&["keys", "list"]).contains("more"));
    assert!(elsewhere.ok(&["keys", "audit", "show"]).contains("from second.json"));

    // One letter more in what the backup says of itself.
    let changed = bytes.replacen("\"who\": \"", "\"who\": \"x", 1);
    fs::write(sandbox.path("changed.json"), changed).unwrap();
    sandbox.fails(3, &["keys", "restore", "changed.json", "--check"]);
    fs::write(sandbox.path("cut.json"), &bytes[..bytes.len() / 2]).unwrap();
    sandbox.fails(1, &["keys", "restore", "cut.json", "--check"]);
    // Another keyring is in the way: it has keys that the backup lacks.
    let third = Sandbox::new();
    fs::copy(sandbox.path("second.json"), third.path("second.json")).unwrap();
    let output = third.run(&[
        "keys",
        "restore",
        "second.json",
        "--key-file",
        &sandbox.path("unlock.key").display().to_string(),
    ]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).contains("this is another keyring"),
        "{}",
        text(&output.stderr)
    );
}

/// Killed at any moment, a backup is whole or not there, an import is made or not, and what unlocks the local KMS is
/// changed or not.
#[test]
fn whatever_moment_a_backup_or_an_import_is_killed_at_nothing_is_lost() {
    let (ours, theirs) = (audited(), Sandbox::new());
    theirs.ok(&["kms", "create", "local:opens", "--spec", "rsa-3072"]);
    fs::write(
        ours.path("partner.pem"),
        theirs.ok(&["kms", "public-key", "local:opens"]),
    )
    .unwrap();
    let package = theirs.path("ssn.json").display().to_string();
    ours.ok(&[
        "keys",
        "export",
        "--domain",
        "ssn",
        "--for",
        "partner.pem",
        "--reason",
        "a test",
        "-o",
        &package,
    ]);
    let sender = ours.ok(&["keys", "public-key"]);
    let import = [
        "keys",
        "import",
        "ssn.json",
        "--name",
        "partner",
        "--for",
        "local:opens",
        "--from",
        sender.trim(),
        "--reason",
        "a test",
    ];
    let before = fs::read(theirs.path("keyring.json")).unwrap();
    // The same key in two files, so that a change of what unlocks it never locks the test out.
    fs::copy(theirs.path("unlock.key"), theirs.path("second.key")).unwrap();
    let (mut killed, mut imported, mut written) = (0, 0, 0);
    for round in 0..300u64 {
        let backup = format!("backup-{round}.json");
        let write = ["keys", "backup", "--to", &backup];
        let mut child = theirs
            .command(match round % 3 {
                0 => &write[..],
                1 => &import[..],
                _ => &["kms", "passphrase", "--new-key-file", "second.key"],
            })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Moments from the start of the process to beyond its end.
        // A prime step, as above.
        std::thread::sleep(std::time::Duration::from_micros(round * 7_919 % 60_000));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        if round % 3 == 0 && theirs.path(&backup).exists() {
            written += 1;
            theirs.ok(&["keys", "restore", &backup, "--check"]);
        }
        if round % 30 == 28 {
            let doctor = theirs.ok(&["keys", "doctor"]);
            assert!(doctor.contains("key `pii@1`: active, unwraps"), "{doctor}");
            if doctor.contains("key `partner@1`: active, unwraps") {
                // Once more from the start.
                imported += 1;
                fs::write(theirs.path("keyring.json"), &before).unwrap();
            }
        }
    }
    assert!(
        killed > 0 && imported > 0 && written > 0,
        "{killed} {imported} {written}"
    );
    let _ = theirs.run(&import);
    let doctor = theirs.ok(&["keys", "doctor"]);
    assert!(
        doctor.contains("key `pii@1`: active, unwraps") && doctor.contains("key `partner@1`: active, unwraps"),
        "{doctor}"
    );
    let (mut left, listing) = (0, theirs.listing());
    for name in listing {
        left += u32::from(name.starts_with(".cipherform-"));
    }
    // Only what a kill cannot clean up may be left: no ordinary end leaves a file.
    assert!(left <= killed, "a process that is killed leaves one file aside at most");
}
