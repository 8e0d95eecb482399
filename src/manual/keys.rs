//! Keys: what wraps what, byte for byte; what to back up; what rotation does.
//!
//! # Words
//!
//! | word | is | lives |
//! | --- | --- | --- |
//! | KMS key | a key that wraps and unwraps data keys, and does nothing else | in its KMS, for ever |
//! | data key | a random key that values are protected with, by way of subkeys | in the keyring, wrapped |
//! | version | one generation of a data key; a random id of 128 bits tells it apart, its number is for people | in the keyring |
//! | subkey | what is derived from a version for one purpose, domain and format | in memory |
//! | keyring | the file of wrapped data keys | beside the policy, usually |
//! | local KMS | the embedded KMS: one sealed file | the user's configuration directory |
//!
//! ```text
//! passphrase or key file ──► KMS key ──wraps──► data key version ──KBKDF──► subkey for FF1: one for each domain and format
//!                            (kms.json)         (keyring.json)        └───► check value: into the file's metadata
//! ```
//!
//! A data key's *use* is fixed when it is made. `derive` is the default. `direct-ff1-128`, `-192` and `-256` make a key
//! that is the FF1 key itself, to exchange data with other software: no derivation, so any other FF1 with that key, the
//! radix and the tweak gives the same results.
//!
//! # The bytes
//!
//! Enough to read a keyring and a file with other tools. It was checked so: a program in another language, which shares
//! no code with this crate, opened a local KMS, a keyring and a protected file by what follows.
//!
//! `LP(a, b, …)` is each part behind its length: 32 bits, big-endian. Text is UTF-8. Ids are their 16 bytes. `‖` joins.
//!
//! **Derivation**: KBKDF of SP 800-108r1 in counter mode with HMAC-SHA-256. Blocks i = 1, 2, … are joined and cut to
//! length:
//!
//! ```text
//! KBKDF(key, label, context, bytes)   block i = HMAC-SHA-256(key, [i]₃₂ ‖ label ‖ 0x00 ‖ context ‖ [8 · bytes]₃₂)
//! ```
//!
//! **Fingerprint** of what defines a rule's map, beside key, domain and tweak: SHA-256 over four parts, each behind its
//! length in 64 bits, big-endian: `cipherform fingerprint v1`, `encrypt`, `FF1`, and the format's definition, such as
//! `pan/1 keep=0,4 check_digit=valid`.
//!
//! | value | is |
//! | --- | --- |
//! | FF1 key, use `derive` | KBKDF(data key, `cipherform ff1 subkey v1`, LP(version id, domain, fingerprint), 32) |
//! | FF1 key, use `direct-ff1-…` | the first 16, 24 or 32 bytes of the data key |
//! | check value | KBKDF(check key, `cipherform check value v1`, LP(version id, domain, fingerprint, tweak definition), 16) |
//! | check key, use `derive` | the data key |
//! | check key, use `direct-ff1-…` | the last 32 bytes: what is wrapped is longer than the AES key by these |
//! | tweak definition | `kept`, `none`, `hex:00ff`, or `column:NAME` |
//!
//! ```
//! use cipherform::formats::Format;
//! use cipherform::keys::Purpose;
//! assert_eq!(Purpose::Ff1.label(), "cipherform ff1 subkey v1");
//! assert_eq!(Purpose::CheckValue.label(), "cipherform check value v1");
//! assert_eq!(Purpose::KeyringMac.label(), "cipherform keyring mac v1");
//! assert_eq!(Purpose::LocalKmsMac.label(), "cipherform local kms mac v1");
//! assert_eq!(Purpose::LocalKmsSeal.label(), "cipherform local kms seal v1");
//! assert_eq!(Format::parse("pan", toml::Table::new())?.definition(), "pan/1 keep=0,4 check_digit=valid");
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! **Wrapping** is bound to a context of ids, never names, so that wrapped bytes moved elsewhere do not unwrap:
//!
//! ```text
//! context = LP("cipherform wrap v1", keyring id, data key id, version id, use)
//! ```
//!
//! The root key of a keyring has 16 zero bytes as its data key id, and the use `keyring-root`.
//!
//! ```
//! use cipherform::keys::{DataKeyId, KeyVersionId, KeyringId, WrapContext};
//! let context = WrapContext {
//!     keyring: KeyringId::from_bytes([1; 16]),
//!     data_key: DataKeyId::from_bytes([2; 16]),
//!     version: KeyVersionId::from_bytes([3; 16]),
//!     key_use: "derive".to_owned(),
//! };
//! assert_eq!(context.to_bytes().len(), (4 + 18) + 3 * (4 + 16) + (4 + 6));
//! assert!(context.to_bytes().starts_with(b"\0\0\0\x12cipherform wrap v1\0\0\0\x10\x01\x01"));
//! ```
//!
//! **Both JSON files** have the form `{ "format": …, "content": …, "mac": … }`, are indented by two spaces, and end in
//! a line feed. A file is accepted only as the program would write it again, byte for byte. The MAC (base64) is
//! HMAC-SHA-256(MAC key, LP(format, content as JSON without spaces)).
//!
//! | file | `format` | MAC key |
//! | --- | --- | --- |
//! | keyring | `cipherform-keyring/1` | KBKDF(root key, `cipherform keyring mac v1`, LP(keyring id), 32) |
//! | local KMS | `cipherform-local-kms/1` | KBKDF(unlock key, `cipherform local kms mac v1`, LP(file id), 32) |
//!
//! **The keyring's content**: its id; a generation that counts changes; the root key, wrapped; the keys, each with
//! name, id, use, time, the reference of its KMS key, and versions; each version with number, id, state, time and its
//! wrapped bytes in base64. Wrapped is the key itself: 32 bytes for `derive` and for the root; AES key and check key
//! for direct use.
//!
//! **The local KMS's content**: its id; a generation; how it is unlocked; its KMS keys, each with name, id, state,
//! time, and the 32 bytes of the key sealed. Unlock key: the 32 bytes of the key file (raw, or 64 hexadecimal digits),
//! or Argon2id version 0x13 of the passphrase with the salt (16 bytes) and parameters in the file, 32 bytes.
//!
//! | what | AES-256-GCM key | associated data | stored as |
//! | --- | --- | --- | --- |
//! | a sealed KMS key | KBKDF(unlock key, `cipherform local kms seal v1`, LP(file id), 32) | LP(`cipherform local kms key v1`, file id, KMS key id) | nonce (12) ‖ ciphertext ‖ tag (16) |
//! | a wrapped data key | the KMS key | LP(`cipherform local wrap v1`, KMS key id, context) | 0x01 ‖ KMS key id ‖ nonce (12) ‖ ciphertext ‖ tag (16) |
//!
//! # Metadata of a protected column
//!
//! One JSON object in the Arrow field's metadata, under the key `cipherform`
//! ([`ProtectedColumn`](crate::columns::ProtectedColumn)). In Parquet it is within the Arrow schema that Arrow writers
//! store in the footer. Programs that drop that schema lose it.
//!
//! It describes and never grants: `reveal` takes the rule of that name from the policy and the key version of that id
//! from the keyring, and compares fingerprint, domain, tweak and check value. If one differs it stops.
//!
//! Without it, `reveal --key-version N` goes by the policy's `[columns]` and version N of their keys. Nothing can be
//! compared then: a wrong rule, key or version gives well-formed, wrong values; and so does a file that was never
//! protected.
//!
//! # The local KMS
//!
//! The embedded default, so that nothing has to be set up. One file, `cipherform/kms.json` in the user's configuration
//! directory, or where `--local-kms` or `CIPHERFORM_LOCAL_KMS` says; never beside the data. It is unlocked by
//!
//! 1. `--key-file`, `--passphrase-file` or `--passphrase-fd`, one of them;
//! 2. else `CIPHERFORM_KEY_FILE`, `CIPHERFORM_PASSPHRASE_FILE` or `CIPHERFORM_PASSPHRASE`: more than one of them is an
//!    error;
//! 3. else a prompt, if there is a terminal.
//!
//! A new passphrase has at least 8 characters (SP 800-63B); several words are better. A file made with a key file is
//! unlocked by that key file only, and likewise for a passphrase. There is no command yet to change either, nor to add
//! KMS keys (in Rust: [`LocalKms::create_key`](crate::kms::LocalKms::create_key)).
//!
//! Whatever it protects against, it does so by these two files being apart from the data and from each other. It is a
//! guardrail on one machine; a KMS with permissions and an audit log is another thing. Clients of remote ones are not
//! there yet; one of your own implements [`KmsClient`](crate::keys::KmsClient).
//!
//! # States
//!
//! Those of SP 800-57 Part 1 ([`KeyState`](crate::keys::KeyState)):
//!
//! | state | protects | reveals | how it gets there |
//! | --- | --- | --- | --- |
//! | pre-activation | no | no | not yet used |
//! | active | yes | yes | `keys create`, `keys rotate`: one a key at most |
//! | suspended | no | yes | no command yet |
//! | deactivated | no | yes | `keys rotate` makes the active version so |
//! | compromised | no | yes: else nothing could be moved to a new key | no command yet |
//! | destroyed | no | no | no command yet |
//!
//! # Rotation
//!
//! `cipherform keys rotate pii` makes a new version, which protects from now on. Nothing happens to files:
//!
//! * files protected before name their version in the metadata, and reveal as ever, in `reveal` and in `query`;
//! * new files are protected with the new version. Their stored values do not equal the old ones, so **stored columns
//!   of an old and a new file no longer join**. Revealed they do: `query` reveals each file with its own version;
//! * a rule with `key = "pii@1"` stays with version 1, which no longer protects: `protect` refuses, and says so. To
//!   reveal it makes no difference, since the file says which version it needs.
//!
//! To bring an old file to the new version, reveal it to a place where plaintext may be, and protect it again. A job
//! that does so in one pass is not there yet.
//!
//! What rotation does not do: take anything from someone who has had the old version.
//!
//! # Backup
//!
//! Three things, apart from each other and from the data; each is useless without the others, and so is the data:
//!
//! * the keyring, after every `keys create` and `keys rotate`. An older copy lacks the versions made since;
//! * the file of the local KMS;
//! * its passphrase or key file.
//!
//! Keep the policy under version control: without a rule's exact definition its files do not reveal. Do not put an
//! older keyring back while a newer one is lost in use: an older copy is a sound file and is accepted when it is
//! opened.
//!
//! `.keyring.json.lock` and `.kms.json.lock` beside the files are locks for concurrent changes. They are empty and
//! stay; they need no backup.
