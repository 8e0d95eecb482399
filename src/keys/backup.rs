//! A keyring, the local KMS that guards it and the policy in one authenticated file: what was sealed stays sealed as it was.
//!
//! ```text
//! { "format": "cipherform-backup/1", "content": { …, "keyring": base64, "local_kms": base64, "policy": text }, "mac": base64 }
//! MAC key = KBKDF(root key of the keyring, "cipherform backup mac v1", LP(keyring id), 32)
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::authenticated::Authenticated;
use super::derive::derive;
use super::encoding::Base64;
use super::{Keyring, KeyringId, KmsRegistry, Purpose, Timestamp, store};
use crate::{Error, ErrorKind, Result, Secret};

/// The format of the file; its versions are frozen.
const FORMAT: &str = "cipherform-backup/1";

/// A backup, not necessarily authentic: [`Staged::verify`] says.
pub struct Backup(Authenticated<Content>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    time: Timestamp,
    who: String,
    keyring_id: KeyringId,
    keyring_generation: u64,
    /// The file, byte for byte.
    keyring: Base64,
    /// The file, byte for byte; absent where another KMS guards the keyring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    local_kms: Option<Base64>,
    policy: String,
}

/// When a file was last in a backup, and as which generation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupRecord {
    pub(crate) time: Timestamp,
    pub(crate) generation: u64,
}

impl BackupRecord {
    /// What is to be said of a file of this generation, whose last backup this is.
    pub(crate) fn advice(last: Option<&Self>, generation: u64) -> Option<String> {
        match last {
            None => Some("there never was a backup: `cipherform keys backup --to FILE`".to_owned()),
            // To put down the backup is a change of its own.
            Some(last) if generation > last.generation + 1 => Some(format!(
                "it was changed since its last backup, of {}: `cipherform keys backup --to FILE`",
                last.time
            )),
            Some(_) => None,
        }
    }
}

/// What goes into a backup.
pub(crate) struct Parts {
    pub(crate) time: Timestamp,
    pub(crate) who: String,
    pub(crate) keyring_id: KeyringId,
    pub(crate) keyring_generation: u64,
    pub(crate) keyring: Vec<u8>,
    pub(crate) local_kms: Option<Vec<u8>>,
    pub(crate) policy: String,
}

impl Backup {
    pub(crate) fn new(parts: Parts, root: &Secret<Vec<u8>>) -> Result<Self> {
        let content = Content {
            time: parts.time,
            who: parts.who,
            keyring_id: parts.keyring_id,
            keyring_generation: parts.keyring_generation,
            keyring: Base64(parts.keyring),
            local_kms: parts.local_kms.map(Base64),
            policy: parts.policy,
        };
        let key = mac_key(content.keyring_id, root)?;
        Ok(Self(Authenticated::new(FORMAT, content, key.expose())))
    }

    /// Reads the bytes of a backup.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let backup = Authenticated::parse(&[FORMAT], bytes).map(Self);
        backup.map_err(|error| match error.hint() {
            None => error.with_hint("take another backup: this one was changed or cut off"),
            Some(_) => error,
        })
    }

    /// The bytes of the file: JSON, with a line feed at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// When it was made.
    pub fn time(&self) -> Timestamp {
        self.content().time
    }

    /// The generation of the keyring in it.
    pub fn keyring_generation(&self) -> u64 {
        self.content().keyring_generation
    }

    /// The text of the policy in it.
    pub fn policy(&self) -> &str {
        &self.content().policy
    }

    /// Whether there is a local KMS in it.
    pub fn has_local_kms(&self) -> bool {
        self.content().local_kms.is_some()
    }

    fn content(&self) -> &Content {
        self.0.unverified()
    }
}

