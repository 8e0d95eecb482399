//! The life of a KMS key of the local KMS: made, rotated, switched off and on, deleted after a waiting period.

use std::path::Path;

use super::file::{Content, KeyEntry, LocalKeyId, MaterialEntry};
use super::material::Material;
use super::{KmsKeyChange, KmsKeyOrigin, KmsKeySpec, LocalKeyInfo, LocalKms, LocalName, NewKmsKey, UnlockKey, find};
use crate::keys::registry::Surroundings;
use crate::keys::{KeyName, KmsAction, KmsKeyRef, KmsKeyState, Reason, Timestamp};
use crate::{Error, ErrorKind, Result, Secret};

/// How many days a scheduled deletion may wait, as AWS KMS has it; the longest is what it waits unless told otherwise.
pub const DELETION_WINDOW_DAYS: std::ops::RangeInclusive<u32> = 7..=30;

/// How many days may lie between two automatic rotations, as AWS KMS has it.
const ROTATION_DAYS: std::ops::RangeInclusive<u32> = 90..=2560;

impl LocalKms {
    /// Adds a symmetric key to the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if the name is taken; [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn create_key(&self, name: &KeyName) -> Result<LocalKeyInfo> {
        let path = self.path().to_path_buf();
        self.add(&path, name, NewKmsKey::default())
    }

    /// Adds a key as `new` says under the name in `key`, to the file it names.
    ///
    /// # Errors
    ///
    /// As for [`create_key`](Self::create_key); [`ErrorKind::BadInput`] for an alias, or a period of rotation out of bounds.
    pub fn create_kms_key(&self, key: &KmsKeyRef, new: NewKmsKey) -> Result<LocalKeyInfo> {
        match self.locate(key)? {
            (path, LocalName::Key(name)) => self.add(&path, &name, new),
            (_, LocalName::Alias(_)) => Err(Error::bad_input("an alias is no name for a new KMS key")
                .with_hint("create the key first, then the alias: `cipherform keys alias create`")),
        }
    }

    fn add(&self, path: &Path, name: &KeyName, new: NewKmsKey) -> Result<LocalKeyInfo> {
        if let Some(days) = new.rotation_days {
            check_rotation(days)?;
        }
        if new.rotation_days.is_some() || new.origin == KmsKeyOrigin::External {
            expect_symmetric(new.spec)?;
        }
        if new.rotation_days.is_some() && new.origin == KmsKeyOrigin::External {
            return Err(not_rotated(name));
        }
        // Before the lock: an RSA key takes its time.
        let material = match new.origin {
            KmsKeyOrigin::Local => Some(Material::generate(new.spec)?),
            KmsKeyOrigin::External => None,
        };
        let surroundings = &self.surroundings;
        self.change(path, |content, unlock_key| {
            let id = add_key(content, name, new, material.as_ref(), surroundings.now(), unlock_key)?;
            let key = content.key_mut(id)?;
            record(key, "create", surroundings, None);
            let key = key.clone();
            Ok(content.info(&key, surroundings.now()))
        })
    }

    /// Switches a key on that is switched off.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; [`ErrorKind::KeyNotUsable`] if it is in another state; what the file says.
    pub fn enable(&self, key: &KmsKeyRef, reason: &Reason) -> Result<LocalKeyInfo> {
        self.go(key, KmsAction::EnableKey, "enable", reason, |key, _| {
            expect_state(key, &[KmsKeyState::Disabled], "enable")?;
            key.state = KmsKeyState::Enabled;
            Ok(None)
        })
    }

    /// Switches a key off: it wraps and unwraps nothing until it is switched on again.
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable).
    pub fn disable(&self, key: &KmsKeyRef, reason: &Reason) -> Result<LocalKeyInfo> {
        self.go(key, KmsAction::DisableKey, "disable", reason, |key, _| {
            expect_state(key, &[KmsKeyState::Enabled], "disable")?;
            key.state = KmsKeyState::Disabled;
            Ok(None)
        })
    }

    /// Deletes a key after a waiting period of so many days, in which it wraps and unwraps nothing and [`cancel_deletion`](Self::cancel_deletion) brings it
    /// back. Then its material is erased at the next change of the file, or by [`tend`](Self::tend).
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable); [`ErrorKind::BadInput`] for a period that is not within [`DELETION_WINDOW_DAYS`].
    pub fn schedule_deletion(&self, key: &KmsKeyRef, days: u32, reason: &Reason) -> Result<LocalKeyInfo> {
        if !DELETION_WINDOW_DAYS.contains(&days) {
            return Err(Error::bad_input(format!(
                "a waiting period is {} to {} days",
                DELETION_WINDOW_DAYS.start(),
                DELETION_WINDOW_DAYS.end()
            )));
        }
        self.go(
            key,
            KmsAction::ScheduleKeyDeletion,
            "schedule deletion",
            reason,
            |key, now| {
                expect_state(key, &[KmsKeyState::Enabled, KmsKeyState::Disabled], "schedule-deletion")?;
                let date = now.plus_days(days);
                (key.state, key.deletion) = (KmsKeyState::PendingDeletion, Some(date));
                Ok(Some(format!("for {date}")))
            },
        )
    }

    /// Takes a scheduled deletion back. The key is disabled then, as in AWS KMS, so that whoever brings it back into use says so.
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable).
    pub fn cancel_deletion(&self, key: &KmsKeyRef, reason: &Reason) -> Result<LocalKeyInfo> {
        self.go(
            key,
            KmsAction::CancelKeyDeletion,
            "cancel deletion",
            reason,
            |key, _| {
                expect_state(key, &[KmsKeyState::PendingDeletion], "cancel-deletion")?;
                (key.state, key.deletion) = (KmsKeyState::Disabled, None);
                Ok(None)
            },
        )
    }

    /// Gives a key new material, which wraps from now on. What older material wrapped still unwraps.
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable).
    pub fn rotate(&self, key: &KmsKeyRef, reason: Option<&Reason>) -> Result<LocalKeyInfo> {
        self.with_key(key, KmsAction::RotateKeyOnDemand, |content, id, unlock_key| {
            let key = content.key_mut(id)?;
            check(key, self.surroundings.now())?;
            refuse_rotation(key)?;
            rotate(content, id, "rotate", reason, &self.surroundings, unlock_key)
        })
    }

    /// Sets after how many days a key gets new material by itself; `None` is never. It gets it at the next change of the file after that, or by
    /// [`tend`](Self::tend).
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable); [`ErrorKind::BadInput`] if it is less than 90 days or more than 2,560.
    pub fn set_rotation(&self, key: &KmsKeyRef, days: Option<u32>, reason: Option<&Reason>) -> Result<LocalKeyInfo> {
        if let Some(days) = days {
            check_rotation(days)?;
        }
        self.with_key(key, KmsAction::EnableKeyRotation, |content, id, unlock_key| {
            let key = content.key_mut(id)?;
            check(key, self.surroundings.now())?;
            refuse_rotation(key)?;
            key.rotation_days = days;
            let what = match days {
                Some(days) => format!("rotate every {days} days"),
                None => "rotate on demand only".to_owned(),
            };
            record(key, &what, &self.surroundings, reason);
            // It may be due at once.
            settle(content, &self.surroundings, unlock_key)
        })
    }

    /// What [`tend`](Self::tend) would do.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn due(&self) -> Result<Vec<(KeyName, &'static str)>> {
        let (content, _) = self.content(self.path())?;
        let now = self.surroundings.now();
        Ok(due(&content, now)
            .into_iter()
            .map(|(key, what)| (key.name.clone(), what.as_str()))
            .collect())
    }

    /// Does what time has made due: erases the material of keys whose waiting period is over, gives new material to those that are to be rotated. Every change of
    /// the file does so, too, but those that enable a key or keep it from deletion; wrapping and unwrapping never change it.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub fn tend(&self) -> Result<()> {
        match self.due()?.is_empty() {
            true => Ok(()),
            false => self.change(self.path(), |_, _| Ok(())),
        }
    }

    /// A change of one key that needs its entry alone. `apply` may add to what is recorded.
    fn go(
        &self,
        key: &KmsKeyRef,
        action: KmsAction,
        what: &str,
        reason: &Reason,
        apply: impl FnOnce(&mut KeyEntry, Timestamp) -> Result<Option<String>>,
    ) -> Result<LocalKeyInfo> {
        self.with_key(key, action, |content, id, _| {
            let key = content.key_mut(id)?;
            let what = match apply(key, self.surroundings.now())? {
                Some(more) => format!("{what} {more}"),
                None => what.to_owned(),
            };
            record(key, &what, &self.surroundings, Some(reason));
            Ok(())
        })
    }

    /// A change of one key, by whoever may do `action`.
    pub(super) fn with_key(
        &self,
        key: &KmsKeyRef,
        action: KmsAction,
        apply: impl FnOnce(&mut Content, LocalKeyId, &UnlockKey) -> Result<()>,
    ) -> Result<LocalKeyInfo> {
        let (path, name) = self.locate(key)?;
        let change = |content: &mut Content, unlock_key: &UnlockKey| {
            let entry = find(content, &name)?;
            self.authorize(content, entry, action, None)?;
            let id = entry.id;
            apply(content, id, unlock_key)?;
            let key = content.key_mut(id)?.clone();
            Ok(content.info(&key, self.surroundings.now()))
        };
        match action {
            // Whoever wants to keep a key is not answered by its end, whatever the clock says.
            KmsAction::CancelKeyDeletion | KmsAction::EnableKey => self.change_alone(&path, change),
            _ => self.change(&path, change),
        }
    }
}

