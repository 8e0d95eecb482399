//! The life of a key version: what its state and its periods allow, and how it goes from one state to another.

use super::Keyring;
use crate::keys::document::{Change, Document, KeyEntry, VersionEntry};
use crate::keys::{
    AuditEntry, AuditEvent, KeyInfo, KeyName, KeyRef, KeyState, KmsKeyState, Operation, Periods, Reason, Timestamp,
};
use crate::{Error, ErrorKind, Result};

/// Whether a version may be used so, now.
pub(super) fn check(key: &KeyEntry, version: &VersionEntry, operation: Operation, now: Timestamp) -> Result<()> {
    let (name, number, state) = (&key.name, version.number, version.state);
    if !state.may(operation) {
        return Err(refused_by_state(key, version, operation));
    }
    let periods = key.periods();
    let (until, what, remedy) = match operation {
        Operation::Protect => (version.protects_until(periods), "originator-usage period", renewal(key)),
        Operation::Reveal => (
            version.reveals_until(periods),
            "recipient-usage period",
            format!(
                "protect the data anew with a newer version; to reveal it once more, make the period longer: `cipherform keys periods {name}`"
            ),
        ),
    };
    if let Some(until) = until.filter(|until| now >= *until) {
        let message =
            format!("key `{name}@{number}` may not {operation}: its {what} ended at {until}, and the clock says {now}");
        return Err(Error::new(ErrorKind::KeyNotUsable, message)
            .with_hint(format!("if the clock is wrong, set it right; else {remedy}")));
    }
    // A day for clocks that differ.
    let begun = version.activated().filter(|begun| now.plus_days(1) < *begun);
    if let (Some(begun), Operation::Protect) = (begun, operation) {
        let message =
            format!("key `{name}@{number}` may not protect yet: it came into use at {begun}, and the clock says {now}");
        return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint("set the clock right"));
    }
    Ok(())
}

