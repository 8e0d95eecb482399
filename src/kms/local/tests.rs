use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::keys::{
    DataKeyId, KeyUse, KeyVersionId, Keyring, KeyringId, KmsKeyState, KmsRegistry, Operation, PolicyDocument, Purpose,
    Reason,
};
use crate::kms::{MemoryKms, conformance};

struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    /// A file `kms.json` with the key `main`, unlocked by the key file `unlock.key`.
    fn new() -> Self {
        let bench = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        LocalKms::create_key_file(&bench.path("unlock.key")).unwrap();
        LocalKms::create(&bench.path("kms.json"), &bench.unlock(), &name("main")).unwrap();
        bench
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn unlock(&self) -> Unlock {
        Unlock::KeyFile(self.path("unlock.key"))
    }

    fn open(&self) -> LocalKms {
        LocalKms::open(self.path("kms.json"), self.unlock())
    }
}

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Secret::new(text.to_string()))
}

#[tokio::test]
async fn conforms() {
    let bench = Bench::new();
    conformance::check(&bench.open(), &"local:main".parse().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_path_names_another_file() {
    let bench = Bench::new();
    let elsewhere = bench.path("else where/kms.json");
    LocalKms::create(&elsewhere, &bench.unlock(), &name("second")).unwrap();
    let key: KmsKeyRef = format!("local:{}#second", elsewhere.display()).parse().unwrap();
    conformance::check(&bench.open(), &key).await.unwrap();
    let relative = "local:kms.json#main".parse().unwrap();
    assert_eq!(
        bench.open().describe(&relative).await.unwrap_err().kind(),
        ErrorKind::BadInput
    );
}

#[tokio::test]
async fn a_passphrase_unlocks_it_once() {
    let bench = Bench::new();
    let path = bench.path("deep/er/kms.json");
    LocalKms::create(&path, &passphrase("correct horse"), &name("main")).unwrap();

    let kms = LocalKms::open(&path, passphrase("correct horse"));
    let info = kms.describe(&"local:main".parse().unwrap()).await.unwrap();
    assert_eq!((info.manager.as_str(), info.state), ("local", KmsKeyState::Enabled));
    assert!(info.created.is_some());
    let key = |kms: &LocalKms| Arc::as_ptr(&kms.content(&path).unwrap().1);
    assert_eq!(key(&kms), key(&kms), "derived once");

    let error = LocalKms::open(&path, passphrase("correct  horse")).list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.message().contains("wrong passphrase or damaged file"), "{error}");
    assert!(error.hint().unwrap().contains("try the passphrase again"));

    let error = LocalKms::open(&path, bench.unlock()).list().unwrap_err();
    assert!(error.message().contains("a passphrase unlocks it"), "{error}");
    let error = LocalKms::create(&bench.path("none.json"), &passphrase(""), &name("main")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
}

#[test]
fn another_key_file_does_not_unlock_it() {
    let bench = Bench::new();
    LocalKms::create_key_file(&bench.path("other.key")).unwrap();
    let kms = LocalKms::open(bench.path("kms.json"), Unlock::KeyFile(bench.path("other.key")));
    let error = kms.list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.message().contains("wrong key file or damaged file"), "{error}");
}

#[test]
fn nothing_is_overwritten() {
    let bench = Bench::new();
    let again = LocalKms::create(&bench.path("kms.json"), &bench.unlock(), &name("main"));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::BadInput);
    assert_eq!(
        LocalKms::create_key_file(&bench.path("unlock.key")).unwrap_err().kind(),
        ErrorKind::BadInput
    );
    assert_eq!(
        bench.open().create_key(&name("main")).unwrap_err().kind(),
        ErrorKind::BadInput
    );
}

#[test]
fn a_missing_file_says_what_to_do() {
    let bench = Bench::new();
    let error = LocalKms::open(bench.path("none.json"), bench.unlock())
        .list()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotFound);
    assert!(error.hint().unwrap().contains("cipherform init"));
}

#[test]
fn every_changed_byte_is_noticed() {
    let bench = Bench::new();
    bench.open().create_key(&name("second")).unwrap();
    let bytes = std::fs::read(bench.path("kms.json")).unwrap();
    for position in 0..bytes.len() {
        for flip in [0x01, 0x20] {
            let mut changed = bytes.clone();
            changed[position] ^= flip;
            std::fs::write(bench.path("kms.json"), &changed).unwrap();
            let error = bench.open().list().expect_err("changed");
            assert!(
                matches!(error.kind(), ErrorKind::BadInput | ErrorKind::WrongKey),
                "byte {position}: {error:?}"
            );
            assert!(
                error.message().contains("kms.json") && error.hint().is_some(),
                "{error:?}"
            );
        }
    }
}

