//! Files that are written beside their target and renamed into place: a reader, or a crash, never meets half of one.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::location::{folder_of, resolve};
use crate::{Error, ErrorKind, Result};

/// Mode of files with wrapped keys: their owner alone.
pub(crate) const PRIVATE: u32 = 0o600;

/// Mode of files without keys: their owner writes, all read.
#[cfg(feature = "cli")]
pub(crate) const PUBLIC: u32 = 0o644;

/// A file that is being written beside its target. Dropped before [`commit`](Self::commit), it leaves nothing.
pub(crate) struct AtomicFile {
    file: NamedTempFile,
    target: PathBuf,
    if_exists: IfExists,
}

/// The treatment of an existing target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IfExists {
    /// The new file replaces it.
    Replace,
    /// It stays, and the commit fails with [`io::ErrorKind::AlreadyExists`].
    Refuse,
}

impl AtomicFile {
    /// Creates an empty file in the folder of `target`, which only its owner can read.
    pub(crate) fn create(target: &Path, if_exists: IfExists) -> io::Result<Self> {
        // In the folder of the target: a rename is atomic only within one file system, and a folder for
        // temporary files may be on another, or be readable by others. The file is made with mode 0600.
        let file = tempfile::Builder::new()
            .prefix(".cipherform-")
            .suffix(".tmp")
            .tempfile_in(folder_of(target))?;
        Ok(Self {
            file,
            target: target.to_owned(),
            if_exists,
        })
    }

    /// Returns the file, to be written to.
    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Syncs the file and renames it into place, with `permissions`, or readable by its owner alone.
    pub(crate) fn commit(self, permissions: Option<Permissions>) -> io::Result<()> {
        let Self {
            file,
            target,
            if_exists,
        } = self;
        if let Some(permissions) = permissions {
            // On the open file, before it has its name: there is no moment with the name and other
            // permissions.
            file.as_file().set_permissions(permissions)?;
        }
        // Before the rename: otherwise a crash may leave the new name with empty or half content, as
        // journals may write the rename first.
        file.as_file().sync_all()?;
        let persisted = match if_exists {
            IfExists::Replace => file.persist(&target),
            // One step of the file system, not a look and then a rename: of two processes one is refused.
            IfExists::Refuse => file.persist_noclobber(&target),
        };
        persisted.map_err(|error| error.error)?;
        // The name is durable once the folder is synced.
        sync_folder(folder_of(&target))
    }
}

/// Reads a file; [`ErrorKind::FileNotFound`] if it is missing.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(
            ErrorKind::FileNotFound,
            format!("there is no file `{}`", path.display()),
        ),
        _ => Error::io(format!("cannot read `{}`", path.display()), error),
    })
}

/// Replaces the file at `path`, or the target of a link: after a crash it has the old content or the new.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write(&resolve(path), bytes, mode, IfExists::Replace)
}

/// Creates a file as [`write_atomic`] does; [`ErrorKind::BadInput`] if it exists.
pub(crate) fn create_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write(path, bytes, mode, IfExists::Refuse)
}

/// Creates the folder of `path`, for its owner alone, if it is missing.
pub(crate) fn create_directory(path: &Path) -> Result<()> {
    let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    // For its owner alone: names of files in it tell which keys there are.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| Error::io(format!("cannot create the folder `{}`", directory.display()), error))
}

fn write(path: &Path, bytes: &[u8], mode: u32, if_exists: IfExists) -> Result<()> {
    let attempt = || {
        let aside = AtomicFile::create(path, if_exists)?;
        aside.file().write_all(bytes)?;
        aside.commit(permissions(mode))
    };
    attempt().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::bad_input(format!("`{}` already exists", path.display())),
        _ => Error::io(format!("cannot write `{}`", path.display()), error),
    })
}

#[cfg(unix)]
fn permissions(mode: u32) -> Option<Permissions> {
    Some(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn permissions(_mode: u32) -> Option<Permissions> {
    None // the user's profile folder keeps others out
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(()) // folders cannot be opened as files
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
