//! `mask`: symbols replaced, for people who need the shape only.

use super::batch::{Outcome, TextBatch, Texts};
use super::rows::each_text;
use super::treatment::Treatment;
use crate::formats::RowError;
use crate::policy::Rule;

/// Replaces the symbols of values for good.
pub(super) struct Masker;

impl Treatment for Masker {
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        each_text(rule, batch, out, |value, _, out| {
            out.push_str(&mask(value, rule));
            Ok(())
        })
    }
}

/// Masks `value`: replaces the symbols of the rule's format, letters and digits, but for those that the rule keeps.
///
/// Everything else stays where it is. A value that has no more symbols than are to be kept is replaced whole: else a
/// mask would show it.
pub fn mask(value: &str, rule: &Rule) -> String {
    let mask = &rule.mask;
    if let Some(fixed) = &mask.fixed {
        return fixed.clone();
    }
    let hidden = |c: char| rule.format.is_symbol(c);
    let symbols = value.chars().filter(|c| hidden(*c)).count();
    let kept = mask.keep_first.saturating_add(mask.keep_last);
    let (first, last) = if symbols > kept {
        (mask.keep_first, symbols - mask.keep_last)
    } else {
        (0, symbols)
    };
    let mut place = 0;
    value
        .chars()
        .map(|c| {
            if !hidden(c) {
                return c;
            }
            place += 1;
            if (first + 1..=last).contains(&place) {
                mask.with
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::{Mask, Policy};

    fn masked(value: &str, format: &str, keep_first: usize, keep_last: usize) -> String {
        let text = format!("version = 1\nkeyring = \"k\"\n[rules.r]\nformat = {format}\nkey = \"pii\"\n");
        let policy = Policy::parse(&text, Path::new("p.toml")).unwrap();
        let mut rule = policy.rule("r").unwrap().clone();
        rule.mask = Mask {
            keep_first,
            keep_last,
            with: '#',
            fixed: None,
        };
        mask(value, &rule)
    }

    #[test]
    fn ends_are_kept_and_marks_stay() {
        assert_eq!(masked("ann@x.com", "\"email\"", 1, 0), "a##@#.###");
        assert_eq!(masked("añ-b1", "\"alphanumeric\"", 1, 1), "a#-#1");
        assert_eq!(masked("ab", "\"digits\"", 1, 1), "##");
        assert_eq!(masked("", "\"digits\"", 1, 1), "");
        assert_eq!(masked("abc", "\"digits\"", usize::MAX, 1), "###");
    }

    #[test]
    fn symbols_that_are_no_letters_are_hidden_too() {
        let format = "{ type = \"alphabet\", symbols = \"!@$%^&🙂\", separators = \"-\" }";
        assert_eq!(masked("!@-🙂%", format, 0, 0), "##-##");
        let integer = "{ type = \"integer\", min = -9_000_000, max = 9 }";
        assert_eq!(masked("-42", integer, 0, 0), "###");
        assert_eq!(masked("123-45-6789", "\"us-ssn\"", 0, 4), "###-##-6789");
    }
}
