//! What the local KMS tells about its keys, in the words of AWS KMS.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keys::{KeyName, KmsKeyState, Reason, Timestamp};
use crate::{Hint, Remedy};

/// What the local KMS tells about a key: no key bytes, not even sealed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LocalKeyInfo {
    /// Its name: `local:NAME`.
    pub name: KeyName,
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// Other names for it: `local:alias/NAME`.
    pub aliases: Vec<KeyName>,
    /// Whether it may be used.
    pub state: KmsKeyState,
    /// What kind of key it is.
    pub spec: KmsKeySpec,
    /// Its one use.
    pub usage: KmsKeyUsage,
    /// Where its material comes from.
    pub origin: KmsKeyOrigin,
    /// When it was made.
    pub created: Timestamp,
    /// When its material is erased, if that is scheduled or done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Timestamp>,
    /// After how many days it gets new material by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_days: Option<u32>,
    /// When that is due next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<Timestamp>,
    /// The versions of its material, oldest first: the newest wraps, each unwraps what it wrapped.
    pub material: Vec<MaterialInfo>,
    /// What was done with it, oldest first.
    pub history: Vec<KmsKeyChange>,
}

impl LocalKeyInfo {
    /// When it gets new material, in words; nothing for a key that never does.
    pub fn rotation(&self) -> Option<String> {
        let rotates = self.spec == KmsKeySpec::SymmetricDefault && self.origin == KmsKeyOrigin::Local;
        rotates.then(|| match self.rotation_days {
            Some(days) => format!("every {days} days"),
            None => "on demand".to_owned(),
        })
    }

    /// What is to be done about it soon, at `now`.
    pub fn due(&self, now: Timestamp) -> Option<Hint> {
        let key = format!("local:{}", self.name);
        let expiry = (self.material.iter())
            .filter(|material| material.present)
            .filter_map(|material| material.valid_to)
            .find(|end| end.is_near(now));
        match (self.state, expiry, self.next_rotation) {
            (KmsKeyState::PendingDeletion, ..) => self.deletion.map(|end| {
                Hint::from(format!("its material is erased from {end} on; to keep it, "))
                    .then(Remedy::CancelDeletion(key))
            }),
            (_, Some(end), _) => Some(
                Hint::from(format!("its imported material expires at {end}; before that, "))
                    .then(Remedy::ImportMaterial(Some(key))),
            ),
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

/// One version of a key's material.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MaterialInfo {
    /// Its number, from 1 on.
    pub number: u32,
    /// Its id, 32 hexadecimal digits: what wrapped bytes name.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is there: not if it was erased.
    pub present: bool,
    /// Of imported material: when it expires.
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
    /// The same, 4,096 bits.
    #[serde(rename = "RSA_4096")]
    Rsa4096,
    /// Ed25519 (FIPS 186-5): signs keys for partners.
    #[serde(rename = "ECC_NIST_EDWARDS25519")]
    Ed25519,
}

impl KmsKeySpec {
    /// The one use of such a key.
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

/// Where the material of a KMS key comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum KmsKeyOrigin {
    /// It was made here.
    Local,
    /// It was made elsewhere, and imported.
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

/// Something that was done with a KMS key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KmsKeyChange {
    /// When.
    pub time: Timestamp,
    /// What: `disable`, `schedule deletion for 2026-03-01T12:00:00Z`, …
    pub what: String,
    /// Who did it, as the process said.
    pub who: String,
    /// Why, if somebody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// What a new KMS key is to be.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NewKmsKey {
    /// What kind of key.
    pub spec: KmsKeySpec,
    /// Where its material comes from.
    pub origin: KmsKeyOrigin,
    /// After how many days it gets new material by itself; `None` is never.
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
    /// A key of that kind, made here.
    pub fn new(spec: KmsKeySpec) -> Self {
        Self {
            spec,
            ..Self::default()
        }
    }

    /// The same, but its material is to be imported.
    #[must_use]
    pub fn external(mut self) -> Self {
        self.origin = KmsKeyOrigin::External;
        self
    }

    /// The same, with new material after so many days.
    #[must_use]
    pub fn with_rotation(mut self, days: Option<u32>) -> Self {
        self.rotation_days = days;
        self
    }
}
