//! The command as a person uses it.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use parquet::basic::LogicalType;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::sandbox::{Sandbox, people, read, text};

#[test]
fn protect_inspect_query_reveal() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);

    let inspected = sandbox.ok(&["inspect", "safe.parquet"]);
    assert!(inspected.contains("4 columns, 3 protected"), "{inspected}");
    for what in ["us-ssn/1", "pan/1", "integer/1", "pii@1"] {
        assert!(inspected.contains(what), "{inspected}");
    }

    let query = [
        "query",
        "--format",
        "csv",
        "-c",
        "SELECT ssn, card FROM safe WHERE id = 1",
        "safe.parquet",
    ];
    assert_eq!(sandbox.ok(&query), "ssn,card\n123-45-6789,4111-1111-1111-1111\n");

    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    assert_eq!(
        // Compared with schema and metadata: reveal leaves nothing of its own behind.
        read(&sandbox.path("back.parquet")),
        read(&sandbox.path("people.parquet"))
    );
}

#[test]
fn old_files_stay_readable_after_a_rotation() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["protect", "people.parquet", "old.parquet"]);
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&["protect", "people.parquet", "new.parquet"]);
    // The active version protects, so a rotation changes what is stored.
    assert_ne!(
        read(&sandbox.path("old.parquet")).1,
        read(&sandbox.path("new.parquet")).1
    );
    // Each file is read by the version that its own footer names.
    let both = "SELECT count(*) AS same FROM old JOIN new ON old.ssn = new.ssn AND old.id = new.id";
    let query = ["query", "--format", "csv", "-c", both, "old.parquet", "new.parquet"];
    assert_eq!(sandbox.ok(&query), "same\n3\n");
    let described = sandbox.ok(&["keys", "describe", "pii"]);
    assert!(
        described.contains("deactivated") && described.contains("active"),
        "{described}"
    );
    let listed = sandbox.ok(&["keys", "list"]);
    assert!(
        listed.lines().any(|line| line.starts_with("pii  derive  2 ")),
        "{listed}"
    );
}

#[test]
fn data_without_metadata_reveals_by_policy_and_version() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    sandbox.ok(&["keys", "rotate", "pii"]);
    // A tool that drops field metadata on its way. Most do.
    let (schema, batch) = read(&sandbox.path("safe.parquet"));
    let bare: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_metadata(Default::default()))
        .collect();
    let batch = arrow::array::RecordBatch::try_new(
        std::sync::Arc::new(arrow::datatypes::Schema::new(bare)),
        batch.columns().to_vec(),
    );
    sandbox.write("bare.parquet", &batch.unwrap());
    // Without metadata, a version must be named: guessing would give wrong plaintext without an error.
    sandbox.fails(1, &["reveal", "bare.parquet", "back.parquet"]);
    sandbox.ok(&[
        "reveal",
        "bare.parquet",
        "back.parquet",
        "--table",
        "people",
        "--key-version",
        "1",
    ]);
    assert_eq!(read(&sandbox.path("back.parquet")).1, people());
}

