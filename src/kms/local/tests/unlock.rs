//! Unlock methods, and changes of them.

use super::bench::*;
use crate::ErrorKind;
use crate::keys::*;
use crate::kms::*;
use std::sync::Arc;

#[tokio::test]
async fn a_passphrase_unlocks_it_once() {
    let bench = LocalKmsBench::new();
    let path = bench.path("deep/er/kms.json");
    LocalKms::create(&path, &passphrase("correct horse"), &name("main")).unwrap();

    let kms = LocalKms::open(&path, passphrase("correct horse"));
    let info = kms.describe(&"local:main".parse().unwrap()).await.unwrap();
    assert_eq!((info.manager.as_str(), info.state), ("local", KmsKeyState::Enabled));
    assert!(info.created.is_some());
    let key = |kms: &LocalKms| Arc::as_ptr(&kms.content(&path).unwrap().1);
    assert_eq!(key(&kms), key(&kms), "derived once");

    // Two spaces: a passphrase is taken byte for byte.
    let error = LocalKms::open(&path, passphrase("correct  horse")).list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.message().contains("wrong passphrase or damaged file"), "{error}");
    assert!(error.hint().unwrap().to_string().contains("try the passphrase again"));

    let error = LocalKms::open(&path, bench.unlock()).list().unwrap_err();
    assert!(error.message().contains("a passphrase unlocks it"), "{error}");
    let error = LocalKms::create(&bench.path("none.json"), &passphrase(""), &name("main")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
}

#[test]
fn another_key_file_does_not_unlock_it() {
    let bench = LocalKmsBench::new();
    LocalKms::create_key_file(&bench.path("other.key")).unwrap();
    let kms = LocalKms::open(bench.path("kms.json"), Unlock::KeyFile(bench.path("other.key")));
    let error = kms.list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.message().contains("wrong key file or damaged file"), "{error}");
}

#[test]
fn a_hostile_file_cannot_stall_us() {
    let bench = LocalKmsBench::new();
    let path = bench.path("passphrase.json");
    LocalKms::create(&path, &passphrase("correct horse"), &name("main")).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    // 4 TiB of memory and four million passes: what whoever can write the file would ask for.
    let hostile = text
        .replace("\"memory_kib\": 65536", "\"memory_kib\": 4294967295")
        .replace("\"passes\": 3", "\"passes\": 4000000");
    assert_ne!(text, hostile);
    std::fs::write(&path, hostile).unwrap();
    let error = LocalKms::open(&path, passphrase("correct horse")).list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert!(error.message().contains("out of bounds"), "{error}");
}

#[tokio::test]
async fn what_unlocks_it_is_changed_and_nothing_is_lost() {
    let bench = LocalKmsBench::new();
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
    assert!(error.hint().unwrap().to_string().contains("PBKDF2"), "{error:?}");
    let kms = LocalKms::open(bench.path("kms.json"), passphrase("battery staple"));
    kms.change_unlock(&bench.unlock(), PassphraseKdf::default()).unwrap();
    bench.open().unwrap(&main_key(), &bytes, &context()).await.unwrap();
}

#[tokio::test]
async fn another_kms_guards_it() {
    let bench = LocalKmsBench::new();
    let guard = MemoryKms::new().with_key("guard");
    let registry = KmsRegistry::new().with("memory", guard.clone());
    let (path, key): (_, KmsKeyRef) = (bench.path("kms.json"), "memory:guard".parse().unwrap());
    assert!(LocalKms::guarded_unlock(&path, &registry).await.unwrap().is_none());
    assert!(
        LocalKms::guarded_unlock(&bench.path("none.json"), &registry)
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
    // The other KMS fails before the file is changed: it must open as before.
    guard.fail_next(ErrorKind::ProviderDown);
    assert_eq!(
        kms.guard_by_kms(&key, &registry).await.unwrap_err().kind(),
        ErrorKind::ProviderDown
    );
    bench.open().list().unwrap();

    kms.guard_by_kms(&key, &registry).await.unwrap();
    let error = bench.open().list().unwrap_err();
    assert!(error.message().contains("KMS key `memory:guard` unlocks it"), "{error}");
    let unlock = LocalKms::guarded_unlock(&path, &registry).await.unwrap().unwrap();
    let opened = LocalKms::open(&path, unlock.clone()).approved_only();
    opened.unwrap(&main_key(), &bytes, &context()).await.unwrap();
    opened.create_key(&name("second")).unwrap();
    assert!(LocalKms::create(&bench.path("new.json"), &unlock, &name("main")).is_err());

    // A KMS key of the same name in another KMS.
    let stranger = KmsRegistry::new().with("memory", MemoryKms::new().with_key("guard"));
    let error = LocalKms::guarded_unlock(&path, &stranger).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    opened.change_unlock(&bench.unlock(), PassphraseKdf::default()).unwrap();
    bench.open().unwrap(&main_key(), &bytes, &context()).await.unwrap();
}

/// Without a keyring of the operating system the file stays as it is.
#[test]
fn without_a_keyring_of_the_operating_system_nothing_changes() {
    let bench = LocalKmsBench::new();
    let before = std::fs::read(bench.path("kms.json")).unwrap();
    if let Err(error) = bench.open().guard_by_os_keyring() {
        assert_eq!(error.kind(), ErrorKind::ProviderDown, "{error:?}");
        assert!(error.hint().is_some());
        assert_eq!(std::fs::read(bench.path("kms.json")).unwrap(), before);
    } else {
        let unlock = futures_util::FutureExt::now_or_never(LocalKms::guarded_unlock(
            &bench.path("kms.json"),
            &KmsRegistry::new(),
        ));
        let kms = LocalKms::open(bench.path("kms.json"), unlock.unwrap().unwrap().unwrap());
        kms.change_unlock(&bench.unlock(), PassphraseKdf::default()).unwrap();
        bench.open().list().unwrap();
    }
}
