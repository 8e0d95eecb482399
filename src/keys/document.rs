//! What stands in a keyring file.

use std::collections::HashSet;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::derive::derive;
use super::encoding::Base64;
use super::{
    DataKeyId, KeyName, KeyState, KeyUse, KeyVersionId, KeyringId, KmsKeyRef, Purpose, Timestamp, WrapContext,
};
use crate::{Error, Result, Secret};

/// The format of the file; its versions are frozen.
pub(crate) const FORMAT: &str = "cipherform-keyring/1";

/// What a keyring tells about a key: no key bytes, not even wrapped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Its name.
    pub name: KeyName,
    /// Its identity, whatever its name.
    pub id: DataKeyId,
    /// What it may do.
    #[serde(rename = "use")]
    pub key_use: KeyUse,
    /// When it was made.
    pub created: Timestamp,
    /// The KMS key that guards it.
    pub kms_key: KmsKeyRef,
    /// Its versions, oldest first.
    pub versions: Vec<VersionInfo>,
}

/// What a keyring tells about a version of a key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VersionInfo {
    /// Its number, from 1 on.
    pub number: u32,
    /// Its identity: what protected data remembers.
    pub id: KeyVersionId,
    /// Where it stands in its life.
    pub state: KeyState,
    /// When it was made.
    pub created: Timestamp,
}

/// The content of the file, under the MAC.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) id: KeyringId,
    /// Counts the changes, so that an older copy can be noticed.
    pub(crate) generation: u64,
    pub(crate) root: RootEntry,
    pub(crate) keys: Vec<KeyEntry>,
}

/// The root key, wrapped: the MAC's key is derived from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootEntry {
    pub(crate) kms_key: KmsKeyRef,
    pub(crate) id: KeyVersionId,
    pub(crate) wrapped: Base64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyEntry {
    pub(crate) name: KeyName,
    pub(crate) id: DataKeyId,
    #[serde(rename = "use")]
    pub(crate) key_use: KeyUse,
    pub(crate) created: Timestamp,
    pub(crate) kms_key: KmsKeyRef,
    /// Oldest first; never empty.
    pub(crate) versions: Vec<VersionEntry>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionEntry {
    pub(crate) number: u32,
    pub(crate) id: KeyVersionId,
    pub(crate) state: KeyState,
    pub(crate) created: Timestamp,
    pub(crate) wrapped: Base64,
}

impl Document {
    /// What the root key is wrapped for. It belongs to no data key, so that field is zero.
    pub(crate) fn root_context(id: KeyringId, root: KeyVersionId) -> WrapContext {
        WrapContext {
            keyring: id,
            data_key: DataKeyId::from_bytes([0; 16]),
            version: root,
            key_use: "keyring-root".to_string(),
        }
    }

    /// What a version of a data key is wrapped for.
    pub(crate) fn context(&self, key: DataKeyId, version: KeyVersionId, key_use: KeyUse) -> WrapContext {
        WrapContext {
            keyring: self.id,
            data_key: key,
            version,
            key_use: key_use.to_string(),
        }
    }

    /// The key that authenticates the file.
    pub(crate) fn mac_key(&self, root: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>> {
        derive(root.expose(), Purpose::KeyringMac, &[self.id.as_bytes()], 32)
    }

    pub(crate) fn key(&self, name: &KeyName) -> Option<&KeyEntry> {
        self.keys.iter().find(|key| key.name == *name)
    }

    pub(crate) fn key_mut(&mut self, id: DataKeyId) -> Option<&mut KeyEntry> {
        self.keys.iter_mut().find(|key| key.id == id)
    }

    /// What the types do not say: names and ids stand once; versions are there, in order, at most one active.
    pub(crate) fn validate(&self) -> Result<()> {
        let versions = || self.keys.iter().flat_map(|key| &key.versions);
        let sound = unique(self.keys.iter().map(|key| &key.name))
            && unique(self.keys.iter().map(|key| key.id))
            && unique(versions().map(|version| version.id))
            && self.keys.iter().all(KeyEntry::is_sound);
        if sound {
            Ok(())
        } else {
            Err(Error::bad_input("its keys contradict each other"))
        }
    }
}

impl KeyEntry {
    /// The newest version that is, or was, in use: what a reference without a number means.
    pub(crate) fn current(&self) -> Option<&VersionEntry> {
        self.versions
            .iter()
            .rev()
            .find(|version| version.state != KeyState::PreActivation)
    }

    pub(crate) fn info(&self) -> KeyInfo {
        let version = |version: &VersionEntry| VersionInfo {
            number: version.number,
            id: version.id,
            state: version.state,
            created: version.created,
        };
        KeyInfo {
            name: self.name.clone(),
            id: self.id,
            key_use: self.key_use,
            created: self.created,
            kms_key: self.kms_key.clone(),
            versions: self.versions.iter().map(version).collect(),
        }
    }

    fn is_sound(&self) -> bool {
        let active = self
            .versions
            .iter()
            .filter(|version| version.state == KeyState::Active)
            .count();
        !self.versions.is_empty() && active <= 1 && self.versions.is_sorted_by(|a, b| a.number < b.number)
    }
}

fn unique<T: Eq + Hash>(mut items: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.all(|item| seen.insert(item))
}