#[test]
fn results_in_every_format() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let query = |format: &str, sql: &str| sandbox.ok(&["query", "--format", format, "-c", sql, "people.parquet"]);
    // A header even without rows: a reader of CSV has no other schema.
    assert_eq!(query("csv", "SELECT id FROM people WHERE id < 0"), "id\n");
    assert_eq!(
        query("json", "SELECT id, note FROM people WHERE id = 1"),
        "{\"id\":1,\"note\":\"as it is\"}\n"
    );
    assert!(query("table", "SELECT id FROM people LIMIT 1").contains("| id |"));
    let sql = "SELECT * FROM people";
    // The ending of the name says how, and is overruled.
    sandbox.ok(&["query", "-o", "copy.parquet", "-c", sql, "people.parquet"]);
    assert_eq!(read(&sandbox.path("copy.parquet")).1.num_rows(), 4);
    // Dates in milliseconds are dates for every reader.
    let days = "SELECT arrow_cast('2020-02-29', 'Date64') AS day, arrow_cast(arrow_cast('2020-02-29', 'Date64'), 'Dictionary(Int32, Date64)') AS coded";
    sandbox.ok(&["query", "-o", "days.parquet", "-c", days, "people.parquet"]);
    // Read by another reader than Arrow's, which would follow the embedded Arrow schema.
    let file = SerializedFileReader::new(std::fs::File::open(sandbox.path("days.parquet")).unwrap()).unwrap();
    for column in file.metadata().file_metadata().schema_descr().columns() {
        assert_eq!(column.logical_type_ref(), Some(&LogicalType::Date), "{}", column.name());
    }
    let one = "SELECT id FROM people WHERE id = 1";
    for (arguments, written) in [
        (&["-o", "one.CSV"][..], "id\n1\n"),
        (&["-o", "two.csv", "--format", "json"], "{\"id\":1}\n"),
        (&["-o", "one.txt"], "+----+\n| id |\n+----+\n| 1  |\n+----+\n"),
    ] {
        sandbox.ok(&[&["query", "-c", one, "people.parquet"], arguments].concat());
        // An unknown ending means a table.
        assert_eq!(fs::read_to_string(sandbox.path(arguments[1])).unwrap(), written);
    }
    // Devices and pipes stay what they are.
    // With --force, a rename over the link would replace the device by a file.
    std::os::unix::fs::symlink("/dev/null", sandbox.path("null.csv")).unwrap();
    let told = sandbox.fails(1, &["query", "--force", "-o", "null.csv", "-c", one, "people.parquet"]);
    assert!(told.contains("not a regular file"), "{told}");
    assert!(sandbox.path("null.csv").symlink_metadata().unwrap().is_symlink());
    // What is there is not replaced.
    sandbox.fails(1, &["query", "-o", "copy.parquet", "-c", sql, "people.parquet"]);
}

#[test]
fn statements_from_a_pipe() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let mut child = sandbox
        .command(&["query", "--format", "csv", "people.parquet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Statements across lines, several on end, and the last without a semicolon.
    let script = b"CREATE VIEW v AS SELECT id FROM people;\nSELECT count(*) AS n\nFROM v;\nSELECT 2 AS two";
    child.stdin.take().unwrap().write_all(script).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(
        text(&output.stdout).ends_with("n\n4\ntwo\n2\n"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn several_statements_in_one_go() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    // A semicolon in a literal ends no statement.
    let sql = "CREATE VIEW v AS SELECT ';' AS semicolon FROM people; SELECT semicolon, count(*) AS n FROM v GROUP BY 1; SELECT 2 AS two;";
    let mut query = vec!["query", "--format", "csv", "-c", sql, "people.parquet"];
    assert!(sandbox.ok(&query).ends_with("semicolon,n\n;,4\ntwo\n2\n"));
    query.extend(["-o", "out.csv"]);
    let stderr = sandbox.fails(1, &query);
    // One file for three results could only hold the last.
    assert!(stderr.contains("there are 3"), "{stderr}");
    // Writing is refused wherever it stands.
    sandbox.fails(
        1,
        &["query", "-c", "SELECT 1; COPY people TO 'leak.csv'", "people.parquet"],
    );
    assert!(!sandbox.path("leak.csv").exists());
}

#[test]
fn a_file_name_is_no_pattern() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    // DataFusion's listing tables take such characters for a glob, or decode the percent sign.
    for name in ["w*.parquet", "wx.parquet", "b[r]a%20c k.parquet"] {
        sandbox.write(name, &people());
    }
    for name in ["w*", "b[r]a%20c k"] {
        let sql = format!("SELECT count(*) AS n FROM \"{name}\"");
        let file = format!("{name}.parquet");
        assert_eq!(sandbox.ok(&["query", "--format", "csv", "-c", &sql, &file]), "n\n4\n");
    }
}

#[test]
fn queries_write_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let before = sandbox.listing();
    // COPY would write revealed values into files that nothing protects.
    sandbox.fails(1, &["query", "-c", "COPY people TO 'leak.csv'", "people.parquet"]);
    assert_eq!(sandbox.listing(), before);
}

#[test]
fn roles_see_what_they_may() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    let query = |sql: &str| {
        sandbox.run(&[
            "query",
            "--role",
            "analyst",
            "--format",
            "csv",
            "-c",
            sql,
            "safe.parquet",
        ])
    };
    let masked = query("SELECT card FROM safe WHERE note = 'as it is'");
    assert_eq!(text(&masked.stdout), "card\n****-****-****-1111\n");
    // Denied only if the query needs the column: a table may be used by a role that sees a part of it.
    assert!(query("SELECT note FROM safe").status.success());
    for denied in [
        "SELECT ssn FROM safe",
        // A filter alone would already be an oracle for single values.
        "SELECT count(*) FROM safe WHERE ssn = '123-45-6789'",
        "SELECT * FROM safe",
    ] {
        let output = query(denied);
        assert_eq!(output.status.code(), Some(3), "{denied}");
        assert!(
            text(&output.stderr).contains("role `analyst` may not see column `ssn`"),
            "{}",
            text(&output.stderr)
        );
    }
    // Protected, and no way round by calling the function.
    let stored = sandbox.ok(&[
        "query",
        "--stored",
        "--format",
        "csv",
        "-c",
        "SELECT id FROM safe",
        "safe.parquet",
    ]);
    assert_eq!(text(&query("SELECT id FROM safe").stdout), stored);
    // Granted is what the view shows, not the functions that it is made of.
    for way_round in [
        "SELECT reveal(id, 'id') FROM safe",
        "SELECT fpe_decrypt(id, 'id@1') FROM safe",
    ] {
        assert_eq!(query(way_round).status.code(), Some(3), "{way_round}");
    }
    let forged = query("SELECT fpe_decrypt(protect('4111-1111-1111-1111', 'card'), 'card') AS x");
    // Encrypting guesses and comparing them would undo the mask.
    assert_eq!(forged.status.code(), Some(3), "who may see masked may not protect");
    assert_eq!(
        sandbox
            .run(&["query", "--role", "boss", "-c", "SELECT 1", "safe.parquet"])
            .status
            .code(),
        Some(3)
    );
}

