//! Tokens against the plain work of their stores: the same rows, the same schema, one run.
//!
//! ```text
//! cargo bench --no-default-features --features tokens-sqlite --bench tokens [-- ROWS [CURVE]]
//! CIPHERFORM_BENCH_POSTGRES=postgres://user@host/database PGPASSWORD=… cargo bench … --features tokens-sqlite,tokens-postgres …
//! ```
//!
//! ROWS (default 200,000) are compared in turn, new ones three times, known ones nine times; the middle one counts.
//! Then CURVE tokens (default 1,000,000) go into one SQLite file, and the cost of one is told by how many there are.
//! The table goes to stdout and to `benches/results/tokens.csv`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench: a panic is the message, the table the result

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cipherform::cipher::Direction;
use cipherform::formats::Format;
use cipherform::keys::{KeyHandle, KeyUse, Keyring, KmsRegistry, Timestamp};
use cipherform::kms::MemoryKms;
use cipherform::tokens::{Record, SqliteTokens, TokenRule, TokenStore, Tokenizer};
use rusqlite::{Connection, params};

/// As many as a tokenizer stores together.
const BATCH: usize = 8192;

const DOMAIN: &str = "card";

#[tokio::main]
async fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    // As a part of the tests it only shows that it runs.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let rows = numbers
        .first()
        .copied()
        .unwrap_or(if measuring { 200_000 } else { 2_000 });
    let curve = numbers
        .get(1)
        .copied()
        .unwrap_or(if measuring { 1_000_000 } else { 4_000 });
    let key = key().await;
    let mut table = Table::default();
    sqlite(rows, &key, &mut table).await;
    #[cfg(feature = "tokens-postgres")]
    match std::env::var("CIPHERFORM_BENCH_POSTGRES") {
        Ok(url) => postgres::compare(&url, rows, &key, &mut table).await,
        Err(_) => println!("PostgreSQL is not measured: set CIPHERFORM_BENCH_POSTGRES"),
    }
    by_size(curve, &key, &mut table).await;
    if measuring {
        table.write();
    }
}

/// Cards that are valid, each once.
fn cards(range: std::ops::Range<usize>) -> Vec<String> {
    let card = |n: usize| {
        // Spread over all, as cards are.
        // Multiplied by an odd constant, so that neighbours land far apart, as they do in an index.
        let body = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1_000_000 * 10_000_000_000 / 10 + n as u64;
        let digits = format!("{body:015}");
        let sum: u32 = digits
            .bytes()
            .rev()
            .enumerate()
            .map(|(at, byte)| {
                let digit = u32::from(byte - b'0');
                match at % 2 {
                    0 => digit * 2 - 9 * u32::from(digit > 4),
                    _ => digit,
                }
            })
            .sum();
        format!("{digits}{}", (10 - sum % 10) % 10)
    };
    range.map(card).collect()
}

async fn key() -> KeyHandle {
    let folder = tempfile::tempdir().unwrap();
    let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
    let path = folder.path().join("keyring.json");
    let mut keyring = Keyring::create(path, &"memory:main".parse().unwrap(), &registry)
        .await
        .unwrap();
    keyring
        .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
        .await
        .unwrap();
    keyring
        .handle(&"pii".parse().unwrap(), Direction::Encrypt)
        .await
        .unwrap()
}

async fn tokenizer(store: Arc<dyn TokenStore>, key: &KeyHandle) -> Tokenizer {
    let rule = TokenRule {
        domain: DOMAIN.to_owned(),
        format: Format::parse("pan", toml::Table::new()).unwrap(),
        per_occurrence: false,
        ttl: None,
        never_valid_as: Vec::new(),
        floor: 1_000_000,
    };
    Tokenizer::open(rule, store, Some(key.clone()), Vec::new())
        .await
        .unwrap()
}

/// Tokenizes batch by batch, as a file or a query does.
async fn tokenize(tokenizer: &Tokenizer, values: &[String]) -> Duration {
    let started = Instant::now();
    for batch in values.chunks(BATCH) {
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        let tokens = tokenizer.tokenize(&batch, false, Timestamp::now()).await.unwrap();
        assert!(tokens.iter().all(|token| token.is_ok()));
    }
    started.elapsed()
}

/// The rows as they are stored, in the order of the values: what the plain work is done with.
async fn stored(tokenizer: &Tokenizer, values: &[String]) -> Vec<Record> {
    let mut records: std::collections::HashMap<String, Record> = std::collections::HashMap::new();
    let mut after = None;
    loop {
        let page = tokenizer.store().scan(DOMAIN, after, 10_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.token.clone());
        records.extend(page.into_iter().map(|record| (record.token.clone(), record)));
    }
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let tokens = tokenizer.find(&values, Timestamp::now()).await.unwrap();
    tokens
        .into_iter()
        .map(|token| records.remove(&token.unwrap()).unwrap())
        .collect()
}

