//! Symbols in their places: separators and kept positions stay where they are.

use std::sync::Arc;

use super::alphabet::Alphabet;
use super::ascii_layout::AsciiLayout;
use super::band::{Band, SHORT_BAND};
use super::class::FLOOR;
use super::error::FormatError;
use super::ranked::RankedFormat;
use super::side::Side;
use super::string::{Parts, StringFormat};
use crate::ascii::{Symbols, append_kept_numerals};
use crate::{Error, Result};

/// The separators unless a policy names others: the space and every ASCII punctuation mark.
// ASCII only: `without_separators` relies on it.
const SEPARATORS: &str = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// The numbers of symbols that are kept at the start and at the end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Keep {
    pub(super) first: usize,
    pub(super) last: usize,
}

impl From<[u8; 2]> for Keep {
    fn from([first, last]: [u8; 2]) -> Self {
        Self {
            first: first.into(),
            last: last.into(),
        }
    }
}

impl Keep {
    pub(super) fn count(self) -> usize {
        self.first + self.last
    }
}

/// A string over one alphabet, with separators that stay and symbols kept at either end.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Name and version.
    name: &'static str,
    alphabet: Alphabet,
    /// The alphabet as bytes, if it is small and ASCII.
    symbols: Option<Symbols>,
    separators: Separators,
    keep: Keep,
    band: Option<Short>,
}

/// All strings of 1 to so many symbols, shorter ones first: what short values are encrypted among.
#[derive(Clone, Debug)]
struct Short {
    alphabet: Alphabet,
    longest: usize,
    size: u128,
}

impl Short {
    /// Up to the first length with which the floor is passed.
    fn new(alphabet: &Alphabet) -> Self {
        let mut short = Self {
            alphabet: alphabet.clone(),
            longest: 0,
            size: 0,
        };
        // Ends, since each length adds at least 2 values. The last length adds less than 2^16 times the floor, so
        // nothing overflows.
        while short.size < FLOOR {
            short.longest += 1;
            short.size += short.of_length(short.longest);
        }
        short
    }

    /// Counts the strings of `length` symbols, at most [`Self::longest`].
    fn of_length(&self, length: usize) -> u128 {
        u128::from(self.alphabet.radix()).pow(length as u32)
    }
}

impl RankedFormat for Short {
    fn definition(&self) -> String {
        format!("band of {}", self.size)
    }

    fn size(&self) -> u128 {
        self.size
    }

    fn rank(&self, value: &str) -> Result<u128, FormatError> {
        let (mut number, mut length) = (0u128, 0);
        for (i, symbol) in value.chars().enumerate() {
            let numeral = self.alphabet.numeral(symbol);
            // Refused at the first symbol too many, so a long value is not read to its end and `number` stays
            // below the size.
            let numeral = numeral.filter(|_| i < self.longest);
            let numeral = numeral.ok_or(FormatError::Character { position: i + 1 })?;
            number = number * u128::from(self.alphabet.radix()) + u128::from(numeral);
            length += 1;
        }
        // Lengths in ascending order: a value's rank is the number of all shorter ones plus its own number.
        // Leading zeros count, as the length is known from the rank.
        let shorter: u128 = (1..length).map(|length| self.of_length(length)).sum();
        Ok(shorter + number)
    }

    fn unrank(&self, rank: u128, _: &str, out: &mut String) {
        let (mut number, mut length) = (rank, 1);
        // Ends at the latest with the longest length, since the rank is below the size of all together.
        while number >= self.of_length(length) {
            number -= self.of_length(length);
            length += 1;
        }
        for place in (0..length).rev() {
            let numeral = number / self.of_length(place) % u128::from(self.alphabet.radix());
            out.push(self.alphabet.symbol(numeral as u16)); // below the radix
        }
    }
}

#[derive(Clone, Debug)]
struct Separators {
    /// By a policy, and not by default.
    listed: bool,
    ascii: u128,
    others: Vec<char>,
}

impl Separators {
    fn contain(&self, symbol: char) -> bool {
        match u32::from(symbol) {
            // One bit for each ASCII character: the test is made for every character of a column.
            code @ 0..128 => self.ascii >> code & 1 == 1,
            _ => self.others.contains(&symbol),
        }
    }
}