#[test]
fn a_role_cannot_look_past_its_views() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    // The file itself, without the view that binds the role.
    let raw = "CREATE EXTERNAL TABLE raw STORED AS PARQUET LOCATION 'safe.parquet'; SELECT ssn FROM raw";
    let query = |sql: &str| sandbox.run(&["query", "--role", "analyst", "-c", sql, "safe.parquet"]);
    for sql in [
        raw,
        "CREATE VIEW v AS SELECT 1",
        "DROP VIEW safe",
        "CREATE TABLE t AS SELECT 1",
    ] {
        let output = query(sql);
        assert_eq!(output.status.code(), Some(1), "{sql}");
        assert!(
            text(&output.stderr).contains("DDL not supported"),
            "{}",
            text(&output.stderr)
        );
    }
    // Nobody turns spill files on.
    // Spill files would hold revealed values in the clear.
    let set = "SET datafusion.runtime.temp_directory = '/tmp'";
    sandbox.fails(1, &["query", "-c", set, "safe.parquet"]);
}

#[test]
#[cfg(unix)]
fn only_the_owner_can_read_what_is_revealed() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let path = sandbox.write("people.parquet", &people());
    // The protected file has the source's permissions; the revealed one is for its owner alone.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    let mode = |name: &str| fs::metadata(sandbox.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("safe.parquet"), mode("back.parquet")), (0o644, 0o600));
}

