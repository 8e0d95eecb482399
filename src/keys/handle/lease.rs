//! Leases of cached keys.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A monotonic clock.
pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// The age of a fetched key, with its limits.
#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) clock: Clock,
    pub(crate) fetched: Instant,
    pub(crate) ttl: Duration,
    pub(crate) max_age: Duration,
}

impl Lease {
    pub(crate) fn is_fresh(&self) -> bool {
        // Two limits: `ttl` for handing the key out again, `max_age` for the job that has it already.
        self.age() < self.ttl
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.age() < self.max_age
    }

    fn age(&self) -> Duration {
        // `duration_since` is zero if the clock reads earlier, so it cannot panic.
        (self.clock)().duration_since(self.fetched)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}
