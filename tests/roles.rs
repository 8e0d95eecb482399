//! Roles and statements: for each pair the true answer, the mask of it, or a refusal that names column, rule and role.
//! Never a wrong number.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use cipherform::sql::{Limits, Session, from_execution};
use cipherform::transform::mask;
use cipherform::{Engine, ErrorKind};

use crate::sandbox::{Sandbox, read};

const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
[rules.ssn]
format = "us-ssn"
key = "pii"
mask = { keep_last = 4 }
[rules.name]
format = "text"
key = "pii"
on_short = "band"
mask = { keep_first = 1 }
[rules.id]
format = { type = "integer", min = 1, max = 999_999_999 }
key = "pii"
[rules.note]
treatment = "siv"
key = "pii"
[rules.by]
format = "digits"
key = "pii"
tweak = { column = "region" }
[columns]
ssn = "ssn"
name = "name"
id = "id"
note = "note"
by = "by"
region = "keep"
amount = "keep"
[roles.plain]
"*" = "plain"
[roles.masked]
"*" = "masked"
[roles.protected]
"*" = "protected"
[roles.denied]
"*" = "denied"
[roles.clerk]
"*" = "denied"
ssn = { see = "masked", search = true, insecure_oracle = "callers tell their number" }
name = { see = "masked", equality = false }
id = "plain"
"#;

const COLUMNS: [&str; 4] = ["ssn", "name", "id", "note"];
const GRANTS: [&str; 4] = ["plain", "masked", "protected", "denied"];

/// What a column of a result is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Out {
    /// Nothing that is protected.
    Open,
    /// Values of the column.
    Value,
}
use Out::{Open, Value};

/// What a role that does not see the column plain may do with the statement.
#[derive(Clone, Copy, Debug, PartialEq)]
enum May {
    /// It needs equality, and the column's identity is enough.
    Run,
    /// It needs more.
    Not,
    /// It does not need the column.
    Unneeded,
}
use May::{Not, Run, Unneeded};

