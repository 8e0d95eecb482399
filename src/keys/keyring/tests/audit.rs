//! The audit log of a keyring, and the limits that it counts for.

#[allow(unused_imports)]
use super::bench::*;
use crate::ErrorKind;
use crate::cipher::Direction;
use crate::keys::*;

#[tokio::test]
async fn everything_is_written_down_before_it_is_done() {
    let bench = KeyringBench::new();
    let log = bench.directory.path().join("audit.jsonl");
    let mut keyring = bench.create().await.with_audit_log(&log).unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    handle.count(Direction::Encrypt, 5).unwrap();
    handle.count(Direction::Decrypt, 6).unwrap();
    keyring.audit_usage(Some("loader"), "protect people").unwrap();
    // A report without values writes nothing.
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
        "written -",
        "unwrap -",
        "use pii@1 5",
        "use pii@1 6",
        "state pii@1",
        "written -",
    ];
    assert_eq!(told, expected);
    assert!(entries.iter().all(|entry| entry.who == "tester"));
    assert_eq!(entries[8].reason, Some(reason()));
    assert_eq!(entries[8].generation, Some(keyring.generation()));
    assert_eq!(entries[6].role.as_deref(), Some("loader"));

    // A log that cannot be written: nothing is changed, and no key is fetched any more.
    std::fs::remove_file(&log).unwrap();
    // Stands for a full disk, or a folder without permission to write.
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
async fn a_process_protects_so_many_values_and_no_more() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    handle.count(Direction::Encrypt, 1 << 40).unwrap();
    assert_eq!(
        handle.count(Direction::Encrypt, 1).unwrap_err().kind(),
        ErrorKind::KeyNotUsable
    );
    assert!(
        handle.count(Direction::Encrypt, 0).is_ok(),
        "what was refused is not counted"
    );
    handle.count(Direction::Decrypt, 1 << 41).unwrap();
}

#[tokio::test]
async fn a_limit_holds_over_processes() {
    let bench = KeyringBench::new();
    let log = bench.directory.path().join("audit.jsonl");
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring.set_values_limit(&name("pii"), Some(10), &reason()).unwrap();
    // A limit without a log could be counted in memory only, and would begin anew with each process.
    let error = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap_err();
    assert!(error.message().contains("needs an audit log to count them"), "{error}");
    let mut keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
    let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    // The limit was set before the log existed: a log that was moved away would look the same.
    let error = handle.count(Direction::Encrypt, 1).unwrap_err();
    assert!(error.message().contains("was not set in audit log"), "{error}");
    keyring.set_values_limit(&name("pii"), Some(10), &reason()).unwrap();
    // Each turn opens the keyring anew, as another process does.
    for (values, fits) in [(6, true), (4, true), (1, false)] {
        let keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
        let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
        assert_eq!(handle.count(Direction::Encrypt, values).is_ok(), fits, "{values}");
        // What was protected stays readable, whatever the limit.
        assert!(handle.count(Direction::Decrypt, 100).is_ok());
        keyring.audit_usage(None, "a job").unwrap();
    }
    let mut keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
    keyring.rotate(&name("pii"), None).await.unwrap();
    let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    assert!(handle.count(Direction::Encrypt, 10).is_ok(), "the limit is a version's");
}

#[tokio::test]
async fn jobs_at_the_same_time_share_a_limit() {
    let bench = KeyringBench::new();
    let log = bench.directory.path().join("audit.jsonl");
    let mut keyring = bench.create().await.with_audit_log(&log).unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring.set_values_limit(&name("pii"), Some(1_000), &reason()).unwrap();
    let open = async || {
        let keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
        let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
        (keyring, handle)
    };
    let count = |handle: &KeyHandle, values| handle.count(Direction::Encrypt, values).is_ok();
    // Three keyrings with memory of their own, as three processes have: the log is all that they share.
    let (mut one, other, killed) = (open().await, open().await, open().await);
    assert!(count(&one.1, 600) && count(&other.1, 300) && count(&killed.1, 90));
    assert!(!count(&other.1, 11) && count(&other.1, 10), "1000 in all");
    assert!(!count(&one.1, 1));
    // Small ones are set aside a few at a time, and what is left over goes back.
    other.0.audit_usage(None, "a job").unwrap();
    assert!(!count(&open().await.1, 1));
    // No report is written, as after a kill.
    drop(killed);
    assert!(
        !count(&open().await.1, 1),
        "whoever ends without a word may have protected"
    );

    // Raising the limit forgets nothing that was not written down yet.
    one.0.set_values_limit(&name("pii"), Some(1_100), &reason()).unwrap();
    let handle = one.0.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    assert!(!count(&handle, 101) && count(&handle, 100));
    one.0.audit_usage(None, "a job").unwrap();
    let events: Vec<_> = (one.0.audit_log().unwrap().verify().unwrap().entries.iter())
        .filter(|entry| entry.purpose == Some(Direction::Encrypt) && entry.values.is_some())
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
    let bench = KeyringBench::new();
    let log = bench.directory.path().join("audit.jsonl");
    let mut keyring = bench.create().await.with_audit_log(&log).unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring
        .set_values_limit(&name("pii"), Some(256_000), &reason())
        .unwrap();
    let keyring = bench.open().await.unwrap().with_audit_log(&log).unwrap();
    let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    for _ in 0..10 {
        handle.count(Direction::Encrypt, 1).unwrap();
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
    assert!(handle.count(Direction::Encrypt, 255_989).is_ok() && clone.count(Direction::Encrypt, 1).is_ok());
    let error = clone.count(Direction::Encrypt, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotUsable);
    assert!(error.message().contains("may protect 256000 values"), "{error}");
}
