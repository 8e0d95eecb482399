use std::path::PathBuf;

use super::*;
use crate::keys::{DirectMode, KeyBits, KeyState, KeyUse, Periods, Purpose, Reason, Timestamp};
use crate::kms::MemoryKms;

struct Bench {
    directory: tempfile::TempDir,
    kms: MemoryKms,
}

impl Bench {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            kms: MemoryKms::new().with_key("main").with_key("other"),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("keyring.json")
    }

    fn registry(&self) -> KmsRegistry {
        KmsRegistry::new().with("memory", self.kms.clone()).with_actor("tester")
    }

    async fn create(&self) -> Keyring {
        Keyring::create(self.path(), &"memory:main".parse().unwrap(), &self.registry())
            .await
            .unwrap()
    }

    async fn open(&self) -> Result<Keyring> {
        Keyring::open(self.path(), &self.registry()).await
    }
}

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn reference(text: &str) -> KeyRef {
    text.parse().unwrap()
}

fn subkey(handle: &KeyHandle) -> Vec<u8> {
    handle
        .subkey(Purpose::Ff1, "domain", b"fingerprint", 32)
        .unwrap()
        .expose()
        .clone()
}

#[tokio::test]
async fn keys_survive_reopening() {
    let bench = Bench::new();
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
    let pii = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
    let old = keyring.handle(&reference("old"), Operation::Protect).await.unwrap();

    let reopened = bench.open().await.unwrap();
    assert_eq!((reopened.id(), reopened.generation()), (keyring.id(), 3));
    assert_eq!(reopened.list(), keyring.list());
    assert_eq!(
        reopened.describe(&name("old")).unwrap().kms_key.as_str(),
        "memory:other"
    );
    assert_eq!(
        subkey(&reopened.handle(&reference("pii@1"), Operation::Reveal).await.unwrap()),
        subkey(&pii)
    );
    let again = reopened.handle(&reference("old"), Operation::Protect).await.unwrap();
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
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let first = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
    let info = keyring.rotate(&name("pii"), None).await.unwrap();
    assert_eq!(
        info.versions.iter().map(|version| version.number).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        info.versions.iter().map(|version| version.state).collect::<Vec<_>>(),
        [KeyState::Deactivated, KeyState::Active]
    );

    let current = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
    assert_eq!(current.version(), 2);
    assert_ne!(subkey(&current), subkey(&first));

    let refused = keyring
        .handle(&reference("pii@1"), Operation::Protect)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::KeyNotUsable);
    assert_eq!(refused.message(), "key `pii@1` is deactivated and may not protect");
    assert_eq!(refused.hint(), Some("name the key without a version: `pii`"));

    let id = keyring.describe(&name("pii")).unwrap().id.to_string();
    for known_as in ["pii", &id] {
        let old = keyring
            .handle_by_version_id(known_as, first.version_id(), Operation::Reveal)
            .await
            .unwrap();
        assert_eq!(subkey(&old), subkey(&first));
    }
}

#[tokio::test]
async fn the_state_of_a_version_decides() {
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let states = [
        KeyState::PreActivation,
        KeyState::Suspended,
        KeyState::Compromised,
        KeyState::Destroyed,
    ];
    // Unwrapped already, which must not matter.
    keyring.handle(&reference("pii@1"), Operation::Reveal).await.unwrap();
    for state in states {
        keyring.document.keys[0].versions[0].state = state;
        for operation in [Operation::Protect, Operation::Reveal] {
            let result = keyring.handle(&reference("pii@1"), operation).await;
            assert_eq!(result.is_ok(), state.may(operation), "{state} {operation}");
            let id = keyring.document.keys[0].versions[0].id;
            let result = keyring.handle_by_version_id("pii", id, operation).await;
            assert_eq!(result.is_ok(), state.may(operation), "{state} {operation}");
        }
    }
    assert_eq!(
        keyring.rotate(&name("pii"), None).await.unwrap().versions[1].state,
        KeyState::Active
    );
}

fn reason() -> Reason {
    "the test wants it".parse().unwrap()
}

