//! The embedded KMS: one sealed file in the user's configuration directory.
//!
//! ```text
//! passphrase ──Argon2id──┐
//! key file ──────────────┴─► unlock key ──KBKDF──► MAC key: authenticates the whole file
//!                                          └─────► seal key: AES-256-GCM over each KMS key
//! ```
//!
//! What a KMS key wraps: a byte 1, the KMS key's id (16 bytes), then AES-256-GCM bound to that id and the wrap context.

mod file;
mod given;
mod unlock;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use self::file::{Content, KeyEntry};
use self::unlock::UnlockMethod;
use super::seal;
use crate::keys::encoding::length_prefixed;
use crate::keys::{KeyName, KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState, Timestamp, WrapContext, store};
use crate::{Error, ErrorKind, Result, Secret};

pub use self::unlock::Unlock;

/// The layout of wrapped bytes.
const WRAPPED: u8 = 1;

/// The embedded KMS. Serves `local:NAME` from its file, and `local:/path/file#NAME` from any file that the same passphrase or key file unlocks.
///
/// The file is unlocked at the first use, once; after that every call reads what it says by then.
#[derive(Debug)]
pub struct LocalKms {
    path: PathBuf,
    unlock: Unlock,
    approved_only: bool,
    unlocked: Mutex<HashMap<PathBuf, (UnlockMethod, UnlockKey)>>,
}

type UnlockKey = Arc<Secret<Vec<u8>>>;

/// What the local KMS tells about a key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LocalKeyInfo {
    /// Its name: `local:NAME`.
    pub name: KeyName,
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// Whether it may be used.
    pub state: KmsKeyState,
    /// When it was made.
    pub created: Timestamp,
}

impl LocalKms {
    /// Where the file is unless somebody says otherwise: `cipherform/kms.json` in the user's configuration directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the user has no such directory.
    pub fn default_path() -> Result<PathBuf> {
        let directory = dirs::config_dir().ok_or_else(|| {
            Error::new(ErrorKind::Io, "this user has no configuration directory")
                .with_hint("name the file of the local KMS")
        })?;
        Ok(directory.join("cipherform").join("kms.json"))
    }

    /// Writes a new file with one key, and the directory it stands in if that is missing; only the owner can read either.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if there is a file at `path` already, or the passphrase is empty.
    pub fn create(path: &Path, unlock: &Unlock, first_key: &KeyName) -> Result<()> {
        if path.exists() {
            return Err(
                in_file(path, Error::bad_input("exists already")).with_hint("name another file, or use this one")
            );
        }
        let method = UnlockMethod::for_new_file(unlock)?;
        let unlock_key = unlock.key(&method)?;
        let mut content = Content::new(method)?;
        content.add_key(first_key, &unlock_key)?;
        create_directory(path)?;
        store::create_atomic(path, &content.seal(&unlock_key)?, store::PRIVATE)
    }

    /// Writes a new key file of 256 random bits as hexadecimal digits, which only the owner can read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if there is a file at `path` already.
    pub fn create_key_file(path: &Path) -> Result<()> {
        create_directory(path)?;
        unlock::create_key_file(path)
    }

    /// The KMS in the file at `path`. Nothing is read yet.
    pub fn open(path: impl Into<PathBuf>, unlock: Unlock) -> Self {
        Self {
            path: path.into(),
            unlock,
            approved_only: false,
            unlocked: Mutex::default(),
        }
    }

    /// The same, but a file that is unlocked in a way that NIST has not approved, by Argon2id, is refused.
    #[must_use]
    pub fn approved_only(self) -> Self {
        Self {
            approved_only: true,
            ..self
        }
    }

