//! Retries with growing pauses.

use backon::{BlockingRetryable as _, ExponentialBuilder};

use crate::kms::settings::Timeouts;
use crate::{Error, Result};

/// A failed attempt.
#[derive(Debug)]
pub(in crate::kms) enum Failure {
    /// Another attempt may succeed.
    Passing(Error),
    /// Another attempt would fail, too.
    Lasting(Error),
}

impl Failure {
    /// Returns the error, whether or not another attempt may succeed.
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

/// Runs `once` until it succeeds, fails for good, or the attempts of `timeouts` are used up.
pub(in crate::kms) fn attempt<T>(timeouts: Timeouts, once: impl FnMut() -> Result<T, Failure>) -> Result<T> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(timeouts.pause)
        // Without it the many workers of a job, stopped by one outage, would all ask again at the same
        // moment.
        .with_jitter()
        // The first attempt is none of the retries.
        .with_max_times(timeouts.attempts.saturating_sub(1) as usize);
    let done = once
        .retry(pauses)
        // Every request here may be sent twice: none changes anything in the KMS, and a data key that was
        // generated for an answer that got lost is used by nobody.
        .when(|failure| matches!(failure, Failure::Passing(_)))
        .notify(|failure, pause| {
            if let Failure::Passing(error) = failure {
                tracing::debug!(kind = ?error.kind(), ?pause, "retrying a KMS request: {error}");
            }
        })
        .call();
    done.map_err(|failure| match failure {
        Failure::Lasting(error) => error,
        Failure::Passing(error) => match timeouts.attempts {
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

    fn quick() -> Timeouts {
        Timeouts {
            pause: Duration::from_millis(1),
            ..Timeouts::default()
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
