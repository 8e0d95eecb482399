//! Tokens in a PostgreSQL database, shared between machines.
//!
//! New rows go by COPY into a temporary table, and from there by one INSERT … ON CONFLICT DO NOTHING.
//! `synchronous_commit` is on, so that what was told is there after a crash of the server, too. What is emptied is
//! gone from the table at once, and from its files after the next VACUUM.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::lock::Mutex;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Row, Statement, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::errors::{TIMEOUT, damaged, failed, ran_into_another, silent};
use super::{server, tables};
use crate::keys::{KeyVersionId, StoreId};
use crate::tokens::{
    DomainState, DomainStats, Emptied, Found, Inserted, Insertion, KnownToken, Lookup, Minted, Record, Remains,
    Replacement, RowTag, TokenStore,
};
use crate::{Error, Result, Secret};

/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait for an answer, to calls that are about a bounded number of rows. As with SQLite, a minute is for
/// others that write.
const ANSWER: Duration = Duration::from_secs(60);

/// How often a transaction that ran into another one is done again.
const ATTEMPTS: usize = 10;

/// The password comes from here, as with PostgreSQL's own programs.
const PASSWORD: &str = "PGPASSWORD";

/// A plan for each batch of look-ups would weigh every one of them, which takes longer than to find them, and might
/// read all of a smaller table.
const SETTINGS: &str = "
SET synchronous_commit = on;
SET client_min_messages = warning;
SET plan_cache_mode = force_generic_plan;
";

const FIND: &str = "SELECT lookup, token, expires, tag FROM cipherform_tokens
    WHERE domain = $1 AND lookup = ANY ($2) AND (expires IS NULL OR expires > $3)";

const REVEAL: &str =
    "SELECT token, lookup, sealed, expires, tag FROM cipherform_tokens WHERE domain = $1 AND token = ANY ($2)";

const TEMPORARY: &str = "
CREATE TEMPORARY TABLE IF NOT EXISTS cipherform_new (
    token text COLLATE \"C\" NOT NULL,
    lookup bytea NOT NULL,
    sealed bytea NOT NULL,
    expires bigint,
    tag bytea NOT NULL
) ON COMMIT DELETE ROWS;
";

/// A PostgreSQL database of tokens. Clones share the connection.
#[derive(Clone)]
pub struct PostgresTokens {
    id: StoreId,
    config: Arc<Config>,
    /// For messages: `PostgreSQL token store host:port/database`.
    place: Arc<str>,
    /// For one call.
    patience: Duration,
    connection: Arc<Mutex<Option<Connection>>>,
}

struct Connection {
    client: Client,
    domains: HashMap<String, i32>,
    /// By their text.
    statements: HashMap<&'static str, Statement>,
}

impl PostgresTokens {
    /// Connects to the database that `url` names, making the tables if they are not there.
    ///
    /// # Errors
    /// [`crate::ErrorKind::ProviderDown`] when the server does not answer, [`crate::ErrorKind::NotAllowed`] when it
    /// refuses, [`crate::ErrorKind::BadPolicy`] for a URL that it does not understand.
    pub async fn open(url: &str) -> Result<Self> {
        let patience = match std::env::var(TIMEOUT) {
            Err(_) => ANSWER,
            Ok(text) => {
                let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
                let seconds = seconds.ok_or_else(|| {
                    Error::bad_input(format!("{TIMEOUT} is not a number of seconds from 1 to 86400"))
                        .with_hint("the default is 60")
                })?;
                Duration::from_secs(seconds)
            }
        };
        Self::open_with(url, std::env::var(PASSWORD).ok().map(Secret::new), patience).await
    }