impl Layout {
    /// A layout whose separators are those given, or else every ASCII punctuation mark that is not a symbol.
    pub(super) fn try_new(
        name: &'static str,
        alphabet: Alphabet,
        separators: Option<&str>,
        keep: Keep,
    ) -> Result<Self> {
        let (mut ascii, mut others) = (0u128, Vec::new());
        for separator in separators.unwrap_or(SEPARATORS).chars() {
            // A default separator that is a symbol is data here. One that a policy lists is a contradiction, and
            // must not be dropped silently.
            if alphabet.numeral(separator).is_some() {
                if separators.is_some() {
                    return Err(Error::bad_policy(
                        "a separator is also a symbol of the alphabet, so its place could not be told",
                    ));
                }
                continue;
            }
            match u32::from(separator) {
                code @ 0..128 => ascii |= 1 << code,
                _ => others.push(separator),
            }
        }
        Ok(Self {
            name,
            symbols: Symbols::new(alphabet.symbols()),
            alphabet,
            separators: Separators {
                listed: separators.is_some(),
                ascii,
                others,
            },
            keep,
            band: None,
        })
    }
}

impl Layout {
    /// The numbers of symbols that are kept at the start and at the end.
    pub(super) fn kept_ends(&self) -> [usize; 2] {
        [self.keep.first, self.keep.last]
    }

    /// Takes `symbols` out of the separators.
    ///
    /// # Errors
    /// One that a policy lists as such.
    pub(super) fn without_separators(mut self, symbols: &[char]) -> Result<Self> {
        for symbol in symbols {
            // Only symbols that are separators are concerned; the others may be in `output` freely.
            if !self.separators.contain(*symbol) {
                continue;
            }
            if self.separators.listed {
                return Err(Error::bad_policy(
                    "a separator is also a symbol of output, so its place could not be told",
                ));
            }
            self.separators.ascii &= !(1 << u32::from(*symbol)); // those not listed are ASCII
        }
        Ok(self)
    }

    pub(super) fn is_separator(&self, symbol: char) -> bool {
        self.separators.contain(symbol)
    }

    /// Iterates over the symbols between separators, with their places in the value.
    pub(super) fn symbols_of<'a>(&'a self, value: &'a str) -> impl Iterator<Item = (usize, char)> + 'a {
        value
            .chars()
            .enumerate()
            .filter(|(_, symbol)| !self.separators.contain(*symbol))
    }

    pub(super) fn symbol(&self, numeral: u16) -> char {
        self.alphabet.symbol(numeral)
    }

    /// The first symbol.
    pub(super) fn zero(&self) -> char {
        self.alphabet.symbol(0)
    }
}

impl StringFormat for Layout {
    fn definition(&self) -> String {
        // Separators do not define the map: they only say what is accepted.
        let symbols: String = self.alphabet.symbols().iter().collect();
        let short = if self.band.is_some() { SHORT_BAND } else { "" };
        format!(
            "{} keep={},{}{short} symbols={symbols}",
            self.name, self.keep.first, self.keep.last
        )
    }

    fn radix(&self) -> u32 {
        self.alphabet.radix()
    }

    fn is_symbol(&self, symbol: char) -> bool {
        symbol.is_alphanumeric() || self.alphabet.numeral(symbol).is_some()
    }

    fn ascii_layout(&self) -> Option<AsciiLayout<'_>> {
        Some(AsciiLayout {
            symbols: self.symbols.as_ref()?,
            separators: self.separators.ascii,
            // Kept ends go to the splitter, which makes the same tweak as `keep_ends` does.
            keep: [self.keep.first, self.keep.last],
            // Short values are left to `band`.
            lengths: self.band.as_ref().map(|short| short.longest + 1..=AsciiLayout::LONGEST),
            check: None,
        })
    }

    fn band(&self, value: &str, _: Side) -> Option<Band<'_>> {
        let short = self.band.as_ref()?;
        // One band for all: every value of 1 to `longest` symbols and no separator is in it, and results are of
        // the same kind. So bands and longer values never meet, on either side.
        let band = Band {
            domain: short,
            number: 0,
        };
        // An empty text has the rank of the first value; the caller keeps it out.
        short.rank(value).is_ok().then_some(band)
    }

    fn banded(&self) -> Result<Arc<dyn StringFormat>> {
        // Kept symbols would be part of the tweak, and a value with fewer symbols has others of them.
        if self.keep.count() > 0 {
            return Err(Error::bad_policy(
                "on_short = \"band\" does not go with keep: values that share a band change their length",
            ));
        }
        Ok(Arc::new(Self {
            band: Some(Short::new(&self.alphabet)),
            ..self.clone()
        }))
    }

    fn split(&self, value: &str, _: Side, parts: &mut Parts) -> Result<(), FormatError> {
        let start = parts.numerals.len();
        for (i, symbol) in value.chars().enumerate() {
            // The alphabet first: a character that is both would be data.
            match self.alphabet.numeral(symbol) {
                Some(numeral) => parts.numerals.push(numeral),
                None if self.separators.contain(symbol) => {}
                None => return Err(FormatError::Character { position: i + 1 }),
            }
        }
        // Last, since the end is known only once all symbols are.
        keep_ends(start, self.keep, parts)
    }

    fn join(&self, value: &str, numerals: &[u16], _: Side, out: &mut String) {
        // Counted in symbols, not characters: separators do not move the kept ends.
        let last_free = self.keep.first + numerals.len();
        let mut place = 0;
        for symbol in value.chars() {
            if self.separators.contain(symbol) {
                out.push(symbol);
                continue;
            }
            if (self.keep.first..last_free).contains(&place) {
                out.push(self.alphabet.symbol(numerals[place - self.keep.first]));
            } else {
                out.push(symbol);
            }
            place += 1;
        }
    }
}