#[test]
fn a_hostile_file_cannot_stall_us() {
    let bench = Bench::new();
    let path = bench.path("passphrase.json");
    LocalKms::create(&path, &passphrase("correct horse"), &name("main")).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let hostile = text
        .replace("\"memory_kib\": 65536", "\"memory_kib\": 4294967295")
        .replace("\"passes\": 3", "\"passes\": 4000000");
    assert_ne!(text, hostile);
    std::fs::write(&path, hostile).unwrap();
    let error = LocalKms::open(&path, passphrase("correct horse")).list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert!(error.message().contains("out of bounds"), "{error}");
}

#[test]
fn no_key_is_lost() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let bench = &bench;
            scope.spawn(move || {
                let kms = bench.open();
                for i in 0..5 {
                    kms.create_key(&name(&format!("key-{thread}-{i}"))).unwrap();
                }
            });
        }
    });
    assert_eq!(bench.open().list().unwrap().len(), 21);
}

#[tokio::test]
async fn sealed_material_cannot_change_places() {
    let bench = Bench::new();
    let kms = bench.open();
    kms.create_key(&name("second")).unwrap();
    let (content, unlock_key) = kms.content(&kms.path).unwrap();
    let [first, second] = [&content.keys[0], &content.keys[1]];
    let moved = content.open_material(second.id, &first.material[0], &unlock_key);
    assert_eq!(moved.unwrap_err().kind(), ErrorKind::WrongKey);
}

fn reason() -> Reason {
    "a test".parse().unwrap()
}

fn main_key() -> KmsKeyRef {
    "local:main".parse().unwrap()
}

fn context() -> WrapContext {
    WrapContext {
        keyring: KeyringId::from_bytes([1; 16]),
        data_key: DataKeyId::from_bytes([2; 16]),
        version: KeyVersionId::from_bytes([3; 16]),
        key_use: "derive".to_owned(),
    }
}

/// A clock that can be set, by days from now.
fn clock(kms: LocalKms) -> (LocalKms, Arc<AtomicU32>) {
    let (days, start) = (Arc::new(AtomicU32::new(0)), Timestamp::now());
    let set = Arc::clone(&days);
    (
        kms.with_clock(move || start.plus_days(days.load(Ordering::Relaxed))),
        set,
    )
}

/// What a key wraps and unwraps, if it does.
async fn works(kms: &LocalKms, key: &KmsKeyRef) -> Result<Vec<u8>> {
    let wrapped = kms.wrap(key, &Secret::new(vec![7; 32]), &context()).await?;
    assert_eq!(*kms.unwrap(key, &wrapped, &context()).await?.expose(), [7; 32]);
    Ok(wrapped)
}

#[tokio::test]
async fn every_state_allows_what_it_should() {
    use KmsKeyState::{Destroyed, Disabled, Enabled, PendingDeletion};
    type Act = fn(&LocalKms, &KmsKeyRef) -> Result<LocalKeyInfo>;
    let acts: [(Act, &[KmsKeyState], KmsKeyState); 5] = [
        (|kms, key| kms.enable(key, &reason()), &[Disabled], Enabled),
        (|kms, key| kms.disable(key, &reason()), &[Enabled], Disabled),
        (
            |kms, key| kms.schedule_deletion(key, 7, &reason()),
            &[Enabled, Disabled],
            PendingDeletion,
        ),
        (
            |kms, key| kms.cancel_deletion(key, &reason()),
            &[PendingDeletion],
            Disabled,
        ),
        (|kms, key| kms.rotate(key, Some(&reason())), &[Enabled], Enabled),
    ];
    for state in [Enabled, Disabled, PendingDeletion, Destroyed] {
        for (act, from, to) in acts {
            let bench = Bench::new();
            let (kms, days) = clock(bench.open());
            let wrapped = works(&kms, &main_key()).await.unwrap();
            if state == Disabled {
                kms.disable(&main_key(), &reason()).unwrap();
            }
            if matches!(state, PendingDeletion | Destroyed) {
                kms.schedule_deletion(&main_key(), 7, &reason()).unwrap();
            }
            if state == Destroyed {
                days.store(7, Ordering::Relaxed);
                kms.tend().unwrap();
            }
            assert_eq!(kms.describe(&main_key()).await.unwrap().state, state);
            let used = [
                works(&kms, &main_key()).await.err(),
                kms.unwrap(&main_key(), &wrapped, &context()).await.err(),
            ];
            for error in used {
                match state {
                    Enabled => assert!(error.is_none()),
                    _ => {
                        let error = error.unwrap();
                        assert_eq!(error.kind(), ErrorKind::KeyNotUsable);
                        assert!(error.message().contains(&format!("is {state}")), "{error}");
                        let verb = match state {
                            Disabled => "keys enable local:main",
                            PendingDeletion => "keys cancel-deletion local:main",
                            _ => "from a backup",
                        };
                        assert!(error.hint().unwrap().contains(verb), "{error:?}");
                    }
                }
            }
            match act(&kms, &main_key()) {
                Ok(info) => {
                    assert!(from.contains(&state), "{state} to {to}");
                    assert_eq!(info.state, to);
                    assert_eq!(info.history.last().unwrap().reason, Some(reason()));
                }
                Err(error) => {
                    assert!(!from.contains(&state), "{state} to {to}: {error}");
                    assert_eq!(error.kind(), ErrorKind::KeyNotUsable);
                }
            }
        }
    }
}

