//! The error type of the crate, with its kinds and hints.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::cipher::CipherError;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, by meaning. The message is for a person, the kind for a program.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value, file or argument does not fit.
    BadInput,
    /// The text of a policy or keyring is wrong, or disagrees with the data.
    BadPolicy,
    /// A file that should exist does not.
    FileNotFound,
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
    /// A bug of this crate.
    Bug,
}

impl From<CipherError> for Error {
    fn from(error: CipherError) -> Self {
        match error {
            // The number of the row and never its value: messages go to logs, which live longer than the
            // data.
            CipherError::InRow { row, error } => Self::from(*error).context(format_args!("row {row}")),
            // Wrong results of our own code on this processor. The caller's input is not at fault.
            CipherError::KernelFailsKnownAnswers { .. } => Self::bug(error.to_string()).with_source(error),
            CipherError::NoSuchKernel { ref available, .. } => {
                let hint = format!("one of: {}", available.join(", "));
                Self::bad_input(error.to_string()).with_hint(hint).with_source(error)
            }
            // What is left are lengths, radices, tweaks and numerals that do not fit: the caller's.
            _ => Self::bad_input(error.to_string()).with_source(error),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadInput => "bad input",
            Self::BadPolicy => "bad policy",
            Self::FileNotFound => "file not found",
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

/// A detail beside the kind, by which code of this crate tells errors apart. Nobody else sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(dead_code, reason = "each detail belongs to a feature")]
pub(crate) enum Detail {
    /// Another transaction was in the way, and this one was undone: it can run again at once.
    Conflict,
    /// The KMS does not implement the operation.
    UnsupportedOperation,
    /// The value of a row does not fit its format, for a reason that many values share.
    Misfit(&'static str),
}

/// An error: its kind, what happened, and often what to do about it.
///
/// Messages name positions, lengths, limits, columns, files and rules. They never hold a value of the data or a key.
pub struct Error(Box<ErrorParts>);

struct ErrorParts {
    kind: ErrorKind,
    detail: Option<Detail>,
    /// The message with its contexts, as [`Error::message`] gives it.
    message: String,
    /// The message alone.
    #[cfg_attr(
        not(feature = "cli"),
        allow(dead_code, reason = "only the command leaves folders out")
    )]
    bare: String,
    /// Innermost first.
    contexts: Vec<ErrorContext>,
    hint: Option<Hint>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// One context before the message of an error.
enum ErrorContext {
    Text(String),
    /// A file, by what it is: "keyring", "local KMS".
    File(&'static str, PathBuf),
}

impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::File(what, path) => write!(f, "{what} `{}`", path.display()),
        }
    }
}

impl Error {
    /// Makes an error of `kind` with the message `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let bare = message.into();
        // Boxed, since a `Result` is as large as the larger of its two sides, and each row may return
        // one.
        Self(Box::new(ErrorParts {
            kind,
            detail: None,
            message: bare.clone(),
            bare,
            contexts: Vec::new(),
            hint: None,
            source: None,
        }))
    }

