//! The file of the audit log: appending, reading, verifying.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use sha2::{Digest as _, Sha256};

use super::chain::{EntryChain, LogLine, VerifiedLog};
use super::checkpoint::Checkpoint;
use super::entry::{AuditEntry, AuditEvent};
use super::record::{ClosedPart, LogRecord};
use super::tally::UsageTally;
use crate::cipher::Direction;
use crate::keys::context::Context;
use crate::keys::encoding::Base64;
use crate::keys::ids::KeyringId;
use crate::keys::wrap::{KeyAction, KeyAudit, KeyEvent, public_key};
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret, fs};

/// Bytes at the end of the file that are searched for the last entry; entries are far shorter.
const TAIL: u64 = 64 * 1024;

/// An audit log, open to be appended to and verified.
pub struct AuditLog {
    path: PathBuf,
    /// Replaced with the keyring's root, while everything that writes to the log goes on.
    state: RwLock<LogState>,
    context: Context,
    /// First error of [`KeyAudit::record`], which cannot return it: from then on nothing is appended.
    failure: Mutex<Option<Error>>,
}

/// The keys of the log, and what the keyring knows of it.
struct LogState {
    chain: EntryChain,
    record: Option<LogRecord>,
}

impl AuditLog {
    /// Opens the log at `path` of the keyring with that root key, which knows of it what `record` says. Its entries
    /// are not verified yet.
    pub(crate) fn new(
        path: PathBuf,
        keyring: KeyringId,
        root: &Secret<Vec<u8>>,
        record: Option<LogRecord>,
        context: Context,
    ) -> Result<Self> {
        let chain = EntryChain::new(keyring, root, None)?;
        let log = Self {
            path,
            state: RwLock::new(LogState { chain, record: None }),
            context,
            failure: Mutex::default(),
        };
        log.know(record)?;
        Ok(log)
    }

