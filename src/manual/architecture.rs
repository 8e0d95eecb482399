//! Architecture: the layers, why they are there, and what must stay true of each.
//!
//! ```text
//!    cli ──────────┐      sql ────────┐      python/ (a crate of its own)   faces: parse, call, print
//!         files ───┴──────────────────┴──────────┘                          Parquet in, Parquet out
//!                             │
//!                          columns                                          Arrow arrays in, Arrow arrays out
//!                             │
//!                         transform  ◄── policy · keys · tokens      the one joint: a rule and a key become a function
//!                             │              ▲
//!                          formats          kms                      a value's text ⇄ numerals + what is kept clear
//!                             │
//!                          cipher                                           numerals in, numerals out
//! ```
//!
//! Calls go down the picture, never up. A test reads every `use` and fails on one that goes up, so the picture cannot
//! rot.
//!
//! # Why so
//!
//! Three faces (command line, SQL, Python) must give the same ciphertext for the same value. So none of them has logic:
//! they parse their arguments, call the same layer and print. What a value becomes is decided in one place,
//! `transform`.
//!
//! Keys are slow to get and must not leak; rows are fast and many. So there is one moment, before the first row, when
//! everything that can wait or fail is done: the policy is read, the keyring authenticated, the KMS asked, the types
//! compared. After it comes code that waits for nothing and asks nobody; but for tokens, whose store is asked batch
//! by batch.
//!
//! # The layers, from below
//!
//! **[`cipher`](crate::cipher)** takes numerals and gives numerals: FF1, and FF3-1 for old data; or takes and gives
//! the symbols that stand for them. It knows no format, no column and no policy. *Invariants:* it is exactly the
//! standard, with integers only (a rounded logarithm has broken other implementations at this very step; the one
//! exception are the quotients of the kernel `avx2`, doubles whose error is bounded in `arith/reduce_fma` whichever
//! way they are rounded, or corrected); every kernel gives every published answer; a kernel proves itself on known
//! answers before its first use in a process; nothing in it branches or looks up by a key or a value, within the
//! bounds that [`threats`](super::threats#timing) names. Rows of one shape go through the rounds side by side; the
//! code for a processor's vector registers is in `cipher/kernels`, where text goes into registers, through the rounds
//! and out again. A reference implementation, the steps of the standard in order on big integers, and the crate `fpe`
//! are what the fast paths are compared with. Below it, `ascii` splits values with separators or kept ends into the
//! symbols to encrypt and the rest (a `Splitter`), and groups values that are nothing but symbols by length
//! (`LengthGroups`); `simd` compiles plain loops for wider registers. The three are crates of their own in `src`,
//! which this one re-exports as far as users need them, so that they are compiled once, and all `unsafe` is in their
//! kernels and in `columns/ascii`.
//!
//! **[`formats`](crate::formats)** turns a text into numerals and the part that is kept clear, and back. *Invariants:*
//! a value is its own layout, so `join(v, split(v)) == v`; a name and a version (`pan/1`) stand for one map for ever; a
//! reason for a refusal names positions and lengths, never the value.
//!
//! **[`keys`](crate::keys)** is the keyring, the derivation of subkeys, and the trait that a KMS implements.
//! **[`kms`](crate::kms)** has one implementation a file. *Invariants:* a data key is stored only wrapped; what a
//! wrapped key is bound to are ids, never names; no key serves two uses; a changed byte in the keyring is noticed;
//! every KMS client passes one conformance suite, and so can yours: `kms::conformance::check`, with the feature
//! `kms-conformance`. All remote clients share one HTTP, one TLS (rustls over ring) and one patience.
//!
//! **[`tokens`](crate::tokens)** draws random tokens, seals values and keeps both in a store. *Invariants:* a store
//! never sees a value or a key; what makes a token unique is a constraint of the store, not a look before; a token is
//! never issued again; every store passes one conformance suite.
//!
//! **[`policy`](crate::policy)** reads `policy.toml`. *Invariants:* unknown fields are refused; an error says file,
//! line and column; what comes out needs no more checks.
//!
//! **[`transform`](crate::transform)** joins the three: a rule, its format and a key version become a
//! [`Transform`](crate::transform::Transform), ready and synchronous. An [`Engine`](crate::Engine) is a policy with its
//! keyring, bound to a role or to none. *Invariants:* [`Engine::resolve`](crate::Engine::resolve) is the only place
//! that may ask a KMS, and it comes before any row; a role is checked here, so that no face can forget to.
//!
//! **[`columns`](crate::columns)** applies transforms to Arrow arrays. *Invariants:* type and length of an array stay;
//! NULL stays NULL; a dictionary is done by distinct value, and comes out in an order that tells nothing about the old
//! one; a protected column says in its field metadata how it was protected, and a column that says so is not protected
//! again.
//!
//! **[`files`](crate::files)** rewrites Parquet. *Invariants:* one row group in memory; the target appears whole or not
//! at all, under a temporary name beside it until then; statistics, page indexes and bloom filters are those of what is
//! in the new file, never of the plaintext.
//!
//! **[`sql`](crate::sql)** is functions and tables for DataFusion. *Invariants:* metadata is read when a table is
//! opened, not while a query is planned, because engines lose it and carry it along wrongly (through casts, `CASE`,
//! unions); no KMS is asked while a query is planned or runs; two functions are equal when engine and role are, never
//! by key bytes.
//!
//! **[`cli`](crate::cli)** is the command, one file a subcommand. *Invariants:* data goes to stdout, messages to
//! stderr; no message holds a value or a key; the exit code says whose turn it is (0 done, 1 your input or policy, 2
//! usage, 3 a key or KMS refused, 4 our failure, 130 interrupted).
//!
//! # What is deliberately absent
//!
//! * **A server.** Keys come to the data, in the process that has the right to them. A host that wants a boundary
//!   between people and keys runs that process apart and gives people SQL, with a role.
//! * **A global registry or keyring.** Everything is passed in, so two engines with two policies live side by side.
//! * **Key material in plans.** A plan can be printed, logged and sent elsewhere; it holds the rule's name and version.
//! * **Rewriting `<`, `>` and `BETWEEN`.** Encryption keeps no order. A comparison by order reveals first.
