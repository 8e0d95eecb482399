//! The life of a KMS key of the local KMS: made, rotated, switched off and on, deleted after a waiting period.

use super::ids::LocalKeyId;
use super::info::{KmsKeyOrigin, KmsKeySpec, NewKmsKey};
use super::material::NewMaterial;
use super::model::{LocalKeyEntry, LocalKmsContent};
use crate::keys::{KeyName, KmsKeyState, Timestamp};
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret};

/// How many days a scheduled deletion may wait, as AWS KMS has it; the longest is what it waits unless told otherwise.
pub const DELETION_WINDOW_DAYS: std::ops::RangeInclusive<u32> = 7..=30;

/// How many days may lie between two automatic rotations, as AWS KMS has it.
const ROTATION_DAYS: std::ops::RangeInclusive<u32> = 90..=2560;

/// Adds a new, enabled key with its first material, or without any if that is to be imported.
pub(super) fn add_key(
    content: &mut LocalKmsContent,
    name: &KeyName,
    new: NewKmsKey,
    material: Option<&NewMaterial>,
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
    content.keys.push(LocalKeyEntry {
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
pub(super) fn check(key: &LocalKeyEntry, now: Timestamp) -> Result<()> {
    let (name, reference) = (&key.name, format!("local:{}", key.name));
    let unusable = |what: String, hint: Hint| {
        Err(Error::new(ErrorKind::KeyNotUsable, format!("KMS key `{name}` {what}")).with_hint(hint))
    };
    let gone = "what it wrapped cannot be unwrapped any more, unless from a backup of the local KMS";
    match (key.state, key.deletion) {
        (KmsKeyState::Enabled, _) => match key.material.last() {
            Some(material) if material.is_expired(now) => unusable(
                "is unavailable: its material has expired".to_owned(),
                Hint::from("the same material again: ").then(Remedy::ImportMaterial(Some(reference))),
            ),
            Some(material) if material.sealed.is_some() => Ok(()),
            _ => unusable(
                "is unavailable: it waits for its material".to_owned(),
                Remedy::ImportMaterial(Some(reference)).into(),
            ),
        },
        (KmsKeyState::PendingDeletion, Some(date)) if date > now => unusable(
            format!("is {}: its material is erased at {date}", key.state),
            Hint::from(Remedy::CancelDeletion(reference.clone()))
                .then(", then ")
                .then(Remedy::EnableKmsKey(reference)),
        ),
        (KmsKeyState::PendingDeletion, Some(date)) => unusable(
            format!("was to be deleted by {date}, and the clock says {now}"),
            Hint::from("the next change of a key erases it; to keep it, ").then(Remedy::CancelDeletion(reference)),
        ),
        (KmsKeyState::Disabled, _) => unusable(format!("is {}", key.state), Remedy::EnableKmsKey(reference).into()),
        (state, _) => unusable(format!("is {state}"), gone.into()),
    }
}

pub(super) fn expect_state(key: &LocalKeyEntry, states: &[KmsKeyState], verb: &str) -> Result<()> {
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
        KmsKeyState::PendingDeletion => error.with_hint(Remedy::CancelDeletion(format!("local:{name}"))),
        KmsKeyState::Destroyed => error.with_hint("that is where a key's life ends: create another one"),
        _ => error,
    })
}

/// Only symmetric keys whose material is made here get new material: a partner knows the public half of the others.
pub(super) fn refuse_rotation(key: &LocalKeyEntry) -> Result<()> {
    expect_symmetric(key.spec)?;
    match key.origin {
        KmsKeyOrigin::Local => Ok(()),
        KmsKeyOrigin::External => Err(not_rotated(&key.name)),
    }
}

pub(super) fn not_rotated(name: &KeyName) -> Error {
    let message = format!("KMS key `{name}` is not rotated here: its material comes from elsewhere");
    Error::new(ErrorKind::KeyNotUsable, message).with_hint(
        Hint::from("create another key and import new material into it; then ")
            .then(Remedy::RewrapKeys)
            .then(", or ")
            .then(Remedy::MoveAlias { alias: None, to: None }),
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

pub(super) fn check_rotation(days: u32) -> Result<()> {
    match ROTATION_DAYS.contains(&days) {
        true => Ok(()),
        false => Err(Error::bad_input(format!(
            "a rotation period is {} to {} days",
            ROTATION_DAYS.start(),
            ROTATION_DAYS.end()
        ))
        .with_hint(Hint::from("to rotate sooner, do it on demand: ").then(Remedy::RotateKmsKey(None)))),
    }
}