    /// The file behind `local:NAME`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a key to the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if the name is taken; [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn create_key(&self, name: &KeyName) -> Result<LocalKeyInfo> {
        let _lock = store::lock(&self.path)?;
        let (mut content, unlock_key) = self.content(&self.path)?;
        let info = content
            .add_key(name, &unlock_key)
            .map_err(|error| in_file(&self.path, error))?
            .info();
        content.generation += 1;
        store::write_atomic(&self.path, &content.seal(&unlock_key)?, store::PRIVATE)?;
        Ok(info)
    }

    /// The keys of the file, in the order of their creation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn list(&self) -> Result<Vec<LocalKeyInfo>> {
        Ok(self.content(&self.path)?.0.keys.iter().map(KeyEntry::info).collect())
    }

    /// The authenticated content of the file at `path`, with the key that unlocks it.
    fn content(&self, path: &Path) -> Result<(Content, UnlockKey)> {
        let file = file::parse(&store::read(path).map_err(hint_at_init)?).map_err(|error| in_file(path, error))?;
        let method = &file.unverified().unlock;
        if self.approved_only && !method.is_approved() {
            let error = Error::new(
                ErrorKind::KeyNotUsable,
                "its passphrase is stretched by Argon2id, which NIST has not approved, and the policy says approved_only = true",
            );
            return Err(in_file(path, error).with_hint("use a local KMS with a key file, or another KMS"));
        }
        let unlock_key = self.unlock_key(path, method).map_err(|error| in_file(path, error))?;
        let content = file::verified(file, &unlock_key).map_err(|error| match error.kind() {
            ErrorKind::WrongKey => in_file(path, self.unlock.wrong()),
            _ => in_file(path, error),
        })?;
        Ok((content, unlock_key))
    }

    /// Derives the unlock key at the first call, and again only if the file asks for it in another way. Others wait: Argon2id takes its time.
    fn unlock_key(&self, path: &Path, method: &UnlockMethod) -> Result<UnlockKey> {
        let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, key)) = unlocked.get(path)
            && known == method
        {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(self.unlock.key(method)?);
        unlocked.insert(path.to_path_buf(), (method.clone(), Arc::clone(&key)));
        Ok(key)
    }

    /// The key that `key` names, with what opens it.
    fn entry(&self, key: &KmsKeyRef) -> Result<(PathBuf, Content, KeyEntry, UnlockKey)> {
        let (path, name) = self.locate(key)?;
        let (content, unlock_key) = self.content(&path)?;
        let entry = content
            .keys
            .iter()
            .find(|entry| entry.name == name)
            .cloned()
            .ok_or_else(|| {
                let names: Vec<_> = content.keys.iter().map(|entry| entry.name.as_str()).collect();
                in_file(
                    &path,
                    Error::new(ErrorKind::KeyNotFound, format!("there is no KMS key `{name}`")),
                )
                .with_hint(format!("its keys are {}", names.join(", ")))
            })?;
        Ok((path, content, entry, unlock_key))
    }

    /// The bytes of the key that `key` names, if it may be used.
    fn usable(&self, key: &KmsKeyRef) -> Result<(KeyEntry, Secret<Vec<u8>>)> {
        let (path, content, entry, unlock_key) = self.entry(key)?;
        if entry.state != KmsKeyState::Enabled {
            let message = format!("KMS key `{}` is {}", entry.name, entry.state);
            return Err(in_file(&path, Error::new(ErrorKind::KeyNotUsable, message)));
        }
        let bytes = content
            .open_key(&entry, &unlock_key)
            .map_err(|error| in_file(&path, error))?;
        Ok((entry, bytes))
    }

    fn locate(&self, key: &KmsKeyRef) -> Result<(PathBuf, KeyName)> {
        let Some((path, name)) = key.rest().rsplit_once('#') else {
            return Ok((self.path.clone(), key.rest().parse()?));
        };
        let path = PathBuf::from(path);
        if !path.is_absolute() {
            return Err(Error::bad_input(format!(
                "KMS key reference `{key}`: the path does not start at the root"
            ))
            .with_hint("write `local:/path/file#NAME`, or `local:NAME` for the file in use"));
        }
        Ok((path, name.parse()?))
    }
}

#[async_trait]
impl KmsClient for LocalKms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        let info = self.entry(key)?.2.info();
        Ok(KmsKeyInfo::new("local", info.id, info.state).with_created(info.created))
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let (entry, bytes) = self.usable(key)?;
        let sealed = seal::seal(bytes.expose(), &associated(&entry, context), plaintext.expose())?;
        Ok([&[WRAPPED], &entry.id.as_bytes()[..], &sealed].concat())
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let (entry, bytes) = self.usable(key)?;
        let Some((id, sealed)) = wrapped
            .strip_prefix(&[WRAPPED])
            .and_then(|rest| rest.split_first_chunk::<16>())
        else {
            return Err(Error::bad_input("the wrapped bytes are not of the local KMS"));
        };
        if id != entry.id.as_bytes() {
            return Err(Error::new(
                ErrorKind::WrongKey,
                "the bytes were wrapped under another KMS key, or changed",
            )
            .with_hint("use the file of the local KMS that was in use then"));
        }
        seal::open(bytes.expose(), &associated(&entry, context), sealed)
    }
}

fn associated(entry: &KeyEntry, context: &WrapContext) -> Vec<u8> {
    length_prefixed(&[b"cipherform local wrap v1", entry.id.as_bytes(), &context.to_bytes()])
}

fn create_directory(path: &Path) -> Result<()> {
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

fn in_file(path: &Path, error: Error) -> Error {
    error.context(format!("local KMS `{}`", path.display()))
}

fn hint_at_init(error: Error) -> Error {
    match error.kind() {
        ErrorKind::KeyNotFound => error
            .context("local KMS")
            .with_hint("`cipherform init` makes the file of the local KMS"),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
