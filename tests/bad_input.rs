//! Bad input: a clear message, the right exit code, and no output file.

use std::fs;

use crate::sandbox::{POLICY, Sandbox, people, text};

/// Runs a command that must fail with `code`, say `what`, and leave the folder as it was.
fn refused(sandbox: &Sandbox, code: i32, what: &str, arguments: &[&str]) {
    // Compared as a whole, so a temporary file with any name is found.
    let before = sandbox.listing();
    let stderr = sandbox.fails(code, arguments);
    // Messages of other libraries, panics and backtraces would not begin so.
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert!(stderr.contains(what), "{stderr:?} should say {what:?}");
    assert_eq!(sandbox.listing(), before, "{arguments:?} left something behind");
}

const PROTECT: &[&str] = &["protect", "people.parquet", "out.parquet"];

#[test]
fn a_missing_policy() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    fs::remove_file(sandbox.path("policy.toml")).unwrap();
    refused(
        &sandbox,
        1,
        "hint: name the file of the policy: `--policy FILE`",
        PROTECT,
    );
}

#[test]
fn an_unknown_rule() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.policy(&POLICY.replace("\"people.ssn\" = \"ssn\"", "\"people.ssn\" = \"snn\""));
    refused(&sandbox, 1, "there is no rule `snn`", PROTECT);
    // Line and column of the policy: a person has to find the word.
    refused(&sandbox, 1, "policy.toml:18:16", PROTECT);
    sandbox.policy(POLICY);
    // The same mistake in SQL has no policy line to name.
    let query = ["query", "-c", "SELECT protect('1', 'snn')", "people.parquet"];
    refused(&sandbox, 1, "no rule `snn`", &query);
}

#[test]
fn a_column_the_file_lacks() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.policy(&POLICY.replace("people.ssn", "people.social"));
    refused(&sandbox, 1, "table `people` has no column `social`", PROTECT);
}

#[test]
fn a_value_that_does_not_fit_is_named_by_row_and_column_only() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    // Cards under a social security number's rule: every value of the column is a misfit.
    sandbox.policy(&POLICY.replace("\"us-ssn\"", "\"pan\""));
    refused(
        &sandbox,
        1,
        "column `ssn`, row 1: has 9 symbols, expected 13 to 19 digits",
        PROTECT,
    );
    // The end of the first value in the column.
    assert!(!sandbox.fails(1, PROTECT).contains("6789"));
}

#[test]
fn a_rule_under_the_floor() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    // 16 − 6 − 4 digits and one check digit leave 10^5 values.
    let short = "{ type = \"pan\", keep = [6, 4] }";
    sandbox.policy(&POLICY.replace("\"pan\"", short));
    refused(&sandbox, 1, "100,000 possible values", PROTECT);
    refused(&sandbox, 1, "floor of 1,000,000", PROTECT);
    // Under 100 values no override helps either.
    sandbox.policy(&POLICY.replace("max = 999_999_999", "max = 50"));
    refused(&sandbox, 1, "50 possible values", PROTECT);
    // A short value under a rule that is good for longer ones.
    sandbox.policy(
        &POLICY
            .replace("\"pan\"", "\"digits\"")
            .replace("\"us-ssn\"", "{ type = \"digits\", keep = [0, 4] }"),
    );
    refused(
        &sandbox,
        1,
        "leaves 5 symbols to encrypt, under the floor of 6",
        PROTECT,
    );
}

#[test]
fn a_floor_override_is_recorded_in_the_file() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let short = "{ type = \"pan\", keep = [6, 4] }\ninsecure_small_domain = \"support needs the BIN\"";
    sandbox.policy(&POLICY.replace("\"pan\"", short));
    // Who reads the file later must learn that it departs from the standard.
    sandbox.ok(PROTECT);
    assert!(
        sandbox
            .ok(&["inspect", "out.parquet"])
            .contains("support needs the BIN")
    );
}

