//! Backups and health checks of the file.

use super::local_kms::LocalKms;
use crate::keys::{BackupRecord, Finding};
use crate::{Result, fs};

impl LocalKms {
    /// Returns the authenticated bytes of the file, sealed as they are, and its generation: for a backup.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`](crate::ErrorKind::WrongKey) if the file does not unlock.
    pub fn bytes(&self) -> Result<(Vec<u8>, u64)> {
        // No change may come between the two reads.
        let _lock = fs::lock(self.path())?;
        // Verified first: a backup of a damaged file would be found out only when it is needed.
        let (content, _) = self.content(self.path())?;
        Ok((fs::read(self.path())?, content.generation))
    }

    /// Records that a backup has `generation` of the file.
    ///
    /// # Errors
    ///
    /// Errors of the file.
    pub fn record_backup(&self, generation: u64) -> Result<()> {
        let time = self.context.now();
        self.change(self.path(), |content, _| {
            content.last_backup = Some(BackupRecord { time, generation });
            Ok(())
        })
    }

    /// Checks the health of the file.
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