#[test]
fn a_flag_goes_before_the_environment() {
    let sandbox = Sandbox::new();
    let flag = ["keys", "list", "--key-file", "unlock.key"];
    let environment = [
        // Both in the environment contradict each other, unless a flag decides.
        ("CIPHERFORM_KEY_FILE", "missing"),
        ("CIPHERFORM_PASSPHRASE", "wrong horse"),
    ];
    let output = sandbox.command(&flag).envs(environment).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = sandbox.command(&flag[..2]).envs(environment).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("more than one of"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn init_writes_private_files_once() {
    let sandbox = Sandbox::new();
    // A second `init` over a keyring would make its data unreadable.
    sandbox.fails(1, &["init"]);
    #[cfg(unix)]
    for name in ["keyring.json", "kms.json", "unlock.key"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(sandbox.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    // A second policy shares the local KMS.
    sandbox.ok(&["init", "second", "--key", "payroll"]);
    let listed = sandbox.ok(&["keys", "list", "--policy", "second/policy.toml"]);
    assert!(listed.contains("payroll"));
}

#[test]
fn the_passphrase_comes_from_a_file_a_descriptor_or_the_environment() {
    let sandbox = Sandbox::new();
    // Only the first line counts: editors end files with a line feed, and people add notes.
    fs::write(sandbox.path("passphrase"), "a long passphrase\nnot this line\n").unwrap();
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = sandbox.command(arguments);
        command
            .env_remove("CIPHERFORM_KEY_FILE")
            .env("CIPHERFORM_LOCAL_KMS", sandbox.path("p.json"));
        let output = command
            .envs(environment.iter().copied())
            // The passphrase file also stands open as descriptor 0, for --passphrase-fd.
            .stdin(fs::File::open(sandbox.path("passphrase")).unwrap());
        let output = output.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    };
    run(&["init", "p", "--passphrase-file", "passphrase"], &[]);
    run(
        &["keys", "list", "--policy", "p/policy.toml"],
        &[("CIPHERFORM_PASSPHRASE", "a long passphrase")],
    );
    run(
        &["keys", "list", "--policy", "p/policy.toml"],
        &[("CIPHERFORM_PASSPHRASE_FILE", "passphrase")],
    );
    run(
        &["keys", "list", "--policy", "p/policy.toml", "--passphrase-fd", "0"],
        &[],
    );
}

#[test]
// Each process reads the file, changes it and writes it: without a lock, the last one would undo the others.
fn concurrent_changes_of_a_keyring_all_land() {
    let sandbox = Sandbox::new();
    let children: Vec<_> = (0..6)
        .map(|i| {
            let mut command = sandbox.command(&["keys", "create", &format!("key-{i}")]);
            command.stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let listed = sandbox.ok(&["keys", "list"]);
    let data_keys = listed.lines().take_while(|line| !line.is_empty());
    // A header, the first key and six more.
    assert_eq!(data_keys.count(), 1 + 1 + 6, "{listed}");
}

#[test]
fn selftest_passes_and_notices_a_wrong_answer() {
    let sandbox = Sandbox::new();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let printed = sandbox.ok(&["selftest", vectors]);
    // All published and own vectors: a file that is not found would leave a smaller number.
    assert!(printed.contains("vectors: 0 failed of 15064"), "{printed}");

    fs::create_dir(sandbox.path("v")).unwrap();
    let good = fs::read_to_string(format!("{vectors}/acvp-spec-ff1.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&good).unwrap();
    let answer = json["vectors"][0]["ct_str"].as_str().unwrap().to_owned();
    // Still a string of the alphabet and of the right length, so only the value is wrong.
    let wrong: String = answer.chars().rev().collect();
    assert_ne!(wrong, answer);
    json["vectors"][0]["ct_str"] = wrong.into();
    fs::write(sandbox.path("v/bad.json"), json.to_string()).unwrap();
    let output = sandbox.run(&["selftest", "v"]);
    // 4, our failure: such a build must not be used.
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stdout).contains("1 failed"), "{}", text(&output.stdout));
    fs::write(sandbox.path("v/bad.json"), "{").unwrap();
    sandbox.fails(1, &["selftest", "v"]);
}

/// Has the process begun to write? Where the file system has files without names it has one open; else it has a
/// temporary name.
#[cfg(unix)]
fn is_writing(sandbox: &Sandbox, process: u32) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
    let mut targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let folder = sandbox.path(".").canonicalize().unwrap();
    targets.any(|target| target.starts_with(&folder) && target.to_string_lossy().ends_with("(deleted)"))
        || sandbox.listing().iter().any(|name| name.starts_with(".cipherform-"))
}

#[test]
#[cfg(unix)]
fn an_interrupted_job_leaves_nothing() {
    let sandbox = Sandbox::new();
    // Enough rows that the signal comes in the middle.
    let batch = people();
    let many = arrow::compute::concat_batches(&batch.schema(), std::iter::repeat_n(&batch, 500_000)).unwrap();
    sandbox.write("people.parquet", &many);
    let before = sandbox.listing();
    let mut child = sandbox
        .command(&["protect", "people.parquet", "out.parquet"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    while !is_writing(&sandbox, child.id()) {
        assert!(started.elapsed().as_secs() < 60, "the job never began to write");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    // 128 + 2, as shells report SIGINT.
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(sandbox.listing(), before);
}
