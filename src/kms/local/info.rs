//! Information about keys of the local KMS, in the words of AWS KMS.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keys::{KeyName, KmsKeyState, Reason, Timestamp};
use crate::{Hint, Remedy};

/// Information about a key of the local KMS: no key bytes, not even sealed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LocalKeyInfo {
    /// Name: `local:NAME`.
    pub name: KeyName,
    /// Id, 32 hexadecimal digits.
    pub id: String,
    /// Aliases: `local:alias/NAME`.
    pub aliases: Vec<KeyName>,
    /// State.
    pub state: KmsKeyState,
    /// Kind of key.
    pub spec: KmsKeySpec,
    /// Use of the key.
    pub usage: KmsKeyUsage,
    /// Origin of the material.
    pub origin: KmsKeyOrigin,
    /// Time of creation.
    pub created: Timestamp,
    /// Time at which the material is erased, if that is scheduled or done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Timestamp>,
    /// Days between automatic rotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_days: Option<u32>,
    /// Time of the next automatic rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<Timestamp>,
    /// Versions of the material, oldest first: the newest wraps, each unwraps what it wrapped.
    pub material: Vec<MaterialInfo>,
    /// Changes, oldest first.
    pub history: Vec<KmsKeyChange>,
}

impl LocalKeyInfo {
    /// Returns the rotation in words; none for a key that is never rotated.
    pub fn rotation(&self) -> Option<String> {
        let rotates = self.spec == KmsKeySpec::SymmetricDefault && self.origin == KmsKeyOrigin::Local;
        rotates.then(|| match self.rotation_days {
            Some(days) => format!("every {days} days"),
            None => "on demand".to_owned(),
        })
    }

    /// Returns the task that is due soon, at `now`.
    pub fn due(&self, now: Timestamp) -> Option<Hint> {
        let key = format!("local:{}", self.name);
        let expiry = (self.material.iter())
            // Material that is erased already cannot expire.
            .filter(|material| material.present)
            .filter_map(|material| material.valid_to)
            .find(|end| end.is_near(now));
        match (self.state, expiry, self.next_rotation) {
            // First of all: whatever else is due, this loses the key.
            (KmsKeyState::PendingDeletion, ..) => self.deletion.map(|end| {
                Hint::from(format!("its material is erased from {end} on; to keep it, "))
                    .then(Remedy::CancelDeletion(key))
            }),
            (_, Some(end), _) => Some(
                Hint::from(format!("its imported material expires at {end}; before that, "))
                    .then(Remedy::ImportMaterial(Some(key))),
            ),
            // Said only once it is due: a rotation harms nobody if it comes a day late.
            (_, None, Some(due)) if due <= now => Some(
                Hint::from(format!(
                    "its rotation has been due since {due}, and happens with the next change of a key: "
                ))
                .then(Remedy::RotateKmsKey(Some(key))),
            ),
            _ => None,
        }
    }
}

/// Information about a version of material.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MaterialInfo {
    /// Number, from 1 on.
    pub number: u32,
    /// Id, 32 hexadecimal digits, which wrapped bytes name.
    pub id: String,
    /// Time of creation.
    pub created: Timestamp,
    /// False once the material is erased.
    pub present: bool,
    /// Expiry of imported material.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Timestamp>,
}

/// The kind of a key of the local KMS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub enum KmsKeySpec {
    /// AES-256-GCM: wraps and unwraps data keys.
    #[serde(rename = "SYMMETRIC_DEFAULT")]
    SymmetricDefault,
    /// RSA-OAEP with SHA-256, 3,072 bits: opens keys that partners have exported for it.
    #[serde(rename = "RSA_3072")]
    Rsa3072,
    /// RSA-OAEP with SHA-256, 4,096 bits.
    #[serde(rename = "RSA_4096")]
    Rsa4096,
    /// Ed25519 (FIPS 186-5): signs keys for partners.
    #[serde(rename = "ECC_NIST_EDWARDS25519")]
    Ed25519,
}

impl KmsKeySpec {
    /// Returns the one use of such a key.
    pub const fn usage(self) -> KmsKeyUsage {
        match self {
            Self::SymmetricDefault | Self::Rsa3072 | Self::Rsa4096 => KmsKeyUsage::EncryptDecrypt,
            Self::Ed25519 => KmsKeyUsage::SignVerify,
        }
    }
}

impl fmt::Display for KmsKeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SymmetricDefault => "SYMMETRIC_DEFAULT",
            Self::Rsa3072 => "RSA_3072",
            Self::Rsa4096 => "RSA_4096",
            Self::Ed25519 => "ECC_NIST_EDWARDS25519",
        })
    }
}

/// The one use of a KMS key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum KmsKeyUsage {
    /// It wraps and unwraps.
    EncryptDecrypt,
    /// It signs.
    SignVerify,
}

impl fmt::Display for KmsKeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncryptDecrypt => "ENCRYPT_DECRYPT",
            Self::SignVerify => "SIGN_VERIFY",
        })
    }
}

/// The origin of the material of a KMS key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum KmsKeyOrigin {
    /// Made by the local KMS.
    Local,
    /// Made elsewhere, and imported.
    External,
}

impl fmt::Display for KmsKeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "LOCAL",
            Self::External => "EXTERNAL",
        })
    }
}

/// A change of a KMS key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KmsKeyChange {
    /// Time of the change.
    pub time: Timestamp,
    /// Change, in words: `disable`, `schedule deletion for 2026-03-01T12:00:00Z`, …
    pub what: String,
    /// Actor, as the process said.
    pub who: String,
    /// Reason, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// The properties of a new KMS key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NewKmsKey {
    /// Kind of key.
    pub spec: KmsKeySpec,
    /// Origin of the material.
    pub origin: KmsKeyOrigin,
    /// Days between automatic rotations; `None` for none.
    pub rotation_days: Option<u32>,
}

impl Default for NewKmsKey {
    /// A symmetric key, made here, that is rotated on demand only.
    fn default() -> Self {
        Self {
            spec: KmsKeySpec::SymmetricDefault,
            origin: KmsKeyOrigin::Local,
            rotation_days: None,
        }
    }
}

impl NewKmsKey {
    /// Describes a key of a kind, with local material.
    pub fn new(spec: KmsKeySpec) -> Self {
        Self {
            spec,
            ..Self::default()
        }
    }

    /// Makes it a key for imported material.
    #[must_use]
    pub fn external(mut self) -> Self {
        self.origin = KmsKeyOrigin::External;
        self
    }

    /// Sets the days between automatic rotations.
    #[must_use]
    pub fn with_rotation(mut self, days: Option<u32>) -> Self {
        self.rotation_days = days;
        self
    }
}
