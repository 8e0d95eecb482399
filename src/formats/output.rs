//! `output`: protected values over more symbols than plain ones.
//!
//! The result of the cipher is read as the number that its numerals spell, and is written anew in the larger radix,
//! with leading zeros so that it has as many symbols as before. So a protected value mostly shows that it is one, and
//! none is mistaken for a plain one that it equals.

use std::sync::Arc;

use num_bigint::BigUint;

use super::alphabet::Alphabet;
use super::error::FormatError;
use super::format::Format;
use super::layout::Layout;
use super::side::Side;
use super::string::{Parts, StringFormat};
use crate::{Error, Result};

/// The most symbols: work goes by their square.
// Written anew by repeated division of a big integer.
const MOST: usize = 1_024;

#[derive(Debug)]
struct Output {
    plain: Layout,
    output: Alphabet,
    /// The numbers of symbols that are kept at the start and at the end.
    keep: [usize; 2],
}

/// `plain`, with protected values over the symbols of `output` if there are such.
pub(super) fn format(plain: Layout, output: Option<&str>) -> Result<Format> {
    let Some(output) = output else {
        return Ok(Format::String(Arc::new(plain)));
    };
    let output = Alphabet::try_new(output)?;
    // A number needs at most as many digits in a larger radix, so every ciphertext fits. With a smaller one some
    // would not.
    if output.radix() <= plain.radix() {
        return Err(Error::bad_policy("output has no more symbols than the values have")
            .with_hint("list more, or leave output out"));
    }
    let keep = plain.kept_ends();
    let plain = plain.without_separators(output.symbols())?;
    Ok(Format::String(Arc::new(Output { plain, output, keep })))
}

impl StringFormat for Output {
    fn definition(&self) -> String {
        let output: String = self.output.symbols().iter().collect();
        // Both alphabets define the map.
        format!("{} output={output}", self.plain.definition())
    }

    fn radix(&self) -> u32 {
        self.plain.radix()
    }

    fn is_symmetric(&self) -> bool {
        // The sides have different alphabets, so they take different texts.
        false
    }

    fn is_symbol(&self, symbol: char) -> bool {
        self.plain.is_symbol(symbol) || self.output.numeral(symbol).is_some()
    }

    fn split(&self, value: &str, side: Side, parts: &mut Parts) -> Result<(), FormatError> {
        // The limit holds on both sides, or a value could be protected that cannot be revealed.
        if side == Side::Plain {
            let before = parts.numerals.len();
            self.plain.split(value, side, parts)?;
            return at_most(parts.numerals.len() - before);
        }
        let symbols: Vec<(usize, char)> = self.plain.symbols_of(value).collect();
        // The kept ends are plain symbols on both sides; only what lies between is in the larger alphabet.
        let [first, last] = self.keep;
        let free = symbols
            .len()
            .checked_sub(first + last)
            .ok_or(FormatError::ShorterThanKept {
                found: symbols.len(),
                kept: first + last,
            })?;
        at_most(free)?;
        let numeral = |(place, symbol): (usize, char)| {
            let numeral = self.output.numeral(symbol);
            numeral.ok_or(FormatError::Character { position: place + 1 })
        };
        let numerals: Vec<u16> = symbols[first..first + free]
            .iter()
            .map(|at| numeral(*at))
            .collect::<Result<_, _>>()?;
        let numerals = rebase(&numerals, self.output.radix(), self.radix());
        // Most strings over the larger alphabet are no number below plain^n: nothing encrypts to them.
        let numerals = numerals.ok_or(FormatError::Malformed("no value becomes this"))?;
        // With what is kept, and zeros for the rest, it is a plain value; which has the kept parts.
        let zero = self.plain.zero();
        let mut at = 0;
        let plain: String = value
            .chars()
            .map(|symbol| {
                if self.plain.is_separator(symbol) {
                    return symbol;
                }
                at += 1;
                if (first..first + free).contains(&(at - 1)) {
                    zero
                } else {
                    symbol
                }
            })
            .collect();
        let before = parts.numerals.len();
        // The plain format makes the kept parts, so that the tweak is the same on both sides.
        self.plain.split(&plain, side, parts)?;
        // The zeros were only there to be counted; the ciphertext's numerals stand in their place.
        parts.numerals.truncate(before);
        parts.numerals.extend(numerals);
        Ok(())
    }

