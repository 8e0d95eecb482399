//! Files that are written beside their target and renamed into place: a reader, or a crash, never meets half of one.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::location::{folder_of, resolve};
use crate::{Error, ErrorKind, Result};

/// Around the names of files that have no name of their own yet.
const PREFIX: &str = ".cipherform-";
const SUFFIX: &str = ".tmp";

/// Mode of files with wrapped keys: their owner alone.
pub(crate) const PRIVATE: u32 = 0o600;

/// Mode of files without keys: their owner writes, all read.
#[cfg(feature = "cli")]
pub(crate) const PUBLIC: u32 = 0o644;

/// A file that is being written beside its target. Dropped before [`commit`](Self::commit), it leaves nothing.
pub(crate) struct AtomicFile {
    file: Aside,
    target: PathBuf,
    if_exists: IfExists,
}

enum Aside {
    /// Without a name until it is whole, so that a process which is killed leaves nothing behind.
    #[cfg(all(target_os = "linux", feature = "files"))]
    Unnamed(File),
    /// With a temporary name, on file systems that have no files without one.
    Named(NamedTempFile),
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
        let folder = folder_of(target);
        #[cfg(all(target_os = "linux", feature = "files"))]
        let file = match unnamed(folder) {
            Some(file) => Aside::Unnamed(file),
            None => Aside::Named(builder().tempfile_in(folder)?),
        };
        #[cfg(not(all(target_os = "linux", feature = "files")))]
        let file = Aside::Named(builder().tempfile_in(folder)?);
        let created = Self {
            file,
            target: target.to_owned(),
            if_exists,
        };
        // For as long as this process is there, nobody takes it for a leftover.
        created.file().lock()?;
        Ok(created)
    }

    /// Returns the file, to be written to.
    pub(crate) fn file(&self) -> &File {
        match &self.file {
            #[cfg(all(target_os = "linux", feature = "files"))]
            Aside::Unnamed(file) => file,
            Aside::Named(file) => file.as_file(),
        }
    }

    /// Syncs the file and gives it the target's name, with `permissions`, or readable by its owner alone.
    pub(crate) fn commit(self, permissions: Option<Permissions>) -> io::Result<()> {
        if let Some(permissions) = permissions {
            // On the open file, before it has its name: there is no moment with the name and other
            // permissions.
            self.file().set_permissions(permissions)?;
        }
        // Before the rename: otherwise a crash may leave the new name with empty or half content, as
        // journals may write the rename first.
        self.file().sync_all()?;
        let Self {
            file,
            target,
            if_exists,
        } = self;
        match (file, if_exists) {
            // One step of the file system, not a look and then a rename: of two processes one is refused.
            (Aside::Named(file), IfExists::Refuse) => {
                file.persist_noclobber(&target).map_err(|error| error.error)?;
            }
            (Aside::Named(file), IfExists::Replace) => {
                file.persist(&target).map_err(|error| error.error)?;
            }
            #[cfg(all(target_os = "linux", feature = "files"))]
            (Aside::Unnamed(file), IfExists::Refuse) => link(&file, &target)?,
            #[cfg(all(target_os = "linux", feature = "files"))]
            (Aside::Unnamed(file), IfExists::Replace) => {
                // A link never replaces: the file gets a name of its own, whole as it is, and then the target's.
                let named = builder().make_in(folder_of(&target), |path| link(&file, path))?;
                named.persist(&target).map_err(|error| error.error)?;
            }
        }
        // The name is durable once the folder is synced.
        sync_folder(folder_of(&target))
    }
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    builder
}

/// A file in `folder` that has no name; `None` where the system has no such files.
#[cfg(all(target_os = "linux", feature = "files"))]
fn unnamed(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    // It gets its name through this folder.
    if !Path::new("/proc/self/fd").exists() {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)
        .ok()
        .map(File::from)
}

/// Gives a file without a name this one; [`io::ErrorKind::AlreadyExists`] if it is taken.
#[cfg(all(target_os = "linux", feature = "files"))]
fn link(file: &File, path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{AtFlags, CWD};
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, source, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Removes files in `folder` that runs which were killed left behind, and returns their names.
#[cfg(feature = "files")]
pub(crate) fn sweep(folder: &Path) -> Vec<String> {
    let is_ours = |name: &str| name.starts_with(PREFIX) && name.ends_with(SUFFIX);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| is_ours(name))
        // Not what a process has made this moment, and not locked yet.
        .filter(|name| {
            let path = folder.join(name);
            let age = fs::metadata(&path)
                .and_then(|known| known.modified())
                .map(|at| at.elapsed());
            let is_old = age.is_ok_and(|age| age.is_ok_and(|age| age.as_secs() > 60));
            is_old && File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) && fs::remove_file(&path).is_ok()
        })
        .collect()
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
