//! Format 1 of the file: one version of material for each key, no aliases.

use serde::{Deserialize, Serialize};

use super::ids::{FileId, LocalKeyId, MaterialId};
use super::info::{KmsKeyOrigin, KmsKeySpec};
use super::model::{LocalKeyEntry, LocalKmsContent, MaterialEntry, UnlockMethod};
use crate::keys::{Base64, KeyName, KmsKeyState, Timestamp, length_prefixed};
use crate::kms::seal;
use crate::{Result, Secret};

/// The format of the file; frozen.
pub(super) const FORMAT_V1: &str = "cipherform-local-kms/1";

/// The content, under the MAC.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContentV1 {
    pub(super) id: FileId,
    generation: u64,
    pub(super) unlock: UnlockMethod,
    keys: Vec<KeyEntryV1>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeyEntryV1 {
    name: KeyName,
    id: LocalKeyId,
    state: KmsKeyState,
    created: Timestamp,
    sealed: Base64,
}

impl ContentV1 {
    /// Converts the content to the current format: each key is opened as format 1 sealed it, and sealed again.
    pub(super) fn converted(self, unlock_key: &Secret<Vec<u8>>) -> Result<LocalKmsContent> {
        let mut content = LocalKmsContent {
            id: self.id,
            generation: self.generation,
            unlock: self.unlock,
            keys: Vec::new(),
            aliases: Vec::new(),
            last_backup: None,
            identities: Vec::new(),
        };
        let seal_key = content.seal_key(unlock_key)?;
        for key in self.keys {
            let associated =
                length_prefixed(&[b"cipherform local kms key v1", content.id.as_bytes(), key.id.as_bytes()]);
            // The MAC has passed, so this fails only if the program that wrote the file had an error.
            let bytes = seal::open(seal_key.expose(), &associated, &key.sealed.0)?;
            // Bytes wrapped then name no version of material. The first version gets the id of the key, so that every
            // read of the file gives the same.
            let id = MaterialId::from_bytes(*key.id.as_bytes());
            let sealed = content.seal_material(key.id, id, &bytes, unlock_key)?;
            content.keys.push(LocalKeyEntry {
                name: key.name,
                id: key.id,
                spec: KmsKeySpec::SymmetricDefault,
                origin: KmsKeyOrigin::Local,
                created: key.created,
                state: key.state,
                deletion: None,
                rotation_days: None,
                material: vec![MaterialEntry {
                    number: 1,
                    id,
                    created: key.created,
                    sealed: Some(Base64(sealed)),
                    public_key: None,
                    check: None,
                    valid_to: None,
                }],
                import: None,
                policy: None,
                history: Vec::new(),
            });
        }
        Ok(content)
    }
}