#[tokio::test]
async fn deleted_material_is_out_of_the_file() {
    let bench = Bench::new();
    let (kms, days) = clock(bench.open());
    let wrapped = works(&kms, &main_key()).await.unwrap();
    let sealed = kms.content(&kms.path).unwrap().0.keys[0].material[0]
        .sealed
        .clone()
        .unwrap();
    let sealed = serde_json::to_string(&sealed).unwrap();
    let there = || {
        std::fs::read_to_string(bench.path("kms.json"))
            .unwrap()
            .contains(&sealed)
    };
    for days in [0, 6, 31] {
        let error = kms.schedule_deletion(&main_key(), days, &reason()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadInput);
    }
    kms.schedule_deletion(&main_key(), 30, &reason()).unwrap();
    days.store(29, Ordering::Relaxed);
    kms.tend().unwrap();
    assert!(there());
    days.store(30, Ordering::Relaxed);
    // Refused from that moment on, whether or not somebody has written the file since.
    let error = kms.unwrap(&main_key(), &wrapped, &context()).await.unwrap_err();
    assert!(error.message().contains("was to be deleted by"), "{error}");
    assert!(there());
    // Who wants to keep it is not answered by its end.
    assert!(
        error
            .hint()
            .unwrap()
            .contains("cancel-deletion local:main` keeps it still"),
        "{error:?}"
    );
    let error = kms.enable(&main_key(), &reason()).unwrap_err();
    assert!(error.message().contains("is pending-deletion"), "{error}");
    kms.cancel_deletion(&main_key(), &reason()).unwrap();
    kms.schedule_deletion(&main_key(), 7, &reason()).unwrap();
    days.store(37, Ordering::Relaxed);
    assert!(there());
    // Any other change does it.
    kms.create_key(&name("second")).unwrap();
    assert!(!there());
    let info = kms.key(&main_key()).unwrap();
    assert_eq!((info.state, info.material[0].present), (KmsKeyState::Destroyed, false));
    assert!(info.history.last().unwrap().what.starts_with("destroy"));
    assert_eq!(kms.create_key(&name("main")).unwrap_err().kind(), ErrorKind::BadInput);
}

#[tokio::test]
async fn rotated_material_still_unwraps() {
    let bench = Bench::new();
    let (kms, days) = clock(bench.open());
    let mut wrapped = vec![works(&kms, &main_key()).await.unwrap()];
    for _ in 0..3 {
        kms.rotate(&main_key(), None).unwrap();
        wrapped.push(works(&kms, &main_key()).await.unwrap());
    }
    for bytes in &wrapped {
        assert_eq!(
            *kms.unwrap(&main_key(), bytes, &context()).await.unwrap().expose(),
            [7; 32]
        );
    }
    // The bytes name their material: byte 2, key, material.
    let named: std::collections::HashSet<_> = wrapped.iter().map(|bytes| bytes[17..33].to_vec()).collect();
    assert_eq!(named.len(), 4);
    let mut swapped = wrapped[0].clone();
    swapped[17..33].copy_from_slice(&wrapped[1][17..33]);
    let error = kms.unwrap(&main_key(), &swapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);

    // By itself, when it is due.
    assert!(kms.set_rotation(&main_key(), Some(89), None).is_err());
    kms.set_rotation(&main_key(), Some(90), Some(&reason())).unwrap();
    days.store(89, Ordering::Relaxed);
    assert!(kms.due().unwrap().is_empty());
    days.store(90, Ordering::Relaxed);
    assert_eq!(kms.due().unwrap().len(), 1);
    let due = kms.describe(&main_key()).await.unwrap().due.unwrap();
    assert!(due.contains("its rotation has been due since"), "{due}");
    works(&kms, &main_key()).await.unwrap();
    assert_eq!(
        kms.key(&main_key()).unwrap().material.len(),
        4,
        "wrapping changes nothing"
    );
    kms.tend().unwrap();
    kms.tend().unwrap();
    let info = kms.key(&main_key()).unwrap();
    assert_eq!((info.material.len(), info.rotation_days), (5, Some(90)));
    assert_eq!(info.next_rotation.unwrap(), info.material[4].created.plus_days(90));
    for bytes in &wrapped {
        kms.unwrap(&main_key(), bytes, &context()).await.unwrap();
    }
    let older = bench.open();
    let latest = works(&kms, &main_key()).await.unwrap();
    assert!(older.unwrap(&main_key(), &latest, &context()).await.is_ok());
}

