//! Lease.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tells the time that passes.
pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How old a fetched key is, and may become.
#[derive(Clone)]
pub(crate) struct Hold {
    pub(crate) clock: Clock,
    pub(crate) fetched: Instant,
    pub(crate) ttl: Duration,
    pub(crate) longest: Duration,
}

impl Hold {
    pub(crate) fn is_fresh(&self) -> bool {
        self.age() < self.ttl
    }

    pub(crate) fn lasts(&self) -> bool {
        self.age() < self.longest
    }

    fn age(&self) -> Duration {
        (self.clock)().duration_since(self.fetched)
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}
