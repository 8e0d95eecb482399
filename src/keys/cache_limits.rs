//! Limits on how long unwrapped keys stay in memory.

use std::time::Duration;

/// Limits on how long, and how often, unwrapped keys are used from memory.
///
/// A key is fetched when it is first needed, and again once it is older than `ttl` or was handed out `max_uses`
/// times. From `refresh` on it is renewed early: if the KMS is down just then, the key stays in use until `ttl`, and
/// is then refused. A refusal by the KMS takes effect at once.
///
/// A running job keeps its key until that is `max_hold` old.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CacheLimits {
    /// Age from which a key is no longer handed out; one hour by default.
    pub ttl: Duration,
    /// Age from which a key is renewed early; nine tenths of `ttl` by default.
    pub refresh: Duration,
    /// Times that a fetched key is handed out; unlimited by default.
    pub max_uses: u64,
    /// Age to which a job may keep a key; one day by default.
    pub max_hold: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            // The age is also how long a revoked permission may go unnoticed: a KMS that is not asked
            // cannot refuse.
            ttl: Duration::from_secs(3_600),
            refresh: Duration::from_secs(3_240),
            max_uses: u64::MAX,
            // Longer than `ttl`, since a job that stopped in the middle of a table would be worse than an
            // older key; but not for ever, or a service that never ends would never hear of a revocation.
            max_hold: Duration::from_secs(24 * 3_600),
        }
    }
}

impl CacheLimits {
    /// Sets the age from which a key is no longer handed out, and renews it from nine tenths of that on.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        // The last tenth is the time in which an outage of the KMS is bridged.
        (self.ttl, self.refresh) = (ttl, ttl * 9 / 10);
        self
    }

    /// Sets how often a fetched key is handed out.
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