#[tokio::test]
async fn what_unlocks_it_is_changed_and_nothing_is_lost() {
    let bench = Bench::new();
    let kms = bench.open();
    let bytes = works(&kms, &main_key()).await.unwrap();
    kms.rotate(&main_key(), None).unwrap();
    assert_eq!(
        kms.change_unlock(&passphrase("short"), PassphraseKdf::Pbkdf2)
            .unwrap_err()
            .kind(),
        ErrorKind::BadInput
    );
    kms.change_unlock(&passphrase("correct horse"), PassphraseKdf::Pbkdf2)
        .unwrap();
    // Whoever has it open goes on; whoever opens it needs the new way.
    kms.unwrap(&main_key(), &bytes, &context()).await.unwrap();
    let again = LocalKms::open(bench.path("kms.json"), passphrase("correct horse")).approved_only();
    again.unwrap(&main_key(), &bytes, &context()).await.unwrap();
    works(&again, &main_key()).await.unwrap();
    assert_eq!(bench.open().list().unwrap_err().kind(), ErrorKind::WrongKey);
    let wrong = LocalKms::open(bench.path("kms.json"), passphrase("correct  horse"));
    assert_eq!(wrong.list().unwrap_err().kind(), ErrorKind::WrongKey);

    again
        .change_unlock(&passphrase("battery staple"), PassphraseKdf::Argon2id)
        .unwrap();
    let not_approved = LocalKms::open(bench.path("kms.json"), passphrase("battery staple")).approved_only();
    let error = not_approved.list().unwrap_err();
    assert!(
        error.hint().unwrap().contains("keys passphrase --kdf pbkdf2"),
        "{error:?}"
    );
    let kms = LocalKms::open(bench.path("kms.json"), passphrase("battery staple"));
    kms.change_unlock(&bench.unlock(), PassphraseKdf::default()).unwrap();
    bench.open().unwrap(&main_key(), &bytes, &context()).await.unwrap();
}

#[tokio::test]
async fn another_kms_guards_it() {
    let bench = Bench::new();
    let guard = MemoryKms::new().with_key("guard");
    let registry = KmsRegistry::new().with("memory", guard.clone());
    let (path, key): (_, KmsKeyRef) = (bench.path("kms.json"), "memory:guard".parse().unwrap());
    assert!(LocalKms::unlock_elsewhere(&path, &registry).await.unwrap().is_none());
    assert!(
        LocalKms::unlock_elsewhere(&bench.path("none.json"), &registry)
            .await
            .unwrap()
            .is_none()
    );
    let kms = bench.open();
    let bytes = works(&kms, &main_key()).await.unwrap();
    assert_eq!(
        kms.guard_by_kms(&main_key(), &registry).await.unwrap_err().kind(),
        ErrorKind::BadInput
    );
    guard.fail_next(ErrorKind::ProviderDown);
    assert_eq!(
        kms.guard_by_kms(&key, &registry).await.unwrap_err().kind(),
        ErrorKind::ProviderDown
    );
    bench.open().list().unwrap();

    kms.guard_by_kms(&key, &registry).await.unwrap();
    let error = bench.open().list().unwrap_err();
    assert!(error.message().contains("KMS key `memory:guard` unlocks it"), "{error}");
    let unlock = LocalKms::unlock_elsewhere(&path, &registry).await.unwrap().unwrap();
    let opened = LocalKms::open(&path, unlock.clone()).approved_only();
    opened.unwrap(&main_key(), &bytes, &context()).await.unwrap();
    opened.create_key(&name("second")).unwrap();
    assert!(LocalKms::create(&bench.path("new.json"), &unlock, &name("main")).is_err());

    let stranger = KmsRegistry::new().with("memory", MemoryKms::new().with_key("guard"));
    let error = LocalKms::unlock_elsewhere(&path, &stranger).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    opened.change_unlock(&bench.unlock(), PassphraseKdf::default()).unwrap();
    bench.open().unwrap(&main_key(), &bytes, &context()).await.unwrap();
}

