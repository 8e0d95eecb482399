//! The lifecycle of a KMS key: creation, states, rotation, deletion after a waiting period.

use super::ids::LocalKeyId;
use super::info::{KmsKeyOrigin, KmsKeySpec, NewKmsKey};
use super::material::NewMaterial;
use super::model::{LocalKeyEntry, LocalKmsContent};
use crate::keys::{KeyName, KmsKeyState, Timestamp};
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret};

/// Days that a scheduled deletion may wait, as in AWS KMS; the longest is the default.
pub const DELETION_WINDOW_DAYS: std::ops::RangeInclusive<u32> = 7..=30;

/// Days between automatic rotations, as in AWS KMS.
const ROTATION_DAYS: std::ops::RangeInclusive<u32> = 90..=2560;

/// Adds a new, enabled key, with its first material unless that is imported.
pub(super) fn add_key(
    content: &mut LocalKmsContent,
    name: &KeyName,
    new: NewKmsKey,
    material: Option<&NewMaterial>,
    now: Timestamp,
    unlock_key: &Secret<Vec<u8>>,
) -> Result<LocalKeyId> {
    // Also the names of destroyed keys: a reference in an old keyring must not reach another key by that
    // name.
    if content.keys.iter().any(|key| key.name == *name) {
        return Err(Error::bad_input(format!("KMS key `{name}` already exists")).with_hint("choose another name"));
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

/// Checks that a key may wrap and unwrap now.
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
        // The time is over, but nobody has written the file since. The key is refused as if it were
        // erased, so that the end of the waiting period does not depend on who comes by; it can still be
        // saved.
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

/// Checks that a key can be rotated: only symmetric keys with local material, since partners know the public half of
/// the others.
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
    if ROTATION_DAYS.contains(&days) {
        Ok(())
    } else {
        Err(Error::bad_input(format!(
            "a rotation period is {} to {} days",
            ROTATION_DAYS.start(),
            ROTATION_DAYS.end()
        ))
        .with_hint(Hint::from("to rotate sooner, do it on demand: ").then(Remedy::RotateKmsKey(None))))
    }
}
