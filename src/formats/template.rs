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

use serde::Deserialize;

use super::check::Check;
use super::class::{self, Class, Place, Union};
use super::layout::Keep;
use super::{Format, Misfit, MixedFormat, Places, RankedFormat, Side, parameters};
use crate::{Error, Result};

/// The most places of a pattern, and the most patterns.
const MOST: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    pattern: Option<String>,
    patterns: Option<Vec<String>>,
    #[serde(default)]
    keep: [u8; 2],
    check: Option<Check>,
}

#[derive(Debug)]
pub(super) struct Template {
    name: &'static str,
    /// As the policy has them.
    sources: Vec<String>,
    patterns: Vec<Pattern>,
    keep: Keep,
    check: Option<Check>,
    band: Option<Union>,
}

#[derive(Debug)]
struct Pattern {
    places: Vec<Place>,
    /// Of each place, what becomes of it.
    fates: Vec<Fate>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Literal,
    KeptFirst,
    KeptLast,
    Free,
    /// Set to what makes the check right.
    Solved,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let Parameters {
        pattern,
        patterns,
        keep,
        check,
    } = parameters(table)?;
    let sources = match (pattern, patterns) {
        (Some(one), None) => vec![one],
        (None, Some(several)) if !several.is_empty() => several,
        _ => {
            return Err(Error::bad_policy("takes either a pattern or a list of patterns")
                .with_hint("write format = { type = \"template\", pattern = \"AA-9999\" }"));
        }
    };
    Template::format("template/1", sources, keep.into(), check)
}

/// Vehicle identification numbers (ISO 3779, with the check digit of 49 CFR 565.15).
pub(super) fn vin(table: toml::Table) -> Result<Format> {
    let Kept { keep } = parameters(table)?;
    let pattern = r"[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-TV-Y1-9][A-HJ-NPR-Z0-9]{3}\d{4}";
    Template::format("vin/1", vec![pattern.to_owned()], keep.into(), Some(Check::Vin))
}

/// National provider identifiers of the United States (45 CFR 162.406): Luhn over the number behind 80840.
pub(super) fn npi(table: toml::Table) -> Result<Format> {
    let Kept { keep } = parameters(table)?;
    let check = Check::Luhn {
        prefix: "80840".to_owned(),
    };
    Template::format("npi/1", vec!["[12]9{9}".to_owned()], keep.into(), Some(check))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(default)]
    keep: [u8; 2],
}

impl Template {
    pub(super) fn format(name: &'static str, sources: Vec<String>, keep: Keep, check: Option<Check>) -> Result<Format> {
        Ok(Format::Mixed(Arc::new(Self::try_new(name, sources, keep, check)?)))
    }

    fn try_new(name: &'static str, sources: Vec<String>, keep: Keep, check: Option<Check>) -> Result<Self> {
        if sources.len() > MOST {
            return Err(Error::bad_policy(format!("more than {MOST} patterns")));
        }
        let mut patterns: Vec<Pattern> = Vec::with_capacity(sources.len());
        for source in &sources {
            let in_pattern = |error: Error| error.context(format_args!("pattern \"{source}\""));
            let places = compile(source).map_err(in_pattern)?;
            let pattern = Pattern::try_new(places, keep, check.as_ref()).map_err(in_pattern)?;
            if let Some(other) = patterns.iter().position(|other| !other.is_disjoint(&pattern)) {
                return Err(Error::bad_policy(format!(
                    "patterns \"{}\" and \"{source}\" have values in common, so it could not be told which one a value has",
                    sources[other]
                )));
            }
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
        self.patterns.iter().find(|pattern| class::fits(&pattern.places, value))
    }
}

impl Pattern {
    fn try_new(places: Vec<Place>, keep: Keep, check: Option<&Check>) -> Result<Self> {
        let of_class: Vec<usize> = (0..places.len())
            .filter(|at| matches!(places[*at], Place::Class(_)))
            .collect();
        let mut fates = vec![Fate::Literal; places.len()];
        for at in &of_class {
            fates[*at] = Fate::Free;
        }
        if let Some(check) = check {
            let symbols: Vec<bool> = fates.iter().map(|fate| *fate == Fate::Free).collect();
            fates[check.place(&places, &symbols)?] = Fate::Solved;
        }
        let count = of_class.len();
        if keep.count() >= count {
            return Err(Error::bad_policy(format!(
                "keep = [{}, {}] leaves nothing of {count} places to protect",
                keep.first, keep.last
            )));
        }
        for (i, at) in of_class.into_iter().enumerate() {
            let kept = match (i < keep.first, i >= count - keep.last) {
                (true, _) => Fate::KeptFirst,
                (_, true) => Fate::KeptLast,
                _ => continue,
            };
            if fates[at] == Fate::Solved {
                return Err(Error::bad_policy(
                    "the check digit changes with the others, so it cannot be kept",
                ));
            }
            fates[at] = kept;
        }
        Ok(Self { places, fates })
    }

