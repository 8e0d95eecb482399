//! Tokens: in files, in SQL, and in a store that many write to.

use std::collections::{HashMap, HashSet};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Int32Array, RecordBatch, StringArray,
    Time64MicrosecondArray, TimestampMillisecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use cipherform::sql::{Session, from_datafusion};
use cipherform::tokens::{SqliteTokens, TokenStore};
use rand::prelude::*;

use crate::sandbox::{Sandbox, read, text};

const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
tokens = "sqlite:tokens.db"
[rules.account]
treatment = "tokenize"
format = "opaque"
key = "pii"
[rules.card]
treatment = "tokenize"
format = { type = "pan", check_digit = "invalid" }
key = "pii"
mask = { keep_last = 4 }
[rules.number]
treatment = "tokenize"
format = { type = "integer", min = 1, max = 100_000 }
insecure_small_domain = "a test"
key = "pii"
[rules.visit]
treatment = "tokenize"
format = "digits"
per_occurrence = true
on_forgotten = "keep"
key = "pii"
[rules.encrypted]
format = "pan"
key = "pii"
[columns]
"*account" = "account"
"*card" = "card"
"*number" = "number"
"*visit" = "visit"
[roles.clerk]
card = "masked"
"*" = "denied"
"#;

/// What a change of tokens takes where nobody can be asked.
const MEANT: [&str; 3] = ["--yes", "--reason", "a test"];

const PROTECT: [&str; 3] = ["protect", "plain.parquet", "safe.parquet"];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.policy(POLICY);
    sandbox
}

fn accounts<'a>(values: impl IntoIterator<Item = &'a str>) -> RecordBatch {
    let column: StringArray = values.into_iter().map(Some).collect();
    RecordBatch::try_from_iter([("account", Arc::new(column) as ArrayRef)]).unwrap()
}

/// A few columns of every kind, NULLs among them.
fn customers() -> RecordBatch {
    let rows = 3_000;
    let cards = [Some("4111-1111-1111-1111"), Some("5500000000000004"), None];
    let account: StringArray = (0..rows)
        .map(|n| (n % 7 > 0).then(|| format!("account {}", n % 900)))
        .collect();
    let card: StringArray = (0..rows).map(|n| cards[n % 3]).collect();
    // A dictionary with keys of 16 bits.
    let card = arrow::compute::cast(&card, &"Dictionary(Int16, Utf8)".parse().unwrap()).unwrap();
    let number: Int32Array = (0..rows).map(|n| Some(n as i32 % 800 + 1)).collect();
    // Ten values only, so that tokens per occurrence stand out.
    let visit: StringArray = (0..rows).map(|n| Some(format!("{:08}", n % 10))).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("account", Arc::new(account) as ArrayRef, true),
        ("card", card, true),
        ("number", Arc::new(number) as ArrayRef, true),
        ("visit", Arc::new(visit) as ArrayRef, true),
    ])
    .unwrap()
}

fn strings(batch: &RecordBatch, column: usize) -> Vec<String> {
    let values = batch.column(column).as_string::<i32>().iter();
    values.map(|value| value.unwrap_or("NULL").to_owned()).collect()
}

#[test]
fn files_go_there_and_back() {
    let sandbox = sandbox();
    let plain = customers();
    sandbox.write("plain.parquet", &plain);
    sandbox.ok(&PROTECT);
    let (_, safe) = read(&sandbox.path("safe.parquet"));
    assert_eq!(
        safe.schema()
            .fields()
            .iter()
            .map(|field| field.data_type())
            .collect::<Vec<_>>(),
        plain
            .schema()
            .fields()
            .iter()
            .map(|field| field.data_type())
            .collect::<Vec<_>>(),
    );
    for column in [0, 3] {
        let (values, tokens) = (strings(&plain, column), strings(&safe, column));
        assert!(
            values
                .iter()
                .zip(&tokens)
                .all(|(value, token)| value != token || value == "NULL")
        );
        let distinct: HashSet<_> = tokens.iter().filter(|token| *token != "NULL").collect();
        // Per occurrence each row has a token of its own.
        // 900 accounts have 900 tokens, and 3,000 visits 3,000.
        assert_eq!(distinct.len(), if column == 3 { 3_000 } else { 900 });
    }
    // Once more: known values keep their tokens.
    sandbox.ok(&["protect", "plain.parquet", "again.parquet"]);
    assert_eq!(
        // Without the last column, whose rows get new tokens each time.
        read(&sandbox.path("again.parquet")).1.columns()[..3],
        safe.columns()[..3]
    );

    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    assert_eq!(read(&sandbox.path("back.parquet")).1.columns(), plain.columns());
    assert!(sandbox.ok(&["inspect", "safe.parquet"]).contains("tokenize"));

    let clerk = ["query", "--role", "clerk", "--format", "csv", "safe.parquet", "-c"];
    let shown = sandbox.ok(&[
        &clerk[..],
        &["SELECT DISTINCT c FROM (SELECT mask(card) AS c FROM safe) ORDER BY c"],
    ]
    .concat());
    assert_eq!(shown, "c\n************0004\n****-****-****-1111\n\"\"\n");
    let refused = sandbox.fails(3, &[&clerk[..], &["SELECT account FROM safe"]].concat());
    assert!(refused.contains("may not see column `account`"), "{refused}");

    // A store that is gone is not made anew to look into it.
    // An empty store in place of the lost one would answer "never issued", and hide the loss.
    std::fs::rename(sandbox.path("tokens.db"), sandbox.path("elsewhere.db")).unwrap();
    assert!(text(&sandbox.run(&["tokens", "stats"]).stderr).contains("rule account: there is no token store"));
    for arguments in [
        &["reveal", "safe.parquet", "no.parquet"][..],
        &["tokens", "reseal", "--yes", "--reason", "a test"],
        &["tokens", "reindex", "account", "--yes", "--reason", "a test"],
        &["tokens", "expire", "account", "--yes", "--reason", "a test"],
    ] {
        let error = sandbox.fails(1, arguments);
        assert!(error.contains("there is no token store"), "{error}");
        assert!(!sandbox.path("tokens.db").exists() && !sandbox.path("no.parquet").exists());
    }
    // Another store knows nothing of these tokens.
    sandbox.ok(&["protect", "plain.parquet", "other.parquet"]);
    // The file's metadata names the store by its id.
    let error = sandbox.fails(3, &["reveal", "safe.parquet", "no.parquet"]);
    assert!(
        error.contains("another store") && !sandbox.path("no.parquet").exists(),
        "{error}"
    );
}

