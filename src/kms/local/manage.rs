//! Management of keys: creation, states, rotation, deletion.

use std::path::Path;

use super::history::record;
use super::ids::LocalKeyId;
use super::info::{KmsKeyOrigin, LocalKeyInfo, NewKmsKey};
use super::lifecycle::{
    DELETION_WINDOW_DAYS, add_key, check, check_rotation, expect_state, expect_symmetric, not_rotated, refuse_rotation,
};
use super::local_kms::LocalKms;
use super::lookup::{LocalName, find};
use super::maintenance::{due_tasks, rotate, run_due};
use super::material::NewMaterial;
use super::model::{LocalKeyEntry, LocalKmsContent};
use super::unlock_key::UnlockKey;
use crate::keys::{KeyName, KmsKeyRef, KmsKeyState, Reason, Timestamp};
use crate::kms::local::key_policy::KmsAction;
use crate::{Error, Hint, Remedy, Result};

impl LocalKms {
    /// Creates a symmetric key in the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) if the name is taken;
    /// [`ErrorKind::WrongKey`](crate::ErrorKind::WrongKey) if the file does not unlock.
    pub fn create_key(&self, name: &KeyName) -> Result<LocalKeyInfo> {
        let path = self.path().to_path_buf();
        self.add(&path, name, NewKmsKey::default())
    }

    /// Creates a key with the properties `new`, in the file and under the name of `key`.
    ///
    /// # Errors
    ///
    /// As for [`create_key`](Self::create_key); [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) for an alias, or
    /// a period of rotation out of bounds.
    pub fn create_kms_key(&self, key: &KmsKeyRef, new: NewKmsKey) -> Result<LocalKeyInfo> {
        match self.locate(key)? {
            (path, LocalName::Key(name)) => self.add(&path, &name, new),
            (_, LocalName::Alias(_)) => Err(Error::bad_input("an alias is no name for a new KMS key")
                .with_hint(Hint::from("create the key first, then ").then(Remedy::CreateAlias(None)))),
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
        // Before the lock, since an RSA key takes time.
        let material = match new.origin {
            KmsKeyOrigin::Local => Some(NewMaterial::generate(new.spec)?),
            KmsKeyOrigin::External => None,
        };
        let context = &self.context;
        self.change(path, |content, unlock_key| {
            let id = add_key(content, name, new, material.as_ref(), context.now(), unlock_key)?;
            let key = content.key_mut(id)?;
            record(key, "create", context, None);
            let key = key.clone();
            Ok(content.info(&key, context.now()))
        })
    }

    /// Enables a disabled key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`](crate::ErrorKind::KeyNotFound);
    /// [`ErrorKind::KeyNotUsable`](crate::ErrorKind::KeyNotUsable) if it is in another state; errors of the file.
    pub fn enable(&self, key: &KmsKeyRef, reason: &Reason) -> Result<LocalKeyInfo> {
        self.change_key(key, KmsAction::EnableKey, "enable", reason, |key, _| {
            // Not from *pending deletion*: to take back a deletion and to use the key again are two
            // decisions.
            expect_state(key, &[KmsKeyState::Disabled], "enable")?;
            key.state = KmsKeyState::Enabled;
            Ok(None)
        })
    }

    /// Disables a key: it neither wraps nor unwraps until it is enabled again.
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable).
    pub fn disable(&self, key: &KmsKeyRef, reason: &Reason) -> Result<LocalKeyInfo> {
        self.change_key(key, KmsAction::DisableKey, "disable", reason, |key, _| {
            expect_state(key, &[KmsKeyState::Enabled], "disable")?;
            key.state = KmsKeyState::Disabled;
            Ok(None)
        })
    }

