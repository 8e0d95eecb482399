//! Settings of the clients of remote KMSs: environment variables, time-outs and retries.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::{Error, Result, Secret};

/// The settings of a client: environment variables, named as its KMS's own tools name them, and time-outs.
#[derive(Clone)]
pub struct Settings {
    variables: BTreeMap<String, Secret<String>>,
    timeouts: Timeouts,
    approved_only: bool,
}

/// Time-outs, retries and connections of a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Time-out for a connection.
    pub connect: Duration,
    /// Time-out for one response, connection included.
    pub response: Duration,
    /// Attempts for one request. Only what may succeed later is retried: no response, rate limits, failures of the
    /// server.
    pub attempts: u32,
    /// Pause before the second attempt. Each further one is about twice as long, and all are shortened at random.
    pub pause: Duration,
    /// Requests under way at once, and connections kept.
    pub connections: usize,
}

impl Default for Timeouts {
    /// Four attempts of ten seconds, 0.2 s, 0.4 s and 0.8 s apart; eight connections.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(10),
            attempts: 4,
            pause: Duration::from_millis(200),
            connections: 8,
        }
    }
}

impl Settings {
    /// Takes the environment variables of this process. `CIPHERFORM_KMS_TIMEOUT` is the time-out for one response, in
    /// seconds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) if that variable is not a number of seconds from 1 to 3,600.
    pub fn from_environment() -> Result<Self> {
        let mut settings = Self::empty();
        // Read once, when the client is made: what another thread sets later changes no client that is in
        // use.
        for (name, value) in std::env::vars_os() {
            // The passphrase of the local KMS is no KMS's business, and one more copy of it nobody's.
            if name == "CIPHERFORM_PASSPHRASE" {
                continue;
            }
            // No variable of a KMS needs bytes that are not UTF-8; others are skipped, not an error.
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                settings = settings.with(name, value);
            }
        }
        if let Some(text) = settings.get("CIPHERFORM_KMS_TIMEOUT") {
            let seconds = text.parse().ok().filter(|seconds| (1..=3_600).contains(seconds));
            let seconds = seconds.ok_or_else(|| {
                Error::bad_input("CIPHERFORM_KMS_TIMEOUT is not a number of seconds from 1 to 3600")
                    .with_hint("the default is 10")
            })?;
            settings.timeouts.response = Duration::from_secs(seconds);
            // To connect is a part of the response, and cannot be given more time than the whole.
            settings.timeouts.connect = settings.timeouts.connect.min(settings.timeouts.response);
        }
        Ok(settings)
    }

    /// Makes settings without variables.
    pub fn empty() -> Self {
        Self {
            variables: BTreeMap::new(),
            timeouts: Timeouts::default(),
            approved_only: false,
        }
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        // All values are secret, whatever their names: which of them are credentials only the provider
        // knows.
        self.variables.insert(name.into(), Secret::new(value.into()));
        self
    }

    /// Sets the time-outs.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Takes only what NIST has approved, as a policy with `approved_only = true` does: TLS by AES-GCM over P-256 and
    /// P-384, and no key that is of ChaCha20.
    #[must_use]
    pub fn approved_only(mut self) -> Self {
        self.approved_only = true;
        self
    }

    /// Tells whether only what NIST has approved is taken.
    pub fn is_approved_only(&self) -> bool {
        self.approved_only
    }

    /// Returns the time-outs.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Returns a variable, unless it is missing or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?.expose();
        // An empty variable is how scripts unset one.
        (!value.is_empty()).then_some(value.as_str())
    }

    /// Returns the secret in the variable `name`, or on the first line of the file that the variable `name_FILE` names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if that file cannot be read.
    pub fn secret(&self, name: &str) -> Result<Option<Secret<String>>> {
        if let Some(value) = self.get(name) {
            return Ok(Some(Secret::new(value.to_owned())));
        }
        // A file is better than a variable: children inherit variables, and other processes of the user
        // can read them.
        let Some(path) = self.get(&format!("{name}_FILE")) else {
            return Ok(None);
        };
        read_secret(Path::new(path)).map(Some)
    }
}

/// Reads the secret on the first line of a file.
pub(super) fn read_secret(path: &Path) -> Result<Secret<String>> {
    let text = std::fs::read_to_string(path).map(Secret::new);
    let text = text.map_err(|error| {
        Error::io(format!("cannot read `{}`", path.display()), error)
            .with_hint("a variable that ends in _FILE, or `pin-source`, names it as the place of a secret")
    })?;
    // Editors and `echo` end a file with a line feed, which is no part of the secret.
    Ok(Secret::new(text.expose().lines().next().unwrap_or_default().to_owned()))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            // Not even the names of the variables: they show which credentials this process has.
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_variable() {
        let text = format!("{:?}", Settings::empty().with("VAULT_TOKEN", "hvs.secret"));
        assert!(!text.contains("hvs.") && !text.contains("TOKEN"), "{text}");
    }
}
