//! Changes of states, periods and limits.

use super::document::{DataKeyEntry, KeyringDocument};
use super::info::{KeyInfo, Periods};
use super::keyring::Keyring;
use super::lifecycle::{apply_transition, replace_active};
use crate::keys::audit::{AuditEntry, AuditEvent};
use crate::keys::key_ref::{KeyName, KeyRef};
use crate::keys::reason::Reason;
use crate::keys::state::KeyState;
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::KmsKeyState;
use crate::{Error, ErrorKind, Result};

impl Keyring {
    /// Changes the state of a version, for a reason that is recorded. Without a number `key` means its current version.
    ///
    /// A version that becomes active replaces the active one, which is deactivated.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; [`ErrorKind::KeyNotUsable`] if SP 800-57 has no such transition; errors of the file.
    /// [`Keyring::remove`] is for *removed* and *destroyed*.
    pub fn transition(&mut self, key: &KeyRef, to: KeyState, reason: &Reason) -> Result<KeyInfo> {
        // `remove` also asks the KMS and erases the wrapped bytes; a state alone would claim what was not
        // done.
        if to.is_gone() {
            return Err(Error::bug("a version is removed by `remove`"));
        }
        let (name, number) = self.numbered(key)?;
        let (who, now) = self.actor_and_time();
        // No entry of its own: `commit` writes one for each version that changes its state.
        self.commit(None, |document| {
            let key = find_key(document, &name)?;
            let place = version_index(key, number)?;
            if to == KeyState::Active {
                let active = key
                    .versions
                    .iter()
                    .position(|version| version.state == KeyState::Active);
                let from = key.versions[place].state;
                // A suspended version was replaced while it was looked into. To resume it would silently
                // deactivate the version that people rotated to, perhaps because of that very suspicion.
                if let Some(active) = active.filter(|_| from == KeyState::Suspended) {
                    let other = key.versions[active].number;
                    let message = format!("version {other} of key `{name}` is active meanwhile, and takes its place");
                    return Err(Error::new(ErrorKind::KeyNotUsable, message)
                        .with_hint("what this version protected is revealed all the same; deactivate it"));
                }
                // An active version asked to become active is left alone, and refused by the table of
                // transitions below.
                if active.is_some_and(|active| active != place) {
                    replace_active(key, number, &who, now)?;
                }
            }
            apply_transition(&name, &mut key.versions[place], to, &who, now, reason)?;
            Ok(key.info())
        })
    }

    /// Removes the key bytes of a version from the keyring. What it protected can then be revealed only with a backup
    /// of the keyring.
    ///
    /// The version is *removed* then; it is *destroyed* once the KMS says that the KMS key no longer exists,
    /// when this is called again.
    ///
    /// # Errors
    ///
    /// As for [`transition`](Self::transition); errors of the KMS.
    pub async fn remove(&mut self, key: &KeyRef, reason: &Reason) -> Result<KeyInfo> {
        let (name, number) = self.numbered(key)?;
        let entry = self.entry(&name)?;
        // Asked before the lock is taken: a slow KMS must not keep other processes from changing the
        // file.
        let kms_gone = match self.describe_kms_key(&entry.kms_key.clone()).await {
            Ok(info) => info.state == KmsKeyState::Destroyed,
            // Some KMSs forget a deleted key altogether.
            Err(error) if error.kind() == ErrorKind::KeyNotFound => true,
            // The version can be removed all the same; it is not called destroyed then.
            Err(_) => false,
        };
        let (who, now) = self.actor_and_time();
        self.commit(None, |document| {
            let key = find_key(document, &name)?;
            let place = version_index(key, number)?;
            let version = &mut key.versions[place];
            // The wrapped bytes may survive in backups and in blocks of the disk. While the KMS key
            // exists they unwrap, so the version is not called destroyed.
            if version.state == KeyState::Removed && !kms_gone {
                let message = format!("key `{name}@{number}` is removed already; its KMS key is still there");
                return Err(Error::new(ErrorKind::KeyNotUsable, message)
                    .with_hint("it is destroyed once that KMS key is deleted, which takes with it all that it wraps"));
            }
            if version.state != KeyState::Removed {
                apply_transition(&name, version, KeyState::Removed, &who, now, reason)?;
                // State and bytes change in one write of the file; there is no moment with one and not
                // the other.
                version.wrapped = None;
            }
            if kms_gone {
                apply_transition(&name, version, KeyState::Destroyed, &who, now, reason)?;
            }
            Ok(key.info())
        })
    }