/// A token of digits may begin with zeros, and an opaque one has letters: neither comes back from a column of integers.
#[test]
fn integers_take_a_format_that_counts() {
    let sandbox = sandbox();
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    for column in ["an_account", "a_visit"] {
        let batch = RecordBatch::try_from_iter([(column, Arc::clone(&numbers))]).unwrap();
        sandbox.write("plain.parquet", &batch);
        let error = sandbox.fails(1, &PROTECT);
        assert!(error.contains("integer columns take format"), "{error}");
        assert!(
            !sandbox
                .ok(&["tokens", "stats", "--format", "json"])
                .contains("\"tokens\":2")
        );
    }
}

/// Of two values, a token is the other one.
#[test]
fn a_value_of_few_gets_no_token() {
    let sandbox = sandbox();
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 1]));
    sandbox.write(
        "plain.parquet",
        &RecordBatch::try_from_iter([("number", numbers)]).unwrap(),
    );
    let few = POLICY.replace("max = 100_000", "max = 2");
    for (policy, told) in [
        (
            few.replace("insecure_small_domain = \"a test\"\n", ""),
            "2 possible values, under the floor of 1,000,000",
        ),
        // A reason leads down to a hundred values, as for encryption.
        (few, "2 possible values, under the floor of 100"),
        (
            POLICY.replace("insecure_small_domain = \"a test\"\n", ""),
            "100,000 possible values, under the floor of",
        ),
    ] {
        sandbox.policy(&policy);
        let error = sandbox.fails(1, &PROTECT);
        assert!(error.contains(told) && error.contains("row 1"), "{error}");
        assert!(
            !sandbox
                .ok(&["tokens", "stats", "--format", "json"])
                .contains("\"tokens\":1")
        );
    }
    // What is accepted says so in the file.
    sandbox.policy(POLICY);
    sandbox.ok(&PROTECT);
    assert!(
        sandbox
            .ok(&["inspect", "safe.parquet"])
            .contains("insecure_small_domain")
    );
}

/// A role that sees masks sees none of what is stored: neither a token whose value is gone, nor what fitted no format.
#[test]
fn a_masked_role_sees_no_token_and_no_value_in_the_clear() {
    let sandbox = sandbox();
    let policy = POLICY
        .replace("keep_last = 4 }", "keep_last = 4 }\non_forgotten = \"keep\"")
        .replace(
            "per_occurrence = true",
            "per_occurrence = true\non_invalid = \"insecure-keep\"",
        )
        .replace(
            "card = \"masked\"",
            "card = \"masked\"\nvisit = \"masked\"\nnumber = \"masked\"",
        );
    sandbox.policy(&policy);
    let text_of = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let plain = RecordBatch::try_from_iter([
        ("card", text_of(vec!["4111-1111-1111-1111", "5500000000000004"])),
        ("number", text_of(vec!["7", "70000"])),
        ("visit", text_of(vec!["12345678", "Mr Smith"])),
    ]);
    sandbox.write("plain.parquet", &plain.unwrap());
    sandbox.ok(&PROTECT);
    let token = strings(&read(&sandbox.path("safe.parquet")).1, 0)[0].clone();
    sandbox.ok(&[&["tokens", "delete", "card", &token], &MEANT[..]].concat());
    let ask = |role: &[&str], sql: &str| {
        let query = ["query", "--format", "csv", "safe.parquet", "-c", sql];
        sandbox.ok(&[&query[..], role].concat())
    };
    // Who sees plain values gets the token in place of what is gone, and what was left in the clear.
    let all = ask(&[], "SELECT card, visit FROM safe ORDER BY number");
    assert!(all.contains(&token) && all.contains("Mr Smith"), "{all}");
    let clerk = ["--role", "clerk"];
    for sql in [
        "SELECT card, number, visit FROM safe",
        "SELECT mask(card), mask(number), mask(visit) FROM safe",
        "SELECT c, count(*) FROM (SELECT card AS c FROM safe) GROUP BY c",
        "SELECT max(card) OVER (), visit FROM safe",
    ] {
        let shown = text(
            &sandbox
                .run(&["query", "--role", "clerk", "--format", "csv", "safe.parquet", "-c", sql])
                .stdout,
        );
        assert!(!shown.contains(&token[token.len() - 4..]), "{sql}: {shown}");
        assert!(!shown.contains("Smith") && !shown.contains("345"), "{sql}: {shown}");
    }
    // The width of a number tells nothing of its size, either.
    let shown = ask(&clerk, "SELECT card, number, visit FROM safe");
    assert_eq!(
        shown,
        "card,number,visit\n,******,********\n************0004,******,** *****\n"
    );
}

