//! `template`: one or more patterns of letters, digits and literals, with a check digit if there is one.
//!
//! | in a pattern | stands for |
//! | --- | --- |
//! | `A` | an upper-case letter A–Z |
//! | `a` | a lower-case letter a–z |
//! | `9` or `\d` | a digit |
//! | `[A-FX2]` | one of these characters |
//! | `{3}` | the place before, three times |
//! | `\` and a character other than `d` | that character itself |
//! | anything else | itself |
//!
//! `vin` and `npi` are nothing but templates.

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use super::band::{Band, SHORT_BAND};
use super::check::Check;
use super::class::{CharClass, PatternUnion, Position, fits, short};
use super::error::FormatError;
use super::format::Format;
use super::layout::Keep;
use super::ranked::RankedFormat;
use super::segmented::{SegmentedFormat, Segments};
use super::side::Side;
use crate::{Error, Result};

/// The most places of a pattern, and the most patterns.
// Keeps a pattern's size, a shape number and the comparison of all pairs of patterns small.
const MOST: usize = 256;

#[derive(Debug)]
pub(super) struct Template {
    name: &'static str,
    /// As the policy has them.
    sources: Vec<String>,
    patterns: Vec<Pattern>,
    keep: Keep,
    check: Option<Check>,
    band: Option<PatternUnion>,
}

#[derive(Debug)]
struct Pattern {
    /// The number of the first pattern that has the same classes and the same letters and digits between them. So a
    /// value has one ciphertext, whether it is written with hyphens or without.
    shape: u16,
    places: Vec<Position>,
    /// Of each place, what becomes of it.
    roles: Vec<PositionRole>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PositionRole {
    Literal,
    KeptFirst,
    KeptLast,
    Encrypted,
    /// Set to what makes the check right.
    Solved,
}

impl Template {
    pub(super) fn format(name: &'static str, sources: Vec<String>, keep: Keep, check: Option<Check>) -> Result<Format> {
        Ok(Format::Segmented(Arc::new(Self::try_new(name, sources, keep, check)?)))
    }

    fn try_new(name: &'static str, sources: Vec<String>, keep: Keep, check: Option<Check>) -> Result<Self> {
        if sources.len() > MOST {
            return Err(Error::bad_policy(format!("more than {MOST} patterns")));
        }
        let mut patterns: Vec<Pattern> = Vec::with_capacity(sources.len());
        for source in &sources {
            let in_pattern = |error: Error| error.context(format_args!("pattern \"{source}\""));
            let places = compile(source).map_err(in_pattern)?;
            let mut pattern = Pattern::try_new(places, keep, check.as_ref()).map_err(in_pattern)?;
            // Values in common would have two shapes and two ciphertexts, and decryption could not choose.
            if let Some(other) = patterns.iter().position(|other| !other.is_disjoint(&pattern)) {
                return Err(Error::bad_policy(format!(
                    "patterns \"{}\" and \"{source}\" have values in common, so it could not be told which one a \
                     value has",
                    sources[other]
                )));
            }
            // The first pattern's number serves those that differ in marks alone: the tweak is then the same, and
            // so is the ciphertext.
            let like = patterns.iter().find(|other| other.differs_in_marks_alone(&pattern));
            pattern.shape = like.map_or(patterns.len() as u16, |like| like.shape); // at most `MOST`
            patterns.push(pattern);
        }
        Ok(Self {
            name,
            sources,
            patterns,
            keep,
            check,
            band: None,
        })
    }

