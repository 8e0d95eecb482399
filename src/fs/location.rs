//! Folders of files, and targets of symbolic links.

use std::fs;
use std::path::{Path, PathBuf};

/// Resolves symbolic links, since a change must replace their target. A missing file resolves to itself.
pub(super) fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Returns the folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        // `Path::parent` of a bare name is the empty path, which cannot be opened or synced.
        _ => Path::new("."),
    }
}