    /// The place whose symbol makes the check right.
    fn solved(&self) -> Option<usize> {
        self.fates.iter().position(|fate| *fate == Fate::Solved)
    }

    fn is_disjoint(&self, other: &Self) -> bool {
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
            .zip(&self.fates)
            .filter(|(_, fate)| **fate == Fate::Free);
        free.fold(1u128, |size, (place, _)| {
            size.saturating_mul(u128::from(place.choices()))
        })
    }
}

impl MixedFormat for Template {
    fn definition(&self) -> String {
        let mut definition = format!("{} keep={},{}", self.name, self.keep.first, self.keep.last);
        if let Some(check) = &self.check {
            definition.push_str(&format!(" check={check}"));
        }
        if self.band.is_some() {
            definition.push_str(" short=band");
        }
        for source in &self.sources {
            definition.push_str(&format!(" {source:?}"));
        }
        definition
    }

    fn usual_size(&self) -> Option<u128> {
        match &self.band {
            Some(band) => Some(band.size()),
            None => self.patterns.iter().map(Pattern::size).max(),
        }
    }

    fn is_symbol(&self, symbol: char) -> bool {
        let mut places = self.patterns.iter().flat_map(|pattern| &pattern.places);
        symbol.is_alphanumeric()
            || places.any(|place| matches!(place, Place::Class(class) if class.index(symbol).is_some()))
    }

    fn split(&self, value: &str, _: Side, places: &mut Places) -> Result<(), Misfit> {
        let pattern = self
            .pattern(value)
            .ok_or(Misfit::Malformed("not as the pattern has it"))?;
        if let Some((check, at)) = self.check.as_ref().zip(pattern.solved())
            && !check.holds(value, at)
        {
            return Err(Misfit::CheckDigit);
        }
        let (mut first, mut last) = (String::new(), String::new());
        for ((place, fate), symbol) in pattern.places.iter().zip(&pattern.fates).zip(value.chars()) {
            match (fate, place) {
                (Fate::KeptFirst, _) => first.push(symbol),
                (Fate::KeptLast, _) => last.push(symbol),
                (Fate::Free, Place::Class(class)) => {
                    places.push(class.index(symbol).unwrap_or_default(), class.size());
                }
                _ => {}
            }
        }
        if self.keep.count() > 0 {
            places.keep(first.as_bytes());
            places.keep(last.as_bytes());
        }
        Ok(())
    }

    fn join(&self, value: &str, digits: &[u64], _: Side, out: &mut String) {
        let Some(pattern) = self.pattern(value) else { return };
        let start = out.len();
        let mut digits = digits.iter();
        for ((place, fate), symbol) in pattern.places.iter().zip(&pattern.fates).zip(value.chars()) {
            out.push(match (fate, place) {
                (Fate::Free, Place::Class(class)) => digits.next().map_or(symbol, |digit| class.symbol(*digit)),
                _ => symbol,
            });
        }
        if let Some((check, at)) = self.check.as_ref().zip(pattern.solved()) {
            let solved = check.solved(&out[start..], at);
            out.truncate(start);
            out.push_str(&solved);
        }
    }

    fn band(&self, value: &str, _: Side) -> Option<&dyn RankedFormat> {
        let band = self.band.as_ref().filter(|band| band.takes(value))?;
        Some(band)
    }

