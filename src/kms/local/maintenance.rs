//! Scheduled maintenance: erasure, expiry and rotation of material once they are due.

use super::history::record;
use super::ids::LocalKeyId;
use super::material::NewMaterial;
use super::model::{LocalKeyEntry, LocalKmsContent, MaterialEntry};
use super::unlock_key::UnlockKey;
use crate::Result;
use crate::keys::{Context, KmsKeyState, Reason, Timestamp};

/// Runs the tasks that are due.
pub(super) fn run_due(content: &mut LocalKmsContent, context: &Context, unlock_key: &UnlockKey) -> Result<()> {
    // Collected first, since each task changes the keys that the list borrows.
    let due: Vec<_> = due_tasks(content, context.now())
        .into_iter()
        .map(|(key, what)| (key.id, what))
        .collect();
    for (id, what) in due {
        match what {
            DueTask::Erasure => {
                // The entry stays, without material: the name is not free for another key, and the
                // history still tells what became of it.
                let key = content.key_mut(id)?;
                key.erase();
                key.state = KmsKeyState::Destroyed;
                record(key, what.as_str(), context, None);
            }
            DueTask::Expiry => {
                // The state stays as it is: the same material may be imported again, and the key then
                // goes on.
                let key = content.key_mut(id)?;
                key.erase();
                record(key, what.as_str(), context, None);
            }
            DueTask::Rotation => rotate(content, id, what.as_str(), None, context, unlock_key)?,
        }
    }
    Ok(())
}

/// A task that is due for a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DueTask {
    Erasure,
    Expiry,
    Rotation,
}

impl DueTask {
    /// Returns the words of the history.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Erasure => "destroy: the waiting period is over",
            Self::Expiry => "erase the imported material: it has expired",
            Self::Rotation => "rotate: the rotation period is over",
        }
    }
}

pub(super) fn due_tasks(content: &LocalKmsContent, now: Timestamp) -> Vec<(&LocalKeyEntry, DueTask)> {
    let expired = |key: &LocalKeyEntry| {
        let expired = |material: &MaterialEntry| material.sealed.is_some() && material.is_expired(now);
        key.material.iter().any(expired)
    };
    let due = |key: &LocalKeyEntry| match key.state {
        // Before the other two: a key that waits for its deletion is neither rotated nor expired by
        // itself.
        KmsKeyState::PendingDeletion => key.deletion.filter(|date| *date <= now).map(|_| DueTask::Erasure),
        _ if expired(key) => Some(DueTask::Expiry),
        _ => key
            .next_rotation()
            .filter(|date| *date <= now)
            .map(|_| DueTask::Rotation),
    };
    content.keys.iter().filter_map(|key| Some((key, due(key)?))).collect()
}

pub(super) fn rotate(
    content: &mut LocalKmsContent,
    id: LocalKeyId,
    what: &str,
    reason: Option<&Reason>,
    context: &Context,
    unlock_key: &UnlockKey,
) -> Result<()> {
    let number = 1 + content.key_mut(id)?.material.last().map_or(0, |newest| newest.number);
    let made = NewMaterial::generate(content.key_mut(id)?.spec)?;
    let material = content.new_material(id, number, context.now(), &made, unlock_key)?;
    let key = content.key_mut(id)?;
    // Older versions stay: what they wrapped names them, and is not wrapped anew by a rotation.
    key.material.push(material);
    record(key, what, context, reason);
    Ok(())
}
