//! Small files that must never be seen half written, or lose a change.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::{Error, ErrorKind, Result};

/// Owner only: what files with wrapped keys are written with.
pub(crate) const PRIVATE: u32 = 0o600;

/// Owner writes, all read: what files without keys are written with.
#[cfg(feature = "cli")]
pub(crate) const PUBLIC: u32 = 0o644;

/// Held by whoever may change a file; given back when dropped, or when the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Waits until nobody else, in this process or another, may change the file at `path`.
///
/// The lock is on a sibling, `.NAME.lock`, since the file itself is replaced by every change. The sibling stays: to remove it would let two in.
pub(crate) fn lock(path: &Path) -> Result<Lock> {
    let target = resolve(path);
    let sibling = directory(&target).join(format!(".{}.lock", name(&target)?));
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, PRIVATE);
    let file = options
        .open(&sibling)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| Error::io(format!("cannot lock `{}`", sibling.display()), error))?;
    Ok(Lock { _file: file })
}

/// The file's bytes; [`ErrorKind::KeyNotFound`] if there is none.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(ErrorKind::KeyNotFound, format!("there is no file `{}`", path.display())),
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
        let directory = directory(path);
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

/// Where a change must go if `path` is a symbolic link.
fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn name(path: &Path) -> Result<String> {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .ok_or_else(|| Error::bad_input(format!("`{}` names no file", path.display())))
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
        assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::KeyNotFound);
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

    #[test]
    fn the_lock_keeps_others_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("count");
        fs::write(&path, "0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let _lock = lock(&path).unwrap();
                        let count: u32 = fs::read_to_string(&path).unwrap().parse().unwrap();
                        write_atomic(&path, (count + 1).to_string().as_bytes(), PRIVATE).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_to_string(&path).unwrap(), "100");
    }
}
