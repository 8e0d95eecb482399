//! Check digits of templates.

use std::fmt;

use serde::Deserialize;

use super::class::Position;
use crate::ascii::luhn;
use crate::{Error, Result};

/// How a value's check digit follows from its other symbols.
///
/// In a policy: `"luhn"`, `{ luhn = { prefix = "80840" } }`, `"mod11-10"`, `"vin"`; or a table with a type, as in
/// `{ type = "luhn", prefix = "80840" }`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "toml::Value")]
pub(super) enum Check {
    /// Luhn (ISO/IEC 7812-1, annex B): the last digit, over all digits behind a prefix that is not written.
    Luhn { prefix: String },
    /// ISO 7064, MOD 11-10: the last digit.
    Mod11_10,
    /// That of vehicles (49 CFR 565.15): the ninth of 17 symbols.
    Vin,
}

impl TryFrom<toml::Value> for Check {
    type Error = &'static str;

    fn try_from(value: toml::Value) -> Result<Self, Self::Error> {
        const SHAPE: &str = "a check is \"luhn\", { luhn = { prefix = \"80840\" } }, \"mod11-10\" or \"vin\"";
        // The table is emptied as it is read, so whatever is left over is a setting that does not exist.
        let named = |name: &str, mut parameters: toml::Table| {
            let prefix = match (name, parameters.remove("prefix")) {
                // A prefix goes with Luhn alone: the other checks have fixed rules.
                (_, None) => String::new(),
                ("luhn", Some(toml::Value::String(prefix))) => prefix,
                _ => return Err(SHAPE),
            };
            match name {
                _ if !parameters.is_empty() => Err(SHAPE),
                "luhn" => Ok(Self::Luhn { prefix }),
                "mod11-10" => Ok(Self::Mod11_10),
                "vin" => Ok(Self::Vin),
                _ => Err(SHAPE),
            }
        };
        match value {
            toml::Value::String(name) => named(&name, toml::Table::new()),
            toml::Value::Table(mut table) => match table.remove("type") {
                Some(toml::Value::String(name)) => named(&name, table),
                Some(_) => Err(SHAPE),
                // The short form `{ luhn = { … } }`: exactly one name, with a table behind it.
                None => match (table.len(), table.into_iter().next()) {
                    (1, Some((name, toml::Value::Table(parameters)))) => named(&name, parameters),
                    _ => Err(SHAPE),
                },
            },
            _ => Err(SHAPE),
        }
    }
}

/// Weights of the places of a vehicle's number.
// The place of the check has the weight 0, so what stands there does not count.
const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

