//! The one error type.

use std::fmt;

use crate::cipher::CipherError;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by meaning; the text is for a person, the kind for a program.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value, file or argument does not fit.
    BadInput,
    /// The policy or keyring text is wrong, or disagrees with the data.
    BadPolicy,
    /// The policy or the KMS forbids it.
    NotAllowed,
    /// No key of that name or version.
    KeyNotFound,
    /// The key exists, but its state or its fixed use does not allow this.
    KeyNotUsable,
    /// A key, passphrase or tag does not authenticate what it should.
    WrongKey,
    /// A KMS or a token store does not answer.
    ProviderDown,
    /// The operating system refused a file operation.
    Io,
    /// The person asked to stop.
    Interrupted,
    /// Our own failure.
    Bug,
}

impl From<CipherError> for Error {
    fn from(error: CipherError) -> Self {
        match error {
            CipherError::InRow { row, error } => Self::from(*error).context(format_args!("row {row}")),
            CipherError::KernelFailsKnownAnswers { .. } => Self::bug(error.to_string()).with_source(error),
            CipherError::NoSuchKernel { ref available, .. } => {
                let hint = format!("one of: {}", available.join(", "));
                Self::bad_input(error.to_string()).with_hint(hint).with_source(error)
            }
            _ => Self::bad_input(error.to_string()).with_source(error),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadInput => "bad input",
            Self::BadPolicy => "bad policy",
            Self::NotAllowed => "not allowed",
            Self::KeyNotFound => "key not found",
            Self::KeyNotUsable => "key not usable",
            Self::WrongKey => "wrong key",
            Self::ProviderDown => "provider down",
            Self::Io => "I/O",
            Self::Interrupted => "interrupted",
            Self::Bug => "bug",
        })
    }
}

/// An error: its kind, what happened, and often what to do about it.
///
/// Messages name positions, lengths, limits, columns, files and rules. They never hold a value of the data or a key.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            source: None,
        }))
    }

    /// [`ErrorKind::BadInput`] that says `message`.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadInput, message)
    }

    /// [`ErrorKind::BadPolicy`] that says `message`.
    pub fn bad_policy(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadPolicy, message)
    }

    /// [`ErrorKind::Bug`] that says `message`.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// [`ErrorKind::Io`]: what was attempted, caused by `error`.
    pub fn io(message: impl Into<String>, error: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, message).with_source(error)
    }

    /// Adds the remedy, printed on a line of its own.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts `context` and a colon before the message: `column c_phone: …`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// Says `to` wherever the message says `from`: for a name that the person does not know.
    #[must_use]
    #[cfg(feature = "cli")]
    pub(crate) fn renamed(mut self, from: &str, to: &str) -> Self {
        self.0.message = self.0.message.replace(from, to);
        self
    }

    /// The same error once more: its causes are in its message.
    pub(crate) fn again(&self) -> Self {
        let again = Self::new(self.kind(), self.to_string());
        match self.hint() {
            Some(hint) => again.with_hint(hint),
            None => again,
        }
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened, without causes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it, if we know.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    /// The message, then the causes it does not already contain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !self.0.message.contains(&text) {
                write!(f, ": {text}")?;
            }
            // Our own errors have printed their causes already.
            cause = if error.is::<Error>() { None } else { error.source() };
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        match &self.0.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_joins_message_and_causes() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::io("cannot write `out.parquet`", io).context("protect");
        assert_eq!(error.to_string(), "protect: cannot write `out.parquet`: disk on fire");
        assert_eq!(error.kind(), ErrorKind::Io);
    }
}
