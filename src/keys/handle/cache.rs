//! The cache of unwrapped keys: each is fetched once while it is fresh, however many tasks need it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::lock::Mutex as AsyncMutex;

use super::lease::{Clock, Lease};
use super::material::KeyMaterial;
use crate::keys::cache_limits::CacheLimits;
use crate::keys::ids::KeyVersionId;
use crate::{ErrorKind, Result};

type CacheSlot = Arc<AsyncMutex<Option<CacheEntry>>>;

struct CacheEntry {
    material: Arc<KeyMaterial>,
    lease: Lease,
    fetched: Instant,
    uses: u64,
    /// Time from which an early renewal may be tried.
    renewal: Instant,
}

/// Unwrapped keys, by version.
pub(crate) struct Cache {
    policy: CacheLimits,
    clock: Clock,
    slots: Mutex<HashMap<KeyVersionId, CacheSlot>>,
}

impl Cache {
    pub(crate) fn new(policy: CacheLimits, clock: Clock) -> Self {
        Self {
            policy,
            clock,
            slots: Mutex::default(),
        }
    }

    /// Returns the key of a version, by `fetch` if it is not cached, or not fresh. Other callers for the version wait
    /// meanwhile. Failures are not cached.
    pub(crate) async fn fetch_once(
        &self,
        version: KeyVersionId,
        fetch: impl Future<Output = Result<KeyMaterial>>,
    ) -> Result<(Arc<KeyMaterial>, Lease)> {
        // One slot a version, with a lock of its own that may be held across an await: tasks that need
        // one key queue behind a single request, and those that need another key do not wait for it.
        let slot = self.slot(version);
        let mut slot = slot.lock().await;
        // Read once the lock is held: the wait for another task's request may have been long.
        let now = (self.clock)();
        if let Some(entry) = slot.take_if(|entry| !self.serves(entry, now)) {
            // Dropped before the KMS is asked: past its limits the key leaves memory even if the answer
            // never comes. Jobs that hold a handle keep their own reference.
            drop(entry);
        }
        let due = slot.as_ref().is_none_or(|entry| now >= entry.renewal);
        if due {
            match fetch.await {
                Ok(material) => *slot = Some(self.entry(material, (self.clock)())),
                Err(error) => match &mut *slot {
                    // During an outage the key stays in use. Renewal is tried again after a while, not at every use.
                    Some(entry) if error.kind() == ErrorKind::ProviderDown => {
                        entry.renewal = now + self.policy.ttl.saturating_sub(self.policy.refresh) / 4;
                    }
                    _ => {
                        // Every other error is taken for an answer: permission was revoked, or the KMS
                        // key was disabled. The cached key would be a way around that.
                        *slot = None;
                        return Err(error);
                    }
                },
            }
        }
        let entry = slot.as_mut().expect("fetched just now, or fresh");
        // With no limit the count never matters, and must not wrap round to zero.
        entry.uses = entry.uses.saturating_add(1);
        Ok((Arc::clone(&entry.material), entry.lease.clone()))
    }

    fn serves(&self, entry: &CacheEntry, now: Instant) -> bool {
        // A monotonic clock: setting the system's clock back does not lengthen the life of a key.
        now.duration_since(entry.fetched) < self.policy.ttl && entry.uses < self.policy.max_uses
    }

    fn entry(&self, material: KeyMaterial, now: Instant) -> CacheEntry {
        CacheEntry {
            material: Arc::new(material),
            lease: Lease {
                clock: Arc::clone(&self.clock),
                fetched: now,
                ttl: self.policy.ttl,
                max_age: self.policy.max_hold,
            },
            fetched: now,
            uses: 0,
            // Counted from the answer, not from the request, like the age itself.
            renewal: now + self.policy.refresh,
        }
    }

