//! The file of the audit log: appending, reading, verifying.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::checkpoint::Checkpoint;
use super::entry::{AuditEntry, AuditEvent};
use super::tally::UsageTally;
use crate::cipher::Direction;
use crate::keys::context::Context;
use crate::keys::encoding::{Base64, length_prefixed};
use crate::keys::ids::KeyringId;
use crate::keys::wrap::{KeyAction, KeyAudit, KeyEvent, Purpose, derive, public_key};
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret, fs};

/// Bytes at the end of the file that are searched for the last entry; entries are far shorter.
const TAIL: u64 = 64 * 1024;

/// An audit log, open to be appended to and verified.
pub struct AuditLog {
    path: PathBuf,
    keyring: KeyringId,
    key: Secret<Vec<u8>>,
    seed: Secret<Vec<u8>>,
    context: Context,
    /// First error of [`KeyAudit::record`], which cannot return it: from then on nothing is appended.
    failure: Mutex<Option<Error>>,
}

/// A log whose entries were verified from the first to the last.
#[derive(Debug)]
#[non_exhaustive]
pub struct VerifiedLog {
    /// Entries, oldest first.
    pub entries: Vec<AuditEntry>,
    /// True if an unfinished entry follows the last one: its writer was interrupted. The next append cuts it off.
    pub unfinished: bool,
    mac: Vec<u8>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LogLine {
    entry: AuditEntry,
    mac: Base64,
}

impl AuditLog {
    /// Opens the log at `path` of the keyring with that root key. The file is not read yet.
    pub(crate) fn new(path: PathBuf, keyring: KeyringId, root: &Secret<Vec<u8>>, context: Context) -> Result<Self> {
        // Two keys: whoever verifies a checkpoint needs the public key alone, and cannot write entries
        // with it.
        let subkey = |purpose| derive(root.expose(), purpose, &[keyring.as_bytes()], 32);
        Ok(Self {
            path,
            keyring,
            key: subkey(Purpose::AuditMac)?,
            seed: subkey(Purpose::AuditSigning)?,
            context,
            failure: Mutex::default(),
        })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the public key of the checkpoints (Ed25519, 32 bytes).
    ///
    /// # Errors
    ///
    /// None that a caller can cause.
    pub fn public_key(&self) -> Result<[u8; 32]> {
        public_key(&self.seed)
    }

    /// Appends entries. They are on the disk when it returns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be written, [`ErrorKind::BadInput`] if its last entry is damaged. No key
    /// may be used then.
    pub(crate) fn append(&self, entries: Vec<AuditEntry>) -> Result<()> {
        self.exclusively(|| self.write(entries))
    }

    /// Continues the tally to the end of the log, and appends the entry that `decide` makes of it, all under the lock.
    /// Entries that were tallied before are not read again.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append) and [`verify`](Self::verify); errors of `decide`.
    pub(crate) fn append_after<T>(
        &self,
        tally: &mut UsageTally,
        decide: impl FnOnce(&UsageTally) -> Result<(AuditEntry, T)>,
    ) -> Result<T> {
        // A refusal of `decide` is not an error of the file.
        let decided = self.exclusively(|| {
            self.count(tally)?;
            match decide(tally) {
                Ok((entry, decided)) => self.write(vec![entry]).map(|()| Ok(decided)),
                Err(refused) => Ok(Err(refused)),
            }
        });
        decided?
    }

    /// Runs `work` under the lock of the file, unless an entry could not be written before.
    fn exclusively<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        // An entry is missing from the log by now. Whatever is written behind it would hide the gap.
        if let Some(error) = &*self.failure() {
            return Err(error.again());
        }
        let work = || {
            // Across processes: each entry's MAC covers the one before, so two writers at one end would
            // fork the chain.
            let _lock = fs::lock(&self.path)?;
            work()
        };
        work().map_err(|error| self.in_file(error))
    }