/// Adds a new, enabled key with its first material, or without any if that is to be imported.
pub(super) fn add_key(
    content: &mut Content,
    name: &KeyName,
    new: NewKmsKey,
    material: Option<&Material>,
    now: Timestamp,
    unlock_key: &Secret<Vec<u8>>,
) -> Result<LocalKeyId> {
    if content.keys.iter().any(|key| key.name == *name) {
        return Err(
            Error::bad_input(format!("there is a KMS key `{name}` already")).with_hint("name the new key otherwise")
        );
    }
    let id = LocalKeyId::random()?;
    let material = material.map(|material| content.new_material(id, 1, now, material, unlock_key));
    let material = material.transpose()?.into_iter().collect();
    content.keys.push(KeyEntry {
        name: name.clone(),
        id,
        spec: new.spec,
        origin: new.origin,
        created: now,
        state: KmsKeyState::Enabled,
        deletion: None,
        rotation_days: new.rotation_days,
        material,
        import: None,
        policy: None,
        history: Vec::new(),
    });
    Ok(id)
}

/// Whether a key may wrap and unwrap, now.
pub(super) fn check(key: &KeyEntry, now: Timestamp) -> Result<()> {
    let name = &key.name;
    let unusable = |what: String, hint: String| {
        Err(Error::new(ErrorKind::KeyNotUsable, format!("KMS key `{name}` {what}")).with_hint(hint))
    };
    let gone = "what it wrapped cannot be unwrapped any more, unless from a backup of the local KMS";
    match (key.state, key.deletion) {
        (KmsKeyState::Enabled, _) => match key.material.last() {
            Some(material) if material.is_expired(now) => unusable(
                "is unavailable: its material has expired".to_owned(),
                format!("import the same material again: `cipherform keys get-parameters-for-import local:{name}`"),
            ),
            Some(material) if material.sealed.is_some() => Ok(()),
            _ => unusable(
                "is unavailable: it waits for its material".to_owned(),
                format!("import it: `cipherform keys get-parameters-for-import local:{name}`"),
            ),
        },
        (KmsKeyState::PendingDeletion, Some(date)) if date > now => unusable(
            format!("is {}: its material is erased at {date}", key.state),
            format!(
                "take that back: `cipherform keys cancel-deletion local:{name}`, then `cipherform keys enable local:{name}`"
            ),
        ),
        (KmsKeyState::PendingDeletion, Some(date)) => unusable(
            format!("was to be deleted by {date}, and the clock says {now}"),
            format!(
                "`cipherform keys cancel-deletion local:{name}` keeps it still, as long as no key is changed before"
            ),
        ),
        (KmsKeyState::Disabled, _) => unusable(
            format!("is {}", key.state),
            format!("enable it: `cipherform keys enable local:{name}`"),
        ),
        (state, _) => unusable(format!("is {state}"), gone.to_owned()),
    }
}

