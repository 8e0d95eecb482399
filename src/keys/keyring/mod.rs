//! The keyring: a file of wrapped data keys.

mod backup;
mod backup_record;
mod change;
mod document;
mod examine;
#[cfg(feature = "exchange")]
mod exchange;
mod file;
mod info;
#[allow(clippy::module_inception, reason = "the folder is named for its central type")]
mod keyring;
mod lifecycle;
mod make_backup;
mod new_root;
mod restore;
#[cfg(test)]
mod tests;
mod transitions;

pub use backup::Backup;
#[cfg(feature = "kms-local")]
pub(crate) use backup_record::BackupRecord;
pub use examine::Finding;
#[cfg(feature = "exchange")]
pub use exchange::KeyImport;
pub use info::{KeyInfo, Periods, StateChange, VersionInfo};
pub use keyring::Keyring;
pub use restore::StagedBackup;