fn key_policy(statements: &str) -> PolicyDocument {
    let json = format!("{{ \"Version\": \"2012-10-17\", \"Statement\": [{statements}] }}");
    PolicyDocument::parse_for_key(json.as_bytes()).unwrap()
}

#[tokio::test]
async fn policies_are_enforced() {
    const ADMIN: &str = r#"{ "Sid": "admin", "Effect": "Allow", "Principal": { "User": "ann@*" }, "Action": "kms:*", "Resource": "*" }"#;
    const JOBS: &str = r#"{ "Sid": "jobs", "Effect": "Allow", "Principal": { "User": "etl@batch" }, "Action": "kms:Decrypt", "Resource": "*",
        "Condition": { "StringEquals": { "kms:EncryptionContext:cipherform:use": "derive" } } }"#;
    const HANDED_ON: &str =
        r#"{ "Effect": "Allow", "Principal": "identity-policies", "Action": "kms:Decrypt", "Resource": "*" }"#;
    let bench = Bench::new();
    let [ann, etl, eve] = ["ann@laptop", "etl@batch", "eve@laptop"].map(|who| bench.open().with_actor(who));
    let bytes = works(&eve, &main_key()).await.unwrap();
    assert_eq!(ann.key_policy(&main_key()).unwrap(), PolicyDocument::everybody());

    // Nobody locks themselves out by mistake.
    let error = eve
        .put_key_policy(&main_key(), key_policy(ADMIN), false, &reason())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAllowed);
    assert!(error.hint().unwrap().contains("--bypass-lockout-check"));
    works(&eve, &main_key()).await.unwrap();
    let policy = key_policy(&[ADMIN, JOBS, HANDED_ON].join(","));
    ann.put_key_policy(&main_key(), policy.clone(), false, &reason())
        .unwrap();
    assert_eq!(ann.key_policy(&main_key()).unwrap(), policy);

    works(&ann, &main_key()).await.unwrap();
    etl.unwrap(&main_key(), &bytes, &context()).await.unwrap();
    let direct = WrapContext {
        key_use: "direct-ff1-256".to_owned(),
        ..context()
    };
    for refused in [
        etl.unwrap(&main_key(), &bytes, &direct).await.map(drop),
        etl.wrap(&main_key(), &Secret::new(vec![7; 32]), &context())
            .await
            .map(drop),
        etl.generate_data_key(&main_key(), 32, &context()).await.map(drop),
        etl.describe(&main_key()).await.map(drop),
        etl.disable(&main_key(), &reason()).map(drop),
        etl.rotate(&main_key(), None).map(drop),
        etl.key_policy(&main_key()).map(drop),
        etl.put_key_policy(&main_key(), PolicyDocument::everybody(), true, &reason())
            .map(drop),
        etl.create_alias(&name("mine"), &main_key(), None).map(drop),
        eve.unwrap(&main_key(), &bytes, &context()).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error:?}");
        assert!(
            error.hint().unwrap().contains("keys policy get local:main"),
            "{error:?}"
        );
    }

    // What the key hands on is for the identity's policy to allow.
    let identity = |json: &str| PolicyDocument::parse_for_identity(json.as_bytes()).unwrap();
    let allow = identity(
        r#"{ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "kms:*", "Resource": "local:main" }] }"#,
    );
    ann.put_identity_policy("eve@laptop", allow.clone(), &reason()).unwrap();
    assert_eq!(ann.identity_policy("eve@laptop").unwrap(), Some(allow));
    eve.unwrap(&main_key(), &bytes, &context()).await.unwrap();
    assert!(eve.disable(&main_key(), &reason()).is_err());
    let deny = r#"{ "Version": "2012-10-17", "Statement": [{ "Sid": "leave", "Effect": "Deny", "Action": "kms:*", "Resource": "*" }] }"#;
    ann.put_identity_policy("etl@batch", identity(deny), &reason()).unwrap();
    let error = etl.unwrap(&main_key(), &bytes, &context()).await.unwrap_err();
    assert!(
        error.message().contains("denied by the identity's statement `leave`"),
        "{error}"
    );
    let simulated = ann
        .simulate(&main_key(), "etl@batch", KmsAction::Decrypt, Some(&context()))
        .unwrap();
    assert!(!simulated.is_allowed());
    let none = r#"{ "Version": "2012-10-17", "Statement": [] }"#;
    ann.put_identity_policy("etl@batch", identity(none), &reason()).unwrap();
    assert_eq!(ann.identity_policy("etl@batch").unwrap(), None);
    etl.unwrap(&main_key(), &bytes, &context()).await.unwrap();

    ann.put_key_policy(&main_key(), key_policy(JOBS), true, &reason())
        .unwrap();
    assert!(
        ann.put_key_policy(&main_key(), PolicyDocument::everybody(), true, &reason())
            .is_err()
    );
}

