//! The client of the local KMS.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::file::LocalKmsFile;
use super::info::{LocalKeyInfo, NewKmsKey};
use super::lookup::{LocalName, find};
use super::material::NewMaterial;
use super::model::{LocalKeyEntry, LocalKmsContent, MaterialEntry, UnlockMethod};
use super::unlock::{PassphraseKdf, Unlock};
use super::unlock_key::UnlockKey;
use super::{lifecycle, maintenance, unlock};
use crate::keys::{
    Context, DataKey, KeyName, KmsClient, KmsKeyInfo, KmsKeyRef, Timestamp, WrapContext, length_prefixed, random,
};
use crate::kms::local::key_policy::KmsAction;
use crate::kms::seal;
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret, fs};

/// Layout of bytes that a file of format 1 wrapped: they name no version of material.
const WRAPPED_V1: u8 = 1;

/// Layout of wrapped bytes: they name the version of material that wrapped them.
const WRAPPED: u8 = 2;

/// The client of the local KMS. Serves `local:NAME` from its file, and `local:/path/file#NAME` from any file that the
/// same passphrase or key file unlocks.
///
/// The file is unlocked once, at the first use. Every call reads it as it is then.
#[derive(Debug)]
pub struct LocalKms {
    pub(super) path: PathBuf,
    pub(super) unlock: Unlock,
    approved_only: bool,
    pub(super) context: Context,
    pub(super) unlocked: Mutex<HashMap<PathBuf, (UnlockMethod, UnlockKey)>>,
}

impl LocalKms {
    /// Returns the default path of the file: `cipherform/kms.json` in the user's configuration directory.
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

    /// Creates a file with one key, and its directory if that is missing. Only the owner can read either.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if there is a file at `path` already, or the passphrase is empty.
    pub fn create(path: &Path, unlock: &Unlock, first_key: &KeyName) -> Result<()> {
        Self::create_with(path, unlock, PassphraseKdf::default(), first_key)
    }