#[test]
fn a_wrong_passphrase() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let with = |passphrase: &str, arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        // The environment of the sandbox has a key file, which contradicts a passphrase.
        command
            .env_remove("CIPHERFORM_KEY_FILE")
            .env("CIPHERFORM_PASSPHRASE", passphrase);
        command
            .env("CIPHERFORM_LOCAL_KMS", sandbox.path("other-kms.json"))
            .output()
            .unwrap()
    };
    let init = with("correct horse", &["init", "other"]);
    assert!(init.status.success(), "{}", text(&init.stderr));
    fs::write(sandbox.path("other/policy.toml"), POLICY).unwrap();
    let protect = [
        "protect",
        "people.parquet",
        "out.parquet",
        "--policy",
        "other/policy.toml",
    ];
    let before = sandbox.listing();
    let wrong = with("wrong horse", &protect);
    // 3: a key refused, which scripts tell from a mistake in the input.
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong.stderr));
    assert!(text(&wrong.stderr).contains("passphrase"), "{}", text(&wrong.stderr));
    // Neither the wrong passphrase nor the right one, which share a word.
    assert!(!text(&wrong.stderr).contains("horse"));
    assert_eq!(sandbox.listing(), before);
    let right = with("correct horse", &protect);
    assert!(right.status.success(), "{}", text(&right.stderr));
}

#[test]
fn a_passphrase_that_is_too_short() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["init", "other"]);
    command
        .env_remove("CIPHERFORM_KEY_FILE")
        // One character below the minimum.
        .env("CIPHERFORM_PASSPHRASE", "7 chars");
    let output = command
        .env("CIPHERFORM_LOCAL_KMS", sandbox.path("new.json"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("shorter than 8"),
        "{}",
        text(&output.stderr)
    );
    // Refused before anything is made: half an installation would be in the way of the next try.
    assert!(!sandbox.path("new.json").exists() && !sandbox.path("other").exists());
}

#[test]
fn no_passphrase_and_no_terminal() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let output = sandbox
        .command(PROTECT)
        // stdin is no terminal here, so nobody can be asked.
        .env_remove("CIPHERFORM_KEY_FILE")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("CIPHERFORM_PASSPHRASE"));
}

#[test]
fn truncated_and_damaged_parquet_files() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("people.parquet", &people());
    let whole = fs::read(&path).unwrap();
    // Nothing, less than the magic number, just that, a little more, half, and all but the last byte.
    for length in [0, 3, 4, 8, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        refused(&sandbox, 1, "`people.parquet` is not a whole Parquet file", PROTECT);
    }
    // Damage inside, under an intact footer: an error or a value, never a crash, and never a file half done.
    for at in (4..whole.len() - 8).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xFF;
        fs::write(&path, damaged).unwrap();
        let output = sandbox.run(PROTECT);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1)), "byte {at}: {}", text(&output.stderr));
        // The target exists exactly if the command says that it succeeded.
        assert_eq!(sandbox.path("out.parquet").exists(), code == Some(0));
        let _ = fs::remove_file(sandbox.path("out.parquet"));
    }
    refused(
        &sandbox,
        1,
        "cannot open `missing.parquet`",
        &["protect", "missing.parquet", "out.parquet"],
    );
    refused(&sandbox, 1, "is not a file", &["protect", ".", "out.parquet"]);
}

#[test]
fn a_target_that_is_there_full_or_read_only() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    // Without --force, a target is never replaced.
    fs::write(sandbox.path("out.parquet"), "precious").unwrap();
    refused(&sandbox, 1, "`out.parquet` already exists", PROTECT);
    assert_eq!(fs::read(sandbox.path("out.parquet")).unwrap(), b"precious");
    sandbox.ok(&["protect", "people.parquet", "out.parquet", "--force"]);
    fs::remove_file(sandbox.path("out.parquet")).unwrap();
    let stderr = sandbox.fails(1, &["protect", "people.parquet", "no/out.parquet"]);
    assert!(stderr.contains("its folder does not exist"), "{stderr}");
    // Nobody, not even root, makes files there; tests often run as root, whom permissions do not stop.
    refused(
        &sandbox,
        1,
        "cannot write `/proc/out.parquet`",
        &["protect", "people.parquet", "/proc/out.parquet"],
    );
    refused(
        &sandbox,
        1,
        "cannot write `no/out.parquet`",
        &["protect", "people.parquet", "no/out.parquet"],
    );
}

