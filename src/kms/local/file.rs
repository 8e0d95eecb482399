//! What stands in the file of a local KMS.

use serde::{Deserialize, Serialize};

use super::LocalKeyInfo;
use super::unlock::UnlockMethod;
use crate::keys::authenticated::Authenticated;
use crate::keys::derive::derive;
use crate::keys::encoding::{Base64, length_prefixed};
use crate::keys::ids::random_id;
use crate::keys::{KeyName, KmsKeyState, Purpose, Timestamp, random};
use crate::kms::seal;
use crate::{Error, Result, Secret};

/// The format of the file; its versions are frozen.
const FORMAT: &str = "cipherform-local-kms/1";

random_id! {
    /// Which file.
    pub(super) struct FileId
}

random_id! {
    /// Which KMS key, whatever its name.
    pub(super) struct LocalKeyId
}

/// The content, under the MAC.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    id: FileId,
    pub(super) generation: u64,
    pub(super) unlock: UnlockMethod,
    pub(super) keys: Vec<KeyEntry>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyEntry {
    pub(super) name: KeyName,
    pub(super) id: LocalKeyId,
    pub(super) state: KmsKeyState,
    created: Timestamp,
    sealed: Base64,
}

/// Reads the file; who unlocks it can have it [`verified`].
pub(super) fn parse(bytes: &[u8]) -> Result<Authenticated<Content>> {
    let file = Authenticated::<Content>::parse(&[FORMAT], bytes);
    file.map_err(|error| match error.hint() {
        None => error.with_hint("restore the file from a backup; it is changed only with `cipherform`"),
        Some(_) => error,
    })
}

/// What the file says, if `unlock_key` wrote it.
pub(super) fn verified(file: Authenticated<Content>, unlock_key: &Secret<Vec<u8>>) -> Result<Content> {
    let key = file.unverified().derive(Purpose::LocalKmsMac, unlock_key)?;
    file.verify(key.expose())
}

impl Content {
    pub(super) fn new(unlock: UnlockMethod) -> Result<Self> {
        Ok(Self {
            id: FileId::random()?,
            generation: 1,
            unlock,
            keys: Vec::new(),
        })
    }

    /// The bytes of the file.
    pub(super) fn seal(&self, unlock_key: &Secret<Vec<u8>>) -> Result<Vec<u8>> {
        let key = self.derive(Purpose::LocalKmsMac, unlock_key)?;
        Ok(Authenticated::new(FORMAT, self, key.expose()).to_bytes())
    }

    /// Adds a new, enabled key of 256 random bits.
    pub(super) fn add_key(&mut self, name: &KeyName, unlock_key: &Secret<Vec<u8>>) -> Result<&KeyEntry> {
        if self.keys.iter().any(|key| key.name == *name) {
            return Err(Error::bad_input(format!("there is a KMS key `{name}` already"))
                .with_hint("name the new key otherwise"));
        }
        let id = LocalKeyId::random()?;
        let seal_key = self.derive(Purpose::LocalKmsSeal, unlock_key)?;
        let sealed = seal::seal(seal_key.expose(), &self.associated(id), random::secret(32)?.expose())?;
        let (created, sealed) = (Timestamp::now(), Base64(sealed));
        Ok(self.keys.push_mut(KeyEntry {
            name: name.clone(),
            id,
            state: KmsKeyState::Enabled,
            created,
            sealed,
        }))
    }

    /// The bytes of a key.
    pub(super) fn open_key(&self, key: &KeyEntry, unlock_key: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>> {
        let seal_key = self.derive(Purpose::LocalKmsSeal, unlock_key)?;
        seal::open(seal_key.expose(), &self.associated(key.id), &key.sealed.0)
    }

    fn derive(&self, purpose: Purpose, unlock_key: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>> {
        derive(unlock_key.expose(), purpose, &[self.id.as_bytes()], 32)
    }

    fn associated(&self, key: LocalKeyId) -> Vec<u8> {
        length_prefixed(&[b"cipherform local kms key v1", self.id.as_bytes(), key.as_bytes()])
    }
}

impl KeyEntry {
    pub(super) fn info(&self) -> LocalKeyInfo {
        LocalKeyInfo {
            name: self.name.clone(),
            id: self.id.to_string(),
            state: self.state,
            created: self.created,
        }
    }
}