/// The place of the check character of a vehicle's number.
const VIN_PLACE: usize = 8;

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
    /// Finds the place that is solved, of those marked as symbols. It takes just what a check can be, so that it holds
    /// nothing else; and where the check is the last digit of a value, no other digit can stand behind it.
    ///
    /// # Errors
    /// A pattern that the check does not go with.
    pub(super) fn place(&self, places: &[Position], symbols: &[bool]) -> Result<usize> {
        let (at, needed) = match self {
            Self::Luhn { prefix } if !prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(Error::bad_policy("the prefix of a check is digits"));
            }
            Self::Vin if places.len() != WEIGHTS.len() => {
                return Err(Error::bad_policy("check \"vin\" goes with 17 places"));
            }
            // Modulo 11 has eleven results: ten digits, and X for 10.
            Self::Vin => (Some(VIN_PLACE), "0123456789X"),
            Self::Luhn { .. } | Self::Mod11_10 => (symbols.iter().rposition(|is_symbol| *is_symbol), "0123456789"),
        };
        // The place must take all results and nothing else. A missing one would leave values without a solution;
        // one more would be lost when the check is solved.
        let is_just = |at: &usize| {
            symbols[*at]
                && places[*at].choices() == needed.len() as u64
                && needed.chars().all(|symbol| places[*at].takes(symbol))
        };
        let at = at.filter(is_just).ok_or_else(|| match self {
            Self::Vin => Error::bad_policy("check \"vin\" goes with [0-9X] in the ninth place"),
            _ => Error::bad_policy(
                "the check digit is what stands last, so that place takes the digits 0 to 9 and nothing else",
            )
            .with_hint("end the pattern in 9; for values that end otherwise, write a pattern without check"),
        })?;
        // Both sums run over all digits, and a reader takes the last one for the check: it must not be solved
        // before a digit that follows.
        let takes_digit = |place: &Position| ('0'..='9').any(|symbol| place.takes(symbol));
        if *self != Self::Vin && places[at + 1..].iter().any(takes_digit) {
            return Err(Error::bad_policy(
                "the check digit is the last digit of a value, and here another one stands behind it",
            )
            .with_hint("leave out the check, or the digit at the end"));
        }
        Ok(at)
    }

    /// Is the check digit of `value`, at the character `at`, right?
    pub(super) fn holds(&self, value: &str, at: usize) -> bool {
        // Solving is a function of the other symbols, so a value is right exactly if solving changes nothing.
        self.solved(value, at) == value
    }

    /// `value` with the check digit, at the character `at`, that is right. What stands there does not matter; digits
    /// that a pattern has as literals count as the others do.
    pub(super) fn solved(&self, value: &str, at: usize) -> String {
        let mut symbols: Vec<char> = value.chars().collect();
        let digits = |text: &[char]| -> Vec<u16> {
            text.iter()
                .filter_map(|symbol| symbol.to_digit(10))
                .map(|digit| digit as u16)
                .collect()
        };
        // A value that ends before the place is no value of the pattern; nothing to solve.
        let Some((before, _)) = symbols.split_at_checked(at).filter(|(_, rest)| !rest.is_empty()) else {
            return value.to_owned();
        };
        let solution = match self {
            Self::Luhn { prefix } => {
                let mut all: Vec<u16> = prefix.bytes().map(|byte| u16::from(byte - b'0')).collect();
                all.extend(digits(before));
                // The place holds 0 for now: `solve` gives the digit with which the sum is 0 modulo 10.
                all.push(0);
                digit(luhn::solve(&all, all.len() - 1, 0))
            }
            Self::Mod11_10 => {
                // ISO 7064, MOD 11,10: the product starts at 10, and is never 0 modulo 11.
                let mut product = 10;
                for number in digits(before) {
                    let sum = (product + number) % 10;
                    // A sum of 0 counts as 10, so that doubling modulo 11 stays invertible.
                    product = if sum == 0 { 10 } else { sum } * 2 % 11;
                }
                // The digit that makes the last sum, product + digit, 1 modulo 10.
                digit((11 - product) % 10)
            }
            Self::Vin => {
                // The check's own weight is 0.
                let sum: u32 = symbols
                    .iter()
                    .zip(WEIGHTS)
                    .map(|(symbol, weight)| weight * transliterated(*symbol))
                    .sum();
                match sum % 11 {
                    10 => 'X',
                    rest => digit(rest as u16),
                }
            }
        };
        symbols[at] = solution;
        symbols.into_iter().collect()
    }
}

fn digit(number: u16) -> char {
    char::from(b'0' + number as u8) // below 10
}

/// The value of a symbol of a vehicle's number (49 CFR 565.15, table III).
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
    fn ways_to_write_a_check() {
        #[derive(Deserialize)]
        struct Holder {
            check: Check,
        }
        let parse = |text: &str| toml::from_str::<Holder>(&format!("check = {text}")).map(|holder| holder.check);
        let luhn = |prefix: &str| Check::Luhn { prefix: prefix.into() };
        for (text, check) in [
            (r#""luhn""#, luhn("")),
            (r#"{ type = "luhn" }"#, luhn("")),
            (r#"{ luhn = {} }"#, luhn("")),
            (r#"{ luhn = { prefix = "80840" } }"#, luhn("80840")),
            (r#"{ type = "luhn", prefix = "80840" }"#, luhn("80840")),
            (r#""mod11-10""#, Check::Mod11_10),
            (r#"{ type = "mod11-10" }"#, Check::Mod11_10),
            (r#""vin""#, Check::Vin),
            (r#"{ type = "vin" }"#, Check::Vin),
        ] {
            assert_eq!(parse(text).expect(text), check, "{text}");
        }
        for text in [
            "1",
            "{}",
            r#""mod97""#,
            r#"{ type = "luhn", prefx = "1" }"#,
            r#"{ type = "vin", prefix = "1" }"#,
            r#"{ luhn = { prefix = 80840 } }"#,
            r#"{ luhn = {}, vin = {} }"#,
            r#"{ luhn = "80840" }"#,
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains("a check is \"luhn\""), "{text}: {error}");
        }
    }

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
            let at = if check == Check::Vin {
                VIN_PLACE
            } else {
                value.len() - 1
            };
            assert!(check.holds(value, at), "{check} {value}");
            // Each other digit in the place of the check is wrong.
            let wrong = "0123456789"
                .chars()
                .filter(|digit| *digit != char::from(value.as_bytes()[at]));
            for digit in wrong {
                let mut other: Vec<char> = value.chars().collect();
                other[at] = digit;
                let other: String = other.into_iter().collect();
                assert!(
                    !check.holds(&other, at) && check.solved(&other, at) == value,
                    "{check} {other}"
                );
            }
        }
    }
}
