//! Columns bound to rules.

use super::column_line::{ColumnLine, ColumnTarget};
use super::policy::{Policy, Unlisted};
use super::rule::{Rule, Treatment};
use crate::cipher::Direction;
use crate::{Error, Result};

/// The binding of one column.
#[derive(Clone, Copy, Debug)]
pub enum Bound<'a> {
    /// It is protected under this rule.
    Rule(&'a Rule),
    /// It stays as it is.
    Keep,
    /// It is left out.
    Drop,
}

/// A line of `[columns]` that names something within a column, where nothing is that it could name.
#[cfg(feature = "columns")]
#[derive(Debug)]
pub(crate) struct Astray<'a> {
    /// The line's place: `policy.toml:12:1`.
    pub(crate) at: &'a str,
    pub(crate) pattern: &'a str,
    /// The column, or the field within it, that is there: the line's path goes on from it.
    pub(crate) known: &'a str,
    /// How the line goes on: `[].number`, `.street`.
    pub(crate) rest: &'a str,
    /// Does it name this table, so that the path cannot be that of a column in another?
    pub(crate) names_table: bool,
}

impl Policy {
    /// The lines that would protect or drop something within a column of `table`, and fit nothing in it. `columns` is
    /// as in [`Policy::bind`].
    ///
    /// # Errors
    /// A rule that is not there.
    #[cfg(feature = "columns")]
    pub(crate) fn astray<'a>(
        &'a self,
        table: &str,
        columns: &[&'a [String]],
        direction: Direction,
    ) -> Result<Vec<Astray<'a>>> {
        let known = || columns.iter().flat_map(|names| names.iter());
        let mut astray = Vec::new();
        for line in &self.columns {
            let of_table = line.pattern.strip_prefix(&format!("{table}."));
            let path = of_table.unwrap_or(&line.pattern);
            // Only what stands before the first wildcard says for certain which column is meant.
            let fixed = path.split('*').next().unwrap_or_default();
            let from = |name: &'a String| {
                let within = |text: &str| text.starts_with(['.', '[']);
                fixed.strip_prefix(name.as_str()).filter(|rest| within(rest))?;
                Some((name.as_str(), &path[name.len()..]))
            };
            // The longest column that fits: `a.b` and not `a`, where both are there.
            let Some((name, rest)) = known().filter_map(from).max_by_key(|(name, _)| name.len()) else {
                continue;
            };
            // "customer.city" may be a column of the table `customer`: who says of this table what becomes of its own
            // column `customer` means the other.
            let told = path.split_once('.').map(|(column, _)| format!("{table}.{column}"));
            if of_table.is_none() && self.columns.iter().any(|line| Some(&line.pattern) == told.as_ref()) {
                continue;
            }
            let is_lost = match self.binding(line)? {
                // Nothing is lost: the field stays as it is, with the line or without it.
                Bound::Keep => false,
                // What was dropped is not missed.
                Bound::Drop => direction == Direction::Encrypt,
                Bound::Rule(_) => true,
            };
            // A line with an error in its path would leave a field in the clear that somebody meant to
            // protect.
            if is_lost && !known().any(|name| line.names(table, name)) {
                astray.push(Astray {
                    at: &line.at,
                    pattern: &line.pattern,
                    known: name,
                    rest,
                    names_table: of_table.is_some(),
                });
            }
        }
        Ok(astray)
    }

    /// Finds what happens to each of `columns` of `table`, in their order. Each is given by its name; a field within a
    /// nested column by its path and the paths of what it is in, innermost first.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when two lines fit a column equally well, when a `table.column` line names a
    /// column that the table lacks (one that was dropped is not missed when data is revealed), or for a column that
    /// no line names if the policy says `unlisted = "error"`.
    pub fn bind<'a>(&'a self, table: &str, columns: &[&[String]], direction: Direction) -> Result<Vec<Bound<'a>>> {
        // First the lines, then the columns: a misspelt column of a `table.column` line would otherwise
        // be an unlisted one, and with unlisted = "keep" stay in the clear without a word.
        for line in &self.columns {
            let named = |name: &str| columns.iter().any(|names| names.iter().any(|known| known == name));
            if let Some(column) = line.pattern.strip_prefix(&format!("{table}."))
                && line.is_literal()
                && !named(column)
                // A column's own name may hold a dot.
                && !named(&line.pattern)
                && !(direction == Direction::Decrypt && matches!(self.binding(line)?, Bound::Drop))
            {
                let names: Vec<&str> = columns.iter().map(|names| names[0].as_str()).collect();
                return Err(
                    Error::bad_policy(format!("{}: table `{table}` has no column `{column}`", line.at))
                        .with_hint(format!("its columns are {}", names.join(", "))),
                );
            }
        }
        if direction == Direction::Encrypt {
            self.check_other_tables(table, columns)?;
        }
        let bound = columns.iter().map(|names| self.bind_one(table, names));
        let bound = bound.collect::<Result<Vec<Option<Bound<'_>>>>>()?;
        let unlisted = match self.unlisted {
            Unlisted::Keep => Bound::Keep,
            Unlisted::Drop => Bound::Drop,
            Unlisted::Error => {
                let names = columns.iter().zip(&bound).filter(|(_, bound)| bound.is_none());
                refuse_unlisted(table, &names.map(|(names, _)| names[0].as_str()).collect::<Vec<_>>())?;
                Bound::Keep // of which there are none
            }
        };
        Ok(bound.into_iter().map(|bound| bound.unwrap_or(unlisted)).collect())
    }

    /// Refuses a column that a line of another table protects and no line of this one names: a file that was renamed
    /// would go out in the clear.
    fn check_other_tables(&self, table: &str, columns: &[&[String]]) -> Result<()> {
        for line in self.columns.iter().filter(|line| line.is_literal()) {
            let Some((other, column)) = line.pattern.split_once('.') else {
                continue;
            };
            let is_here = |name: &str| columns.iter().any(|names| names.iter().any(|known| known == name));
            // `address.postcode` may be a field of a column here, rather than a column of a table `address`.
            let names_another = other != table && !is_here(other) && is_here(column);
            if names_another && !matches!(self.binding(line)?, Bound::Keep) && self.line(table, column)?.is_none() {
                return Err(Error::bad_policy(format!(
                    "{}: column `{column}` is protected in table `{other}`, and this is table `{table}`, for which no \
                     line names it",
                    line.at
                ))
                .with_hint(format!(
                    "pass --table {other} if it is the same table, or add a line \"{table}.{column}\" = \"keep\", or \
                     with a rule"
                )));
            }
        }
        Ok(())
    }

    /// The lines that would protect or drop something and name no column of `table`, in words, and whether each would
    /// name one if it were spelt a little otherwise. Lines of other tables are not missed.
    #[cfg(feature = "columns")]
    pub(crate) fn idle_lines(&self, table: &str, columns: &[&[String]]) -> Result<Vec<(String, bool)>> {
        let known = || columns.iter().flat_map(|names| names.iter());
        let mut idle = Vec::new();
        for line in &self.columns {
            let other_table = line
                .pattern
                .split_once('.')
                .is_some_and(|(other, _)| other != table && !other.contains('*') && !known().any(|name| name == other));
            if other_table || known().any(|name| line.names(table, name)) || matches!(self.binding(line)?, Bound::Keep)
            {
                continue;
            }
            let near = known().find(|name| line.names_in_any_letters(table, name));
            let mut text = format!("{}: \"{}\" names no column of table `{table}`", line.at, line.pattern);
            if let Some(name) = near {
                text.push_str(&format!(
                    ", though it has `{name}`: letters count as they are, and blanks too"
                ));
            }
            idle.push((text, near.is_some()));
        }
        Ok(idle)
    }

    /// The rule that a column of `table` is under, whatever the policy says of those that no line names. The column is
    /// given as in [`Policy::bind`].
    ///
    /// # Errors
    /// As [`Policy::bind`], but for a column that no line names.
    #[cfg(feature = "sql")]
    pub(crate) fn rule_of(&self, table: &str, names: &[String]) -> Result<Option<&Rule>> {
        for name in names {
            if let Some(line) = self.line(table, name)? {
                return Ok(match self.binding(line)? {
                    Bound::Rule(rule) => Some(rule),
                    Bound::Keep | Bound::Drop => None,
                });
            }
        }
        Ok(None)
    }

    /// The binding of one column, if a line names it.
    fn bind_one(&self, table: &str, names: &[String]) -> Result<Option<Bound<'_>>> {
        let [column, within @ ..] = names else {
            return Err(Error::bug("a column without a name"));
        };
        let mut outer = None;
        // The innermost line that fits decides for a field that no line names.
        for name in within {
            outer = self.line(table, name)?.map(|line| (line, name));
            if outer.is_some() {
                break;
            }
        }
        let line = match (self.line(table, column)?, outer) {
            // `address = "drop"` says more of address.street than `"*" = "keep"` does.
            (Some(line), Some((outer, name))) if outer.is_literal() && !line.is_within(table, name) => {
                Some((outer, name))
            }
            (Some(line), _) => Some((line, column)),
            (None, outer) => outer,
        };
        let Some((line, name)) = line else { return Ok(None) };
        match self.binding(line)? {
            // A rule is for one value. To protect every field of a struct with it would give fields of other types,
            // and of other meanings, one permutation.
            Bound::Rule(rule) if name != column => Err(Error::bad_policy(format!(
                "{}: column `{name}` of table `{table}` is nested, and rule `{}` is for values",
                line.at, rule.name
            ))
            .with_hint(format!("name what is in it, such as \"{column}\""))),
            fate => Ok(Some(fate)),
        }
    }

    /// The line that names `column` best.
    fn line(&self, table: &str, column: &str) -> Result<Option<&ColumnLine>> {
        let mut lines: Vec<&ColumnLine> = self.columns.iter().filter(|line| line.names(table, column)).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.rank(table)));
        match lines.as_slice() {
            // The order in the file must not decide: who adds a line at the end would change what another
            // column gets.
            [first, second, ..] if first.rank(table) == second.rank(table) && first.target != second.target => {
                Err(Error::bad_policy(format!(
                    "column `{column}` of table `{table}` fits two lines equally well: {} and {}",
                    first.at, second.at
                ))
                .with_hint(format!("add a line \"{table}.{column}\" that says which rule it gets")))
            }
            lines => Ok(lines.first().copied()),
        }
    }

    fn binding(&self, line: &ColumnLine) -> Result<Bound<'_>> {
        Ok(match &line.target {
            ColumnTarget::Rule(name) => match self.rule(name)? {
                rule if rule.treatment == Treatment::Drop => Bound::Drop,
                rule => Bound::Rule(rule),
            },
            ColumnTarget::Keep => Bound::Keep,
            ColumnTarget::Drop => Bound::Drop,
        })
    }
}

