//! Accesses of an engine, written to the keyring's audit log.

use std::sync::PoisonError;

use super::engine::Engine;
use crate::cipher::Direction;
#[cfg(feature = "sql")]
use crate::keys::QueryRecord;
use crate::keys::{AuditEntry, AuditEvent, KeyHandle};
use crate::policy::RuleRef;
use crate::{Error, Result};

impl Engine {
    /// Writes down who got, or did not get, which key.
    pub(super) fn audit_access(
        &self,
        rule: &RuleRef,
        direction: Direction,
        key: Result<&KeyHandle, &Error>,
    ) -> Result<()> {
        // Without a log nothing of the entry is even made.
        if self.state.keyring.audit_log().is_none() {
            return Ok(());
        }
        self.state.keyring.audit([AuditEntry {
            role: self.role().map(str::to_owned),
            // The version by number, for people; the id below is what counts.
            key: key.ok().map(|key| format!("{}@{}", key.name(), key.version())),
            version: key.ok().map(KeyHandle::version_id),
            purpose: Some(direction),
            rule: Some(rule.to_string()),
            // The kind alone: the message of an error may name what the role was not to know.
            refused: key.err().map(|error| error.kind().to_string()),
            ..AuditEntry::new(AuditEvent::Access)
        }])
    }

    /// Writes down a statement that was asked. Without a log it does nothing.
    ///
    /// # Errors
    /// What the log's file says.
    #[cfg(feature = "sql")]
    pub(crate) fn audit_query(&self, record: QueryRecord) -> Result<()> {
        if self.state.keyring.audit_log().is_none() {
            return Ok(());
        }
        self.state.keyring.audit([AuditEntry {
            role: self.role().map(str::to_owned),
            context: Some(record.statement),
            values: Some(record.revealed.values().sum()),
            columns: record.columns,
            revealed: record.revealed,
            refused: record.refused,
            ..AuditEntry::new(AuditEvent::Query)
        }])
    }

    /// Writes into the audit log how many values were protected and revealed with each key since the last time, in the
    /// job that `context` names. Without a log it does nothing. The rest is written when the last clone of the engine
    /// is dropped.
    ///
    /// # Errors
    /// What the log's file says.
    pub fn audit_usage(&self, context: &str) -> Result<()> {
        // Counts of values are kept by the key handles, so a job of a million rows writes one line for each key.
        self.state.keyring.audit_usage_of(self.role(), context)
    }

    /// Writes down that the role asked for what it may not have.
    ///
    /// # Errors
    /// What the log's file says.
    #[cfg(feature = "sql")]
    pub(crate) fn audit_refusal(&self, rule: &RuleRef, direction: Direction, refusal: &Error) -> Result<()> {
        self.audit_once(rule, direction, Err(refusal))
    }

    /// Writes down an access like [`audit_access`](Self::audit_access) the first time, however often a query is planned
    /// and in how many parts it runs.
    pub(super) fn audit_once(
        &self,
        rule: &RuleRef,
        direction: Direction,
        key: Result<&KeyHandle, &Error>,
    ) -> Result<()> {
        // A lock that a panic left behind is taken all the same: the set has whole entries only.
        let mut audited = self.state.audited.lock().unwrap_or_else(PoisonError::into_inner);
        let access = (self.role.clone(), rule.clone(), direction);
        if !audited.contains(&access) {
            // Still under the lock: nobody goes on with an access whose entry is not written yet, or failed to be.
            self.audit_access(rule, direction, key)?;
            audited.insert(access);
        }
        Ok(())
    }
}