    /// The pattern that `value` has.
    fn pattern(&self, value: &str) -> Option<&Pattern> {
        self.patterns.iter().find(|pattern| fits(&pattern.places, value))
    }
}

impl Pattern {
    fn try_new(places: Vec<Position>, keep: Keep, check: Option<&Check>) -> Result<Self> {
        // Literals hold nothing to protect, so kept places are counted among classes only.
        let of_class: Vec<usize> = (0..places.len())
            .filter(|at| matches!(places[*at], Position::Class(_)))
            .collect();
        let mut roles = vec![PositionRole::Literal; places.len()];
        for at in &of_class {
            roles[*at] = PositionRole::Encrypted;
        }
        if let Some(check) = check {
            // Before the kept ends are marked: a check digit inside them is an error of its own below.
            let symbols: Vec<bool> = roles.iter().map(|role| *role == PositionRole::Encrypted).collect();
            roles[check.place(&places, &symbols)?] = PositionRole::Solved;
        }
        let count = of_class.len();
        // With all places kept there would be nothing to encrypt.
        if keep.count() >= count {
            return Err(Error::bad_policy(format!(
                "keep = [{}, {}] leaves nothing of {count} places to protect",
                keep.first, keep.last
            )));
        }
        for (i, at) in of_class.into_iter().enumerate() {
            let kept = match (i < keep.first, i >= count - keep.last) {
                (true, _) => PositionRole::KeptFirst,
                (_, true) => PositionRole::KeptLast,
                _ => continue,
            };
            // A kept check digit would stand still while the digits it checks change: the result would be invalid.
            if roles[at] == PositionRole::Solved {
                return Err(Error::bad_policy(
                    "the check digit changes with the others, so it cannot be kept",
                ));
            }
            roles[at] = kept;
        }
        let shape = 0;
        Ok(Self { shape, places, roles })
    }

    /// Has the other pattern the same places but for literals that are neither letters nor digits?
    fn differs_in_marks_alone(&self, other: &Self) -> bool {
        let is_mark = |place: &Position| matches!(place, Position::Literal(literal) if !literal.is_alphanumeric());
        let mut one = self.places.iter().filter(|place| !is_mark(place));
        let mut other = other.places.iter().filter(|place| !is_mark(place));
        // Compared as places and not as text: `9` and `\d` are one class.
        // The lengths must agree as well, hence the last test.
        one.by_ref().all(|place| other.next() == Some(place)) && other.next().is_none()
    }

    /// The place whose symbol makes the check right.
    fn solved(&self) -> Option<usize> {
        self.roles.iter().position(|role| *role == PositionRole::Solved)
    }

    fn is_disjoint(&self, other: &Self) -> bool {
        // Patterns of unequal length share no value; of equal length, one place without a common symbol is enough.
        self.places.len() != other.places.len()
            || self
                .places
                .iter()
                .zip(&other.places)
                .any(|(one, other)| one.is_disjoint(other))
    }

    fn size(&self) -> u128 {
        let free = self
            .places
            .iter()
            .zip(&self.roles)
            .filter(|(_, role)| **role == PositionRole::Encrypted);
        // Saturates, since only a comparison with the floor follows.
        free.fold(1u128, |size, (place, _)| {
            size.saturating_mul(u128::from(place.choices()))
        })
    }
}

impl SegmentedFormat for Template {
    fn definition(&self) -> String {
        let mut definition = format!("{} keep={},{}", self.name, self.keep.first, self.keep.last);
        if let Some(check) = &self.check {
            definition.push_str(&format!(" check={check}"));
        }
        if self.band.is_some() {
            definition.push_str(SHORT_BAND);
        }
        // Sources are quoted, so that a pattern with a space in it is not read as two.
        for source in &self.sources {
            definition.push_str(&format!(" {source:?}"));
        }
        definition
    }

    fn usual_size(&self) -> Option<u128> {
        match &self.band {
            Some(band) => Some(band.size()),
            // The widest pattern is taken for the usual one. Values of smaller ones are judged row by row.
            None => self.patterns.iter().map(Pattern::size).max(),
        }
    }

    fn is_symbol(&self, symbol: char) -> bool {
        let mut places = self.patterns.iter().flat_map(|pattern| &pattern.places);
        symbol.is_alphanumeric()
            || places.any(|place| matches!(place, Position::Class(class) if class.index(symbol).is_some()))
    }

    fn begins_with(&self, character: char) -> bool {
        let mut first = self.patterns.iter().filter_map(|pattern| pattern.places.first());
        first.any(|place| matches!(place, Position::Literal(literal) if *literal == character))
    }

