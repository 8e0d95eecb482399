//! A keyring in a temporary folder, and helpers.

use crate::Result;
use crate::keys::*;
use crate::kms::MemoryKms;
use std::path::PathBuf;

pub(super) struct KeyringBench {
    pub(super) directory: tempfile::TempDir,
    pub(super) kms: MemoryKms,
}

impl KeyringBench {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            // Two KMS keys, so that keys can be guarded by another one than the root, and rewrapped.
            kms: MemoryKms::new().with_key("main").with_key("other"),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("keyring.json")
    }

    pub(super) fn registry(&self) -> KmsRegistry {
        KmsRegistry::new().with("memory", self.kms.clone()).with_actor("tester")
    }

    pub(super) async fn create(&self) -> Keyring {
        Keyring::create(self.path(), &"memory:main".parse().unwrap(), &self.registry())
            .await
            .unwrap()
    }

    pub(super) async fn open(&self) -> Result<Keyring> {
        Keyring::open(self.path(), &self.registry()).await
    }
}

pub(super) fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

pub(super) fn reference(text: &str) -> KeyRef {
    text.parse().unwrap()
}

pub(super) fn subkey(handle: &KeyHandle) -> Vec<u8> {
    handle
        .subkey(Purpose::Ff1, "domain", b"fingerprint", 32)
        .unwrap()
        .expose()
        .clone()
}

pub(super) fn reason() -> Reason {
    "the test wants it".parse().unwrap()
}

pub(super) fn state_of(keyring: &Keyring, number: u32) -> KeyState {
    let versions = keyring.describe(&name("pii")).unwrap().versions;
    versions.iter().find(|version| version.number == number).unwrap().state
}