fn state_of(keyring: &Keyring, number: u32) -> KeyState {
    let versions = keyring.describe(&name("pii")).unwrap().versions;
    versions.iter().find(|version| version.number == number).unwrap().state
}

/// Every state × every wish: what SP 800-57 has comes to pass and is recorded with its reason; the rest is refused, and the file stays as it is.
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
            let bench = Bench::new();
            let mut keyring = bench.create().await;
            keyring
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
            for operation in [Operation::Protect, Operation::Reveal] {
                let handed_out = keyring.handle(&key, operation).await;
                assert_eq!(handed_out.is_ok(), state_of(&keyring, 2).may(operation));
            }
        }
    }
}

/// One step; *destroyed* is reached when the KMS has lost the key that wraps it.
async fn go(bench: &Bench, keyring: &mut Keyring, key: &KeyRef, to: KeyState) -> Result<()> {
    match to {
        KeyState::Removed => keyring.remove(key, &reason()).await.map(drop),
        KeyState::Destroyed => {
            if keyring.version(key)?.1.state != KeyState::Removed {
                // `remove` takes both steps at once where there are two, so the step alone is tried.
                let mut version = keyring.version(key)?.1.clone();
                return life::go(&key.name, &mut version, to, "tester", Timestamp::now(), &reason());
            }
            bench.kms.fail_next(ErrorKind::KeyNotFound);
            keyring.remove(key, &reason()).await.map(drop)
        }
        _ => keyring.transition(key, to, &reason()).map(drop),
    }
}

