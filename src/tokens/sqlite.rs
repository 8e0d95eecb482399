//! Tokens in an SQLite file: the embedded default.
//!
//! Write-ahead logging with `synchronous = FULL`, so that what was told is there after a crash, too: a token that is
//! in a protected file but not in its store could never be revealed. `secure_delete` overwrites what is emptied.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{
    DomainState, DomainStats, Emptied, Found, Inserted, Insertion, KnownToken, Lookup, Minted, Record, Remains,
    Replacement, TokenStore,
};
use crate::keys::{KeyVersionId, StoreId};
use crate::{Error, ErrorKind, Result};

/// How long to wait for others that write.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for readers, to cut off the log.
const BRIEFLY: Duration = Duration::from_secs(1);

/// `user_version` of the file. Version 1 had no tags.
const VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE cipherform_store (id BLOB NOT NULL);
CREATE TABLE cipherform_domains (
    domain INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    index_key BLOB NOT NULL,
    reindexing_to BLOB
);
CREATE TABLE cipherform_spaces (
    domain INTEGER NOT NULL,
    space BLOB NOT NULL,
    used INTEGER NOT NULL,
    most INTEGER NOT NULL,
    PRIMARY KEY (domain, space)
) WITHOUT ROWID;
CREATE TABLE cipherform_tokens (
    domain INTEGER NOT NULL,
    token TEXT NOT NULL,
    lookup BLOB,
    sealed BLOB,
    expires INTEGER,
    tag BLOB,
    PRIMARY KEY (domain, token)
) WITHOUT ROWID;
CREATE UNIQUE INDEX cipherform_lookups ON cipherform_tokens (domain, lookup);
CREATE INDEX cipherform_expiring ON cipherform_tokens (domain, expires) WHERE expires IS NOT NULL;
";

/// Brings a file of version 1 to this one: its rows have no tag until they are re-indexed.
const ADD_TAGS: &str = "ALTER TABLE cipherform_tokens ADD COLUMN tag BLOB;";

/// An SQLite file of tokens. Clones share the connection; processes share the file.
#[derive(Clone)]
pub struct SqliteTokens {
    path: PathBuf,
    id: StoreId,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    connection: Connection,
    domains: HashMap<String, i64>,
}

impl SqliteTokens {
    /// Opens the file at `path`, making it, readable by its owner alone, if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the system refuses, [`ErrorKind::BadInput`] when the file is something else.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(path)).await;
        opened.map_err(|error| Error::bug("opening a token store failed").with_source(error))?
    }

    fn open_blocking(path: PathBuf) -> Result<Self> {
        make_private(&path)?;
        let open = || -> rusqlite::Result<(Connection, Option<StoreId>)> {
            let mut connection = Connection::open_with_flags(
                &path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?;
            connection.busy_timeout(PATIENCE)?;
            rusqlite::vtab::array::load_module(&connection)?;
            connection.set_prepared_statement_cache_capacity(32);
            write_ahead(&connection)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "secure_delete", "ON")?;
            // Sorts and temporary tables would be files elsewhere.
            connection.pragma_update(None, "temp_store", "MEMORY")?;
            // 64 MiB: the upper levels of both trees of ten million tokens.
            connection.pragma_update(None, "cache_size", -65_536)?;
            // Who only reads what is there already waits for nobody.
            let made: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if made == VERSION {
                let id: [u8; 16] = connection.query_row("SELECT id FROM cipherform_store", [], |row| row.get(0))?;
                return Ok((connection, Some(StoreId::from_bytes(id))));
            }
            // Read again under the write lock: another process may have made the tables since.
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let version: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let tables: i64 = change.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            let id = match (version, tables) {
                (0, 0) => match StoreId::random() {
                    Ok(id) => {
                        change.execute_batch(SCHEMA)?;
                        change.execute("INSERT INTO cipherform_store (id) VALUES (?1)", [id.as_bytes()])?;
                        change.pragma_update(None, "user_version", VERSION)?;
                        Some(id)
                    }
                    Err(_) => None,
                },
                (1 | VERSION, _) => {
                    if version == 1 {
                        change.execute_batch(ADD_TAGS)?;
                        change.pragma_update(None, "user_version", VERSION)?;
                    }
                    let id: [u8; 16] = change.query_row("SELECT id FROM cipherform_store", [], |row| row.get(0))?;
                    Some(StoreId::from_bytes(id))
                }
                _ => None,
            };
            change.commit()?;
            Ok((connection, id))
        };
        let (connection, id) = open().map_err(|error| failed(&path, error))?;
        let id = id.ok_or_else(|| {
            Error::bad_input(format!(
                "`{}` is an SQLite file, but no token store of this version",
                path.display()
            ))
        })?;
        Ok(Self {
            path,
            id,
            inner: Arc::new(Mutex::new(Inner {
                connection,
                domains: HashMap::new(),
            })),
        })
    }

    /// Does `work` on a thread where waiting is allowed.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inner) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || {
            let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut inner)
        });
        let done = done
            .await
            .map_err(|error| Error::bug("a call of a token store failed").with_source(error))?;
        done.map_err(|error| failed(&self.path, error))
    }
}

