//! What every client of a remote KMS does alike: it works off the async threads, with patience that ends, over few connections, and says nothing secret.

use backon::{BlockingRetryable as _, ExponentialBuilder};

use crate::kms::settings::Patience;
use crate::{Error, Result};

/// Why an attempt failed.
#[derive(Debug)]
pub(in crate::kms) enum Failure {
    /// The next one may succeed.
    Passing(Error),
    /// Asking again changes nothing.
    Lasting(Error),
}

impl Failure {
    /// The error, however long it lasts.
    pub(in crate::kms) fn into_error(self) -> Error {
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
pub(in crate::kms) fn attempt<T>(patience: Patience, once: impl FnMut() -> Result<T, Failure>) -> Result<T> {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ErrorKind;

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
}