fn expect_state(key: &KeyEntry, states: &[KmsKeyState], verb: &str) -> Result<()> {
    if states.contains(&key.state) {
        return Ok(());
    }
    let (name, state) = (&key.name, key.state);
    let message = format!("KMS key `{name}` is {state}, and `{verb}` is for keys that are {}", {
        let states: Vec<_> = states.iter().map(ToString::to_string).collect();
        states.join(" or ")
    });
    let error = Error::new(ErrorKind::KeyNotUsable, message);
    Err(match state {
        KmsKeyState::PendingDeletion => error.with_hint(format!(
            "first take the deletion back: `cipherform keys cancel-deletion local:{name}`"
        )),
        KmsKeyState::Destroyed => error.with_hint("that is where a key's life ends: create another one"),
        _ => error,
    })
}

/// Only symmetric keys whose material is made here get new material: a partner knows the public half of the others.
fn refuse_rotation(key: &KeyEntry) -> Result<()> {
    expect_symmetric(key.spec)?;
    match key.origin {
        KmsKeyOrigin::Local => Ok(()),
        KmsKeyOrigin::External => Err(not_rotated(&key.name)),
    }
}

fn not_rotated(name: &KeyName) -> Error {
    let message = format!("KMS key `{name}` is not rotated here: its material comes from elsewhere");
    Error::new(ErrorKind::KeyNotUsable, message).with_hint(
        "create another key, import new material into it, and move there: `cipherform keys rewrap --to`, or `cipherform keys alias update`",
    )
}

