//! Changes of one KMS key, audited and reported.

use serde_json::json;

use crate::Result;
use crate::cli::args::{ConfirmArgs, ListFormat};
use crate::cli::audited::{AuditedKms, Scheduled};
use crate::cli::confirm::confirm;
use crate::cli::report::Report;
use crate::cli::session::Clients;
use crate::keys::{AuditEntry, KmsKeyRef, Reason};
use crate::kms::{LocalKeyInfo, LocalKms};
use crate::policy::Policy;

/// A change that is about to be made.
pub(super) struct Change<'a> {
    pub(super) local: &'a LocalKms,
    audited: AuditedKms<'a>,
    pub(super) report: &'a Report<'a>,
}

impl<'a> Change<'a> {
    /// Opens the audit log, and handles scheduled maintenance.
    pub(super) async fn open(
        policy: &'a Policy,
        clients: &'a Clients,
        local: &'a LocalKms,
        scheduled: Scheduled,
        report: &'a Report<'a>,
    ) -> Result<Self> {
        let audited = AuditedKms::open(policy, clients, scheduled, report.printer).await?;
        Ok(Self { local, audited, report })
    }

    /// Asks for the reason, and for a confirmation if there is a consequence.
    pub(super) fn confirm(&self, key: &KmsKeyRef, args: &ConfirmArgs, consequence: Option<&str>) -> Result<Reason> {
        confirm(key, args, consequence, self.report.printer)
    }

    /// Makes the change with `entry` in the audit log, and reports the key and what `words` says of it.
    pub(super) async fn make(
        self,
        entry: AuditEntry,
        act: impl AsyncFnOnce(&LocalKms) -> Result<LocalKeyInfo>,
        words: impl FnOnce(&LocalKeyInfo) -> String,
    ) -> Result<()> {
        // The entry surrounds the change: no change without one.
        let key = self.audited.around(entry, async || act(self.local).await).await?;
        let printer = self.report.printer;
        printer.say(words(&key));
        if self.report.format == ListFormat::Json {
            json_line(&key, self.report)?;
        }
        // Every change is in the sealed file: a backup from before does not have it.
        printer.say(format_args!(
            "Back up `{}`: it has changed.",
            self.local.path().display()
        ));
        Ok(())
    }
}

/// Prints a KMS key as a line of JSON.
pub(super) fn json_line(key: &LocalKeyInfo, report: &Report<'_>) -> Result<()> {
    report.json(&json!({ "kms_key": KmsKeyRef::local(&key.name), "kms": key }))
}
