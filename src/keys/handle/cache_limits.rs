//! Limits of the cache.

use std::time::Duration;

/// How long unwrapped keys stay in memory.
///
/// A key is fetched when it is first asked for, and again once it is older than `ttl` or was given out `max_uses` times. From `refresh` on it is renewed
/// early: if the KMS is down just then, the key serves on until `ttl`, and is then refused. What the KMS refuses outright is refused at once.
///
/// Whoever has been given a key, such as a running job, keeps it until it is `max_hold` old.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CacheLimits {
    /// The age at which a key is given out no more. One hour, unless said otherwise.
    pub ttl: Duration,
    /// The age from which a key is renewed early: nine tenths of `ttl`, unless said otherwise.
    pub refresh: Duration,
    /// How often a fetched key is given out. Without limit, unless said otherwise.
    pub max_uses: u64,
    /// The age to which a job may keep a key. One day, unless said otherwise.
    pub max_hold: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(3_600),
            refresh: Duration::from_secs(3_240),
            max_uses: u64::MAX,
            max_hold: Duration::from_secs(24 * 3_600),
        }
    }
}

impl CacheLimits {
    /// Sets the age at which a key is given out no more, and renews it from nine tenths of that on.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        (self.ttl, self.refresh) = (ttl, ttl * 9 / 10);
        self
    }

    /// Sets how often a fetched key is given out.
    #[must_use]
    pub fn with_max_uses(mut self, max_uses: u64) -> Self {
        self.max_uses = max_uses;
        self
    }

    /// Sets the age to which a job may keep a key.
    #[must_use]
    pub fn with_max_hold(mut self, max_hold: Duration) -> Self {
        self.max_hold = max_hold;
        self
    }
}
