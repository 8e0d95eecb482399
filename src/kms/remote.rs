//! What every client of a remote KMS does alike: it works off the async threads, with patience that ends, over few connections, and says nothing secret.

#[cfg(feature = "kms-http")]
pub(super) mod http;
#[cfg(any(feature = "kms-azure", feature = "kms-gcp"))]
pub(super) mod oauth;
#[cfg(feature = "kms-tls")]
pub(super) mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;

use backon::{BlockingRetryable as _, ExponentialBuilder};
use tokio::sync::Semaphore;

use super::Patience;
#[cfg(feature = "kms-azure")]
use crate::Secret;
use crate::keys::KmsKeyRef;
#[cfg(feature = "kms-azure")]
use crate::keys::WrapContext;
use crate::{Error, ErrorKind, Result};

/// Where the questions of one client queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    places: Arc<Semaphore>,
    #[cfg(feature = "kms-pkcs11")]
    answer: std::time::Duration,
}

impl Queue {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            places: Arc::new(Semaphore::new(patience.connections)),
            #[cfg(feature = "kms-pkcs11")]
            answer: patience.answer,
        }
    }

    /// Does `work`, which may wait, on a thread that may wait, once a place is free.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
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
    pub(super) async fn run_or_leave<T: Send + 'static>(
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

/// The error for `what` that took too long.
#[cfg(any(feature = "kms-http", feature = "kms-pkcs11"))]
pub(super) fn in_time(what: &str, which: &str) -> Error {
    Error::new(
        ErrorKind::ProviderDown,
        format!("{what} does not answer in time ({which})"),
    )
    .with_hint("CIPHERFORM_KMS_TIMEOUT gives it more seconds for one answer; the default is 10")
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The next one may succeed.
    Passing(Error),
    /// Asking again changes nothing.
    Lasting(Error),
}

impl Failure {
    /// The error, however long it lasts.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Passing(error) | Self::Lasting(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

/// Attempts until one succeeds, one fails for good, or patience ends.
pub(super) fn attempt<T>(patience: Patience, once: impl FnMut() -> Result<T, Failure>) -> Result<T> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(patience.pause)
        .with_jitter()
        .with_max_times(patience.attempts.saturating_sub(1) as usize);
    let done = once
        .retry(pauses)
        .when(|failure| matches!(failure, Failure::Passing(_)))
        .notify(|failure, pause| {
            if let Failure::Passing(error) = failure {
                tracing::debug!(kind = ?error.kind(), ?pause, "a KMS is asked again: {error}");
            }
        })
        .call();
    done.map_err(|failure| match failure {
        Failure::Lasting(error) => error,
        Failure::Passing(error) => match patience.attempts {
            0 | 1 => error,
            attempts => error.context(format_args!("after {attempts} attempts")),
        },
    })
}

/// What is wrapped where a service binds no context: the key and a digest of its context.
#[cfg(feature = "kms-azure")]
pub(super) fn with_digest(plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Secret<Vec<u8>> {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(context.to_bytes());
    Secret::new([plaintext.expose().as_slice(), &digest].concat())
}

/// The key of what [`with_digest`] made for the same context.
#[cfg(feature = "kms-azure")]
pub(super) fn without_digest(unwrapped: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Secret<Vec<u8>>> {
    use sha2::{Digest as _, Sha256};
    use subtle::ConstantTimeEq as _;
    let digest = Sha256::digest(context.to_bytes());
    match unwrapped.expose().split_last_chunk::<32>() {
        Some((key, bound)) if bool::from(bound.ct_eq(digest.as_slice())) => Ok(Secret::new(key.to_vec())),
        _ => Err(does_not_unwrap()),
    }
}

/// The error for wrapped bytes that do not authenticate.
pub(super) fn does_not_unwrap() -> Error {
    Error::new(
        ErrorKind::WrongKey,
        "the wrapped bytes do not unwrap: another key, another context, or changed bytes",
    )
    .with_hint("the KMS key must be the one of then; if it is, restore the keyring from a backup")
}

/// The error for a key that the service does not have.
pub(super) fn no_such_key(service: &str) -> Error {
    Error::new(ErrorKind::KeyNotFound, format!("{service} has no such key"))
        .with_hint("check the reference, letter by letter; a deleted key is gone with what it wrapped")
}

/// The part of a reference before `?`, and the parameters behind it.
pub(super) fn parameters(key: &KmsKeyRef) -> Result<(&str, BTreeMap<&str, String>)> {
    let Some((path, query)) = key.rest().split_once('?') else {
        return Ok((key.rest(), BTreeMap::new()));
    };
    let mut parameters = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| malformed(key, &format!("`{pair}` is not NAME=VALUE")))?;
        if parameters
            .insert(
                name,
                decode(value).ok_or_else(|| malformed(key, "a `%` is not followed by two hexadecimal digits"))?,
            )
            .is_some()
        {
            return Err(malformed(key, &format!("`{name}` stands twice")));
        }
    }
    Ok((path, parameters))
}

/// Percent-decoded text.
pub(super) fn decode(text: &str) -> Option<String> {
    String::from_utf8(decode_bytes(text)?).ok()
}

/// Percent-decoded bytes.
pub(super) fn decode_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                hex::decode(digits).ok()?[0]
            }
            byte => byte,
        });
    }
    Some(bytes)
}

/// The error for a reference that this provider cannot read.
pub(super) fn malformed(key: &KmsKeyRef, why: &str) -> Error {
    Error::bad_input(format!("the KMS key reference is not one of `{}`: {why}", key.scheme()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn quick() -> Patience {
        Patience {
            pause: Duration::from_millis(1),
            ..Patience::default()
        }
    }

    #[test]
    fn asks_again_only_where_it_may_help() {
        let down = || Error::new(ErrorKind::ProviderDown, "no answer");
        let mut asked = 0;
        let answer = attempt(quick(), || {
            asked += 1;
            if asked < 3 {
                Err(Failure::Passing(down()))
            } else {
                Ok(asked)
            }
        });
        assert_eq!(answer.unwrap(), 3);

        let mut asked = 0;
        let answer = attempt::<()>(quick(), || {
            asked += 1;
            Err(Failure::Passing(down()))
        });
        assert_eq!(
            (asked, answer.unwrap_err().message()),
            (4, "after 4 attempts: no answer")
        );

        let mut asked = 0;
        let answer = attempt::<()>(quick(), || {
            asked += 1;
            Err(Failure::Lasting(down()))
        });
        assert_eq!((asked, answer.unwrap_err().message()), (1, "no answer"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn few_at_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let queue = Queue::new(Patience {
            connections: 2,
            ..quick()
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

    #[test]
    fn references_have_parameters() {
        let key = "x:path/a?one=1%2F2&two=".parse().unwrap();
        let (path, parameters) = parameters(&key).unwrap();
        assert_eq!(path, "path/a");
        assert_eq!(parameters["one"], "1/2");
        assert_eq!(parameters["two"], "");
        for bad in ["x:p?one", "x:p?one=1&one=2", "x:p?one=%2"] {
            assert!(super::parameters(&bad.parse().unwrap()).is_err(), "{bad}");
        }
    }
}