    /// Creates a file as [`create`](Self::create) does, with a choice of how a passphrase is stretched.
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create).
    pub fn create_with(path: &Path, unlock: &Unlock, kdf: PassphraseKdf, first_key: &KeyName) -> Result<()> {
        if path.exists() {
            return Err(
                in_file(path, Error::bad_input("already exists")).with_hint("name another file, or use this one")
            );
        }
        let method = UnlockMethod::for_new_file(unlock, kdf)?;
        let unlock_key = unlock.key(&method)?;
        let mut content = LocalKmsContent::new(method)?;
        let (new, now) = (NewKmsKey::default(), Timestamp::now());
        let material = NewMaterial::generate(new.spec)?;
        lifecycle::add_key(&mut content, first_key, new, Some(&material), now, &unlock_key)?;
        // After everything that may fail: a passphrase that is too short leaves no empty folder behind.
        fs::create_directory(path)?;
        fs::create_atomic(path, &content.seal(&unlock_key)?, fs::PRIVATE)
    }

    /// Creates a key file of 256 random bits as hexadecimal digits, which only the owner can read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if there is a file at `path` already.
    pub fn create_key_file(path: &Path) -> Result<()> {
        fs::create_directory(path)?;
        unlock::create_key_file(path)
    }

    /// Opens the KMS in the file at `path`. Nothing is read yet.
    pub fn open(path: impl Into<PathBuf>, unlock: Unlock) -> Self {
        Self {
            path: path.into(),
            unlock,
            approved_only: false,
            context: Context::default(),
            unlocked: Mutex::default(),
        }
    }

    /// Refuses files that are unlocked in a way that NIST has not approved: by Argon2id.
    #[must_use]
    pub fn approved_only(self) -> Self {
        Self {
            approved_only: true,
            ..self
        }
    }

    /// Sets the actor, as in the history of keys; `unknown` by default.
    #[must_use]
    pub fn with_actor(mut self, who: impl Into<Arc<str>>) -> Self {
        self.context.set_actor(who);
        self
    }

    /// Sets the clock, by which keys are rotated and deleted; the system's by default.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.context.set_clock(clock);
        self
    }

    /// Returns the path of the file behind `local:NAME`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lists the keys of the file, in the order of their creation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn list(&self) -> Result<Vec<LocalKeyInfo>> {
        let (content, _) = self.content(&self.path)?;
        Ok(content
            .keys
            .iter()
            .map(|key| content.info(key, self.context.now()))
            .collect())
    }

    /// Describes one key, by name or alias.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn key(&self, key: &KmsKeyRef) -> Result<LocalKeyInfo> {
        let (path, name) = self.locate(key)?;
        let (content, _) = self.content(&path)?;
        let described = || {
            let entry = find(&content, &name)?;
            self.authorize(&content, entry, KmsAction::DescribeKey, None)?;
            Ok(content.info(entry, self.context.now()))
        };
        described().map_err(|error| in_file(&path, error))
    }

    /// Reads the authenticated content of the file at `path`, with the key that unlocks it.
    pub(super) fn content(&self, path: &Path) -> Result<(LocalKmsContent, UnlockKey)> {
        let file = LocalKmsFile::parse(&fs::read(path).map_err(hint_at_init)?).map_err(|error| in_file(path, error))?;
        let method = file.unlock();
        // Before the passphrase is stretched: with `approved_only` a function that is not approved must
        // not run at all.
        if self.approved_only && !method.is_approved() {
            let error = Error::new(
                ErrorKind::KeyNotUsable,
                "its passphrase is stretched by Argon2id, which NIST has not approved, and the policy says \
                 approved_only = true",
            );
            return Err(in_file(path, error)
                .with_hint(Hint::from(Remedy::UsePbkdf2).then("; or use a key file, or another KMS")));
        }
        let unlock_key = self.unlock_key(path, method).map_err(|error| in_file(path, error))?;
        // A wrong passphrase shows only here, as a MAC that does not fit. A damaged file looks the same,
        // so both are named.
        let content = file.verified(&unlock_key).map_err(|error| match error.kind() {
            ErrorKind::WrongKey => in_file(path, self.unlock.wrong_key_error()),
            _ => in_file(path, error),
        })?;
        Ok((content, unlock_key))
    }

    /// Applies `change` to the file at `path` as it is now, under its lock, and saves it. Due tasks run first.
    pub(super) fn change<T>(
        &self,
        path: &Path,
        change: impl FnOnce(&mut LocalKmsContent, &UnlockKey) -> Result<T>,
    ) -> Result<T> {
        self.change_alone(path, |content, unlock_key| {
            // First, and in the same write: whoever changes the file after the end of a waiting period
            // erases what was to be erased.
            maintenance::run_due(content, &self.context, unlock_key)?;
            change(content, unlock_key)
        })
    }

    /// Applies `change` as [`change`](Self::change) does, without running due tasks.
    pub(super) fn change_alone<T>(
        &self,
        path: &Path,
        change: impl FnOnce(&mut LocalKmsContent, &UnlockKey) -> Result<T>,
    ) -> Result<T> {
        // Another process may add a key at the same time. Without the lock the later write would lose the
        // earlier key, and with it all that the key has wrapped.
        let _lock = fs::lock(path)?;
        let (mut content, unlock_key) = self.content(path)?;
        let result = change(&mut content, &unlock_key).map_err(|error| in_file(path, error))?;
        content.generation += 1;
        fs::write_atomic(path, &content.seal(&unlock_key)?, fs::PRIVATE)?;
        Ok(result)
    }

    /// Derives the unlock key at the first call, and again only if the unlock method of the file changes. Other callers
    /// wait: Argon2id takes time.
    pub(super) fn unlock_key(&self, path: &Path, method: &UnlockMethod) -> Result<UnlockKey> {
        let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, key)) = unlocked.get(path)
            // The method holds salt and parameters: after a change of the passphrase the key of before is
            // not used again.
            && known == method
        {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(self.unlock.key(method)?);
        unlocked.insert(path.to_path_buf(), (method.clone(), Arc::clone(&key)));
        Ok(key)
    }

    /// Finds the key that `key` names, if it may wrap and unwrap and the actor may do `action`.
    fn usable(
        &self,
        key: &KmsKeyRef,
        action: KmsAction,
        context: &WrapContext,
    ) -> Result<(PathBuf, LocalKmsContent, LocalKeyEntry, UnlockKey)> {
        let (path, name) = self.locate(key)?;
        let (content, unlock_key) = self.content(&path)?;
        let usable = || {
            let entry = find(&content, &name)?.clone();
            // Before the state: whoever may do nothing with a key does not learn its state either.
            self.authorize(&content, &entry, action, Some(context))?;
            lifecycle::check(&entry, self.context.now())?;
            lifecycle::expect_symmetric(entry.spec)?;
            Ok(entry)
        };
        let entry = usable().map_err(|error| in_file(&path, error))?;
        Ok((path, content, entry, unlock_key))
    }

    /// Wraps, if the actor may do `action`.
    fn wrap_as(
        &self,
        action: KmsAction,
        key: &KmsKeyRef,
        plaintext: &Secret<Vec<u8>>,
        context: &WrapContext,
    ) -> Result<Vec<u8>> {
        let (path, content, entry, unlock_key) = self.usable(key, action, context)?;
        let wrap = || {
            // The newest material wraps; older material only unwraps.
            let material = entry.material.last().ok_or_else(|| missing(&entry))?;
            let bytes = open(&content, &entry, material, &unlock_key)?;
            let associated = associated(&entry, material, context);
            let sealed = seal::seal(bytes.expose(), &associated, plaintext.expose())?;
            Ok([
                &[WRAPPED],
                &entry.id.as_bytes()[..],
                &material.id.as_bytes()[..],
                &sealed,
            ]
            .concat())
        };
        wrap().map_err(|error| in_file(&path, error))
    }

    pub(super) fn locate(&self, key: &KmsKeyRef) -> Result<(PathBuf, LocalName)> {
        // The last `#`, since a path may have one, and a name has none.
        let Some((path, name)) = key.rest().rsplit_once('#') else {
            return Ok((self.path.clone(), LocalName::parse(key.rest())?));
        };
        let path = PathBuf::from(path);
        // A reference stands in the keyring, and is read by processes in other folders. A relative path
        // would mean another file for each of them.
        if !path.is_absolute() {
            return Err(Error::bad_input(format!(
                "KMS key reference `{key}`: the path does not start at the root"
            ))
            .with_hint("write `local:/path/file#NAME`, or `local:NAME` for the file in use"));
        }
        Ok((path, LocalName::parse(name)?))
    }
}