/// Where the operating system has no keyring, or the build does not ask it, that is said, and the file stays as it is.
#[test]
fn without_a_keyring_of_the_operating_system_nothing_changes() {
    let bench = Bench::new();
    let before = std::fs::read(bench.path("kms.json")).unwrap();
    if let Err(error) = bench.open().guard_by_os_keyring() {
        assert_eq!(error.kind(), ErrorKind::ProviderDown, "{error:?}");
        assert!(error.hint().is_some());
        assert_eq!(std::fs::read(bench.path("kms.json")).unwrap(), before);
    } else {
        let unlock = futures_util::FutureExt::now_or_never(LocalKms::unlock_elsewhere(
            &bench.path("kms.json"),
            &KmsRegistry::new(),
        ));
        let kms = LocalKms::open(bench.path("kms.json"), unlock.unwrap().unwrap().unwrap());
        kms.change_unlock(&bench.unlock(), PassphraseKdf::default()).unwrap();
        bench.open().list().unwrap();
    }
}

#[tokio::test]
async fn an_alias_moves_and_what_it_wrapped_unwraps() {
    let bench = Bench::new();
    let kms = bench.open();
    kms.create_key(&name("second")).unwrap();
    let (alias, second) = (
        KmsKeyRef::local_alias(&name("current")),
        KmsKeyRef::local(&name("second")),
    );
    let error = works(&kms, &alias).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotFound);
    assert_eq!(
        kms.update_alias(&name("current"), &second, None).unwrap_err().kind(),
        ErrorKind::KeyNotFound
    );
    kms.create_alias(&name("current"), &main_key(), None).unwrap();
    assert_eq!(
        kms.create_alias(&name("current"), &second, None).unwrap_err().kind(),
        ErrorKind::BadInput
    );
    let first = works(&kms, &alias).await.unwrap();
    kms.update_alias(&name("current"), &second, None).unwrap();
    assert_eq!(kms.key(&second).unwrap().aliases, [name("current")]);
    let then = works(&kms, &alias).await.unwrap();
    assert_ne!(first[1..17], then[1..17]);
    kms.unwrap(&alias, &first, &context()).await.unwrap();
    assert_eq!(
        kms.unwrap(&second, &first, &context()).await.unwrap_err().kind(),
        ErrorKind::WrongKey
    );
    kms.disable(&main_key(), &reason()).unwrap();
    assert_eq!(
        kms.unwrap(&alias, &first, &context()).await.unwrap_err().kind(),
        ErrorKind::KeyNotUsable
    );
    kms.delete_alias(&name("current"), None).unwrap();
    assert_eq!(works(&kms, &alias).await.unwrap_err().kind(), ErrorKind::KeyNotFound);
    kms.unwrap(&second, &then, &context()).await.unwrap();
    assert!(kms.create_kms_key(&alias, NewKmsKey::default()).is_err());
}

