//! Tables: files, patterns and folders, each as it was when it was opened.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StringDictionaryBuilder};
use arrow::datatypes::Int8Type;
use arrow::util::pretty::pretty_format_batches;
use cipherform::Result;
use cipherform::sql::{Session, from_execution};

use crate::sandbox::{Sandbox, people};

async fn ask(session: &Session, sql: &str) -> Result<String> {
    let batches = session.query(sql).await?.collect().await.map_err(from_execution)?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

async fn value(session: &Session, sql: &str) -> String {
    let table = ask(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    table
        .lines()
        .nth(3)
        .unwrap_or_default()
        .trim_matches(['|', ' '])
        .to_owned()
}

async fn session(sandbox: &Sandbox) -> Session {
    Session::new(&sandbox.engine().await).await.unwrap()
}

/// A folder `lake` with partitions by year and country, and some files that are not its own.
fn lake() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    for (at, folder) in [
        "year=2023/country=de",
        "year=2023/country=fr",
        "year=2024/country=c%C3%B4te",
    ]
    .iter()
    .enumerate()
    {
        let folder = format!("lake/{folder}");
        fs::create_dir_all(sandbox.path(&folder)).unwrap();
        let target = format!("{folder}/part-{at}.parquet");
        sandbox.ok(&["protect", "people.parquet", &target]);
    }
    for other in ["_SUCCESS", ".part.crc", "_metadata", "notes.txt"] {
        fs::write(sandbox.path("lake").join(other), "no Parquet").unwrap();
    }
    sandbox
}

#[tokio::test]
async fn a_folder_is_a_table_with_partitions() {
    let sandbox = lake();
    let session = session(&sandbox).await;
    session.register_file("lake", &sandbox.path("lake")).await.unwrap();
    session
        .register_file("one", &sandbox.path("lake/year=2023/*/*.parquet"))
        .await
        .unwrap();
    for (sql, expected) in [
        ("SELECT count(*) FROM lake", "12"),
        ("SELECT count(DISTINCT ssn) FROM lake", "3"),
        ("SELECT count(*) FROM lake WHERE country = 'côte'", "4"),
        ("SELECT count(*) FROM lake WHERE year = '2023' AND ssn IS NOT NULL", "6"),
        ("SELECT count(DISTINCT year) FROM lake", "2"),
        ("SELECT count(*) FROM one", "8"),
        ("SELECT count(DISTINCT country) FROM one", "2"),
        (
            "SELECT count(*) FROM lake a JOIN one b ON a.ssn = b.ssn AND a.country = b.country",
            "6",
        ),
    ] {
        assert_eq!(value(&session, sql).await, expected, "{sql}");
    }
    let by_path = format!("SELECT count(*) FROM '{}'", sandbox.path("people.parquet").display());
    assert_eq!(value(&session, &by_path).await, "4");
    let missing = ask(&session, "SELECT * FROM 'no-such.parquet'").await.unwrap_err();
    assert!(missing.to_string().contains("no-such.parquet"), "{missing}");
    let role = sandbox.engine().await.with_role("analyst").unwrap();
    let role = Session::new(&role).await.unwrap();
    assert!(ask(&role, &by_path).await.is_err(), "a role names no files");
}

#[tokio::test]
async fn a_protected_partition_is_refused() {
    let sandbox = lake();
    let policy = fs::read_to_string(sandbox.path("policy.toml")).unwrap();
    sandbox.policy(&policy.replace("[columns]", "[columns]\ncountry = \"ssn\""));
    let session = session(&sandbox).await;
    let refused = session.register_file("lake", &sandbox.path("lake")).await.unwrap_err();
    assert!(refused.to_string().contains("partitioned by it"), "{refused}");
}

#[tokio::test]
async fn several_versions_are_one_table() {
    let sandbox = lake();
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&[
        "protect",
        "people.parquet",
        "lake/year=2024/country=c%C3%B4te/newer.parquet",
    ]);
    let session = session(&sandbox).await;
    session.register_file("lake", &sandbox.path("lake")).await.unwrap();
    assert_eq!(value(&session, "SELECT count(*) FROM lake").await, "16");
    assert_eq!(value(&session, "SELECT count(DISTINCT ssn) FROM lake").await, "3");
    assert_eq!(
        value(&session, "SELECT count(*) FROM lake WHERE ssn = '123-45-6789'").await,
        "4"
    );
}