#[tokio::test]
async fn activation_takes_the_place_of_the_active_version() {
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring.prepare(&name("pii")).await.unwrap();
    // What is prepared is not what the name means.
    let handle = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
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
    let bench = Bench::new();
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
            .handle(&reference("pii@1"), Operation::Reveal)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn periods_end_and_a_clock_that_jumps_does_no_harm() {
    let bench = Bench::new();
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
    let ask = async |operation| keyring.handle(&reference("pii"), operation).await;
    let due = async |operation| ask(operation).await.unwrap().due().map(str::to_owned);

    at(600);
    assert_eq!(due(Operation::Protect).await, None);
    at(670);
    assert!(due(Operation::Protect).await.unwrap().contains("protects until"));
    at(730);
    let error = ask(Operation::Protect).await.unwrap_err();
    assert!(error.message().contains("originator-usage period ended"), "{error}");
    assert!(error.hint().unwrap().contains("keys rotate pii"));
    assert_eq!(due(Operation::Reveal).await, None);
    at(1_800);
    assert!(due(Operation::Reveal).await.unwrap().contains("reveals until"));
    at(1_825);
    let error = ask(Operation::Reveal).await.unwrap_err();
    assert!(error.message().contains("recipient-usage period ended"), "{error}");
    // The clock is set right: all is as it was.
    at(10);
    assert!(ask(Operation::Protect).await.is_ok() && ask(Operation::Reveal).await.is_ok());
    assert_eq!(std::fs::read(bench.path()).unwrap(), before);

    at(2_000);
    keyring
        .set_periods(&name("pii"), Periods::try_new(3_000, 4_000).unwrap(), &reason())
        .unwrap();
    assert!(keyring.handle(&reference("pii"), Operation::Protect).await.is_ok());
    keyring.rotate(&name("pii"), None).await.unwrap();
    // A clock that goes back before the version was made.
    at(1_990);
    let error = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap_err();
    assert!(error.message().contains("may not protect yet"), "{error}");
    assert!(Periods::try_new(0, 1).is_err() && Periods::try_new(2, 1).is_err() && Periods::try_new(1, 36_501).is_err());
}

#[tokio::test]
async fn an_older_copy_is_refused_by_who_has_seen_a_newer_one() {
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    assert_eq!(keyring.generation(), 2);
    assert!(bench.open().await.unwrap().not_older_than(2).is_ok());
    let error = bench.open().await.unwrap().not_older_than(3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(
        error.message().contains("generation 2, and 3 was seen before"),
        "{error}"
    );
}

#[tokio::test]
async fn everything_is_written_down_before_it_is_done() {
    let bench = Bench::new();
    let log = bench.directory.path().join("audit.jsonl");
    let mut keyring = bench.create().await.with_audit_log(&log).unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let handle = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
    handle.count(Operation::Protect, 5).unwrap();
    handle.count(Operation::Reveal, 6).unwrap();
    keyring.audit_usage(Some("loader"), "protect people").unwrap();
    keyring.audit_usage(Some("loader"), "nothing since").unwrap();
    keyring
        .transition(&reference("pii"), KeyState::Suspended, &reason())
        .unwrap();
    let entries = keyring.audit_log().unwrap().verify().unwrap().entries;
    let told: Vec<String> = entries
        .iter()
        .map(|entry| {
            let key = entry.key.as_deref().unwrap_or("-");
            let values = entry.values.map_or(String::new(), |values| format!(" {values}"));
            format!("{} {key}{values}", entry.event)
        })
        .collect();
    let expected = [
        "unwrap -",
        "generate -",
        "create pii@1",
        "state pii@1",
        "unwrap -",
        "use pii@1 5",
        "use pii@1 6",
        "state pii@1",
    ];
    assert_eq!(told, expected);
    assert!(entries.iter().all(|entry| entry.who == "tester"));
    assert_eq!(entries[7].reason, Some(reason()));
    assert_eq!(entries[7].generation, Some(keyring.generation()));
    assert_eq!(entries[5].role.as_deref(), Some("loader"));

    // A log that cannot be written: nothing is changed, and no key is fetched any more.
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    let before = std::fs::read(bench.path()).unwrap();
    assert_eq!(
        keyring.rotate(&name("pii"), None).await.unwrap_err().kind(),
        ErrorKind::Io
    );
    assert_eq!(std::fs::read(bench.path()).unwrap(), before);
    let fresh = bench.open().await.unwrap().with_audit_log(&log);
    assert_eq!(fresh.unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test]
async fn a_limit_holds_over_processes() {
    let bench = Bench::new();
    let log = bench.directory.path().join("audit.jsonl");
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring.set_values_limit(&name("pii"), Some(10), &reason()).unwrap();
    let error = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap_err();
    assert!(error.message().contains("nobody counts them"), "{error}");
    let mut keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
    let handle = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
    let error = handle.count(Operation::Protect, 1).unwrap_err();
    assert!(error.message().contains("was not set in audit log"), "{error}");
    keyring.set_values_limit(&name("pii"), Some(10), &reason()).unwrap();
    for (values, fits) in [(6, true), (4, true), (1, false)] {
        let keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
        let handle = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
        assert_eq!(handle.count(Operation::Protect, values).is_ok(), fits, "{values}");
        assert!(handle.count(Operation::Reveal, 100).is_ok());
        keyring.audit_usage(None, "a job").unwrap();
    }
    let mut keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
    keyring.rotate(&name("pii"), None).await.unwrap();
    let handle = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
    assert!(handle.count(Operation::Protect, 10).is_ok(), "the limit is a version's");
}

#[tokio::test]
async fn jobs_at_the_same_time_share_a_limit() {
    let bench = Bench::new();
    let log = bench.directory.path().join("audit.jsonl");
    let mut keyring = bench.create().await.with_audit_log(&log).unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring.set_values_limit(&name("pii"), Some(1_000), &reason()).unwrap();
    let open = async || {
        let keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
        let handle = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
        (keyring, handle)
    };
    let count = |handle: &KeyHandle, values| handle.count(Operation::Protect, values).is_ok();
    let (mut one, other, killed) = (open().await, open().await, open().await);
    assert!(count(&one.1, 600) && count(&other.1, 300) && count(&killed.1, 90));
    assert!(!count(&other.1, 11) && count(&other.1, 10), "1000 in all");
    assert!(!count(&one.1, 1));
    // Small ones are set aside a few at a time, and what is left over goes back.
    other.0.audit_usage(None, "a job").unwrap();
    assert!(!count(&open().await.1, 1));
    drop(killed);
    assert!(
        !count(&open().await.1, 1),
        "whoever ends without a word may have protected"
    );

    // Raising the limit forgets nothing that was not written down yet.
    one.0.set_values_limit(&name("pii"), Some(1_100), &reason()).unwrap();
    let handle = one.0.handle(&reference("pii"), Operation::Protect).await.unwrap();
    assert!(!count(&handle, 101) && count(&handle, 100));
    one.0.audit_usage(None, "a job").unwrap();
    let events: Vec<_> = (one.0.audit_log().unwrap().verify().unwrap().entries.iter())
        .filter(|entry| entry.purpose == Some(Operation::Protect) && entry.values.is_some())
        .map(|entry| (entry.event, entry.values.unwrap()))
        .collect();
    let sum = |event| {
        events
            .iter()
            .filter(|(of, _)| *of == event)
            .map(|(_, values)| values)
            .sum::<u64>()
    };
    assert_eq!(sum(AuditEvent::Use), 600 + 310 + 100);
    assert_eq!(sum(AuditEvent::SetAside) - sum(AuditEvent::Released), 90);

    // Lowered again, it holds for a job that began before.
    one.0.rotate(&name("pii"), None).await.unwrap();
    let began = open().await;
    assert!(count(&began.1, 600));
    one.0.set_values_limit(&name("pii"), Some(700), &reason()).unwrap();
    assert!(!count(&began.1, 101) && count(&began.1, 100));
    one.0.set_values_limit(&name("pii"), Some(2_000), &reason()).unwrap();
    assert!(!count(&began.1, 401) && count(&began.1, 400), "what it began with");
}

#[tokio::test]
async fn what_is_set_aside_and_not_used_goes_back() {
    let bench = Bench::new();
    let log = bench.directory.path().join("audit.jsonl");
    let mut keyring = bench.create().await.with_audit_log(&log).unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring
        .set_values_limit(&name("pii"), Some(256_000), &reason())
        .unwrap();
    let keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
    let handle = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
    for _ in 0..10 {
        handle.count(Operation::Protect, 1).unwrap();
    }
    let entries = || keyring.audit_log().unwrap().verify().unwrap().entries;
    let set_aside: Vec<_> = (entries().iter())
        .filter(|entry| entry.event == AuditEvent::SetAside)
        .map(|entry| entry.values)
        .collect();
    assert_eq!(set_aside, [Some(1_000)], "once for many");
    keyring.audit_usage(None, "a job").unwrap();
    let last: Vec<_> = entries()
        .iter()
        .rev()
        .take(2)
        .map(|entry| (entry.event, entry.values))
        .collect();
    assert_eq!(last, [(AuditEvent::Released, Some(1_000)), (AuditEvent::Use, Some(10))]);
    let clone = handle.clone();
    assert!(handle.count(Operation::Protect, 255_989).is_ok() && clone.count(Operation::Protect, 1).is_ok());
    let error = clone.count(Operation::Protect, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotUsable);
    assert!(error.message().contains("may protect 256000 values"), "{error}");
}

#[tokio::test]
async fn missing_keys_say_what_to_do() {
    let bench = Bench::new();
    let error = bench.open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotFound);
    assert!(error.hint().unwrap().contains("cipherform init"));

    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let error = keyring.handle(&reference("pij"), Operation::Protect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotFound);
    assert!(error.message().contains("it has pii"), "{error}");
    assert!(error.hint().unwrap().contains("cipherform keys create pij"));

    let error = keyring
        .handle(&reference("pii@2"), Operation::Protect)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.hint()),
        (ErrorKind::KeyNotFound, Some("the versions of `pii` are 1"))
    );
    let unknown = KeyVersionId::from_bytes([0; 16]);
    let error = keyring
        .handle_by_version_id("pii", unknown, Operation::Reveal)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotFound);

    let error = keyring
        .create_key(&name("pii"), KeyUse::Derive, None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    let error = Keyring::create(bench.path(), &"memory:main".parse().unwrap(), &bench.registry())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
}