    fn banded(&self) -> Result<Arc<dyn MixedFormat>> {
        if self.keep.count() > 0 || self.check.is_some() {
            return Err(Error::bad_policy(
                "on_short = \"band\" does not go with keep or check: patterns that share a band change into each other",
            ));
        }
        let patterns = self.patterns.iter().map(|pattern| pattern.places.clone()).collect();
        let mut banded = Self::try_new(self.name, self.sources.clone(), self.keep, None)?;
        banded.band = class::short(patterns);
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
fn compile(source: &str) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    let mut symbols = source.chars().peekable();
    let range = |first, last| Place::Class(Arc::new(Class::new(&[(first, last, 1)])));
    while let Some(symbol) = symbols.next() {
        let place = match symbol {
            'A' => range('A', 'Z'),
            'a' => range('a', 'z'),
            '9' => range('0', '9'),
            '\\' => match symbols.next() {
                Some('d') => range('0', '9'),
                Some(literal) => Place::Literal(literal),
                None => return Err(Error::bad_policy("ends with \\")),
            },
            '[' => set(&mut symbols)?,
            '{' => {
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
                    .ok_or_else(|| Error::bad_policy(format!("between {{ and }} stands a number from 1 to {MOST}")))?;
                places.extend(std::iter::repeat_n(before, count - 1));
                continue;
            }
            ']' | '}' => {
                return Err(Error::bad_policy(format!(
                    "has a {symbol} that nothing opened; write \\{symbol} for the character itself"
                )));
            }
            literal => Place::Literal(literal),
        };
        places.push(place);
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
fn set(symbols: &mut Peekable<Chars<'_>>) -> Result<Place> {
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
    if sorted.windows(2).any(|pair| pair[1].0 <= pair[0].1) {
        return Err(Error::bad_policy("has a set that names a character twice"));
    }
    match ranges.as_slice() {
        [] => Err(Error::bad_policy("has an empty set")),
        [(first, last, _)] if first == last => Ok(Place::Literal(*first)),
        _ => Ok(Place::Class(Arc::new(Class::new(&ranges)))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bits::tests::there_and_back;
    use super::*;

    fn template(pattern: &str) -> Result<Format> {
        parse(toml::Table::from_iter([("pattern".to_owned(), pattern.into())]))
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
        assert_eq!(there_and_back(&parse(table).expect("kept"), "CB-1234"), "CB-8764");
        assert!(parse(toml::toml! { pattern = "AA-9999"  keep = [2, 4] }).is_err());
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
            assert!(parse(table).is_err(), "{patterns:?}");
        }
        let disjoint = toml::toml! { patterns = ["99999", "99999-9999", "A9999"] };
        assert_eq!(there_and_back(&parse(disjoint).expect("disjoint"), "A1234"), "Z8765");
    }

    #[test]
    fn vehicles() {
        // 1M8GDM9AXKP042788 is the worked example of the check digit in 49 CFR 565.15.
        let format = vin(toml::Table::new()).expect("vin");
        let Format::Mixed(vin) = &format else { unreachable!() };
        vin.split("1M8GDM9AXKP042788", Side::Plain, &mut Places::default())
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
                vin.split(value, Side::Plain, &mut Places::default()).is_err(),
                "{value}"
            );
        }
        let kept = super::vin(toml::toml! { keep = [3, 0] }).expect("manufacturer kept");
        assert!(there_and_back(&kept, "1M8GDM9AXKP042788").starts_with("1M8"));
        assert!(super::vin(toml::toml! { keep = [9, 0] }).is_err());
    }

    fn checked(pattern: &str, check: &str) -> Result<Format> {
        let table = format!("pattern = '{pattern}'\ncheck = {{ type = \"{check}\" }}");
        parse(table.parse().expect("TOML"))
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
            let Format::Mixed(format) = checked(pattern, check).expect(pattern) else {
                unreachable!()
            };
            let places = compile(pattern).expect(pattern);
            let all = Union::new([places.clone()]).expect("few");
            let (mut seen, mut size) = (std::collections::HashSet::new(), 0);
            for rank in 0..all.size() {
                let mut value = String::new();
                all.unrank(rank, "", &mut value);
                let mut found = Places::default();
                if format.split(&value, Side::Plain, &mut found).is_err() {
                    continue;
                }
                size = found.choices.iter().product::<u64>();
                let mut same = String::new();
                format.join(&value, &found.digits, Side::Protected, &mut same);
                assert_eq!(same, value, "{pattern} {check}");
                // Each digit turned around is another value, which turned around is this one.
                let turned = |found: &Places| -> Vec<u64> {
                    let each = found.digits.iter().zip(&found.choices);
                    each.map(|(digit, choices)| choices - 1 - digit).collect()
                };
                let mut other = String::new();
                format.join(&value, &turned(&found), Side::Protected, &mut other);
                let mut again = Places::default();
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
        let format = npi(toml::Table::new()).expect("npi");
        let other = there_and_back(&format, "1234567893");
        assert!(other.starts_with("2765432"));
        let Format::Mixed(npi) = &format else { unreachable!() };
        for value in ["1234567890", "3234567893", "123456789", "12345678934"] {
            assert!(
                npi.split(value, Side::Plain, &mut Places::default()).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn short_patterns_share_a_band() {
        let zip = parse(toml::toml! { patterns = ["99999", "99999-9999"] }).expect("zip");
        let Format::Mixed(zip) = zip else { unreachable!() };
        let banded = zip.banded().expect("a band");
        let band = banded.band("12345", Side::Plain).expect("short");
        assert_eq!(band.size(), 100_000 + 1_000_000_000);
        assert!(zip.band("12345", Side::Plain).is_none());
        assert_ne!(zip.definition(), banded.definition());
        for patterns in [vec!["9999"], vec!["999", "9999"], vec!["9999999", "99999999"]] {
            let table = toml::Table::from_iter([("patterns".to_owned(), patterns.clone().into())]);
            let error = parse(table).expect("patterns").banded().expect_err("no band");
            assert!(error.message().contains("makes no band"), "{patterns:?}: {error}");
        }
        let checked = npi(toml::Table::new()).expect("npi");
        let Format::Mixed(checked) = checked else {
            unreachable!()
        };
        assert!(checked.banded().is_err());
    }
}
