use super::*;
use crate::keys::{KeyUse, Keyring, KmsRegistry, Operation, Purpose};
use crate::kms::conformance;

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
async fn a_disabled_key_is_refused() {
    let bench = Bench::new();
    let kms = bench.open();
    let (mut content, unlock_key) = kms.content(&kms.path).unwrap();
    content.keys[0].state = KmsKeyState::Disabled;
    store::write_atomic(&kms.path, &content.seal(&unlock_key).unwrap(), store::PRIVATE).unwrap();
    let key = "local:main".parse().unwrap();
    assert_eq!(kms.describe(&key).await.unwrap().state, KmsKeyState::Disabled);
    assert_eq!(kms.usable(&key).unwrap_err().kind(), ErrorKind::KeyNotUsable);
}

#[tokio::test]
async fn sealed_keys_cannot_change_places() {
    let bench = Bench::new();
    let kms = bench.open();
    kms.create_key(&name("second")).unwrap();
    let (content, unlock_key) = kms.content(&kms.path).unwrap();
    let mut moved = content.keys[0].clone();
    moved.id = content.keys[1].id;
    assert_eq!(
        content.open_key(&moved, &unlock_key).unwrap_err().kind(),
        ErrorKind::WrongKey
    );
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
