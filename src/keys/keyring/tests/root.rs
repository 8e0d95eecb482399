//! The root of a keyring replaced, and audit logs that are not the keyring's.

use super::bench::*;
use crate::cipher::Direction;
use crate::keys::*;
use crate::{ErrorKind, Result};

/// A keyring with a key and an audit log.
async fn logged(bench: &KeyringBench) -> Keyring {
    let mut keyring = bench.create().await.with_audit_log(log(bench)).unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    keyring
}

fn log(bench: &KeyringBench) -> std::path::PathBuf {
    bench.directory.path().join("audit.jsonl")
}

async fn reopened(bench: &KeyringBench) -> Result<Keyring> {
    bench.open().await?.with_audit_log(log(bench))
}

#[tokio::test]
async fn a_new_root_keeps_keys_log_and_checkpoints() {
    let bench = KeyringBench::new();
    let mut keyring = logged(&bench).await;
    let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    let (before, check) = (subkey(&handle), keyring.root_check().unwrap());
    handle.count(Direction::Encrypt, 5).unwrap();
    let checkpoint = keyring.audit_log().unwrap().checkpoint(keyring.generation()).unwrap();
    let public_key = keyring.audit_log().unwrap().public_key().unwrap();
    #[cfg(feature = "exchange")]
    let signer = keyring.exchange_public_key().unwrap();
    let wrapped = keyring.document.root.wrapped.clone();
    let generation = keyring.generation();

    keyring.new_root(Some(&reason())).await.unwrap();
    for mut keyring in [keyring, reopened(&bench).await.unwrap()] {
        assert_ne!(keyring.root_check().unwrap(), check);
        assert_ne!(keyring.document.root.wrapped, wrapped);
        assert_eq!(keyring.generation(), generation + 1);
        let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
        assert_eq!(subkey(&handle), before, "data keys stay");
        let log = keyring.audit_log().unwrap();
        assert_ne!(log.public_key().unwrap(), public_key);
        #[cfg(feature = "exchange")]
        assert_ne!(keyring.exchange_public_key().unwrap(), signer);
        let entries = log.verify().unwrap().entries;
        let replaced = entries.iter().find(|entry| entry.event == AuditEvent::NewRoot).unwrap();
        assert_eq!(replaced.reason, Some(reason()));
        assert!(entries.last().unwrap().number > replaced.number + 1, "the log goes on");
        assert!(entries.iter().any(|entry| entry.values == Some(5)));
        // Of before, and of now.
        log.verify_since(&checkpoint, keyring.generation()).unwrap();
        let now = log.checkpoint(keyring.generation()).unwrap();
        log.verify_since(&now, keyring.generation()).unwrap();
        // The next change, and the next root after it.
        keyring.rotate(&name("pii"), None).await.unwrap();
        keyring.rotate(&name("pii"), None).await.unwrap();
    }
    // The one that was opened before its file was changed by the other.
    let mut keyring = reopened(&bench).await.unwrap();
    keyring.new_root(None).await.unwrap();
    let log = keyring.audit_log().unwrap();
    log.verify_since(&checkpoint, keyring.generation()).unwrap();
    assert_eq!(keyring.document.audit.as_ref().unwrap().closed.len(), 2);
}

#[tokio::test]
async fn a_former_root_writes_nothing_more() {
    let bench = KeyringBench::new();
    let mut keyring = logged(&bench).await;
    let former = keyring.root.clone();
    // Whoever has the former root, in a process of before.
    let old = reopened(&bench).await.unwrap();
    keyring.new_root(None).await.unwrap();
    let error = old
        .audit_usage(None, "nothing")
        .and(old.audit([AuditEntry::new(AuditEvent::Use)]));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::WrongKey);
    let mut old = old;
    let error = old.rotate(&name("pii"), None).await.unwrap_err();
    assert!(error.to_string().contains("root"), "{error}");
    keyring.audit_log().unwrap().verify().unwrap();

    // What was written under it cannot be written anew, though its MACs could be made.
    let whole = std::fs::read_to_string(log(&bench)).unwrap();
    let forged = bench.directory.path().join("forged.jsonl");
    let forger = AuditLog::new(
        forged.clone(),
        keyring.id(),
        &former,
        None,
        crate::keys::context::Context::default(),
    )
    .unwrap();
    let entries = keyring.audit_log().unwrap().verify().unwrap().entries;
    let closed = keyring.document.audit.as_ref().unwrap().closed[0].entries as usize;
    forger.append(entries[1..closed].to_vec()).unwrap();
    let rest: String = whole.lines().skip(closed).map(|line| format!("{line}\n")).collect();
    std::fs::write(log(&bench), std::fs::read_to_string(&forged).unwrap() + &rest).unwrap();
    assert_eq!(
        keyring.audit_log().unwrap().verify().unwrap_err().kind(),
        ErrorKind::WrongKey
    );
    // Nor a checkpoint be signed about what came later.
    std::fs::write(log(&bench), &whole).unwrap();
    std::fs::remove_file(&forged).unwrap();
    let more = vec![AuditEntry::new(AuditEvent::Use); closed + 1];
    forger.append(more).unwrap();
    let signed = forger.checkpoint(1).unwrap();
    let error = keyring.audit_log().unwrap().verify_since(&signed, 9).unwrap_err();
    assert!(error.message().contains("another key"), "{error}");
}

