//! Written aside, synced, renamed: a file is there whole or not at all.

use std::fs::{File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{Error, ErrorKind, Result};

/// A file being written beside its place. Dropped before [`Aside::commit`], it is gone.
pub(crate) struct Aside {
    file: NamedTempFile,
    target: PathBuf,
    replace: bool,
}

impl Aside {
    /// Begins the file that will be `target`; with `replace`, one that is there gives way.
    pub(crate) fn create(target: &Path, replace: bool) -> Result<Self> {
        if !replace && target.symlink_metadata().is_ok() {
            return Err(exists(target));
        }
        // A device, a pipe or a folder: what a link leads to counts, as in `/dev/stdout`.
        if target.metadata().is_ok_and(|there| !there.is_file()) {
            return Err(Error::new(
                ErrorKind::Io,
                format!("cannot write `{}`: it is there, and no regular file", target.display()),
            )
            .with_hint("name a file; what goes to stdout needs no name"));
        }
        if !directory(target).is_dir() {
            return Err(Error::new(
                ErrorKind::Io,
                format!("cannot write `{}`: its folder is not there", target.display()),
            )
            .with_hint(format!("make it first: mkdir -p {}", directory(target).display())));
        }
        let file = tempfile::Builder::new()
            .prefix(".cipherform-")
            .suffix(".tmp")
            .tempfile_in(directory(target))
            .map_err(|error| cannot_write(target, error))?;
        Ok(Self {
            file,
            target: target.to_owned(),
            replace,
        })
    }

    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Puts the file in its place, with `permissions`; without, only its owner can read it.
    pub(crate) fn commit(self, permissions: Option<Permissions>) -> Result<()> {
        let Self { file, target, replace } = self;
        let failed = |error| cannot_write(&target, error);
        if let Some(permissions) = permissions {
            file.as_file().set_permissions(permissions).map_err(failed)?;
        }
        file.as_file().sync_all().map_err(failed)?;
        match replace {
            true => file.persist(&target),
            false => file.persist_noclobber(&target),
        }
        .map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&target),
            _ => cannot_write(&target, error.error),
        })?;
        // The name is durable once its directory is.
        File::open(directory(&target))
            .and_then(|directory| directory.sync_all())
            .map_err(failed)
    }
}

fn directory(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn exists(target: &Path) -> Error {
    Error::new(ErrorKind::BadInput, format!("`{}` is there already", target.display()))
        .with_hint("choose another name, or say that it may be replaced: --force")
}

pub(super) fn cannot_write(target: &Path, error: io::Error) -> Error {
    Error::io(format!("cannot write `{}`", target.display()), error)
}