/// Values are sealed under the new version, and found by the one that is gone.
#[test]
fn a_store_found_by_a_removed_version_is_mended_by_a_reindex() {
    let sandbox = sandbox();
    sandbox.write("plain.parquet", &accounts(["ann", "bob"]));
    sandbox.ok(&PROTECT);
    sandbox.ok(&["keys", "rotate", "pii"]);
    // Sealed under the new version; the index that finds values is still of the old one.
    sandbox.ok(&[&["tokens", "reseal", "account"], &MEANT[..]].concat());
    let removed = sandbox.run(&["keys", "remove", "pii@1", "--reason", "a test", "--yes"]);
    let warned = text(&removed.stderr);
    assert!(
        removed.status.success() && warned.contains("warning: tokens of `account`, `card`"),
        "{warned}"
    );
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    // Without the old key, values cannot be looked up, and each would get a second token.
    let told = sandbox.fails(3, &["protect", "plain.parquet", "again.parquet"]);
    assert!(
        told.contains("re-index the token store: `cipherform tokens reindex`"),
        "{told}"
    );
    sandbox.ok(&[&["tokens", "reindex", "account"], &MEANT[..]].concat());
    sandbox.ok(&["protect", "plain.parquet", "again.parquet"]);
    assert_eq!(
        read(&sandbox.path("again.parquet")).1.columns(),
        read(&sandbox.path("safe.parquet")).1.columns()
    );
}

#[test]
fn dates_times_and_decimals_have_tokens_of_their_type() {
    let sandbox = sandbox();
    let rule = |name: &str, format: &str| {
        // There are fewer days, and seconds of a day, than the floor takes.
        format!(
            "[rules.{name}]\ntreatment = \"tokenize\"\nformat = {{ {format} }}\nkey = \"pii\"\n\
             insecure_small_domain = \"a test\"\n"
        )
    };
    sandbox.policy(&format!(
        "version = 1\nkeyring = \"keyring.json\"\ntokens = \"sqlite:tokens.db\"\n{}{}{}{}[columns]\nborn = \"day\"\nborn_text = \"day\"\n\
         coded = \"day\"\nseen = \"instant\"\nopens = \"time\"\npaid = \"money\"\n",
        rule("day", "type = \"date\", min = \"1900-01-01\", max = \"2099-12-31\""),
        rule("instant", "type = \"timestamp\", min = \"2000-01-01T00:00:00\", max = \"2050-01-01T00:00:00\""),
        rule("time", "type = \"time\", resolution = \"s\""),
        rule("money", "type = \"decimal\", min = \"-10000.00\", max = \"10000.00\", scale = 2"),
    ));
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, Some(18_321), Some(0)]));
    let coded = cast(
        &days,
        &DataType::Dictionary(DataType::Int8.into(), DataType::Date32.into()),
    )
    .unwrap();
    let seen = TimestampMillisecondArray::from(vec![Some(1_600_000_000_000), None, Some(946_684_800_000), None]);
    let opens = Time64MicrosecondArray::from(vec![Some(0), Some(86_399_000_000), None, Some(1_000_000)]);
    let paid = Decimal128Array::from(vec![Some(-10_050), Some(0), None, Some(1_000_000)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("born", Arc::clone(&days)),
        ("born_text", cast(&days, &DataType::Utf8).unwrap()),
        ("coded", coded),
        ("seen", Arc::new(seen.with_timezone("Europe/Warsaw"))),
        ("opens", Arc::new(opens)),
        ("paid", Arc::new(paid.with_precision_and_scale(10, 2).unwrap())),
    ];
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let plain = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    sandbox.write("plain.parquet", &plain);
    sandbox.ok(&PROTECT);
    let safe = read(&sandbox.path("safe.parquet")).1;
    for (plain, safe) in plain.columns().iter().zip(safe.columns()) {
        assert_eq!(
            (plain.data_type(), plain.logical_null_count()),
            (safe.data_type(), safe.logical_null_count())
        );
        let rows = |array: &ArrayRef| strings_of(array);
        assert!(
            rows(plain)
                .iter()
                .zip(rows(safe))
                .all(|(plain, safe)| plain.is_none() || *plain != safe)
        );
    }
    // One day has one token, as a date, as a text, and in a dictionary, or joins between such columns would be
    // lost.
    assert_eq!(strings_of(safe.column(0)), strings_of(safe.column(1)));
    assert_eq!(strings_of(safe.column(0)), strings_of(safe.column(2)));
    assert_eq!(strings_of(safe.column(0))[0], strings_of(safe.column(0))[3]);
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    assert_eq!(read(&sandbox.path("back.parquet")).1.columns(), plain.columns());
    let sql = "SELECT tokenize(born, 'day') AS born FROM plain";
    let told = sandbox.ok(&["query", "--format", "json", "-c", sql, "plain.parquet"]);
    let first = strings_of(safe.column(0))[0].clone().unwrap();
    assert!(
        told.starts_with(&format!("{{\"born\":\"{first}\"}}\n{{\"born\":null}}\n")),
        "{told}"
    );
    // A day out of range is told before anything is stored: a failed job must not leave tokens behind.
    let far: ArrayRef = Arc::new(Date32Array::from(vec![0, 100_000]));
    sandbox.write("plain.parquet", &RecordBatch::try_from_iter([("born", far)]).unwrap());
    let error = sandbox.fails(1, &["protect", "plain.parquet", "far.parquet"]);
    assert!(
        error.contains("column `born`, row 2") && !error.contains("100000"),
        "{error}"
    );
}