    /// Makes an error of kind [`ErrorKind::BadInput`].
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadInput, message)
    }

    /// Makes an error of kind [`ErrorKind::BadPolicy`].
    pub fn bad_policy(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadPolicy, message)
    }

    /// Makes an error of kind [`ErrorKind::Bug`].
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// Makes an error of kind [`ErrorKind::Io`]: `message` says what was attempted, `error` is the cause.
    pub fn io(message: impl Into<String>, error: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, message).with_source(error)
    }

    /// Adds what to do about it, in place of an earlier hint. Faces print it on a line of its own.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Hint>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds `hint` unless the error has one already.
    #[must_use]
    pub(crate) fn or_hint(self, hint: impl Into<Hint>) -> Self {
        // The hint from where the error arose knows more than that of a caller.
        if self.0.hint.is_some() {
            self
        } else {
            self.with_hint(hint)
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds a detail.
    #[must_use]
    #[allow(dead_code, reason = "the features that need details may be off")]
    pub(crate) fn with_detail(mut self, detail: Detail) -> Self {
        self.0.detail = Some(detail);
        self
    }

    /// Puts `context` and a colon before the message: `column c_phone: …`.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Self {
        self.in_context(ErrorContext::Text(context.to_string()))
    }

    /// Puts a file before the message, by what it is and its path: ``keyring `keyring.json`: …``.
    #[must_use]
    pub(crate) fn in_file(self, what: &'static str, path: &Path) -> Self {
        self.in_context(ErrorContext::File(what, path.to_owned()))
    }

    fn in_context(mut self, context: ErrorContext) -> Self {
        // Kept beside the parts, since `message` returns a reference.
        self.0.message = format!("{context}: {}", self.0.message);
        self.0.contexts.push(context);
        self
    }

    /// Names the files of [`in_file`](Self::in_file) that are in `folder` by their names alone: for a folder that the
    /// person does not know.
    #[must_use]
    #[cfg(feature = "cli")]
    pub(crate) fn without_folder(mut self, folder: &Path) -> Self {
        // Made anew from its parts: a folder's name could also stand within the message, where it means
        // something else.
        let mut message = self.0.bare.clone();
        for context in &mut self.0.contexts {
            if let ErrorContext::File(_, path) = context
                && let Ok(name) = path.strip_prefix(folder)
            {
                *path = name.to_owned();
            }
            message = format!("{context}: {message}");
        }
        self.0.message = message;
        self
    }

    /// Copies the error; its causes are in the message of the copy.
    pub(crate) fn again(&self) -> Self {
        // Causes are trait objects and cannot be cloned, so their text goes into the message.
        let mut again = Self::new(self.kind(), self.to_string());
        // The detail, too: whoever runs a conflict again must know it in the copy as well.
        again.0.detail = self.0.detail;
        again.0.hint = self.0.hint.clone();
        again
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the detail beside the kind, if there is one.
    #[allow(dead_code, reason = "the features that need details may be off")]
    pub(crate) fn detail(&self) -> Option<Detail> {
        self.0.detail
    }

    /// Returns what happened, without causes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what to do about it, if that is known.
    pub fn hint(&self) -> Option<&Hint> {
        self.0.hint.as_ref()
    }
}

impl fmt::Display for Error {
    /// Writes the message, then the causes that it does not already contain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            // Libraries often repeat the text of their causes in their own.
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
        // As text, not as fields: test failures and logs of hosts print `Debug`, and the causes of others
        // could hold more than their text says.
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

/// Advice on what to do: words, and between them remedies that each face can word with its own commands or arguments.
///
/// `Display` is neutral: it names no command of any face.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hint(Vec<HintPart>);

/// One part of a [`Hint`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HintPart {
    /// Words that hold for every face.
    Text(Cow<'static, str>),
    /// Something that a face may have a command or an argument for.
    Remedy(Remedy),
}

impl Hint {
    /// Adds a part at the end.
    #[must_use]
    pub fn then(mut self, part: impl Into<HintPart>) -> Self {
        self.0.push(part.into());
        self
    }

    /// Adds all parts of `more` at the end.
    #[must_use]
    pub fn and(mut self, more: impl Into<Hint>) -> Self {
        self.0.extend(more.into().0);
        self
    }

    /// Returns the parts in order.
    pub fn parts(&self) -> &[HintPart] {
        &self.0
    }
}

impl<P: Into<HintPart>> From<P> for Hint {
    fn from(part: P) -> Self {
        Self(vec![part.into()])
    }
}

impl From<&Hint> for Hint {
    fn from(hint: &Hint) -> Self {
        hint.clone()
    }
}

impl From<String> for HintPart {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&'static str> for HintPart {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Remedy> for HintPart {
    fn from(remedy: Remedy) -> Self {
        Self::Remedy(remedy)
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            HintPart::Text(text) => f.write_str(text),
            // In words that hold everywhere: a hint in a log of Python must not name a command of the
            // shell.
            HintPart::Remedy(remedy) => write!(f, "{remedy}"),
        })
    }
}

