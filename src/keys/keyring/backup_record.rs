//! Records of the last backup of a file.

use serde::{Deserialize, Serialize};

use crate::keys::timestamp::Timestamp;
use crate::{Hint, Remedy};

/// The time of the last backup of a file, and the generation it had then.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupRecord {
    pub(crate) time: Timestamp,
    pub(crate) generation: u64,
}

impl BackupRecord {
    /// Returns advice for a file of this generation, whose last backup this is.
    pub(crate) fn advice(last: Option<&Self>, generation: u64) -> Option<Hint> {
        match last {
            None => Some(Hint::from("there is no backup yet: ").then(Remedy::MakeBackup)),
            // Recording the backup is a change of its own.
            Some(last) if generation > last.generation + 1 => Some(
                Hint::from(format!("it was changed since its last backup, of {}: ", last.time))
                    .then(Remedy::MakeBackup),
            ),
            Some(_) => None,
        }
    }
}
