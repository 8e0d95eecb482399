//! What the clients of remote KMSs are told by their surroundings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::{Error, Result, Secret};

/// What a client may know of its surroundings: environment variables, as its KMS's own tools name them, and how long to wait.
#[derive(Clone)]
pub struct Settings {
    variables: BTreeMap<String, Secret<String>>,
    patience: Patience,
}

/// How long a client waits for its KMS, and how often it asks again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For one answer, connection included.
    pub answer: Duration,
    /// How often a question is asked at most. Only what may be repeated is: no answer, throttling, a failure of the server.
    pub attempts: u32,
    /// The pause before the second attempt; each further one is about twice as long, and all are shortened at random.
    pub pause: Duration,
    /// Questions under way at once, and connections kept.
    pub connections: usize,
}

impl Default for Patience {
    /// Four attempts of ten seconds, 0.2 s, 0.4 s and 0.8 s apart; eight connections.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            attempts: 4,
            pause: Duration::from_millis(200),
            connections: 8,
        }
    }
}

impl Settings {
    /// The environment variables of this process; `CIPHERFORM_KMS_TIMEOUT`, in seconds, is the patience for one answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) if that variable is not a number of seconds from 1 to 3,600.
    pub fn from_environment() -> Result<Self> {
        let mut settings = Self::empty();
        for (name, value) in std::env::vars_os() {
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
            settings.patience.answer = Duration::from_secs(seconds);
            settings.patience.connect = settings.patience.connect.min(settings.patience.answer);
        }
        Ok(settings)
    }

    /// No variable at all.
    pub fn empty() -> Self {
        Self {
            variables: BTreeMap::new(),
            patience: Patience::default(),
        }
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), Secret::new(value.into()));
        self
    }

    /// Sets how long to wait.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// How long to wait.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// A variable; an empty one is none.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?.expose();
        (!value.is_empty()).then_some(value.as_str())
    }

    /// A secret that stands in the variable `name`, or in the file that `name_FILE` names: there without the line feed behind it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if that file cannot be read.
    pub fn secret(&self, name: &str) -> Result<Option<Secret<String>>> {
        if let Some(value) = self.get(name) {
            return Ok(Some(Secret::new(value.to_owned())));
        }
        let Some(path) = self.get(&format!("{name}_FILE")) else {
            return Ok(None);
        };
        read_secret(Path::new(path)).map(Some)
    }
}

/// A secret from a file: its first line.
pub(super) fn read_secret(path: &Path) -> Result<Secret<String>> {
    let text = std::fs::read_to_string(path).map(Secret::new);
    let text = text.map_err(|error| {
        Error::io(format!("cannot read `{}`", path.display()), error)
            .with_hint("a variable that ends in _FILE, or `pin-source`, names it as the place of a secret")
    })?;
    Ok(Secret::new(text.expose().lines().next().unwrap_or_default().to_owned()))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("patience", &self.patience)
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
