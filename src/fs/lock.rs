//! Locks on files, held across processes.

use std::fs::{File, OpenOptions};
use std::path::Path;

use super::atomic_file::PRIVATE;
use super::location::{folder_of, resolve};
use crate::{Error, Result};

/// The right to change a file; given up when dropped, or when the process ends.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

/// Locks the file at `path` against changes by this process and others, and waits for that if it must.
///
/// The lock is on a sibling, `.NAME.lock`, since every change replaces the file itself. The sibling is never removed:
/// another process may be about to lock it.
pub(crate) fn lock(path: &Path) -> Result<FileLock> {
    // Of the file behind links, so that two processes which name it by two paths lock the same sibling.
    let target = resolve(path);
    let sibling = folder_of(&target).join(format!(".{}.lock", name(&target)?));
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, PRIVATE);
    let file = options
        .open(&sibling)
        // The lock is of the operating system, and ends with the process: after a kill nobody has to
        // remove anything.
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| Error::io(format!("cannot lock `{}`", sibling.display()), error))?;
    Ok(FileLock { _file: file })
}

fn name(path: &Path) -> Result<String> {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .ok_or_else(|| Error::bad_input(format!("`{}` names no file", path.display())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fs::write_atomic;

    #[test]
    fn the_lock_keeps_others_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("count");
        fs::write(&path, "0").unwrap();
        std::thread::scope(|scope| {
            // Threads with a file handle each: the lock holds between them as between processes.
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
