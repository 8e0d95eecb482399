use std::path::PathBuf;

use super::*;
use crate::keys::{DirectMode, KeyBits, KeyUse, Purpose};
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
        KmsRegistry::new().with("memory", self.kms.clone())
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
    let info = keyring.rotate(&name("pii")).await.unwrap();
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
        keyring.rotate(&name("pii")).await.unwrap().versions[1].state,
        KeyState::Active
    );
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
                    keyring.rotate(&name("pii")).await.unwrap();
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
    let error = keyring.rotate(&name("pii")).await.unwrap_err();
    assert!(error.message().contains("older copy"), "{error}");

    std::fs::remove_file(bench.path()).unwrap();
    bench.create().await;
    let error = keyring.rotate(&name("pii")).await.unwrap_err();
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
        keyring.rotate(&name("pii")).await.unwrap_err().kind(),
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
    send(keyring.rotate(&name));
    send(keyring.handle(&key, Operation::Protect));
    send(keyring.handle_by_version_id("pii", KeyVersionId::from_bytes([0; 16]), Operation::Reveal));
}