impl Inner {
    /// The number of a domain, if it is there.
    fn domain(&mut self, name: &str) -> rusqlite::Result<Option<i64>> {
        if let Some(domain) = self.domains.get(name) {
            return Ok(Some(*domain));
        }
        let mut query = self
            .connection
            .prepare_cached("SELECT domain FROM cipherform_domains WHERE name = ?1")?;
        let domain: Option<i64> = query.query_row([name], |row| row.get(0)).optional()?;
        drop(query);
        if let Some(domain) = domain {
            self.domains.insert(name.to_owned(), domain);
        }
        Ok(domain)
    }

    fn change(&mut self) -> rusqlite::Result<Transaction<'_>> {
        // IMMEDIATE: a transaction that reads first and then writes cannot wait for another writer, and
        // would fail as busy.
        self.connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

#[async_trait]
impl TokenStore for SqliteTokens {
    fn id(&self) -> StoreId {
        self.id
    }

    async fn domain(&self, name: &str, index_key: KeyVersionId) -> Result<DomainState> {
        let name = name.to_owned();
        self.run(move |inner| {
            if let Some(state) = state(&inner.connection, &name)? {
                return Ok(state);
            }
            let change = inner.change()?;
            change.execute(
                "INSERT OR IGNORE INTO cipherform_domains (name, index_key) VALUES (?1, ?2)",
                params![name, index_key.as_bytes()],
            )?;
            let made = state(&change, &name)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            change.commit()?;
            Ok(made)
        })
        .await
    }

