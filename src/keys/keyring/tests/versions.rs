//! Versions of keys: which protects, which reveals, and what time and states do to them.

#[allow(unused_imports)]
use super::bench::*;
use crate::cipher::Direction;
use crate::keys::*;
use crate::{ErrorKind, Result};
use std::sync::Arc;

#[tokio::test]
async fn keys_survive_reopening() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let direct = KeyUse::Direct {
        mode: DirectMode::Ff31Legacy,
        bits: KeyBits::B192,
    };
    keyring
        .create_key(&name("old"), direct, Some(&"memory:other".parse().unwrap()))
        .await
        .unwrap();
    let pii = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    let old = keyring.handle(&reference("old"), Direction::Encrypt).await.unwrap();

    let reopened = bench.open().await.unwrap();
    assert_eq!((reopened.id(), reopened.generation()), (keyring.id(), 3));
    assert_eq!(reopened.list(), keyring.list());
    assert_eq!(
        reopened.describe(&name("old")).unwrap().kms_key.as_str(),
        "memory:other"
    );
    assert_eq!(
        subkey(&reopened.handle(&reference("pii@1"), Direction::Decrypt).await.unwrap()),
        subkey(&pii)
    );
    let again = reopened.handle(&reference("old"), Direction::Encrypt).await.unwrap();
    let keys = [&again, &old].map(|key| key.direct_key(DirectMode::Ff31Legacy).unwrap().expose().clone());
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0].len(), 24);
    assert_eq!(
        again.check_value("d", b"f", "t").unwrap(),
        old.check_value("d", b"f", "t").unwrap()
    );
}

#[tokio::test]
async fn an_old_version_reveals_but_does_not_protect() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let first = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    let info = keyring.rotate(&name("pii"), None).await.unwrap();
    assert_eq!(
        info.versions.iter().map(|version| version.number).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        info.versions.iter().map(|version| version.state).collect::<Vec<_>>(),
        [KeyState::Deactivated, KeyState::Active]
    );

    let current = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    assert_eq!(current.version(), 2);
    assert_ne!(subkey(&current), subkey(&first));

    let refused = keyring
        .handle(&reference("pii@1"), Direction::Encrypt)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::KeyNotUsable);
    assert_eq!(refused.message(), "key `pii@1` is deactivated and may not protect");
    assert_eq!(refused.hint(), Some(&"name the key without a version: `pii`".into()));

    let id = keyring.describe(&name("pii")).unwrap().id.to_string();
    // Files name the key by its name or by its id; a renamed key is found by the latter.
    for known_as in ["pii", &id] {
        let old = keyring
            .handle_by_version_id(known_as, first.version_id(), Direction::Decrypt)
            .await
            .unwrap();
        assert_eq!(subkey(&old), subkey(&first));
    }
}

#[tokio::test]
async fn the_state_of_a_version_decides() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let states = [
        KeyState::PreActivation,
        KeyState::Suspended,
        KeyState::Compromised,
        KeyState::Destroyed,
    ];
    // Unwrapped already, which must not matter.
    keyring.handle(&reference("pii@1"), Direction::Decrypt).await.unwrap();
    for state in states {
        // Set in memory, without a transition: states are tested here, not the ways to them.
        keyring.document.keys[0].versions[0].state = state;
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let result = keyring.handle(&reference("pii@1"), direction).await;
            assert_eq!(result.is_ok(), state.may(direction), "{state} {direction:?}");
            let id = keyring.document.keys[0].versions[0].id;
            let result = keyring.handle_by_version_id("pii", id, direction).await;
            assert_eq!(result.is_ok(), state.may(direction), "{state} {direction:?}");
        }
    }
    assert_eq!(
        keyring.rotate(&name("pii"), None).await.unwrap().versions[1].state,
        KeyState::Active
    );
}

