//! Backups of the file.

use super::local_kms::LocalKms;
use crate::keys::{BackupRecord, Finding};
use crate::{Result, fs};

impl LocalKms {
    /// The bytes of the file, sealed as they are, and its generation, after they were authenticated: for a backup.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`](crate::ErrorKind::WrongKey) if the file does not unlock.
    pub fn bytes(&self) -> Result<(Vec<u8>, u64)> {
        // Nobody changes it between the two.
        let _lock = fs::lock(self.path())?;
        let (content, _) = self.content(self.path())?;
        Ok((fs::read(self.path())?, content.generation))
    }

    /// Puts down that `generation` of the file is in a backup.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub fn record_backup(&self, generation: u64) -> Result<()> {
        let time = self.context.now();
        self.change(self.path(), |content, _| {
            content.last_backup = Some(BackupRecord { time, generation });
            Ok(())
        })
    }

    /// Whether the file is in good health, and what is due with it.
    pub fn examine(&self) -> Finding {
        let subject = format!("local KMS `{}`", self.path().display());
        match self.content(self.path()) {
            Ok((content, _)) => {
                let well = format!(
                    "authentic, generation {}; KMS keys: {}",
                    content.generation,
                    content.keys.len()
                );
                let mut finding = Finding::new(subject, Ok(well));
                finding.advice = BackupRecord::advice(content.last_backup.as_ref(), content.generation);
                finding
            }
            Err(error) => Finding::new(subject, Err(error)),
        }
    }
}