/// A file of format 1, written by the program as it was then, opens; the first change writes it in today's format, and what it wrapped still unwraps.
#[tokio::test]
async fn format_1_is_read_and_converted() {
    let bench = Bench::new();
    let fixture = |file: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/local-kms-1")
            .join(file)
    };
    for file in ["kms.json", "keyring.json", "unlock.key"] {
        std::fs::copy(fixture(file), bench.path(file)).unwrap();
    }
    let before = std::fs::read(bench.path("kms.json")).unwrap();
    let unwraps = || async {
        let registry = KmsRegistry::new().with("local", bench.open());
        let keyring = Keyring::open(bench.path("keyring.json"), &registry).await.unwrap();
        for version in ["pii@1", "pii@2"] {
            keyring
                .handle(&version.parse().unwrap(), Operation::Reveal)
                .await
                .unwrap();
        }
    };
    unwraps().await;
    assert_eq!(
        std::fs::read(bench.path("kms.json")).unwrap(),
        before,
        "to read changes nothing"
    );
    let kms = bench.open();
    kms.rotate(&main_key(), None).unwrap();
    let after = std::fs::read_to_string(bench.path("kms.json")).unwrap();
    assert!(after.contains("cipherform-local-kms/2"), "{after}");
    unwraps().await;
    assert_eq!(kms.key(&main_key()).unwrap().material.len(), 2);
    works(&kms, &main_key()).await.unwrap();

    let mut changed = before;
    let at = changed.iter().position(|byte| *byte == b'"').unwrap();
    changed[at + 60] ^= 1;
    std::fs::write(bench.path("kms.json"), changed).unwrap();
    assert!(bench.open().list().is_err());
}

