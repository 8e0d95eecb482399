//! The KMS behind a keyring: how often it is asked, and what its failures do.

#[allow(unused_imports)]
use super::bench::*;
use crate::ErrorKind;
use crate::cipher::Direction;
use crate::keys::*;

#[tokio::test]
async fn each_version_is_unwrapped_once() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    for i in 0..10 {
        keyring
            .create_key(&name(&format!("key{i}")), KeyUse::Derive, None)
            .await
            .unwrap();
    }
    let keyring = bench.open().await.unwrap();
    let before = bench.kms.calls().unwrap;
    // A wide table asks for its keys once a column; a KMS bills each request and limits their rate.
    for column in 0..1_000 {
        keyring
            .handle(&reference(&format!("key{}", column % 10)), Direction::Encrypt)
            .await
            .unwrap();
    }
    assert_eq!(bench.kms.calls().unwrap - before, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_version_is_unwrapped_once_by_many_tasks() {
    let bench = KeyringBench::new();
    bench
        .create()
        .await
        .create_key(&name("pii"), KeyUse::Derive, None)
        .await
        .unwrap();
    let keyring = std::sync::Arc::new(bench.open().await.unwrap());
    let before = bench.kms.calls().unwrap;
    // The first request fails: those who wait must ask again, and not be given its error.
    bench.kms.fail_next(ErrorKind::ProviderDown);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let keyring = keyring.clone();
            tokio::spawn(async move { keyring.handle(&reference("pii"), Direction::Encrypt).await.is_ok() })
        })
        .collect();
    let mut succeeded = 0;
    for task in tasks {
        succeeded += usize::from(task.await.unwrap());
    }
    assert_eq!(succeeded, 49, "one failed, and nobody else saw it");
    assert_eq!(bench.kms.calls().unwrap - before, 2);
}

#[tokio::test]
async fn a_failing_kms_changes_nothing() {
    let bench = KeyringBench::new();
    let mut keyring = bench.create().await;
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();
    let before = std::fs::read(bench.path()).unwrap();
    // The KMS fails before the file is touched: neither file nor memory may have half a version.
    bench.kms.fail_next(ErrorKind::ProviderDown);
    assert_eq!(
        keyring.rotate(&name("pii"), None).await.unwrap_err().kind(),
        ErrorKind::ProviderDown
    );
    assert_eq!(std::fs::read(bench.path()).unwrap(), before);
    assert_eq!(keyring.describe(&name("pii")).unwrap().versions.len(), 1);
}

/// Callers await inside tasks of any runtime.
#[tokio::test]
async fn futures_are_send() {
    fn send<T: Send>(_: T) {}
    let bench = KeyringBench::new();
    let (mut keyring, registry) = (bench.create().await, bench.registry());
    let (kms_key, name, key) = ("memory:main".parse().unwrap(), name("pii"), reference("pii"));
    send(Keyring::create(bench.path(), &kms_key, &registry));
    send(Keyring::open(bench.path(), &registry));
    send(keyring.create_key(&name, KeyUse::Derive, None));
    send(keyring.rotate(&name, None));
    send(keyring.handle(&key, Direction::Encrypt));
    send(keyring.handle_by_version_id("pii", KeyVersionId::from_bytes([0; 16]), Direction::Decrypt));
}
