//! `postcode`: of the United States, the United Kingdom or Canada. Those of other countries are templates.
//!
//! British postcodes are of six patterns, the smallest with 920,000 values: they are all numbered together, so that
//! every one passes the floor, and a result may be of another pattern. US ZIP codes of five digits are 100,000: under
//! the floor, unless they share a band with those of nine.

use std::sync::Arc;

use serde::Deserialize;

use crate::Result;
use crate::formats::class::{CharClass, PatternUnion, Position};
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::layout::Keep;
use crate::formats::parameters::parse_parameters;
use crate::formats::ranked::RankedFormat;
use crate::formats::template::Template;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostcodeParameters {
    country: Country,
}

#[derive(Clone, Copy, Deserialize)]
enum Country {
    #[serde(rename = "US")]
    UnitedStates,
    // People write UK; ISO 3166-1 has GB, and the definition names that.
    #[serde(rename = "GB", alias = "UK")]
    UnitedKingdom,
    #[serde(rename = "CA")]
    Canada,
}

/// Letters of Canadian postal codes (Canada Post): the first place knows neither W nor Z.
const CANADA: &str = "[ABCEGHJ-NPRSTVXY]9[ABCEGHJ-NPRSTV-Z]";

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let PostcodeParameters { country } = parse_parameters(table)?;
    match country {
        Country::UnitedStates => {
            let patterns = ["99999", "99999-9999"].map(str::to_owned);
            // ZIP codes that were never issued fit as well: the list changes all the time, and a frozen format
            // cannot follow it.
            Template::format("postcode/2", patterns.into(), Keep::default(), None)
        }
        Country::Canada => {
            let end = "9[ABCEGHJ-NPRSTV-Z]9";
            // The space is a literal that is no letter or digit, so both patterns share a shape and a code has one
            // ciphertext.
            let patterns = [format!("{CANADA} {end}"), format!("{CANADA}{end}")];
            Template::format("postcode/2", patterns.into(), Keep::default(), None)
        }
        Country::UnitedKingdom => Ok(Format::Ranked(Arc::new(British::new()))),
    }
}

/// All of BS 7666's patterns, numbered together; the space before the last three characters is a matter of layout.
#[derive(Debug)]
struct British(PatternUnion);

impl British {
    fn new() -> Self {
        let class = |ranges: &[(char, char)]| {
            let ranges: Vec<_> = ranges.iter().map(|(first, last)| (*first, *last, 1)).collect();
            Position::Class(Arc::new(CharClass::new(&ranges)))
        };
        let digit = || class(&[('0', '9')]);
        // Letters that never stand in a place are left out, so a result looks like a postcode that may exist.
        let first = || class(&[('A', 'P'), ('R', 'U'), ('W', 'W'), ('Y', 'Z')]); // not Q V X
        let second = || class(&[('A', 'H'), ('K', 'Y')]); // not I J Z
        let third = || class(&[('A', 'H'), ('J', 'K'), ('P', 'P'), ('S', 'U'), ('W', 'W')]);
        let fourth = || {
            class(&[
                ('A', 'B'),
                ('E', 'E'),
                ('H', 'H'),
                ('M', 'N'),
                ('P', 'P'),
                ('R', 'R'),
                ('V', 'Y'),
            ])
        };
        let inward = || {
            class(&[
                ('A', 'B'),
                ('D', 'H'),
                ('J', 'J'),
                ('L', 'L'),
                ('N', 'N'),
                ('P', 'U'),
                ('W', 'Z'),
            ])
        };
        let outward = [
            vec![first(), digit()],
            vec![first(), digit(), digit()],
            vec![first(), digit(), third()],
            vec![first(), second(), digit()],
            vec![first(), second(), digit(), digit()],
            vec![first(), second(), digit(), fourth()],
        ];
        // Length and the kinds of the second to fourth characters tell the six apart, so no value has two ranks.
        let patterns = outward.map(|mut places| {
            places.extend([digit(), inward(), inward()]);
            places
        });
        Self(PatternUnion::new(patterns).expect("510 million postcodes"))
    }
}

/// `value` without the space, and whether it had one.
fn closed(value: &str) -> Option<(String, bool)> {
    match value.split_once(' ') {
        None => Some((value.to_owned(), false)),
        // The space may stand before the last three characters only, where `unrank` puts it back.
        Some((outward, inward)) => (inward.len() == 3).then(|| (format!("{outward}{inward}"), true)),
    }
}

impl RankedFormat for British {
    fn definition(&self) -> String {
        "postcode/1 country=GB".to_owned()
    }

    fn size(&self) -> u128 {
        self.0.size()
    }

    fn rank(&self, value: &str) -> Result<u128, FormatError> {
        // One reason for all: the position of the first wrong character depends on the pattern that was meant.
        let misfit = FormatError::Malformed("not a postcode of the United Kingdom in upper case");
        let (closed, _) = closed(value).ok_or(misfit.clone())?;
        self.0.rank(&closed).map_err(|_| misfit)
    }

    fn unrank(&self, rank: u128, value: &str, out: &mut String) {
        self.0.unrank(rank, "", out);
        if value.contains(' ') {
            // From the end, since the result may be of another pattern and the outward code of another length.
            out.insert(out.len() - 3, ' '); // ASCII, and at least five
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    fn of(country: &str) -> Format {
        parse(toml::Table::from_iter([("country".to_owned(), country.into())])).expect("a country")
    }

    #[test]
    fn british_postcodes_are_one_domain() {
        let Format::Ranked(british) = of("UK") else {
            panic!("ranked")
        };
        assert_eq!(
            british.size(),
            4_000 * (230 + 2_300 + 23 * 10 * 15 + 23 * 23 * 10 + 23 * 23 * 100 + 23 * 23 * 120)
        );
        for value in [
            "M1 1AE", "B33 8TH", "W1A 0AX", "CR2 6XH", "DN55 1PT", "EC1A 1BB", "M11AE", "EC1A1BB", "W1A0AX",
        ] {
            let rank = british.rank(value).expect(value);
            let mut out = String::new();
            british.unrank(rank, value, &mut out);
            assert_eq!(out, value);
        }
        for value in [
            "",
            "GIR 0AA",
            "M1 1A",
            "M1  1AE",
            "m1 1ae",
            "Q1 1AE",
            "M1 1AC",
            "M11 AE",
            "EC1A 1BBB",
            "M1 1AÉ",
        ] {
            assert!(british.rank(value).is_err(), "{value}");
        }
    }

    #[test]
    fn others_are_templates() {
        assert_eq!(there_and_back(&of("US"), "10001-0001"), "89998-9998");
        assert_eq!(there_and_back(&of("CA"), "K1A 0B1"), "N8Z 9Y8");
        assert_eq!(there_and_back(&of("CA"), "K1A0B1").len(), 6);
        assert!(parse(toml::toml! { country = "FR" }).is_err());
        assert!(of("US").banded().is_ok() && of("GB").banded().is_err());
    }
}
