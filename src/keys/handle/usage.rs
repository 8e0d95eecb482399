//! How many values a version works on, and how many it may protect.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::keys::audit::{AuditEntry, AuditEvent, AuditLog, UsageTally};
use crate::keys::ids::KeyVersionId;
use crate::keys::key_ref::KeyName;
use crate::keys::state::Operation;
use crate::{Error, ErrorKind, Hint, Remedy, Result};

/// As much of a limit as a process sets aside at once, besides what it needs: one part in so many. Few enough that the log stays short, many enough that
/// a process which is killed takes little with it.
const PARTS: u64 = 256;

/// What a version has worked on in this process.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    protected: AtomicU64,
    revealed: AtomicU64,
    /// What of these has been written down.
    reported: Mutex<(u64, u64)>,
    shared_limit: Option<SharedLimit>,
}

/// How many values a version may protect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsageLimit {
    pub(crate) values: u64,
    /// The generation of the keyring that it was set with: the log that has that entry counts.
    pub(crate) since: u64,
}

/// The limit of a key, which all processes keep together: each sets aside in the audit log what it is going to protect.
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
    /// How much of that is protected.
    used: u64,
    tally: UsageTally,
}

/// What has happened since the last time.
pub(crate) struct UsageReport {
    pub(crate) uses: [(Operation, u64); 2],
    /// What was set aside, and is not any more: `uses` tells what became of it.
    pub(crate) released: u64,
}

impl Usage {
    /// Of a version of `key`, which may protect so many values in all.
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
    /// [`ErrorKind::KeyNotUsable`] if they are more than may be protected; what the audit log says.
    pub(crate) fn count(&self, operation: Operation, values: u64) -> Result<()> {
        match (operation, &self.shared_limit) {
            (Operation::Reveal, _) => {
                self.revealed.fetch_add(values, Ordering::Relaxed);
            }
            (Operation::Protect, None) => {
                self.protected.fetch_add(values, Ordering::Relaxed);
            }
            (Operation::Protect, Some(shared_limit)) => {
                let mut allowance = shared_limit.allowance();
                let wanted = allowance.used.saturating_add(values);
                let missing = wanted.saturating_sub(allowance.set_aside);
                if missing > 0 {
                    allowance.set_aside += shared_limit.set_aside(&mut allowance.tally, missing)?;
                }
                allowance.used = wanted;
                // Under the lock, so that nobody takes the one without the other.
                self.protected.fetch_add(values, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Whether it has worked on any.
    pub(crate) fn any(&self) -> bool {
        [&self.protected, &self.revealed]
            .iter()
            .any(|count| count.load(Ordering::Relaxed) > 0)
    }

    /// What there is to write down.
    pub(crate) fn take(&self) -> UsageReport {
        let allowance = self.shared_limit.as_ref().map(SharedLimit::allowance);
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (
            self.protected.load(Ordering::Relaxed),
            self.revealed.load(Ordering::Relaxed),
        );
        let uses = [
            (Operation::Protect, now.0 - reported.0),
            (Operation::Reveal, now.1 - reported.1),
        ];
        *reported = now;
        let released = allowance.map_or(0, |mut allowance| {
            allowance.used = 0;
            std::mem::take(&mut allowance.set_aside)
        });
        UsageReport { uses, released }
    }
}

impl SharedLimit {
    fn allowance(&self) -> std::sync::MutexGuard<'_, Allowance> {
        self.allowance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many values are set aside anew: at least as many as are `missing`.
    fn set_aside(&self, tally: &mut UsageTally, missing: u64) -> Result<u64> {
        self.log.append_after(tally, |tally| {
            let Some(last) = tally.limit() else {
                return Err(self.not_counted());
            };
            // Somebody may have lowered it meanwhile; to heed what raises it is for the next job, when the keyring says so.
            let limit = last.min(self.limit.values);
            let left = limit.saturating_sub(tally.values());
            if missing > left {
                return Err(self.exceeded(limit));
            }
            let more = missing.max(limit / PARTS).min(left);
            let entry = AuditEntry {
                key: Some(format!("{}@{}", self.key, self.number)),
                version: Some(self.version),
                purpose: Some(Operation::Protect),
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
            "the limit of key `{}` was not set in audit log `{}`, which so does not count all that was protected under it",
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
