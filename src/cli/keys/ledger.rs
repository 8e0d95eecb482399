//! The audit log, for changes of KMS keys: they can be what the keyring, and so the log, needs to be opened.

use crate::cli::printer::Printer;
use crate::cli::session::Clients;
use crate::keys::{AuditEntry, AuditEvent, Keyring, KmsKeyRef};
use crate::kms::LocalKms;
use crate::policy::Policy;
use crate::{Error, ErrorKind, Result};

/// What becomes of what time has made due in the local KMS: erasures, rotations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// Before something else is changed.
    IsDone,
    /// Where nothing else is changed, it is only told: the clock may be wrong.
    IsTold,
    /// It waits without a word, where somebody wants to keep what is due.
    Waits,
}

/// Where changes of KMS keys are written down.
pub(super) struct Ledger<'a> {
    policy: &'a Policy,
    clients: &'a Clients,
    printer: &'a Printer,
    keyring: Option<Keyring>,
    /// Why the keyring does not open, where that may be what is to be changed.
    closed: Option<Error>,
}

impl<'a> Ledger<'a> {
    /// Opens the log, if the policy names one. The keyring may be closed because of the very key that is to be changed, its state or its policy: then it is tried
    /// again afterwards.
    pub(super) async fn open(policy: &'a Policy, clients: &'a Clients, due: Due, printer: &'a Printer) -> Result<Self> {
        let mut ledger = Self {
            policy,
            clients,
            printer,
            keyring: None,
            closed: None,
        };
        if policy.audit.is_some() {
            match ledger.keyring().await {
                Ok(keyring) => ledger.keyring = Some(keyring),
                Err(error) if matches!(error.kind(), ErrorKind::KeyNotUsable | ErrorKind::NotAllowed) => {
                    ledger.closed = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(local) = &clients.local {
            tend(local, ledger.keyring.as_ref(), due, printer);
        }
        Ok(ledger)
    }

    async fn keyring(&self) -> Result<Keyring> {
        let keyring = Keyring::open(&self.policy.keyring, &self.clients.registry).await?;
        let keyring = keyring.not_older_than(self.policy.keyring_generation)?;
        match &self.policy.audit {
            Some(path) => keyring.with_audit_log(path),
            None => Ok(keyring),
        }
    }

    /// Passes if an entry can be made before the change: for what no KMS key's history tells.
    pub(super) fn is_open(&self) -> Result<()> {
        match &self.closed {
            None => Ok(()),
            Some(error) => Err(error
                .again()
                .context("the audit log can have no entry of this, since the keyring does not open")),
        }
    }

    /// Makes `change` with an entry for it: before, so that there is no change without one; afterwards only where the keyring could not be opened before.
    pub(super) async fn around<T>(&self, entry: AuditEntry, change: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        if self.policy.audit.is_none() {
            return change().await;
        }
        if let Some(keyring) = &self.keyring {
            keyring.audit([entry.clone()])?;
            return change().await.inspect_err(|error| {
                // The first failure is the one to be told.
                let _ = keyring.audit([entry.failed(error)]);
            });
        }
        let result = change().await?;
        let written = self.keyring().await.and_then(|keyring| keyring.audit([entry]));
        if let Err(error) = written {
            self.printer.say(format_args!(
                "warning: the audit log has no entry of this, since the keyring does not open: {error}. The history of the KMS key has it."
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

/// Does what time has made due in the local KMS, with an entry for each. What else was asked for goes on if that fails.
pub(super) fn tend(local: &LocalKms, keyring: Option<&Keyring>, what_is_due: Due, printer: &Printer) {
    let attempt = || -> Result<()> {
        let due = local.due_tasks()?;
        if what_is_due != Due::IsDone {
            for (name, what) in due.iter().filter(|_| what_is_due == Due::IsTold) {
                printer.say(format_args!(
                    "KMS key `local:{name}`: due with the next change of a key: {what}."
                ));
            }
            return Ok(());
        }
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
    if let Err(error) = attempt() {
        printer.say(format_args!(
            "warning: what is due in the local KMS was not done: {error}"
        ));
    }
}
