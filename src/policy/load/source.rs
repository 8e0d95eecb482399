//! The text of a policy, for messages that say where in it something stands.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use crate::Error;

/// The text of a policy file.
pub(super) struct PolicySource<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
}

impl PolicySource<'_> {
    /// The place of `span`: `policy.toml:12:5`, line and column from 1, in characters.
    pub(super) fn at(&self, span: Range<usize>) -> String {
        // `get` and no index: a span past the text, or within a character, must not turn an error of the
        // policy into a panic.
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        // In characters, as editors count.
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        format!("{}:{line}:{column}", self.path.display())
    }

    /// Says where an error of the policy is.
    pub(super) fn place(&self, span: Range<usize>, error: Error) -> Error {
        error.context(self.at(span))
    }

    pub(super) fn error(&self, span: Range<usize>, message: impl Display) -> Error {
        Error::bad_policy(format!("{}: {message}", self.at(span)))
    }
}

/// A rule in the text of a policy.
pub(super) struct RuleSource<'a> {
    pub(super) policy: &'a PolicySource<'a>,
    pub(super) name: &'a str,
    /// The place of its format, or of its key if it names none.
    pub(super) span: Range<usize>,
}

impl RuleSource<'_> {
    pub(super) fn error(&self, span: Range<usize>, message: impl Display) -> Error {
        self.policy.error(span, format_args!("rule `{}`: {message}", self.name))
    }

    /// An error of the rule as a whole.
    pub(super) fn whole(&self, message: impl Display) -> Error {
        self.error(self.span.clone(), message)
    }

    /// Gives an error of what stands at `span` its place; the hint stays.
    pub(super) fn place(&self, span: Range<usize>, error: Error) -> Error {
        // The kind becomes that of a bad policy, whatever the value itself was refused with.
        let placed = self.error(span, error.message());
        match error.hint() {
            Some(hint) => placed.with_hint(hint.clone()),
            None => placed,
        }
    }
}
