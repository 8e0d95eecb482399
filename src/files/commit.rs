//! Output files, which appear whole or not at all.

use std::fs::{File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{AtomicFile, IfExists, sweep};
use crate::{Error, ErrorKind, Remedy, Result};

/// An output file that is being written beside its target. Dropped before [`OutputFile::commit`], it leaves nothing.
pub(crate) struct OutputFile {
    file: AtomicFile,
    target: PathBuf,
    swept: Vec<String>,
}

impl OutputFile {
    /// Starts the file that will be `target`; with `replace` it may exist already.
    pub(crate) fn create(target: &Path, replace: bool) -> Result<Self> {
        // Not followed: a link that leads nowhere is something that exists, too. Asked now, before hours
        // of work; the commit decides again.
        if !replace && target.symlink_metadata().is_ok() {
            return Err(already_exists(target));
        }
        // A device, a pipe or a folder; links are followed, as `/dev/stdout` is one.
        if target.metadata().is_ok_and(|existing| !existing.is_file()) {
            let message = format!("cannot write `{}`: it is not a regular file", target.display());
            return Err(Error::new(ErrorKind::Io, message).with_hint("name a file; output to stdout needs no name"));
        }
        let folder = target.parent().filter(|parent| *parent != Path::new(""));
        if folder.is_some_and(|folder| !folder.is_dir()) {
            let message = format!("cannot write `{}`: its folder does not exist", target.display());
            return Err(Error::new(ErrorKind::Io, message).with_hint("create the folder first"));
        }
        let swept = sweep(folder.unwrap_or(Path::new(".")));
        let if_exists = if replace { IfExists::Replace } else { IfExists::Refuse };
        Ok(Self {
            file: AtomicFile::create(target, if_exists).map_err(|error| cannot_write(target, error))?,
            target: target.to_owned(),
            swept,
        })
    }

    /// Files that runs which were killed had left in the folder, and that are gone now.
    pub(super) fn swept(&self) -> &[String] {
        &self.swept
    }

    pub(crate) fn file(&self) -> &File {
        self.file.file()
    }

    /// Renames the file into place, with `permissions`, or readable by its owner alone.
    pub(crate) fn commit(self, permissions: Option<Permissions>) -> Result<()> {
        let Self { file, target, .. } = self;
        file.commit(permissions).map_err(|error| match error.kind() {
            // Somebody has made the file while the job ran.
            io::ErrorKind::AlreadyExists => already_exists(&target),
            _ => cannot_write(&target, error),
        })
    }
}

fn already_exists(target: &Path) -> Error {
    let message = format!("`{}` already exists", target.display());
    Error::new(ErrorKind::BadInput, message).with_hint(Remedy::ReplaceOutput)
}

pub(super) fn cannot_write(target: &Path, error: io::Error) -> Error {
    Error::io(format!("cannot write `{}`", target.display()), error)
}
