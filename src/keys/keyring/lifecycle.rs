//! The lifecycle of a key version: what state and periods allow, and transitions of state.

use super::document::{DataKeyEntry, VersionEntry};
use super::info::StateChange;
use crate::cipher::Direction;
use crate::keys::key_ref::KeyName;
use crate::keys::reason::Reason;
use crate::keys::state::{KeyState, verb};
use crate::keys::timestamp::Timestamp;
use crate::{Error, ErrorKind, Hint, Remedy, Result};

/// Checks that a version may be used in a direction now.
pub(super) fn check(key: &DataKeyEntry, version: &VersionEntry, direction: Direction, now: Timestamp) -> Result<()> {
    let (name, number, state) = (&key.name, version.number, version.state);
    // The state first: it is a decision of somebody, and outranks what the calendar allows.
    if !state.may(direction) {
        return Err(refused_by_state(key, version, direction));
    }
    let periods = key.periods();
    let (until, what, remedy) = match direction {
        Direction::Encrypt => (version.protects_until(periods), "originator-usage period", renewal(key)),
        Direction::Decrypt => (
            version.reveals_until(periods),
            "recipient-usage period",
            Hint::from("protect the data anew with a newer version; to reveal it once more, ")
                .then(Remedy::ChangePeriods(name.to_string())),
        ),
    };
    // Refused, and nothing is changed in the file: a clock that is wrong for a minute must not deactivate
    // keys. Both times are in the message, so that a wrong clock is seen.
    if let Some(until) = until.filter(|until| now >= *until) {
        let message = format!(
            "key `{name}@{number}` may not {}: its {what} ended at {until}, and the clock says {now}",
            verb(direction)
        );
        return Err(Error::new(ErrorKind::KeyNotUsable, message)
            .with_hint(Hint::from("if the clock is wrong, set it right; else ").and(remedy)));
    }
    // Clocks may differ by a day.
    let begun = version.activated().filter(|begun| now.plus_days(1) < *begun);
    // Revealing is not refused: a clock that is behind must not make data unreadable.
    if let (Some(begun), Direction::Encrypt) = (begun, direction) {
        let message =
            format!("key `{name}@{number}` may not protect yet: it came into use at {begun}, and the clock says {now}");
        return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint("set the clock right"));
    }
    Ok(())
}

/// Returns a notice about a version in use: a period that ends soon, a state that calls for action.
pub(super) fn due(key: &DataKeyEntry, version: &VersionEntry, direction: Direction, now: Timestamp) -> Option<String> {
    let (name, number, periods) = (&key.name, version.number, key.periods());
    let soon = |until: Option<Timestamp>| until.filter(|until| until.is_near(now));
    let state = match (direction, version.state) {
        (Direction::Decrypt, KeyState::Compromised) => Some(format!(
            "key `{name}@{number}` is compromised: others may have what it protects, and may have changed it"
        )),
        (Direction::Decrypt, KeyState::Suspended) => Some(format!("key `{name}@{number}` is suspended")),
        _ => None,
    };
    let period = match direction {
        Direction::Encrypt => soon(version.protects_until(periods)).map(|until| {
            format!(
                "key `{name}@{number}` protects until {until}; before that, {}",
                renewal(key)
            )
        }),
        Direction::Decrypt => soon(version.reveals_until(periods)).map(|until| {
            format!("key `{name}@{number}` reveals until {until}: protect anew before that, with a newer version")
        }),
    };
    let said: Vec<String> = state.into_iter().chain(period).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Returns how a key gets a version that protects again.
pub(super) fn renewal(key: &DataKeyEntry) -> Hint {
    let name = key.name.to_string();
    if key.versions.iter().any(|version| version.only_for.is_some()) {
        Hint::from("ask the partner for a new version, and ").then(Remedy::ImportVersion(name))
    } else {
        Remedy::RotateKey(name).into()
    }
}

pub(super) fn refused_by_state(key: &DataKeyEntry, version: &VersionEntry, direction: Direction) -> Error {
    let (name, number, state) = (&key.name, version.number, version.state);
    let (key_name, version) = (name.to_string(), format!("{name}@{number}"));
    let hint = match (direction, state) {
        (Direction::Encrypt, _) if key.current().is_some_and(|current| current.state.may(direction)) => {
            format!("name the key without a version: `{name}`").into()
        }
        (Direction::Encrypt, KeyState::PreActivation) => Remedy::ActivateVersion(version).into(),
        (Direction::Encrypt, KeyState::Suspended) => Hint::from(Remedy::ResumeVersion(version))
            .then(", or ")
            .then(Remedy::RotateKey(key_name)),
        (Direction::Encrypt, _) => renewal(key),
        (Direction::Decrypt, KeyState::PreActivation) => "it has protected nothing yet; name another version".into(),
        (Direction::Decrypt, KeyState::Removed) => {
            "a backup of the keyring from before the removal still has it".into()
        }
        (Direction::Decrypt, _) => "what this version protected can no longer be revealed".into(),
    };
    let message = format!("key `{name}@{number}` is {state} and may not {}", verb(direction));
    Error::new(ErrorKind::KeyNotUsable, message).with_hint(hint)
}

/// Changes the state of a version, if SP 800-57 has that transition.
pub(super) fn apply_transition(
    name: &KeyName,
    version: &mut VersionEntry,
    to: KeyState,
    who: &str,
    now: Timestamp,
    reason: &Reason,
) -> Result<()> {
    let from = version.state;
    if !from.may_become(to) {
        let message = format!("key `{name}@{}` is {from}, and cannot become {to}", version.number);
        return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint(next_states(from)));
    }
    version.history.push(StateChange {
        time: now,
        from,
        to,
        who: who.to_owned(),
        reason: reason.clone(),
    });
    // Only the first activation begins the periods: else to suspend and resume a version would make its
    // life longer.
    if to == KeyState::Active && version.activated.is_none() && from == KeyState::PreActivation {
        version.activated = Some(now);
    }
    version.state = to;
    Ok(())
}

/// Deactivates the active versions in favour of version `number`.
pub(super) fn replace_active(key: &mut DataKeyEntry, number: u32, who: &str, now: Timestamp) -> Result<()> {
    let replaced: Reason = format!("replaced by version {number}").parse()?;
    let active = (key.versions.iter_mut()).filter(|version| version.state == KeyState::Active);
    for version in active {
        apply_transition(&key.name, version, KeyState::Deactivated, who, now, &replaced)?;
    }
    Ok(())
}

pub(super) fn next_states(from: KeyState) -> String {
    let next: Vec<_> = KeyState::ALL
        .into_iter()
        .filter(|to| from.may_become(*to))
        .map(|to| to.to_string())
        .collect();
    match next.as_slice() {
        [] => format!("{from} is where a key's life ends"),
        next => format!("from {from} it may become {}", next.join(", ")),
    }
}
