//! Verifying a backup, and restoring from it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tempfile::TempDir;

use super::backup::{Backup, BackupContent, FORMAT, mac_key};
use super::keyring::Keyring;
use crate::keys::wrap::{Authenticated, KmsRegistry};
use crate::{Error, ErrorKind, Result, fs};

/// A backup unpacked into a temporary folder, where it is opened before anything is replaced.
pub struct StagedBackup {
    backup: Backup,
    folder: TempDir,
}

impl StagedBackup {
    /// Unpacks `backup`, sealed as it is, into a folder that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn try_new(backup: Backup) -> Result<Self> {
        // Opened aside first: a backup that does not open must not replace a keyring that does.
        let folder =
            tempfile::tempdir().map_err(|error| Error::io("cannot make a folder to look at the backup", error))?;
        let staged = Self { backup, folder };
        let content = staged.backup.content();
        // Still sealed: the folder holds nothing that is not in the backup itself.
        fs::create_atomic(&staged.keyring(), &content.keyring.0, fs::PRIVATE)?;
        if let Some(local_kms) = &content.local_kms {
            fs::create_atomic(&staged.local_kms(), &local_kms.0, fs::PRIVATE)?;
        }
        Ok(staged)
    }

    /// Returns the path of the unpacked keyring.
    pub fn keyring(&self) -> PathBuf {
        self.folder.path().join("keyring.json")
    }

    /// Returns the path of the unpacked local KMS, if there is one.
    pub fn local_kms(&self) -> PathBuf {
        self.folder.path().join("kms.json")
    }

    /// Names the backup's `file` in an error from the files of the folder, rather than the folder.
    #[cfg(feature = "cli")]
    pub(crate) fn in_file(&self, error: Error, file: &Path) -> Error {
        error
            .without_folder(self.folder.path())
            .context(format_args!("`{}`", file.display()))
    }

    /// Returns the backup.
    pub fn backup(&self) -> &Backup {
        &self.backup
    }

    /// Opens the unpacked keyring, through a registry whose local KMS is [`local_kms`](Self::local_kms), and checks
    /// that no byte of the backup was changed.
    ///
    /// # Errors
    ///
    /// As [`Keyring::open`]; [`ErrorKind::WrongKey`] if the backup was changed.
    pub async fn verify(&self, registry: &KmsRegistry) -> Result<()> {
        // The root comes out of the keyring in the backup, by a KMS that the caller chose. A forger who
        // may not wrap under its key cannot make a root that it unwraps.
        let keyring = Keyring::open(self.keyring(), registry).await?;
        let content = self.backup.content();
        let key = mac_key(keyring.id(), keyring.root())?;
        let verified = Authenticated::<BackupContent>::parse(&[FORMAT], &self.backup.to_bytes())?.verify(key.expose());
        verified.map_err(|error| {
            error
                .context("the backup")
                .with_hint("take another backup: this one was changed")
        })?;
        if keyring.id() == content.keyring_id && keyring.generation() == content.keyring_generation {
            Ok(())
        } else {
            Err(Error::bug("a backup of another keyring than it says"))
        }
    }

    /// Tells whether [`put`](Self::put) would put the backup's keyring at `keyring`: nothing, or nothing newer, is
    /// there.
    pub fn replaces(&self, keyring: &Path) -> bool {
        let found = compare(keyring, &self.backup.content().keyring.0);
        matches!(found, Ok(ExistingFile::NotNewer))
    }

    /// Restores keyring and local KMS where they are missing or older than in the backup. Returns the paths of those
    /// that are newer, and stay: recording a backup makes both newer than it. Everything is checked before anything
    /// is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if all existing files are newer, or one is of another keyring or KMS, or damaged.
    pub fn put(&self, keyring: &Path, local_kms: &Path) -> Result<Vec<PathBuf>> {
        let content = self.backup.content();
        let mut files = Vec::new();
        // The KMS first, since the keyring is useless without it.
        if let Some(bytes) = &content.local_kms {
            files.push((local_kms, &bytes.0));
        }
        files.push((keyring, &content.keyring.0));
        // The locks lie beside the files, so the folders come first.
        for (path, _) in &files {
            fs::create_directory(path)?;
        }
        // Both locks before anything is compared, always the KMS's first. Nobody waits for one while
        // holding the other in the other order: changes of a keyring ask the KMS before they lock.
        let _locks = files
            .iter()
            .map(|(path, _)| fs::lock(path))
            .collect::<Result<Vec<_>>>()?;
        // All comparisons before the first write, so a refusal of the second file does not leave the
        // first replaced.
        let (mut wanted, mut newer) = (Vec::new(), Vec::new());
        for (path, bytes) in files {
            match compare(path, bytes)? {
                ExistingFile::Newer(than) => newer.push((path, than)),
                ExistingFile::NotNewer => wanted.push((path, bytes)),
            }
        }
        if let ([], [(path, than), ..]) = (wanted.as_slice(), newer.as_slice()) {
            return Err(refused(path, than));
        }
        // A crash between the two leaves a restored KMS and the keyring from before. The restore can be
        // repeated: an equal file counts as not newer.
        for (path, bytes) in wanted {
            fs::write_atomic(path, bytes, fs::PRIVATE)?;
        }
        Ok(newer.into_iter().map(|(path, _)| path.to_owned()).collect())
    }
}

/// The common header of both files.
#[derive(Deserialize)]
struct FileHeader {
    content: FileHeaderContent,
}

#[derive(Deserialize)]
struct FileHeaderContent {
    id: String,
    generation: u64,
}

/// An existing file, compared with that of a backup.
enum ExistingFile {
    /// Newer, as these words say.
    Newer(String),
    /// Missing, older or equal.
    NotNewer,
}

fn compare(path: &Path, bytes: &[u8]) -> Result<ExistingFile> {
    let present = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::FileNotFound => return Ok(ExistingFile::NotNewer),
        read => read?,
    };
    // Not authenticated: the existing file may be of a KMS that is lost. It decides only whether we
    // refuse.
    let header = |bytes: &[u8]| serde_json::from_slice::<FileHeader>(bytes).map(|header| header.content);
    let backup = header(bytes).map_err(|error| Error::bug("a backup of something else").with_source(error))?;
    match header(&present) {
        // Even a damaged file is not overwritten: it may hold the only copy of a key that was made after
        // the backup.
        Err(_) => Err(refused(path, "is damaged")),
        Ok(there) if there.id != backup.id => Err(refused(path, "is another one than that of the backup")),
        Ok(there) if there.generation > backup.generation => Ok(ExistingFile::Newer(format!(
            "is newer: generation {}, and {} in the backup",
            there.generation, backup.generation
        ))),
        // Two histories that branched, such as a copy that was changed on another machine: each may have
        // keys that the other lacks.
        Ok(there) if there.generation == backup.generation && present != bytes => Err(refused(
            path,
            "differs from that of the backup, with the same generation",
        )),
        Ok(_) => Ok(ExistingFile::NotNewer),
    }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::bad_input(format!("`{}` exists, and {why}; nothing was changed", path.display()))
        .with_hint("to replace it all the same, move it away first, and keep it")
}