fn mac_key(keyring: KeyringId, root: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>> {
    derive(root.expose(), Purpose::BackupMac, &[keyring.as_bytes()], 32)
}

/// A backup laid out in a folder of its own, which goes when this is dropped: there it is opened before anything is replaced.
pub struct Staged {
    backup: Backup,
    folder: TempDir,
}

impl Staged {
    /// Lays out `backup`, sealed as it is, in a folder that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn try_new(backup: Backup) -> Result<Self> {
        let folder =
            tempfile::tempdir().map_err(|error| Error::io("cannot make a folder to look at the backup", error))?;
        let staged = Self { backup, folder };
        let content = staged.backup.content();
        store::create_atomic(&staged.keyring(), &content.keyring.0, store::PRIVATE)?;
        if let Some(local_kms) = &content.local_kms {
            store::create_atomic(&staged.local_kms(), &local_kms.0, store::PRIVATE)?;
        }
        Ok(staged)
    }

    /// Where the keyring is.
    pub fn keyring(&self) -> PathBuf {
        self.folder.path().join("keyring.json")
    }

    /// Where the local KMS is, if there is one.
    pub fn local_kms(&self) -> PathBuf {
        self.folder.path().join("kms.json")
    }

    /// An error from in there, by the name of the backup's `file` rather than that of the folder.
    #[cfg(feature = "cli")]
    pub(crate) fn in_file(&self, error: Error, file: &Path) -> Error {
        let folder = format!("{}{}", self.folder.path().display(), std::path::MAIN_SEPARATOR);
        error.renamed(&folder, "").context(format_args!("`{}`", file.display()))
    }

    /// The backup.
    pub fn backup(&self) -> &Backup {
        &self.backup
    }

    /// Opens what is in the backup, through a registry whose local KMS is [`local_kms`](Self::local_kms): passes if every byte is as it was when it was made.
    ///
    /// # Errors
    ///
    /// As [`Keyring::open`]; [`ErrorKind::WrongKey`] if the backup was changed.
    pub async fn verify(&self, registry: &KmsRegistry) -> Result<()> {
        let keyring = Keyring::open(self.keyring(), registry).await?;
        let content = self.backup.content();
        let key = mac_key(keyring.id(), keyring.root())?;
        let verified = Authenticated::<Content>::parse(&[FORMAT], &self.backup.to_bytes())?.verify(key.expose());
        verified.map_err(|error| {
            error
                .context("the backup")
                .with_hint("take another backup: this one was changed")
        })?;
        match keyring.id() == content.keyring_id && keyring.generation() == content.keyring_generation {
            true => Ok(()),
            false => Err(Error::bug("a backup of another keyring than it says")),
        }
    }

    /// Puts keyring and local KMS where they belong, as far as they are missing or older there. Gives the paths of those that are newer, and stay:
    /// recording a backup makes both newer than it. All is looked at before anything is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if all that is there is newer, or some of it is of another keyring or KMS, or damaged.
    pub fn put(&self, keyring: &Path, local_kms: &Path) -> Result<Vec<PathBuf>> {
        let content = self.backup.content();
        let mut files = Vec::new();
        // The KMS first: the keyring is useless without it.
        if let Some(bytes) = &content.local_kms {
            files.push((local_kms, &bytes.0));
        }
        files.push((keyring, &content.keyring.0));
        for (path, _) in &files {
            store::create_directory(path)?;
        }
        let _locks = files
            .iter()
            .map(|(path, _)| store::lock(path))
            .collect::<Result<Vec<_>>>()?;
        let (mut wanted, mut newer) = (Vec::new(), Vec::new());
        for (path, bytes) in files {
            match compare(path, bytes)? {
                Present::Newer(than) => newer.push((path, than)),
                Present::NotNewer => wanted.push((path, bytes)),
            }
        }
        if let ([], [(path, than), ..]) = (wanted.as_slice(), newer.as_slice()) {
            return Err(refused(path, than));
        }
        for (path, bytes) in wanted {
            store::write_atomic(path, bytes, store::PRIVATE)?;
        }
        Ok(newer.into_iter().map(|(path, _)| path.to_owned()).collect())
    }
}

/// What both files have.
#[derive(Deserialize)]
struct Header {
    content: HeaderContent,
}

#[derive(Deserialize)]
struct HeaderContent {
    id: String,
    generation: u64,
}

/// How what is there compares with what is in a backup.
enum Present {
    /// It is newer, as these words say.
    Newer(String),
    /// It is missing, older or the same.
    NotNewer,
}

fn compare(path: &Path, bytes: &[u8]) -> Result<Present> {
    let present = match store::read(path) {
        Err(error) if error.kind() == ErrorKind::KeyNotFound => return Ok(Present::NotNewer),
        read => read?,
    };
    let header = |bytes: &[u8]| serde_json::from_slice::<Header>(bytes).map(|header| header.content);
    let backup = header(bytes).map_err(|error| Error::bug("a backup of something else").with_source(error))?;
    match header(&present) {
        Err(_) => Err(refused(path, "is damaged")),
        Ok(there) if there.id != backup.id => Err(refused(path, "is another one than that of the backup")),
        Ok(there) if there.generation > backup.generation => Ok(Present::Newer(format!(
            "is newer: generation {}, and {} in the backup",
            there.generation, backup.generation
        ))),
        Ok(there) if there.generation == backup.generation && present != bytes => Err(refused(
            path,
            "differs from that of the backup, with the same generation",
        )),
        Ok(_) => Ok(Present::NotNewer),
    }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::bad_input(format!("`{}` is there, and {why}; nothing was changed", path.display()))
        .with_hint("if it is to go all the same, move it away first, and keep it")
}
