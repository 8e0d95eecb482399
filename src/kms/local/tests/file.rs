//! The file: authentic, private, whole, in every format.

use super::bench::*;
use crate::ErrorKind;
use crate::cipher::Direction;
use crate::keys::*;
use crate::kms::conformance;
use crate::kms::*;
use std::path::Path;

#[tokio::test]
async fn a_path_names_another_file() {
    let bench = LocalKmsBench::new();
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

#[test]
fn nothing_is_overwritten() {
    let bench = LocalKmsBench::new();
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
    let bench = LocalKmsBench::new();
    let error = LocalKms::open(bench.path("none.json"), bench.unlock())
        .list()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileNotFound);
    assert!(error.hint().unwrap().to_string().contains("restore a backup"));
}

#[test]
fn every_changed_byte_is_noticed() {
    let bench = LocalKmsBench::new();
    bench.open().create_key(&name("second")).unwrap();
    let bytes = std::fs::read(bench.path("kms.json")).unwrap();
    for position in 0..bytes.len() {
        // The second changes the case of letters in names and base64.
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
fn no_key_is_lost() {
    let bench = LocalKmsBench::new();
    std::thread::scope(|scope| {
        // Each opens the file for itself, as four processes would.
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
    let bench = LocalKmsBench::new();
    let kms = bench.open();
    kms.create_key(&name("second")).unwrap();
    let (content, unlock_key) = kms.content(&kms.path).unwrap();
    let [first, second] = [&content.keys[0], &content.keys[1]];
    // As under a right MAC: the associated data refuse it by themselves.
    let moved = content.open_material(second.id, &first.material[0], &unlock_key);
    assert_eq!(moved.unwrap_err().kind(), ErrorKind::WrongKey);
}

/// A file of format 1, written by the program as it was then, opens; the first change writes it in today's format,
/// and what it wrapped still unwraps.
#[tokio::test]
async fn format_1_is_read_and_converted() {
    let bench = LocalKmsBench::new();
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
                .handle(&version.parse().unwrap(), Direction::Decrypt)
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

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = LocalKmsBench::new();
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
    let bench = LocalKmsBench::new();
    let kms = bench.open();
    let (_, unlock_key) = kms.content(&kms.path).unwrap();
    let shown = format!("{kms:?} {:?}", LocalKms::open("x", passphrase("correct horse")));
    assert!(shown.contains("****"));
    assert!(!shown.contains("horse") && !shown.contains(&hex::encode(unlock_key.expose())));
    assert!(!shown.contains(&format!("{:?}", unlock_key.expose())));
}
