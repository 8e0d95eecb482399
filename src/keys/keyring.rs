//! The keyring: a file of wrapped data keys.

mod change;
mod examine;
mod file;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub use self::examine::Finding;
use self::file::{in_file, parse, sealed, verified};
use super::cache::Cache;
use super::document::{Document, KeyEntry, RootEntry, VersionEntry};
use super::encoding::Base64;
use super::handle::Material;
use super::{
    KeyHandle, KeyInfo, KeyName, KeyRef, KeyState, KeyVersionId, KeyringId, KmsKeyRef, KmsRegistry, Operation,
    envelope, store,
};
use crate::{Error, ErrorKind, Result, Secret};

/// The length of the root key, from which the MAC's key is derived.
const ROOT: usize = 32;

/// An open keyring: authenticated as a whole, its keys unwrapped as they are asked for, each once.
///
/// Every change is written before it returns. It starts from what the file says at that moment, so changes of other processes are kept.
#[derive(Debug)]
pub struct Keyring {
    path: PathBuf,
    document: Document,
    root: Secret<Vec<u8>>,
    registry: KmsRegistry,
    cache: Cache,
}

impl Keyring {
    /// Writes a new keyring without keys, guarded by `kms_key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if there is a file at `path` already; what the KMS says otherwise.
    pub async fn create(path: impl Into<PathBuf>, kms_key: &KmsKeyRef, registry: &KmsRegistry) -> Result<Self> {
        let path = path.into();
        if path.exists() {
            return Err(
                in_file(&path, Error::bad_input("exists already")).with_hint("name another file, or use this one")
            );
        }
        let (id, root_id) = (KeyringId::random()?, KeyVersionId::random()?);
        let (root, wrapped) = envelope::generate(registry, kms_key, ROOT, &Document::root_context(id, root_id)).await?;
        let root_entry = RootEntry {
            kms_key: kms_key.clone(),
            id: root_id,
            wrapped: Base64(wrapped),
        };
        let document = Document {
            id,
            generation: 1,
            root: root_entry,
            keys: Vec::new(),
        };
        store::create_atomic(&path, &sealed(&document, &root)?, store::PRIVATE)?;
        Ok(Self {
            path,
            document,
            root,
            registry: registry.clone(),
            cache: Cache::new(registry.cache().unwrap_or_default(), Arc::new(Instant::now)),
        })
    }

    /// Opens the keyring at `path`, and authenticates all of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`] if there is no file; [`ErrorKind::BadInput`] or [`ErrorKind::WrongKey`] if a byte of it was changed, or if the KMS did
    /// not wrap it; what the KMS says otherwise.
    pub async fn open(path: impl Into<PathBuf>, registry: &KmsRegistry) -> Result<Self> {
        let path = path.into();
        let file = parse(&path)?;
        let document = file.unverified();
        let context = Document::root_context(document.id, document.root.id);
        let root = envelope::unwrap(
            registry,
            &document.root.kms_key,
            &document.root.wrapped.0,
            ROOT,
            &context,
        )
        .await
        .map_err(|error| in_file(&path, error))?;
        let document = verified(&path, file, &root)?;
        Ok(Self {
            path,
            document,
            root,
            registry: registry.clone(),
            cache: Cache::new(registry.cache().unwrap_or_default(), Arc::new(Instant::now)),
        })
    }

