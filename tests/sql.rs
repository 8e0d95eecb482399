//! SQL functions in any DataFusion session.

use arrow::util::pretty::pretty_format_batches;
use cipherform::sql::{Session, from_datafusion};
use cipherform::{ErrorKind, Result};
use datafusion::prelude::{ParquetReadOptions, SessionContext};

use crate::sandbox::{Sandbox, people};

const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
[rules.ssn]
format = "us-ssn"
key = "pii"
[rules.card]
format = "pan"
key = "pii"
mask = { keep_last = 4 }
[rules.id]
format = { type = "integer", min = 1, max = 999_999_999 }
key = "pii"
[rules.by]
format = "digits"
key = "pii"
tweak = { column = "region" }
[rules.small]
format = { type = "integer", min = 1, max = 9_999 }
key = "pii"
[columns]
"people.ssn" = "ssn"
"people.card" = "card"
"people.id" = "id"
"#;

struct People {
    sandbox: Sandbox,
    session: Session,
}

impl People {
    async fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.policy(POLICY);
        sandbox.write("people.parquet", &people());
        sandbox.ok(&["protect", "people.parquet", "safe.parquet"]);
        let engine = sandbox.engine().await;
        // A context that the host made, as any DataFusion program has one.
        let session = Session::in_context(SessionContext::new(), &engine).await.unwrap();
        for name in ["people", "safe"] {
            let path = sandbox.path(&format!("{name}.parquet"));
            session.register_file(name, &path).await.unwrap();
        }
        let stored = sandbox.path("safe.parquet");
        let options = ParquetReadOptions::default();
        let ctx = session.context();
        // As DataFusion itself reads it: the ciphertext, without our view.
        ctx.register_parquet("stored", stored.to_str().unwrap(), options)
            .await
            .unwrap();
        Self { sandbox, session }
    }

    async fn ask(&self, sql: &str) -> Result<String> {
        let frame = self.session.context().sql(sql).await.map_err(from_datafusion)?;
        let batches = frame.collect().await.map_err(from_datafusion)?;
        Ok(pretty_format_batches(&batches).unwrap().to_string())
    }

    /// The one value that `sql` gives.
    async fn value(&self, sql: &str) -> String {
        let table = self.ask(sql).await.unwrap();
        // After a line, the header and another line.
        let row = table.lines().nth(3).unwrap_or_else(|| panic!("{sql}: {table}"));
        row.trim_matches(['|', ' ']).to_owned()
    }

    async fn error(&self, sql: &str) -> cipherform::Error {
        self.ask(sql).await.expect_err(sql)
    }
}

