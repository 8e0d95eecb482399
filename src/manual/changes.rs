//! Changes: what is frozen, what carries a version, and how each of them changes.
//!
//! What is protected today must reveal in ten years. So whatever decides about ciphertext or files has a name with a
//! version, and what a name stands for never changes. An improvement is a new version beside the old one.
//!
//! # What is frozen now
//!
//! | what | name | where it stands |
//! | --- | --- | --- |
//! | formats | each format's name and version: `pan/1`, `text/2`; what they make of given values is in `tests/vectors/ours` | metadata, fingerprint |
//! | bands of short values | version 2: `short=band/2` | fingerprint |
//! | shapes in the tweak | `cipherform shape v1` | tweaks |
//! | what defines a map | `cipherform fingerprint v1` | metadata, derivation |
//! | the FF1 subkey | `cipherform ff1 subkey v1` | derivation |
//! | token look-up, tags and sealing | `cipherform token index subkey v1`, `cipherform token row v1`, `cipherform token seal subkey v1`, `cipherform sealed token v1` | derivation, associated data |
//! | a sealed value | a first byte 1 | token store |
//! | token tables | version 2; 1, which had no tags, is brought to it when it is opened, and a row without a tag is checked by opening it until `tokens reindex` | token store |
//! | the check value | `cipherform check value v1` | metadata |
//! | the check value of a root | `cipherform root check v1` | the policy's `[trust.NAME]` |
//! | column metadata, of fields and of the file | `"version": 1`, under the key `cipherform` | files |
//! | the keyring file | `cipherform-keyring/4`; `/3`, which knows nothing of its audit log, `/2`, which does not say when there was a backup, and `/1`, which had no periods and no history either, are read, and written anew with the next change | the file's `format` |
//! | the audit log | `cipherform audit start v1`, `cipherform audit entry v1`, `cipherform audit mac v1` | its MACs |
//! | keys for partners | `cipherform-exchange/1`, `cipherform exchange v1` | the file's `format`, the OAEP label |
//! | checkpoints of an audit log | `cipherform-audit-checkpoint/1` | the file's `format` |
//! | the local KMS file | `cipherform-local-kms/2`, `cipherform local kms material v2`; `/1`, which had one version of material a key, is read, and written anew with the next change | the file's `format` |
//! | check values of imported material | `cipherform local kms check value v1` | the local KMS file |
//! | backups | `cipherform-backup/1` | the file's `format` |
//! | key policies | `"Version": "2012-10-17"`: the meaning of the policy language of AWS | the local KMS file |
//! | what wrapping is bound to | `cipherform wrap v1` | wrapped keys |
//! | the local KMS's wrapped bytes | a first byte 2, `cipherform local wrap v2`; a first byte 1, `cipherform local wrap v1`, unwraps for ever | keyring |
//! | the policy | `version = 1` | the file |
//!
//! `text/1`, `name/1`, `template/1`, `vin/1`, `npi/1`, `postcode/1` of the US and Canada, `iban/1` and bands of version
//! 1 are gone: they bound no shape to the tweak, and no release had them. A file with such a column says which version
//! it has, and why it cannot be read.
//!
//! The labels of the other purposes of a key ([`Purpose`](crate::keys::Purpose)) are frozen as well, those not used yet
//! included.
//!
//! ```
//! use cipherform::formats::Format;
//! for name in ["alphanumeric", "digits", "email", "opaque", "pan", "us-ssn"] {
//!     assert_eq!(Format::parse(name, toml::Table::new())?.version(), format!("{name}/1"));
//! }
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # How a format changes
//!
//! Its tables and its reading of a value are part of the map: which social security numbers could be issued, what
//! counts as a symbol, where the check digit goes. If one of these has to change, there will be `us-ssn/2`. Data
//! protected under `/1` says so in its metadata and goes on being revealed by `/1`.
//!
//! What may change without a new version is what does not touch the map: the separators that are accepted, the text of
//! an error, speed.
//!
//! # How a rule changes
//!
//! A rule's fingerprint covers its treatment, the cipher, and the format with its parameters. Key, `domain` and tweak
//! are compared as well. Change one of these, and files protected before are refused on `reveal`, with what differs. So
//! do not edit a rule that has protected something:
//!
//! 1. add a rule under a new name, and let `[columns]` point to it;
//! 2. keep the old rule: files protected under it name it, and are revealed by it;
//! 3. re-protect the old files (`cipherform reprotect OLD NEW --rule COLUMN=RULE`), then remove the old rule.
//!
//! Renaming a rule is a change, too, since its name is in the metadata, and is its `domain` unless it says otherwise.
//! What may be edited at any time: `mask`, `[columns]`, `[roles]`, and the version that `key` is pinned to.
//!
//! Two settings are not compared and yet act in both directions, so mind the files there are: `on_empty` says what
//! becomes of a stored text that is empty, too; `insecure_small_domain` must stay for as long as there are short values
//! to reveal. `on_invalid` may change: the metadata says what was done. `wrap_mark` must stay as it was for SQL, which
//! goes by the policy.
//!
//! # What changed before the first release
//!
//! These were corrected in place while nothing was released, so data protected by an earlier build has to be revealed
//! by that build:
//!
//! * `shift` binds its subkey to the number of days, and no longer to the format: an entity's dates and timestamps move
//!   together.
//! * `text` and `name` no longer let letters and digits within squares, circles and the like stand in the clear
//!   (U+1F100 to U+1F2FF, U+2776 to U+2793), nor letters above others (U+0363 to U+036F): those do not fit. The letters
//!   of flags become other letters of flags. What other texts become is the same.
//!
//! # How a file format changes
//!
//! A program that meets a keyring, a local KMS file, a policy or metadata of a version it does not know stops and says
//! so. A later version of the program has to read the earlier ones.
//!
//! # The crate
//!
//! The version is 0.1: the Rust and Python interfaces may change between 0.x versions. What is frozen above is not
//! affected by that.
