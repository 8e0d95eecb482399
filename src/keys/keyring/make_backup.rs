//! Making and recording backups of a keyring, and putting one back.

use std::path::Path;

use super::backup::{Backup, BackupParts};
use super::backup_record::BackupRecord;
use super::file::parse;
use super::keyring::Keyring;
use crate::keys::audit::{AuditEntry, AuditEvent};
use crate::keys::reason::Reason;
use crate::{Error, ErrorKind, Result, Secret};

impl Keyring {
    /// Makes a backup of the keyring as its file is now, with the bytes of the local KMS that guards it, if one does,
    /// and the text of the policy. `name` is what the audit log calls it.
    ///
    /// Read the local KMS after this keyring was opened, so that it has every key that the keyring needs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) if the file was replaced meanwhile; errors of the audit log.
    pub fn backup(&self, local_kms: Option<Vec<u8>>, policy: &str, name: &str) -> Result<Backup> {
        let file = parse(&self.path)?;
        // The bytes go into the backup as they are. They must be of the generation that was authenticated
        // when this keyring was opened; a file exchanged since then is not taken.
        if file.unverified().id != self.document.id || file.unverified().generation != self.document.generation {
            return Err(
                super::file::in_file(&self.path, Error::bad_input("was changed by somebody else meanwhile"))
                    .with_hint("try again"),
            );
        }
        let keyring = file.to_bytes();
        let (who, time) = self.actor_and_time();
        // Before the backup exists, so that no copy of the keys leaves without a trace.
        self.audit([AuditEntry {
            context: Some(format!("to {name}")),
            generation: Some(self.generation()),
            ..AuditEntry::new(AuditEvent::Backup)
        }])?;
        Backup::new(
            BackupParts {
                time,
                who,
                keyring_id: self.id(),
                keyring_generation: self.generation(),
                keyring,
                local_kms,
                policy: policy.to_owned(),
            },
            &self.root,
        )
    }

    /// Records that a backup was written, so that a health check can say what changed since.
    ///
    /// # Errors
    ///
    /// Errors of the file.
    pub fn record_backup(&mut self, backup: &Backup) -> Result<()> {
        let record = BackupRecord {
            time: backup.time(),
            generation: backup.keyring_generation(),
        };
        let entry = AuditEntry {
            context: Some("is written".to_owned()),
            ..AuditEntry::new(AuditEvent::Backup)
        };
        // A separate step, after the caller has written and synced the file: a backup that was never
        // written must not count as one.
        self.commit(Some(entry), |document| {
            document.last_backup = Some(record);
            Ok(())
        })?;
        Ok(())
    }

    /// Checks that this keyring, out of a backup, may be put back: where the audit log at `path` knows a later
    /// generation, that takes a reason.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if it does not; errors of the log's file.
    pub fn check_restorable(&self, path: &Path, reason: Option<&Reason>) -> Result<()> {
        // A log that goes on under a later root takes no entry of this keyring.
        self.audit_log_at(path.to_owned())?.check_end()?;
        match (self.known_later(path)?, reason) {
            (None, _) | (_, Some(_)) => Ok(()),
            (Some(known), None) => Err(Error::new(
                ErrorKind::WrongKey,
                format!(
                    "the audit log knows generation {known} of the keyring, and the backup is of generation {}: keys \
                     that were compromised or replaced since would come back",
                    self.generation()
                ),
            )
            .with_hint("if the newer keyring is lost, say why with --reason")),
        }
    }

    /// Puts down in the audit log at `path` that this keyring came out of the backup `name`. Where the log knows a
    /// later generation, the keyring becomes a later one still: from then on the lost one is the older copy.
    ///
    /// # Errors
    ///
    /// As for [`check_restorable`](Self::check_restorable); errors of both files.
    pub fn restored(mut self, path: &Path, name: &str, reason: Option<&Reason>) -> Result<Self> {
        self.check_restorable(path, reason)?;
        let entry = AuditEntry {
            context: Some(format!("from {name}")),
            reason: reason.cloned(),
            ..AuditEntry::new(AuditEvent::Restore)
        };
        match self.known_later(path)? {
            None => {
                let keyring = self.with_audit_log(path)?;
                let generation = Some(keyring.generation());
                keyring.audit([AuditEntry { generation, ..entry }])?;
                Ok(keyring)
            }
            Some(known) => {
                self.log = Some(self.audit_log_at(path.to_owned())?);
                self.commit(Some(entry), |document| {
                    document.generation = known;
                    Ok(())
                })?;
                Ok(self)
            }
        }
    }

    /// The latest generation that the log knows, if it is later than this keyring.
    fn known_later(&self, path: &Path) -> Result<Option<u64>> {
        let known = self.audit_log_at(path.to_owned())?.known_generation()?;
        Ok(known.filter(|known| *known > self.generation()))
    }

    pub(crate) fn root(&self) -> &Secret<Vec<u8>> {
        &self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::keys::StagedBackup;
    use crate::keys::{KeyUse, KmsRegistry};
    use crate::kms::MemoryKms;

    #[tokio::test]
    async fn a_backup_is_verified_and_never_put_over_something_newer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.json");
        let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
        let mut keyring = Keyring::create(&path, &"memory:main".parse().unwrap(), &registry)
            .await
            .unwrap();
        let create = async |keyring: &mut Keyring, name: &str| {
            keyring
                .create_key(&name.parse().unwrap(), KeyUse::Derive, None)
                .await
                .unwrap();
        };
        create(&mut keyring, "one").await;
        let advice = || async { Keyring::examine(&path, &registry, 0).await.unwrap()[1].advice.clone() };
        assert!(advice().await.unwrap().to_string().contains("no backup yet"));
        let backup = keyring.backup(None, "version = 1", "b.json").unwrap();
        let then = std::fs::read(&path).unwrap();
        keyring.record_backup(&backup).unwrap();
        assert_eq!(advice().await, None);
        let bytes = backup.to_bytes();
        let staged = || StagedBackup::try_new(Backup::parse(&bytes).unwrap()).unwrap();
        staged().verify(&registry).await.unwrap();
        assert_eq!(staged().backup().policy(), "version = 1");

        let put = |staged: &StagedBackup| staged.put(&path, &folder.path().join("kms.json"));
        let error = put(&staged()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadInput);
        assert!(
            error.message().contains("is newer: generation 3, and 2 in the backup"),
            "{error}"
        );
        // A key that no backup has: the advice must come back.
        create(&mut keyring, "two").await;
        assert!(
            advice()
                .await
                .unwrap()
                .to_string()
                .contains("changed since its last backup")
        );
        std::fs::remove_file(&path).unwrap();
        put(&staged()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), then);
        put(&staged()).unwrap();
        // As after a disk error.
        std::fs::write(&path, &then[..then.len() / 2]).unwrap();
        assert!(put(&staged()).unwrap_err().message().contains("is damaged"));

        // Every byte counts, whoever changed it.
        let text = String::from_utf8(bytes.clone()).unwrap();
        let changed = text.replace("version = 1", "version = 2");
        let staged = StagedBackup::try_new(Backup::parse(changed.as_bytes()).unwrap()).unwrap();
        assert_eq!(staged.verify(&registry).await.unwrap_err().kind(), ErrorKind::WrongKey);
        assert!(Backup::parse(&bytes[..bytes.len() - 9]).is_err());
        // A KMS key of that name, and other bytes: the forger's own KMS.
        let stranger = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
        assert!(StagedBackup::try_new(backup).unwrap().verify(&stranger).await.is_err());
    }
}