#[tokio::test]
async fn functions_agree_with_the_file() {
    let session = People::new().await;
    // Each compares SQL with the file that the command has made: one answer on both ways.
    for (sql, expected) in [
        (
            "SELECT count(*) FROM people p JOIN stored s ON protect(p.ssn, 'ssn') = s.ssn",
            "3",
        ),
        (
            "SELECT count(*) FROM people p JOIN stored s ON protect(p.id, 'id') = s.id",
            "3",
        ),
        (
            "SELECT count(*) FROM people p JOIN safe s ON p.ssn = s.ssn AND p.id = s.id",
            "3",
        ),
        (
            "SELECT count(*) FROM stored s JOIN people p ON reveal(s.ssn, 'ssn') = p.ssn",
            "3",
        ),
        ("SELECT reveal(protect('123-45-6789', 'ssn'), 'ssn@1')", "123-45-6789"),
        ("SELECT fpe_decrypt(fpe_encrypt(42, 'id'), 'id')", "42"),
        (
            "SELECT fpe_decrypt(fpe_encrypt('1234567', 'by', 'x'), 'by', 'x')",
            "1234567",
        ),
        (
            "SELECT protect('1234567', 'by', 'x') = fpe_encrypt('1234567', 'by', 'x')",
            "true",
        ),
        (
            // The third argument is the tweak, so it has to change the result.
            "SELECT protect('1234567', 'by', 'x') = protect('1234567', 'by', 'y')",
            "false",
        ),
        (
            "SELECT fpe_encrypt(ssn, 'ssn') = protect(ssn, 'ssn') FROM people WHERE id = 1",
            "true",
        ),
        (
            // A NULL value with a tweak is NULL, and no error.
            "SELECT count(protect(v, 'by', t)) FROM (VALUES ('1234567', 'a'), (NULL, 'b')) AS x(v, t)",
            "1",
        ),
        ("SELECT mask('4111-1111-1111-1234', 'card')", "****-****-****-1234"),
        (
            "SELECT mask(card, 'card') FROM people WHERE id = 1",
            "****-****-****-1111",
        ),
        // An untyped NULL has no type to protect.
        ("SELECT protect(NULL, 'card') IS NULL", "true"),
        ("SELECT count(DISTINCT ssn) FROM safe", "3"),
    ] {
        assert_eq!(session.value(sql).await, expected, "{sql}");
    }
    // A pure function of its arguments, folded or not.
    // The optimizer evaluates calls on literals while it plans, with code of its own.
    let folded = session.value("SELECT protect('899-99-9999', 'ssn')").await;
    let unfolded = session
        .value("SELECT protect(v, 'ssn') FROM (VALUES ('899-99-9999')) AS x(v)")
        .await;
    assert_eq!(folded, unfolded);
}