    async fn find(&self, domain: &str, lookups: Vec<Lookup>, now: u64) -> Result<Vec<Option<KnownToken>>> {
        let domain = domain.to_owned();
        self.run(move |inner| {
            let Some(domain) = inner.domain(&domain)? else {
                return Ok(vec![None; lookups.len()]);
            };
            // One view of the store, and one lock, for all of them.
            let view = inner.connection.transaction()?;
            let mut found = vec![None; lookups.len()];
            {
                // One statement for all: a statement for each costs more than its search of the tree.
                let mut query = view.prepare_cached(
                    "SELECT l.rowid, t.token, t.expires, t.tag FROM rarray(?1) l CROSS JOIN cipherform_tokens t
                     WHERE t.domain = ?2 AND t.lookup = l.value AND (t.expires IS NULL OR t.expires > ?3)",
                )?;
                let order = in_order(&lookups);
                let wanted: Vec<Value> = order.iter().map(|at| Value::Blob(lookups[*at].to_vec())).collect();
                query.raw_bind_parameter(1, Rc::new(wanted))?;
                query.raw_bind_parameter(2, domain)?;
                query.raw_bind_parameter(3, now.cast_signed())?;
                let mut rows = query.raw_query();
                while let Some(row) = rows.next()? {
                    // Rows of `rarray` are counted from 1.
                    let place: usize = row.get::<_, i64>(0)? as usize - 1;
                    found[order[place]] = Some(known(row, 1)?);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn insert(&self, insertion: Arc<Insertion>) -> Result<Inserted> {
        self.run(move |inner| {
            let Some(domain) = inner.domain(&insertion.domain)? else {
                return Ok(Inserted::OtherIndex);
            };
            let change = inner.change()?;
            let state = state(&change, &insertion.domain)?;
            if state.is_none_or(|state| state.index_key != insertion.index_key || state.reindexing_to.is_some()) {
                return Ok(Inserted::OtherIndex);
            }
            let inserted = insert(&change, domain, &insertion)?;
            if matches!(inserted, Inserted::Done { .. }) {
                change.commit()?;
            }
            Ok(inserted)
        })
        .await
    }

    async fn reveal(&self, domain: &str, tokens: Vec<String>, now: u64) -> Result<Vec<Found>> {
        let domain = domain.to_owned();
        self.run(move |inner| {
            let Some(domain) = inner.domain(&domain)? else {
                return Ok(vec![Found::Unknown; tokens.len()]);
            };
            let view = inner.connection.transaction()?;
            let mut found = vec![Found::Unknown; tokens.len()];
            {
                let mut query = view.prepare_cached(
                    "SELECT lookup, sealed, expires FROM cipherform_tokens WHERE domain = ?1 AND token = ?2",
                )?;
                for at in in_order(&tokens) {
                    let mut rows = query.query(params![domain, tokens[at]])?;
                    let Some(row) = rows.next()? else { continue };
                    let (value, expires) = (value(row, 0)?, row.get(2)?);
                    found[at] = match value {
                        Some((lookup, sealed)) if !has_expired(expires, now) => Found::Value {
                            lookup,
                            sealed,
                            expires: expires.map(i64::cast_unsigned),
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
        let domain = domain.to_owned();
        self.run(move |inner| {
            let Some(domain) = inner.domain(&domain)? else {
                return Ok(Emptied::default());
            };
            let change = inner.change()?;
            let mut rows = 0;
            {
                let mut update = change.prepare_cached(
                    "UPDATE cipherform_tokens SET lookup = NULL, sealed = NULL, expires = NULL, tag = NULL
                     WHERE domain = ?1 AND token = ?2 AND sealed IS NOT NULL",
                )?;
                for token in &tokens {
                    rows += update.execute(params![domain, token])? as u64;
                }
            }
            change.commit()?;
            let remains = forget_log(&inner.connection)?;
            Ok(Emptied { rows, remains })
        })
        .await
    }

    async fn expire(&self, domain: Option<&str>, now: u64) -> Result<Emptied> {
        let domain = domain.map(str::to_owned);
        self.run(move |inner| {
            let number = match &domain {
                Some(name) => match inner.domain(name)? {
                    None => return Ok(Emptied::default()),
                    number => number,
                },
                None => None,
            };
            let change = inner.change()?;
            let rows = change.execute(
                "UPDATE cipherform_tokens SET lookup = NULL, sealed = NULL, expires = NULL, tag = NULL
                 WHERE sealed IS NOT NULL AND expires <= ?2 AND (?1 IS NULL OR domain = ?1)",
                params![number, now.cast_signed()],
            )?;
            change.commit()?;
            let remains = forget_log(&inner.connection)?;
            Ok(Emptied {
                rows: rows as u64,
                remains,
            })
        })
        .await
    }

    async fn stats(&self, now: u64) -> Result<Vec<DomainStats>> {
        self.run(move |inner| {
            let mut query = inner.connection.prepare_cached(
                "SELECT name, index_key, reindexing_to,
                     (SELECT max(100.0 * used / max(most, 1)) FROM cipherform_spaces s WHERE s.domain = d.domain),
                     count(t.sealed) - count(CASE WHEN t.sealed IS NOT NULL AND t.expires <= ?1 THEN 1 END),
                     count(t.token) - count(t.sealed),
                     count(CASE WHEN t.sealed IS NOT NULL AND t.expires <= ?1 THEN 1 END)
                 FROM cipherform_domains d LEFT JOIN cipherform_tokens t USING (domain)
                 GROUP BY d.domain ORDER BY name",
            )?;
            let stats = query.query_map([now.cast_signed()], |row| {
                Ok(DomainStats {
                    domain: row.get(0)?,
                    index_key: KeyVersionId::from_bytes(row.get(1)?),
                    reindexing_to: row.get::<_, Option<[u8; 16]>>(2)?.map(KeyVersionId::from_bytes),
                    fullest_percent: row.get(3)?,
                    tokens: row.get::<_, i64>(4)?.cast_unsigned(),
                    emptied: row.get::<_, i64>(5)?.cast_unsigned(),
                    expired: row.get::<_, i64>(6)?.cast_unsigned(),
                })
            })?;
            stats.collect()
        })
        .await
    }

    async fn scan(&self, domain: &str, after: Option<String>, limit: usize) -> Result<Vec<Record>> {
        let domain = domain.to_owned();
        self.run(move |inner| {
            let Some(domain) = inner.domain(&domain)? else {
                return Ok(Vec::new());
            };
            let mut query = inner.connection.prepare_cached(
                "SELECT token, lookup, sealed, expires, tag FROM cipherform_tokens
                 WHERE domain = ?1 AND (?2 IS NULL OR token > ?2) ORDER BY token LIMIT ?3",
            )?;
            let rows = query.query_map(params![domain, after, limit as i64], |row| {
                Ok(Record {
                    token: row.get(0)?,
                    value: value(row, 1)?,
                    expires: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                    tag: row.get(4)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    async fn replace(&self, domain: &str, replacements: Vec<Replacement>) -> Result<u64> {
        let domain = domain.to_owned();
        self.run(move |inner| {
            let Some(domain) = inner.domain(&domain)? else {
                return Ok(0);
            };
            let change = inner.change()?;
            let mut replaced = 0;
            {
                let mut update = change.prepare_cached(
                    "UPDATE cipherform_tokens SET lookup = ?4, sealed = ?5, tag = ?6
                     WHERE domain = ?1 AND token = ?2 AND sealed = ?3",
                )?;
                for new in &replacements {
                    let row = params![domain, new.token, new.old, new.lookup, new.sealed, new.tag];
                    replaced += update.execute(row)? as u64;
                }
            }
            change.commit()?;
            Ok(replaced)
        })
        .await
    }

    async fn begin_reindex(&self, domain: &str, to: KeyVersionId) -> Result<()> {
        let name = domain.to_owned();
        let begun = self.run(move |inner| {
            inner.connection.execute(
                "UPDATE cipherform_domains SET reindexing_to = ?2
                 WHERE name = ?1 AND (reindexing_to IS NULL OR reindexing_to = ?2)",
                params![name, to.as_bytes()],
            )
        });
        match begun.await? {
            1 => Ok(()),
            _ => Err(super::store::reindexing_elsewhere(domain)),
        }
    }

    async fn end_reindex(&self, domain: &str, to: KeyVersionId) -> Result<()> {
        let name = domain.to_owned();
        let ended = self.run(move |inner| {
            // Who was as far a moment before has done it.
            inner.connection.execute(
                "UPDATE cipherform_domains SET index_key = ?2, reindexing_to = NULL
                 WHERE name = ?1 AND coalesce(reindexing_to, index_key) = ?2",
                params![name, to.as_bytes()],
            )
        });
        match ended.await? {
            1 => Ok(()),
            _ => Err(super::store::reindexing_elsewhere(domain)),
        }
    }
}

/// Inserts as far as it fits; the caller commits, or lets it go.
fn insert(change: &Transaction<'_>, domain: i64, insertion: &Insertion) -> rusqlite::Result<Inserted> {
    let mut minted = vec![Minted::New; insertion.entries.len()];
    let mut added = vec![0u64; insertion.spaces.len()];
    let mut wanted = added.clone();
    let mut put = change.prepare_cached(
        "INSERT INTO cipherform_tokens (domain, token, lookup, sealed, expires, tag) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
    )?;
    let mut known_row =
        change.prepare_cached("SELECT token, expires, tag FROM cipherform_tokens WHERE domain = ?1 AND lookup = ?2")?;
    let mut empty = change.prepare_cached(
        "UPDATE cipherform_tokens SET lookup = NULL, sealed = NULL, expires = NULL, tag = NULL
         WHERE domain = ?1 AND token = ?2",
    )?;
    // In the order of the tokens, which is that of the table.
    let mut order: Vec<usize> = (0..minted.len()).collect();
    order.sort_unstable_by(|one, other| insertion.entries[*one].token.cmp(&insertion.entries[*other].token));
    for at in order {
        let entry = &insertion.entries[at];
        let expires = entry.expires.map(u64::cast_signed);
        let row = params![domain, entry.token, entry.lookup, entry.sealed, expires, entry.tag];
        let mut done = put.execute(row)? == 1;
        if !done {
            let known = known_row.query_row(params![domain, entry.lookup], |row| known(row, 0));
            match known.optional()? {
                Some(known) if known.expires.is_some_and(|expires| expires <= insertion.now) => {
                    empty.execute(params![domain, known.token])?;
                    done = put.execute(row)? == 1;
                }
                Some(known) => {
                    minted[at] = Minted::Known(known);
                    continue;
                }
                None => {}
            }
        }
        // No row has the look-up hash, or that one was emptied: it is the token that is taken.
        if !done {
            minted[at] = Minted::TokenTaken;
        }
        if let Some(space) = entry.space {
            wanted[space] += 1;
            added[space] += u64::from(done);
        }
    }
    let mut count = change.prepare_cached(
        "INSERT INTO cipherform_spaces (domain, space, used, most) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (domain, space) DO UPDATE SET used = used + excluded.used RETURNING used",
    )?;
    let mut used = Vec::with_capacity(added.len());
    for (place, space) in insertion.spaces.iter().enumerate() {
        let row = params![domain, space.id, added[place].cast_signed(), space.limit.cast_signed()];
        let now: u64 = count.query_row(row, |row| row.get::<_, i64>(0))?.cast_unsigned();
        let would_be = now + wanted[place] - added[place];
        if wanted[place] > 0 && would_be > space.limit {
            // The caller does not commit, so what was put in above is undone.
            return Ok(Inserted::Full {
                space: place,
                used: would_be,
            });
        }
        used.push(now);
    }
    Ok(Inserted::Done { minted, used })
}

fn state(connection: &Connection, name: &str) -> rusqlite::Result<Option<DomainState>> {
    connection
        .prepare_cached("SELECT index_key, reindexing_to FROM cipherform_domains WHERE name = ?1")?
        .query_row([name], |row| {
            Ok(DomainState {
                index_key: KeyVersionId::from_bytes(row.get(0)?),
                reindexing_to: row.get::<_, Option<[u8; 16]>>(1)?.map(KeyVersionId::from_bytes),
            })
        })
        .optional()
}

/// Look-up hash and sealed value of a row, from column `at` on.
fn value(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<(Lookup, Vec<u8>)>> {
    let (lookup, sealed): (Option<Lookup>, Option<Vec<u8>>) = (row.get(at)?, row.get(at + 1)?);
    Ok(lookup.zip(sealed))
}

/// Token, end of life and tag of a row, from column `at` on.
fn known(row: &Row<'_>, at: usize) -> rusqlite::Result<KnownToken> {
    Ok(KnownToken {
        token: row.get(at)?,
        expires: row.get::<_, Option<i64>>(at + 1)?.map(i64::cast_unsigned),
        tag: row.get(at + 2)?,
    })
}

fn has_expired(expires: Option<i64>, now: u64) -> bool {
    expires.is_some_and(|expires| expires.cast_unsigned() <= now)
}

/// The places of `items` in the items' order, so that neighbours in the tree are met one after the other.
fn in_order<T: Ord>(items: &[T]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_unstable_by(|one, other| items[*one].cmp(&items[*other]));
    order
}

/// Copies the log into the file and cuts it off, so that what was emptied stands in neither. While others read, it
/// remains, and is left to the next time.
fn forget_log(connection: &Connection) -> rusqlite::Result<Option<Remains>> {
    // While it waits for readers it keeps writers out.
    connection.busy_timeout(BRIEFLY)?;
    // Its first column tells whether somebody was in the way, which is no error.
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    connection.busy_timeout(PATIENCE)?;
    Ok(is_busy?.then_some(Remains::Log))
}

/// Gives the file a write-ahead log, which it keeps.
///
/// SQLite reads the file's mode before it changes it, and with a read lock in hand does not wait for another process
/// that is changing it, too, as `busy_timeout` would have it: that could wait for ever. So the waiting is ours.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let start = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

/// Makes the file, if it is not there, for its owner alone. SQLite gives its log the same mode.
fn make_private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    // Not truncated: it may be a store.
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, crate::fs::PRIVATE);
    options
        .open(path)
        .map(drop)
        .map_err(|error| Error::io(format!("cannot open the token store `{}`", path.display()), error))
}

/// SQLite's words, which name no values; and what to do.
fn failed(path: &Path, error: rusqlite::Error) -> Error {
    let store = path.display();
    let error_of = |kind, what: &str| Error::new(kind, format!("token store `{store}`: {what}"));
    let described = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            error_of(ErrorKind::ProviderDown, "others have kept it locked for a minute").with_hint("try again")
        }
        Some(ErrorCode::DiskFull) => {
            error_of(ErrorKind::Io, "the disk is full").with_hint("nothing of this batch was stored")
        }
        Some(ErrorCode::NotADatabase) => error_of(ErrorKind::BadInput, "this is no SQLite file"),
        Some(ErrorCode::DatabaseCorrupt) => error_of(ErrorKind::Io, "the file is damaged")
            .with_hint("take it back from a backup; `sqlite3 FILE .recover` may save the rest"),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            error_of(ErrorKind::Io, "it cannot be written")
                .with_hint("file and folder must be writable: SQLite keeps its log beside the file")
        }
        Some(ErrorCode::SystemIoFailure) => error_of(ErrorKind::Io, "the system cannot read or write it"),
        _ => error_of(ErrorKind::Io, "an operation failed"),
    };
    described.with_source(error)
}

impl fmt::Debug for SqliteTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTokens")
            .field("path", &self.path)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