    /// Connects with nothing from the environment: a password, and the longest wait for the answer to a call about
    /// one batch.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(url: &str, password: Option<Secret<String>>, patience: Duration) -> Result<Self> {
        let mut config = server::config(url)?;
        if let Some(password) = password {
            config.password(password.expose());
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(PATIENCE);
        }
        // A peer that is gone without a word.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(PATIENCE);
        }
        config.application_name("cipherform");
        let place = server::place(&config);
        let opened = async {
            let mut connection = connect(&config).await?;
            let made = tokio::time::timeout(patience, tables::make(&mut connection.client)).await;
            Ok((made.unwrap_or_else(|_| Err(silent(patience)))?, connection))
        };
        let (id, connection) = opened.await.map_err(|error: Error| error.context(&place))?;
        Ok(Self {
            id,
            config: Arc::new(config),
            place: place.into(),
            patience,
            connection: Arc::new(Mutex::new(Some(connection))),
        })
    }

    /// Does `work` on the connection, which is made anew if it was lost. One call at a time has it. With a `limit`,
    /// work that takes longer is left, and the connection with it: the server undoes what was not committed.
    async fn asked<T>(
        &self,
        limit: Option<Duration>,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T>,
    ) -> Result<T> {
        let mut guard = self.connection.lock().await;
        // What is taken out is back only when it was asked to the end.
        let connection = guard.take().filter(|connection| !connection.client.is_closed());
        let asked = async {
            let mut connection = match connection {
                Some(connection) => connection,
                None => connect(&self.config).await?,
            };
            let answer = work(&mut connection).await;
            Ok((connection, answer))
        };
        let asked = match limit {
            None => asked.await,
            Some(limit) => match tokio::time::timeout(limit, asked).await {
                Ok(asked) => asked,
                Err(_) => Err(silent(limit)),
            },
        };
        let answer = asked.and_then(|(connection, answer)| {
            *guard = Some(connection);
            answer
        });
        answer.map_err(|error| error.context(&self.place))
    }
}

async fn connect(config: &Config) -> Result<Connection> {
    // `connect_timeout` is over once TCP is there; a server may still say nothing.
    let patience = config.get_connect_timeout().copied().unwrap_or(PATIENCE);
    let connected = tokio::time::timeout(patience, connect_at_last(config)).await;
    connected.unwrap_or_else(|_| Err(silent(patience)))
}

async fn connect_at_last(config: &Config) -> Result<Connection> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(|error| Error::bug("TLS cannot be set up").with_source(error))?
        .with_no_client_auth();
    let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await.map_err(failed)?;
    // It ends with the client; what goes wrong on it is told by the client's calls.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client.batch_execute(SETTINGS).await.map_err(failed)?;
    client.batch_execute(TEMPORARY).await.map_err(failed)?;
    Ok(Connection {
        client,
        domains: HashMap::new(),
        statements: HashMap::new(),
    })
}

impl Connection {
    async fn domain(&mut self, name: &str) -> Result<Option<i32>> {
        if let Some(domain) = self.domains.get(name) {
            return Ok(Some(*domain));
        }
        let found = self
            .client
            .query_opt("SELECT domain FROM cipherform_domains WHERE name = $1", &[&name])
            .await
            .map_err(failed)?;
        let domain = found.map(|row| row.get(0));
        if let Some(domain) = domain {
            self.domains.insert(name.to_owned(), domain);
        }
        Ok(domain)
    }

    /// A query, planned once.
    async fn statement(&mut self, query: &'static str) -> Result<Statement> {
        if let Some(known) = self.statements.get(query) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(query).await.map_err(failed)?;
        self.statements.insert(query, statement.clone());
        Ok(statement)
    }
}

#[async_trait]
impl TokenStore for PostgresTokens {
    fn id(&self) -> StoreId {
        self.id
    }

    async fn domain(&self, name: &str, index_key: KeyVersionId) -> Result<DomainState> {
        self.asked(Some(self.patience), async |connection| {
            let client = &connection.client;
            let state = "SELECT index_key, reindexing_to FROM cipherform_domains WHERE name = $1";
            // Two who make it at the same time: the insertion of one does nothing, and the second turn
            // reads what the other made.
            for _ in 0..2 {
                if let Some(row) = client.query_opt(state, &[&name]).await.map_err(failed)? {
                    return domain_state(&row);
                }
                let make = "INSERT INTO cipherform_domains (name, index_key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                let made = client.execute(make, &[&name, &&index_key.as_bytes()[..]]).await;
                made.map_err(failed)?;
            }
            Err(Error::bug("a domain was made and is not there"))
        })
        .await
    }