#[tokio::test]
async fn types_are_kept() {
    let session = People::new().await;
    for (sql, expected) in [
        ("SELECT arrow_typeof(protect(id, 'id')) FROM people LIMIT 1", "Int64"),
        ("SELECT arrow_typeof(protect(arrow_cast(7, 'Int64'), 'id'))", "Int64"),
        (
            "SELECT arrow_typeof(protect(arrow_cast('123-45-6789', 'LargeUtf8'), 'ssn'))",
            "LargeUtf8",
        ),
        (
            "SELECT arrow_typeof(protect(arrow_cast('123-45-6789', 'Utf8View'), 'ssn'))",
            "Utf8View",
        ),
        (
            "SELECT arrow_typeof(protect(arrow_cast('123-45-6789', 'Dictionary(Int32, Utf8)'), 'ssn'))",
            "Dictionary(Int32, Utf8)",
        ),
    ] {
        assert_eq!(session.value(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn mistakes_are_said_clearly() {
    let session = People::new().await;
    // Kind and words: programs go by the one, people by the other.
    for (sql, kind, what) in [
        (
            "SELECT protect('x', 'no-such')",
            ErrorKind::BadPolicy,
            "no rule `no-such`",
        ),
        (
            // A rule that varies by row would have no one key, and no one format.
            "SELECT protect(ssn, note) FROM people",
            ErrorKind::BadInput,
            "the rule must be a literal",
        ),
        ("SELECT protect('x')", ErrorKind::BadInput, "takes a value and a rule"),
        ("SELECT protect('x', 5)", ErrorKind::BadInput, "a name in quotes"),
        (
            "SELECT reveal('123-45-6789', 'ssn@9')",
            ErrorKind::KeyNotUsable,
            "not ready to reveal",
        ),
        (
            "SELECT protect(1, 'small')",
            ErrorKind::BadPolicy,
            "9,999 possible values",
        ),
        (
            "SELECT protect(ssn, 'id') FROM people",
            ErrorKind::BadInput,
            "not a whole number",
        ),
        (
            "SELECT protect(id, 'ssn') FROM people",
            ErrorKind::BadPolicy,
            "cannot protect that",
        ),
        ("SELECT protect(1.5, 'id')", ErrorKind::BadPolicy, "is of type"),
        (
            "SELECT protect('1234567', 'by')",
            ErrorKind::BadInput,
            "takes its tweak from column `region`",
        ),
        (
            "SELECT protect('123-45-6789', 'ssn', 'x')",
            ErrorKind::BadInput,
            "takes no tweak",
        ),
        (
            "SELECT protect('000-00-0000', 'ssn')",
            ErrorKind::BadInput,
            "not a number that could be issued",
        ),
    ] {
        let error = session.error(sql).await;
        assert!(error.to_string().contains(what), "{sql}: {error}");
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        // Messages name rule and reason, and no value.
        assert!(!error.to_string().contains("000-00-0000"), "{error}");
    }
}

#[tokio::test]
async fn two_engines_keep_apart() {
    let (one, two) = (People::new().await, People::new().await);
    let sql = "SELECT protect('123-45-6789', 'ssn')";
    // Two keyrings, two keys.
    assert_ne!(one.value(sql).await, two.value(sql).await);
    // A function is called by its name, so that one context can have one engine.
    let (ctx, engine) = (one.session.context().clone(), two.session.engine().unwrap());
    // Both would be called `protect`, and the later one would silently serve the tables of the first.
    let refused = Session::in_context(ctx.clone(), engine).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("another engine")));
    Session::in_context(ctx, one.session.engine().unwrap()).await.unwrap();
}

#[tokio::test]
async fn two_files_cannot_be_one_table() {
    let session = People::new().await;
    let path = session.sandbox.path("people.parquet");
    // A name that is taken must not quietly mean another file.
    let error = session.session.register_file("people", &path).await.expect_err("taken");
    assert!(error.to_string().contains("table `people`"), "{error}");
}

#[tokio::test]
async fn a_view_shows_its_binding_and_nothing_secret() {
    let session = People::new().await;
    let plan = session.ask("EXPLAIN SELECT ssn FROM safe").await.unwrap();
    // The plan names rule and version, by which a person sees what is revealed.
    assert!(plan.contains("ssn@1"), "{plan}");
}

/// Rows that a guard excludes are not computed on, wherever the call stands.
#[tokio::test]
async fn a_guard_keeps_rows_from_a_function() {
    let people = People::new().await;
    let ctx = people.session.context();
    ctx.sql(
        "CREATE TABLE messy AS SELECT * FROM (VALUES (1, '123-45-6789', true), (2, 'n/a', false), (3, NULL, true), \
         (4, 'unknown', NULL)) AS t(id, ssn, valid)",
    )
    .await
    .unwrap();
    let unguarded = people
        .error("SELECT id FROM messy WHERE protect(ssn, 'ssn') = 'x'")
        .await;
    assert_eq!(unguarded.kind(), ErrorKind::BadInput);
    for (sql, expected) in [
        (
            "SELECT id FROM messy WHERE CASE WHEN valid THEN protect(ssn, 'ssn') = protect('123-45-6789', 'ssn') \
             ELSE false END",
            "1",
        ),
        (
            "SELECT count(*) FROM messy WHERE CASE WHEN NOT valid THEN true WHEN valid IS NULL THEN true \
             ELSE reveal(protect(ssn, 'ssn'), 'ssn') = ssn END",
            "3",
        ),
        (
            "SELECT count(*) FROM messy WHERE CASE id WHEN 1 THEN protect(ssn, 'ssn') <> ssn WHEN 2 THEN true END",
            "2",
        ),
        (
            // The condition of a branch is reached as well.
            "SELECT count(*) FROM messy WHERE CASE WHEN valid IS NOT TRUE THEN true \
             WHEN protect(ssn, 'ssn') <> '' THEN true ELSE false END",
            "3",
        ),
        (
            "SELECT count(protect(CASE WHEN valid THEN ssn END, 'ssn')) FROM messy",
            "1",
        ),
        (
            "SELECT count(*) FROM messy WHERE coalesce(NOT valid OR valid IS NULL, protect(ssn, 'ssn') = 'x')",
            "2",
        ),
    ] {
        assert_eq!(people.value(sql).await, expected, "{sql}");
    }
}
