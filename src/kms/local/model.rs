//! The content of the file, as it is stored under the MAC.

use serde::{Deserialize, Serialize};

use super::ids::{FileId, ImportToken, LocalKeyId, MaterialId, Salt};
use super::info::{KmsKeyChange, KmsKeyOrigin, KmsKeySpec, LocalKeyInfo, MaterialInfo};
use super::material::NewMaterial;
use crate::keys::{
    BackupRecord, Base64, KeyName, KeyVersionId, KmsKeyRef, KmsKeyState, Purpose, Timestamp, derive, length_prefixed,
};
use crate::kms::local::key_policy::KeyPolicy;
use crate::kms::seal;
use crate::{Error, Result, Secret};

/// The content, under the MAC.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalKmsContent {
    pub(super) id: FileId,
    /// Number of changes.
    pub(super) generation: u64,
    pub(super) unlock: UnlockMethod,
    pub(super) keys: Vec<LocalKeyEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) aliases: Vec<AliasEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_backup: Option<BackupRecord>,
    /// Policies of identities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) identities: Vec<IdentityEntry>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalKeyEntry {
    pub(super) name: KeyName,
    pub(super) id: LocalKeyId,
    pub(super) spec: KmsKeySpec,
    pub(super) origin: KmsKeyOrigin,
    pub(super) created: Timestamp,
    pub(super) state: KmsKeyState,
    /// Time at which the material is erased, if that is scheduled or done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deletion: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rotation_days: Option<u32>,
    /// Oldest first; none before the first import.
    pub(super) material: Vec<MaterialEntry>,
    /// Import that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) import: Option<ImportEntry>,
    /// Absent while everybody who unlocks the file may do anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<KeyPolicy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) history: Vec<KmsKeyChange>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaterialEntry {
    pub(super) number: u32,
    pub(super) id: MaterialId,
    pub(super) created: Timestamp,
    /// Absent once it is erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sealed: Option<Base64>,
    /// The public half of an asymmetric key: SubjectPublicKeyInfo (DER) for RSA, the 32 bytes of RFC 8032 for Ed25519.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) public_key: Option<Base64>,
    /// For imported material: check value, by which the same material is recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) check: Option<Base64>,
    /// For imported material: expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) valid_to: Option<Timestamp>,
}

