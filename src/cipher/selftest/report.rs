//! The findings of a self-test.

use std::fmt;

/// The findings of one part.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PartReport {
    /// The part: the name of a file, or a few words.
    pub name: String,
    /// Answers that were right.
    pub passed: usize,
    /// Invalid inputs that were refused for the right reason.
    pub refused: usize,
    /// Names of the cases that failed.
    pub failed: Vec<String>,
}

impl fmt::Display for PartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            passed,
            refused,
            failed,
        } = self;
        write!(f, "{name}: {passed} passed, {refused} refused, {} failed", failed.len())?;
        for case in failed.iter().take(10) {
            write!(f, "\n  failed: {case}")?;
        }
        match failed.len().saturating_sub(10) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// The sum of all lines, and of those that came from vector files.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Of the built-in parts.
    pub built_in: Totals,
    /// Of the vector files.
    pub vectors: Totals,
    /// Vector files read.
    pub files: usize,
}

impl Summary {
    /// True if nothing failed.
    pub fn ok(&self) -> bool {
        self.built_in.failed + self.vectors.failed == 0
    }
}

/// Counts of cases.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Answers that were right.
    pub passed: usize,
    /// Invalid inputs that were refused for the right reason.
    pub refused: usize,
    /// Cases that failed.
    pub failed: usize,
}

impl Totals {
    pub(crate) fn add(&mut self, line: &PartReport) {
        self.passed += line.passed;
        self.refused += line.refused;
        self.failed += line.failed.len();
    }
}