pub(super) fn expect_symmetric(spec: KmsKeySpec) -> Result<()> {
    match spec {
        KmsKeySpec::SymmetricDefault => Ok(()),
        _ => Err(Error::new(
            ErrorKind::KeyNotUsable,
            format!("that is for KMS keys of the kind SYMMETRIC_DEFAULT, and this one is {spec}"),
        )
        .with_hint("a key has one use: create another one for this")),
    }
}

fn check_rotation(days: u32) -> Result<()> {
    match ROTATION_DAYS.contains(&days) {
        true => Ok(()),
        false => Err(Error::bad_input(format!(
            "a rotation period is {} to {} days",
            ROTATION_DAYS.start(),
            ROTATION_DAYS.end()
        ))
        .with_hint("to rotate sooner, do it on demand: `cipherform keys rotate local:NAME`")),
    }
}

/// Does what time has made due.
pub(super) fn settle(content: &mut Content, surroundings: &Surroundings, unlock_key: &UnlockKey) -> Result<()> {
    let due: Vec<_> = due(content, surroundings.now())
        .into_iter()
        .map(|(key, what)| (key.id, what))
        .collect();
    for (id, what) in due {
        match what {
            Due::Erasure => {
                let key = content.key_mut(id)?;
                key.erase();
                key.state = KmsKeyState::Destroyed;
                record(key, what.as_str(), surroundings, None);
            }
            Due::Expiry => {
                let key = content.key_mut(id)?;
                key.erase();
                record(key, what.as_str(), surroundings, None);
            }
            Due::Rotation => rotate(content, id, what.as_str(), None, surroundings, unlock_key)?,
        }
    }
    Ok(())
}

/// What time has made due with a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Due {
    Erasure,
    Expiry,
    Rotation,
}

impl Due {
    /// As it is recorded.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Erasure => "destroy: the waiting period is over",
            Self::Expiry => "erase the imported material: it has expired",
            Self::Rotation => "rotate: the rotation period is over",
        }
    }
}

fn due(content: &Content, now: Timestamp) -> Vec<(&KeyEntry, Due)> {
    let expired = |key: &KeyEntry| {
        let expired = |material: &MaterialEntry| material.sealed.is_some() && material.is_expired(now);
        key.material.iter().any(expired)
    };
    let due = |key: &KeyEntry| match key.state {
        KmsKeyState::PendingDeletion => key.deletion.filter(|date| *date <= now).map(|_| Due::Erasure),
        _ if expired(key) => Some(Due::Expiry),
        _ => key.next_rotation().filter(|date| *date <= now).map(|_| Due::Rotation),
    };
    content.keys.iter().filter_map(|key| Some((key, due(key)?))).collect()
}

fn rotate(
    content: &mut Content,
    id: LocalKeyId,
    what: &str,
    reason: Option<&Reason>,
    surroundings: &Surroundings,
    unlock_key: &UnlockKey,
) -> Result<()> {
    let number = 1 + content.key_mut(id)?.material.last().map_or(0, |newest| newest.number);
    let made = Material::generate(content.key_mut(id)?.spec)?;
    let material = content.new_material(id, number, surroundings.now(), &made, unlock_key)?;
    let key = content.key_mut(id)?;
    key.material.push(material);
    record(key, what, surroundings, reason);
    Ok(())
}

/// Puts down what was done with a key.
pub(super) fn record(key: &mut KeyEntry, what: &str, surroundings: &Surroundings, reason: Option<&Reason>) {
    key.history.push(KmsKeyChange {
        time: surroundings.now(),
        what: what.to_owned(),
        who: surroundings.actor().to_owned(),
        reason: reason.cloned(),
    });
}
