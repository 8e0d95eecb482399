//! Names of tables.

use std::ffi::OsStr;
use std::path::Path;

/// The name of the table that a file holds: the file's name without its extension.
pub fn table_name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or(OsStr::new(""))
        .to_string_lossy()
        .into_owned()
}