/// An import under way: its key pair serves once, within a day.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportEntry {
    pub(super) token: ImportToken,
    pub(super) expires: Timestamp,
    /// The private key: PKCS #8, sealed.
    pub(super) sealed: Base64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityEntry {
    /// `user@host`
    pub(super) name: String,
    pub(super) policy: KeyPolicy,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AliasEntry {
    pub(super) name: KeyName,
    pub(super) key: LocalKeyId,
}

impl LocalKmsContent {
    pub(super) fn new(unlock: UnlockMethod) -> Result<Self> {
        Ok(Self {
            id: FileId::random()?,
            generation: 1,
            unlock,
            keys: Vec::new(),
            aliases: Vec::new(),
            last_backup: None,
            identities: Vec::new(),
        })
    }

    /// Makes a version of material for a key.
    pub(super) fn new_material(
        &self,
        key: LocalKeyId,
        number: u32,
        now: Timestamp,
        material: &NewMaterial,
        unlock_key: &Secret<Vec<u8>>,
    ) -> Result<MaterialEntry> {
        // A random id for each version: wrapped bytes name it, and a number would be given twice after a
        // restore of an older file.
        let id = MaterialId::random()?;
        let sealed = self.seal_material(key, id, &material.secret, unlock_key)?;
        Ok(MaterialEntry {
            number,
            id,
            created: now,
            sealed: Some(Base64(sealed)),
            public_key: material.public_key.clone().map(Base64),
            check: None,
            valid_to: None,
        })
    }

    pub(super) fn seal_material(
        &self,
        key: LocalKeyId,
        material: MaterialId,
        bytes: &Secret<Vec<u8>>,
        unlock_key: &Secret<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let seal_key = self.seal_key(unlock_key)?;
        seal::seal(seal_key.expose(), &self.associated(key, material), bytes.expose())
    }

    /// Opens a version of material; `None` if it is erased.
    pub(super) fn open_material(
        &self,
        key: LocalKeyId,
        material: &MaterialEntry,
        unlock_key: &Secret<Vec<u8>>,
    ) -> Result<Option<Secret<Vec<u8>>>> {
        let Some(sealed) = &material.sealed else {
            return Ok(None);
        };
        self.open_sealed(key, material.id, &sealed.0, unlock_key).map(Some)
    }

    pub(super) fn open_sealed(
        &self,
        key: LocalKeyId,
        material: MaterialId,
        sealed: &[u8],
        unlock_key: &Secret<Vec<u8>>,
    ) -> Result<Secret<Vec<u8>>> {
        let seal_key = self.seal_key(unlock_key)?;
        seal::open(seal_key.expose(), &self.associated(key, material), sealed)
    }

    pub(super) fn seal_key(&self, unlock_key: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>> {
        derive(unlock_key.expose(), Purpose::LocalKmsSeal, &[self.id.as_bytes()], 32)
    }

    fn associated(&self, key: LocalKeyId, material: MaterialId) -> Vec<u8> {
        length_prefixed(&[
            // All three ids, so that sealed material opens in its own place alone, even if an error of a
            // program moved it under a right MAC.
            b"cipherform local kms material v2",
            self.id.as_bytes(),
            key.as_bytes(),
            material.as_bytes(),
        ])
    }

    /// Returns information about a key.
    pub(super) fn info(&self, key: &LocalKeyEntry, now: Timestamp) -> LocalKeyInfo {
        let aliases = self.aliases.iter().filter(|alias| alias.key == key.id);
        LocalKeyInfo {
            name: key.name.clone(),
            id: key.id.to_string(),
            aliases: aliases.map(|alias| alias.name.clone()).collect(),
            state: key.state_at(now),
            spec: key.spec,
            usage: key.spec.usage(),
            origin: key.origin,
            created: key.created,
            deletion: key.deletion,
            rotation_days: key.rotation_days,
            next_rotation: key.next_rotation(),
            material: key.material.iter().map(MaterialEntry::info).collect(),
            history: key.history.clone(),
        }
    }

    pub(super) fn key_mut(&mut self, id: LocalKeyId) -> Result<&mut LocalKeyEntry> {
        let key = self.keys.iter_mut().find(|key| key.id == id);
        key.ok_or_else(|| Error::bug("a KMS key that was found is not there"))
    }
}

impl LocalKeyEntry {
    /// Returns the time of the next rotation.
    pub(super) fn next_rotation(&self) -> Option<Timestamp> {
        let newest = self.material.last()?;
        let enabled = self.state == KmsKeyState::Enabled;
        enabled
            // Only enabled keys are rotated by time: new material would not change that the others wrap
            // nothing.
            .then_some(())
            .and(self.rotation_days)
            .map(|days| newest.created.plus_days(days))
    }

    /// Returns the state at a time: an enabled key without material is unavailable.
    pub(super) fn state_at(&self, now: Timestamp) -> KmsKeyState {
        let there = |material: &MaterialEntry| material.sealed.is_some() && !material.is_expired(now);
        match self.state {
            // Computed and not stored: material expires by time alone, without a change of the file.
            KmsKeyState::Enabled if !self.material.last().is_some_and(there) => KmsKeyState::Unavailable,
            state => state,
        }
    }

    /// Erases all material of the key.
    pub(super) fn erase(&mut self) {
        for material in &mut self.material {
            material.sealed = None;
        }
        // An import that is under way ends with it: its private key has nothing to serve any more.
        self.import = None;
    }
}

impl MaterialEntry {
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        // The end itself is outside, so material that is erased at a time is refused from that second on.
        self.valid_to.is_some_and(|end| end <= now)
    }

    fn info(&self) -> MaterialInfo {
        MaterialInfo {
            number: self.number,
            id: self.id.to_string(),
            created: self.created,
            present: self.sealed.is_some(),
            valid_to: self.valid_to,
        }
    }
}

/// The unlock method of a file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum UnlockMethod {
    Argon2id {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        salt: Salt,
    },
    KeyFile,
    Pbkdf2HmacSha256 {
        iterations: u32,
        salt: Salt,
    },
    /// A random unlock key, wrapped by a key of another KMS.
    Kms {
        key: KmsKeyRef,
        id: KeyVersionId,
        wrapped: Base64,
    },
    /// A random unlock key, in the keyring of the operating system.
    OsKeyring {
        entry: KeyVersionId,
    },
}