/// What is to be said about a version that is used now: a period that ends soon, a state that is not as it should be.
pub(super) fn due(key: &KeyEntry, version: &VersionEntry, operation: Operation, now: Timestamp) -> Option<String> {
    let (name, number, periods) = (&key.name, version.number, key.periods());
    let soon = |until: Option<Timestamp>| until.filter(|until| until.is_near(now));
    let state = match (operation, version.state) {
        (Operation::Reveal, KeyState::Compromised) => Some(format!(
            "key `{name}@{number}` is compromised: others may have what it protects, and may have changed it"
        )),
        (Operation::Reveal, KeyState::Suspended) => Some(format!("key `{name}@{number}` is suspended")),
        _ => None,
    };
    let period = match operation {
        Operation::Protect => soon(version.protects_until(periods)).map(|until| {
            format!(
                "key `{name}@{number}` protects until {until}; before that, {}",
                renewal(key)
            )
        }),
        Operation::Reveal => soon(version.reveals_until(periods)).map(|until| {
            format!("key `{name}@{number}` reveals until {until}: protect anew before that, with a newer version")
        }),
    };
    let said: Vec<String> = state.into_iter().chain(period).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// How a key gets a version that protects again.
pub(super) fn renewal(key: &KeyEntry) -> String {
    let name = &key.name;
    match key.versions.iter().any(|version| version.only_for.is_some()) {
        true => format!("ask the partner for their new version: `cipherform keys import FILE --name {name}` adds it"),
        false => format!("give it a new version: `cipherform keys rotate {name}`"),
    }
}

fn refused_by_state(key: &KeyEntry, version: &VersionEntry, operation: Operation) -> Error {
    let (name, number, state) = (&key.name, version.number, version.state);
    let hint = match (operation, state) {
        (Operation::Protect, _) if key.current().is_some_and(|current| current.state.may(operation)) => {
            format!("name the key without a version: `{name}`")
        }
        (Operation::Protect, KeyState::PreActivation) => {
            format!("bring it into use: `cipherform keys activate {name}@{number}`")
        }
        (Operation::Protect, KeyState::Suspended) => format!(
            "resume it, `cipherform keys resume {name}@{number}`, or give it a new version, `cipherform keys rotate {name}`"
        ),
        (Operation::Protect, _) => renewal(key),
        (Operation::Reveal, KeyState::PreActivation) => {
            "it has protected nothing yet; name another version".to_string()
        }
        (Operation::Reveal, KeyState::Removed) => {
            "a backup of the keyring from before it was removed still has it".to_string()
        }
        (Operation::Reveal, _) => "what this version protected cannot be revealed any more".to_string(),
    };
    let message = format!("key `{name}@{number}` is {state} and may not {operation}");
    Error::new(ErrorKind::KeyNotUsable, message).with_hint(hint)
}

impl Keyring {
    /// Takes a version from its state to another, for a reason that is recorded. Without a number `key` means its current version.
    ///
    /// A version that becomes active takes the place of the one that is, which is deactivated.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; [`ErrorKind::KeyNotUsable`] if SP 800-57 knows no such transition; what the file says. [`Keyring::remove`] is for
    /// *removed* and *destroyed*.
    pub fn transition(&mut self, key: &KeyRef, to: KeyState, reason: &Reason) -> Result<KeyInfo> {
        if to.is_gone() {
            return Err(Error::bug("a version is removed by `remove`"));
        }
        let (name, number) = self.numbered(key)?;
        let (who, now) = self.by();
        self.commit(None, |document| {
            let key = found(document, &name)?;
            let place = place(key, number)?;
            if to == KeyState::Active {
                let active = key
                    .versions
                    .iter()
                    .position(|version| version.state == KeyState::Active);
                let from = key.versions[place].state;
                if let Some(active) = active.filter(|_| from == KeyState::Suspended) {
                    let other = key.versions[active].number;
                    let message = format!("version {other} of key `{name}` is active meanwhile, and takes its place");
                    return Err(Error::new(ErrorKind::KeyNotUsable, message)
                        .with_hint("what this version protected is revealed all the same; deactivate it"));
                }
                if active.is_some_and(|active| active != place) {
                    replace_active(key, number, &who, now)?;
                }
            }
            go(&name, &mut key.versions[place], to, &who, now, reason)?;
            Ok(key.info())
        })
    }

    /// Takes the key bytes of a version out of the keyring. What it protected cannot be revealed any more, unless from a backup of the keyring.
    ///
    /// The version is *removed* then; it is *destroyed* once the KMS says that there is no such KMS key any more, when this is called again.
    ///
    /// # Errors
    ///
    /// As for [`transition`](Self::transition); what the KMS says.
    pub async fn remove(&mut self, key: &KeyRef, reason: &Reason) -> Result<KeyInfo> {
        let (name, number) = self.numbered(key)?;
        let entry = self.entry(&name)?;
        let kms_gone = match self.describe_kms_key(&entry.kms_key.clone()).await {
            Ok(info) => info.state == KmsKeyState::Destroyed,
            Err(error) if error.kind() == ErrorKind::KeyNotFound => true,
            // It can be removed all the same; nothing is said of the KMS key.
            Err(_) => false,
        };
        let (who, now) = self.by();
        self.commit(None, |document| {
            let key = found(document, &name)?;
            let place = place(key, number)?;
            let version = &mut key.versions[place];
            if version.state == KeyState::Removed && !kms_gone {
                let message = format!("key `{name}@{number}` is removed already; its KMS key is still there");
                return Err(Error::new(ErrorKind::KeyNotUsable, message)
                    .with_hint("it is destroyed once that KMS key is deleted, which takes with it all that it wraps"));
            }
            if version.state != KeyState::Removed {
                go(&name, version, KeyState::Removed, &who, now, reason)?;
                version.wrapped = None;
            }
            if kms_gone {
                go(&name, version, KeyState::Destroyed, &who, now, reason)?;
            }
            Ok(key.info())
        })
    }

    /// Sets how long the versions of a key may be used.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; what the file says.
    pub fn set_periods(&mut self, name: &KeyName, periods: Periods, reason: &Reason) -> Result<KeyInfo> {
        let entry = AuditEntry {
            context: Some(format!(
                "originator {} days, recipient {} days",
                periods.originator_days, periods.recipient_days
            )),
            ..self.about(AuditEvent::Periods, name, None, Some(reason))
        };
        self.commit(Some(entry), |document| {
            let key = found(document, name)?;
            key.periods = (periods != Periods::default()).then_some(periods);
            Ok(key.info())
        })
    }

    /// Sets how many values may be protected with one version of a key; `None` takes the limit away.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; what the file says.
    pub fn set_values_limit(&mut self, name: &KeyName, limit: Option<u64>, reason: &Reason) -> Result<KeyInfo> {
        // What was counted under the old limit counts under the new one.
        self.audit_usage(None, "until the limit was changed")?;
        let entry = AuditEntry {
            values: limit,
            ..self.about(AuditEvent::Limit, name, None, Some(reason))
        };
        let info = self.commit(Some(entry), |document| {
            // The one that this change makes.
            let generation = document.generation + 1;
            let key = found(document, name)?;
            key.values_limit = limit;
            key.limited_since = limit.and(Some(generation));
            Ok(key.info())
        })?;
        self.usages().clear();
        Ok(info)
    }

    /// Who changes something, and when.
    pub(super) fn by(&self) -> (String, Timestamp) {
        let surroundings = self.registry.surroundings();
        (surroundings.actor().to_owned(), surroundings.now())
    }

    /// What the log says of a change.
    pub(super) fn about(
        &self,
        event: AuditEvent,
        name: &KeyName,
        number: Option<u32>,
        reason: Option<&Reason>,
    ) -> AuditEntry {
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

/// Takes a version over to another state, if that is a transition there is.
pub(super) fn go(
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
    version.history.push(Change {
        time: now,
        from,
        to,
        who: who.to_owned(),
        reason: reason.clone(),
    });
    if to == KeyState::Active && version.activated.is_none() && from == KeyState::PreActivation {
        version.activated = Some(now);
    }
    version.state = to;
    Ok(())
}

/// The versions that are active make room for `number`.
pub(super) fn replace_active(key: &mut KeyEntry, number: u32, who: &str, now: Timestamp) -> Result<()> {
    let replaced: Reason = format!("replaced by version {number}").parse()?;
    let active = (key.versions.iter_mut()).filter(|version| version.state == KeyState::Active);
    for version in active {
        go(&key.name, version, KeyState::Deactivated, who, now, &replaced)?;
    }
    Ok(())
}

fn next_states(from: KeyState) -> String {
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

fn found<'a>(document: &'a mut Document, name: &KeyName) -> Result<&'a mut KeyEntry> {
    let key = document.keys.iter_mut().find(|key| key.name == *name);
    key.ok_or_else(|| Error::bad_input(format!("key `{name}` was removed meanwhile")).with_hint("try again"))
}

fn place(key: &KeyEntry, number: u32) -> Result<usize> {
    let place = key.versions.iter().position(|version| version.number == number);
    place.ok_or_else(|| {
        Error::bad_input(format!("key `{}` has no version {number} any more", key.name)).with_hint("try again")
    })
}