    /// Sets what the keyring knows of the log.
    pub(crate) fn know(&self, record: Option<LogRecord>) -> Result<()> {
        let closed = match &record {
            // Another log in its place has nothing that was written under a former root.
            Some(record) if self.continues(record)? => record.closed.last().cloned(),
            _ => None,
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.chain.set_closed(closed);
        state.record = record;
        Ok(())
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
        public_key(&self.state().chain.seed)
    }

    /// Appends entries. They are on the disk when it returns the end of the log.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be written, [`ErrorKind::BadInput`] if its last entry is damaged. No key
    /// may be used then.
    pub(crate) fn append(&self, entries: Vec<AuditEntry>) -> Result<LogRecord> {
        self.exclusively(|| self.write(entries))
    }

    /// Ends the part of the log that is under the present root with `entry`, lets `store` make the change of the
    /// keyring to `root` that it announces, and goes on under that. Nobody else writes meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append) and [`verify`](Self::verify); errors of `store`, after which the log goes on
    /// under the present root.
    pub(crate) fn change_root(
        &self,
        entry: AuditEntry,
        root: &Secret<Vec<u8>>,
        store: impl FnOnce(LogRecord) -> Result<()>,
    ) -> Result<()> {
        let stored = self.exclusively(|| {
            // What is closed is not verified under its keys again, so it is now.
            self.read()?;
            let end = self.write(vec![entry.clone()])?;
            let bytes = fs::read(&self.path)?;
            let known = self.state().record.clone();
            let mut closed = known.map(|known| known.closed).unwrap_or_default();
            closed.push(ClosedPart {
                entries: end.entries,
                bytes: bytes.len() as u64,
                sha256: Base64(Sha256::digest(&bytes).to_vec()),
                public_key: Base64(self.public_key()?.to_vec()),
            });
            let record = LogRecord { closed, ..end };
            let keyring = self.state().chain.keyring();
            let chain = EntryChain::new(keyring, root, record.closed.last().cloned())?;
            if let Err(error) = store(record.clone()) {
                // The first error is the one to report.
                let _ = self.write(vec![entry.failed(&error)]);
                return Ok(Err(error));
            }
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = LogState {
                chain,
                record: Some(record),
            };
            let written = AuditEntry {
                generation: entry.generation,
                ..AuditEntry::new(AuditEvent::Written)
            };
            self.write(vec![written]).map(|_| Ok(()))
        });
        // An error of the keyring is not one of the log's file.
        stored?
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
                Ok((entry, decided)) => self.write(vec![entry]).map(|_| Ok(decided)),
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
        let state = self.state();
        let mac = tally.mac.clone().unwrap_or_else(|| state.chain.start());
        let read = state.chain.verify(&bytes, tally.entries, mac.clone())?;
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
        tally.mac = Some(read.macs.last().cloned().unwrap_or(mac));
        Ok(())
    }

    /// Appends entries; the caller holds the lock.
    fn write(&self, entries: Vec<AuditEntry>) -> Result<LogRecord> {
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
            mac = self.state().chain.mac(&mac, &entry);
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
        })?;
        Ok(LogRecord {
            entries: number,
            bytes: length + bytes.len() as u64,
            mac: Base64(mac),
            closed: Vec::new(),
        })
    }

    /// Checks that an entry can follow the last one, if there is a log.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if it was written under another root; errors of the file.
    pub(crate) fn check_end(&self) -> Result<()> {
        let checked = match File::open(&self.path) {
            Ok(mut file) => self.end(&mut file).map(|_| ()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(cannot_read(error).with_hint(NO_ENTRY)),
        };
        checked.map_err(|error| self.in_file(error))
    }

    /// Finds the end of the last complete entry, and checks that it follows the one before.
    fn end(&self, file: &mut File) -> Result<LogEnd> {
        // Only the end is read: a log of years would otherwise slow down each append. What was changed in the middle
        // is found by `verify`, not by an append.
        let total = file.metadata().map_err(cannot_read)?.len();
        let lines = last_lines(file, total)?;
        let unfinished = lines.end < total;
        let Some(last) = &lines.last else {
            // Half a first entry begins as each does; anything else is somebody's file.
            if !lines.rest.is_empty()
                && !ENTRY_BEGINS.starts_with(&lines.rest[..lines.rest.len().min(ENTRY_BEGINS.len())])
            {
                return Err(Error::bad_input("is a file, and no audit log")
                    .with_hint("name another file in the policy, or move this one away"));
            }
            return Ok(LogEnd {
                number: 0,
                mac: self.state().chain.start(),
                length: 0,
                unfinished,
            });
        };
        // A complete line that cannot be read is no interruption, which leaves a line without its end.
        // Nothing is appended to it: the next entry would have no MAC to follow.
        let line: LogLine = serde_json::from_slice(last).map_err(|_| damaged("its last entry"))?;
        self.check_last(&line, lines.before.as_deref())?;
        Ok(LogEnd {
            number: line.entry.number,
            mac: line.mac.0,
            length: lines.end,
            unfinished,
        })
    }

    /// Checks that the last entry was written under this root: behind one under another root, of a keyring that is
    /// newer than this one, an entry would break the chain.
    fn check_last(&self, last: &LogLine, before: Option<&[u8]>) -> Result<()> {
        let state = self.state();
        // The keyring has a digest of what is closed, and `verify` compares it.
        if last.entry.number <= state.chain.closed_entries() {
            return Ok(());
        }
        let before = match before {
            None => state.chain.start(),
            Some(line) => {
                let line: LogLine = serde_json::from_slice(line).map_err(|_| damaged("the entry before its last"))?;
                line.mac.0
            }
        };
        if state.chain.mac(&before, &last.entry) == last.mac.0 {
            return Ok(());
        }
        let message = "its last entry does not follow the one before it under this keyring's root: the root was \
                       replaced, or the log changed";
        Err(Error::new(ErrorKind::WrongKey, message).with_hint(
            Hint::from(
                "open the keyring again, the newest one; if that is lost, or the log was changed, move the log away \
                 and keep it; once a new one has begun, ",
            )
            .then(Remedy::AdoptAuditLog),
        ))
    }

    /// Tells whether the log goes on from what `record` says.
    pub(crate) fn continues(&self, record: &LogRecord) -> Result<bool> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.in_file(cannot_read(error).with_hint(NO_ENTRY))),
        };
        holds(&mut file, record).map_err(|error| self.in_file(error))
    }

    /// Checks that this is the log that the keyring knows, and that nothing it knows of was cut off.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if it is not; errors of the file.
    pub(crate) fn check_known(&self) -> Result<()> {
        let Some(record) = self.state().record.clone() else {
            return Ok(());
        };
        if self.continues(&record)? {
            return Ok(());
        }
        let message = format!(
            "this is not the log that the keyring knows, or its end was cut off: at the keyring's last change it had \
             {} entries",
            record.entries
        );
        Err(self.in_file(Error::new(ErrorKind::WrongKey, message)).with_hint(
            Hint::from("put back the log that it knows; if that is lost, and another one is in its place for good, ")
                .then(Remedy::AdoptAuditLog),
        ))
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

    /// Reads the whole log, and checks that each entry follows the one before, and that it is the log that the keyring
    /// knows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::FileNotFound`] if there is no log; [`ErrorKind::WrongKey`] with the number of the first entry
    /// that does not follow, or if it is another log.
    pub fn verify(&self) -> Result<VerifiedLog> {
        let verified = self.verify_chain()?;
        self.check_known()?;
        Ok(verified)
    }

    /// Reads the whole log, and checks that each entry follows the one before, whichever log it is.
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify).
    pub(crate) fn verify_chain(&self) -> Result<VerifiedLog> {
        self.read().map_err(|error| self.in_file(error))
    }

    fn read(&self) -> Result<VerifiedLog> {
        let state = self.state();
        state.chain.verify(&fs::read(&self.path)?, 0, state.chain.start())
    }

    /// Verifies the log, and that log and keyring, now at `generation`, continue from `checkpoint`.
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify); [`ErrorKind::BadInput`] if the checkpoint is of another keyring or was signed
    /// by another key; [`ErrorKind::WrongKey`] if log or keyring do not continue from it.
    pub fn verify_since(&self, checkpoint: &Checkpoint, generation: u64) -> Result<VerifiedLog> {
        let verified = self
            .since(checkpoint, generation)
            .map_err(|error| self.in_file(error))?;
        // A checkpoint may be older than what the keyring knows.
        self.check_known()?;
        Ok(verified)
    }

    fn since(&self, checkpoint: &Checkpoint, generation: u64) -> Result<VerifiedLog> {
        let verified = self.read()?;
        if checkpoint.keyring() != self.state().chain.keyring() {
            return Err(Error::bad_input("the checkpoint is of another keyring"));
        }
        // The signature was verified under the key in the checkpoint itself, which anybody can make. Only
        // this comparison says that the checkpoint is ours.
        if checkpoint.public_key() != self.public_key()? && !self.is_of_former_root(checkpoint) {
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
        let mac = match then {
            0 => Some(self.state().chain.start()),
            then => verified.macs.get(then as usize - 1).cloned(),
        };
        if mac.as_deref() != Some(checkpoint.mac()) {
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

    /// Tells whether a former root signed this checkpoint, while it was the root.
    fn is_of_former_root(&self, checkpoint: &Checkpoint) -> bool {
        let state = self.state();
        let closed = state.record.iter().flat_map(|record| &record.closed);
        closed
            .filter(|part| part.public_key.0 == checkpoint.public_key())
            // Whoever knows a former root can sign with it still, but not about what came later.
            .any(|part| checkpoint.entries() <= part.entries)
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
        let state = self.state();
        let mac = verified.macs.last().cloned().unwrap_or_else(|| state.chain.start());
        Checkpoint::sign(state.chain.keyring(), generation, entries, &mac, now, &state.chain.seed)
    }

    fn state(&self) -> RwLockReadGuard<'_, LogState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
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

/// Checks whether the file has the entry that was the last one when `record` was made, where it was then.
fn holds(file: &mut File, record: &LogRecord) -> Result<bool> {
    if file.metadata().map_err(cannot_read)?.len() < record.bytes {
        return Ok(false);
    }
    let lines = last_lines(file, record.bytes)?;
    let line = lines
        .last
        .and_then(|line| serde_json::from_slice::<LogLine>(&line).ok());
    // By the MAC that the keyring noted: with the key alone, a former holder of the root could make another.
    let same = |line: LogLine| line.entry.number == record.entries && line.mac == record.mac;
    Ok(lines.end == record.bytes && line.is_some_and(same))
}

/// The last complete lines of a file.
struct LastLines {
    last: Option<Vec<u8>>,
    /// The line before; absent if `last` is the first one.
    before: Option<Vec<u8>>,
    /// Offset behind the last complete line.
    end: u64,
    /// The bytes behind it.
    rest: Vec<u8>,
}

/// Reads the last two complete lines of the first `total` bytes of a file.
fn last_lines(file: &mut File, total: u64) -> Result<LastLines> {
    let mut window = TAIL;
    loop {
        let from = total.saturating_sub(window);
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(from)).map_err(cannot_read)?;
        file.take(total - from).read_to_end(&mut tail).map_err(cannot_read)?;
        let complete = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut lines = tail[..complete].split(|byte| *byte == b'\n').rev().skip(1);
        let (last, before) = (lines.next(), lines.next());
        // The first line of a window may have begun before it.
        if from == 0 || lines.next().is_some() {
            return Ok(LastLines {
                last: last.map(<[u8]>::to_vec),
                before: before.map(<[u8]>::to_vec),
                end: from + complete as u64,
                rest: tail[complete..].to_vec(),
            });
        }
        // An entry with a long statement.
        window *= 16;
    }
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
