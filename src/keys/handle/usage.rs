//! Counts of the values that versions of keys protect and reveal, and limits on them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cipher::Direction;
use crate::keys::audit::{AuditEntry, AuditEvent, AuditLog, UsageTally};
use crate::keys::ids::KeyVersionId;
use crate::keys::key_ref::KeyName;
use crate::{Error, ErrorKind, Hint, Remedy, Result};

/// Part of a limit that a process sets aside at once, beyond its need: one in 256. The log stays short, and a process
/// that is killed wastes little.
const PARTS: u64 = 256;

/// Values that one process protects with one version, at most: 2^40, far below where statistics tell anything.
const MOST: u64 = 1 << 40;

/// The values that a version has protected and revealed in this process.
#[derive(Debug, Default)]
pub(crate) struct VersionUsage {
    protected: AtomicU64,
    revealed: AtomicU64,
    /// Counts that the audit log has already.
    reported: Mutex<(u64, u64)>,
    shared_limit: Option<SharedLimit>,
}

/// A limit on the values that a version may protect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsageLimit {
    pub(crate) values: u64,
    /// Generation of the keyring that the limit was set with: the log must have that entry.
    pub(crate) since: u64,
}

/// The limit of a key across processes: each sets aside in the audit log what it is going to protect.
#[derive(Debug)]
struct SharedLimit {
    limit: UsageLimit,
    log: Arc<AuditLog>,
    key: KeyName,
    number: u32,
    version: KeyVersionId,
    allowance: Mutex<Allowance>,
}

#[derive(Debug)]
struct Allowance {
    set_aside: u64,
    /// Values set aside that are protected already.
    used: u64,
    tally: UsageTally,
}

/// The usage since the last report.
pub(crate) struct UsageReport {
    pub(crate) uses: [(Direction, u64); 2],
    /// Values that are no longer set aside; `uses` says how many were protected.
    pub(crate) released: u64,
}

impl VersionUsage {
    /// Counts for a version of `key` that has a limit.
    pub(crate) fn limited(
        limit: UsageLimit,
        log: Arc<AuditLog>,
        key: KeyName,
        number: u32,
        version: KeyVersionId,
    ) -> Self {
        let allowance = Allowance {
            set_aside: 0,
            used: 0,
            tally: UsageTally::new(key.clone(), version, limit.since),
        };
        Self {
            shared_limit: Some(SharedLimit {
                limit,
                log,
                key,
                number,
                version,
                allowance: Mutex::new(allowance),
            }),
            ..Self::default()
        }
    }

    /// Counts `values`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] if they are more than may be protected; errors of the audit log.
    pub(crate) fn count(&self, direction: Direction, values: u64) -> Result<()> {
        match (direction, &self.shared_limit) {
            (Direction::Decrypt, _) => {
                // Only protecting is limited: what was protected must stay readable. `Relaxed` is enough
                // for a count that orders nothing else.
                self.revealed.fetch_add(values, Ordering::Relaxed);
            }
            (Direction::Encrypt, None) => {
                let before = self.protected.fetch_add(values, Ordering::Relaxed);
                if before.saturating_add(values) > MOST {
                    // A refused batch protects nothing.
                    self.protected.fetch_sub(values, Ordering::Relaxed);
                    let message = format!("one process protects at most {MOST} values with one version of a key");
                    return Err(Error::new(ErrorKind::KeyNotUsable, message)
                        .with_hint("rotate the key; the bound is this program's own: NIST gives none for FF1"));
                }
            }
            (Direction::Encrypt, Some(shared_limit)) => {
                let mut allowance = shared_limit.allowance();
                let wanted = allowance.used.saturating_add(values);
                // Values are set aside in the log before they are protected. A process that is killed has
                // then used no more than the log says, and the next process sees it.
                let missing = wanted.saturating_sub(allowance.set_aside);
                if missing > 0 {
                    allowance.set_aside += shared_limit.set_aside(&mut allowance.tally, missing)?;
                }
                // Only after success: a refused batch protects nothing, and must not use up the
                // allowance.
                allowance.used = wanted;
                // Under the lock, so that a report never takes one without the other.
                self.protected.fetch_add(values, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Checks whether any value was counted.
    pub(crate) fn any(&self) -> bool {
        [&self.protected, &self.revealed]
            .iter()
            .any(|count| count.load(Ordering::Relaxed) > 0)
    }

    /// Takes the usage since the last report.
    pub(crate) fn take(&self) -> UsageReport {
        // Held until the end: `count` changes both numbers under this lock, so the report is one snapshot
        // of them.
        let allowance = self.shared_limit.as_ref().map(SharedLimit::allowance);
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (
            self.protected.load(Ordering::Relaxed),
            self.revealed.load(Ordering::Relaxed),
        );
        let uses = [
            (Direction::Encrypt, now.0 - reported.0),
            (Direction::Decrypt, now.1 - reported.1),
        ];
        *reported = now;
        let released = allowance.map_or(0, |mut allowance| {
            allowance.used = 0;
            // All of it is released. What was protected stands in the use entries of the same report, so
            // the sum in the log falls by what was not used.
            std::mem::take(&mut allowance.set_aside)
        });
        UsageReport { uses, released }
    }
}

impl SharedLimit {
    fn allowance(&self) -> std::sync::MutexGuard<'_, Allowance> {
        self.allowance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets aside at least `missing` more values, and returns how many.
    fn set_aside(&self, tally: &mut UsageTally, missing: u64) -> Result<u64> {
        // Read, decide and append under one lock of the file: two processes that both saw the last free
        // values would otherwise both take them.
        self.log.append_after(tally, |tally| {
            // A log without the entry that set the limit is another log, or a new one. Counting from zero
            // in it would let anybody reset a limit by moving the file away.
            let Some(last) = tally.limit() else {
                return Err(self.not_counted());
            };
            // The limit may have been lowered meanwhile. A higher one counts for the next job, once the keyring has it.
            let limit = last.min(self.limit.values);
            let left = limit.saturating_sub(tally.values());
            // All or nothing: half a batch under an exhausted key would leave a table protected in part.
            if missing > left {
                return Err(self.exceeded(limit));
            }
            // At least what is needed, at most what is left; in between a part, so that small batches do
            // not each cost a synced write to the log.
            let more = missing.max(limit / PARTS).min(left);
            let entry = AuditEntry {
                key: Some(format!("{}@{}", self.key, self.number)),
                version: Some(self.version),
                purpose: Some(Direction::Encrypt),
                values: Some(more),
                ..AuditEntry::new(AuditEvent::SetAside)
            };
            Ok((entry, more))
        })
    }

    fn exceeded(&self, limit: u64) -> Error {
        let message = format!(
            "key `{}@{}` may protect {limit} values, and this would be more",
            self.key, self.number
        );
        Error::new(ErrorKind::KeyNotUsable, message).with_hint(
            Hint::from(Remedy::RotateKey(self.key.to_string()))
                .then(", or ")
                .then(Remedy::ChangeLimit {
                    key: self.key.to_string(),
                    values: None,
                }),
        )
    }

    fn not_counted(&self) -> Error {
        let message = format!(
            "the limit of key `{}` was not set in audit log `{}`, which so does not count all that was \
             protected under it",
            self.key,
            self.log.path().display()
        );
        Error::new(ErrorKind::KeyNotUsable, message).with_hint(
            Hint::from("put the log back that it was set in; to begin anew in this one, ").then(Remedy::ChangeLimit {
                key: self.key.to_string(),
                values: Some(self.limit.values),
            }),
        )
    }
}