/// `{c}` is the column; `p` and `o` are tables that share it, `lit` is one of its values.
const STATEMENTS: &[(&str, &[Out], May)] = &[
    // Shown.
    ("SELECT {c} FROM p", &[Value], Run),
    ("SELECT {c}, amount FROM p WHERE amount > 20", &[Value, Open], Run),
    (
        "SELECT p.{c}, o.amount FROM p JOIN o ON p.amount = o.amount",
        &[Value, Open],
        Run,
    ),
    ("SELECT x.{c} FROM (SELECT {c} FROM p) AS x", &[Value], Run),
    ("WITH x AS (SELECT {c} AS v FROM p) SELECT v FROM x", &[Value], Run),
    ("SELECT {c} FROM p ORDER BY amount, region LIMIT 3", &[Value], Run),
    ("SELECT amount FROM p", &[Open], Unneeded),
    ("SELECT count(*), sum(amount) FROM p", &[Open, Open], Unneeded),
    ("SELECT x.amount FROM (SELECT * FROM p) AS x", &[Open], Unneeded),
    (
        "SELECT count(*) FROM (SELECT {c}, amount FROM p) AS x",
        &[Open],
        Unneeded,
    ),
    // Equality of two columns.
    ("SELECT count(*) FROM p JOIN o ON p.{c} = o.{c}", &[Open], Run),
    ("SELECT count(*) FROM p JOIN o USING ({c})", &[Open], Run),
    (
        "SELECT p.{c}, o.{c} FROM p JOIN o ON p.{c} = o.{c}",
        &[Value, Value],
        Run,
    ),
    (
        "SELECT p.{c}, sum(o.amount) FROM p JOIN o ON p.{c} = o.{c} GROUP BY p.{c}",
        &[Value, Open],
        Run,
    ),
    (
        "SELECT count(*) FROM p LEFT JOIN o ON p.{c} = o.{c} WHERE o.{c} IS NULL",
        &[Open],
        Run,
    ),
    ("SELECT count(*) FROM p FULL JOIN o ON p.{c} = o.{c}", &[Open], Run),
    (
        "SELECT count(*) FROM p, o WHERE p.{c} = o.{c} AND p.amount < o.amount",
        &[Open],
        Run,
    ),
    ("SELECT count(*) FROM p, o WHERE p.{c} <> o.{c}", &[Open], Run),
    (
        "SELECT count(*) FROM p, o WHERE p.{c} IS DISTINCT FROM o.{c}",
        &[Open],
        Run,
    ),
    (
        "SELECT count(*) FROM p, o WHERE p.{c} IS NOT DISTINCT FROM o.{c}",
        &[Open],
        Run,
    ),
    ("SELECT count(*) FROM p WHERE {c} IN (SELECT {c} FROM o)", &[Open], Run),
    (
        "SELECT count(*) FROM p WHERE {c} NOT IN (SELECT {c} FROM o WHERE {c} IS NOT NULL)",
        &[Open],
        Run,
    ),
    (
        "SELECT count(*) FROM p WHERE EXISTS (SELECT 1 FROM o WHERE o.{c} = p.{c})",
        &[Open],
        Run,
    ),
    (
        "SELECT count(*) FROM p WHERE NOT EXISTS (SELECT 1 FROM o WHERE o.{c} = p.{c})",
        &[Open],
        Run,
    ),
    (
        "SELECT p.{c}, (SELECT count(*) FROM o WHERE o.{c} = p.{c}) FROM p",
        &[Value, Open],
        Run,
    ),
    (
        "SELECT p.{c} = o.{c} AS e, count(*) FROM p, o GROUP BY e",
        &[Open, Open],
        Run,
    ),
    // Groups, distinct, counts.
    ("SELECT {c}, count(*) FROM o GROUP BY {c}", &[Value, Open], Run),
    (
        "SELECT {c}, sum(amount) FROM o GROUP BY {c} HAVING count(*) > 1",
        &[Value, Open],
        Run,
    ),
    (
        "SELECT {c}, region, sum(amount) FROM o GROUP BY ROLLUP ({c}, region)",
        &[Value, Open, Open],
        Run,
    ),
    ("SELECT {c}, count(*) FROM o GROUP BY CUBE ({c})", &[Value, Open], Run),
    ("SELECT DISTINCT {c} FROM o", &[Value], Run),
    ("SELECT count({c}) FROM o", &[Open], Run),
    ("SELECT count(DISTINCT {c}) FROM o", &[Open], Run),
    (
        "SELECT region, count(DISTINCT {c}) FROM o GROUP BY region",
        &[Open, Open],
        Run,
    ),
    ("SELECT approx_distinct({c}) FROM o", &[Open], Run),
    ("SELECT count(*) FROM o WHERE {c} IS NULL", &[Open], Run),
    (
        "SELECT {c} IS NOT NULL AS e, count(*) FROM o GROUP BY e",
        &[Open, Open],
        Run,
    ),
    ("SELECT count({c}) FILTER (WHERE amount > 20) FROM o", &[Open], Run),
    // Windows.
    (
        "SELECT {c}, count(*) OVER (PARTITION BY {c}) FROM o",
        &[Value, Open],
        Run,
    ),
    (
        "SELECT {c}, sum(amount) OVER (PARTITION BY {c}) FROM o",
        &[Value, Open],
        Run,
    ),
    (
        "SELECT {c}, row_number() OVER (PARTITION BY {c} ORDER BY amount, region) FROM o",
        &[Value, Open],
        Run,
    ),
    ("SELECT count({c}) OVER () FROM o", &[Open], Run),
    ("SELECT rank() OVER (ORDER BY {c}) FROM o", &[Open], Not),
    ("SELECT lag({c}) OVER (ORDER BY amount) FROM o", &[Value], Not),
    ("SELECT first_value({c}) OVER (ORDER BY amount) FROM o", &[Value], Not),
    // Set operations.
    ("SELECT {c} FROM p UNION SELECT {c} FROM o", &[Value], Run),
    ("SELECT {c} FROM p UNION ALL SELECT {c} FROM o", &[Value], Run),
    ("SELECT {c} FROM p INTERSECT SELECT {c} FROM o", &[Value], Run),
    ("SELECT {c} FROM p EXCEPT SELECT {c} FROM o", &[Value], Run),
    ("SELECT {c} FROM p UNION ALL SELECT NULL", &[Value], Run),
    ("SELECT {c} FROM p UNION ALL SELECT region FROM o", &[Value], Not),
    (
        "SELECT count(*) FROM (SELECT {c} FROM p UNION SELECT {c} FROM o) AS x",
        &[Open],
        Run,
    ),
    // CASE and COALESCE of one identity.
    ("SELECT CASE WHEN amount > 20 THEN {c} END FROM p", &[Value], Run),
    (
        "SELECT CASE WHEN p.amount > 20 THEN p.{c} ELSE o.{c} END FROM p JOIN o ON p.{c} = o.{c}",
        &[Value],
        Run,
    ),
    (
        "SELECT coalesce(p.{c}, o.{c}) FROM p FULL JOIN o ON p.{c} = o.{c}",
        &[Value],
        Run,
    ),
    (
        "SELECT nullif(p.{c}, o.{c}) FROM p JOIN o ON p.amount = o.amount",
        &[Value],
        Run,
    ),
    (
        "SELECT CASE WHEN {c} IS NULL THEN 'none' ELSE 'some' END FROM o",
        &[Open],
        Run,
    ),
    ("SELECT CASE {c} WHEN {lit} THEN 1 ELSE 0 END FROM p", &[Open], Not),
    ("SELECT coalesce(CAST({c} AS VARCHAR), 'none') FROM o", &[Open], Not),
    // What needs more than equality.
    ("SELECT count(*) FROM p WHERE {c} = {lit}", &[Open], Not),
    ("SELECT count(*) FROM p WHERE {lit} = {c}", &[Open], Not),
    ("SELECT count(*) FROM p WHERE {c} <> {lit}", &[Open], Not),
    ("SELECT count(*) FROM p WHERE {c} IN ({lit}, {lit})", &[Open], Not),
    ("SELECT count(*) FROM p WHERE {c} > {lit}", &[Open], Not),
    ("SELECT count(*) FROM p WHERE {c} BETWEEN {lit} AND {lit}", &[Open], Not),
    (
        "SELECT count(*) FROM p WHERE CAST({c} AS VARCHAR) LIKE '%1%'",
        &[Open],
        Not,
    ),
    ("SELECT count(*) FROM p WHERE CAST({c} AS VARCHAR) ~ '1'", &[Open], Not),
    ("SELECT count(*) FROM p, o WHERE p.{c} < o.{c}", &[Open], Not),
    (
        "SELECT count(*) FROM p JOIN o ON CAST(p.{c} AS VARCHAR) = o.region",
        &[Open],
        Not,
    ),
    (
        "SELECT count(*) FROM p JOIN (VALUES ({lit})) AS v(x) ON p.{c} = v.x",
        &[Open],
        Not,
    ),
    ("SELECT {c} FROM p ORDER BY {c}", &[Value], Not),
    ("SELECT amount FROM p ORDER BY {c} LIMIT 1", &[Open], Not),
    ("SELECT min({c}), max({c}) FROM p", &[Value, Value], Not),
    ("SELECT array_agg({c}) FROM p", &[Open], Not),
    ("SELECT length(CAST({c} AS VARCHAR)) FROM p", &[Open], Not),
    ("SELECT concat('x', {c}) FROM p", &[Open], Not),
    ("SELECT upper(CAST({c} AS VARCHAR)) FROM p", &[Open], Not),
    ("SELECT substr(CAST({c} AS VARCHAR), 1, 3) FROM p", &[Open], Not),
    ("SELECT md5(CAST({c} AS VARCHAR)) FROM p", &[Open], Not),
    (
        "SELECT DISTINCT ON ({c}) amount FROM o ORDER BY {c}, amount",
        &[Open],
        Not,
    ),
    (
        "WITH RECURSIVE r AS (SELECT {c} AS v, 1 AS n FROM p UNION ALL SELECT v, n + 1 FROM r WHERE n < 2) SELECT v FROM r",
        &[Value],
        Not,
    ),
    (
        "SELECT count(*) FROM p WHERE {c} = (SELECT max({c}) FROM o)",
        &[Open],
        Not,
    ),
    (
        "SELECT count(*) FROM p WHERE {c} = ANY (SELECT {c} FROM o)",
        &[Open],
        Run,
    ),
    ("SELECT struct({c}) FROM p", &[Open], Not),
    ("SELECT make_array({c}) FROM p", &[Open], Not),
    ("SELECT count(*) FROM p WHERE {c} = {c}", &[Open], Run),
    ("SELECT arrow_typeof({c}) FROM p LIMIT 1", &[Open], Run),
    // Subqueries with a condition in ON, and lateral ones.
    (
        "SELECT count(*) FROM p x WHERE EXISTS (SELECT 1 FROM p JOIN o ON p.{c} = o.{c} AND o.region = x.region)",
        &[Open],
        Run,
    ),
    (
        "SELECT count(*) FROM p x WHERE x.amount IN (SELECT p.amount FROM p JOIN o ON p.region = o.region AND o.{c} = x.{c})",
        &[Open],
        Run,
    ),
    (
        "SELECT p.{c}, x.n FROM p, LATERAL (SELECT count(*) AS n FROM o WHERE o.{c} = p.{c}) AS x",
        &[Value, Open],
        Run,
    ),
    (
        "SELECT x.{c} FROM p, LATERAL (SELECT o.{c} FROM o WHERE o.amount = p.amount) AS x",
        &[Value],
        Run,
    ),
    (
        "SELECT p.amount, x.n FROM p, LATERAL (SELECT count(*) AS n FROM o WHERE o.region = p.region) AS x",
        &[Open, Open],
        Unneeded,
    ),
];

