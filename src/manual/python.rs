//! Python: the same policy, keys and results.
//!
//! ```sh
//! pip install ./python      # Python 3.10 or later; compiles in release
//! ```
//!
//! The package is a crate of its own, `python/`, over this one. It has no logic: arrays go in through the Arrow C data
//! interface, without a copy, and come out so, hence any Arrow library will do.
//!
//! # An engine
//!
//! ```python
//! import cipherform
//!
//! engine = cipherform.Engine("policy.toml")
//! safe = engine.protect(table)                  # the columns that the policy names
//! table = engine.reveal(safe)                   # those that say they are protected
//! array = engine.encrypt(array, "card")         # one array under one rule
//! array = engine.decrypt(array, "card@1")       # a key version, as in SQL
//! answer = engine.sql("SELECT count(*) FROM t WHERE ssn IS NULL", t=safe)
//! ```
//!
//! What `protect` writes into the fields' metadata is what the command writes into files. So a table protected in
//! Python and written as Parquet with its Arrow schema is revealed by `cipherform reveal`, and the other way round.
//!
//! # The bare cipher
//!
//! ```python
//! ff1 = cipherform.FF1(key, radix=10)                                  # 16, 24 or 32 bytes
//! ff1.encrypt("4111111111", tweak=b"")
//! ff1.encrypt_batch(["4111111111", "5500000000"])
//! cipherform.FF1(key, radix=26, alphabet="abcdefghijklmnopqrstuvwxyz")
//! ```
//!
//! For interchange with other FF1 software, and for experiments: no policy, no derivation, no metadata; the key is
//! yours to keep. `min_domain` lowers the floor of 1,000,000 possible values; see [`formats`](super::formats#the-floor)
//! before you do.
//!
//! # What differs from Rust
//!
//! Values and keys that Python holds are Python's: they are not wiped, and a `bytes` key may be copied. See
//! [`threats`](super::threats#memory). An engine opens the local KMS as the command does, from the same environment
//! variables.