#[tokio::test]
async fn what_does_not_go_together_is_said() {
    let sandbox = lake();
    let session = session(&sandbox).await;
    fs::copy(
        sandbox.path("people.parquet"),
        sandbox.path("lake/year=2023/country=de/plain.parquet"),
    )
    .unwrap();
    let mixed = session
        .register_file("mixed", &sandbox.path("lake"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        mixed.contains("is protected in") && mixed.contains("plain.parquet"),
        "{mixed}"
    );

    fs::create_dir(sandbox.path("types")).unwrap();
    let numbers = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    let words = RecordBatch::try_from_iter([("x", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]).unwrap();
    sandbox.write("types/a.parquet", &numbers);
    sandbox.write("types/b.parquet", &words);
    let types = session
        .register_file("types", &sandbox.path("types"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        types.contains("of type Int64") && types.contains("b.parquet"),
        "{types}"
    );

    // A column that a file lacks is NULL in its rows.
    let other = RecordBatch::try_from_iter([("y", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]).unwrap();
    sandbox.write("types/b.parquet", &other);
    session.register_file("types", &sandbox.path("types")).await.unwrap();
    assert_eq!(
        value(
            &session,
            "SELECT count(x) || '-' || count(y) || '-' || count(*) FROM types"
        )
        .await,
        "1-1-2"
    );

    fs::create_dir_all(sandbox.path("delta/_delta_log")).unwrap();
    let delta = session
        .register_file("delta", &sandbox.path("delta"))
        .await
        .unwrap_err()
        .to_string();
    assert!(delta.contains("Delta"), "{delta}");
    fs::create_dir(sandbox.path("empty")).unwrap();
    let empty = session
        .register_file("empty", &sandbox.path("empty"))
        .await
        .unwrap_err()
        .to_string();
    assert!(empty.contains("holds no file"), "{empty}");
}

#[tokio::test]
async fn a_file_that_changes_is_not_revealed_by_the_metadata_of_another() {
    let sandbox = Sandbox::new();
    sandbox.write("people.parquet", &people());
    sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
    let session = session(&sandbox).await;
    session
        .register_file("safe", &sandbox.path("safe.parquet"))
        .await
        .unwrap();
    let planned = session.query("SELECT ssn FROM safe").await.unwrap();
    sandbox.ok(&["keys", "rotate", "pii"]);
    sandbox.ok(&["protect", "--force", "people.parquet", "safe.parquet"]);
    let stale = planned.collect().await.map_err(from_execution).unwrap_err().to_string();
    assert!(stale.contains("has changed since its table was opened"), "{stale}");
    let stale = ask(&session, "SELECT count(*) FROM safe WHERE ssn IS NOT NULL")
        .await
        .unwrap_err()
        .to_string();
    assert!(stale.contains("safe.parquet"), "{stale}");
    fs::remove_file(sandbox.path("safe.parquet")).unwrap();
    assert!(ask(&session, "SELECT ssn FROM safe").await.is_err());
}

#[tokio::test]
async fn a_table_of_no_rows_and_narrow_dictionaries() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        "version = 1\nkeyring = \"keyring.json\"\n[rules.ssn]\nformat = \"us-ssn\"\nkey = \"pii\"\n[columns]\nssn = \"ssn\"\n",
    );
    let mut words = StringDictionaryBuilder::<Int8Type>::new();
    for row in 0..100 {
        words.append_value(format!("{:03}-45-6789", 100 + row));
    }
    let batch = RecordBatch::try_from_iter([("ssn", Arc::new(words.finish()) as ArrayRef)]).unwrap();
    fs::create_dir(sandbox.path("people")).unwrap();
    sandbox.write("plain.parquet", &batch);
    sandbox.ok(&["protect", "--table", "people", "plain.parquet", "people/1.parquet"]);
    let mut words = StringDictionaryBuilder::<Int8Type>::new();
    for row in 0..100 {
        words.append_value(format!("{:03}-45-6789", 300 + row));
    }
    let batch = RecordBatch::try_from_iter([("ssn", Arc::new(words.finish()) as ArrayRef)]).unwrap();
    sandbox.write("plain.parquet", &batch);
    sandbox.ok(&["protect", "--table", "people", "plain.parquet", "people/2.parquet"]);
    sandbox.write("plain.parquet", &batch.slice(0, 0));
    sandbox.ok(&["protect", "--table", "people", "plain.parquet", "none.parquet"]);
    let session = session(&sandbox).await;
    session.register_file("people", &sandbox.path("people")).await.unwrap();
    session
        .register_file("nobody", &sandbox.path("none.parquet"))
        .await
        .unwrap();
    assert_eq!(value(&session, "SELECT count(DISTINCT ssn) FROM people").await, "200");
    assert_eq!(
        value(&session, "SELECT count(*) FROM people WHERE ssn = '150-45-6789'").await,
        "1"
    );
    assert_eq!(
        value(
            &session,
            "SELECT count(*) FROM (SELECT ssn FROM people UNION SELECT ssn FROM people)"
        )
        .await,
        "200"
    );
    assert_eq!(value(&session, "SELECT count(*) FROM nobody").await, "0");
    assert_eq!(value(&session, "SELECT max(ssn) IS NULL FROM nobody").await, "true");
}

#[test]
fn the_command_takes_folders_and_patterns() {
    let sandbox = lake();
    let count = |file: &str| sandbox.ok(&["query", "--format", "csv", "-c", "SELECT count(ssn) AS n FROM t", file]);
    assert_eq!(count("t=lake"), "n\n9\n");
    assert_eq!(count("t=lake/year=2023/*/*.parquet"), "n\n6\n");
    assert!(
        sandbox
            .fails(1, &["query", "-c", "SELECT 1", "no-such-folder/*.parquet"])
            .contains("no file is named by")
    );
}