/// Every state × every wish: what SP 800-57 has comes to pass and is recorded with its reason; the rest is refused,
/// and the file stays as it is.
#[tokio::test]
async fn every_transition_is_recorded_or_refused() {
    use KeyState::*;
    // How to get to each state from a version that is made but not in use.
    let ways: [(KeyState, &[KeyState]); 7] = [
        (PreActivation, &[]),
        (Active, &[Active]),
        (Suspended, &[Active, Suspended]),
        (Deactivated, &[Active, Deactivated]),
        (Compromised, &[Compromised]),
        (Removed, &[Removed]),
        (Destroyed, &[Removed, Destroyed]),
    ];
    for (from, way) in ways {
        for to in KeyState::ALL {
            let bench = KeyringBench::new();
            let mut keyring = bench.create().await;
            keyring
                // Under a KMS key of its own, so that this one may be lost without the root of the
                // keyring.
                .create_key(&name("pii"), KeyUse::Derive, Some(&"memory:other".parse().unwrap()))
                .await
                .unwrap();
            keyring.prepare(&name("pii")).await.unwrap();
            let key = reference("pii@2");
            for step in way {
                go(&bench, &mut keyring, &key, *step).await.unwrap();
            }
            assert_eq!(state_of(&keyring, 2), from);
            let before = std::fs::read(bench.path()).unwrap();
            let history = keyring.describe(&name("pii")).unwrap().versions[1].history.clone();
            let result = go(&bench, &mut keyring, &key, to).await;
            assert_eq!(result.is_ok(), from.may_become(to), "{from} to {to}");
            match result {
                Ok(()) => {
                    let reopened = bench.open().await.unwrap();
                    let after = reopened.describe(&name("pii")).unwrap().versions[1].history.clone();
                    assert_eq!(after[..history.len()], history);
                    let change = after.last().unwrap();
                    assert_eq!((change.from, change.to, &change.reason), (from, to, &reason()));
                    assert_eq!(change.who, "tester");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::KeyNotUsable, "{error}");
                    assert!(error.hint().is_some());
                    assert_eq!(std::fs::read(bench.path()).unwrap(), before);
                }
            }
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let handed_out = keyring.handle(&key, direction).await;
                assert_eq!(handed_out.is_ok(), state_of(&keyring, 2).may(direction));
            }
        }
    }
}

/// One step; *destroyed* is reached when the KMS has lost the key that wraps it.
async fn go(bench: &KeyringBench, keyring: &mut Keyring, key: &KeyRef, to: KeyState) -> Result<()> {
    match to {
        KeyState::Removed => keyring.remove(key, &reason()).await.map(drop),
        KeyState::Destroyed => {
            if keyring.version(key)?.1.state != KeyState::Removed {
                // `remove` takes both steps at once where there are two, so the step alone is tried.
                let mut version = keyring.version(key)?.1.clone();
                return super::super::lifecycle::apply_transition(
                    &key.name,
                    &mut version,
                    to,
                    "tester",
                    Timestamp::now(),
                    &reason(),
                );
            }
            bench.kms.fail_next(ErrorKind::KeyNotFound);
            keyring.remove(key, &reason()).await.map(drop)
        }
        _ => keyring.transition(key, to, &reason()).map(drop),
    }
}

