//! Symbols in their places: separators and kept positions stay where they are.

use super::{Alphabet, Misfit, Parts, Plain, Side, StringFormat};
use crate::cipher::Symbols;
use crate::{Error, Result};

/// What may stand between symbols unless a policy says otherwise: the space and every ASCII punctuation mark.
const SEPARATORS: &str = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// How many symbols at the start and at the end stay as they are.
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
#[derive(Debug)]
pub(super) struct Layout {
    /// Name and version.
    name: &'static str,
    alphabet: Alphabet,
    /// The same, if it is small and ASCII.
    symbols: Option<Symbols>,
    separators: Separators,
    keep: Keep,
}

#[derive(Debug)]
struct Separators {
    ascii: u128,
    others: Vec<char>,
}

impl Separators {
    fn contain(&self, symbol: char) -> bool {
        match u32::from(symbol) {
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
            separators: Separators { ascii, others },
            keep,
        })
    }
}

impl StringFormat for Layout {
    fn definition(&self) -> String {
        // Separators do not define the map: they only say what is accepted.
        let symbols: String = self.alphabet.symbols().iter().collect();
        format!(
            "{} keep={},{} symbols={symbols}",
            self.name, self.keep.first, self.keep.last
        )
    }

    fn radix(&self) -> u32 {
        self.alphabet.radix()
    }

    fn is_symbol(&self, symbol: char) -> bool {
        symbol.is_alphanumeric() || self.alphabet.numeral(symbol).is_some()
    }

    fn plain(&self) -> Option<Plain<'_>> {
        Some(Plain {
            symbols: self.symbols.as_ref()?,
            separators: self.separators.ascii,
            keep: [self.keep.first, self.keep.last],
            lengths: None,
            check: None,
        })
    }

    fn split(&self, value: &str, _: Side, parts: &mut Parts) -> Result<(), Misfit> {
        let start = parts.numerals.len();
        for (i, symbol) in value.chars().enumerate() {
            match self.alphabet.numeral(symbol) {
                Some(numeral) => parts.numerals.push(numeral),
                None if self.separators.contain(symbol) => {}
                None => return Err(Misfit::Character { position: i + 1 }),
            }
        }
        keep_ends(start, self.keep, parts)
    }

    fn join(&self, value: &str, numerals: &[u16], _: Side, out: &mut String) {
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
pub(super) fn keep_ends(start: usize, keep: Keep, parts: &mut Parts) -> Result<(), Misfit> {
    let found = parts.numerals.len() - start;
    if found < keep.count() {
        return Err(Misfit::ShorterThanKept {
            found,
            kept: keep.count(),
        });
    }
    if keep.count() == 0 {
        return Ok(());
    }
    let bytes = |numerals: &[u16]| -> Vec<u8> { numerals.iter().flat_map(|n| n.to_be_bytes()).collect() };
    let last = parts.numerals.split_off(parts.numerals.len() - keep.last);
    let first: Vec<u16> = parts.numerals.drain(start..start + keep.first).collect();
    parts.keep(&bytes(&first));
    parts.keep(&bytes(&last));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(found, Err(Misfit::Character { position: 4 }));
        let found = layout([3, 4]).split("12-34", Side::Plain, &mut Parts::default());
        assert_eq!(found, Err(Misfit::ShorterThanKept { found: 4, kept: 7 }));
    }

    #[test]
    fn a_separator_that_is_a_symbol_is_refused() {
        let alphabet = Alphabet::try_new("0-").expect("alphabet");
        assert!(Layout::try_new("alphabet/1", alphabet, Some("-"), Keep::default()).is_err());
    }
}
