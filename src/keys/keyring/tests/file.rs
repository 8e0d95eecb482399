//! The file of a keyring: authentic, private, whole.

#[allow(unused_imports)]
use super::bench::*;
use crate::ErrorKind;
use crate::cipher::Direction;
use crate::keys::*;
use crate::kms::MemoryKms;

#[tokio::test]
async fn an_older_copy_is_refused_by_who_has_seen_a_newer_one() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    assert_eq!(keyring.generation(), 2);
    assert!(bench.open().await.unwrap().not_older_than(2).is_ok());
    // The file is authentic; only the number that somebody remembers tells it from the newest.
    let error = bench.open().await.unwrap().not_older_than(3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(
        error.message().contains("generation 2, and 3 was seen before"),
        "{error}"
    );
}

#[tokio::test]
async fn missing_keys_say_what_to_do() {
    let bench = KeyringBench::new();
    let error = bench.open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileNotFound);
    assert!(error.hint().unwrap().to_string().contains("set up a policy"));

    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    // A misspelt name: the names that exist are listed, and nothing is created by accident.
    let error = keyring.handle(&reference("pij"), Direction::Encrypt).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotFound);
    assert!(error.message().contains("it has pii"), "{error}");
    assert!(error.hint().unwrap().to_string().contains("create key `pij`"));

    let error = keyring
        .handle(&reference("pii@2"), Direction::Encrypt)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.hint().map(ToString::to_string).as_deref()),
        (ErrorKind::KeyNotFound, Some("the versions of `pii` are 1"))
    );
    // Data that was protected with another keyring names such an id.
    let unknown = KeyVersionId::from_bytes([0; 16]);
    let error = keyring
        .handle_by_version_id("pii", unknown, Direction::Decrypt)
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
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let bytes = std::fs::read(bench.path()).unwrap();
    for position in 0..bytes.len() {
        // The second changes the case of letters: names, base64 and hexadecimal must not be read without
        // regard to it.
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
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("one"), KeyUse::Derive, None).await.unwrap();
    keyring.create_key(&name("two"), KeyUse::Derive, None).await.unwrap();
    let text = std::fs::read_to_string(bench.path()).unwrap();
    // Two keys of one keyring and one KMS key: each wrapped text is authentic by itself.
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
    let error = keyring.handle(&reference("one"), Direction::Decrypt).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.message().contains("key `one@1`"), "{error}");
}

#[tokio::test]
async fn a_keyring_of_another_kms_is_refused() {
    let bench = KeyringBench::new();
    bench.create().await;
    // The same reference, another KMS: such as a local KMS that was made anew under the old name.
    let other = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
    let error = Keyring::open(bench.path(), &other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.hint().unwrap().to_string().contains("belongs to this KMS"));
    let error = Keyring::open(bench.path(), &KmsRegistry::new()).await.unwrap_err();
    assert!(error.message().contains("no KMS client for scheme `memory`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_lost() {
    let bench = KeyringBench::new();
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
    // 4 tasks × 5 rounds × 2 changes, and creation and first key before: no change was made twice or
    // lost.
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
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    // Somebody restores a backup under a running process.
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

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    let mode = || std::fs::metadata(bench.path()).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o600);
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    assert_eq!(mode(), 0o600);
}

#[tokio::test]
async fn debug_and_file_show_no_key() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    let direct = KeyUse::Direct {
        mode: DirectMode::Ff1,
        bits: KeyBits::B256,
    };
    keyring.create_key(&name("pii"), direct, None).await.unwrap();
    let handle = keyring.handle(&reference("pii"), Direction::Encrypt).await.unwrap();
    let shown = format!(
        "{keyring:?} {handle:?} {}",
        std::fs::read_to_string(bench.path()).unwrap()
    );
    // In each form in which bytes could be printed: hexadecimal, a list of numbers, base64.
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
