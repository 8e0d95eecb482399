//! Protected data as tables.

pub(super) mod batches;
pub(super) mod by_path;
mod listing;
mod names;
pub(super) mod open;
mod opened;
pub(super) mod provider;
mod reader;
mod view;

pub(super) use names::original_name;
#[cfg(feature = "cli")]
pub(crate) use open::is_protected;
pub(super) use opened::OpenedTable;
