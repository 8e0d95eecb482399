//! Files of SQLite, made by the tests.

use super::*;
use crate::tokens::conformance;

#[tokio::test]
async fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.db");
    let (one, two) = (
        SqliteTokens::open(&path).await.unwrap(),
        SqliteTokens::open(&path).await.unwrap(),
    );
    assert_eq!(one.id(), two.id());
    conformance::check(Arc::new(one)).await.unwrap();
    conformance::check(Arc::new(two)).await.unwrap();
}

#[test]
fn many_may_open_a_new_store_at_once() {
    for _ in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.db");
        let start = std::sync::Barrier::new(8);
        let ids: Vec<StoreId> = std::thread::scope(|scope| {
            let open = || {
                start.wait();
                SqliteTokens::open_blocking(path.clone()).unwrap().id
            };
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }
}

#[tokio::test]
async fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(
        &text,
        "this is not a database, but long enough to be taken for one".repeat(20),
    )
    .unwrap();
    let error = SqliteTokens::open(&text).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput, "{error}");
    let other = folder.path().join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    let error = SqliteTokens::open(&other).await.unwrap_err();
    assert!(error.message().contains("no token store"), "{error}");
    let error = SqliteTokens::open(&folder.path().join("no/folder.db"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.db");
    let store = SqliteTokens::open(&path).await.unwrap();
    store.domain("card", KeyVersionId::random().unwrap()).await.unwrap();
    for name in ["tokens.db", "tokens.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_file_of_the_version_before_gets_tags() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.db");
    let id = SqliteTokens::open(&path).await.unwrap().id();
    let before = "ALTER TABLE cipherform_tokens DROP COLUMN tag; PRAGMA user_version = 1;";
    Connection::open(&path).unwrap().execute_batch(before).unwrap();
    for _ in 0..2 {
        let store = SqliteTokens::open(&path).await.unwrap();
        assert_eq!(store.id(), id);
        conformance::check(Arc::new(store)).await.unwrap();
    }
}
