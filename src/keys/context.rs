//! The context of changes: clock and actor.

use std::fmt;
use std::sync::Arc;

use super::timestamp::Timestamp;

/// The clock and the actor of changes; by default the system's clock and `unknown`.
#[derive(Clone, Default)]
pub(crate) struct Context {
    clock: Option<Arc<dyn Fn() -> Timestamp + Send + Sync>>,
    actor: Option<Arc<str>>,
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        // An injected clock lets a test move through the periods of a key without waiting years.
        self.clock.as_ref().map_or_else(Timestamp::now, |clock| clock())
    }

    pub(crate) fn actor(&self) -> &str {
        // The actor is a claim of this process, not an authenticated identity: it says who, among those
        // who may unwrap, says to have done something.
        self.actor.as_deref().unwrap_or("unknown")
    }

    pub(crate) fn set_actor(&mut self, who: impl Into<Arc<str>>) {
        self.actor = Some(who.into());
    }

    pub(crate) fn set_clock(&mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) {
        self.clock = Some(Arc::new(clock));
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("actor", &self.actor)
            .finish_non_exhaustive()
    }
}