#[tokio::test]
async fn a_root_is_replaced_with_its_log_or_not_at_all() {
    let bench = KeyringBench::new();
    drop(logged(&bench).await);
    let before = std::fs::read(bench.path()).unwrap();
    // Without the log, and with one that is not the keyring's.
    let error = bench.open().await.unwrap().new_root(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadPolicy);
    let other = bench.directory.path().join("other.jsonl");
    let mut keyring = bench.open().await.unwrap().with_audit_log(other).unwrap();
    assert_eq!(keyring.new_root(None).await.unwrap_err().kind(), ErrorKind::WrongKey);
    // A KMS that is away.
    let mut keyring = reopened(&bench).await.unwrap();
    bench.kms.fail_next(ErrorKind::ProviderDown);
    assert_eq!(
        keyring.new_root(None).await.unwrap_err().kind(),
        ErrorKind::ProviderDown
    );
    assert_eq!(std::fs::read(bench.path()).unwrap(), before);
    keyring.audit_log().unwrap().verify().unwrap();
    // Without any log there is nothing to lose.
    let plain = KeyringBench::new();
    let mut keyring = plain.create().await;
    keyring.new_root(None).await.unwrap();
    plain.open().await.unwrap();
}

#[tokio::test]
async fn a_removed_log_is_missed_until_another_is_adopted() {
    let bench = KeyringBench::new();
    let keyring = logged(&bench).await;
    let whole = std::fs::read_to_string(log(&bench)).unwrap();
    keyring.audit_log().unwrap().verify().unwrap();
    drop(keyring);
    // Removed, and cut before the last change: with entries behind it that have right MACs.
    let cut: String = whole.lines().take(2).map(|line| format!("{line}\n")).collect();
    for left in ["", &cut] {
        std::fs::write(log(&bench), left).unwrap();
        let mut keyring = reopened(&bench).await.unwrap();
        assert_eq!(keyring.check_audit_log().unwrap_err().kind(), ErrorKind::WrongKey);
        // A change does not cover it up.
        keyring.rotate(&name("pii"), None).await.unwrap();
        let error = keyring.audit_log().unwrap().verify().unwrap_err();
        assert!(
            error.message().contains("not the log that the keyring knows"),
            "{error}"
        );
    }
    // Put back, with what was written since it was away missing: no entry of a change that it knew of.
    std::fs::write(log(&bench), &whole).unwrap();
    let error = bench
        .open()
        .await
        .unwrap()
        .with_audit_log(log(&bench))
        .map(|keyring| keyring.check_audit_log());
    error.unwrap().unwrap();

    std::fs::remove_file(log(&bench)).unwrap();
    let mut keyring = reopened(&bench).await.unwrap();
    keyring.adopt_audit_log(&reason()).unwrap();
    keyring.audit_log().unwrap().verify().unwrap();
    let keyring = reopened(&bench).await.unwrap();
    let entries = keyring.audit_log().unwrap().verify().unwrap().entries;
    assert!(
        entries
            .iter()
            .any(|entry| entry.event == AuditEvent::Adopt && entry.reason == Some(reason()))
    );
    let mut keyring = keyring;
    assert_eq!(
        keyring.adopt_audit_log(&reason()).unwrap_err().kind(),
        ErrorKind::BadInput
    );
}

#[tokio::test]
async fn a_keyring_of_format_3_is_read_and_written_as_4() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    // As the release before wrote it.
    let key = keyring.document.mac_key(&keyring.root).unwrap();
    let older = crate::keys::wrap::Authenticated::new("cipherform-keyring/3", keyring.document.clone(), key.expose());
    std::fs::write(bench.path(), older.to_bytes()).unwrap();
    keyring = bench.open().await.unwrap().with_audit_log(log(&bench)).unwrap();
    keyring.audit_log().unwrap().verify().unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let text = std::fs::read_to_string(bench.path()).unwrap();
    assert!(
        text.contains("cipherform-keyring/4") && text.contains("\"audit\""),
        "{text}"
    );
    reopened(&bench).await.unwrap().audit_log().unwrap().verify().unwrap();
}

#[tokio::test]
async fn uses_of_two_roles_are_told_apart() {
    let bench = KeyringBench::new();
    let keyring = logged(&bench).await;
    let count = async |role: Option<&str>, values| {
        let role = role.map(std::sync::Arc::from);
        let handle = keyring
            .handle_for(&reference("pii"), Direction::Encrypt, role.as_ref())
            .await
            .unwrap();
        handle.count(Direction::Encrypt, values).unwrap();
    };
    count(Some("loader"), 5).await;
    count(Some("clerk"), 7).await;
    count(None, 11).await;
    let told = || {
        let entries = keyring.audit_log().unwrap().verify().unwrap().entries;
        let uses = entries.into_iter().filter(|entry| entry.event == AuditEvent::Use);
        let mut uses: Vec<_> = uses.map(|entry| (entry.role, entry.values.unwrap())).collect();
        uses.sort();
        uses
    };
    let of = |role: &str, values| (Some(role.to_owned()), values);
    keyring.audit_usage_of(Some("loader"), "a job").unwrap();
    assert_eq!(told(), [of("loader", 5)]);
    keyring.audit_usage(None, "the end").unwrap();
    assert_eq!(told(), [(None, 11), of("clerk", 7), of("loader", 5)]);
}