    /// The KMS keys that the keyring at `path` says it needs: to be asked before it can be authenticated, so believe it no further than that.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), but nothing is asked of a KMS.
    pub fn kms_keys(path: &Path) -> Result<Vec<KmsKeyRef>> {
        let file = parse(path)?;
        let document = file.unverified();
        let keys = document.keys.iter().map(|key| &key.kms_key);
        let mut keys: Vec<_> = keys.chain([&document.root.kms_key]).cloned().collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// The identity of the keyring.
    pub fn id(&self) -> KeyringId {
        self.document.id
    }

    /// How often it was saved: a smaller number than one seen before shows an older copy.
    pub fn generation(&self) -> u64 {
        self.document.generation
    }

    /// The KMS key that guards the keyring, and new keys unless they name another.
    pub fn kms_key(&self) -> &KmsKeyRef {
        &self.document.root.kms_key
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All keys, in the order of their creation.
    pub fn list(&self) -> Vec<KeyInfo> {
        self.document.keys.iter().map(KeyEntry::info).collect()
    }

    /// One key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`].
    pub fn describe(&self, name: &KeyName) -> Result<KeyInfo> {
        self.entry(name).map(KeyEntry::info)
    }

    /// The version that `key` names, for `operation`. Without a number it is the current one: the newest that is or was in use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; [`ErrorKind::KeyNotUsable`] if its state forbids the operation; what the KMS says otherwise.
    pub async fn handle(&self, key: &KeyRef, operation: Operation) -> Result<KeyHandle> {
        let entry = self.entry(&key.name)?;
        let version = match key.version {
            None => entry.current(),
            Some(number) => entry.versions.iter().find(|version| version.number == number),
        };
        let version = version.ok_or_else(|| {
            let numbers: Vec<_> = entry
                .versions
                .iter()
                .map(|version| version.number.to_string())
                .collect();
            in_file(
                &self.path,
                Error::new(ErrorKind::KeyNotFound, format!("there is no key version `{key}`")),
            )
            .with_hint(format!("the versions of `{}` are {}", key.name, numbers.join(", ")))
        })?;
        self.resolve(entry, version, operation).await
    }

    /// The version that protected data remembers, for `operation`. `key` is the name of the data key, or its id.
    ///
    /// # Errors
    ///
    /// As for [`handle`](Self::handle).
    pub async fn handle_by_version_id(
        &self,
        key: &str,
        version: KeyVersionId,
        operation: Operation,
    ) -> Result<KeyHandle> {
        let found = self.document.keys.iter().find_map(|entry| {
            let known_as = entry.name.as_str() == key || entry.id.to_string() == key;
            entry
                .versions
                .iter()
                .find(|candidate| known_as && candidate.id == version)
                .map(|version| (entry, version))
        });
        let (entry, version) = found.ok_or_else(|| {
            let message = format!("no key `{key}` has a version with id {version}");
            in_file(&self.path, Error::new(ErrorKind::KeyNotFound, message)).with_hint(
                "use the keyring that the data was protected with; `cipherform keys list` shows what this one has",
            )
        })?;
        self.resolve(entry, version, operation).await
    }

    async fn resolve(&self, key: &KeyEntry, version: &VersionEntry, operation: Operation) -> Result<KeyHandle> {
        if !version.state.may(operation) {
            return Err(refused_by_state(key, version, operation));
        }
        let fetch = async {
            let context = self.document.context(key.id, version.id, key.key_use);
            let length = Material::length(key.key_use);
            let bytes = envelope::unwrap(&self.registry, &key.kms_key, &version.wrapped.0, length, &context).await?;
            Material::try_new(key.key_use, bytes)
        };
        let fetched = self.cache.fetch_once(version.id, fetch).await;
        let (material, hold) = fetched.map_err(|error| {
            in_file(
                &self.path,
                error.context(format!("key `{}@{}`", key.name, version.number)),
            )
        })?;
        Ok(KeyHandle {
            name: key.name.clone(),
            version: version.number,
            version_id: version.id,
            material,
            hold,
        })
    }

    fn entry(&self, name: &KeyName) -> Result<&KeyEntry> {
        self.document.key(name).ok_or_else(|| {
            let names: Vec<_> = self.document.keys.iter().map(|key| key.name.as_str()).collect();
            let known = if names.is_empty() {
                "it is empty".to_string()
            } else {
                format!("it has {}", names.join(", "))
            };
            in_file(
                &self.path,
                Error::new(ErrorKind::KeyNotFound, format!("there is no key `{name}`; {known}")),
            )
            .with_hint(format!("create it with `cipherform keys create {name}`"))
        })
    }
}

fn refused_by_state(key: &KeyEntry, version: &VersionEntry, operation: Operation) -> Error {
    let (name, number, state) = (&key.name, version.number, version.state);
    let hint = match (operation, state) {
        (Operation::Protect, _) if key.current().is_some_and(|current| current.state.may(operation)) => {
            format!("name the key without a version: `{name}`")
        }
        (Operation::Protect, _) => format!("give it a new version: `cipherform keys rotate {name}`"),
        (Operation::Reveal, KeyState::PreActivation) => {
            "it has protected nothing yet; name another version".to_string()
        }
        (Operation::Reveal, _) => "what this version protected cannot be revealed with this keyring".to_string(),
    };
    let message = format!("key `{name}@{number}` is {state} and may not {operation}");
    Error::new(ErrorKind::KeyNotUsable, message).with_hint(hint)
}

#[cfg(test)]
mod tests;