fn strings_of(array: &ArrayRef) -> Vec<Option<String>> {
    let text = cast(array, &DataType::Utf8).unwrap();
    text.as_string::<i32>()
        .iter()
        .map(|text| text.map(str::to_owned))
        .collect()
}

#[test]
fn what_is_deleted_cannot_be_revealed_and_the_rest_can() {
    let sandbox = sandbox();
    sandbox.write("plain.parquet", &accounts(["ann", "bob", "cyd"]));
    sandbox.ok(&PROTECT);
    // One value that is there and one that is not.
    std::fs::write(sandbox.path("forget.txt"), "bob\nnobody\n").unwrap();
    let told = sandbox.fails(
        1,
        &[&["tokens", "delete", "account", "--values", "forget.txt"], &MEANT[..]].concat(),
    );
    assert!(
        told.contains(
            "rule account: forgot 1 token\nerror: rule account: not in the store, or forgotten before: 1 value\n"
        ),
        "{told}"
    );
    // A column that may not hold NULL does not: the file's schema says so, and is kept.
    let error = sandbox.fails(1, &["reveal", "safe.parquet", "back.parquet"]);
    assert!(
        error.contains("hold NULL") && !sandbox.path("back.parquet").exists(),
        "{error}"
    );
    sandbox.policy(&POLICY.replacen("format = \"opaque\"", "format = \"opaque\"\non_forgotten = \"keep\"", 1));
    let output = sandbox.run(&["reveal", "safe.parquet", "back.parquet"]);
    assert!(text(&output.stderr).contains("was deleted, or has expired: 1 token"));
    let (tokens, back) = (
        strings(&read(&sandbox.path("safe.parquet")).1, 0),
        strings(&read(&sandbox.path("back.parquet")).1, 0),
    );
    assert_eq!(back, ["ann", &tokens[1], "cyd"]);
    sandbox.policy(&POLICY.replacen(
        "format = \"opaque\"",
        "format = \"opaque\"\non_forgotten = \"error\"",
        1,
    ));
    let error = sandbox.fails(1, &["reveal", "safe.parquet", "no.parquet"]);
    assert!(error.contains("row 2") && error.contains("was deleted"), "{error}");
    // The value gets another token: the old one stays taken for ever, or it would mean two values.
    sandbox.ok(&["protect", "plain.parquet", "again.parquet"]);
    assert_ne!(strings(&read(&sandbox.path("again.parquet")).1, 0)[1], tokens[1]);
    let stats = sandbox.ok(&["tokens", "stats", "--format", "json"]);
    let account: serde_json::Value = serde_json::from_str(stats.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&account["rule"], &account["tokens"], &account["forgotten"]),
        (&"account".into(), &3.into(), &1.into())
    );
}

#[test]
fn rotation_changes_no_token() {
    let sandbox = sandbox();
    sandbox.write("plain.parquet", &customers());
    sandbox.ok(&PROTECT);
    // Exports are sealed rows, so they can be compared without keys.
    let before = sandbox.ok(&["tokens", "export", "account", "--format", "json"]);
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&[&["tokens", "reseal"], &MEANT[..]].concat());
    for rule in ["account", "card", "number", "visit"] {
        sandbox.ok(&[&["tokens", "reindex", rule], &MEANT[..]].concat());
    }
    let after = sandbox.ok(&["tokens", "export", "account", "--format", "json"]);
    let rows = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (before, after) = (rows(&before), rows(&after));
    assert_eq!(before.len(), 900);
    for (old, new) in before.iter().zip(&after) {
        // Tokens stand in files elsewhere and cannot change; what finds and seals them does.
        assert_eq!(old["token"], new["token"]);
        assert_ne!(old["lookup"], new["lookup"]);
        assert_ne!(old["sealed"], new["sealed"]);
    }
    assert!(sandbox.ok(&["tokens", "stats"]).contains("pii@2"));
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    assert_eq!(read(&sandbox.path("back.parquet")).1.columns(), customers().columns());
    sandbox.ok(&["protect", "plain.parquet", "again.parquet"]);
    assert_eq!(
        strings(&read(&sandbox.path("again.parquet")).1, 0),
        strings(&read(&sandbox.path("safe.parquet")).1, 0)
    );
}

