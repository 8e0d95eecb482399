//! `opaque`: any text, whose token is `tok_` and 22 letters and digits. For tokens only: it has no numerals to encrypt.

use std::sync::Arc;

use serde::Deserialize;

use super::alphanumeric::Case;
use crate::Result;
use crate::formats::alphabet::Alphabet;
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;
use crate::formats::side::Side;
use crate::formats::string::{Parts, StringFormat};

// A prefix that no format of numbers has, so a token is recognised in a log and by `reveal`.
const PREFIX: &str = "tok_";

/// 62^22 is a little more than 2^130.
// Beyond 128 bits, two tokens meet by chance only after about 2^65 have been minted.
const SYMBOLS: usize = 22;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpaqueParameters {}

#[derive(Debug)]
struct Opaque {
    alphabet: Alphabet,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let OpaqueParameters {} = parse_parameters(table)?;
    let alphabet = Case::Mixed.alphabet()?;
    Ok(Format::String(Arc::new(Opaque { alphabet })))
}

impl StringFormat for Opaque {
    fn definition(&self) -> String {
        "opaque/1".to_owned()
    }

    fn radix(&self) -> u32 {
        self.alphabet.radix()
    }

    fn usual_numerals(&self) -> Option<usize> {
        // Nothing of the value is encrypted, so no rule that encrypts can use this format: zero is under every
        // floor.
        Some(0)
    }

    fn token_numerals(&self, _: usize) -> usize {
        SYMBOLS
    }

    fn is_symmetric(&self) -> bool {
        // Every text fits on the plain side, and only tokens on the other.
        false
    }

    fn is_symbol(&self, _: char) -> bool {
        // A value has no layout that a mask could leave: all of it is hidden.
        true
    }

    fn split(&self, value: &str, side: Side, parts: &mut Parts) -> Result<(), FormatError> {
        // Any text is a value. It is sealed in the store as a whole, so there are no numerals.
        if side == Side::Plain {
            return Ok(());
        }
        let symbols = value
            .strip_prefix(PREFIX)
            .ok_or(FormatError::Malformed("does not begin with tok_"))?;
        let start = parts.numerals.len();
        for (i, symbol) in symbols.chars().enumerate() {
            let position = PREFIX.len() + i + 1;
            let numeral = self.alphabet.numeral(symbol);
            parts.numerals.push(numeral.ok_or(FormatError::Character { position })?);
        }
        match parts.numerals.len() - start {
            SYMBOLS => Ok(()),
            found => Err(FormatError::Length {
                found,
                expected: "22 letters and digits",
            }),
        }
    }

    fn join(&self, _: &str, numerals: &[u16], _: Side, out: &mut String) {
        out.push_str(PREFIX);
        out.extend(numerals.iter().map(|numeral| self.alphabet.symbol(*numeral)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_like_tokens() {
        let Format::String(opaque) = parse(toml::Table::new()).unwrap() else {
            panic!("a string format")
        };
        let mut token = String::new();
        opaque.join("anything", &[61; SYMBOLS], Side::Protected, &mut token);
        assert_eq!(token, format!("tok_{}", "z".repeat(22)));
        assert!(opaque.split(&token, Side::Protected, &mut Parts::default()).is_ok());
        for bad in ["", "tok_", "tok_zz", &format!("{token}z"), &token.replace('z', "-")] {
            assert!(
                opaque.split(bad, Side::Protected, &mut Parts::default()).is_err(),
                "{bad}"
            );
        }
    }
}
