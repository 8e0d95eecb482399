//! A limit on the requests that one client has under way.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::refusal::timed_out;
use crate::kms::settings::Timeouts;
use crate::{Error, Result};

/// Runs blocking work off the async threads, a few at a time. Clones share the limit.
#[derive(Clone, Debug)]
pub(in crate::kms) struct Limiter {
    permits: Arc<Semaphore>,
    response: Duration,
}

impl Limiter {
    pub(in crate::kms) fn new(timeouts: Timeouts) -> Self {
        Self {
            // A wide table asks for many keys at once. Without a limit each would open a connection, and
            // services answer that by limiting the rate.
            permits: Arc::new(Semaphore::new(timeouts.connections)),
            response: timeouts.response,
        }
    }

    /// Runs `work`, which may block, on a thread for blocking work, once fewer than the limit are under way.
    pub(in crate::kms) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // Tokio's own function panics outside a runtime; a library must not end a host process for that.
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
            Error::bad_input("the clients of remote KMSs are called within a Tokio runtime").with_source(error)
        })?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| Error::bug("the limiter of a KMS client was closed").with_source(error))?;
        // A blocking call on an async thread would stop all other tasks of that thread for seconds.
        let done = runtime.spawn_blocking(move || {
            // The permit belongs to the work, not to the future: if the caller is cancelled the work goes
            // on, and still counts.
            let _permit = permit;
            work()
        });
        done.await
            .map_err(|error| Error::bug("a KMS client panicked").with_source(error))?
    }

    /// Runs `work` of `service` that nothing can interrupt. Past the time-out for one response it is left to itself,
    /// on a thread that neither the limiter nor the end of the process waits for.
    pub(in crate::kms) async fn run_or_leave<T: Send + 'static>(
        &self,
        service: &'static str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let response = self.response;
        let waiting = move || {
            let (sender, receiver) = channel();
            // If nobody waits any more, the result cannot be sent, and a key in it is wiped.
            let work = move || drop(sender.send(work()));
            // A thread of its own rather than one of Tokio's: at its shutdown a runtime waits for its
            // blocking threads, and a hung module would keep the process from ending.
            std::thread::Builder::new()
                .spawn(work)
                .map_err(|error| Error::io("cannot start a thread", error))?;
            receiver.recv_timeout(response).unwrap_or_else(|error| match error {
                RecvTimeoutError::Timeout => Err(timed_out(service, "no response")),
                RecvTimeoutError::Disconnected => Err(Error::bug("a KMS client panicked")),
            })
        };
        self.run(waiting).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn few_at_once() {
        let limiter = Limiter::new(Timeouts {
            connections: 2,
            ..Timeouts::default()
        });
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (limiter, now, most) = (limiter.clone(), now.clone(), most.clone());
                tokio::spawn(async move {
                    let work = move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(2));
                        now.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    };
                    limiter.run(work).await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }
}
