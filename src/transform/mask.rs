//! `mask`: symbols replaced, for people who need the shape only.

use super::batch::{Outcome, TextBatch, Texts};
use super::rows::each_text;
use super::treatment::Treatment;
use crate::formats::{OrdinalRange, RowError, Unit};
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
    // Before anything of the value is read, so the mask does not even tell its length.
    if let Some(fixed) = &mask.fixed {
        return fixed.clone();
    }
    let hidden = |c: char| rule.format.is_symbol(c);
    // Counted before replacing: what is kept at the end is known only from the number of all.
    let symbols = value.chars().filter(|c| hidden(*c)).count();
    // Saturates: a policy may ask to keep more than a word can count.
    let kept = mask.keep_first.saturating_add(mask.keep_last);
    let (first, last) = if symbols > kept {
        (mask.keep_first, symbols - mask.keep_last)
    } else {
        // Everything is hidden, also where the numbers are equal: else a short value would be shown whole.
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
            // `place` counts from 1, as it is raised before the test.
            if (first + 1..=last).contains(&place) {
                mask.with
            } else {
                c
            }
        })
        .collect()
}

/// Masks `value` for a role: like [`mask`], but a number is as wide as the widest of its format, so that a mask tells
/// nothing of its size.
pub(super) fn mask_for_role(value: &str, rule: &Rule) -> String {
    let masked = mask(value, rule);
    // Dates and times have a fixed width; the width of a number tells its magnitude.
    let is_number = |range: &OrdinalRange| matches!(range.unit, Unit::Integer | Unit::Decimal { .. });
    let (Some(format), Some(_), None) = (
        rule.format.ranked(),
        rule.format.ordinal_range().filter(is_number),
        &rule.mask.fixed,
    ) else {
        return masked;
    };
    let width = |rank: u128| {
        let mut end = String::new();
        format.unrank(rank, "", &mut end);
        end.chars().count()
    };
    // One of the two ends has the most characters: digits grow with the size on either side of zero, and a sign
    // adds one.
    let widest = width(0).max(width(format.size() - 1));
    let missing = widest.saturating_sub(masked.chars().count());
    std::iter::repeat_n(rule.mask.with, missing)
        .chain(masked.chars())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::{Mask, Policy};

    fn rule(format: &str) -> Rule {
        let text = format!("version = 1\nkeyring = \"k\"\n[rules.r]\nformat = {format}\nkey = \"pii\"\n");
        let policy = Policy::parse(&text, Path::new("p.toml")).unwrap();
        policy.rule("r").unwrap().clone()
    }

    fn masked(value: &str, format: &str, keep_first: usize, keep_last: usize) -> String {
        let mut rule = rule(format);
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
    fn a_role_does_not_see_how_large_a_number_is() {
        let of_role = |value: &str, format: &str, keep_last: usize| {
            let mut rule = rule(format);
            rule.mask.keep_last = keep_last;
            mask_for_role(value, &rule)
        };
        let integer = "{ type = \"integer\", min = -7, max = 9_000_000 }";
        for value in ["-7", "5", "1234567"] {
            assert_eq!(of_role(value, integer, 0), "*******");
        }
        assert_eq!(of_role("1234567", integer, 2), "*****67");
        let decimal = "{ type = \"decimal\", min = 0, max = 1_000_000, scale = 2 }";
        assert_eq!(of_role("1.50", decimal, 0), of_role("123456.00", decimal, 0));
        assert_eq!(of_role("12345", "\"digits\"", 0), "*****");
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