    /// Schedules the deletion of a key. During the waiting period it neither wraps nor unwraps, and
    /// [`cancel_deletion`](Self::cancel_deletion) restores it. Then its material is erased at the next change of the
    /// file, or by [`run_due`](Self::run_due).
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable); [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) for a period that is not
    /// within [`DELETION_WINDOW_DAYS`].
    pub fn schedule_deletion(&self, key: &KmsKeyRef, days: u32, reason: &Reason) -> Result<LocalKeyInfo> {
        if !DELETION_WINDOW_DAYS.contains(&days) {
            return Err(Error::bad_input(format!(
                "a waiting period is {} to {} days",
                DELETION_WINDOW_DAYS.start(),
                DELETION_WINDOW_DAYS.end()
            )));
        }
        self.change_key(
            key,
            KmsAction::ScheduleKeyDeletion,
            "schedule deletion",
            reason,
            |key, now| {
                expect_state(key, &[KmsKeyState::Enabled, KmsKeyState::Disabled], "schedule-deletion")?;
                let date = now.plus_days(days);
                // Only a date. The material stays sealed in the file until then, so that a mistake can be
                // taken back.
                (key.state, key.deletion) = (KmsKeyState::PendingDeletion, Some(date));
                Ok(Some(format!("for {date}")))
            },
        )
    }

    /// Cancels a scheduled deletion. The key is then disabled, as in AWS KMS: enabling it is a decision of its own.
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable).
    pub fn cancel_deletion(&self, key: &KmsKeyRef, reason: &Reason) -> Result<LocalKeyInfo> {
        self.change_key(
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

    /// Rotates a key: new material wraps from now on. What older material wrapped still unwraps.
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable).
    pub fn rotate(&self, key: &KmsKeyRef, reason: Option<&Reason>) -> Result<LocalKeyInfo> {
        self.with_key(key, KmsAction::RotateKeyOnDemand, |content, id, unlock_key| {
            let key = content.key_mut(id)?;
            // A disabled key, or one about to be deleted, gets no new material: it would come back into
            // use under another one.
            check(key, self.context.now())?;
            refuse_rotation(key)?;
            rotate(content, id, "rotate", reason, &self.context, unlock_key)
        })
    }

    /// Sets the days between automatic rotations; `None` for none. A rotation runs at the next change of the file
    /// after it is due, or by [`run_due`](Self::run_due).
    ///
    /// # Errors
    ///
    /// As for [`enable`](Self::enable); [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) if it is less than 90
    /// days or more than 2,560.
    pub fn set_rotation(&self, key: &KmsKeyRef, days: Option<u32>, reason: Option<&Reason>) -> Result<LocalKeyInfo> {
        if let Some(days) = days {
            check_rotation(days)?;
        }
        self.with_key(key, KmsAction::EnableKeyRotation, |content, id, unlock_key| {
            let key = content.key_mut(id)?;
            check(key, self.context.now())?;
            refuse_rotation(key)?;
            key.rotation_days = days;
            let what = match days {
                Some(days) => format!("rotate every {days} days"),
                None => "rotate on demand only".to_owned(),
            };
            record(key, &what, &self.context, reason);
            // The rotation may be due at once.
            run_due(content, &self.context, unlock_key)
        })
    }

    /// Returns the tasks that [`run_due`](Self::run_due) would run.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`](crate::ErrorKind::WrongKey) if the file does not unlock.
    pub fn due_tasks(&self) -> Result<Vec<(KeyName, &'static str)>> {
        let (content, _) = self.content(self.path())?;
        let now = self.context.now();
        Ok(due_tasks(&content, now)
            .into_iter()
            .map(|(key, what)| (key.name.clone(), what.as_str()))
            .collect())
    }

    /// Runs the tasks that are due: erases the material of keys whose waiting period is over, rotates keys. Every
    /// change of the file does so, too, except those that enable a key or cancel its deletion. Wrapping and
    /// unwrapping never do.
    ///
    /// # Errors
    ///
    /// Errors of the file.
    pub fn run_due(&self) -> Result<()> {
        // Without the lock: most calls find nothing to do. What becomes due between this and the change
        // is done by the change.
        if self.due_tasks()?.is_empty() {
            return Ok(());
        }
        self.change(self.path(), |_, _| Ok(()))
    }

    /// Changes the entry of one key. `apply` may add to the words of the history.
    fn change_key(
        &self,
        key: &KmsKeyRef,
        action: KmsAction,
        what: &str,
        reason: &Reason,
        apply: impl FnOnce(&mut LocalKeyEntry, Timestamp) -> Result<Option<String>>,
    ) -> Result<LocalKeyInfo> {
        self.with_key(key, action, |content, id, _| {
            let key = content.key_mut(id)?;
            let what = match apply(key, self.context.now())? {
                Some(more) => format!("{what} {more}"),
                None => what.to_owned(),
            };
            record(key, &what, &self.context, Some(reason));
            Ok(())
        })
    }

    /// Changes one key, if the actor may do `action`.
    pub(super) fn with_key(
        &self,
        key: &KmsKeyRef,
        action: KmsAction,
        apply: impl FnOnce(&mut LocalKmsContent, LocalKeyId, &UnlockKey) -> Result<()>,
    ) -> Result<LocalKeyInfo> {
        let (path, name) = self.locate(key)?;
        // Look-up and authorization under the lock, on the content that is changed: a policy that was put
        // a moment ago counts.
        let change = |content: &mut LocalKmsContent, unlock_key: &UnlockKey| {
            let entry = find(content, &name)?;
            self.authorize(content, entry, action, None)?;
            let id = entry.id;
            apply(content, id, unlock_key)?;
            let key = content.key_mut(id)?.clone();
            Ok(content.info(&key, self.context.now()))
        };
        match action {
            // A request to keep a key must not first erase it, whatever the clock says.
            KmsAction::CancelKeyDeletion | KmsAction::EnableKey => self.change_alone(&path, change),
            _ => self.change(&path, change),
        }
    }
}