    fn split(&self, value: &str, _: Side, places: &mut Segments) -> Result<(), FormatError> {
        let pattern = self
            .pattern(value)
            .ok_or(FormatError::Malformed("not as the pattern has it"))?;
        // Before the places are filled, so that an error leaves none behind. A wrong digit could not be given
        // back: it is solved anew.
        if let Some((check, at)) = self.check.as_ref().zip(pattern.solved())
            && !check.holds(value, at)
        {
            return Err(FormatError::CheckDigit);
        }
        let (mut first, mut last) = (String::new(), String::new());
        // As many characters as places: `pattern` has compared them.
        for ((place, role), symbol) in pattern.places.iter().zip(&pattern.roles).zip(value.chars()) {
            match (role, place) {
                (PositionRole::KeptFirst, _) => first.push(symbol),
                (PositionRole::KeptLast, _) => last.push(symbol),
                (PositionRole::Encrypted, Position::Class(class)) => {
                    places.push(class.index(symbol).unwrap_or_default(), class.size());
                }
                _ => {}
            }
        }
        // Patterns with places of equal sizes may have the same bit length, so the pattern is part of the tweak.
        places.shape.extend_from_slice(&pattern.shape.to_be_bytes());
        // Without kept ends the tweak is empty, as it is for other formats that keep nothing.
        if self.keep.count() > 0 {
            places.keep(first.as_bytes());
            places.keep(last.as_bytes());
        }
        Ok(())
    }

    fn join(&self, value: &str, digits: &[u64], _: Side, out: &mut String) {
        // Every value that comes here has been split, so it has a pattern.
        let Some(pattern) = self.pattern(value) else { return };
        let start = out.len();
        let mut digits = digits.iter();
        for ((place, role), symbol) in pattern.places.iter().zip(&pattern.roles).zip(value.chars()) {
            out.push(match (role, place) {
                (PositionRole::Encrypted, Position::Class(class)) => {
                    digits.next().map_or(symbol, |digit| class.symbol(*digit))
                }
                _ => symbol,
            });
        }
        if let Some((check, at)) = self.check.as_ref().zip(pattern.solved()) {
            // On what was just written: `out` may hold results of earlier rows before it.
            let solved = check.solved(&out[start..], at);
            out.truncate(start);
            out.push_str(&solved);
        }
    }

    fn band(&self, value: &str, _: Side) -> Option<Band<'_>> {
        // A band keeps values apart by pattern: what is in one of its patterns before is so after, on both sides.
        let domain = self.band.as_ref().filter(|band| band.takes(value))?;
        Some(Band { domain, number: 0 })
    }

    fn banded(&self) -> Result<Arc<dyn SegmentedFormat>> {
        // A result may be of another pattern, which has other kept places and another check digit.
        if self.keep.count() > 0 || self.check.is_some() {
            return Err(Error::bad_policy(
                "on_short = \"band\" does not go with keep or check: patterns that share a band change into each other",
            ));
        }
        let patterns = self.patterns.iter().map(|pattern| pattern.places.clone()).collect();
        let mut banded = Self::try_new(self.name, self.sources.clone(), self.keep, None)?;
        banded.band = short(patterns);
        match banded.band {
            Some(_) => Ok(Arc::new(banded)),
            None => Err(Error::bad_policy(
                "on_short = \"band\" makes no band of these patterns: that takes at least two, of which the \
                 smallest has fewer than 1,000,000 values and all together have as many or more",
            )
            .with_hint("leave on_short out, or add a longer pattern that short values may become")),
        }
    }
}

