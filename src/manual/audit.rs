//! Audit: who used which key, how a log that was touched is noticed, and what an older keyring is refused by.
//!
//! # The log
//!
//! With a line `audit = "audit.jsonl"` in the policy, every use and every change of a key is written there first:
//! who, which key and version, protect or reveal, under which rule, in which role (each counts apart), in which job,
//! how many values, refusals, and what was asked of a KMS. There are no values and no keys in it, and of a statement
//! of SQL the text without its literals. A key is not used, and a keyring not changed, without its entry on the disk:
//! when the log cannot be written, the job ends.
//!
//! ```text
//! cipherform keys audit show [--last N] [--format json]
//! cipherform keys audit show --who ann@laptop --since 2026-03-01 --until 2026-04-01
//! cipherform keys audit show --key pii --rule ssn --event query --role analyst
//! cipherform keys audit verify [--checkpoint FILE]
//! cipherform keys audit checkpoint > checkpoint.json
//! cipherform keys audit adopt --reason …
//! ```
//!
//! `show` verifies the whole log and shows what all the filters are true of; `verify` with filters counts it.
//!
//! A line is `{ "entry": …, "mac": … }`, and with `LP` and `KBKDF` as in [`keys`](super::keys#the-bytes)
//!
//! ```text
//! mac(0) = HMAC-SHA-256(K, LP("cipherform audit start v1", keyring id))
//! mac(n) = HMAC-SHA-256(K, LP("cipherform audit entry v1", mac(n − 1), entry n as JSON without spaces))
//! K      = KBKDF(root key, "cipherform audit mac v1", LP(keyring id), 32)
//! seed   = KBKDF(root key, "cipherform audit signing v1", LP(keyring id), 32)       of the Ed25519 key (FIPS 186-5)
//! ```
//!
//! So an entry that was changed, taken out, put in or moved is noticed by whoever can open the keyring.
//!
//! **A log that was removed, exchanged or cut** is missed by the keyring: at each change it notes how many entries
//! the log has, how long it is, and its last MAC. `audit verify` and `keys doctor` are not content with a log that
//! does not go on from there, until it is put back; keys are used all the same, and neither uses nor changes cover it
//! up. `keys audit adopt --reason …` takes the log that is there for the keyring's own, where the one before is lost;
//! the reason stands in it. Entries behind the last change of the keyring may be missing without that: of an *end*
//! that was cut off there, and of a log that was written anew by somebody who may use the keyring, only the last
//! exported checkpoint tells: number and MAC of the last entry and the keyring's generation, signed. Keep checkpoints
//! where the users of the keyring cannot write, with the public key that `audit verify` tells. Whoever can open the
//! keyring can sign as well, so a checkpoint proves something by where it is kept, not by its signature alone. An
//! entry that was cut off in the middle, by a crash, is cut away by the next one, which says so.
//!
//! The unwrapping of the root is written down once it has succeeded: before that there is no key to write entries with.
//! Whoever has no access to the KMS leaves no trace here; the KMS's own log has that. `keys doctor` is written down
//! like any other use. What `keys restore` unwraps to look at a backup is not: the backup may be of another machine.
//!
//! # An older keyring
//!
//! A copy of the keyring from last month is a sound file. `keyring_generation = N` in the policy refuses one whose
//! generation (`keys audit checkpoint` shows it) is smaller; so does `audit verify` with a checkpoint that is newer.
//! With an audit log no line is needed: the log knows the keyring's generations, and a keyring that is older is
//! refused by every command, `audit verify` and `keys doctor` included. Two copies that were both rotated have
//! versions of the same number with different ids: a file remembers the id, so the wrong copy says that it has no
//! such version, and no id ever stands for two keys. Where the newer one is lost, `keys restore FILE --reason …` puts
//! an older one back for good: it gets a generation above all that the log knows, so that the lost one is the older
//! copy from then on. Lower the line `keyring_generation`, if there is one.