async fn sqlite(rows: usize, key: &KeyHandle, table: &mut Table) {
    let values = cards(0..rows);
    let (mut new, mut plain_new, mut known, mut plain_known) = (vec![], vec![], vec![], vec![]);
    // A fresh file each time: inserting into a full one would be another measurement.
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteTokens::open(&folder.path().join("ours.db")).await.unwrap();
        // The same store as the product uses, by its public calls.
        let tokenizer = tokenizer(Arc::new(store), key).await;
        new.push(tokenize(&tokenizer, &values).await);
        let records = stored(&tokenizer, &values).await;
        // The plain work has the same rows, schema and settings, and none of the sealing and minting.
        let mut plain = plain_sqlite(&folder.path().join("plain.db")).await;
        plain_new.push(plain_insert(&mut plain, &records));
        // Looking up changes nothing, so it can be done again.
        for _ in 0..3 {
            known.push(tokenize(&tokenizer, &values).await);
            plain_known.push(plain_find(&mut plain, &records));
        }
    }
    table.compare("SQLite, new tokens", "batched INSERT", rows, new, plain_new);
    table.compare("SQLite, known values", "batched SELECT", rows, known, plain_known);
}

/// A store's file, made by a store, with its settings.
async fn plain_sqlite(path: &Path) -> Connection {
    // Made by the store itself, so that tables and indexes are the same.
    drop(SqliteTokens::open(path).await.unwrap());
    let connection = Connection::open(path).unwrap();
    // The settings that cost time, which a fair comparison must share.
    for (name, value) in [
        ("synchronous", "FULL"),
        ("secure_delete", "ON"),
        ("temp_store", "MEMORY"),
        ("cache_size", "-65536"),
    ] {
        connection.pragma_update(None, name, value).unwrap();
    }
    connection
}

fn plain_insert(connection: &mut Connection, records: &[Record]) -> Duration {
    let started = Instant::now();
    for batch in records.chunks(BATCH) {
        // One transaction a batch, as the store has it.
        let change = connection.transaction().unwrap();
        {
            let mut insert = change
                .prepare_cached(
                    "INSERT INTO cipherform_tokens (domain, token, lookup, sealed, tag) VALUES (?1, ?2, ?3, ?4, ?5)",
                )
                .unwrap();
            for record in batch {
                let (lookup, sealed) = record.value.as_ref().unwrap();
                insert
                    .execute(params![1, record.token, lookup, sealed, record.tag])
                    .unwrap();
            }
        }
        change.commit().unwrap();
    }
    started.elapsed()
}

fn plain_find(connection: &mut Connection, records: &[Record]) -> Duration {
    let started = Instant::now();
    for batch in records.chunks(BATCH) {
        let view = connection.transaction().unwrap();
        let mut query = view
            .prepare_cached("SELECT token, tag FROM cipherform_tokens WHERE domain = ?1 AND lookup = ?2")
            .unwrap();
        let found: Vec<String> = batch
            .iter()
            .map(|record| {
                query
                    .query_row(params![1, record.value.as_ref().unwrap().0], |row| row.get(0))
                    .unwrap()
            })
            .collect();
        assert_eq!(found.len(), batch.len());
    }
    started.elapsed()
}

/// The cost of a token by how many there are, and the memory it takes.
async fn by_size(total: usize, key: &KeyHandle, table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.db");
    let tokenizer = tokenizer(Arc::new(SqliteTokens::open(&path).await.unwrap()), key).await;
    // Twenty points, with steps of one batch at the least and 500,000 tokens at the most.
    let step = (total / 20).clamp(BATCH, 500_000);
    for from in (0..total).step_by(step) {
        let values = cards(from..(from + step).min(total));
        let cost = tokenize(&tokenizer, &values).await;
        let bytes = std::fs::metadata(&path).unwrap().len();
        table.size(from + values.len(), cost / values.len() as u32, bytes, peak_memory());
    }
}

