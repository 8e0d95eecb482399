//! Protected data as tables.

pub(super) mod batches;
pub(super) mod by_path;
mod listing;
pub(super) mod open;
pub(super) mod provider;
mod reader;
pub(super) mod view;

#[cfg(feature = "cli")]
use std::path::Path;
use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::grants::ColumnGrant;
#[cfg(feature = "cli")]
use crate::Result;

/// A table that was opened, with what the session's role sees of its protected columns.
pub(super) struct OpenedTable {
    pub(super) provider: Arc<dyn TableProvider>,
    pub(super) grants: Vec<ColumnGrant>,
}

/// Is this the path of the column, or of a field within it?
fn is_within(path: &str, column: &str) -> bool {
    path.strip_prefix(column)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Tells whether a column of what is at `location` says that it is protected.
///
/// # Errors
/// As [`Session::register_file`](super::Session::register_file).
#[cfg(feature = "cli")]
pub(crate) fn is_protected(location: &Path) -> Result<bool> {
    for file in listing::open(location)? {
        let columns = file.source.columns()?;
        if columns.iter().any(|column| column.protected.is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}
