//! Record.

use serde::{Deserialize, Serialize};

use crate::keys::timestamp::Timestamp;

/// When a file was last in a backup, and as which generation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupRecord {
    pub(crate) time: Timestamp,
    pub(crate) generation: u64,
}

impl BackupRecord {
    /// What is to be said of a file of this generation, whose last backup this is.
    pub(crate) fn advice(last: Option<&Self>, generation: u64) -> Option<String> {
        match last {
            None => Some("there never was a backup: `cipherform keys backup --to FILE`".to_owned()),
            // To put down the backup is a change of its own.
            Some(last) if generation > last.generation + 1 => Some(format!(
                "it was changed since its last backup, of {}: `cipherform keys backup --to FILE`",
                last.time
            )),
            Some(_) => None,
        }
    }
}
