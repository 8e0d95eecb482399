//! Change of the unlock method: everything in the file is sealed again under another unlock key.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::file::LocalKmsFile;
use super::local_kms::{LocalKms, in_file};
use super::model::{LocalKmsContent, UnlockMethod};
use super::unlock::{PassphraseKdf, Unlock};
use super::unlock_key::UnlockKey;
use super::{os_keyring, unlock};
use crate::keys::{Base64, KeyVersionId, KmsKeyRef, KmsRegistry, random};
use crate::{Error, ErrorKind, Result, Secret, fs};

impl LocalKms {
    /// Makes `new` unlock the file in place of the present method, which still opens copies made before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if a new passphrase is too short; [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn change_unlock(&self, new: &Unlock, kdf: PassphraseKdf) -> Result<()> {
        // A new salt, even for the same passphrase: whoever has computed guesses for the old salt begins
        // anew.
        let method = UnlockMethod::for_new_file(new, kdf)?;
        let key = new.key(&method)?;
        self.rekey(method, key)
    }

    /// Makes a key of another KMS guard the file, by a random unlock key that it wraps.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] for a key of a local KMS; errors of the other KMS.
    pub async fn guard_by_kms(&self, key: &KmsKeyRef, registry: &KmsRegistry) -> Result<()> {
        refuse_local(key)?;
        let file = self.content(self.path())?.0.id;
        let (unlock_key, id) = (random::secret(unlock::KEY)?, KeyVersionId::random()?);
        let context = unlock::context(file, id);
        let wrap = async {
            let client = registry.client(key)?;
            // Asked before the lock is taken: the other KMS may be slow.
            let wrapped = client.wrap(key, &unlock_key, &context).await?;
            // Checked before the present unlock key is given up.
            if client.unwrap(key, &wrapped, &context).await?.expose() == unlock_key.expose() {
                Ok(wrapped)
            } else {
                Err(Error::new(
                    ErrorKind::WrongKey,
                    "it unwraps to another key than it wrapped",
                ))
            }
        };
        let wrapped = wrap
            .await
            .map_err(|error: Error| error.context(format!("KMS key `{key}`")))?;
        let method = UnlockMethod::Kms {
            key: key.clone(),
            id,
            wrapped: Base64(wrapped),
        };
        self.rekey(method, unlock_key)
    }

    /// Makes the keyring of the operating system keep a random unlock key for the file. Before the file moves to
    /// another machine, change its unlock method.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ProviderDown`] if there is no such keyring, or this build does not use it.
    pub fn guard_by_os_keyring(&self) -> Result<()> {
        let file = self.content(self.path())?.0.id;
        let (unlock_key, entry) = (random::secret(unlock::KEY)?, KeyVersionId::random()?);
        // Stored before the file changes. A crash between the two leaves an entry that nothing needs; the
        // other order would leave a file that nothing opens.
        os_keyring::put(file, entry, &unlock_key)?;
        self.rekey(UnlockMethod::OsKeyring { entry }, unlock_key)
    }

    /// Fetches the unlock key of the file at `path`, if a key of another KMS guards it, or the keyring of the operating
    /// system keeps it. `None` if the file is unlocked otherwise, or is missing.
    ///
    /// # Errors
    ///
    /// Errors of the other KMS, or of the keyring; [`ErrorKind::BadInput`] if the file is damaged.
    pub async fn guarded_unlock(path: &Path, registry: &KmsRegistry) -> Result<Option<Unlock>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::FileNotFound => return Ok(None),
            read => read?,
        };
        let file = LocalKmsFile::parse(&bytes).map_err(|error| in_file(path, error))?;
        let (key, id, wrapped) = match file.unlock() {
            UnlockMethod::Kms { key, id, wrapped } => (key, id, wrapped),
            UnlockMethod::OsKeyring { entry } => {
                let unlock_key = os_keyring::get(file.id(), *entry).map_err(|error| in_file(path, error))?;
                return Ok(Some(Unlock::Unwrapped(unlock_key)));
            }
            _ => return Ok(None),
        };
        // The file is not authenticated yet, and may name anything. Its own KMS would send us round in a
        // circle.
        refuse_local(key).map_err(|error| in_file(path, error))?;
        let unwrap = async {
            let context = unlock::context(file.id(), *id);
            let unlock_key = registry.client(key)?.unwrap(key, &wrapped.0, &context).await?;
            match unlock_key.expose().len() {
                unlock::KEY => Ok(unlock_key),
                other => Err(Error::new(
                    ErrorKind::WrongKey,
                    format!("gave an unlock key of {other} bytes"),
                )),
            }
        };
        let unwrapped = unwrap
            .await
            .map_err(|error: Error| error.context(format!("KMS key `{key}`")));
        unwrapped
            .map(|unlock_key| Some(Unlock::Unwrapped(unlock_key)))
            .map_err(|error| in_file(path, error))
    }

    fn rekey(&self, method: UnlockMethod, new: Secret<Vec<u8>>) -> Result<()> {
        let path = self.path();
        let _lock = fs::lock(path)?;
        let (mut content, old) = self.content(path)?;
        let new: UnlockKey = Arc::new(new);
        // Every secret is sealed anew. If the MAC alone got a new key, the old passphrase would still
        // open what is in the file.
        reseal(&mut content, &old, &new).map_err(|error| in_file(path, error))?;
        let before = std::mem::replace(&mut content.unlock, method.clone());
        content.generation += 1;
        fs::write_atomic(path, &content.seal(&new)?, fs::PRIVATE)?;
        // Only after the file was written and synced: until then a crash leaves the old file, which needs
        // the entry.
        if let UnlockMethod::OsKeyring { entry } = before {
            os_keyring::forget(content.id, entry);
        }
        let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        // This client goes on without being opened again. Others find another method in the file, and
        // need the new secret.
        unlocked.insert(path.to_path_buf(), (method, new));
        Ok(())
    }
}

/// Opens everything that is sealed with the old unlock key, and seals it with the new one.
fn reseal(content: &mut LocalKmsContent, old: &UnlockKey, new: &UnlockKey) -> Result<()> {
    // On a copy: an error in the middle must not leave half of the keys under each unlock key.
    let mut keys = content.keys.clone();
    for key in &mut keys {
        for material in &mut key.material {
            if let Some(bytes) = content.open_material(key.id, material, old)? {
                material.sealed = Some(Base64(content.seal_material(key.id, material.id, &bytes, new)?));
            }
        }
        // An import that is under way has a sealed private key of its own.
        if let Some(import) = &mut key.import {
            let id = import.token.pair_id();
            let pair = content.open_sealed(key.id, id, &import.sealed.0, old)?;
            import.sealed = Base64(content.seal_material(key.id, id, &pair, new)?);
        }
    }
    content.keys = keys;
    Ok(())
}

/// Refuses keys of local KMSs: a file that opens itself, or another like it, guards nothing.
fn refuse_local(key: &KmsKeyRef) -> Result<()> {
    match key.scheme() {
        "local" => Err(Error::bad_input(format!(
            "`{key}` is a key of a local KMS, which cannot guard a local KMS"
        ))
        .with_hint("name a key of another KMS, such as `pkcs11:token=…;object=…`")),
        _ => Ok(()),
    }
}