    async fn find(&self, domain: &str, lookups: Vec<Lookup>, now: u64) -> Result<Vec<Option<KnownToken>>> {
        self.asked(Some(self.patience), async |connection| {
            let mut found = vec![None; lookups.len()];
            let Some(domain) = connection.domain(domain).await? else {
                return Ok(found);
            };
            // `ANY` answers in any order, and says nothing of what it did not find.
            let places: HashMap<&[u8], usize> = lookups.iter().zip(0..).map(|(lookup, at)| (&lookup[..], at)).collect();
            let asked: Vec<&[u8]> = lookups.iter().map(|lookup| &lookup[..]).collect();
            let query = connection.statement(FIND).await?;
            let rows = connection
                .client
                .query(&query, &[&domain, &asked, &now.cast_signed()])
                .await;
            for row in rows.map_err(failed)? {
                if let Some(at) = places.get(row.get::<_, &[u8]>(0)) {
                    found[*at] = Some(known(&row, 1)?);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn insert(&self, insertion: Arc<Insertion>) -> Result<Inserted> {
        self.asked(Some(self.patience), async |connection| {
            let Some(domain) = connection.domain(&insertion.domain).await? else {
                return Ok(Inserted::OtherIndex);
            };
            if insertion.entries.is_empty() {
                return Ok(Inserted::Done {
                    minted: Vec::new(),
                    used: Vec::new(),
                });
            }
            let mut attempt = 1;
            loop {
                match insert(&mut connection.client, domain, &insertion).await {
                    // Another transaction had rows that this one wanted, and the other way round: nothing of it is
                    // there.
                    Err(error) if attempt < ATTEMPTS && ran_into_another(&error) => attempt += 1,
                    done => return done,
                }
            }
        })
        .await
    }

    async fn reveal(&self, domain: &str, tokens: Vec<String>, now: u64) -> Result<Vec<Found>> {
        self.asked(Some(self.patience), async |connection| {
            let mut found = vec![Found::Unknown; tokens.len()];
            let Some(domain) = connection.domain(domain).await? else {
                return Ok(found);
            };
            let places: HashMap<&str, usize> = tokens.iter().zip(0..).map(|(token, at)| (token.as_str(), at)).collect();
            let query = connection.statement(REVEAL).await?;
            let rows = connection.client.query(&query, &[&domain, &tokens]).await;
            for row in rows.map_err(failed)? {
                let record = record(&row)?;
                let has_expired = record.expires.is_some_and(|expires| expires <= now);
                if let Some(at) = places.get(record.token.as_str()) {
                    found[*at] = match record.value {
                        Some((lookup, sealed)) if !has_expired => Found::Value {
                            lookup,
                            sealed,
                            expires: record.expires,
                        },
                        _ => Found::Emptied,
                    };
                }
            }
            Ok(found)
        })
        .await
    }

    async fn delete(&self, domain: &str, tokens: Vec<String>) -> Result<Emptied> {
        self.asked(Some(self.patience), async |connection| {
            let Some(domain) = connection.domain(domain).await? else {
                return Ok(Emptied::default());
            };
            let update = "UPDATE cipherform_tokens SET lookup = NULL, sealed = NULL, expires = NULL, tag = NULL
                WHERE domain = $1 AND token = ANY ($2) AND sealed IS NOT NULL";
            let rows = connection.client.execute(update, &[&domain, &tokens]).await;
            rows.map(emptied).map_err(failed)
        })
        .await
    }

    async fn expire(&self, domain: Option<&str>, now: u64) -> Result<Emptied> {
        // Without a limit: the work grows with the table.
        self.asked(None, async |connection| {
            let number = match domain {
                Some(name) => match connection.domain(name).await? {
                    None => return Ok(Emptied::default()),
                    number => number,
                },
                None => None,
            };
            let update = "UPDATE cipherform_tokens SET lookup = NULL, sealed = NULL, expires = NULL, tag = NULL
                WHERE sealed IS NOT NULL AND expires <= $2 AND ($1::int IS NULL OR domain = $1)";
            let rows = connection.client.execute(update, &[&number, &now.cast_signed()]).await;
            rows.map(emptied).map_err(failed)
        })
        .await
    }

    async fn stats(&self, now: u64) -> Result<Vec<DomainStats>> {
        self.asked(None, async |connection| {
            let query = "SELECT name, index_key, reindexing_to,
                    (SELECT max(100.0 * used / greatest(most, 1))::float8 FROM cipherform_spaces s WHERE s.domain = \
                        d.domain),
                    count(t.sealed) - count(*) FILTER (WHERE t.sealed IS NOT NULL AND t.expires <= $1),
                    count(t.token) - count(t.sealed),
                    count(*) FILTER (WHERE t.sealed IS NOT NULL AND t.expires <= $1)
                FROM cipherform_domains d LEFT JOIN cipherform_tokens t USING (domain)
                GROUP BY d.domain ORDER BY name COLLATE \"C\"";
            let rows = connection.client.query(query, &[&now.cast_signed()]).await;
            let stats = |row: &Row| {
                let state = domain_state_at(row, 1)?;
                let number = |at| row.get::<_, i64>(at).cast_unsigned();
                Ok(DomainStats {
                    domain: row.get(0),
                    index_key: state.index_key,
                    reindexing_to: state.reindexing_to,
                    fullest_percent: row.get(3),
                    tokens: number(4),
                    emptied: number(5),
                    expired: number(6),
                })
            };
            rows.map_err(failed)?.iter().map(stats).collect()
        })
        .await
    }

    async fn scan(&self, domain: &str, after: Option<String>, limit: usize) -> Result<Vec<Record>> {
        self.asked(Some(self.patience), async |connection| {
            let Some(domain) = connection.domain(domain).await? else {
                return Ok(Vec::new());
            };
            // No token is empty, so the empty text comes before the first.
            let (after, limit) = (after.unwrap_or_default(), limit as i64);
            let query = "SELECT token, lookup, sealed, expires, tag FROM cipherform_tokens
                WHERE domain = $1 AND token > $2 ORDER BY token LIMIT $3";
            let rows = connection.client.query(query, &[&domain, &after, &limit]).await;
            rows.map_err(failed)?.iter().map(record).collect()
        })
        .await
    }

    async fn replace(&self, domain: &str, replacements: Vec<Replacement>) -> Result<u64> {
        self.asked(Some(self.patience), async |connection| {
            let Some(domain) = connection.domain(domain).await? else {
                return Ok(0);
            };
            let tokens: Vec<&str> = replacements.iter().map(|new| new.token.as_str()).collect();
            let old: Vec<&[u8]> = replacements.iter().map(|new| &new.old[..]).collect();
            let lookups: Vec<&[u8]> = replacements.iter().map(|new| &new.lookup[..]).collect();
            let sealed: Vec<&[u8]> = replacements.iter().map(|new| &new.sealed[..]).collect();
            let tags: Vec<Option<&[u8]>> = replacements
                .iter()
                .map(|new| new.tag.as_ref().map(|tag| &tag[..]))
                .collect();
            let update = "UPDATE cipherform_tokens t SET lookup = new.lookup, sealed = new.sealed, tag = new.tag
                FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[])
                    AS new (token, old, lookup, sealed, tag)
                WHERE t.domain = $1 AND t.token = new.token AND t.sealed = new.old";
            let replaced = connection
                .client
                .execute(update, &[&domain, &tokens, &old, &lookups, &sealed, &tags])
                .await;
            replaced.map_err(failed)
        })
        .await
    }

    async fn begin_reindex(&self, domain: &str, to: KeyVersionId) -> Result<()> {
        self.asked(Some(self.patience), async |connection| {
            let update = "UPDATE cipherform_domains SET reindexing_to = $2
                WHERE name = $1 AND (reindexing_to IS NULL OR reindexing_to = $2)";
            let begun = connection.client.execute(update, &[&domain, &&to.as_bytes()[..]]).await;
            match begun.map_err(failed)? {
                1 => Ok(()),
                _ => Err(crate::tokens::store::reindexing_elsewhere(domain)),
            }
        })
        .await
    }

    async fn end_reindex(&self, domain: &str, to: KeyVersionId) -> Result<()> {
        self.asked(Some(self.patience), async |connection| {
            // Who was as far a moment before has done it.
            let update = "UPDATE cipherform_domains SET index_key = $2, reindexing_to = NULL
                WHERE name = $1 AND coalesce(reindexing_to, index_key) = $2";
            let ended = connection.client.execute(update, &[&domain, &&to.as_bytes()[..]]).await;
            match ended.map_err(failed)? {
                1 => Ok(()),
                _ => Err(crate::tokens::store::reindexing_elsewhere(domain)),
            }
        })
        .await
    }
}

/// One transaction; nothing of it is there unless it says so.
async fn insert(client: &mut Client, domain: i32, insertion: &Insertion) -> Result<Inserted> {
    let change = client.transaction().await.map_err(failed)?;
    // Held until the end, so that no re-index can begin in between.
    let state = "SELECT index_key, reindexing_to FROM cipherform_domains WHERE domain = $1 FOR SHARE";
    let state = domain_state(&change.query_one(state, &[&domain]).await.map_err(failed)?)?;
    if state.index_key != insertion.index_key || state.reindexing_to.is_some() {
        return Ok(Inserted::OtherIndex);
    }
    copy(&change, insertion).await?;
    let all = insertion.entries.len();
    // The usual case, all are new, takes no further query.
    let minted = if put(&change, domain).await? == all as u64 {
        vec![Minted::New; all]
    } else {
        tell_apart(&change, domain, insertion).await?
    };
    let inserted = count(&change, domain, insertion, minted).await?;
    if matches!(inserted, Inserted::Done { .. }) {
        change.commit().await.map_err(failed)?;
    }
    Ok(inserted)
}

/// The entries, into the temporary table.
async fn copy(change: &Transaction<'_>, insertion: &Insertion) -> Result<()> {
    let sink = change
        .copy_in("COPY cipherform_new FROM STDIN BINARY")
        .await
        .map_err(failed)?;
    let types = [Type::TEXT, Type::BYTEA, Type::BYTEA, Type::INT8, Type::BYTEA];
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for entry in &insertion.entries {
        let expires = entry.expires.map(u64::cast_signed);
        let (lookup, tag) = (&entry.lookup[..], &entry.tag[..]);
        writer
            .as_mut()
            .write(&[&entry.token, &lookup, &entry.sealed, &expires, &tag])
            .await
            .map_err(failed)?;
    }
    writer.finish().await.map(drop).map_err(failed)
}

/// Inserts the new rows of the temporary table into the table: in one order for everybody, so that two seldom wait
/// for each other.
async fn put(change: &Transaction<'_>, domain: i32) -> Result<u64> {
    let statement = "INSERT INTO cipherform_tokens (domain, token, lookup, sealed, expires, tag)
        SELECT $1, token, lookup, sealed, expires, tag FROM cipherform_new ORDER BY lookup ON CONFLICT DO NOTHING";
    change.execute(statement, &[&domain]).await.map_err(failed)
}

/// The result of each entry, after some could not be inserted.
async fn tell_apart(change: &Transaction<'_>, domain: i32, insertion: &Insertion) -> Result<Vec<Minted>> {
    // Rows of this transaction are left out: one that was just put in may have expired by `now`, too.
    let empty = "UPDATE cipherform_tokens t SET lookup = NULL, sealed = NULL, expires = NULL, tag = NULL
        FROM cipherform_new new
        WHERE t.domain = $1 AND t.lookup = new.lookup AND t.expires <= $2 AND t.xmin <> pg_current_xact_id()::xid";
    let now = insertion.now.cast_signed();
    if change.execute(empty, &[&domain, &now]).await.map_err(failed)? > 0 {
        put(change, domain).await?;
    }
    // `xmin` is the transaction that wrote a row: ours if it is of this insertion.
    let query = "SELECT t.lookup, t.xmin = pg_current_xact_id()::xid, t.token, t.expires, t.tag
        FROM cipherform_new new JOIN cipherform_tokens t ON t.domain = $1 AND t.lookup = new.lookup";
    let rows = change.query(query, &[&domain]).await.map_err(failed)?;
    let mut stored: HashMap<&[u8], (bool, KnownToken)> = HashMap::with_capacity(rows.len());
    for row in &rows {
        stored.insert(row.get(0), (row.get(1), known(row, 2)?));
    }
    let result = |lookup: &Lookup| match stored.remove(&lookup[..]) {
        Some((true, _)) => Minted::New,
        Some((false, known)) => Minted::Known(known),
        // No row has the hash, so it was the token that was in conflict.
        None => Minted::TokenTaken,
    };
    Ok(insertion
        .entries
        .iter()
        .map(|entry| &entry.lookup)
        .map(result)
        .collect())
}

/// Counts what was put in, and refuses what would be too much.
async fn count(change: &Transaction<'_>, domain: i32, insertion: &Insertion, minted: Vec<Minted>) -> Result<Inserted> {
    let mut added = vec![0i64; insertion.spaces.len()];
    let mut wanted = added.clone();
    for (entry, minted) in insertion.entries.iter().zip(&minted) {
        if let Some(space) = entry.space {
            wanted[space] += i64::from(!matches!(minted, Minted::Known(_)));
            added[space] += i64::from(*minted == Minted::New);
        }
    }
    let mut used = vec![0; added.len()];
    if used.is_empty() {
        return Ok(Inserted::Done { minted, used });
    }
    // In one order for everybody.
    let mut order: Vec<usize> = (0..added.len()).collect();
    order.sort_unstable_by_key(|at| insertion.spaces[*at].id);
    let ids: Vec<&[u8]> = order.iter().map(|at| &insertion.spaces[*at].id[..]).collect();
    let more: Vec<i64> = order.iter().map(|at| added[*at]).collect();
    let most: Vec<i64> = order
        .iter()
        .map(|at| insertion.spaces[*at].limit.cast_signed())
        .collect();
    let statement = "INSERT INTO cipherform_spaces AS s (domain, space, used, most)
        SELECT $1, * FROM unnest($2::bytea[], $3::int8[], $4::int8[])
        ON CONFLICT (domain, space) DO UPDATE SET used = s.used + excluded.used RETURNING space, used";
    let rows = change
        .query(statement, &[&domain, &ids, &more, &most])
        .await
        .map_err(failed)?;
    let now: HashMap<&[u8], i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (at, space) in insertion.spaces.iter().enumerate() {
        let count = now.get(&space.id[..]).copied().unwrap_or_default();
        let would_be = (count + wanted[at] - added[at]).cast_unsigned();
        // The row of the space is locked by the statement above until the commit, so two transactions
        // cannot both take the last places. Returning here drops the transaction, which undoes it.
        if wanted[at] > 0 && would_be > space.limit {
            return Ok(Inserted::Full {
                space: at,
                used: would_be,
            });
        }
        used[at] = count.cast_unsigned();
    }
    Ok(Inserted::Done { minted, used })
}

fn domain_state(row: &Row) -> Result<DomainState> {
    domain_state_at(row, 0)
}

fn domain_state_at(row: &Row, at: usize) -> Result<DomainState> {
    let key = |bytes: &[u8]| {
        let id: Result<[u8; 16], _> = bytes.try_into();
        id.map(KeyVersionId::from_bytes).map_err(|_| damaged())
    };
    Ok(DomainState {
        index_key: key(row.get(at))?,
        reindexing_to: row.get::<_, Option<&[u8]>>(at + 1).map(key).transpose()?,
    })
}

fn record(row: &Row) -> Result<Record> {
    let lookup: Option<&[u8]> = row.get(1);
    let lookup = lookup.map(Lookup::try_from).transpose().map_err(|_| damaged())?;
    Ok(Record {
        token: row.get(0),
        value: lookup.zip(row.get(2)),
        expires: row.get::<_, Option<i64>>(3).map(i64::cast_unsigned),
        tag: tag(row.get(4))?,
    })
}

/// Token, end of life and tag of a row, from column `at` on.
fn known(row: &Row, at: usize) -> Result<KnownToken> {
    Ok(KnownToken {
        token: row.get(at),
        expires: row.get::<_, Option<i64>>(at + 1).map(i64::cast_unsigned),
        tag: tag(row.get(at + 2))?,
    })
}

/// An UPDATE leaves the rows as they were in the server's files, until they are vacuumed.
fn emptied(rows: u64) -> Emptied {
    Emptied {
        rows,
        remains: (rows > 0).then_some(Remains::DeadRows),
    }
}

fn tag(bytes: Option<&[u8]>) -> Result<Option<RowTag>> {
    bytes.map(RowTag::try_from).transpose().map_err(|_| damaged())
}

impl fmt::Debug for PostgresTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTokens")
            .field("place", &self.place)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
