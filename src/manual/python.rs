//! Python: the same policy, keys and results.
//!
//! ```sh
//! pip install ./python      # Python 3.10 or later; compiles in release
//! ```
//!
//! The package is a crate of its own, `python/`, over this one. It has no logic: what goes in is any object with the
//! Arrow PyCapsule interface (of pyarrow, pandas, polars, DuckDB and others), and what comes out has it, too. So none
//! of these is needed, and data is not copied on the way:
//!
//! | result | to |
//! | --- | --- |
//! | `cipherform.Array` | `pyarrow.array(result)`, `polars.Series(result)` |
//! | `cipherform.ChunkedArray` | `pyarrow.chunked_array(result)`, `polars.Series(result)` |
//! | `cipherform.Table` | `pyarrow.table(result)`, `polars.DataFrame(result)`, `pandas.DataFrame.from_arrow(result)` |
//!
//! # An engine
//!
//! ```python
//! import cipherform
//!
//! engine = cipherform.Engine("policy.toml", key_file="unlock.key")
//! safe = engine.protect(people, table="people")         # a table: the columns that the policy names
//! people = engine.reveal(safe)                          # those that say they are protected
//! cards = engine.protect(cards, "card")                 # a column, under one rule
//! cards = engine.reveal(cards)
//! cards = engine.encrypt(cards, "card")                 # the same, without metadata
//! cards = engine.decrypt(cards, "card@1")               # a key version, as in SQL
//! tokens = engine.tokenize(accounts, "account")         # random tokens, kept in the store that the policy names
//! accounts = engine.detokenize(tokens, "account")
//! answer = engine.sql("SELECT count(*) FROM t WHERE ssn IS NULL", t=safe, u="safe.parquet")
//! ```
//!
//! What `protect` writes into a field's metadata is what the command writes into files. So a table protected in Python
//! and written as Parquet with its Arrow schema is revealed by `cipherform reveal`, and the other way round. As with
//! the command, a table without metadata is revealed with `table=` and `key_version=`; a column with its rule, such as
//! `"card@2"`.
//!
//! The KMS clients are those of a `full` build, set up as the command's: see
//! [`keys`](super::keys#the-kms-of-the-company). There is no prompt. What unlocks the local KMS is given as
//! `passphrase=`, `passphrase_file=` or `key_file=`, or else stands in the environment: one of `CIPHERFORM_KEY_FILE`,
//! `CIPHERFORM_PASSPHRASE_FILE` and `CIPHERFORM_PASSPHRASE`. `local_kms=` or `CIPHERFORM_LOCAL_KMS` names its file.
//! `role=` binds the engine to a role: see
//! [`sql`](super::sql#roles).
//!
//! `trust=` or `CIPHERFORM_TRUST` names the `[trust.NAME]` of a policy that has several.
//!
//! `sql` runs one statement that reads, as [`Session::run`](crate::sql::Session::run) does, with the limits of a role
//! if there is one, and spills nothing to disk. Each table is an Arrow table, or the path of a Parquet file, a pattern
//! or a folder.
//!
//! # The bare cipher
//!
//! ```python
//! ff1 = cipherform.FF1(key, 10)                                        # 16, 24 or 32 bytes
//! ff1.encrypt("4111111111", tweak=b"")                                 # text, or a list of numerals
//! ff1.encrypt_batch(["4111111111", "5500000000"])
//! cipherform.FF1(key, 26, alphabet="abcdefghijklmnopqrstuvwxyz")
//! ```
//!
//! For interchange with other FF1 software, and for experiments: no policy, no derivation, no metadata; the key is
//! yours to keep. `min_domain` lowers the floor of 1,000,000 possible values; see [`formats`](super::formats#the-floor)
//! before you do.
//!
//! # Errors
//!
//! Each exception derives from `cipherform.CipherformError` and goes by meaning, as [`ErrorKind`](crate::ErrorKind)
//! does: `BadInputError` (a `ValueError`, too), `PolicyError`, `NotAllowedError`, `KeyNotFoundError`,
//! `KeyNotUsableError`, `WrongKeyError`, `ProviderDownError`, `IoError` (an `OSError`, too), `InternalError`. `hint`
//! says what to do about it, if that is known. Values left in the clear by `on_invalid = "insecure-keep"` raise the
//! warning `LeftClearWarning`; tokens of one shape that are three quarters used up, `FillingUpWarning`.
//!
//! # What differs from Rust
//!
//! Values and keys that Python holds are Python's: they are not wiped, and a key or passphrase given as an argument
//! stays in its memory. See [`threats`](super::threats#memory).