#[async_trait]
impl KmsClient for LocalKms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        let info = self.key(key)?;
        let mut described = KmsKeyInfo::new("local", info.id.clone(), info.state)
            .with_created(info.created)
            .with_usage(info.usage.to_string())
            .with_origin(info.origin.to_string());
        if let Some(rotation) = info.rotation() {
            described = described.with_rotation(rotation);
        }
        Ok(match info.due(self.context.now()) {
            Some(due) => described.with_due(due.to_string()),
            None => described,
        })
    }

    async fn generate_data_key(&self, key: &KmsKeyRef, length: usize, context: &WrapContext) -> Result<DataKey> {
        let plaintext = random::secret(length)?;
        let wrapped = self.wrap_as(KmsAction::GenerateDataKey, key, &plaintext, context)?;
        Ok(DataKey { plaintext, wrapped })
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        self.wrap_as(KmsAction::Encrypt, key, plaintext, context)
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let (path, name) = self.locate(key)?;
        let Some((layout, rest)) = wrapped.split_first() else {
            return Err(not_ours());
        };
        let (id, rest) = rest.split_first_chunk::<16>().ok_or_else(not_ours)?;
        let (content, unlock_key) = self.content(&path)?;
        let unwrap = || {
            let entry = match &name {
                // The alias may have moved to another key since: the bytes name the key of then.
                LocalName::Alias(_) => {
                    let then = content.keys.iter().find(|key| key.id.as_bytes() == id);
                    then.map_or_else(|| find(&content, &name), Ok)?
                }
                LocalName::Key(_) => find(&content, &name)?,
            };
            self.authorize(&content, entry, KmsAction::Decrypt, Some(context))?;
            lifecycle::check(entry, self.context.now())?;
            lifecycle::expect_symmetric(entry.spec)?;
            // Not in constant time: the id is public, and stands in the wrapped bytes. Only for a better
            // error: with a wrong key the tag below would not fit.
            if id != entry.id.as_bytes() {
                return Err(Error::new(
                    ErrorKind::WrongKey,
                    "the bytes were wrapped under another KMS key, or changed",
                )
                .with_hint("use the file of the local KMS that was in use then"));
            }
            match *layout {
                // Bytes of format 1 name no material. There was one for each key, and it stays the first
                // in the list.
                WRAPPED_V1 => {
                    let material = entry.material.first().ok_or_else(|| missing(entry))?;
                    let bytes = open(&content, entry, material, &unlock_key)?;
                    seal::open(bytes.expose(), &associated_v1(entry, context), rest)
                }
                WRAPPED => {
                    let (id, sealed) = rest.split_first_chunk::<16>().ok_or_else(not_ours)?;
                    let material = entry.material.iter().find(|material| material.id.as_bytes() == id);
                    let material = material.ok_or_else(|| {
                        Error::new(
                            ErrorKind::WrongKey,
                            format!("KMS key `{}` has no such version of material", entry.name),
                        )
                        .with_hint("this file is older than what it should unwrap: put the newer one back")
                    })?;
                    let bytes = open(&content, entry, material, &unlock_key)?;
                    seal::open(bytes.expose(), &associated(entry, material, context), sealed)
                }
                // As of a layout that a later version writes.
                _ => Err(not_ours()),
            }
        };
        unwrap().map_err(|error| in_file(&path, error))
    }
}

