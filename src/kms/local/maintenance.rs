//! Maintenance.

use super::history::record;
use super::ids::LocalKeyId;
use super::local_kms::UnlockKey;
use super::material::Material;
use super::model::{Content, KeyEntry, MaterialEntry};
use crate::Result;
use crate::keys::{KmsKeyState, Reason, Surroundings, Timestamp};

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
pub(super) enum Due {
    Erasure,
    Expiry,
    Rotation,
}

impl Due {
    /// As it is recorded.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Erasure => "destroy: the waiting period is over",
            Self::Expiry => "erase the imported material: it has expired",
            Self::Rotation => "rotate: the rotation period is over",
        }
    }
}

pub(super) fn due(content: &Content, now: Timestamp) -> Vec<(&KeyEntry, Due)> {
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

pub(super) fn rotate(
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