/// Values of each column, with equal ones and NULL.
fn tables() -> [RecordBatch; 2] {
    let ssn = [
        "123-45-6789",
        "862-45-3891",
        "001-01-0001",
        "899-99-9999",
        "345-67-8901",
    ];
    let names = ["Jürgen Müller", "Anna Karenina", "Li", "Bo Derek", "Σωκράτης Αθηνών"];
    let table = |rows: &[Option<usize>], first: i64| {
        let text = |of: fn(usize) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row.map(of)).collect::<StringArray>())
        };
        let _ = (ssn, names);
        RecordBatch::try_from_iter_with_nullable([
            (
                "ssn",
                text(|row| {
                    [
                        "123-45-6789",
                        "862-45-3891",
                        "001-01-0001",
                        "899-99-9999",
                        "345-67-8901",
                    ][row]
                        .to_owned()
                }),
                true,
            ),
            (
                "name",
                text(|row| {
                    [
                        "Jürgen Müller",
                        "Anna Karenina",
                        "Emily Brontë",
                        "Bo-Derek Lee",
                        "Σωκράτης Αθηνών",
                    ][row]
                        .to_owned()
                }),
                true,
            ),
            (
                "id",
                Arc::new(
                    rows.iter()
                        .map(|row| row.map(|row| 7 + 1_000 * row as i64))
                        .collect::<Int64Array>(),
                ) as ArrayRef,
                true,
            ),
            ("note", text(|row| format!("note {row}, as long as may be")), true),
            ("by", text(|row| format!("123456{row}")), true),
            (
                "region",
                Arc::new(
                    (0..rows.len())
                        .map(|row| Some(["de", "fr"][row % 2]))
                        .collect::<StringArray>(),
                ) as ArrayRef,
                true,
            ),
            (
                "amount",
                Arc::new(
                    (0..rows.len() as i64)
                        .map(|row| Some(first + 10 * row))
                        .collect::<Int64Array>(),
                ) as ArrayRef,
                true,
            ),
        ])
        .unwrap()
    };
    [
        table(&[Some(0), Some(1), Some(2), Some(3), None], 10),
        table(&[Some(1), Some(1), Some(3), Some(4), Some(0), None, None, Some(1)], 30),
    ]
}

/// Protected tables `p` and `o`, and what they were.
struct World {
    sandbox: Sandbox,
    plain: Session,
    /// For each column, what is stored of each value.
    stored: HashMap<&'static str, HashMap<String, String>>,
}

impl World {
    async fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.policy(POLICY);
        let [p, o] = tables();
        let plain = Session::stored(Limits::default()).unwrap();
        let mut stored: HashMap<&'static str, HashMap<String, String>> = HashMap::new();
        for (name, batch) in [("p", &p), ("o", &o)] {
            let path = sandbox.write(&format!("plain-{name}.parquet"), batch);
            plain.register_file(name, &path).await.unwrap();
            let safe = format!("{name}.parquet");
            sandbox.ok(&["protect", "--table", name, &format!("plain-{name}.parquet"), &safe]);
            let (_, protected) = read(&sandbox.path(&safe));
            for column in COLUMNS {
                let texts = |batch: &RecordBatch| texts(batch.column_by_name(column).unwrap());
                stored
                    .entry(column)
                    .or_default()
                    .extend(texts(batch).into_iter().zip(texts(&protected)));
            }
        }
        Self { sandbox, plain, stored }
    }

    async fn session(&self, role: &str) -> (Session, Engine) {
        let engine = self.sandbox.engine().await.with_role(role).unwrap();
        let session = Session::new(&engine).await.unwrap();
        for name in ["p", "o"] {
            let path = self.sandbox.path(&format!("{name}.parquet"));
            session.register_file(name, &path).await.unwrap();
        }
        (session, engine)
    }

    /// What a role with this grant is shown of a value.
    fn shown(&self, engine: &Engine, column: &str, grant: &str, value: &str) -> String {
        match (grant, column) {
            _ if value == "NULL" => value.to_owned(),
            ("masked", "id") => "NULL".to_owned(),
            ("masked", _) => mask(value, engine.policy().rule(column).unwrap()),
            ("protected", _) => self.stored[column]
                .get(value)
                .cloned()
                .unwrap_or_else(|| "no such value".to_owned()),
            _ => value.to_owned(),
        }
    }
}

fn texts(array: &ArrayRef) -> Vec<String> {
    let text = cast(array, &DataType::Utf8).unwrap();
    let text = text.as_string::<i32>();
    text.iter().map(|value| value.unwrap_or("NULL").to_owned()).collect()
}

