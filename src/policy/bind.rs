//! Which column gets which rule.

use super::{Policy, Rule, Unlisted};
use crate::{Error, Result};

/// What happens to one column.
#[derive(Clone, Copy, Debug)]
pub enum Bound<'a> {
    /// It is protected under this rule.
    Rule(&'a Rule),
    /// It stays as it is.
    Keep,
    /// It is left out.
    Drop,
}

/// What a line of `[columns]` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// The name of a rule.
    Rule(String),
    Keep,
    Drop,
}

/// A line of `[columns]`: a pattern, and what becomes of the columns it names.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) pattern: String,
    pub(super) target: Target,
    /// Where it stands: `policy.toml:12:1`.
    pub(super) at: String,
}

impl Line {
    /// Does the pattern name `column` of `table`?
    fn names(&self, table: &str, column: &str) -> bool {
        matches(&self.pattern, column) || matches(&self.pattern, &format!("{table}.{column}"))
    }

    /// The more specific line wins: one without a wildcard, then one that names the table, then the one with more characters.
    fn rank(&self, table: &str) -> (bool, bool, usize) {
        let literal = !self.pattern.contains('*');
        let names_table = self.pattern.starts_with(&format!("{table}."));
        (literal, names_table, self.pattern.chars().filter(|c| *c != '*').count())
    }
}

impl Policy {
    /// What happens to each of `columns` of `table`, in their order.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when two lines fit a column equally well, when a `table.column` line names a column that
    /// the table lacks, or for a column that no line names if the policy says `unlisted = "error"`.
    pub fn bind<'a>(&'a self, table: &str, columns: &[&str]) -> Result<Vec<Bound<'a>>> {
        for line in &self.columns {
            if let Some(column) = line.pattern.strip_prefix(&format!("{table}."))
                && !column.contains('*')
                && !columns.contains(&column)
                && !columns.contains(&line.pattern.as_str())
            {
                return Err(
                    Error::bad_policy(format!("{}: table `{table}` has no column `{column}`", line.at))
                        .with_hint(format!("its columns are {}", columns.join(", "))),
                );
            }
        }
        columns.iter().map(|column| self.bind_one(table, column)).collect()
    }

    fn bind_one(&self, table: &str, column: &str) -> Result<Bound<'_>> {
        let mut lines: Vec<&Line> = self.columns.iter().filter(|line| line.names(table, column)).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.rank(table)));
        match lines.as_slice() {
            [first, second, ..] if first.rank(table) == second.rank(table) && first.target != second.target => {
                Err(Error::bad_policy(format!(
                    "column `{column}` of table `{table}` fits two lines equally well: {} and {}",
                    first.at, second.at
                ))
                .with_hint(format!("add a line \"{table}.{column}\" that says which rule it gets")))
            }
            [line, ..] => Ok(match &line.target {
                Target::Rule(name) => Bound::Rule(self.rule(name)?),
                Target::Keep => Bound::Keep,
                Target::Drop => Bound::Drop,
            }),
            [] => match self.unlisted {
                Unlisted::Keep => Ok(Bound::Keep),
                Unlisted::Drop => Ok(Bound::Drop),
                Unlisted::Error => Err(Error::bad_policy(format!(
                    "no line of [columns] names column `{column}` of table `{table}`, and the policy says unlisted = \"error\""
                ))
                .with_hint(format!("add \"{table}.{column}\" = \"keep\" (or \"drop\", or a rule)"))),
            },
        }
    }
}

/// Does `pattern`, in which `*` stands for any characters, match the whole of `text`?
fn matches(pattern: &str, text: &str) -> bool {
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
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("c_phone", "c_phone", true),
            ("c_phone", "c_phones", false),
            ("*", "", true),
            ("*", "anything", true),
            ("*_phone", "c_phone", true),
            ("*_phone", "_phone", true),
            ("*_phone", "c_phone2", false),
            ("customer.*", "customer.c_phone", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "ac", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    fn rule_of(policy: &Policy, table: &str, column: &str) -> Result<Option<String>> {
        Ok(match policy.bind_one(table, column)? {
            Bound::Rule(rule) => Some(rule.name.clone()),
            _ => None,
        })
    }

    fn policy(columns: &str) -> Policy {
        let text = format!(
            "version = 1\nkeyring = \"k\"\n[rules.a]\nformat = \"digits\"\nkey = \"pii\"\n[rules.b]\nformat = \"digits\"\nkey = \"pii\"\n[columns]\n{columns}"
        );
        Policy::parse(&text, "p.toml".as_ref()).expect("policy")
    }

    #[test]
    fn the_most_specific_line_wins() {
        let policy =
            policy("\"*\" = \"a\"\n\"*_phone\" = \"b\"\n\"customer.*\" = \"a\"\n\"customer.c_phone\" = \"b\"\n");
        assert_eq!(
            rule_of(&policy, "orders", "o_date").expect("bound").as_deref(),
            Some("a")
        );
        assert_eq!(
            rule_of(&policy, "orders", "o_phone").expect("bound").as_deref(),
            Some("b")
        );
        assert_eq!(
            rule_of(&policy, "customer", "d_phone").expect("bound").as_deref(),
            Some("a")
        );
        assert_eq!(
            rule_of(&policy, "customer", "c_phone").expect("bound").as_deref(),
            Some("b")
        );
    }

    #[test]
    fn a_line_may_keep_or_drop() {
        let policy = policy("\"*\" = \"a\"\nnote = \"keep\"\ntemp = \"drop\"\n");
        let bound = policy.bind("t", &["x", "note", "temp"]).expect("bound");
        assert!(matches!(bound[..], [Bound::Rule(_), Bound::Keep, Bound::Drop]));
    }

    #[test]
    fn equally_good_lines_are_an_error_only_if_they_disagree() {
        let ambiguous = policy("\"a*\" = \"a\"\n\"*b\" = \"b\"\n");
        assert!(rule_of(&ambiguous, "t", "axb").is_err());
        let agreed = policy("\"a*\" = \"a\"\n\"*b\" = \"a\"\n");
        assert_eq!(rule_of(&agreed, "t", "axb").expect("bound").as_deref(), Some("a"));
    }

    #[test]
    fn a_table_column_line_must_exist_in_its_table() {
        let policy = policy("\"t.missing\" = \"a\"\nanywhere = \"a\"\n");
        let error = policy.bind("t", &["x"]).expect_err("missing column");
        assert_eq!(error.to_string(), "p.toml:10:1: table `t` has no column `missing`");
        assert!(policy.bind("other", &["x"]).is_ok());
    }
}
