//! Lines of `[columns]`.

/// The treatment that a line of `[columns]` gives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ColumnTarget {
    /// The name of a rule.
    Rule(String),
    Keep,
    Drop,
}

/// A line of `[columns]`: a pattern, and the treatment of the columns that it names.
#[derive(Clone, Debug)]
pub(super) struct ColumnLine {
    pub(super) pattern: String,
    pub(super) target: ColumnTarget,
    /// The line's place: `policy.toml:12:1`.
    pub(super) at: String,
}

impl ColumnLine {
    /// Tells whether the pattern names `column` of `table`.
    pub(super) fn names(&self, table: &str, column: &str) -> bool {
        // Both readings of a dot, since names of columns may hold one.
        matches(&self.pattern, column) || matches(&self.pattern, &format!("{table}.{column}"))
    }

    /// Tells whether it would name `column` if capitals were small letters, and blanks around names did not count.
    #[cfg(feature = "columns")]
    pub(super) fn names_in_any_letters(&self, table: &str, column: &str) -> bool {
        let plain = |text: &str| text.trim().to_lowercase();
        let line = Self {
            pattern: plain(&self.pattern),
            ..self.clone()
        };
        line.names(&plain(table), &plain(column))
    }

    /// Ranks the line: the more specific one wins, which is one without a wildcard, then one that names the table,
    /// then the one with more characters.
    pub(super) fn rank(&self, table: &str) -> (bool, bool, usize) {
        let names_table = self.pattern.starts_with(&format!("{table}."));
        // Without the wildcards: `a**` is no more specific than `a*`.
        let characters = self.pattern.chars().filter(|c| *c != '*').count();
        (self.is_literal(), names_table, characters)
    }

    pub(super) fn is_literal(&self) -> bool {
        !self.pattern.contains('*')
    }

    /// Tells whether the line is about a field within `column` of `table`, rather than about columns anywhere.
    pub(super) fn is_within(&self, table: &str, column: &str) -> bool {
        let fixed = self.pattern.split('*').next().unwrap_or_default();
        let is_within = |path: &str| path.len() > column.len() && path.starts_with(column);
        is_within(fixed) || fixed.strip_prefix(&format!("{table}.")).is_some_and(is_within)
    }
}

/// Tells whether `pattern`, in which `*` stands for any characters, matches the whole of `text`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty(); // no wildcard
    };
    for piece in pieces {
        // The first place is enough: whatever matches further on matches from here, too.
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    // What the first piece took is gone from `rest`, so the two cannot overlap.
    rest.ends_with(last)
}