    /// Continues the tally to the end of the log.
    fn count(&self, tally: &mut UsageTally) -> Result<()> {
        let mut file = File::open(&self.path).map_err(cannot_read)?;
        file.seek(SeekFrom::Start(tally.offset)).map_err(cannot_read)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(cannot_read)?;
        // Entries up to `offset` were verified when they were tallied, and are not read again: the first
        // new one must follow the MAC that is remembered here.
        let mac = tally.mac.clone().unwrap_or_else(|| self.start());
        let read = self.entries(&bytes, tally.entries, mac)?;
        for entry in &read.entries {
            if entry.event == AuditEvent::Limit && entry.key.as_deref() == Some(tally.key.as_str()) {
                // Only a log that has the entry which set the limit has counted everything since. Later
                // limits count from there on; earlier ones are history.
                let set_here = tally.limit.is_some() || entry.generation == Some(tally.since);
                // A running tally keeps a limit that was removed meanwhile.
                tally.limit = entry.values.filter(|_| set_here).or(tally.limit);
            }
            // By the id of the version, not by the name in `key`: names may change.
            if entry.version != Some(tally.version) || entry.purpose != Some(Direction::Encrypt) {
                continue;
            }
            let values = entry.values.unwrap_or(0);
            tally.values = match entry.event {
                // Use and release of one job stand in one append, so values count twice only while the
                // job that set them aside runs, or for ever if it was killed: the limit errs on the side
                // of safety.
                AuditEvent::Use | AuditEvent::SetAside => tally.values.saturating_add(values),
                AuditEvent::Released => tally.values.saturating_sub(values),
                _ => tally.values,
            };
        }
        // Half an entry at the end is left for the next read, which finds it cut off or whole.
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        tally.offset += complete as u64;
        tally.entries += read.entries.len() as u64;
        tally.mac = Some(read.mac);
        Ok(())
    }