#[tokio::test]
async fn every_changed_byte_is_noticed() {
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let bytes = std::fs::read(bench.path()).unwrap();
    for position in 0..bytes.len() {
        for flip in [0x01, 0x20] {
            let mut changed = bytes.clone();
            changed[position] ^= flip;
            std::fs::write(bench.path(), &changed).unwrap();
            let error = bench.open().await.expect_err("changed");
            assert!(
                // A changed reference to the KMS key names no key, or no KMS.
                matches!(
                    error.kind(),
                    ErrorKind::BadInput | ErrorKind::WrongKey | ErrorKind::KeyNotFound | ErrorKind::ProviderDown
                ),
                "byte {position}: {error:?}"
            );
            assert!(error.message().contains("keyring.json"), "{error}");
            assert!(
                error.hint().is_some() || error.kind() == ErrorKind::KeyNotFound,
                "{error:?}"
            );
        }
    }
    std::fs::write(bench.path(), &bytes).unwrap();
    bench.open().await.unwrap();
}

#[tokio::test]
async fn swapped_keys_are_noticed() {
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("one"), KeyUse::Derive, None).await.unwrap();
    keyring.create_key(&name("two"), KeyUse::Derive, None).await.unwrap();
    let text = std::fs::read_to_string(bench.path()).unwrap();
    let wrapped = [0, 1].map(|i| serde_json::to_string(&keyring.document.keys[i].versions[0].wrapped).unwrap());
    let swapped = text
        .replace(&wrapped[0], "?")
        .replace(&wrapped[1], &wrapped[0])
        .replace('?', &wrapped[1]);
    assert_eq!(swapped.len(), text.len());
    assert_ne!(swapped, text);
    std::fs::write(bench.path(), swapped).unwrap();
    assert_eq!(bench.open().await.unwrap_err().kind(), ErrorKind::WrongKey);

    // Even with a right MAC, for the wrapping is bound to the ids.
    let (one, two) = keyring.document.keys.split_at_mut(1);
    std::mem::swap(&mut one[0].versions[0].wrapped, &mut two[0].versions[0].wrapped);
    let error = keyring.handle(&reference("one"), Operation::Reveal).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.message().contains("key `one@1`"), "{error}");
}

