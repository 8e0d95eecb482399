//! Audited changes of KMS keys. The keyring, and so its log, may need the very key that is changed to be opened.

use super::printer::Printer;
use super::session::{self, Clients};
use crate::keys::{AuditEntry, AuditEvent, Keyring, KmsKeyRef};
use crate::kms::LocalKms;
use crate::policy::Policy;
use crate::{Error, ErrorKind, Result};

/// Handling of maintenance that is due in the local KMS: erasures, rotations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scheduled {
    /// Run it, before something else is changed.
    Run,
    /// Only announce it, where nothing else is changed: the clock may be wrong.
    Announce,
    /// Leave it, where somebody wants to keep a key that is due to be erased.
    Postpone,
}

/// The local KMS, with the log that its changes are written to.
pub(super) struct AuditedKms<'a> {
    policy: &'a Policy,
    clients: &'a Clients,
    printer: &'a Printer,
    keyring: Option<Keyring>,
    /// The error of a keyring that does not open, where that may be what is to be changed.
    closed: Option<Error>,
}

impl<'a> AuditedKms<'a> {
    /// Opens the log, if the policy names one. The keyring may be closed because of the very key that is to be
    /// changed, its state or its policy: then it is tried again afterwards.
    pub(super) async fn open(
        policy: &'a Policy,
        clients: &'a Clients,
        scheduled: Scheduled,
        printer: &'a Printer,
    ) -> Result<Self> {
        let mut audited = Self {
            policy,
            clients,
            printer,
            keyring: None,
            closed: None,
        };
        // Without a log in the policy there is nothing to open the keyring for.
        if policy.audit.is_some() {
            match audited.keyring().await {
                Ok(keyring) => audited.keyring = Some(keyring),
                // Only these two kinds are what a change of a KMS key may remedy: it is disabled, or its policy
                // refuses. Every other error stays one.
                Err(error) if matches!(error.kind(), ErrorKind::KeyNotUsable | ErrorKind::NotAllowed) => {
                    audited.closed = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        // After the log is open, so that maintenance is written down as well.
        if let Some(local) = &clients.local {
            run_scheduled(local, audited.keyring.as_ref(), scheduled, printer);
        }
        Ok(audited)
    }

    async fn keyring(&self) -> Result<Keyring> {
        session::keyring(self.policy, &self.clients.registry).await
    }

    /// Checks that an entry can be made before the change: for changes that no KMS key's history has.
    pub(super) fn is_open(&self) -> Result<()> {
        match &self.closed {
            None => Ok(()),
            Some(error) => Err(error
                .again()
                .context("the audit log can have no entry of this, since the keyring does not open")),
        }
    }

    /// Makes `change` with an entry for it: before, so that there is no change without one; afterwards only where the
    /// keyring could not be opened before.
    pub(super) async fn around<T>(&self, entry: AuditEntry, change: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        // The history of the KMS key, in the local KMS, has the change in any case.
        if self.policy.audit.is_none() {
            return change().await;
        }
        if let Some(keyring) = &self.keyring {
            // First the entry, then the change: a crash in between leaves an entry of something that was not done,
            // never the reverse.
            keyring.audit([entry.clone()])?;
            return change().await.inspect_err(|error| {
                // The first failure is the one to be told.
                let _ = keyring.audit([entry.failed(error)]);
            });
        }
        // The keyring was closed by the key's state, so the entry can only be made once that has changed.
        let result = change().await?;
        let written = self.keyring().await.and_then(|keyring| keyring.audit([entry]));
        // The change is done and cannot be taken back, so this is a warning and no error.
        if let Err(error) = written {
            self.printer.say(format_args!(
                "warning: the audit log has no entry of this, since the keyring does not open: {error}. The history of \
                 the KMS key has it."
            ));
        }
        Ok(result)
    }
}

/// An entry about a KMS key.
pub(super) fn entry(event: AuditEvent, key: &KmsKeyRef, context: Option<String>) -> AuditEntry {
    AuditEntry {
        kms_key: Some(key.clone()),
        context,
        ..AuditEntry::new(event)
    }
}

/// Runs maintenance that is due in the local KMS, with an entry for each. The command goes on if that fails.
pub(super) fn run_scheduled(local: &LocalKms, keyring: Option<&Keyring>, scheduled: Scheduled, printer: &Printer) {
    let attempt = || -> Result<()> {
        let due = local.due_tasks()?;
        // Erasures cannot be undone, so a command that only shows does none of them by the way.
        if scheduled != Scheduled::Run {
            for (name, what) in due.iter().filter(|_| scheduled == Scheduled::Announce) {
                printer.say(format_args!(
                    "KMS key `local:{name}`: due with the next change of a key: {what}."
                ));
            }
            return Ok(());
        }
        // All entries before anything is done, as for other changes.
        for (name, what) in &due {
            let key = KmsKeyRef::local(name);
            if let Some(keyring) = keyring {
                keyring.audit([entry(AuditEvent::State, &key, Some((*what).to_owned()))])?;
            }
        }
        local.run_due()?;
        for (name, what) in due {
            printer.say(format_args!("KMS key `local:{name}`: {what}."));
        }
        Ok(())
    };
    // What the person asked for is another matter, and goes on.
    if let Err(error) = attempt() {
        printer.say(format_args!(
            "warning: what is due in the local KMS was not done: {error}"
        ));
    }
}
