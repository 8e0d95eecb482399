//! Replacing the root key of a keyring, and adopting an audit log in place of one that was lost.

use super::document::{KeyringDocument, RootEntry};
use super::file::{in_file, sealed};
use super::keyring::{Keyring, ROOT};
use crate::keys::audit::{AuditEntry, AuditEvent};
use crate::keys::encoding::Base64;
use crate::keys::ids::KeyVersionId;
use crate::keys::reason::Reason;
use crate::keys::wrap::envelope;
use crate::{Error, ErrorKind, Hint, Remedy, Result, fs};

impl Keyring {
    /// Replaces the root key, which authenticates the keyring, its audit log, checkpoints and backups, and signs keys
    /// for partners. Data keys stay as they are. The audit log goes on: the keyring keeps a digest of what was written
    /// under the former root.
    ///
    /// Policies that pin the root need the new [check value](Self::root_check).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if the audit log is damaged, or not the keyring's; [`ErrorKind::BadPolicy`] if there is
    /// one, and this keyring was opened without it; otherwise errors of the KMS or the files. The keyring is then as it
    /// was.
    pub async fn new_root(&mut self, reason: Option<&Reason>) -> Result<()> {
        let kms_key = self.kms_key().clone();
        let id = KeyVersionId::random()?;
        let context = KeyringDocument::root_context(self.id(), id);
        let (root, wrapped) = envelope::generate(&self.registry, &kms_key, ROOT, &context).await?;
        // A KMS may allow to generate and refuse to unwrap. Found only later, the keyring would be lost.
        let back = envelope::unwrap(&self.registry, &kms_key, &wrapped, ROOT, &context).await;
        let back = back.map_err(|error| in_file(&self.path, error.context("the new root")))?;
        // Not in constant time: the KMS alone could choose `back`, and it made the root itself.
        if back.expose() != root.expose() {
            let message = format!("KMS key `{kms_key}` unwraps to another key than it wrapped");
            return Err(Error::new(ErrorKind::WrongKey, message));
        }
        // Values counted by handles of before are in the log under the former root.
        self.audit_usage(None, "until the root was replaced")?;
        let _lock = fs::lock(&self.path)?;
        let mut document = self.current()?;
        if document.audit.is_some() && self.log.is_none() {
            let message = "has an audit log, which its root authenticates, and the policy names none";
            return Err(in_file(&self.path, Error::bad_policy(message)).with_hint(
                "name it in the policy, by a line like audit = \"audit.jsonl\"; what is in it could not be verified \
                 any more",
            ));
        }
        document.generation += 1;
        document.root = RootEntry {
            kms_key: kms_key.clone(),
            id,
            wrapped: Base64(wrapped),
        };
        let write = |document: &KeyringDocument| fs::write_atomic(&self.path, &sealed(document, &root)?, fs::PRIVATE);
        match &self.log {
            None => write(&document)?,
            Some(log) => {
                log.know(document.audit.clone())?;
                log.check_known()?;
                let entry = AuditEntry {
                    version: Some(id),
                    kms_key: Some(kms_key),
                    generation: Some(document.generation),
                    reason: reason.cloned(),
                    ..AuditEntry::new(AuditEvent::NewRoot)
                };
                log.change_root(entry, &root, |record| {
                    document.audit = Some(record);
                    write(&document)
                })?;
            }
        }
        self.document = document;
        self.root = root;
        // They remember where in the log they have counted up to.
        self.usages().clear();
        Ok(())
    }

    /// Takes the audit log that is in use for the keyring's own, where the one that it knows was lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if it is the one that the keyring knows; [`ErrorKind::WrongKey`] if it was changed;
    /// [`ErrorKind::BadPolicy`] without a log; errors of the files.
    pub fn adopt_audit_log(&mut self, reason: &Reason) -> Result<()> {
        let Some(log) = self.log.clone() else {
            return Err(Error::bad_policy("the policy names no audit log"));
        };
        if log.check_known().is_ok() {
            return Err(
                Error::bad_input("this is the audit log that the keyring knows").with_hint(
                    Hint::from("nothing needs to be done; to look at all of it, ").then(Remedy::VerifyAuditLog),
                ),
            );
        }
        // What is adopted is whole, from its first entry on.
        log.verify_chain()?;
        let entry = AuditEntry {
            reason: Some(reason.clone()),
            ..AuditEntry::new(AuditEvent::Adopt)
        };
        self.commit(Some(entry), |document| {
            document.audit = None;
            Ok(())
        })
    }

    /// Checks that the audit log in use is the one that the keyring knows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if it is not, or its end was cut off; [`ErrorKind::BadPolicy`] if the keyring has a log,
    /// and was opened without one.
    pub fn check_audit_log(&self) -> Result<()> {
        match &self.log {
            Some(log) => log.check_known(),
            None if self.document.audit.is_none() => Ok(()),
            None => Err(
                Error::bad_policy("the keyring has an audit log, and the policy names none")
                    .with_hint("add the line for it again, such as audit = \"audit.jsonl\""),
            ),
        }
    }
}