/// The rows of an answer, in no order.
async fn ask(session: &Session, sql: &str) -> cipherform::Result<Vec<Vec<String>>> {
    let batches = session.query(sql).await?.collect().await.map_err(from_execution)?;
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Vec<Vec<String>> = batch.columns().iter().map(shown_texts).collect();
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
    }
    rows.sort();
    Ok(rows)
}

fn shown_texts(array: &ArrayRef) -> Vec<String> {
    match array.data_type().is_nested() {
        true => (0..array.len())
            .map(|row| arrow::util::display::array_value_to_string(array, row).unwrap())
            .collect(),
        false => texts(array),
    }
}

fn literal(column: &str) -> &'static str {
    match column {
        "ssn" => "'862-45-3891'",
        "name" => "'Anna Karenina'",
        "id" => "1007",
        _ => "'note 1, as long as may be'",
    }
}

#[tokio::test]
async fn every_grant_and_statement() {
    let world = World::new().await;
    let mut cells = 0;
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    for grant in GRANTS {
        let (session, engine) = world.session(grant).await;
        for column in COLUMNS {
            for (statement, outputs, may) in STATEMENTS {
                let sql = statement.replace("{c}", column).replace("{lit}", literal(column));
                let Ok(answer) = ask(&world.plain, &sql).await else {
                    continue; // it does not go with the type of the column
                };
                let found = ask(&session, &sql).await;
                cells += 1;
                let allowed = match (grant, may) {
                    ("plain", _) | (_, Unneeded) => true,
                    ("denied", _) | (_, Not) => false,
                    (_, Run) => true,
                };
                let mut expected: Vec<Vec<String>> = answer
                    .iter()
                    .map(|row| {
                        let values = row.iter().zip(*outputs);
                        let shown = values.map(|(value, output)| match output {
                            Value => world.shown(&engine, column, grant, value),
                            Open => value.clone(),
                        });
                        shown.collect()
                    })
                    .collect();
                expected.sort();
                let problem = match found {
                    Ok(found) if !allowed => format!("answered {found:?}"),
                    Ok(found) if found != expected => format!("answered {found:?}, not {expected:?}"),
                    Err(error) if allowed => format!("refused: {error}"),
                    Err(error) => {
                        let said = error.to_string();
                        let names = [
                            format!("`{column}`"),
                            format!("(rule `{column}`)"),
                            format!("role `{grant}`"),
                        ];
                        let missing = names.iter().find(|name| !said.contains(*name));
                        match (error.kind() == ErrorKind::NotAllowed, missing) {
                            (true, None) => continue,
                            _ => format!("refused with {said}"),
                        }
                    }
                    Ok(_) => continue,
                };
                wrong.insert(format!("{grant}: {sql}"), problem);
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cells}: {wrong:#?}", wrong.len());
    assert!(cells > 1_000, "{cells}");
}

/// Casts that nobody wrote, two rules with one map, several versions of a key.
#[tokio::test]
async fn versions_and_rules_of_one_map_are_comparable() {
    let world = World::new().await;
    world.sandbox.ok(&["keys", "rotate", "pii"]);
    world
        .sandbox
        .ok(&["protect", "--table", "o", "plain-o.parquet", "newer.parquet"]);
    std::fs::create_dir(world.sandbox.path("both")).unwrap();
    for (from, to) in [("o.parquet", "1.parquet"), ("newer.parquet", "2.parquet")] {
        std::fs::copy(world.sandbox.path(from), world.sandbox.path("both").join(to)).unwrap();
    }
    for grant in ["masked", "protected"] {
        let (session, _) = world.session(grant).await;
        let path = world.sandbox.path("newer.parquet");
        session.register_file("newer", &path).await.unwrap();
        session
            .register_file("both", &world.sandbox.path("both"))
            .await
            .unwrap();
        for column in COLUMNS {
            for (sql, plain) in [
                (
                    "SELECT count(*) FROM p JOIN newer ON p.{c} = newer.{c}",
                    "SELECT count(*) FROM p JOIN o ON p.{c} = o.{c}",
                ),
                (
                    "SELECT count(*) FROM p JOIN both ON p.{c} = both.{c}",
                    "SELECT 2 * count(*) FROM p JOIN o ON p.{c} = o.{c}",
                ),
                (
                    "SELECT count(DISTINCT {c}) FROM both",
                    "SELECT count(DISTINCT {c}) FROM o",
                ),
            ] {
                let (sql, plain) = (sql.replace("{c}", column), plain.replace("{c}", column));
                let (found, expected) = (
                    ask(&session, &sql).await.unwrap(),
                    ask(&world.plain, &plain).await.unwrap(),
                );
                assert_eq!(found, expected, "{grant}: {sql}");
            }
        }
    }
}

/// Every way to have a role's function answer for a string that it was given.
#[tokio::test]
async fn no_function_is_an_oracle() {
    let world = World::new().await;
    for role in ["masked", "protected", "denied"] {
        let (session, _) = world.session(role).await;
        for sql in [
            "SELECT reveal('123-45-6789', 'ssn')",
            "SELECT reveal('123-45-6789', 'ssn@1')",
            "SELECT reveal(ssn, 'ssn') FROM p",
            "SELECT reveal(ssn, 'ssn@1') FROM p",
            "SELECT reveal(region, 'name') FROM p",
            "SELECT fpe_decrypt('123-45-6789', 'ssn')",
            "SELECT fpe_decrypt(ssn, 'ssn') FROM p",
            "SELECT protect('123-45-6789', 'ssn')",
            "SELECT fpe_encrypt('123-45-6789', 'ssn')",
            "SELECT protect(region, 'name') FROM p",
            "SELECT count(*) FROM p WHERE ssn = protect('862-45-3891', 'ssn')",
            "SELECT v FROM (VALUES (reveal('123-45-6789', 'ssn'))) AS x(v)",
            "SELECT 1 ORDER BY reveal('123-45-6789', 'ssn')",
            "SELECT CASE WHEN reveal('123-45-6789', 'ssn') = 'x' THEN 1 END",
            "SELECT mask(reveal('123-45-6789', 'ssn'), 'ssn')",
            "EXPLAIN SELECT reveal('123-45-6789', 'ssn')",
            "EXPLAIN VERBOSE SELECT reveal('123-45-6789', 'ssn')",
            "SELECT present(ssn, 'ssn@1', 'text') FROM p",
            "SELECT present('123-45-6789', 'ssn@1', 'shown')",
            "SELECT reencrypt(ssn, 'ssn@1', 'ssn@1') FROM p",
            "SELECT reveal_nested(ssn) FROM p",
            "SELECT * FROM information_schema.views",
        ] {
            assert!(ask(&session, sql).await.is_err(), "{role}: {sql}");
        }
    }
}

/// `mask(column)` and `stored(column)` are text like any other.
#[tokio::test]
async fn masks_and_ciphertext_by_name_are_text() {
    let world = World::new().await;
    let (session, engine) = world.session("masked").await;
    let one = async |sql: &str| {
        ask(&session, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    let masked = mask("862-45-3891", engine.policy().rule("ssn").unwrap());
    assert_eq!(
        one(&format!("SELECT count(*) FROM o WHERE mask(ssn) = '{masked}'")).await,
        [["3"]]
    );
    assert_eq!(
        one("SELECT DISTINCT upper(mask(name)) FROM p WHERE mask(name) LIKE 'A%'").await,
        [["A*** ********"]]
    );
    assert_eq!(
        one("SELECT mask(ssn) FROM o ORDER BY mask(ssn) DESC LIMIT 1")
            .await
            .len(),
        1
    );
    assert_eq!(
        one("SELECT count(*) FROM o x JOIN o y ON mask(x.ssn) = mask(y.ssn)").await,
        [["12"]]
    );
    let stored = &world.stored["ssn"]["862-45-3891"];
    assert_eq!(
        one(&format!("SELECT count(*) FROM o WHERE stored(ssn) = '{stored}'")).await,
        [["3"]]
    );
    let (session, _) = world.session("protected").await;
    let error = ask(&session, "SELECT mask(ssn) FROM o").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAllowed);
    assert_eq!(
        ask(&session, "SELECT min(stored(ssn)) IS NULL FROM o").await.unwrap(),
        [["false"]]
    );
    let (session, _) = world.session("plain").await;
    assert!(ask(&session, "SELECT stored(ssn) FROM o").await.is_err());
}

/// A grant may allow to look for values, or not even equality.
#[tokio::test]
async fn a_grant_may_search_or_not_compare() {
    let world = World::new().await;
    let (session, _) = world.session("clerk").await;
    let one = async |sql: &str| {
        ask(&session, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    assert_eq!(one("SELECT count(*) FROM o WHERE ssn = '862-45-3891'").await, [["3"]]);
    assert_eq!(one("SELECT id FROM p WHERE '123-45-6789' = ssn").await, [["7"]]);
    assert_eq!(
        one("SELECT count(*) FROM o WHERE ssn IN ('862-45-3891', '345-67-8901', 'no number')").await,
        [["4"]]
    );
    assert_eq!(one("SELECT count(*) FROM o WHERE ssn = 'no number'").await, [["0"]]);
    assert_eq!(one("SELECT count(name) FROM o").await, [["6"]]);
    for sql in [
        "SELECT count(*) FROM o WHERE ssn <> '862-45-3891'",
        "SELECT count(*) FROM o WHERE ssn NOT IN ('862-45-3891')",
        "SELECT count(*) FROM o WHERE ssn > '862-45-3891'",
        "SELECT count(*) FROM o WHERE ssn = region",
        "SELECT count(DISTINCT name) FROM o",
        "SELECT name, count(*) FROM o GROUP BY name",
        "SELECT count(*) FROM p JOIN o ON p.name = o.name",
        "SELECT count(*) FROM o WHERE name = 'Anna Karenina'",
        "SELECT note FROM o",
    ] {
        assert_eq!(
            ask(&session, sql).await.unwrap_err().kind(),
            ErrorKind::NotAllowed,
            "{sql}"
        );
    }
    let many = vec!["'862-45-3891'"; 101].join(", ");
    assert!(
        ask(&session, &format!("SELECT count(*) FROM o WHERE ssn IN ({many})"))
            .await
            .is_err()
    );
}

/// A column with a tweak of its own in each row can be shown, and nothing more.
#[tokio::test]
async fn tweaks_by_row_have_no_identity() {
    let world = World::new().await;
    let (session, engine) = world.session("masked").await;
    let rows = ask(&session, "SELECT by, amount FROM p").await.unwrap();
    let masked = mask("1234560", engine.policy().rule("by").unwrap());
    assert_eq!(rows.iter().filter(|row| row[0] == masked).count(), 4);
    for sql in [
        "SELECT count(DISTINCT by) FROM o",
        "SELECT count(*) FROM p JOIN o ON p.by = o.by",
        "SELECT by FROM p UNION SELECT by FROM o",
        "SELECT count(*) FROM p WHERE by = '*******'",
    ] {
        assert_eq!(
            ask(&session, sql).await.unwrap_err().kind(),
            ErrorKind::NotAllowed,
            "{sql}"
        );
    }
}

/// What DESCRIBE, EXPLAIN and `cipherform_grants()` tell a role.
#[tokio::test]
async fn plans_and_descriptions_tell_no_values() {
    let world = World::new().await;
    let (session, _) = world.session("masked").await;
    let described = ask(&session, "DESCRIBE p").await.unwrap();
    let ssn = described.iter().find(|row| row[0] == "ssn").unwrap();
    assert_eq!(ssn[3], "masked (rule ssn)");
    let granted = ask(
        &session,
        "SELECT column_name, \"grant\" FROM cipherform_grants() WHERE table_name = 'p'",
    )
    .await;
    assert!(granted.unwrap().contains(&vec!["ssn".to_owned(), "masked".to_owned()]));
    let plan = ask(
        &session,
        "EXPLAIN SELECT ssn, count(*) FROM p WHERE amount > 20 GROUP BY ssn",
    )
    .await
    .unwrap();
    let plan = format!("{plan:?}");
    assert!(plan.contains("present(") && plan.contains("20"), "{plan}");
    assert!(!plan.contains(world.sandbox.folder.path().to_str().unwrap()), "{plan}");
    for sql in [
        "EXPLAIN VERBOSE SELECT ssn FROM p",
        "EXPLAIN ANALYZE VERBOSE SELECT ssn FROM p",
        "EXPLAIN SELECT count(*) FROM p WHERE ssn = '862-45-3891'",
        "EXPLAIN ANALYZE SELECT count(*) FROM p WHERE ssn LIKE '8%'",
        "EXPLAIN EXPLAIN SELECT ssn FROM p",
    ] {
        let refused = ask(&session, sql).await.expect_err(sql);
        assert!(!refused.to_string().contains("862-45-3891"), "{refused}");
    }
    // The literals of who sees everything are in no plan either.
    let engine = world.sandbox.engine().await;
    let session = Session::new(&engine).await.unwrap();
    session
        .register_file("p", &world.sandbox.path("p.parquet"))
        .await
        .unwrap();
    session
        .register_file("o", &world.sandbox.path("o.parquet"))
        .await
        .unwrap();
    for (sql, secret) in [
        ("EXPLAIN SELECT * FROM p WHERE ssn = '862-45-3891'", "862-45-3891"),
        (
            "EXPLAIN VERBOSE SELECT * FROM p WHERE ssn = '862-45-3891'",
            "862-45-3891",
        ),
        (
            "EXPLAIN ANALYZE SELECT * FROM p WHERE ssn = '862-45-3891'",
            "862-45-3891",
        ),
        ("EXPLAIN SELECT count(*) FROM p WHERE name LIKE 'Anna%'", "Anna"),
        (
            "EXPLAIN SELECT x.s FROM (SELECT ssn AS s FROM p) AS x WHERE x.s IN ('862-45-3891', 'other')",
            "862-45-3891",
        ),
        (
            "EXPLAIN SELECT ssn = '862-45-3891', count(*) FROM p GROUP BY ssn = '862-45-3891'",
            "862-45-3891",
        ),
        (
            "EXPLAIN SELECT count(*) FROM p JOIN o ON p.ssn = o.ssn AND p.name = 'Anna Karenina'",
            "Anna",
        ),
        ("EXPLAIN SELECT protect('862-45-3891', 'ssn')", "862-45-3891"),
        ("EXPLAIN SELECT id + 77123 FROM p", "77123"),
        (
            "EXPLAIN SELECT count(*) FROM p WHERE id BETWEEN 77123 AND 88123",
            "77123",
        ),
        (
            "EXPLAIN SELECT count(*) FROM p WHERE EXISTS (SELECT 1 FROM o WHERE o.ssn = p.ssn AND o.ssn > '862')",
            "862",
        ),
    ] {
        let plan = format!("{:?}", ask(&session, sql).await.unwrap());
        assert!(!plan.contains(secret), "{sql}: {plan}");
        assert!(
            plan.contains("ssn") || plan.contains("reveal") || plan.contains("rows"),
            "{plan}"
        );
    }
    let plan = format!(
        "{:?}",
        ask(&session, "EXPLAIN SELECT amount FROM p WHERE amount > 23")
            .await
            .unwrap()
    );
    assert!(plan.contains("23"), "{plan}");
}

/// Prepared statements fold nothing before the role is looked at, and take literals only.
#[tokio::test]
async fn prepared_statements_are_no_way_around() {
    let world = World::new().await;
    let engine = world.sandbox.engine().await;
    let host = Session::new(&engine).await.unwrap();
    host.register_file("p", &world.sandbox.path("p.parquet")).await.unwrap();
    let prepare = "PREPARE one AS SELECT id, amount FROM p WHERE ssn = $1 AND amount > $2";
    ask(&host, prepare).await.unwrap();
    assert_eq!(
        ask(&host, "EXECUTE one('862-45-3891', -5)").await.unwrap(),
        [["1007", "20"]]
    );
    assert_eq!(ask(&host, "EXECUTE one('862-45-3891', 50)").await.unwrap().len(), 0);
    assert!(
        ask(&host, prepare)
            .await
            .unwrap_err()
            .to_string()
            .contains("prepared already")
    );
    ask(&host, "DEALLOCATE one").await.unwrap();
    assert!(
        ask(&host, "EXECUTE one('862-45-3891', 50)")
            .await
            .unwrap_err()
            .to_string()
            .contains("no statement")
    );

    let (session, _) = world.session("masked").await;
    for sql in [
        "PREPARE x AS SELECT reveal('123-45-6789', 'ssn')",
        "PREPARE x AS SELECT count(*) FROM p WHERE ssn LIKE $1",
    ] {
        assert!(ask(&session, sql).await.is_err(), "{sql}");
    }
    ask(&session, "PREPARE shown AS SELECT ssn FROM p WHERE amount = $1")
        .await
        .unwrap();
    let shown = ask(&session, "EXECUTE shown(10)").await.unwrap();
    assert_eq!(shown, [["***-**-6789"]]);
    ask(&session, "PREPARE echo AS SELECT $1 AS v").await.unwrap();
    for sql in [
        "EXECUTE echo(reveal('123-45-6789', 'ssn'))",
        "EXECUTE echo(protect('123-45-6789', 'ssn'))",
        "EXECUTE echo((SELECT min(ssn) FROM p))",
    ] {
        assert!(ask(&session, sql).await.is_err(), "{sql}");
    }
    ask(&session, "PREPARE find AS SELECT count(*) FROM p WHERE ssn = $1")
        .await
        .unwrap();
    assert_eq!(
        ask(&session, "EXECUTE find('862-45-3891')").await.unwrap_err().kind(),
        ErrorKind::NotAllowed
    );
    let (session, _) = world.session("clerk").await;
    ask(&session, "PREPARE find AS SELECT count(*) FROM p WHERE ssn = $1")
        .await
        .unwrap();
    assert_eq!(ask(&session, "EXECUTE find('862-45-3891')").await.unwrap(), [["1"]]);
}

/// A context of the host's is held to the role as well, whatever the host asks it.
#[tokio::test]
async fn a_hosts_context_is_held_to_the_role() {
    let world = World::new().await;
    let (session, _) = world.session("masked").await;
    let ctx = session.context();
    for sql in [
        "PREPARE x AS SELECT reveal('123-45-6789', 'ssn')",
        "SELECT reveal('123-45-6789', 'ssn')",
        "SELECT count(*) FROM p WHERE ssn = '862-45-3891'",
        "COPY (SELECT ssn FROM p) TO 'x.csv'",
    ] {
        let done = match ctx.sql(sql).await {
            Ok(frame) => frame.collect().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(done.is_err(), "{sql}");
    }
    let frame = ctx.table("p").await.unwrap().select_columns(&["ssn"]).unwrap();
    let batches = frame.collect().await.unwrap();
    assert!(
        batches
            .iter()
            .flat_map(|batch| shown_texts(batch.column(0)))
            .all(|ssn| ssn == "NULL" || ssn.starts_with("***"))
    );
}

/// One record a statement: who, what without its literals, which columns the plan needs, how many values were revealed.
#[tokio::test]
async fn each_statement_is_written_down() {
    let world = World::new().await;
    world
        .sandbox
        .policy(&POLICY.replace("[rules.ssn]", "audit = \"audit.jsonl\"\n[rules.ssn]"));
    let query = |role: &[&str], sql: &str| {
        let mut arguments = vec!["query"];
        arguments.extend(role);
        arguments.extend(["-c", sql, "p.parquet", "o.parquet"]);
        world.sandbox.run(&arguments)
    };
    let last = || {
        let text = std::fs::read_to_string(world.sandbox.path("audit.jsonl")).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .map(|line| line["entry"].clone())
            .rfind(|entry| entry["event"] == "query")
    };
    assert!(
        query(&[], "SELECT ssn, name FROM p WHERE ssn <> '999-99-9999'")
            .status
            .success()
    );
    let record = last().unwrap();
    assert_eq!(record["context"], "SELECT ssn, name FROM p WHERE ssn <> ?");
    assert_eq!(record["columns"], serde_json::json!(["p.name", "p.ssn"]));
    assert_eq!(record["revealed"]["name@1"], 4, "{record}");
    assert!(record["revealed"]["ssn@1"].as_u64().unwrap() >= 4, "{record}");
    assert!(
        record.get("role").is_none() && record.get("refused").is_none(),
        "{record}"
    );
    // Columns that are not needed are not named, and a statement about none is not written down.
    assert!(
        query(&["--role", "masked"], "SELECT count(*) FROM p JOIN o ON p.ssn = o.ssn")
            .status
            .success()
    );
    let record = last().unwrap();
    assert_eq!(record["columns"], serde_json::json!(["o.ssn", "p.ssn"]));
    assert_eq!(
        (&record["role"], &record["values"]),
        (&"masked".into(), &0.into()),
        "{record}"
    );
    assert!(
        query(&["--role", "masked"], "SELECT sum(amount) FROM p")
            .status
            .success()
    );
    assert_eq!(last().unwrap(), record);
    assert!(
        !query(&["--role", "denied"], "SELECT ssn FROM p WHERE ssn = '862-45-3891'")
            .status
            .success()
    );
    let record = last().unwrap();
    assert_eq!(
        (&record["role"], &record["refused"]),
        (&"denied".into(), &"not allowed".into()),
        "{record}"
    );
    let log = std::fs::read_to_string(world.sandbox.path("audit.jsonl")).unwrap();
    assert!(!log.contains("862-45-3891") && !log.contains("999-99-9999"), "{log}");
}

/// Memory, disk, time and rows.
#[tokio::test]
async fn a_session_has_limits() {
    let world = World::new().await;
    let engine = world.sandbox.engine().await;
    let limited = async |limits: Limits| {
        let session = Session::with_limits(&engine, limits).await.unwrap();
        session
            .register_file("p", &world.sandbox.path("p.parquet"))
            .await
            .unwrap();
        session
    };
    let run = async |session: &Session, sql: &str| session.run(sql).await?.collect().await;
    let rows = limited(Limits {
        rows: Some(4),
        ..Limits::default()
    })
    .await;
    assert!(run(&rows, "SELECT ssn FROM p LIMIT 4").await.is_ok());
    assert!(
        run(&rows, "SELECT ssn FROM p")
            .await
            .unwrap_err()
            .to_string()
            .contains("limit of rows")
    );
    let time = std::time::Duration::from_millis(50);
    let time = limited(Limits {
        time: Some(time),
        ..Limits::default()
    })
    .await;
    let long =
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE a.value < b.value";
    assert!(
        run(&time, long)
            .await
            .unwrap_err()
            .to_string()
            .contains("limit of time")
    );
    // A sort of values that do not fit the memory: refused, or sealed files.
    let sort = "SELECT count(*) FROM (SELECT ssn || cast(v AS VARCHAR) AS w, row_number() OVER (ORDER BY ssn || cast(v AS \
                VARCHAR)) AS n FROM (SELECT ssn, unnest(range(1, 200000)) AS v FROM p)) AS x WHERE n > 0";
    let memory = Limits {
        memory: Some(8 << 20),
        ..Limits::default()
    };
    let refused = limited(memory).await;
    assert!(
        run(&refused, sort)
            .await
            .unwrap_err()
            .to_string()
            .contains("not enough memory")
    );
    let spills = limited(Limits {
        memory: Some(48 << 20),
        disk: Some(1 << 30),
        ..Limits::default()
    })
    .await;
    let sorted = run(&spills, sort).await.unwrap();
    assert_eq!(shown_texts(sorted[0].column(0)), ["999995"]);
    let quota = limited(Limits {
        memory: Some(48 << 20),
        disk: Some(1 << 20),
        ..Limits::default()
    })
    .await;
    assert!(run(&quota, sort).await.is_err());
}

/// Statements with which an attacker got further than the role.
#[tokio::test]
async fn ways_around_are_closed() {
    let world = World::new().await;
    let refused = async |session: &Session, sql: &str| {
        let found = ask(session, sql).await;
        assert!(found.is_err(), "{sql}: {found:?}");
    };
    let (session, _) = world.session("denied").await;
    let lateral = "SELECT (SELECT max(x.z) FROM (SELECT ssn AS k FROM p) AS q JOIN LATERAL (SELECT z.z FROM (SELECT column1 AS z \
                   FROM (VALUES ('862-45-3891'))) z WHERE q.k = z.z) AS x ON true) FROM (SELECT 'a' AS k) AS q";
    refused(&session, lateral).await;
    for role in ["denied", "masked", "protected"] {
        let (session, _) = world.session(role).await;
        refused(&session, "SELECT input_file_name() FROM p").await;
        refused(&session, lateral).await;
        for prepared in [
            "PREPARE a AS EXPLAIN VERBOSE SELECT amount FROM p",
            "PREPARE a AS EXPLAIN SELECT amount FROM p",
            "PREPARE a AS SET datafusion.optimizer.max_passes = 0",
            "PREPARE a AS DESCRIBE p",
            "PREPARE a AS PREPARE b AS SELECT 1",
            "EXPLAIN FORMAT GRAPHVIZ SELECT amount FROM p",
        ] {
            refused(&session, prepared).await;
        }
    }
    let (session, _) = world.session("masked").await;
    refused(&session, "SELECT count(DISTINCT cast(id AS decimal(12, -3))) FROM p").await;
    refused(&session, "SELECT count(try_cast(id AS decimal(3, 0))) FROM p").await;
    refused(&session, "SELECT count(array_length(make_array(1, 2, 3), id)) FROM p").await;

    let (session, _) = world.session("clerk").await;
    let one = async |sql: &str| {
        ask(&session, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    // In a statement around it the value would not be replaced, and be compared with ciphertext.
    refused(
        &session,
        "SELECT count(*) FROM p WHERE EXISTS (SELECT 1 FROM o WHERE o.amount = p.amount AND p.ssn = '862-45-3891')",
    )
    .await;
    // What no row can have is false, and NULL where the column is.
    assert_eq!(one("SELECT count(*) FROM p WHERE NOT (ssn = 'abc')").await, [["4"]]);
    assert_eq!(one("SELECT count(*) FROM p WHERE (ssn = 'abc') IS NULL").await, [["1"]]);
    assert_eq!(
        one("SELECT count(*) FROM p WHERE NOT (ssn = '862-45-3891')").await,
        [["3"]]
    );
    // A column without equality can be shown and counted, through a union too.
    assert_eq!(
        one("SELECT count(name) FROM (SELECT name FROM p UNION ALL SELECT name FROM o)").await,
        [["10"]]
    );
    refused(
        &session,
        "SELECT count(*) FROM (SELECT name FROM p UNION SELECT name FROM o)",
    )
    .await;

    // Without a role, no value of the data stands in a plan either.
    let engine = world.sandbox.engine().await;
    let session = Session::new(&engine).await.unwrap();
    session
        .register_file("p", &world.sandbox.path("p.parquet"))
        .await
        .unwrap();
    for (sql, secret) in [
        ("EXPLAIN ANALYZE SELECT ssn FROM p ORDER BY ssn LIMIT 1", "001-01-0001"),
        (
            "EXPLAIN SELECT count(*) FROM p WHERE ssn IN (SELECT column1 FROM (VALUES ('862-45-3891')))",
            "862-45-3891",
        ),
        (
            "EXPLAIN SELECT count(*) FROM p JOIN (VALUES ('862-45-3891')) v(x) ON ssn = x",
            "862-45-3891",
        ),
        (
            "EXPLAIN SELECT count(*) FROM p WHERE ssn = (SELECT '862-45-3891')",
            "862-45-3891",
        ),
        (
            "EXPLAIN SELECT ssn FROM p UNION ALL SELECT '862-45-3891'",
            "862-45-3891",
        ),
        (
            "EXPLAIN SELECT count(*) FROM p WHERE note = E'a\n862-45-3891'",
            "862-45-3891",
        ),
    ] {
        let plan = format!("{:?}", ask(&session, sql).await.unwrap());
        assert!(!plan.contains(secret), "{sql}: {plan}");
    }
}

/// Two rules of one map that are shown unlike, or of which one may be searched, are not taken for each other.
#[tokio::test]
async fn rules_of_one_map_keep_their_masks_and_rights() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        r#"
version = 1
keyring = "keyring.json"
[rules.ssn]
format = "us-ssn"
key = "pii"
domain = "ssn"
mask = { keep_last = 4 }
[rules.hidden]
format = "us-ssn"
key = "pii"
domain = "ssn"
mask = { fixed = "hidden" }
[columns]
ssn = "ssn"
other = "hidden"
[roles.masked]
"*" = "masked"
[roles.finder]
ssn = { see = "masked", search = true, insecure_oracle = "a test" }
hidden = "masked"
"#,
    );
    let text: ArrayRef = Arc::new(StringArray::from(vec!["862-45-3891"]));
    let batch = RecordBatch::try_from_iter([("ssn", Arc::clone(&text)), ("other", text)]).unwrap();
    sandbox.write("plain.parquet", &batch);
    sandbox.ok(&["protect", "--table", "p", "plain.parquet", "p.parquet"]);
    for role in ["masked", "finder"] {
        let engine = sandbox.engine().await.with_role(role).unwrap();
        let session = Session::new(&engine).await.unwrap();
        session.register_file("p", &sandbox.path("p.parquet")).await.unwrap();
        for sql in [
            "SELECT ssn FROM p WHERE false UNION ALL SELECT other FROM p",
            "SELECT CASE WHEN false THEN ssn ELSE other END FROM p",
            "SELECT coalesce(nullif(ssn, ssn), other) FROM p",
            "SELECT count(*) FROM (SELECT ssn FROM p WHERE false UNION ALL SELECT other FROM p) WHERE ssn = '862-45-3891'",
            "SELECT count(*) FROM p WHERE other = '862-45-3891'",
        ] {
            assert_eq!(
                ask(&session, sql).await.unwrap_err().kind(),
                ErrorKind::NotAllowed,
                "{role}: {sql}"
            );
        }
        assert_eq!(ask(&session, "SELECT other FROM p").await.unwrap(), [["hidden"]]);
    }
}
