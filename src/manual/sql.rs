//! SQL: functions, tables, roles, and what `cipherform query` does and refuses.
//!
//! # Functions
//!
//! | function | does | a role needs |
//! | --- | --- | --- |
//! | `protect(v, 'rule' [, tweak])` | protects `v` as the rule says, under the active key version | `protect = true` |
//! | `reveal(v, 'rule' [, tweak])` | undoes it | `plain` |
//! | `fpe_encrypt(v, 'rule' [, tweak])` | the FF1 underneath; a given tweak takes the place of the rule's, byte for byte | `protect = true` |
//! | `fpe_decrypt(v, 'rule' [, tweak])` | its inverse | `plain` |
//! | `tokenize(v, 'rule')` | the token of `v`, minted if it has none: [`tokens`](super::tokens) | `protect = true` |
//! | `detokenize(t, 'rule')` | the value of a token | `plain` |
//! | `mask(v, 'rule')` | letters, digits and the format's other symbols replaced as the rule's `mask` says; needs no key | nothing |
//! | `mask(column)` | the mask of a column that the role sees masked, as text to compute with | – |
//! | `stored(column)` | the ciphertext of a column that the role sees masked or protected, as text to compute with | – |
//! | `cipherform_grants()` | a table: what the role sees of each protected column | nothing |
//!
//! * The rule is a literal, since its key is looked up while the query is planned. `'card@2'` names a key version: to
//!   reveal, any that the keyring has; to protect, only the active one.
//! * For `protect` and `reveal` the tweak is the value of the rule's tweak column. It is required for rules that have
//!   one, and refused for others.
//! * The type of the result is the type of `v`. NULL gives NULL. Text takes every format; `INT` and `BIGINT` take
//!   `integer`.
//! * They are immutable: constant arguments are computed once, when the query is planned. But `tokenize` and
//!   `detokenize` are volatile: they ask their store when the query runs, and never while it is planned.
//! * Rows in an error message are counted within the batch, since a query has no file order.
//!
//! ## Guards
//!
//! A value that does not fit its rule fails the statement. `CASE` and `coalesce` keep rows from a function:
//!
//! ```sql
//! SELECT CASE WHEN ssn ~ '^[0-9]{3}-[0-9]{2}-[0-9]{4}$' THEN protect(ssn, 'ssn') END FROM messy;
//! SELECT count(*) FROM messy WHERE CASE WHEN valid THEN protect(ssn, 'ssn') = $1 ELSE false END;
//! ```
//!
//! `AND` does not: SQL promises no order of its sides, and DataFusion computes both on all rows.
//!
//! # Tables
//!
//! A [`Session`](crate::sql::Session) has the functions and the tables, and resolves every key version that they may
//! need when it begins. A rule whose key is missing is an error when it is used; a KMS that does not answer is one at
//! once.
//!
//! [`register_file`](crate::sql::Session::register_file) takes a Parquet file, a pattern (`2026/*.parquet`) or a folder
//! of files, whose parts `country=fr/` become columns; who has no role may name one in the statement as well (`FROM
//! 'people.parquet'`). [`register_batches`](crate::sql::Session::register_batches) takes record batches. Files are
//! listed and their footers read once, when the table is opened: a file that changes later is an error, and a file that
//! comes later is not in the table. Parts of a folder may have been protected under unlike key versions, and may lack
//! columns. What is refused: a mixture of plain and protected files, unlike types of one column, two columns of one
//! name, and a rule on a column that folders have, since its values stand in paths.
//!
//! With an engine, each protected column that the role sees plain becomes `reveal(column, 'rule@version')` with what
//! its metadata names, in a view; rule and key are compared with the metadata there and then. So `SELECT … WHERE ssn =
//! '…'` and joins on revealed values just work, whatever version each file has. Without an engine, the table is what is
//! stored.
//!
//! A struct or list with protected fields comes with those revealed that the role sees plain. What is one-way (hashes,
//! buckets) is what is stored.
//!
//! Every row that a query needs is revealed. A comparison with a literal does not yet turn into one with its
//! ciphertext, so the statistics of a protected column prune nothing.
//!
//! A result has no metadata. Stored values written out by a query are ciphertext that no longer says so: reveal them
//! with `reveal --key-version`. To keep the metadata, protect files with `protect`.
//!
//! # Roles
//!
//! ```toml
//! [roles.analyst]
//! card = "masked"          # symbols of the format replaced as the rule's `mask` says; integers are NULL
//! custkey = "protected"    # the ciphertext
//! phone = "plain"          # the value
//! "*" = "denied"           # every other rule; without this line, too
//!
//! [roles.loader]
//! card = { see = "plain", protect = true }    # `protect`, `fpe_encrypt`, `tokenize`: a right of its own
//!
//! [roles.support]
//! card = { see = "masked", search = true, insecure_oracle = "finds the customer who calls" }
//! email = { see = "masked", equality = false }    # shown and counted, never compared
//! ```
//!
//! [`Engine::with_role`](crate::Engine::with_role) binds an engine to a role. Without a role everything is plain: the
//! host trusts whoever calls. SQL cannot name a role. `DESCRIBE table` and `cipherform_grants()` tell what the role
//! sees.
//!
//! **Masking is presentation.** A column that is seen `masked` stands in plans as its ciphertext, so that joins, groups
//! and counts are true, and gets its mask where it leaves the statement. `protected` works alike, and shows the
//! ciphertext. What such a column may be used for is a list:
//!
//! | allowed | |
//! | --- | --- |
//! | comparison with a column of the same map | `=`, `<>`, `IS [NOT] DISTINCT FROM`, joins, `IN` and `EXISTS` subqueries, `nullif` |
//! | by equality alone | `GROUP BY`, `DISTINCT`, `PARTITION BY`, set operations, `count`, `count(DISTINCT …)`, `approx_distinct`, `IS [NOT] NULL` |
//! | passed on | aliases, subqueries, views, `CASE` and `coalesce` whose branches all are of one map, casts that keep equality |
//! | with `search = true` | `=` and `IN` with literals or parameters, up to 100 |
//! | as text | `mask(column)`, `stored(column)` |
//!
//! Everything else is refused when the statement is planned, naming column, rule and role: order, `min` and `max`,
//! comparison with literals and plain columns, `LIKE`, string functions, arithmetic. Two columns have one map if data
//! key, `domain`, format, kept parts and grant are the same, and neither takes a tweak by row. Files of older key
//! versions are brought to the newest one within the plan; fields of structs and lists are not, so that those of unlike
//! versions are shown, and not compared.
//!
//! **Denied** columns fail a statement that needs them; one that does not, runs. A column that the policy's `[columns]`
//! names is denied to who does not see its rule plain where the file says nothing of it: nobody knows what stands
//! there. A rule with a tweak column is revealed only to a role that sees that column plain as well, if it is
//! protected.
//!
//! Grants are by rule, not by column: columns that no rule protects are seen by everybody. See
//! [`threats`](super::threats#who-is-kept-out) for what a role is a boundary against.
//!
//! # EXPLAIN, PREPARE
//!
//! `EXPLAIN` fails when the statement fails. It prints logical and physical plan; literals that are compared with
//! protected columns, or given to a function, are `…`. A role gets neither statistics nor paths nor `VERBOSE`. In a
//! DataFusion `SessionContext` of your own, DataFusion's `EXPLAIN` prints what it likes, plaintext literals included.
//!
//! `PREPARE name AS SELECT … $1` and `EXECUTE name('…')` work for queries. A plan is checked again with its parameters.
//!
//! # Limits
//!
//! | limit | without a role | with a role | when it is reached |
//! | --- | --- | --- | --- |
//! | `--memory-limit` | none | 4 GB | the statement fails, unless it may spill |
//! | `--disk-limit` | no files | no files | the statement fails |
//! | `--timeout` | none | 10 minutes | the statement ends with an error |
//! | `--row-limit` | none | 1,000,000 | the statement ends with an error, after that many rows |
//!
//! With a disk limit, sorts and groups that need more memory go to temporary files without a name, sealed with
//! AES-256-GCM under a key that lives as long as the session; a changed chunk is an error. Joins do not spill.
//! [`Limits`](crate::sql::Limits) are the same in Rust.
//!
//! # Audit
//!
//! With `audit = …` in the policy each statement leaves a record: who, which role, the statement with `?` in place of
//! its literals, the protected columns that its optimized plan reads, how many values were revealed under which rule,
//! and how it ended. A statement that is given up, or whose reader goes away, is recorded as far as it came.
//!
//! # `cipherform query`
//!
//! ```text
//! cipherform query [-c SQL] [--format table|csv|json|parquet] [-o FILE] [--role NAME | --stored] FILE…
//! ```
//!
//! * Each file, pattern or folder is a table named by its stem; `NAME=FILE` gives it another name. SQL folds names to
//!   lower case, so a stem with upper-case letters, hyphens or dots goes in double quotes, or gets another name.
//! * `-c` takes one statement or several, with semicolons between. Their results follow each other; CSV and Parquet
//!   hold one result, so give them one statement. `-o` takes one, and without `--format` the ending of its name says
//!   how: `.csv`, `.json`, `.parquet`, and a table for any other.
//! * Without `-c` there is a prompt; with input from a pipe, statements are read from it, and the first that fails ends
//!   it. They are parsed before the first is run.
//! * With `--stored`, no policy and no key is needed or asked for; the functions are not there. Neither is needed if no
//!   file is protected and there is no policy.
//! * `--role` shows what a role would see. Whoever runs the command with the keys at hand can leave it out.
//! * `-o` writes whole or not at all, a file that only its owner can read, and replaces one only with `--force`.
//! * The format `table` gathers all rows before it prints; the others are written as rows come. So after an error, CSV
//!   and JSON on stdout may have begun.
//!
//! It refuses `INSERT`, `COPY` and `SET`: so a query cannot write revealed values to disk but by `-o`. It does not
//! refuse `CREATE VIEW`, `CREATE TABLE … AS` (in memory), `EXPLAIN`, `DESCRIBE`, `SHOW`, and `CREATE EXTERNAL TABLE`,
//! which reads any file that you may read, as it is stored. With `--role`, whatever makes or drops tables and views is
//! refused, too, and `information_schema` shows names and types alone.
//!
//! # In a session of your own
//!
//! [`Session::new`](crate::sql::Session::new) makes the session that the command uses.
//! [`run`](crate::sql::Session::run) runs a statement within its limits and writes it into the audit log;
//! [`query`](crate::sql::Session::query) plans one, and refuses the same. Neither is required: with
//! [`in_context`](crate::sql::Session::in_context) functions and tables go into any `SessionContext`, and its
//! configuration is yours. One context has one engine, and so one role. For people you do not trust, forbid statements
//! that read files or change settings with DataFusion's `SQLOptions`.
//!
//! An error of ours comes out of DataFusion as it went in with [`from_datafusion`](crate::sql::from_datafusion): kind,
//! message, hint.
//!
//! # DataFusion's own answers
//!
//! DataFusion 55.2 answers `x NOT IN (SELECT …)` below an `OR` as if NULL were no value, protected or not; write `NOT
//! EXISTS` where NULLs can be. `IN (SELECT …)` in the list of `SELECT` is not there.