#[tokio::test]
async fn activation_takes_the_place_of_the_active_version() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring.prepare(&name("pii")).await.unwrap();
    // What is prepared is not what the name means.
    let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    assert_eq!(handle.version(), 1);
    keyring
        .transition(&reference("pii@2"), KeyState::Active, &reason())
        .unwrap();
    assert_eq!(
        (state_of(&keyring, 1), state_of(&keyring, 2)),
        (KeyState::Deactivated, KeyState::Active)
    );
    let replaced = &keyring.describe(&name("pii")).unwrap().versions[0].history;
    assert_eq!(replaced[0].reason.as_str(), "created");
    assert_eq!(replaced[1].reason.as_str(), "replaced by version 2");

    // Suspended, and replaced meanwhile: it cannot come back.
    keyring
        .transition(&reference("pii@2"), KeyState::Suspended, &reason())
        .unwrap();
    keyring.rotate(&name("pii"), None).await.unwrap();
    let error = keyring
        .transition(&reference("pii@2"), KeyState::Active, &reason())
        .unwrap_err();
    assert!(
        error.message().contains("version 3 of key `pii` is active meanwhile"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_removed_is_nowhere_in_the_file() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring.rotate(&name("pii"), None).await.unwrap();
    let wrapped = |keyring: &Keyring| serde_json::to_string(&keyring.document.keys[0].versions[0].wrapped).unwrap();
    let before = wrapped(&keyring);
    let backup = std::fs::read(bench.path()).unwrap();
    keyring.remove(&reference("pii@1"), &reason()).await.unwrap();
    assert_eq!(state_of(&keyring, 1), KeyState::Removed);
    assert!(!std::fs::read_to_string(bench.path()).unwrap().contains(&before));
    let error = keyring.remove(&reference("pii@1"), &reason()).await.unwrap_err();
    assert!(error.message().contains("its KMS key is still there"), "{error}");
    // The rest goes on: it can be given to another KMS key, and looked after.
    assert_eq!(keyring.rewrap(&"memory:other".parse().unwrap(), &[]).await.unwrap(), 1);
    let findings = Keyring::examine(&bench.path(), &bench.registry(), 0).await.unwrap();
    assert!(findings.iter().all(|finding| finding.outcome.is_ok()));
    // A backup still has it, which is why it is not said to be destroyed.
    std::fs::write(bench.path(), backup).unwrap();
    assert!(
        bench
            .open()
            .await
            .unwrap()
            .handle(&reference("pii@1"), Direction::Decrypt)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn periods_end_and_a_clock_that_jumps_does_no_harm() {
    let bench = KeyringBench::new();
    let days = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let start = Timestamp::now();
    let told = Arc::clone(&days);
    let registry = bench
        .registry()
        .with_clock(move || start.plus_days(told.load(std::sync::atomic::Ordering::SeqCst)));
    let at = |day: u32| days.store(day, std::sync::atomic::Ordering::SeqCst);
    let main = "memory:main".parse().unwrap();
    let mut keyring = Keyring::create(bench.path(), &main, &registry).await.unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let before = std::fs::read(bench.path()).unwrap();
    let ask = async |direction| keyring.handle(&reference("pii"), direction).await;
    let due = async |direction| ask(direction).await.unwrap().due().map(str::to_owned);

    at(600);
    assert_eq!(due(Direction::Encrypt).await, None);
    at(670);
    assert!(due(Direction::Encrypt).await.unwrap().contains("protects until"));
    // The day on which two years of 365 days are over: the end itself is outside the period.
    at(730);
    let error = ask(Direction::Encrypt).await.unwrap_err();
    assert!(error.message().contains("originator-usage period ended"), "{error}");
    assert!(
        error
            .hint()
            .unwrap()
            .to_string()
            .contains("give key `pii` a new version")
    );
    assert_eq!(due(Direction::Decrypt).await, None);
    at(1_800);
    assert!(due(Direction::Decrypt).await.unwrap().contains("reveals until"));
    at(1_825);
    let error = ask(Direction::Decrypt).await.unwrap_err();
    assert!(error.message().contains("recipient-usage period ended"), "{error}");
    // The clock is set right: all is as it was.
    at(10);
    assert!(ask(Direction::Encrypt).await.is_ok() && ask(Direction::Decrypt).await.is_ok());
    assert_eq!(std::fs::read(bench.path()).unwrap(), before);

    at(2_000);
    keyring
        .set_periods(&name("pii"), Periods::try_new(3_000, 4_000).unwrap(), &reason())
        .unwrap();
    // Longer periods apply to versions that exist already.
    assert!(keyring.handle(&reference("pii"), Direction::Encrypt).await.is_ok());
    keyring.rotate(&name("pii"), None).await.unwrap();
    // A clock that goes back before the version was made.
    at(1_990);
    let error = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap_err();
    assert!(error.message().contains("may not protect yet"), "{error}");
    assert!(Periods::try_new(0, 1).is_err() && Periods::try_new(2, 1).is_err() && Periods::try_new(1, 36_501).is_err());
}
