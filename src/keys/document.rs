//! What stands in a keyring file.

use std::collections::HashSet;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::backup::BackupRecord;
use super::derive::derive;
use super::encoding::Base64;
use super::{
    DataKeyId, KeyName, KeyState, KeyUse, KeyVersionId, KeyringId, KmsKeyRef, Purpose, Reason, Timestamp, WrapContext,
};
use crate::{Error, Result, Secret};

/// The format of the file; its versions are frozen.
pub(crate) const FORMAT: &str = "cipherform-keyring/3";

/// The formats that are read: what the older ones lack is optional. The next change writes [`FORMAT`].
pub(crate) const READABLE: [&str; 3] = [FORMAT, "cipherform-keyring/2", "cipherform-keyring/1"];

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
    /// How long its versions may be used.
    pub periods: Periods,
    /// How many values may be protected with one version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_limit: Option<u64>,
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
    /// When it came into use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated: Option<Timestamp>,
    /// When it stops to protect: the end of its originator-usage period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protects_until: Option<Timestamp>,
    /// When it stops to reveal: the end of its recipient-usage period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveals_until: Option<Timestamp>,
    /// The states it went through, oldest first.
    pub history: Vec<Change>,
    /// Of a key that came from a partner: the one map it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_for: Option<ExchangedMap>,
    /// And who sent it: the public key that signed it (Ed25519), in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

/// How long the versions of a key may be used, from their activation on: SP 800-57 Part 1, section 5.3.
///
/// Time alone changes nothing in a keyring: a version past a period is refused, and serves again once the period is made longer, or a wrong clock is set right.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Periods {
    /// For how many days a version protects.
    pub originator_days: u32,
    /// For how many days it reveals; not less.
    pub recipient_days: u32,
}

impl Default for Periods {
    /// What table 1 of SP 800-57 Part 1 gives a symmetric data-encryption key: two years, and three more to process what was protected in them.
    fn default() -> Self {
        Self {
            originator_days: 2 * 365,
            recipient_days: 5 * 365,
        }
    }
}

impl Periods {
    /// A hundred years.
    const LONGEST: u32 = 36_500;

    /// Periods of so many days.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::BadInput`] if one is 0 or more than a hundred years, or the recipient's is the shorter one.
    pub fn try_new(originator_days: u32, recipient_days: u32) -> Result<Self> {
        let range = 1..=Self::LONGEST;
        if !range.contains(&originator_days) || !range.contains(&recipient_days) {
            return Err(Error::bad_input(format!("a period is 1 to {} days", Self::LONGEST)));
        }
        if recipient_days < originator_days {
            return Err(
                Error::bad_input("the recipient-usage period is shorter than the originator-usage period")
                    .with_hint("what a version protects on its last day must be revealed later"),
            );
        }
        Ok(Self {
            originator_days,
            recipient_days,
        })
    }
}

/// The one map that a key is for: what a rule is, beside its key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangedMap {
    /// What the subkey is bound to.
    pub domain: String,
    /// SHA-256 over treatment and format, in hexadecimal.
    pub fingerprint: String,
    /// The format, for people: the fingerprint counts.
    pub format: String,
    /// The tweak's definition.
    pub tweak: String,
    /// The check value of the sender's columns, in hexadecimal.
    pub check: String,
}

/// A version went over to another state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When.
    pub time: Timestamp,
    /// From which state.
    pub from: KeyState,
    /// To which.
    pub to: KeyState,
    /// Who did it, as the process said.
    pub who: String,
    /// Why.
    pub reason: Reason,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_backup: Option<BackupRecord>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) periods: Option<Periods>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) values_limit: Option<u64>,
    /// The generation that its limit was set with, as the entry in the audit log says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limited_since: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionEntry {
    pub(crate) number: u32,
    pub(crate) id: KeyVersionId,
    pub(crate) state: KeyState,
    pub(crate) created: Timestamp,
    /// Absent once it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wrapped: Option<Base64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) activated: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) history: Vec<Change>,
    /// Of a key that came from a partner: the one map it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) only_for: Option<ExchangedMap>,
    /// And who sent it: the public key that signed it, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sender: Option<String>,
}

impl VersionEntry {
    /// When it came into use. A keyring of format 1 does not say: there a version was active from its creation on.
    pub(crate) fn activated(&self) -> Option<Timestamp> {
        let never = self.state == KeyState::PreActivation
            || self.history.iter().any(|change| change.from == KeyState::PreActivation);
        self.activated.or((!never).then_some(self.created))
    }

    pub(crate) fn protects_until(&self, periods: Periods) -> Option<Timestamp> {
        Some(self.activated()?.plus_days(periods.originator_days))
    }

    pub(crate) fn reveals_until(&self, periods: Periods) -> Option<Timestamp> {
        Some(self.activated()?.plus_days(periods.recipient_days))
    }
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
    /// The active version, or else the newest that was in use: what a reference without a number means.
    pub(crate) fn current(&self) -> Option<&VersionEntry> {
        let newest = |wanted: fn(KeyState) -> bool| self.versions.iter().rev().find(|version| wanted(version.state));
        newest(|state| state == KeyState::Active).or_else(|| newest(|state| state != KeyState::PreActivation))
    }

    pub(crate) fn info(&self) -> KeyInfo {
        let periods = self.periods();
        let version = |version: &VersionEntry| VersionInfo {
            number: version.number,
            id: version.id,
            state: version.state,
            created: version.created,
            activated: version.activated(),
            protects_until: version.protects_until(periods),
            reveals_until: version.reveals_until(periods),
            history: version.history.clone(),
            only_for: version.only_for.clone(),
            sender: version.sender.clone(),
        };
        KeyInfo {
            name: self.name.clone(),
            id: self.id,
            key_use: self.key_use,
            created: self.created,
            kms_key: self.kms_key.clone(),
            periods,
            values_limit: self.values_limit,
            versions: self.versions.iter().map(version).collect(),
        }
    }

    pub(crate) fn periods(&self) -> Periods {
        self.periods.unwrap_or_default()
    }

    fn is_sound(&self) -> bool {
        let active = self
            .versions
            .iter()
            .filter(|version| version.state == KeyState::Active)
            .count();
        let kept = |version: &VersionEntry| version.wrapped.is_none() == version.state.is_gone();
        !self.versions.is_empty()
            && active <= 1
            && self.versions.iter().all(kept)
            && self.versions.is_sorted_by(|a, b| a.number < b.number)
    }
}

fn unique<T: Eq + Hash>(mut items: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.all(|item| seen.insert(item))
}