    fn slot(&self, version: KeyVersionId) -> CacheSlot {
        // Held for the look-up alone, never across an await. The map is whole after a panic: each
        // insertion is one step.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(version).or_default())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::keys::KeyUse;
    use crate::{Error, Secret};

    /// A cache with a clock set by hand and a KMS that fails on command.
    struct CacheBench {
        cache: Cache,
        seconds: Arc<AtomicU64>,
        fetches: AtomicU64,
    }

    impl CacheBench {
        fn new(policy: CacheLimits) -> Self {
            let seconds = Arc::new(AtomicU64::new(0));
            let (start, told) = (Instant::now(), Arc::clone(&seconds));
            let clock: Clock = Arc::new(move || start + Duration::from_secs(told.load(Ordering::SeqCst)));
            Self {
                cache: Cache::new(policy, clock),
                seconds,
                fetches: AtomicU64::new(0),
            }
        }

        fn at(&self, seconds: u64) -> &Self {
            self.seconds.store(seconds, Ordering::SeqCst);
            self
        }

        fn fetches(&self) -> u64 {
            self.fetches.load(Ordering::SeqCst)
        }

        async fn get(&self, failure: Option<ErrorKind>) -> Result<Lease> {
            let fetch = async {
                self.fetches.fetch_add(1, Ordering::SeqCst);
                match failure {
                    Some(kind) => Err(Error::new(kind, "told to fail")),
                    None => KeyMaterial::try_new(KeyUse::Derive, Secret::new(vec![7; 32])),
                }
            };
            self.cache
                .fetch_once(KeyVersionId::from_bytes([1; 16]), fetch)
                .await
                .map(|(_, lease)| lease)
        }
    }

    const DOWN: Option<ErrorKind> = Some(ErrorKind::ProviderDown);

    #[tokio::test]
    async fn an_outage_is_carried_until_the_ttl_and_no_longer() {
        let bench = CacheBench::new(CacheLimits::default().with_ttl(Duration::from_secs(1_000)));
        bench.get(None).await.unwrap();
        bench.at(899).get(DOWN).await.unwrap();
        assert_eq!(bench.fetches(), 1, "fresh: nobody is asked");
        bench.at(900).get(DOWN).await.unwrap();
        assert_eq!(bench.fetches(), 2, "renewed early, in vain");
        bench.at(901).get(DOWN).await.unwrap();
        assert_eq!(bench.fetches(), 2, "not at every use");
        bench.at(999).get(DOWN).await.unwrap();
        // Twice, since failures are not cached either: the second call asks again.
        for _ in 0..2 {
            let error = bench.at(1_000).get(DOWN).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProviderDown);
        }
        bench.get(None).await.unwrap();
        // Fetched at 1000, so early renewal is due at 1900: the outage is not even seen.
        bench.at(1_899).get(DOWN).await.unwrap();
    }

    #[tokio::test]
    async fn early_renewal_starts_a_new_ttl() {
        let bench = CacheBench::new(CacheLimits::default().with_ttl(Duration::from_secs(1_000)));
        bench.get(None).await.unwrap();
        bench.at(950).get(None).await.unwrap();
        bench.at(1_800).get(DOWN).await.unwrap();
        assert_eq!(bench.fetches(), 2);
    }

    #[tokio::test]
    async fn a_refusal_is_not_an_outage() {
        let bench = CacheBench::new(CacheLimits::default().with_ttl(Duration::from_secs(1_000)));
        bench.get(None).await.unwrap();
        let refused = Some(ErrorKind::KeyNotUsable);
        assert_eq!(
            bench.at(900).get(refused).await.unwrap_err().kind(),
            ErrorKind::KeyNotUsable
        );
        assert!(
            bench.at(901).get(DOWN).await.is_err(),
            "and the key is gone from memory"
        );
    }

    #[tokio::test]
    async fn uses_are_counted() {
        let bench = CacheBench::new(CacheLimits::default().with_max_uses(3));
        for _ in 0..7 {
            bench.get(None).await.unwrap();
        }
        assert_eq!(bench.fetches(), 3);
    }

    #[tokio::test]
    async fn a_job_keeps_its_key_for_as_long_as_said() {
        let bench = CacheBench::new(CacheLimits::default().with_max_hold(Duration::from_secs(5_000)));
        let lease = bench.get(None).await.unwrap();
        assert!(lease.is_fresh() && lease.is_valid());
        bench.at(3_600);
        assert!(!lease.is_fresh() && lease.is_valid());
        bench.at(5_000);
        assert!(!lease.is_valid());
    }
}
