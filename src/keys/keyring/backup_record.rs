//! Record.

use serde::{Deserialize, Serialize};

use crate::keys::timestamp::Timestamp;
use crate::{Hint, Remedy};

/// When a file was last in a backup, and as which generation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupRecord {
    pub(crate) time: Timestamp,
    pub(crate) generation: u64,
}

impl BackupRecord {
    /// What is to be said of a file of this generation, whose last backup this is.
    pub(crate) fn advice(last: Option<&Self>, generation: u64) -> Option<Hint> {
        match last {
            None => Some(Hint::from("there is no backup yet: ").then(Remedy::MakeBackup)),
            // To put down the backup is a change of its own.
            Some(last) if generation > last.generation + 1 => Some(
                Hint::from(format!("it was changed since its last backup, of {}: ", last.time))
                    .then(Remedy::MakeBackup),
            ),
            Some(_) => None,
        }
    }
}