/// Something to do that faces have commands or arguments for. `Display` is an imperative without them.
///
/// Names of data keys are as in the keyring, `pii`, or `pii@3` for a version; KMS keys are references, `local:main`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Remedy {
    /// Set up a policy with its keyring and KMS.
    Initialize,
    /// Name the file of the policy.
    NamePolicy,
    /// Create a data key, of that name if one is given.
    CreateKey(Option<String>),
    /// Create a data key that FF1 uses directly, instead of one that keys are derived from.
    CreateFf1Key,
    /// List the data keys of the keyring.
    ListKeys,
    /// Show a data key, with its versions and their states.
    DescribeKey(String),
    /// Say which version of the keys a file was protected with.
    NameKeyVersion,
    /// Give a data key a new version.
    RotateKey(String),
    /// Bring a version of a data key into use.
    ActivateVersion(String),
    /// Bring a suspended version of a data key back into use.
    ResumeVersion(String),
    /// Change how long the versions of a data key may be used.
    ChangePeriods(String),
    /// Change how many values a version of a data key may protect.
    ChangeLimit {
        /// The data key.
        key: String,
        /// The limit to set, if it is known.
        values: Option<u64>,
    },
    /// Move data keys to another KMS key.
    RewrapKeys,
    /// Import a partner's new version of a data key.
    ImportVersion(String),
    /// Show the public key that packages for partners are signed with.
    ShowPublicKey,
    /// Name the authority that signed a partner's certificate.
    NameAuthority,
    /// Give a reason.
    GiveReason,
    /// Write to another file, or allow replacing the existing one.
    ReplaceOutput,
    /// Find the values of a token store by the current version of its key.
    ReindexTokens,
    /// Show how full a token store is.
    ShowTokenStats,
    /// Verify the audit log.
    VerifyAuditLog,
    /// Take the present audit log for the keyring's own.
    AdoptAuditLog,
    /// Make a backup.
    MakeBackup,
    /// Restore a backup.
    RestoreBackup,
    /// Name the file of the local KMS.
    NameLocalKms,
    /// Create a key of the local KMS.
    CreateKmsKey {
        /// The kind of key, as the local KMS calls it; none for a symmetric one.
        spec: Option<String>,
        /// True if the material is imported.
        external: bool,
    },
    /// Enable a key of the local KMS.
    EnableKmsKey(String),
    /// Cancel the deletion of a key of the local KMS.
    CancelDeletion(String),
    /// Give a key of the local KMS new material.
    RotateKmsKey(Option<String>),
    /// Import material into a key of the local KMS; its import parameters come first.
    ImportMaterial(Option<String>),
    /// Create an alias of the local KMS.
    CreateAlias(Option<String>),
    /// Point an alias of the local KMS to another key.
    MoveAlias {
        /// The alias, without `local:alias/`.
        alias: Option<String>,
        /// The key that it should mean.
        to: Option<String>,
    },
    /// Read the policy of a key of the local KMS.
    ReadKeyPolicy(String),
    /// Read the policy of an identity, `user@host`.
    ReadIdentityPolicy(String),
    /// Put a key policy although it locks out whoever puts it.
    BypassLockoutCheck,
    /// Stretch the passphrase of the local KMS by PBKDF2.
    UsePbkdf2,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initialize => f.write_str("set up a policy and its keyring"),
            Self::NamePolicy => f.write_str("name the file of the policy"),
            Self::CreateKey(None) => f.write_str("create a key"),
            Self::CreateKey(Some(name)) => write!(f, "create key `{name}`"),
            Self::CreateFf1Key => f.write_str("create a key for FF1"),
            Self::ListKeys => f.write_str("list the keys"),
            Self::DescribeKey(name) => write!(f, "look at the versions of key `{name}`"),
            Self::NameKeyVersion => f.write_str("name the version of its keys"),
            Self::RotateKey(name) => write!(f, "give key `{name}` a new version"),
            Self::ActivateVersion(version) => write!(f, "activate `{version}`"),
            Self::ResumeVersion(version) => write!(f, "resume `{version}`"),
            Self::ChangePeriods(name) => write!(f, "make the periods of key `{name}` longer"),
            Self::ChangeLimit { key, values: None } => write!(f, "raise the limit of key `{key}`"),
            Self::ChangeLimit { key, values: Some(_) } => write!(f, "set the limit of key `{key}` again"),
            Self::RewrapKeys => f.write_str("rewrap the data keys"),
            Self::ImportVersion(name) => write!(f, "import the partner's new version of key `{name}`"),
            Self::ShowPublicKey => f.write_str("show the public key"),
            Self::NameAuthority => f.write_str("name the certificate of the authority"),
            Self::GiveReason => f.write_str("give the reason in a sentence, such as `staff change`"),
            Self::ReplaceOutput => f.write_str("choose another name, or allow replacing the file"),
            Self::ReindexTokens => f.write_str("re-index the token store"),
            Self::ShowTokenStats => f.write_str("look at the statistics of the token store"),
            Self::VerifyAuditLog => f.write_str("verify the audit log"),
            Self::AdoptAuditLog => f.write_str("take it for the keyring's own"),
            Self::MakeBackup => f.write_str("make a backup"),
            Self::RestoreBackup => f.write_str("restore a backup"),
            Self::NameLocalKms => f.write_str("name the file of the local KMS"),
            Self::CreateKmsKey { external: true, .. } => f.write_str("create a KMS key for imported material"),
            Self::CreateKmsKey { spec: None, .. } => f.write_str("create a KMS key"),
            Self::CreateKmsKey { spec: Some(spec), .. } => write!(f, "create a KMS key of kind {spec}"),
            Self::EnableKmsKey(key) => write!(f, "enable `{key}`"),
            Self::CancelDeletion(key) => write!(f, "cancel the deletion of `{key}`"),
            Self::RotateKmsKey(None) => f.write_str("rotate the KMS key"),
            Self::RotateKmsKey(Some(key)) => write!(f, "rotate `{key}`"),
            Self::ImportMaterial(None) => f.write_str("import the material of the KMS key"),
            Self::ImportMaterial(Some(key)) => write!(f, "import the material of `{key}`"),
            Self::CreateAlias(None) => f.write_str("create an alias"),
            Self::CreateAlias(Some(alias)) => write!(f, "create alias `{alias}`"),
            Self::MoveAlias { alias: None, .. } => f.write_str("move the alias"),
            Self::MoveAlias { alias: Some(alias), .. } => write!(f, "move alias `{alias}`"),
            Self::ReadKeyPolicy(key) => write!(f, "read the policy of `{key}`"),
            Self::ReadIdentityPolicy(identity) => write!(f, "read the policy of identity `{identity}`"),
            Self::BypassLockoutCheck => f.write_str("bypass the lockout check"),
            Self::UsePbkdf2 => f.write_str("stretch the passphrase by PBKDF2"),
        }
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

    #[test]
    fn a_hint_names_no_command_by_itself() {
        let hint = Hint::from("resume it, or ").then(Remedy::RotateKey("pii".to_owned()));
        assert_eq!(hint.to_string(), "resume it, or give key `pii` a new version");
        let error = Error::bad_input("no").with_hint("text").or_hint("other");
        assert_eq!(error.hint().map(ToString::to_string).as_deref(), Some("text"));
    }

    #[cfg(feature = "cli")]
    #[test]
    fn folders_that_nobody_knows_are_left_out() {
        let folder = Path::new("/tmp/x");
        let error = Error::bad_input("is damaged")
            .in_file("keyring", &folder.join("keyring.json"))
            .context("`b.json`")
            .without_folder(folder);
        assert_eq!(error.message(), "`b.json`: keyring `keyring.json`: is damaged");
    }
}