/// The places that a pattern spells.
fn compile(source: &str) -> Result<Vec<Position>> {
    let mut places: Vec<Position> = Vec::new();
    let mut symbols = source.chars().peekable();
    let range = |first, last| Position::Class(Arc::new(CharClass::new(&[(first, last, 1)])));
    // Read once from left to right; no group or alternative nests, so there is no need for a tree.
    while let Some(symbol) = symbols.next() {
        let place = match symbol {
            'A' => range('A', 'Z'),
            'a' => range('a', 'z'),
            '9' => range('0', '9'),
            '\\' => match symbols.next() {
                Some('d') => range('0', '9'),
                Some(literal) => Position::Literal(literal),
                None => return Err(Error::bad_policy("ends with \\")),
            },
            '[' => set(&mut symbols)?,
            '{' => {
                // A repetition repeats the place, also a literal.
                let before = places
                    .last()
                    .cloned()
                    .ok_or_else(|| Error::bad_policy("begins with {"))?;
                let mut count = String::new();
                let closed = symbols.by_ref().any(|symbol| match symbol {
                    '}' => true,
                    digit => {
                        count.push(digit);
                        false
                    }
                });
                let count = count
                    .parse::<usize>()
                    .ok()
                    .filter(|count| closed && (1..=MOST).contains(count));
                let count = count
                    // The limit is tested before the places are made, so a short text cannot ask for much memory.
                    .ok_or_else(|| Error::bad_policy(format!("between {{ and }} stands a number from 1 to {MOST}")))?;
                places.extend(std::iter::repeat_n(before, count - 1));
                continue;
            }
            ']' | '}' => {
                return Err(Error::bad_policy(format!(
                    "has a {symbol} that nothing opened; write \\{symbol} for the character itself"
                )));
            }
            literal => Position::Literal(literal),
        };
        places.push(place);
        // Stops early; the error is given below, for this way out and for the repetition.
        if places.len() > MOST {
            break;
        }
    }
    match places.len() {
        0 => Err(Error::bad_policy("is empty")),
        1..=MOST => Ok(places),
        _ => Err(Error::bad_policy(format!("has more than {MOST} places"))),
    }
}