#[tokio::test]
async fn sql_mints_for_rows_alone() {
    let sandbox = sandbox();
    let engine = sandbox.engine().await;
    let session = Session::new(&engine).await.unwrap();
    let ask = async |sql: &str| {
        let batches = session.query(sql).await?.collect().await;
        batches.map_err(from_datafusion)
    };
    let store = SqliteTokens::open(&sandbox.path("tokens.db")).await.unwrap();
    let minted = async || {
        let stats = store.stats(0).await.unwrap();
        stats.iter().map(|stats| stats.tokens).sum::<u64>()
    };
    // Planning evaluates functions of literals, unless they are volatile: a token minted there would be for
    // nobody.
    for planned in [
        "EXPLAIN SELECT tokenize('ann', 'account')",
        "EXPLAIN VERBOSE SELECT tokenize('ann', 'account') AS t WHERE tokenize('bob', 'account') IS NOT NULL",
        // No row, no token.
        "SELECT tokenize(x, 'account') FROM (VALUES ('ann')) AS t (x) WHERE 1 = 2",
    ] {
        ask(planned).await.unwrap();
        assert_eq!(minted().await, 0, "{planned}");
    }
    let one = ask("SELECT tokenize(x, 'account') FROM (VALUES ('ann'), ('bob'), ('ann'), (NULL)) AS t (x)")
        .await
        .unwrap();
    let tokens = strings(&one[0], 0);
    assert!(tokens[0] == tokens[2] && tokens[0] != tokens[1] && tokens[3] == "NULL");
    assert_eq!(minted().await, 2);
    // A branch that a row does not reach mints nothing for it.
    ask(
        "SELECT CASE WHEN x = 'ann' THEN tokenize(x, 'account') END, coalesce(y, tokenize(x, 'account')) \
         FROM (VALUES ('ann', NULL), ('eve', 'known')) AS t (x, y)",
    )
    .await
    .unwrap();
    assert_eq!(minted().await, 2);
    let back = ask(&format!("SELECT detokenize('{}', 'account')", tokens[1]))
        .await
        .unwrap();
    assert_eq!(strings(&back[0], 0), ["bob"]);
    for (wrong, message) in [
        ("SELECT detokenize('tok_0', 'account')", "no such token"),
        ("SELECT tokenize('4111111111111112', 'card')", "check digit"),
        ("SELECT tokenize('4111111111111111', 'encrypted')", "does not tokenize"),
        ("SELECT protect('x', 'account')", "tokenizes"),
        ("SELECT tokenize('x', 'account@1')", "goes by no key version"),
    ] {
        let error = ask(wrong).await.unwrap_err();
        assert!(format!("{error:?}").contains(message), "{wrong}: {error:?}");
    }
    // A clerk sees cards masked, and can make no token.
    // Whoever may mint tokens can look up guesses.
    let clerk = sandbox.engine().await.with_role("clerk").unwrap();
    let session = Session::new(&clerk).await.unwrap();
    let refused = session.query("SELECT tokenize('4111111111111111', 'card')").await;
    assert_eq!(refused.unwrap_err().kind(), cipherform::ErrorKind::NotAllowed);
}