/// Refuses the columns `unlisted`, which no line names: all of them at once, as lines to paste.
fn refuse_unlisted(table: &str, unlisted: &[&str]) -> Result<()> {
    if unlisted.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = unlisted
        .iter()
        .map(|column| format!("\"{table}.{column}\" = \"keep\""))
        .collect();
    let named: Vec<String> = unlisted.iter().map(|column| format!("`{column}`")).collect();
    Err(Error::bad_policy(format!(
        "no line of [columns] names {} {} of table `{table}`, and the policy says unlisted = \"error\"",
        if named.len() == 1 { "column" } else { "columns" },
        named.join(", ")
    ))
    .with_hint(format!(
        "add to [columns], with \"drop\" or a rule in place of \"keep\" where it has to be:\n{}",
        lines.join("\n")
    )))
}

#[cfg(test)]
mod tests {
    use super::super::column_line::matches;
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
            // The two ends may not overlap.
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().copied().map(str::to_owned).collect()
    }

    fn rule_of(policy: &Policy, table: &str, column: &str) -> Result<Option<String>> {
        Ok(match policy.bind_one(table, &names(&[column]))? {
            Some(Bound::Rule(rule)) => Some(rule.name.clone()),
            _ => None,
        })
    }

    fn policy(columns: &str) -> Policy {
        let text = format!(
            "version = 1\nkeyring = \"k\"\n[rules.a]\nformat = \"digits\"\nkey = \"pii\"\n[rules.b]\nformat = \
             \"digits\"\nkey = \"pii\"\n[columns]\n{columns}"
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
        let columns = [["x"], ["note"], ["temp"]].map(|name| names(&name));
        let columns = columns.each_ref().map(Vec::as_slice);
        let bound = policy.bind("t", &columns, Direction::Encrypt).expect("bound");
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
        let policy = policy("\"t.missing\" = \"a\"\n\"u.gone\" = \"drop\"\nanywhere = \"a\"\n");
        let x = names(&["x"]);
        let bind = |table, direction| policy.bind(table, &[&x], direction);
        let error = bind("t", Direction::Encrypt).expect_err("missing column");
        assert_eq!(error.to_string(), "p.toml:10:1: table `t` has no column `missing`");
        assert!(bind("u", Direction::Encrypt).is_err());
        // The column was dropped when the table was protected.
        assert!(bind("u", Direction::Decrypt).is_ok());
        assert!(bind("other", Direction::Encrypt).is_ok());
    }

    #[test]
    fn fields_of_nested_columns() {
        let lines = "\"*\" = \"keep\"\naddress = \"drop\"\n\"address.postcode\" = \"a\"\n\"t.phones[]\" = \
            \"b\"\ncards = \"a\"\n\"notes.*\" = \"b\"\nnotes = \"drop\"\n";
        let policy = policy(lines);
        let bind = |path: &[&str]| {
            policy.bind_one("t", &names(path)).map(|bound| match bound {
                Some(Bound::Rule(rule)) => rule.name.clone(),
                Some(other) => format!("{other:?}"),
                None => "unlisted".to_owned(),
            })
        };
        assert_eq!(bind(&["address.postcode", "address"]).unwrap(), "a");
        assert_eq!(bind(&["address.street", "address"]).unwrap(), "Drop");
        assert_eq!(bind(&["phones[]", "phones"]).unwrap(), "b");
        assert_eq!(bind(&["other.street", "other"]).unwrap(), "Keep");
        assert_eq!(bind(&["notes.text", "notes"]).unwrap(), "b");
        let error = bind(&["cards[]", "cards"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "p.toml:14:1: column `cards` of table `t` is nested, and rule `a` is for values"
        );
        assert_eq!(
            error.hint(),
            Some(&crate::Hint::from("name what is in it, such as \"cards[]\""))
        );
    }
}
