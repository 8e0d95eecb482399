//! SQL: functions, tables, roles, and what `cipherform query` does and refuses.
//!
//! # Functions
//!
//! | function | does | needs the grant |
//! | --- | --- | --- |
//! | `protect(v, 'rule' [, tweak])` | protects `v` as the rule says, under the active key version | `protect = true` |
//! | `reveal(v, 'rule' [, tweak])` | undoes it | plain; masked gets the result masked |
//! | `fpe_encrypt(v, 'rule' [, tweak])` | the FF1 underneath; a given tweak takes the place of the rule's, byte for byte | `protect = true` |
//! | `fpe_decrypt(v, 'rule' [, tweak])` | its inverse | plain; masked as `reveal` |
//! | `tokenize(v, 'rule')` | the token of `v`, minted if it has none: [`tokens`](super::tokens) | `protect = true` |
//! | `detokenize(t, 'rule')` | the value of a token | plain; masked as `reveal` |
//! | `mask(v, 'rule')` | letters, digits and the format's other symbols replaced as the rule's `mask` says; needs no key | any |
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
//! # Tables
//!
//! A [`Session`](crate::sql::Session) has the functions and the tables, and resolves every key version that they may
//! need when it begins. A rule whose key is missing is an error when it is used; a KMS that does not answer is one at
//! once.
//!
//! [`register_file`](crate::sql::Session::register_file) opens one Parquet file, and
//! [`register_batches`](crate::sql::Session::register_batches) record batches in memory. With an engine, each protected
//! column becomes `reveal(column, 'rule@version')` with what its metadata names, in a view; rule and key are compared
//! with the metadata there and then. So `SELECT … WHERE ssn = '…'` and joins on revealed values just work, whatever
//! version each file has. Without an engine, the table is what is stored.
//!
//! A struct or list with protected fields comes with those revealed that the role may see; a role that may not see
//! one of them may not see the column. What is one-way (hashes, masks, buckets) is what is stored.
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
//! custkey = "protected"    # the stored value
//! phone = "plain"          # the value
//! "*" = "denied"           # every other rule; without this line, too
//!
//! [roles.loader]
//! card = { see = "plain", protect = true }    # `protect`, `fpe_encrypt`, `tokenize`: a right of its own
//! ```
//!
//! [`Engine::with_role`](crate::Engine::with_role) binds an engine to a role; the views and functions that are
//! registered with it go by the grants. A query that needs a denied column fails; one that does not, runs. Without a
//! role everything is plain: the host trusts whoever calls. SQL cannot name a role.
//!
//! Grants are by rule, not by column: columns that no rule protects are seen by everybody. See
//! [`threats`](super::threats#who-is-kept-out) for what a role is a boundary against.
//!
//! A rule with a tweak column is revealed only to a role that sees that column plain as well, if it is protected.
//!
//! # `cipherform query`
//!
//! ```text
//! cipherform query [-c SQL] [--format table|csv|json|parquet] [-o FILE] [--role NAME | --stored] FILE…
//! ```
//!
//! * Each file is a table named by its stem; `NAME=FILE` gives it another name. SQL folds names to lower case, so a
//!   stem with upper-case letters, hyphens or dots goes in double quotes, or gets another name.
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
//! It refuses `INSERT` and `COPY`, and `SET`, which could turn spill files on: so a query cannot write revealed
//! values to disk but by `-o`. It does not refuse `CREATE VIEW`, `CREATE TABLE … AS` (in memory), `EXPLAIN`,
//! `DESCRIBE`, `SHOW`, and `CREATE EXTERNAL TABLE`, which reads any file that you may read, as it is stored. With
//! `--role`, whatever makes or drops tables and views is refused, too: it could look past a view, or take its place.
//!
//! # In a session of your own
//!
//! [`Session::new`](crate::sql::Session::new) makes the session that the command uses: nothing spilled to disk.
//! [`query`](crate::sql::Session::query) plans a statement and refuses the same as the command does. Neither is
//! required: with [`in_context`](crate::sql::Session::in_context) functions and tables go into any `SessionContext`,
//! and its configuration is yours. One context has one engine, and so one role. For people you do not trust,
//! forbid statements that read files or change settings with DataFusion's `SQLOptions`.
//!
//! An error of ours comes out of DataFusion as it went in with [`from_datafusion`](crate::sql::from_datafusion): kind,
//! message, hint.