#[tokio::test]
async fn it_guards_a_keyring() {
    let bench = Bench::new();
    let path = bench.path("keyring.json");
    let registry = KmsRegistry::new().with("local", bench.open());
    let mut keyring = Keyring::create(&path, &"local:main".parse().unwrap(), &registry)
        .await
        .unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();

    let registry = KmsRegistry::new().with("local", bench.open());
    let keyring = Keyring::open(&path, &registry).await.unwrap();
    let handle = keyring
        .handle(&"pii".parse().unwrap(), Operation::Protect)
        .await
        .unwrap();
    assert!(handle.subkey(Purpose::Siv, "domain", b"", 64).is_ok());

    LocalKms::create(&bench.path("other.json"), &bench.unlock(), &name("main")).unwrap();
    let registry = KmsRegistry::new().with("local", LocalKms::open(bench.path("other.json"), bench.unlock()));
    let error = Keyring::open(&path, &registry).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.hint().unwrap().contains("the file of the local KMS"), "{error:?}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    LocalKms::create(&bench.path("new/kms.json"), &bench.unlock(), &name("main")).unwrap();
    bench.open().create_key(&name("second")).unwrap();
    for (file, mode) in [
        ("unlock.key", 0o600),
        ("kms.json", 0o600),
        ("new/kms.json", 0o600),
        ("new", 0o700),
    ] {
        let actual = std::fs::metadata(bench.path(file)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(actual, mode, "{file}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let bench = Bench::new();
    let kms = bench.open();
    let (_, unlock_key) = kms.content(&kms.path).unwrap();
    let shown = format!("{kms:?} {:?}", LocalKms::open("x", passphrase("correct horse")));
    assert!(shown.contains("****"));
    assert!(!shown.contains("horse") && !shown.contains(&hex::encode(unlock_key.expose())));
    assert!(!shown.contains(&format!("{:?}", unlock_key.expose())));
}

#[cfg(feature = "exchange")]
mod with_exchange {
    use rsa::pkcs8::DecodePublicKey as _;

    use super::*;
    use crate::kms::ImportParameters;

    fn external() -> KmsKeyRef {
        "local:ours".parse().unwrap()
    }

    /// What somebody else wraps with the public key.
    fn wrapped(parameters: &ImportParameters, material: &[u8]) -> Vec<u8> {
        let key = rsa::PublicKey::from_public_key_der(&parameters.public_key).unwrap();
        let padding = rsa::Oaep::<sha2::Sha256>::new();
        key.encrypt(&mut getrandom::SysRng, padding, material).unwrap()
    }

    #[tokio::test]
    async fn material_is_imported_once_for_each_token_and_only_the_same() {
        let bench = Bench::new();
        let (kms, days) = clock(bench.open());
        let key = external();
        kms.create_kms_key(&key, NewKmsKey::default().external()).unwrap();
        assert_eq!(kms.describe(&key).await.unwrap().state, KmsKeyState::Unavailable);
        let error = works(&kms, &key).await.unwrap_err();
        assert!(error.message().contains("waits for its material"), "{error}");
        assert!(error.hint().unwrap().contains("get-parameters-for-import local:ours"));
        assert_eq!(
            kms.parameters_for_import(&main_key()).unwrap_err().kind(),
            ErrorKind::KeyNotUsable
        );

        let parameters = kms.parameters_for_import(&key).unwrap();
        let import = |parameters: &ImportParameters, material: &[u8], end: Option<Timestamp>| {
            kms.import_material(&key, &wrapped(parameters, material), &parameters.token, end, &reason())
        };
        let kind = |result: Result<LocalKeyInfo>| result.unwrap_err().kind();
        assert_eq!(kind(import(&parameters, &[5; 31], None)), ErrorKind::BadInput);
        let elsewhere = ImportParameters {
            token: "00".repeat(16),
            ..parameters.clone()
        };
        assert_eq!(kind(import(&elsewhere, &[5; 32], None)), ErrorKind::WrongKey);
        let garbage = kms.import_material(&key, &[1; 512], &parameters.token, None, &reason());
        assert_eq!(kind(garbage), ErrorKind::WrongKey);
        days.store(1, Ordering::Relaxed);
        assert_eq!(kind(import(&parameters, &[5; 32], None)), ErrorKind::KeyNotUsable);
        days.store(0, Ordering::Relaxed);
        import(&parameters, &[5; 32], None).unwrap();
        let bytes = works(&kms, &key).await.unwrap();
        assert_eq!(kind(import(&parameters, &[5; 32], None)), ErrorKind::WrongKey);
        assert_eq!(kind(kms.rotate(&key, None)), ErrorKind::KeyNotUsable);

        kms.delete_imported_material(&key, &reason()).unwrap();
        assert_eq!(works(&kms, &key).await.unwrap_err().kind(), ErrorKind::KeyNotUsable);
        let parameters = kms.parameters_for_import(&key).unwrap();
        assert_eq!(kind(import(&parameters, &[6; 32], None)), ErrorKind::KeyNotUsable);
        let end = kms.surroundings.now().plus_days(10);
        assert_eq!(
            kind(import(&parameters, &[5; 32], Some(Timestamp::EPOCH))),
            ErrorKind::BadInput
        );
        import(&parameters, &[5; 32], Some(end)).unwrap();
        assert_eq!(*kms.unwrap(&key, &bytes, &context()).await.unwrap().expose(), [7; 32]);
        days.store(10, Ordering::Relaxed);
        let error = kms.unwrap(&key, &bytes, &context()).await.unwrap_err();
        assert!(error.message().contains("has expired"), "{error}");
        kms.tend().unwrap();
        assert!(!kms.key(&key).unwrap().material[0].present);
    }

    #[tokio::test]
    async fn an_asymmetric_key_has_its_one_use() {
        let bench = Bench::new();
        let kms = bench.open();
        let [opens, signs]: [KmsKeyRef; 2] = ["local:opens", "local:signs"].map(|key| key.parse().unwrap());
        kms.create_kms_key(&opens, NewKmsKey::of(KmsKeySpec::Rsa3072)).unwrap();
        kms.create_kms_key(&signs, NewKmsKey::of(KmsKeySpec::Ed25519)).unwrap();
        rsa::PublicKey::from_public_key_der(&kms.public_key(&opens).unwrap()).unwrap();
        assert_eq!(
            kms.public_key(&signs).unwrap(),
            kms.signer(&signs).unwrap().public_key().unwrap()
        );
        let shown = format!("{:?} {:?}", kms.identity(&opens).unwrap(), kms.signer(&signs).unwrap());
        assert_eq!(shown, "Identity(****) ExchangeSigner(****)");
        for (kind, expected) in [
            (kms.identity(&signs).unwrap_err().kind(), ErrorKind::KeyNotUsable),
            (kms.identity(&main_key()).unwrap_err().kind(), ErrorKind::KeyNotUsable),
            (kms.signer(&opens).unwrap_err().kind(), ErrorKind::KeyNotUsable),
            (kms.public_key(&main_key()).unwrap_err().kind(), ErrorKind::KeyNotUsable),
            (works(&kms, &opens).await.unwrap_err().kind(), ErrorKind::KeyNotUsable),
            (works(&kms, &signs).await.unwrap_err().kind(), ErrorKind::KeyNotUsable),
            (kms.rotate(&opens, None).unwrap_err().kind(), ErrorKind::KeyNotUsable),
        ] {
            assert_eq!(kind, expected);
        }
        kms.disable(&signs, &reason()).unwrap();
        assert_eq!(kms.signer(&signs).unwrap_err().kind(), ErrorKind::KeyNotUsable);
        for new in [
            NewKmsKey::of(KmsKeySpec::Rsa4096).external(),
            NewKmsKey::of(KmsKeySpec::Ed25519).with_rotation(Some(365)),
            NewKmsKey::default().external().with_rotation(Some(365)),
        ] {
            assert!(
                kms.create_kms_key(&"local:none".parse().unwrap(), new).is_err(),
                "{new:?}"
            );
        }
    }
}
