//! A local KMS in a temporary folder, and helpers.

use crate::keys::*;
use crate::kms::*;
use crate::{Result, Secret};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) struct LocalKmsBench {
    pub(super) directory: tempfile::TempDir,
}

impl LocalKmsBench {
    /// A file `kms.json` with the key `main`, unlocked by the key file `unlock.key`.
    pub(super) fn new() -> Self {
        let bench = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        LocalKms::create_key_file(&bench.path("unlock.key")).unwrap();
        LocalKms::create(&bench.path("kms.json"), &bench.unlock(), &name("main")).unwrap();
        bench
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(super) fn unlock(&self) -> Unlock {
        Unlock::KeyFile(self.path("unlock.key"))
    }

    pub(super) fn open(&self) -> LocalKms {
        LocalKms::open(self.path("kms.json"), self.unlock())
    }
}

pub(super) fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

pub(super) fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Secret::new(text.to_string()))
}

pub(super) fn reason() -> Reason {
    "a test".parse().unwrap()
}

pub(super) fn main_key() -> KmsKeyRef {
    "local:main".parse().unwrap()
}

pub(super) fn context() -> WrapContext {
    WrapContext {
        keyring: KeyringId::from_bytes([1; 16]),
        data_key: DataKeyId::from_bytes([2; 16]),
        version: KeyVersionId::from_bytes([3; 16]),
        key_use: "derive".to_owned(),
    }
}

/// A clock that can be set, by days from now.
pub(super) fn clock(kms: LocalKms) -> (LocalKms, Arc<AtomicU32>) {
    let (days, start) = (Arc::new(AtomicU32::new(0)), Timestamp::now());
    let set = Arc::clone(&days);
    (
        kms.with_clock(move || start.plus_days(days.load(Ordering::Relaxed))),
        set,
    )
}

/// Wraps and unwraps with a key.
pub(super) async fn works(kms: &LocalKms, key: &KmsKeyRef) -> Result<Vec<u8>> {
    let wrapped = kms.wrap(key, &Secret::new(vec![7; 32]), &context()).await?;
    assert_eq!(*kms.unwrap(key, &wrapped, &context()).await?.expose(), [7; 32]);
    Ok(wrapped)
}