    /// Sets how long the versions of a key may be used.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; errors of the file.
    pub fn set_periods(&mut self, name: &KeyName, periods: Periods, reason: &Reason) -> Result<KeyInfo> {
        let entry = AuditEntry {
            context: Some(format!(
                "originator {} days, recipient {} days",
                periods.originator_days, periods.recipient_days
            )),
            ..self.audit_entry(AuditEvent::Periods, name, None, Some(reason))
        };
        self.commit(Some(entry), |document| {
            let key = find_key(document, name)?;
            // Periods equal to the defaults are left out, as in files from before keys had periods.
            key.periods = (periods != Periods::default()).then_some(periods);
            Ok(key.info())
        })
    }

    /// Sets the limit on the values that one version of a key may protect; `None` removes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; errors of the file.
    pub fn set_values_limit(&mut self, name: &KeyName, limit: Option<u64>, reason: &Reason) -> Result<KeyInfo> {
        // Values counted under the old limit count under the new one.
        self.audit_usage(None, "until the limit was changed")?;
        let entry = AuditEntry {
            values: limit,
            ..self.audit_entry(AuditEvent::Limit, name, None, Some(reason))
        };
        let info = self.commit(Some(entry), |document| {
            // The generation that this change makes.
            let generation = document.generation + 1;
            let key = find_key(document, name)?;
            key.values_limit = limit;
            // A log that lacks the entry of this generation cannot have counted everything since, and is
            // refused.
            key.limited_since = limit.and(Some(generation));
            Ok(key.info())
        })?;
        // The counters hold the old limit. Handles that are in use go on with it; the next ones get the
        // new.
        self.usages().clear();
        Ok(info)
    }

    /// Returns the actor and the time of a change.
    pub(super) fn actor_and_time(&self) -> (String, Timestamp) {
        let context = self.registry.context();
        (context.actor().to_owned(), context.now())
    }

    /// Makes the audit entry of a change.
    pub(super) fn audit_entry(
        &self,
        event: AuditEvent,
        name: &KeyName,
        number: Option<u32>,
        reason: Option<&Reason>,
    ) -> AuditEntry {
        // As the file was when it was read last: a version that another process added meanwhile has no id
        // here, and the entry names it by its number alone.
        let version = self.document.key(name).and_then(|key| {
            let found = key.versions.iter().find(|version| Some(version.number) == number);
            found.map(|version| version.id)
        });
        AuditEntry {
            key: Some(match number {
                Some(number) => format!("{name}@{number}"),
                None => name.to_string(),
            }),
            version,
            reason: reason.cloned(),
            ..AuditEntry::new(event)
        }
    }

    fn numbered(&self, key: &KeyRef) -> Result<(KeyName, u32)> {
        let (entry, version) = self.version(key)?;
        Ok((entry.name.clone(), version.number))
    }
}

fn find_key<'a>(document: &'a mut KeyringDocument, name: &KeyName) -> Result<&'a mut DataKeyEntry> {
    let key = document.keys.iter_mut().find(|key| key.name == *name);
    // The document under the lock may be newer than the one in which the caller found the key.
    key.ok_or_else(|| Error::bad_input(format!("key `{name}` was removed meanwhile")).with_hint("try again"))
}

fn version_index(key: &DataKeyEntry, number: u32) -> Result<usize> {
    let place = key.versions.iter().position(|version| version.number == number);
    place.ok_or_else(|| {
        Error::bad_input(format!("key `{}` has no version {number} any more", key.name)).with_hint("try again")
    })
}
