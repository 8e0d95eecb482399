//! Check digits of templates.

use std::fmt;

use serde::Deserialize;

use super::class::Place;
use super::luhn;
use crate::{Error, Result};

/// How a value's check digit follows from its other symbols.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Check {
    /// Luhn (ISO/IEC 7812-1, annex B): the last digit, over all digits behind a prefix that is not written.
    Luhn {
        #[serde(default)]
        prefix: String,
    },
    /// ISO 7064, MOD 11-10: the last digit.
    #[serde(rename = "mod11-10")]
    Mod11_10,
    /// That of vehicles (49 CFR 565.15): the ninth of 17 symbols.
    Vin,
}

/// Weights of the places of a vehicle's number.
const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Luhn { prefix } => write!(f, "luhn:{prefix}"),
            Self::Mod11_10 => f.write_str("mod11-10"),
            Self::Vin => f.write_str("vin"),
        }
    }
}

impl Check {
    /// Which place is solved, of those marked as symbols.
    ///
    /// # Errors
    /// A pattern that the check does not go with.
    pub(super) fn place(&self, places: &[Place], symbols: &[bool]) -> Result<usize> {
        let at = match self {
            Self::Luhn { prefix } => {
                if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Error::bad_policy("the prefix of a check is digits"));
                }
                symbols.iter().rposition(|is_symbol| *is_symbol)
            }
            Self::Mod11_10 => symbols.iter().rposition(|is_symbol| *is_symbol),
            Self::Vin if places.len() == 17 => Some(8),
            Self::Vin => return Err(Error::bad_policy("check \"vin\" goes with 17 places")),
        };
        let takes_all = |at: &usize| {
            let needed = if *self == Self::Vin {
                "0123456789X"
            } else {
                "0123456789"
            };
            symbols[*at] && needed.chars().all(|symbol| places[*at].takes(symbol))
        };
        at.filter(takes_all)
            .ok_or_else(|| Error::bad_policy("the place of the check digit does not take every digit"))
    }

    /// Is the check digit of `value` right?
    pub(super) fn holds(&self, value: &str) -> bool {
        self.solved(value) == value
    }

    /// `value` with the check digit that is right.
    pub(super) fn solved(&self, value: &str) -> String {
        let mut symbols: Vec<char> = value.chars().collect();
        let is_digit = |symbol: &char| symbol.is_ascii_digit();
        let last = symbols.iter().rposition(is_digit);
        let digits = |text: &[char]| -> Vec<u16> {
            text.iter()
                .filter_map(|symbol| symbol.to_digit(10))
                .map(|digit| digit as u16)
                .collect()
        };
        match (self, last) {
            (Self::Luhn { prefix }, Some(last)) => {
                let mut all: Vec<u16> = prefix.bytes().map(|byte| u16::from(byte - b'0')).collect();
                all.extend(digits(&symbols));
                let place = all.len() - 1;
                symbols[last] = digit(luhn::solve(&all, place, 0));
            }
            (Self::Mod11_10, Some(last)) => {
                let mut product = 10;
                for number in digits(&symbols[..last]) {
                    let sum = (product + number) % 10;
                    product = if sum == 0 { 10 } else { sum } * 2 % 11;
                }
                symbols[last] = digit((11 - product) % 10);
            }
            (Self::Vin, _) if symbols.len() == WEIGHTS.len() => {
                let sum: u32 = symbols
                    .iter()
                    .zip(WEIGHTS)
                    .map(|(symbol, weight)| weight * transliterated(*symbol))
                    .sum();
                symbols[8] = match sum % 11 {
                    10 => 'X',
                    rest => digit(rest as u16),
                };
            }
            _ => {}
        }
        symbols.into_iter().collect()
    }
}

fn digit(number: u16) -> char {
    char::from(b'0' + number as u8) // below 10
}

/// What a symbol of a vehicle's number counts (49 CFR 565.15, table III).
fn transliterated(symbol: char) -> u32 {
    match symbol {
        '0'..='9' => u32::from(symbol) - u32::from('0'),
        'A'..='H' => u32::from(symbol) - u32::from('A') + 1,
        'J'..='R' => u32::from(symbol) - u32::from('J') + 1,
        'S'..='Z' => u32::from(symbol) - u32::from('S') + 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers() {
        let luhn = |prefix: &str| Check::Luhn { prefix: prefix.into() };
        for (check, value) in [
            (luhn(""), "79927398713"),
            (luhn("80840"), "1234567893"),
            (luhn(""), "4111 1111 1111 1111"),
            (Check::Mod11_10, "07945"),       // ISO/IEC 7064, section 9
            (Check::Mod11_10, "86095742719"), // an identification number of a German taxpayer
            (Check::Vin, "1M8GDM9AXKP042788"),
            (Check::Vin, "11111111111111111"),
        ] {
            assert!(check.holds(value), "{check} {value}");
            // Each other digit in the place of the check is wrong.
            let at = if check == Check::Vin { 8 } else { value.len() - 1 };
            let wrong = "0123456789"
                .chars()
                .filter(|digit| *digit != char::from(value.as_bytes()[at]));
            for digit in wrong {
                let mut other: Vec<char> = value.chars().collect();
                other[at] = digit;
                let other: String = other.into_iter().collect();
                assert!(!check.holds(&other) && check.solved(&other) == value, "{check} {other}");
            }
        }
    }
}
