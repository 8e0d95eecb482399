//! Small files that must never be seen half written, or lose a change.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::location::{folder_of, resolve};
use crate::{Error, ErrorKind, Result};

/// Owner only: what files with wrapped keys are written with.
pub(crate) const PRIVATE: u32 = 0o600;

/// Owner writes, all read: what files without keys are written with.
#[cfg(feature = "cli")]
pub(crate) const PUBLIC: u32 = 0o644;

/// The file's bytes; [`ErrorKind::FileNotFound`] if there is none.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(
            ErrorKind::FileNotFound,
            format!("there is no file `{}`", path.display()),
        ),
        _ => Error::io(format!("cannot read `{}`", path.display()), error),
    })
}

/// Puts `bytes` in the place of the file at `path`: after a crash there is the old content or the new.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let target = resolve(path);
    write(&target, bytes, mode, |aside| {
        aside.persist(&target).map(drop).map_err(|error| error.error)
    })
}

/// Like [`write_atomic`], for a file that must not exist yet: else [`ErrorKind::BadInput`].
pub(crate) fn create_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write(path, bytes, mode, |aside| {
        aside.persist_noclobber(path).map(drop).map_err(|error| error.error)
    })
}

/// Makes the directory that `path` stands in, for its owner alone, if it is missing.
pub(crate) fn create_directory(path: &Path) -> Result<()> {
    let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| Error::io(format!("cannot make the directory `{}`", directory.display()), error))
}

/// Writes aside, syncs, moves, syncs the directory.
fn write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    persist: impl FnOnce(tempfile::NamedTempFile) -> io::Result<()>,
) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let directory = folder_of(path);
        let mut aside = tempfile::Builder::new()
            .prefix(".cipherform-")
            .suffix(".tmp")
            .tempfile_in(directory)?;
        aside.write_all(bytes)?;
        set_mode(aside.as_file(), mode)?;
        aside.as_file().sync_all()?;
        persist(aside)?;
        sync_directory(directory)
    };
    attempt().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::bad_input(format!("`{}` exists already", path.display())),
        _ => Error::io(format!("cannot write `{}`", path.display()), error),
    })
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(()) // the user's profile directory keeps others out
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(()) // directories cannot be opened as files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::FileNotFound);
        create_atomic(&path, b"one", PRIVATE).unwrap();
        assert_eq!(
            create_atomic(&path, b"two", PRIVATE).unwrap_err().kind(),
            ErrorKind::BadInput
        );
        assert_eq!(read(&path).unwrap(), b"one");
        write_atomic(&path, b"two", PRIVATE).unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "nothing is left aside"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, PRIVATE);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, b"one").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomic(&link, b"two", PRIVATE).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"two");
    }
}