/// A set in brackets, after the opening one.
fn set(symbols: &mut Peekable<Chars<'_>>) -> Result<Position> {
    let mut ranges: Vec<(char, char, u32)> = Vec::new();
    let unclosed = || Error::bad_policy("has a [ that nothing closes");
    loop {
        let first = match symbols.next().ok_or_else(unclosed)? {
            ']' => break,
            '\\' => match symbols.next().ok_or_else(unclosed)? {
                'd' => {
                    ranges.push(('0', '9', 1));
                    continue;
                }
                literal => literal,
            },
            symbol => symbol,
        };
        // Looks two characters ahead: a hyphen before the closing bracket is the hyphen itself.
        let mut ahead = symbols.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) if last != ']' => {
                *symbols = ahead;
                last
            }
            _ => first,
        };
        // Surrogates stand between, and are no characters.
        let crosses = u32::from(first) < 0xd800 && u32::from(last) > 0xdfff;
        if last < first || crosses {
            return Err(Error::bad_policy(format!("{first}-{last} is no range of characters")));
        }
        ranges.push((first, last, 1));
    }
    let mut sorted = ranges.clone();
    sorted.sort_unstable();
    // A character twice would have two indices, and one of them would never come back.
    if sorted.windows(2).any(|pair| pair[1].0 <= pair[0].1) {
        return Err(Error::bad_policy("has a set that names a character twice"));
    }
    match ranges.as_slice() {
        [] => Err(Error::bad_policy("has an empty set")),
        // A set of one character is no choice, so it is treated as a literal everywhere (shapes, kept places).
        [(first, last, _)] if first == last => Ok(Position::Literal(*first)),
        _ => Ok(Position::Class(Arc::new(CharClass::new(&ranges)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    fn template(pattern: &str) -> Result<Format> {
        Format::parse(
            "template",
            toml::Table::from_iter([("pattern".to_owned(), pattern.into())]),
        )
    }

    #[test]
    fn letters_digits_sets_and_literals() {
        for (pattern, value, other) in [
            ("AA-9999", "CB-1234", "XY-8765"),
            ("(999) 999-9999", "(212) 555-0100", "(787) 444-9899"),
            (r"[A-Z]{2}\d{6}", "AB123456", "ZY876543"),
            (r"\A[a-cX]a9", "Abz0", "Aca9"), // the set is a b c X
            ("№[α-ω]{3}", "№αβω", "№ωψα"),
        ] {
            assert_eq!(
                there_and_back(&template(pattern).expect(pattern), value),
                other,
                "{pattern}"
            );
        }
    }

    #[test]
    fn ends_may_be_kept() {
        let table = toml::toml! { pattern = "AA-9999"  keep = [2, 1] };
        assert_eq!(
            there_and_back(&Format::parse("template", table).expect("kept"), "CB-1234"),
            "CB-8764"
        );
        assert!(Format::parse("template", toml::toml! { pattern = "AA-9999"  keep = [2, 4] }).is_err());
    }

    #[test]
    fn bad_patterns_are_refused() {
        for pattern in [
            "", "{2}", "9{0}", "9{257}", "9{2", "9{}", "[", "[]", "[a", "[z-a]", "[aa]", "[a-cb]", "a]", "9}", "x\\",
            "---",
        ] {
            assert!(template(pattern).is_err(), "{pattern}");
        }
        for patterns in [vec!["99", "99"], vec!["9A", "[0-5]B"], vec![]] {
            let table = toml::Table::from_iter([("patterns".to_owned(), patterns.clone().into())]);
            assert!(Format::parse("template", table).is_err(), "{patterns:?}");
        }
        let disjoint = toml::toml! { patterns = ["99999", "99999-9999", "A9999"] };
        assert_eq!(
            there_and_back(&Format::parse("template", disjoint).expect("disjoint"), "A1234"),
            "Z8765"
        );
    }

    #[test]
    fn vehicles() {
        // 1M8GDM9AXKP042788 is the worked example of the check digit in 49 CFR 565.15.
        let format = Format::parse("vin", toml::Table::new()).expect("vin");
        let Format::Segmented(vin) = &format else {
            unreachable!()
        };
        vin.split("1M8GDM9AXKP042788", Side::Plain, &mut Segments::default())
            .expect("valid");
        there_and_back(&format, "1M8GDM9AXKP042788");
        for value in [
            "1M8GDM9A1KP042788",
            "1M8GDM9AXKP04278",
            "IM8GDM9AXKP042788",
            "1m8gdm9axkp042788",
            "1M8GDM9AX0P042788",
        ] {
            assert!(
                vin.split(value, Side::Plain, &mut Segments::default()).is_err(),
                "{value}"
            );
        }
        let kept = Format::parse("vin", toml::toml! { keep = [3, 0] }).expect("manufacturer kept");
        assert!(there_and_back(&kept, "1M8GDM9AXKP042788").starts_with("1M8"));
        assert!(Format::parse("vin", toml::toml! { keep = [9, 0] }).is_err());
    }

    fn checked(pattern: &str, check: &str) -> Result<Format> {
        let table = format!("pattern = '{pattern}'\ncheck = {{ type = \"{check}\" }}");
        Format::parse("template", table.parse().expect("TOML"))
    }

    /// All values of a pattern whose check is right are its values, and nothing of them is lost.
    #[test]
    fn checked_values_come_back_and_no_two_become_one() {
        for (pattern, check) in [
            ("9{4}", "luhn"),
            ("9{4}", "mod11-10"),
            ("99-99", "luhn"),
            ("9999X", "luhn"),
            ("[A-C]99[0-5]9", "luhn"), // letters do not count
            ("[0-9A-C]99[0-5]9", "mod11-10"),
            (r"[0-9A-F]7[3-9]\d/x", "luhn"), // a digit that is a literal does
            ("[0-9X]1[13]9", "mod11-10"),
        ] {
            let Format::Segmented(format) = checked(pattern, check).expect(pattern) else {
                unreachable!()
            };
            let places = compile(pattern).expect(pattern);
            let all = PatternUnion::new([places.clone()]).expect("few");
            let (mut seen, mut size) = (std::collections::HashSet::new(), 0);
            for rank in 0..all.size() {
                let mut value = String::new();
                all.unrank(rank, "", &mut value);
                let mut found = Segments::default();
                if format.split(&value, Side::Plain, &mut found).is_err() {
                    continue;
                }
                size = found.choices.iter().product::<u64>();
                let mut same = String::new();
                format.join(&value, &found.digits, Side::Protected, &mut same);
                assert_eq!(same, value, "{pattern} {check}");
                // Each digit turned around is another value, which turned around is this one.
                let turned = |found: &Segments| -> Vec<u64> {
                    let each = found.digits.iter().zip(&found.choices);
                    each.map(|(digit, choices)| choices - 1 - digit).collect()
                };
                let mut other = String::new();
                format.join(&value, &turned(&found), Side::Protected, &mut other);
                let mut again = Segments::default();
                format.split(&other, Side::Protected, &mut again).expect("a valid one");
                let mut back = String::new();
                format.join(&other, &turned(&again), Side::Plain, &mut back);
                assert_eq!(back, value, "{pattern} {check}");
                assert!(seen.insert(other), "{pattern} {check}");
            }
            assert_eq!(
                (seen.len() as u64, Some(u128::from(size))),
                (size, format.usual_size()),
                "{pattern} {check}"
            );
            assert_eq!(all.size(), u128::from(size) * 10, "one check digit a value");
        }
    }

    #[test]
    fn checks_that_would_lose_a_symbol_are_refused() {
        for check in ["luhn", "mod11-10"] {
            for (pattern, what) in [
                ("9{7}[0-9A-Z]", "nothing else"),
                ("9{6}[0-9X]", "nothing else"),
                ("9{7}[0-8]", "nothing else"),
                ("9{7}A", "nothing else"),
                ("9{7}-0", "stands behind it"),
                (r"9{7}\0x", "stands behind it"),
            ] {
                let error = checked(pattern, check).expect_err(pattern);
                assert!(error.message().contains(what), "{pattern}: {error}");
            }
        }
        let vin = |place: &str| checked(&format!("[A-Z0-9]{{8}}{place}[A-Z0-9]{{8}}"), "vin");
        assert!(vin("[0-9X]").is_ok());
        for place in ["9", "[0-9A-Z]", "[0-9XY]", "X"] {
            assert!(vin(place).is_err(), "{place}");
        }
        assert!(checked("9{16}", "vin").is_err());
    }

    #[test]
    fn providers() {
        // 1234567893 is the example of CMS.
        let format = Format::parse("npi", toml::Table::new()).expect("npi");
        let other = there_and_back(&format, "1234567893");
        assert!(other.starts_with("2765432"));
        let Format::Segmented(npi) = &format else {
            unreachable!()
        };
        for value in ["1234567890", "3234567893", "123456789", "12345678934"] {
            assert!(
                npi.split(value, Side::Plain, &mut Segments::default()).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn short_patterns_share_a_band() {
        let zip = Format::parse("template", toml::toml! { patterns = ["99999", "99999-9999"] }).expect("zip");
        let Format::Segmented(zip) = zip else { unreachable!() };
        let banded = zip.banded().expect("a band");
        let band = banded.band("12345", Side::Plain).expect("short").domain;
        assert_eq!(band.size(), 100_000 + 1_000_000_000);
        assert!(zip.band("12345", Side::Plain).is_none());
        assert_ne!(zip.definition(), banded.definition());
        for patterns in [vec!["9999"], vec!["999", "9999"], vec!["9999999", "99999999"]] {
            let table = toml::Table::from_iter([("patterns".to_owned(), patterns.clone().into())]);
            let error = Format::parse("template", table)
                .expect("patterns")
                .banded()
                .expect_err("no band");
            assert!(error.message().contains("makes no band"), "{patterns:?}: {error}");
        }
        let checked = Format::parse("npi", toml::Table::new()).expect("npi");
        let Format::Segmented(checked) = checked else {
            unreachable!()
        };
        assert!(checked.banded().is_err());
    }
}
