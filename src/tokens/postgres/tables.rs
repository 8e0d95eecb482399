//! The tables of a store, made and brought to this version.

use tokio_postgres::Client;

use super::errors::{damaged, failed};
use crate::keys::StoreId;
use crate::{Error, ErrorKind, Result};

/// The version of the tables. Version 1 had no tags.
const VERSION: i32 = 2;

/// One who makes the tables keeps others from doing so at the same time.
const SCHEMA: &str = "
SELECT pg_advisory_xact_lock(7163386542);
CREATE TABLE IF NOT EXISTS cipherform_store (version int NOT NULL, id bytea NOT NULL);
CREATE TABLE IF NOT EXISTS cipherform_domains (
    domain int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    index_key bytea NOT NULL,
    reindexing_to bytea
);
CREATE TABLE IF NOT EXISTS cipherform_spaces (
    domain int NOT NULL,
    space bytea NOT NULL,
    used bigint NOT NULL,
    most bigint NOT NULL,
    PRIMARY KEY (domain, space)
);
CREATE TABLE IF NOT EXISTS cipherform_tokens (
    domain int NOT NULL,
    token text COLLATE \"C\" NOT NULL,
    lookup bytea,
    sealed bytea,
    expires bigint,
    tag bytea,
    PRIMARY KEY (domain, token)
);
CREATE INDEX IF NOT EXISTS cipherform_expiring ON cipherform_tokens (domain, expires) WHERE expires IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS cipherform_lookups ON cipherform_tokens (domain, lookup);
";

/// Brings tables of version 1 to this one: their rows have no tag until they are re-indexed.
const ADD_TAGS: &str = "
SELECT pg_advisory_xact_lock(7163386542);
ALTER TABLE cipherform_tokens ADD COLUMN IF NOT EXISTS tag bytea;
UPDATE cipherform_store SET version = 2;
";

/// Makes the tables if they are not there, or brings those of version 1 to this one. Returns the store's identity.
pub(super) async fn make(client: &mut Client) -> Result<StoreId> {
    // Asked first, without the lock: a user who may only read and write, and not make tables, can open
    // the store.
    let there = client
        .query_one("SELECT to_regclass('cipherform_lookups') IS NOT NULL", &[])
        .await;
    let change = client.transaction().await.map_err(failed)?;
    if !there.map_err(failed)?.get::<_, bool>(0) {
        change.batch_execute(SCHEMA).await.map_err(failed)?;
        let id = StoreId::random()?;
        let statement =
            "INSERT INTO cipherform_store (version, id) SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM cipherform_store)";
        change
            .execute(statement, &[&VERSION, &&id.as_bytes()[..]])
            .await
            .map_err(failed)?;
    }
    let row = change
        .query_one("SELECT version, id FROM cipherform_store", &[])
        .await
        .map_err(failed)?;
    let (version, id): (i32, Result<[u8; 16], _>) = (row.get(0), row.get::<_, &[u8]>(1).try_into());
    match version {
        VERSION => {}
        1 => {
            let added = change.batch_execute(ADD_TAGS).await.map_err(failed);
            added.map_err(|error| match error.kind() {
                ErrorKind::NotAllowed => error
                    .context("the token tables are of version 1")
                    .with_hint("let the user who made them open the store once with this version: a column is added"),
                _ => error,
            })?;
        }
        _ => return Err(Error::bad_input("the database holds token tables of another version")),
    }
    change.commit().await.map_err(failed)?;
    id.map(StoreId::from_bytes).map_err(|_| damaged())
}
