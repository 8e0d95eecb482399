//! The content of a keyring's file.

use std::collections::HashSet;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::backup_record::BackupRecord;
use super::info::{KeyInfo, Periods, StateChange, VersionInfo};
use crate::keys::audit::LogRecord;
use crate::keys::encoding::Base64;
use crate::keys::exchanged_map::ExchangedMap;
use crate::keys::ids::{DataKeyId, KeyVersionId, KeyringId};
use crate::keys::key_ref::{KeyName, KmsKeyRef};
use crate::keys::key_use::KeyUse;
use crate::keys::state::KeyState;
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::{Purpose, WrapContext, derive};
use crate::{Error, Result, Secret};

/// The format of the file; its versions are frozen.
pub(crate) const FORMAT: &str = "cipherform-keyring/4";

/// Formats that are read: fields that the older ones lack are optional. The next change writes [`FORMAT`].
pub(crate) const READABLE: [&str; 4] = [
    FORMAT,
    "cipherform-keyring/3",
    "cipherform-keyring/2",
    "cipherform-keyring/1",
];

/// The content of the file, under the MAC.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyringDocument {
    pub(crate) id: KeyringId,
    /// Number of changes, by which an older copy can be noticed.
    pub(crate) generation: u64,
    pub(crate) root: RootEntry,
    pub(crate) keys: Vec<DataKeyEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_backup: Option<BackupRecord>,
    /// Audit log, as it was at the last change. An older format has none, and so does a keyring without a log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audit: Option<LogRecord>,
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
pub(crate) struct DataKeyEntry {
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
    /// Generation that the limit was set with, as its entry in the audit log says.
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
    pub(crate) history: Vec<StateChange>,
    /// For a key from a partner: the one map it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) only_for: Option<ExchangedMap>,
    /// For a key from a partner: the public key of the sender, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sender: Option<String>,
}

impl VersionEntry {
    /// Returns the time of activation. In a keyring of format 1 a version was active from its creation on.
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

impl KeyringDocument {
    /// Returns the context of the wrapped root key. It belongs to no data key, so that field is zero.
    pub(crate) fn root_context(id: KeyringId, root: KeyVersionId) -> WrapContext {
        WrapContext {
            keyring: id,
            // No data key has this id, except with probability 2^-128, so the root's wrapped bytes cannot
            // be presented as those of a data key, and the other way round.
            data_key: DataKeyId::from_bytes([0; 16]),
            version: root,
            key_use: "keyring-root".to_string(),
        }
    }

    /// Returns the context of a wrapped version of a data key.
    pub(crate) fn context(&self, key: DataKeyId, version: KeyVersionId, key_use: KeyUse) -> WrapContext {
        WrapContext {
            keyring: self.id,
            data_key: key,
            version,
            key_use: key_use.to_string(),
        }
    }

    /// Derives the key that authenticates the file.
    pub(crate) fn mac_key(&self, root: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>> {
        // Bound to the id, so a file cannot be given the identity of another keyring under the same root.
        derive(root.expose(), Purpose::KeyringMac, &[self.id.as_bytes()], 32)
    }

    pub(crate) fn key(&self, name: &KeyName) -> Option<&DataKeyEntry> {
        self.keys.iter().find(|key| key.name == *name)
    }

    pub(crate) fn key_mut(&mut self, id: DataKeyId) -> Option<&mut DataKeyEntry> {
        self.keys.iter_mut().find(|key| key.id == id)
    }

    /// Checks what the types cannot express: names and ids are unique; versions exist, in order, at most one active.
    pub(crate) fn validate(&self) -> Result<()> {
        let versions = || self.keys.iter().flat_map(|key| &key.versions);
        // Names choose keys for protecting, ids of versions for revealing: if either were ambiguous, the
        // order in the file would decide which key is used.
        let sound = unique(self.keys.iter().map(|key| &key.name))
            && unique(self.keys.iter().map(|key| key.id))
            && unique(versions().map(|version| version.id))
            && self.keys.iter().all(DataKeyEntry::is_sound);
        if sound {
            Ok(())
        } else {
            Err(Error::bad_input("its keys contradict each other"))
        }
    }
}

impl DataKeyEntry {
    /// Returns the active version, or else the newest that was in use: a reference without a number means it.
    pub(crate) fn current(&self) -> Option<&VersionEntry> {
        let newest = |wanted: fn(KeyState) -> bool| self.versions.iter().rev().find(|version| wanted(version.state));
        // A version that is prepared is passed over: what the name means changes by activation only.
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
        // Bytes of a version that is called removed would be a false claim; a version in use without
        // bytes would fail only when data must be revealed.
        let kept = |version: &VersionEntry| version.wrapped.is_none() == version.state.is_gone();
        !self.versions.is_empty()
            // With two active versions their order in the file would choose the one that protects.
            && active <= 1
            && self.versions.iter().all(kept)
            // Strictly: a number twice would make `pii@2` ambiguous.
            && self.versions.is_sorted_by(|a, b| a.number < b.number)
    }
}

fn unique<T: Eq + Hash>(mut items: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.all(|item| seen.insert(item))
}