fn not_ours() -> Error {
    Error::bad_input("the wrapped bytes are not from the local KMS")
}

pub(super) fn missing(entry: &LocalKeyEntry) -> Error {
    Error::new(
        ErrorKind::KeyNotUsable,
        format!("the material of KMS key `{}` is missing", entry.name),
    )
    .with_hint(Remedy::ImportMaterial(Some(format!("local:{}", entry.name))))
}

pub(super) fn open(
    content: &LocalKmsContent,
    entry: &LocalKeyEntry,
    material: &MaterialEntry,
    unlock_key: &UnlockKey,
) -> Result<Secret<Vec<u8>>> {
    content
        .open_material(entry.id, material, unlock_key)?
        .ok_or_else(|| missing(entry))
}

fn associated_v1(entry: &LocalKeyEntry, context: &WrapContext) -> Vec<u8> {
    length_prefixed(&[b"cipherform local wrap v1", entry.id.as_bytes(), &context.to_bytes()])
}

fn associated(entry: &LocalKeyEntry, material: &MaterialEntry, context: &WrapContext) -> Vec<u8> {
    length_prefixed(&[
        // Another text than in version 1, so that bytes of one layout cannot be presented as bytes of the
        // other.
        b"cipherform local wrap v2",
        entry.id.as_bytes(),
        material.id.as_bytes(),
        &context.to_bytes(),
    ])
}

pub(super) fn in_file(path: &Path, error: Error) -> Error {
    error.in_file("local KMS", path)
}

fn hint_at_init(error: Error) -> Error {
    match error.kind() {
        ErrorKind::FileNotFound => error.context("local KMS").with_hint(
            Hint::from("if the file is elsewhere, ")
                .then(Remedy::NameLocalKms)
                .then("; if it is lost, ")
                .then(Remedy::RestoreBackup)
                .then("; a new one opens nothing that an old one wrapped"),
        ),
        _ => error,
    }
}
