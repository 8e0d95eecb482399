//! Limiter.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::refusal::in_time;
use crate::kms::settings::Patience;
use crate::{Error, Result};

/// Where the questions of one client queue.
#[derive(Clone, Debug)]
pub(in crate::kms) struct Queue {
    places: Arc<Semaphore>,
    #[cfg(feature = "kms-pkcs11")]
    answer: std::time::Duration,
}

impl Queue {
    pub(in crate::kms) fn new(patience: Patience) -> Self {
        Self {
            places: Arc::new(Semaphore::new(patience.connections)),
            #[cfg(feature = "kms-pkcs11")]
            answer: patience.answer,
        }
    }

    /// Does `work`, which may wait, on a thread that may wait, once a place is free.
    pub(in crate::kms) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
            Error::bad_input("the clients of remote KMSs are called within a Tokio runtime").with_source(error)
        })?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|error| Error::bug("the queue of a KMS client was closed").with_source(error))?;
        let done = runtime.spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await
            .map_err(|error| Error::bug("a KMS client panicked").with_source(error))?
    }

    /// As [`run`](Self::run), for work that nothing can interrupt: if it takes longer than patience for one answer, it is left to
    /// itself, on a thread that neither the queue nor the end of the process waits for.
    #[cfg(feature = "kms-pkcs11")]
    pub(in crate::kms) async fn run_or_leave<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        use std::sync::mpsc::{RecvTimeoutError, channel};
        let answer = self.answer;
        let waiting = move || {
            let (sender, receiver) = channel();
            // Nobody waits for the answer any more if it cannot be sent; a key in it is wiped then.
            let work = move || drop(sender.send(work()));
            std::thread::Builder::new()
                .spawn(work)
                .map_err(|error| Error::io("cannot start a thread", error))?;
            receiver.recv_timeout(answer).unwrap_or_else(|error| match error {
                RecvTimeoutError::Timeout => Err(in_time(what, "no answer")),
                RecvTimeoutError::Disconnected => Err(Error::bug("a KMS client panicked")),
            })
        };
        self.run(waiting).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn few_at_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let queue = Queue::new(Patience {
            connections: 2,
            ..Patience::default()
        });
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (queue, now, most) = (queue.clone(), now.clone(), most.clone());
                tokio::spawn(async move {
                    let work = move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(2));
                        now.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    };
                    queue.run(work).await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }
}