/// The most memory this process has had, in MiB.
fn peak_memory() -> u64 {
    // VmHWM is the greatest resident size so far, as Linux counts it.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}

/// What is printed, and written.
#[derive(Default)]
struct Table {
    csv: Vec<String>,
}

impl Table {
    fn compare(&mut self, what: &str, plain: &str, rows: usize, mut ours: Vec<Duration>, mut theirs: Vec<Duration>) {
        ours.sort_unstable();
        theirs.sort_unstable();
        // The middle of the runs.
        let per_second = |times: &[Duration]| rows as f64 / times[times.len() / 2].as_secs_f64();
        let (ours, theirs) = (per_second(&ours), per_second(&theirs));
        println!(
            "{what:<28} {ours:>10.0}/s   {plain:<28} {theirs:>10.0}/s   ratio {:.2}",
            ours / theirs
        );
        self.csv.push(format!(
            "{what},{plain},{rows},{ours:.0},{theirs:.0},{:.3},,,",
            ours / theirs
        ));
    }

    fn size(&mut self, tokens: usize, cost: Duration, bytes: u64, memory: u64) {
        let (micros, mebibytes) = (cost.as_secs_f64() * 1e6, bytes / (1 << 20));
        println!(
            "{tokens:>12} tokens: {micros:>6.1} µs for a new one, {mebibytes} MiB of file, {memory} MiB of memory at most"
        );
        self.csv
            .push(format!("SQLite by size,,{tokens},,,,{micros:.2},{mebibytes},{memory}"));
    }

    fn write(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results/tokens.csv");
        let head = "what,plain,rows,ours per second,plain per second,ratio,µs per new token,file MiB,peak memory MiB";
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{head}\n{}\n", self.csv.join("\n"))).unwrap();
    }
}

#[cfg(feature = "tokens-postgres")]
mod postgres {
    use std::pin::pin;

    use cipherform::tokens::PostgresTokens;
    use tokio_postgres::binary_copy::BinaryCopyInWriter;
    use tokio_postgres::types::Type;
    use tokio_postgres::{Client, Config, NoTls};

    use super::*;

    pub(super) async fn compare(url: &str, rows: usize, key: &KeyHandle, table: &mut Table) {
        let values = cards(0..rows);
        let mut client = connect(url).await;
        let (mut new, mut plain_new, mut known, mut plain_known) = (vec![], vec![], vec![], vec![]);
        for _ in 0..3 {
            let drop_all = "DROP TABLE IF EXISTS cipherform_store, cipherform_domains, cipherform_spaces, cipherform_tokens, plain_tokens";
            client.batch_execute(drop_all).await.unwrap();
            let store = PostgresTokens::open(url).await.unwrap();
            let tokenizer = tokenizer(Arc::new(store), key).await;
            new.push(tokenize(&tokenizer, &values).await);
            let records = stored(&tokenizer, &values).await;
            client
                .batch_execute(
                    "CREATE TABLE plain_tokens (LIKE cipherform_tokens INCLUDING ALL);
                     CREATE TEMPORARY TABLE IF NOT EXISTS plain_new (token text, lookup bytea, sealed bytea, expires bigint)
                     ON COMMIT DELETE ROWS",
                )
                .await
                .unwrap();
            plain_new.push(insert(&mut client, &records).await);
            client
                .batch_execute("ANALYZE cipherform_tokens, plain_tokens")
                .await
                .unwrap();
            // Looking up changes nothing, so it can be done again.
            for _ in 0..3 {
                known.push(tokenize(&tokenizer, &values).await);
                plain_known.push(find(&client, &records).await);
            }
        }
        table.compare(
            "PostgreSQL, new tokens",
            "COPY + INSERT ON CONFLICT",
            rows,
            new,
            plain_new,
        );
        table.compare("PostgreSQL, known values", "SELECT … = ANY", rows, known, plain_known);
    }

    async fn connect(url: &str) -> Client {
        let mut config: Config = url.parse().unwrap();
        if let Ok(password) = std::env::var("PGPASSWORD") {
            config.password(password);
        }
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        // So that it goes by the index, as the store does: by default PostgreSQL assumes a slow disk.
        client.batch_execute("SET random_page_cost = 1.1").await.unwrap();
        client
    }

    async fn insert(client: &mut Client, records: &[Record]) -> Duration {
        let started = Instant::now();
        for batch in records.chunks(BATCH) {
            let change = client.transaction().await.unwrap();
            let sink = change.copy_in("COPY plain_new FROM STDIN BINARY").await.unwrap();
            let types = [Type::TEXT, Type::BYTEA, Type::BYTEA, Type::INT8];
            let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
            for record in batch {
                let (lookup, sealed) = record.value.as_ref().unwrap();
                let lookup = &lookup[..];
                writer
                    .as_mut()
                    .write(&[&record.token, &lookup, sealed, &None::<i64>])
                    .await
                    .unwrap();
            }
            writer.finish().await.unwrap();
            let statement = "INSERT INTO plain_tokens SELECT 1, * FROM plain_new ON CONFLICT DO NOTHING";
            change.execute(statement, &[]).await.unwrap();
            change.commit().await.unwrap();
        }
        started.elapsed()
    }

    async fn find(client: &Client, records: &[Record]) -> Duration {
        let started = Instant::now();
        for batch in records.chunks(BATCH) {
            let lookups: Vec<&[u8]> = batch
                .iter()
                .map(|record| &record.value.as_ref().unwrap().0[..])
                .collect();
            let query = "SELECT lookup, token FROM plain_tokens WHERE domain = 1 AND lookup = ANY ($1)";
            let found = client.query(query, &[&lookups]).await.unwrap();
            let found: Vec<(Vec<u8>, String)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
            assert_eq!(found.len(), batch.len());
        }
        started.elapsed()
    }
}