    fn join(&self, value: &str, numerals: &[u16], side: Side, out: &mut String) {
        let (first, free) = (self.keep[0], numerals.len());
        let spelled: Vec<char> = match side {
            Side::Plain => numerals.iter().map(|numeral| self.plain.symbol(*numeral)).collect(),
            // A number has no more digits in a larger radix.
            Side::Protected => {
                // As many symbols as before, with zeros in front: the length tells nothing about the number.
                let numerals = rebase(numerals, self.radix(), self.output.radix()).unwrap_or_default();
                numerals.iter().map(|numeral| self.output.symbol(*numeral)).collect()
            }
        };
        let mut at = 0;
        for symbol in value.chars() {
            if self.plain.is_separator(symbol) {
                out.push(symbol);
                continue;
            }
            let is_free = (first..first + free).contains(&at);
            out.push(if is_free { spelled[at - first] } else { symbol });
            at += 1;
        }
    }
}

fn at_most(found: usize) -> Result<(), FormatError> {
    if found > MOST {
        Err(FormatError::TooLong { found, most: MOST })
    } else {
        Ok(())
    }
}

/// Converts a number to as many numerals of radix `to`; `None` if it is too large.
fn rebase(numerals: &[u16], from: u32, to: u32) -> Option<Vec<u16>> {
    let mut out = vec![0; numerals.len()];
    // Most values fit into 128 bits, and need no big integers, which allocate.
    let narrow = numerals.iter().try_fold(0u128, |number, numeral| {
        number.checked_mul(from.into())?.checked_add((*numeral).into())
    });
    if let Some(mut number) = narrow {
        for numeral in out.iter_mut().rev() {
            *numeral = u16::try_from(number % u128::from(to)).ok()?;
            number /= u128::from(to);
        }
        // A rest means that the number has more digits than there are places.
        return (number == 0).then_some(out);
    }
    let mut number = numerals
        .iter()
        .fold(BigUint::ZERO, |number, numeral| number * from + *numeral);
    for numeral in out.iter_mut().rev() {
        *numeral = u16::try_from(&number % to).ok()?;
        number /= to;
    }
    (number == BigUint::ZERO).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(parameters: toml::Table) -> Result<Arc<dyn StringFormat>> {
        match Format::parse("digits", parameters)? {
            Format::String(format) => Ok(format),
            _ => panic!("digits are a string"),
        }
    }

    #[test]
    fn the_number_is_written_anew() {
        let format = digits(toml::toml! { output = "0123456789abcdef"  keep = [1, 2] }).unwrap();
        let mut parts = Parts::default();
        format.split("9-999999-12", Side::Plain, &mut parts).unwrap();
        assert_eq!(parts.numerals, [9; 6]);
        let kept = parts.kept;
        let mut out = String::new();
        format.join("9-999999-12", &[9; 6], Side::Protected, &mut out);
        assert_eq!(out, "9-0f423f-12");
        let mut parts = Parts::default();
        format.split(&out, Side::Protected, &mut parts).unwrap();
        assert_eq!((parts.numerals, parts.kept), (vec![9; 6], kept));
        let mut back = String::new();
        format.join(&out, &[9; 6], Side::Plain, &mut back);
        assert_eq!(back, "9-999999-12");
        for (value, misfit) in [
            ("9-0f4240-12", FormatError::Malformed("no value becomes this")),
            ("9-0g4240-12", FormatError::Character { position: 4 }),
            ("9-0f423f-1f", FormatError::Character { position: 11 }),
        ] {
            assert_eq!(format.split(value, Side::Protected, &mut Parts::default()), Err(misfit));
        }
    }

    #[test]
    fn long_numbers_too() {
        for length in [1, 38, 39, 40, 300] {
            let numerals: Vec<u16> = (0..length).map(|i| (i * 7 % 10) as u16).collect();
            let there = rebase(&numerals, 10, 62).unwrap();
            assert_eq!(rebase(&there, 62, 10), Some(numerals));
            assert_eq!(rebase(&vec![61; length], 62, 10), None);
        }
    }

    #[test]
    fn outputs_that_are_none() {
        assert!(digits(toml::toml! { output = "9876543210" }).is_err());
        // A separator that is a symbol of the output could not be told from one.
        assert!(digits(toml::toml! { output = "0123456789-"  separators = "-" }).is_err());
        let format = digits(toml::toml! { output = "0123456789-" }).unwrap();
        assert!(format.split("12-3456", Side::Plain, &mut Parts::default()).is_err());
    }
}
