//! A KMS in memory, for tests: it counts calls, and fails on command.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::seal;
use crate::keys::{DataKey, KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState, WrapContext, random};
use crate::{Error, ErrorKind, Result, Secret};

/// A KMS whose keys end with the process. Clones are the same KMS; two made separately share no key, whatever their
/// names.
#[derive(Clone, Default)]
pub struct MemoryKms {
    state: Arc<Mutex<MemoryKmsState>>,
}

#[derive(Default)]
struct MemoryKmsState {
    keys: BTreeMap<String, Secret<Vec<u8>>>,
    failures: VecDeque<ErrorKind>,
    calls: Calls,
}

/// The number of calls of each method, failures included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Calls {
    /// Calls of `describe`.
    pub describe: u64,
    /// Calls of `generate_data_key`.
    pub generate_data_key: u64,
    /// Calls of `wrap`.
    pub wrap: u64,
    /// Calls of `unwrap`.
    pub unwrap: u64,
    /// Calls of `random`.
    pub random: u64,
}

impl MemoryKms {
    /// Makes a KMS without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key: `memory:NAME`.
    ///
    /// # Panics
    ///
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn with_key(self, name: &str) -> Self {
        // Random even in tests: two KMSs that are made separately must not unwrap for each other.
        let key = random::secret(32).expect("a system that runs tests has random bytes");
        self.state().keys.insert(name.to_string(), key);
        self
    }

    /// Makes the next call fail; several calls of this queue up.
    pub fn fail_next(&self, kind: ErrorKind) {
        self.state().failures.push_back(kind);
    }

    /// Returns the number of calls so far.
    pub fn calls(&self) -> Calls {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, MemoryKmsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and fails if a failure is queued.
    fn called(&self, count: impl FnOnce(&mut Calls) -> &mut u64) -> Result<MutexGuard<'_, MemoryKmsState>> {
        let mut state = self.state();
        // Failures count, too: tests check how often a KMS is asked during an outage.
        *count(&mut state.calls) += 1;
        match state.failures.pop_front() {
            Some(kind) => Err(Error::new(kind, "the memory KMS was told to fail")),
            None => Ok(state),
        }
    }
}

impl MemoryKmsState {
    fn key(&self, key: &KmsKeyRef) -> Result<&[u8]> {
        match self.keys.get(key.rest()) {
            Some(bytes) => Ok(bytes.expose()),
            None => Err(Error::new(
                ErrorKind::KeyNotFound,
                format!("the memory KMS has no key `{}`", key.rest()),
            )),
        }
    }
}

#[async_trait]
impl KmsClient for MemoryKms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        self.called(|calls| &mut calls.describe)?.key(key)?;
        Ok(KmsKeyInfo::new("memory", key.rest(), KmsKeyState::Enabled))
    }

    async fn generate_data_key(&self, key: &KmsKeyRef, length: usize, context: &WrapContext) -> Result<DataKey> {
        let state = self.called(|calls| &mut calls.generate_data_key)?;
        let plaintext = random::secret(length)?;
        let wrapped = seal::seal(state.key(key)?, &context.to_bytes(), plaintext.expose())?;
        Ok(DataKey { plaintext, wrapped })
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let state = self.called(|calls| &mut calls.wrap)?;
        seal::seal(state.key(key)?, &context.to_bytes(), plaintext.expose())
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let state = self.called(|calls| &mut calls.unwrap)?;
        seal::open(state.key(key)?, &context.to_bytes(), wrapped)
    }

    async fn random(&self, length: usize) -> Result<Secret<Vec<u8>>> {
        drop(self.called(|calls| &mut calls.random)?);
        random::secret(length)
    }
}

impl fmt::Debug for MemoryKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryKms")
            // The values are `Secret`, which prints as `****`.
            .field("keys", &state.keys)
            .field("calls", &state.calls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::conformance;

    #[tokio::test]
    async fn conforms() {
        let kms = MemoryKms::new().with_key("main");
        conformance::check(&kms, &"memory:main".parse().unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn fails_once_when_told() {
        let kms = MemoryKms::new().with_key("main");
        let key = "memory:main".parse().unwrap();
        kms.fail_next(ErrorKind::ProviderDown);
        assert_eq!(kms.describe(&key).await.unwrap_err().kind(), ErrorKind::ProviderDown);
        assert!(kms.describe(&key).await.is_ok());
        assert_eq!(
            kms.calls(),
            Calls {
                describe: 2,
                ..Calls::default()
            }
        );
    }

    #[test]
    fn debug_shows_no_key() {
        assert!(format!("{:?}", MemoryKms::new().with_key("main")).contains(r#"{"main": ****}"#));
    }
}
