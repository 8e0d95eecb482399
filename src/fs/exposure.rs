//! Files of secrets that others can read.

use std::path::Path;

/// Tells whether other users can read or change the file at `path`. False for what is no file, and on systems without
/// such permissions.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Pipes and descriptors, such as /dev/fd/3, have no name that others could open.
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o066 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn permissions_of_others_are_seen() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, open) in [
            (0o600, false),
            (0o400, false),
            (0o640, true),
            (0o604, true),
            (0o620, true),
            (0o711, false),
        ] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open_to_others(file.path()), open, "{mode:o}");
        }
        assert!(!is_open_to_others(Path::new("/dev/null")));
        assert!(!is_open_to_others(Path::new("/nowhere")));
    }
}