#[test]
#[cfg(unix)]
fn a_full_target() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    let before = sandbox.listing();
    // A file size limit of one block: writes beyond it fail as on a full disk.
    let binary = env!("CARGO_BIN_EXE_cipherform");
    // Without the trap, the kernel would end the process by SIGXFSZ in place of an error of the write.
    let script = format!("trap '' XFSZ; ulimit -f 1; exec '{binary}' protect people.parquet out.parquet");
    let mut command = std::process::Command::new("/bin/bash");
    let model = sandbox.command(&[]);
    command.args(["-c", &script]).current_dir(sandbox.folder.path());
    // The shell must see what the command sees, and nothing of the machine's own settings.
    command.envs(model.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("cannot write `out.parquet`"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(sandbox.listing(), before);
}

#[test]
fn a_keyring_that_was_tampered_with() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["keys", "create", "other"]);
    let path = sandbox.path("keyring.json");
    let good = fs::read_to_string(&path).unwrap();

    // Two wrapped blobs change places. Each is genuine by itself: what it is bound to and the MAC over the whole
    // must notice.
    let mut json: serde_json::Value = serde_json::from_str(&good).unwrap();
    let wrapped: Vec<String> = (0..2)
        .map(|i| {
            json["content"]["keys"][i]["versions"][0]["wrapped"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    // Or the swap would change nothing.
    assert_ne!(wrapped[0], wrapped[1]);
    for (i, blob) in wrapped.iter().rev().enumerate() {
        json["content"]["keys"][i]["versions"][0]["wrapped"] = blob.as_str().into();
    }
    let swapped = good
        .replace(&wrapped[0], "#")
        .replace(&wrapped[1], &wrapped[0])
        .replace('#', &wrapped[1]);
    // The file is edited as text, so that nothing but the swap differs; this proves that it is the swap.
    assert_eq!(serde_json::from_str::<serde_json::Value>(&swapped).unwrap(), json);
    fs::write(&path, swapped).unwrap();
    refused(&sandbox, 3, "keyring.json", PROTECT);

    // One byte changes, at many places: in names, numbers, wrapped keys and in the MAC itself.
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        fs::write(&path, bytes).unwrap();
        let output = sandbox.run(PROTECT);
        assert!(
            // 1 where it cannot be read, 3 where it does not authenticate. Never 0.
            matches!(output.status.code(), Some(1 | 3)),
            "byte {at}: {}",
            text(&output.stderr)
        );
        assert!(!sandbox.path("out.parquet").exists());
    }
    // The original still works: nothing else was damaged by trying.
    fs::write(&path, good).unwrap();
    sandbox.ok(PROTECT);
}

#[test]
// Two keyrings with keys of one name and number: only the version's id tells them apart.
fn revealing_with_another_key() {
    let (sandbox, other) = (Sandbox::new(), Sandbox::new());
    sandbox.write("people.parquet", &people());
    sandbox.ok(PROTECT);
    fs::copy(sandbox.path("out.parquet"), other.path("out.parquet")).unwrap();
    refused(
        &other,
        3,
        "has no version with the id",
        &["reveal", "out.parquet", "back.parquet"],
    );
    refused(
        &other,
        3,
        "has no version with the id",
        &["query", "-c", "SELECT 1", "out.parquet"],
    );
    // The right key under a rule that has changed since: each part of the map is compared, as FPE would give a
    // wrong plaintext without any error.
    sandbox.policy(&POLICY.replace("\"us-ssn\"", "\"us-ssn\"\ndomain = \"other\""));
    refused(
        &sandbox,
        3,
        "its domain differs",
        &["reveal", "out.parquet", "back.parquet"],
    );
    sandbox.policy(&POLICY.replace("\"us-ssn\"", "\"us-ssn\"\ntweak = \"none\""));
    refused(
        &sandbox,
        3,
        "its tweak differs",
        &["reveal", "out.parquet", "back.parquet"],
    );
    sandbox.policy(&POLICY.replace("\"us-ssn\"", "\"digits\""));
    refused(
        &sandbox,
        3,
        "its format or treatment differs",
        &["reveal", "out.parquet", "back.parquet"],
    );
}

#[test]
fn protecting_twice_and_revealing_what_is_plain() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(PROTECT);
    let again = ["protect", "out.parquet", "twice.parquet", "--table", "people"];
    // Metadata names one rule and one key, so what is protected twice could not be revealed.
    refused(&sandbox, 1, "is protected already", &again);
    refused(
        &sandbox,
        1,
        "no column says that it is protected",
        &["reveal", "people.parquet", "back.parquet"],
    );
}

#[test]
fn nothing_to_protect_names_the_columns() {
    let sandbox = Sandbox::new();
    sandbox.policy(&POLICY.replace("people.", "others.x_"));
    sandbox.write("persons.parquet", &people());
    refused(
        &sandbox,
        1,
        "id, ssn, card, note",
        &["protect", "persons.parquet", "out.parquet"],
    );
}

#[test]
fn usage_is_exit_code_2() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["protect"][..],
        &["frobnicate"],
        &["protect", "a", "b", "--no-such"],
        // No subcommand at all.
        &[],
    ] {
        assert_eq!(sandbox.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