/// Eight processes over overlapping values, some of them killed in the middle, until each has had its way.
#[test]
fn eight_writers_and_kills_end_with_a_bijection() {
    let sandbox = sandbox();
    // Random, since what is tested is a race; the end must be the same whatever happens.
    let mut random = rand::rng();
    let pool: Vec<String> = (0..12_000).map(|n| format!("account number {n}")).collect();
    for writer in 0..8 {
        let values: Vec<&str> = (0..20_000)
            .map(|_| pool.choose(&mut random).unwrap().as_str())
            .collect();
        sandbox.write(&format!("plain{writer}.parquet"), &accounts(values));
    }
    let start = |writer: usize| -> Child {
        let names = [format!("plain{writer}.parquet"), format!("safe{writer}.parquet")];
        let mut command = sandbox.command(&["protect", "--quiet", &names[0], &names[1]]);
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let (mut kills, mut pending) = (0, (0..8).collect::<Vec<_>>());
    // Killed in the first rounds, and then left to finish.
    for round in 0.. {
        let mut running: Vec<(usize, Child)> = pending.iter().map(|writer| (*writer, start(*writer))).collect();
        if round < 4 {
            std::thread::sleep(Duration::from_millis(random.random_range(20..120)));
            for (_, child) in running.iter_mut().filter(|_| random.random_bool(0.7)) {
                child.kill().unwrap();
                kills += 1;
            }
        }
        pending.clear();
        for (writer, child) in running {
            let output = child.wait_with_output().unwrap();
            match output.status.code() {
                Some(0) => {}
                // Killed; one that was already done has its file.
                // A process that is killed has no exit code.
                None => pending.extend((!sandbox.path(&format!("safe{writer}.parquet")).exists()).then_some(writer)),
                Some(code) => panic!("writer {writer}: {code}: {}", text(&output.stderr)),
            }
        }
        if pending.is_empty() {
            break;
        }
    }
    assert!(kills > 0);
    let (mut token_of, mut value_of) = (HashMap::new(), HashMap::new());
    for writer in 0..8 {
        let values = strings(&read(&sandbox.path(&format!("plain{writer}.parquet"))).1, 0);
        let tokens = strings(&read(&sandbox.path(&format!("safe{writer}.parquet"))).1, 0);
        for (value, token) in values.into_iter().zip(tokens) {
            // Both ways: a bijection over all files, although eight processes minted at once.
            assert_eq!(
                token_of.entry(value.clone()).or_insert_with(|| token.clone()),
                &token,
                "one token a value"
            );
            assert_eq!(
                value_of.entry(token).or_insert_with(|| value.clone()),
                &value,
                "one value a token"
            );
        }
    }
    // What the killed have minted is there once, too.
    let exported = sandbox.ok(&["tokens", "export", "account", "--format", "json"]);
    let stored: HashSet<String> = exported
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["token"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    // Every token once.
    assert_eq!(stored.len(), exported.lines().count());
    assert!(value_of.keys().all(|token| stored.contains(token)));
    assert!(stored.len() <= pool.len());
    sandbox.ok(&["reveal", "safe7.parquet", "back7.parquet"]);
    assert_eq!(
        read(&sandbox.path("back7.parquet")).1.columns(),
        read(&sandbox.path("plain7.parquet")).1.columns()
    );
}

#[tokio::test]
async fn no_value_stands_in_the_files_of_the_store() {
    let sandbox = sandbox();
    let values: Vec<String> = (0..2_000).map(|n| format!("plaintext of person {n:05}")).collect();
    sandbox.write("plain.parquet", &accounts(values.iter().map(String::as_str)));
    // Held open, so that the log stays when the command has ended.
    // SQLite removes its log with the last connection.
    let store = SqliteTokens::open(&sandbox.path("tokens.db")).await.unwrap();
    sandbox.ok(&PROTECT);
    let tokens = strings(&read(&sandbox.path("safe.parquet")).1, 0);
    // Copies that another program makes: a process that closes a file loses its locks on it, also those that SQLite
    // holds.
    let contents = || -> Vec<(String, Vec<u8>)> {
        let mut names = sandbox.listing();
        names.retain(|name| name.starts_with("tokens.db"));
        let copies = tempfile::tempdir().unwrap();
        let paths = names.iter().map(|name| sandbox.path(name));
        let copied = std::process::Command::new("cp").args(paths).arg(copies.path()).status();
        assert!(copied.unwrap().success());
        let content = |name: String| (name.clone(), std::fs::read(copies.path().join(name)).unwrap());
        names.into_iter().map(content).collect()
    };
    let holds = |content: &[u8], bytes: &[u8]| content.windows(bytes.len()).any(|window| window == bytes);
    let found = |needle: &str| -> Vec<String> {
        let files = contents().into_iter();
        let found = files.filter(|(_, content)| holds(content, needle.as_bytes()));
        found.map(|(name, _)| name).collect()
    };
    assert!(sandbox.listing().contains(&"tokens.db-wal".to_owned()));
    // Tokens stand in it in the clear: the search does find.
    assert!(!found(&tokens[77]).is_empty(), "tokens are found there");
    assert_eq!(found("plaintext of person"), [""; 0]);
    // What is deleted leaves neither its sealed value nor its look-up hash.
    let row = store.scan("account", None, 1).await.unwrap().remove(0);
    let (lookup, sealed) = row.value.unwrap();
    let raw = |bytes: &[u8]| contents().iter().any(|(_, content)| holds(content, bytes));
    // Present before, absent afterwards.
    assert!(raw(&lookup) && raw(&sealed));
    // While somebody reads, the log cannot be cut off, and that is said.
    let mut reader = rusqlite::Connection::open(sandbox.path("tokens.db")).unwrap();
    let reading = reader.transaction().unwrap();
    let count = |of: &rusqlite::Connection| {
        let sql = "SELECT count(sealed) FROM cipherform_tokens";
        of.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = count(&reading);
    let told = sandbox.run(&[&["tokens", "delete", "account", &row.token], &MEANT[..]].concat());
    assert!(told.status.success());
    let told = text(&told.stderr);
    assert!(
        told.contains("emptied 1 token, not yet out of the files: ") && !told.contains("forgot"),
        "{told}"
    );
    assert!(
        told.contains("`cipherform tokens expire account`") && raw(&sealed),
        "{told}"
    );
    assert_eq!(count(&reading), before);
    drop(reading);
    // As it says.
    let told = sandbox.run(&[&["tokens", "expire", "account"], &MEANT[..]].concat());
    assert!(text(&told.stderr).contains("forgot 0 tokens"), "{}", text(&told.stderr));
    assert!(!raw(&lookup) && !raw(&sealed));
    let row = store.scan("account", Some(row.token), 1).await.unwrap().remove(0);
    let sealed = row.value.unwrap().1;
    assert!(raw(&sealed));
    let told = sandbox.run(&[&["tokens", "delete", "account", &row.token], &MEANT[..]].concat());
    assert!(text(&told.stderr).contains("forgot 1 token"), "{}", text(&told.stderr));
    assert!(!raw(&sealed));
}

/// Who changes tokens says so and why; what was not there shows in the exit code.
#[test]
fn changes_of_tokens_ask_are_recorded_and_say_what_was_not_there() {
    let sandbox = sandbox();
    sandbox.policy(&POLICY.replace("tokens = ", "audit = \"audit.jsonl\"\ntokens = "));
    sandbox.write("plain.parquet", &accounts(["ann", "bob", "cyd"]));
    sandbox.ok(&PROTECT);
    let tokens = strings(&read(&sandbox.path("safe.parquet")).1, 0);
    std::fs::write(sandbox.path("forget.txt"), "bob\nnobody\nbob\n").unwrap();
    let verbs: [&[&str]; 5] = [
        &["tokens", "delete", "account", &tokens[0]],
        &["tokens", "delete", "account", "--values", "forget.txt"],
        &["tokens", "expire", "account"],
        &["tokens", "reseal", "account"],
        &["tokens", "reindex", "account"],
    ];
    for verb in verbs {
        let error = sandbox.fails(1, verb);
        assert!(error.contains("no terminal") && error.contains("--yes"), "{error}");
        let error = sandbox.fails(1, &[verb, &["--yes"]].concat());
        assert!(error.contains("--reason"), "{error}");
    }
    // Nothing of it was done, nor written down.
    assert!(!sandbox.ok(&["keys", "audit", "show"]).contains("-tokens"));
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);

    let reason = ["--yes", "--reason", "request 4711"];
    sandbox.ok(&[verbs[0], &reason].concat());
    let error = sandbox.fails(1, &[verbs[0], &reason].concat());
    assert!(
        error.contains("forgot 0 tokens") && error.contains("forgotten before: 1 token"),
        "{error}"
    );
    let error = sandbox.fails(1, &[verbs[1], &reason].concat());
    assert!(
        error.contains("forgot 1 token") && error.contains("forgotten before: 1 value"),
        "{error}"
    );
    assert!(!error.contains("bob") && !error.contains("nobody"), "{error}");
    for verb in &verbs[2..] {
        sandbox.ok(&[verb, &reason[..]].concat());
    }
    let shown = sandbox.ok(&["keys", "audit", "show", "--format", "json"]);
    let entries: Vec<serde_json::Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_tokens: Vec<_> = (entries.iter())
        .filter(|entry| entry["event"].as_str().unwrap().ends_with("-tokens"))
        .inspect(|entry| {
            assert_eq!((&entry["rule"], &entry["key"]), (&"account".into(), &"pii".into()));
            assert_eq!(entry["reason"], "request 4711");
            assert!(entry["who"].is_string() && entry["time"].is_string());
        })
        .map(|entry| {
            (
                entry["event"].as_str().unwrap(),
                entry["values"].as_u64(),
                entry["context"].as_str(),
            )
        })
        .collect();
    // Announced, and done: no change without an entry, and the number that it came to.
    let asked = Some("asked for");
    assert_eq!(
        of_tokens,
        [
            ("delete-tokens", Some(1), asked),
            ("delete-tokens", Some(1), None),
            ("delete-tokens", Some(1), asked),
            ("delete-tokens", Some(0), None),
            ("delete-tokens", Some(2), asked),
            ("delete-tokens", Some(1), None),
            ("expire-tokens", None, asked),
            ("expire-tokens", Some(0), None),
            ("reseal-tokens", None, asked),
            ("reseal-tokens", Some(0), None),
            ("reindex-tokens", None, asked),
            ("reindex-tokens", Some(0), None),
        ]
    );
    assert!(!shown.contains("bob") && !shown.contains(&tokens[0]), "{shown}");
    sandbox.ok(&["keys", "audit", "verify"]);
    // Without a log there is no proof, which is said.
    sandbox.policy(POLICY);
    let told = text(&sandbox.run(&[verbs[2], &reason].concat()).stderr);
    assert!(told.contains("warning: the policy names no audit log"), "{told}");
}

/// Whoever may write to the store exchanges the look-up hashes of two people.
#[test]
fn exchanged_look_up_hashes_are_refused() {
    let sandbox = sandbox();
    sandbox.write("plain.parquet", &accounts(["ann", "bob", "cyd"]));
    sandbox.ok(&PROTECT);
    let tokens = strings(&read(&sandbox.path("safe.parquet")).1, 0);
    let store = rusqlite::Connection::open(sandbox.path("tokens.db")).unwrap();
    let lookup = |token: &str| -> Vec<u8> {
        let sql = "SELECT lookup FROM cipherform_tokens WHERE token = ?1";
        store.query_row(sql, [token], |row| row.get(0)).unwrap()
    };
    let set = |token: &str, lookup: &[u8]| {
        let sql = "UPDATE cipherform_tokens SET lookup = ?2 WHERE token = ?1";
        assert_eq!(store.execute(sql, rusqlite::params![token, lookup]).unwrap(), 1);
    };
    let (ann, bob) = (lookup(&tokens[0]), lookup(&tokens[1]));
    set(&tokens[0], b"");
    set(&tokens[1], &ann);
    set(&tokens[0], &bob);
    let error = sandbox.fails(3, &["protect", "plain.parquet", "again.parquet"]);
    assert!(
        error.contains("a row of the token store does not authenticate"),
        "{error}"
    );
    assert!(!sandbox.path("again.parquet").exists());
    std::fs::write(sandbox.path("forget.txt"), "ann\n").unwrap();
    let delete = ["tokens", "delete", "account", "--values", "forget.txt"];
    let error = sandbox.fails(3, &[&delete[..], &MEANT].concat());
    assert!(error.contains("does not authenticate"), "{error}");
    // Without tags it is found out by opening the row.
    store.execute("UPDATE cipherform_tokens SET tag = NULL", []).unwrap();
    let error = sandbox.fails(3, &["protect", "plain.parquet", "again.parquet"]);
    assert!(error.contains("does not authenticate"), "{error}");
    // Set right again, and found without tags, which a re-index gives back.
    set(&tokens[0], b"");
    set(&tokens[1], &bob);
    set(&tokens[0], &ann);
    let same = |target: &str| {
        sandbox.ok(&["protect", "plain.parquet", target]);
        strings(&read(&sandbox.path(target)).1, 0) == tokens
    };
    assert!(same("again.parquet"));
    sandbox.ok(&[&["tokens", "reindex", "account"], &MEANT[..]].concat());
    let untagged = "SELECT count(*) FROM cipherform_tokens WHERE tag IS NULL";
    assert_eq!(store.query_row(untagged, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    assert!(same("once-more.parquet"));
}

#[test]
fn a_store_that_is_down_or_full_fails_the_job_and_leaves_nothing() {
    let sandbox = sandbox();
    let values: Vec<String> = (0..20_000).map(|n| format!("account number {n}")).collect();
    sandbox.write("plain.parquet", &accounts(values.iter().map(String::as_str)));
    sandbox.policy(&POLICY.replace("sqlite:tokens.db", "sqlite:no/such/folder/tokens.db"));
    let error = sandbox.fails(1, &PROTECT);
    assert!(
        error.contains("token store") && !sandbox.path("safe.parquet").exists(),
        "{error}"
    );

    std::fs::write(sandbox.path("text.db"), "not a database, ".repeat(100)).unwrap();
    sandbox.policy(&POLICY.replace("sqlite:tokens.db", "sqlite:text.db"));
    assert!(sandbox.fails(1, &PROTECT).contains("no SQLite file"));

    // No file may grow beyond a megabyte: to SQLite that is what a full disk is.
    sandbox.policy(POLICY);
    // Two thousand blocks of 512 bytes.
    let mut command = sandbox.command(&[]);
    let program = command.get_program().to_owned();
    let mut limited = std::process::Command::new("/bin/sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\""])
        .arg(program)
        .args(PROTECT)
        .current_dir(sandbox.folder.path())
        .envs(
            command
                .env("PATH", "/usr/bin:/bin")
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let output = limited.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("token store"), "{}", text(&output.stderr));
    assert!(
        !sandbox
            .listing()
            .iter()
            .any(|name| name.starts_with("safe") || name.ends_with(".tmp"))
    );
    // With room again it goes on from what is there.
    sandbox.ok(&PROTECT);
    // Values whose tokens were stored before the failure keep them.
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    assert_eq!(strings(&read(&sandbox.path("back.parquet")).1, 0), values);
}

#[test]
fn a_rule_says_in_time_that_its_tokens_run_out() {
    let sandbox = sandbox();
    // 1,000 numbers, of which half may be used: beyond that, minting would take ever more tries.
    sandbox.policy(&POLICY.replace("max = 100_000", "max = 1_000"));
    let numbers = |count: i32| {
        let column: Int32Array = (1..=count).map(Some).collect();
        RecordBatch::try_from_iter([("number", Arc::new(column) as ArrayRef)]).unwrap()
    };
    sandbox.write("plain.parquet", &numbers(300));
    let told = text(&sandbox.run(&PROTECT).stderr);
    assert!(!told.contains("warning"), "{told}");
    sandbox.write("plain.parquet", &numbers(450));
    // 450 of 500 are the 90 % at which a warning begins.
    let told = text(
        &sandbox
            .run(&["protect", "--force", "plain.parquet", "safe.parquet"])
            .stderr,
    );
    assert!(told.contains("90 % are used up"), "{told}");
    // Of what a query has minted, too.
    let sql = "SELECT count(DISTINCT t) FROM (SELECT tokenize(number + 20, 'number') AS t FROM plain)";
    let told = text(&sandbox.run(&["query", "-c", sql, "plain.parquet"]).stderr);
    assert!(told.contains("warning: domain `number`: "), "{told}");
    let within = "SELECT count(DISTINCT tokenize(number, 'number')) FROM plain";
    let told = sandbox.fails(1, &["query", "-c", within, "plain.parquet"]);
    assert!(told.contains("hint: let a query within make its column"), "{told}");
    // One more than half of the space.
    sandbox.write("plain.parquet", &numbers(501));
    let error = sandbox.fails(1, &["protect", "plain.parquet", "full.parquet"]);
    assert!(
        error.contains("501 of 1000") && !sandbox.path("full.parquet").exists(),
        "{error}"
    );
    assert!(sandbox.ok(&["tokens", "stats"]).contains("94.0 %"));
}