    /// Appends entries; the caller holds the lock.
    fn write(&self, entries: Vec<AuditEntry>) -> Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(false);
        // Entries name people, keys and jobs.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, fs::PRIVATE);
        // A link could lead anywhere, to a file that somebody else is meant to keep.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.file_type().is_symlink()) {
            return Err(Error::bad_input("is a link").with_hint("name the file itself in the policy"));
        }
        let mut file = options.open(&self.path).map_err(cannot_write)?;
        // The end is read anew for each append, since other processes append as well.
        let LogEnd {
            mut number,
            mut mac,
            length,
            unfinished,
        } = self.end(&mut file)?;
        let mut bytes = Vec::new();
        // The repair is an entry itself. Otherwise half an entry, whether a crash left it or somebody cut
        // it, would vanish without a trace.
        let mended = unfinished.then(|| AuditEntry::new(AuditEvent::Mended));
        for mut entry in mended.into_iter().chain(entries) {
            number += 1;
            // Under the lock: a number taken before it could be that of another writer by now.
            entry.number = number;
            entry.time = self.context.now();
            entry.who = self.context.actor().to_owned();
            mac = self.mac(&mac, &entry);
            let line = LogLine {
                entry,
                mac: Base64(mac.clone()),
            };
            serde_json::to_writer(&mut bytes, &line)
                .map_err(|error| Error::bug("an audit entry that JSON cannot hold").with_source(error))?;
            bytes.push(b'\n');
        }
        // All entries of a change in one write, then synced: the caller relies on the disk having them
        // when it goes on to make the change.
        let mut put = || {
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            file.write_all(&bytes)?;
            // `sync_data` includes the length of the file, which is needed to read the new bytes back.
            file.sync_data()
        };
        put().map_err(|error| {
            // The next append would cut off half an entry; better now.
            let _ = file.set_len(length);
            cannot_write(error)
        })
    }

    /// Finds the end of the last complete entry.
    fn end(&self, file: &mut File) -> Result<LogEnd> {
        // Only the end is read: a log of years would otherwise slow down each append. It is not verified
        // here either, so what was changed in the middle is found by `verify`, not by an append.
        let total = file.metadata().map_err(cannot_read)?.len();
        let from = total.saturating_sub(TAIL);
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(from)).map_err(cannot_read)?;
        file.take(TAIL).read_to_end(&mut tail).map_err(cannot_read)?;
        let complete = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let unfinished = complete < tail.len();
        let Some(last) = tail[..complete].split(|byte| *byte == b'\n').rev().nth(1) else {
            if from > 0 {
                return Err(damaged("its end"));
            }
            // Half a first entry begins as each does; anything else is somebody's file.
            if !tail.is_empty() && !ENTRY_BEGINS.starts_with(&tail[..tail.len().min(ENTRY_BEGINS.len())]) {
                return Err(Error::bad_input("is a file, and no audit log")
                    .with_hint("name another file in the policy, or move this one away"));
            }
            return Ok(LogEnd {
                number: 0,
                mac: self.start(),
                length: 0,
                unfinished,
            });
        };
        // A complete line that cannot be read is no interruption, which leaves a line without its end.
        // Nothing is appended to it: the next entry would have no MAC to follow.
        let line: LogLine = serde_json::from_slice(last).map_err(|_| damaged("its last entry"))?;
        Ok(LogEnd {
            number: line.entry.number,
            mac: line.mac.0,
            length: from + complete as u64,
            unfinished,
        })
    }

    /// Returns the latest generation of the keyring that the log knows, because it was written or opened. `None` for a
    /// log that is not there, or names none.
    ///
    /// # Errors
    ///
    /// Errors of the file.
    pub(crate) fn known_generation(&self) -> Result<Option<u64>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.in_file(cannot_read(error).with_hint(NO_ENTRY))),
        };
        let mut window = TAIL;
        loop {
            let (known, whole) = self
                .generation_within(&mut file, window)
                .map_err(|error| self.in_file(error.with_hint(NO_ENTRY)))?;
            // A long job may have filled the end with entries that name no generation.
            if known.is_some() || whole {
                return Ok(known);
            }
            window *= 16;
        }
    }

    /// The latest generation within the last bytes of the file, and whether these are all of it.
    fn generation_within(&self, file: &mut File, window: u64) -> Result<(Option<u64>, bool)> {
        let total = file.metadata().map_err(cannot_read)?.len();
        let from = total.saturating_sub(window);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from)).map_err(cannot_read)?;
        file.take(window).read_to_end(&mut bytes).map_err(cannot_read)?;
        // The first line may have begun before, and the last may not be finished.
        let lines = bytes.split(|byte| *byte == b'\n');
        let entries: Vec<AuditEntry> = lines
            .filter_map(|line| serde_json::from_slice::<LogLine>(line).ok())
            .map(|line| line.entry)
            .collect();
        let known = entries.iter().filter_map(|entry| match entry.event {
            AuditEvent::Unwrap | AuditEvent::Restore | AuditEvent::Written => entry.generation,
            // Announced, and perhaps not made: a process may have ended in between.
            _ => None,
        });
        Ok((known.max(), from == 0))
    }

    /// Reads the whole log, and checks that each entry follows the one before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::FileNotFound`] if there is no log; [`ErrorKind::WrongKey`] with the number of the first entry
    /// that does not follow.
    pub fn verify(&self) -> Result<VerifiedLog> {
        self.read().map_err(|error| self.in_file(error))
    }

    fn read(&self) -> Result<VerifiedLog> {
        self.entries(&fs::read(&self.path)?, 0, self.start())
    }

    /// Verifies the entries in `bytes`, which follow `before` entries, the last of them with `mac`.
    fn entries(&self, bytes: &[u8], before: u64, mac: Vec<u8>) -> Result<VerifiedLog> {
        let mut verified = VerifiedLog {
            entries: Vec::new(),
            unfinished: false,
            mac,
        };
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        for (number, line) in (before + 1..).zip(&mut lines) {
            // The line feed is written last, so an entry without it was interrupted. A reader must not
            // call that tampering.
            let Some(text) = line.strip_suffix(b"\n") else {
                verified.unfinished = true;
                break;
            };
            let broken = || {
                Error::new(
                    ErrorKind::WrongKey,
                    format!(
                        "entry {number} does not follow the one before it: one of them was changed, taken \
                     out or put in"
                    ),
                )
                .with_hint(
                    "the entries before it are as they were written; compare with a copy of the log to \
                 see what happened",
                )
            };
            let line: LogLine = serde_json::from_slice(text).map_err(|_| broken())?;
            let mac = self.mac(&verified.mac, &line.entry);
            // In constant time, or whoever writes to the file and watches a verification could find a
            // right MAC byte by byte.
            let same = subtle::ConstantTimeEq::ct_eq(&mac[..], &line.mac.0[..]);
            // The MAC covers the parsed entry; other spellings of it, which parsing does not tell apart,
            // are refused here.
            let as_written = serde_json::to_vec(&line).is_ok_and(|bytes| bytes == text);
            // One answer for all three: each means that an entry was changed, taken out or put in.
            if !bool::from(same) || line.entry.number != number || !as_written {
                return Err(broken());
            }
            verified.entries.push(line.entry);
            verified.mac = mac;
        }
        Ok(verified)
    }

    /// Verifies the log, and that log and keyring, now at `generation`, continue from `checkpoint`.
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify); [`ErrorKind::BadInput`] if the checkpoint is of another keyring or was signed
    /// by another key; [`ErrorKind::WrongKey`] if log or keyring do not continue from it.
    pub fn verify_since(&self, checkpoint: &Checkpoint, generation: u64) -> Result<VerifiedLog> {
        self.since(checkpoint, generation).map_err(|error| self.in_file(error))
    }

    fn since(&self, checkpoint: &Checkpoint, generation: u64) -> Result<VerifiedLog> {
        let verified = self.read()?;
        if checkpoint.keyring() != self.keyring {
            return Err(Error::bad_input("the checkpoint is of another keyring"));
        }
        // The signature was verified under the key in the checkpoint itself, which anybody can make. Only
        // this comparison says that the checkpoint is ours.
        if checkpoint.public_key() != self.public_key()? {
            return Err(Error::bad_input("the checkpoint was signed with another key"));
        }
        let (then, now) = (checkpoint.entries(), verified.entries.len() as u64);
        let changed = |message: String| {
            Err(Error::new(ErrorKind::WrongKey, message).with_hint(format!(
                "the checkpoint is of {}; look for a copy of the log from then, and for who could write it",
                checkpoint.time()
            )))
        };
        // The chain alone shows no cut at its end: what is left is a chain that is whole. The number of
        // entries, kept elsewhere, shows it.
        if now < then {
            return changed(format!(
                "the log was cut: it has {now} entries, and had {then} at the checkpoint"
            ));
        }
        // A holder of the root could write the whole log anew, with right MACs. The MAC that was signed
        // then differs. It is public, so it is compared as any bytes are.
        if self.mac_at(&verified.entries[..then as usize]) != checkpoint.mac() {
            return changed(format!("the first {then} entries are not those of the checkpoint"));
        }
        if generation < checkpoint.generation() {
            return changed(format!(
                "the keyring is an older copy: generation {generation}, and {} at the checkpoint",
                checkpoint.generation()
            ));
        }
        Ok(verified)
    }

    /// Verifies the log and signs a checkpoint of its end; `generation` is that of the keyring.
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify).
    pub fn checkpoint(&self, generation: u64) -> Result<Checkpoint> {
        // Nothing is signed that was not verified from the first entry on.
        let verified = self.verify()?;
        let entries = verified.entries.len() as u64;
        let now = self.context.now();
        Checkpoint::sign(self.keyring, generation, entries, &verified.mac, now, &self.seed)
    }

    fn start(&self) -> Vec<u8> {
        // The first entry follows the keyring's id: a log cannot be presented as that of another keyring.
        self.tag(&[b"cipherform audit start v1", self.keyring.as_bytes()])
    }

    fn mac(&self, before: &[u8], entry: &AuditEntry) -> Vec<u8> {
        let entry = serde_json::to_vec(entry).expect("strings and numbers, which JSON always holds");
        // The MAC before is part of each: an entry cannot be taken out, put in or moved without the key.
        self.tag(&[b"cipherform audit entry v1", before, &entry])
    }

    fn mac_at(&self, entries: &[AuditEntry]) -> Vec<u8> {
        entries
            .iter()
            .fold(self.start(), |before, entry| self.mac(&before, entry))
    }

    fn tag(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose()).expect("HMAC takes a key of any length");
        mac.update(&length_prefixed(parts));
        mac.finalize().into_bytes().to_vec()
    }

    fn in_file(&self, error: Error) -> Error {
        error.context(format!("audit log `{}`", self.path.display()))
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyAudit for AuditLog {
    /// Appends an entry for the event. If that fails, nothing is appended from then on, so no key is handed out.
    fn record(&self, event: &KeyEvent) {
        let entry = AuditEntry {
            kms_key: Some(event.kms_key.clone()),
            version: Some(event.context.version),
            context: Some(event.context.key_use.clone()),
            refused: event.outcome.err().map(|kind| kind.to_string()),
            ..AuditEntry::new(match event.action {
                KeyAction::Generate => AuditEvent::Generate,
                KeyAction::Wrap => AuditEvent::Wrap,
                KeyAction::Unwrap => AuditEvent::Unwrap,
            })
        };
        if let Err(error) = self.append(vec![entry]) {
            self.failure().get_or_insert(error);
        }
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("path", &self.path)
            // Neither the MAC key nor the seed of the signing key.
            .finish_non_exhaustive()
    }
}

/// The end of a log: its last complete entry.
struct LogEnd {
    number: u64,
    mac: Vec<u8>,
    length: u64,
    unfinished: bool,
}

fn damaged(what: &str) -> Error {
    Error::bad_input(format!("{what} is damaged")).with_hint(
        Hint::from("to see from where on, ")
            .then(Remedy::VerifyAuditLog)
            .then("; put the file aside, and a new log begins"),
    )
}

fn cannot_read(error: std::io::Error) -> Error {
    Error::io("cannot be read", error)
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::io("cannot be written", error).with_hint(NO_ENTRY)
}

/// How each entry begins.
const ENTRY_BEGINS: &[u8] = b"{\"entry\":{\"number\":";

const NO_ENTRY: &str =
    "no key is used without an entry in the log: make room for it, or take the line `audit` out of the policy";

#[cfg(test)]
mod tests;