/// Moves the numerals that are kept, of those from `start` on, out to the kept parts.
pub(super) fn keep_ends(start: usize, keep: Keep, parts: &mut Parts) -> Result<(), FormatError> {
    let found = parts.numerals.len() - start;
    if found < keep.count() {
        return Err(FormatError::ShorterThanKept {
            found,
            kept: keep.count(),
        });
    }
    if keep.count() == 0 {
        return Ok(());
    }
    // From the end first, so that the range of the start is not moved.
    let last = parts.numerals.split_off(parts.numerals.len() - keep.last);
    let first: Vec<u16> = parts.numerals.drain(start..start + keep.first).collect();
    // Each part with its length before it: "12" + "3" and "1" + "23" must not be one tweak.
    append_kept_numerals(&mut parts.kept, &first);
    append_kept_numerals(&mut parts.kept, &last);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_are_numbered_together() {
        for (symbols, longest, size) in [
            ("0123456789", 6, 1_111_110),
            ("01", 19, (1 << 20) - 2),
            ("αβγδε", 9, 2_441_405),
        ] {
            let alphabet = Alphabet::try_new(symbols).expect("alphabet");
            let short = Short::new(&alphabet);
            assert_eq!((short.longest, short.size), (longest, size));
            for rank in (0..100).chain(size - 100..size).chain((0..size).step_by(9_973)) {
                let mut text = String::new();
                short.unrank(rank, "", &mut text);
                assert_eq!(short.rank(&text), Ok(rank), "{text}");
            }
        }
        let banded = layout([0, 0]).banded().expect("a band");
        assert_ne!(banded.definition(), layout([0, 0]).definition());
        for (value, is_short) in [
            ("7", true),
            ("999999", true),
            ("1000000", false),
            ("12-34", false),
            ("12a", false),
        ] {
            assert_eq!(banded.band(value, Side::Plain).is_some(), is_short, "{value}");
        }
        assert!(layout([1, 0]).banded().is_err());
    }

    fn layout(keep: [u8; 2]) -> Layout {
        let alphabet = Alphabet::try_new("0123456789").expect("alphabet");
        Layout::try_new("digits/1", alphabet, None, keep.into()).expect("layout")
    }

    #[test]
    fn separators_and_kept_symbols_stay() {
        let layout = layout([2, 1]);
        let mut parts = Parts::default();
        layout.split("(25) 989-741", Side::Plain, &mut parts).expect("fits");
        assert_eq!(parts.numerals, [9, 8, 9, 7, 4]);
        assert_eq!(parts.kept, [0, 0, 0, 4, 0, 2, 0, 5, 0, 0, 0, 2, 0, 1]);
        let mut out = String::new();
        layout.join("(25) 989-741", &[1, 2, 3, 4, 5], Side::Protected, &mut out);
        assert_eq!(out, "(25) 123-451");
    }

    #[test]
    fn splits_append_to_what_is_there() {
        let layout = layout([1, 1]);
        let mut parts = Parts::default();
        layout.split("1234", Side::Plain, &mut parts).expect("fits");
        layout.split("5678", Side::Plain, &mut parts).expect("fits");
        assert_eq!(parts.numerals, [2, 3, 6, 7]);
    }

    #[test]
    fn misfits_name_the_position() {
        let mut parts = Parts::default();
        let found = layout([0, 0]).split("12-x4", Side::Plain, &mut parts);
        assert_eq!(found, Err(FormatError::Character { position: 4 }));
        let found = layout([3, 4]).split("12-34", Side::Plain, &mut Parts::default());
        assert_eq!(found, Err(FormatError::ShorterThanKept { found: 4, kept: 7 }));
    }

    #[test]
    fn a_separator_that_is_a_symbol_is_refused() {
        let alphabet = Alphabet::try_new("0-").expect("alphabet");
        assert!(Layout::try_new("alphabet/1", alphabet, Some("-"), Keep::default()).is_err());
    }
}