#[tokio::test]
async fn a_keyring_of_another_kms_is_refused() {
    let bench = Bench::new();
    bench.create().await;
    let other = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
    let error = Keyring::open(bench.path(), &other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.hint().unwrap().contains("belongs to this KMS"));
    let error = Keyring::open(bench.path(), &KmsRegistry::new()).await.unwrap_err();
    assert!(error.message().contains("no KMS client for scheme `memory`"), "{error}");
}

#[tokio::test]
async fn each_version_is_unwrapped_once() {
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    for i in 0..10 {
        keyring
            .create_key(&name(&format!("key{i}")), KeyUse::Derive, None)
            .await
            .unwrap();
    }
    let keyring = bench.open().await.unwrap();
    let before = bench.kms.calls().unwrap;
    for column in 0..1_000 {
        keyring
            .handle(&reference(&format!("key{}", column % 10)), Operation::Protect)
            .await
            .unwrap();
    }
    assert_eq!(bench.kms.calls().unwrap - before, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_version_is_unwrapped_once_by_many_tasks() {
    let bench = Bench::new();
    bench
        .create()
        .await
        .create_key(&name("pii"), KeyUse::Derive, None)
        .await
        .unwrap();
    let keyring = std::sync::Arc::new(bench.open().await.unwrap());
    let before = bench.kms.calls().unwrap;
    bench.kms.fail_next(ErrorKind::ProviderDown);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let keyring = keyring.clone();
            tokio::spawn(async move { keyring.handle(&reference("pii"), Operation::Protect).await.is_ok() })
        })
        .collect();
    let mut succeeded = 0;
    for task in tasks {
        succeeded += usize::from(task.await.unwrap());
    }
    assert_eq!(succeeded, 49, "one failed, and nobody else saw it");
    assert_eq!(bench.kms.calls().unwrap - before, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_lost() {
    let bench = Bench::new();
    bench
        .create()
        .await
        .create_key(&name("pii"), KeyUse::Derive, None)
        .await
        .unwrap();
    let (path, registry) = (bench.path(), bench.registry());
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (path, registry) = (path.clone(), registry.clone());
            tokio::spawn(async move {
                // Opened once and changed often: each change starts from what the file says by then.
                let mut keyring = Keyring::open(path, &registry).await.unwrap();
                for i in 0..5 {
                    keyring.rotate(&name("pii"), None).await.unwrap();
                    keyring
                        .create_key(&name(&format!("key-{task}-{i}")), KeyUse::Derive, None)
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let keyring = bench.open().await.unwrap();
    assert_eq!(keyring.generation(), 2 + 40);
    assert_eq!(keyring.list().len(), 21);
    let versions = keyring.describe(&name("pii")).unwrap().versions;
    assert_eq!(
        versions.iter().map(|version| version.number).collect::<Vec<_>>(),
        (1..=21).collect::<Vec<_>>()
    );
    assert!(
        versions[..20]
            .iter()
            .all(|version| version.state == KeyState::Deactivated)
    );
}

#[tokio::test]
async fn a_file_that_went_back_or_away_takes_no_change() {
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    let older = std::fs::read(bench.path()).unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    std::fs::write(bench.path(), older).unwrap();
    let error = keyring.rotate(&name("pii"), None).await.unwrap_err();
    assert!(error.message().contains("older copy"), "{error}");

    std::fs::remove_file(bench.path()).unwrap();
    bench.create().await;
    let error = keyring.rotate(&name("pii"), None).await.unwrap_err();
    assert!(error.message().contains("another keyring"), "{error}");
}

#[tokio::test]
async fn a_failing_kms_changes_nothing() {
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let before = std::fs::read(bench.path()).unwrap();
    bench.kms.fail_next(ErrorKind::ProviderDown);
    assert_eq!(
        keyring.rotate(&name("pii"), None).await.unwrap_err().kind(),
        ErrorKind::ProviderDown
    );
    assert_eq!(std::fs::read(bench.path()).unwrap(), before);
    assert_eq!(keyring.describe(&name("pii")).unwrap().versions.len(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    let mode = || std::fs::metadata(bench.path()).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o600);
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    assert_eq!(mode(), 0o600);
}

#[tokio::test]
async fn debug_and_file_show_no_key() {
    let bench = Bench::new();
    let mut keyring = bench.create().await;
    let direct = KeyUse::Direct {
        mode: DirectMode::Ff1,
        bits: KeyBits::B256,
    };
    keyring.create_key(&name("pii"), direct, None).await.unwrap();
    let handle = keyring.handle(&reference("pii"), Operation::Protect).await.unwrap();
    let shown = format!(
        "{keyring:?} {handle:?} {}",
        std::fs::read_to_string(bench.path()).unwrap()
    );
    let direct_key = handle.direct_key(DirectMode::Ff1).unwrap();
    for secret in [keyring.root.expose(), direct_key.expose()] {
        let encoded = serde_json::to_string(&Base64(secret.clone())).unwrap();
        let start = &encoded[1..30];
        for form in [hex::encode(secret), format!("{secret:?}"), start.to_string()] {
            assert!(!shown.contains(&form));
        }
    }
    assert!(shown.contains("****"));
}

/// Callers await inside tasks of any runtime.
#[tokio::test]
async fn futures_are_send() {
    fn send<T: Send>(_: T) {}
    let bench = Bench::new();
    let (mut keyring, registry) = (bench.create().await, bench.registry());
    let (kms_key, name, key) = ("memory:main".parse().unwrap(), name("pii"), reference("pii"));
    send(Keyring::create(bench.path(), &kms_key, &registry));
    send(Keyring::open(bench.path(), &registry));
    send(keyring.create_key(&name, KeyUse::Derive, None));
    send(keyring.rotate(&name, None));
    send(keyring.handle(&key, Operation::Protect));
    send(keyring.handle_by_version_id("pii", KeyVersionId::from_bytes([0; 16]), Operation::Reveal));
}
