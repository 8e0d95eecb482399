//! Changes of a keyring: made to what the file says at that moment, under a lock, and written before they return.

use super::Keyring;
use super::file::{in_file, parse, sealed, verified};
use crate::keys::document::{Document, KeyEntry, VersionEntry};
use crate::keys::encoding::Base64;
use crate::keys::handle::Material;
use crate::keys::{DataKeyId, KeyInfo, KeyName, KeyState, KeyUse, KeyVersionId, KmsKeyRef, Timestamp, envelope, store};
use crate::{Error, Result};

impl Keyring {
    /// Creates a key with one active version, guarded by `kms_key`, or else by the keyring's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) if the name is taken; what the KMS or the file says otherwise.
    pub async fn create_key(
        &mut self,
        name: &KeyName,
        key_use: KeyUse,
        kms_key: Option<&KmsKeyRef>,
    ) -> Result<KeyInfo> {
        let kms_key = kms_key.unwrap_or(self.kms_key()).clone();
        let id = DataKeyId::random()?;
        refuse_taken(&self.document, name)?;
        let version = self.new_version(id, key_use, &kms_key).await?;
        let key = KeyEntry {
            name: name.clone(),
            id,
            key_use,
            created: version.created,
            kms_key,
            versions: vec![version],
        };
        let info = key.info();
        self.commit(|document| {
            refuse_taken(document, name)?;
            document.keys.push(key);
            Ok(info)
        })
    }

    /// Gives the key a new active version. The one before still reveals, but protects no more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`](crate::ErrorKind::KeyNotFound); what the KMS or the file says otherwise.
    pub async fn rotate(&mut self, name: &KeyName) -> Result<KeyInfo> {
        let key = self.entry(name)?;
        let (id, kms_key) = (key.id, key.kms_key.clone());
        let version = self.new_version(id, key.key_use, &kms_key).await?;
        self.commit(|document| {
            let changed = |why: &str| Error::bad_input(format!("key `{name}` {why} meanwhile")).with_hint("try again");
            let key = document.key_mut(id).ok_or_else(|| changed("was removed"))?;
            if key.kms_key != kms_key {
                return Err(changed("went to another KMS key"));
            }
            for version in key
                .versions
                .iter_mut()
                .filter(|version| version.state == KeyState::Active)
            {
                version.state = KeyState::Deactivated;
            }
            let number = 1 + key.versions.last().map_or(0, |last| last.number);
            key.versions.push(VersionEntry { number, ..version });
            Ok(key.info())
        })
    }

    async fn new_version(&self, key: DataKeyId, key_use: KeyUse, kms_key: &KmsKeyRef) -> Result<VersionEntry> {
        let context = self.document.context(key, KeyVersionId::random()?, key_use);
        let length = Material::length(key_use);
        let (_, wrapped) = envelope::generate(&self.registry, kms_key, length, &context).await?;
        let (created, wrapped) = (Timestamp::now(), Base64(wrapped));
        Ok(VersionEntry {
            number: 1,
            id: context.version,
            state: KeyState::Active,
            created,
            wrapped,
        })
    }

    /// Applies `change` to what the file says now, and saves. The KMS has been asked before, so that nobody waits for it under the lock.
    fn commit<T>(&mut self, change: impl FnOnce(&mut Document) -> Result<T>) -> Result<T> {
        let _lock = store::lock(&self.path)?;
        let file = parse(&self.path)?;
        if file.unverified().id != self.document.id {
            return Err(
                in_file(&self.path, Error::bad_input("was replaced by another keyring")).with_hint("open it again")
            );
        }
        let mut document = verified(&self.path, file, &self.root)?;
        if document.generation < self.document.generation {
            return Err(
                in_file(&self.path, Error::bad_input("was replaced by an older copy of itself"))
                    .with_hint("put the newer copy back; data protected since then needs it"),
            );
        }
        let result = change(&mut document).map_err(|error| in_file(&self.path, error))?;
        document.generation += 1;
        document
            .validate()
            .map_err(|error| Error::bug("a change that the keyring cannot hold").with_source(error))?;
        store::write_atomic(&self.path, &sealed(&document, &self.root)?, store::PRIVATE)?;
        self.document = document;
        Ok(result)
    }
}

fn refuse_taken(document: &Document, name: &KeyName) -> Result<()> {
    match document.key(name) {
        None => Ok(()),
        Some(_) => Err(
            Error::bad_input(format!("there is a key `{name}` already")).with_hint(format!(
                "name the new key otherwise, or add a version to this one: `cipherform keys rotate {name}`"
            )),
        ),
    }
}
