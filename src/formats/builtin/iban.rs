//! `iban`: international bank account numbers (ISO 13616).
//!
//! The country stays, and is the tweak; every place of the rest keeps its kind (letter, digit, either) as the
//! country's structure in the SWIFT registry has it, and the two check digits are set to what makes the number valid
//! (ISO 7064, MOD 97-10). Check digits that some countries have within the account number are digits like any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::Result;
use crate::formats::class::{CharClass, Position};
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;
use crate::formats::segmented::{SegmentedFormat, Segments};
use crate::formats::side::Side;

/// Each country's structure behind the four first characters: how many, and of which kind (`n` digits, `a` capitals,
/// `c` either).
// Frozen as part of `iban/2`: a structure that changes would leave old ciphertexts without one.
// Classes stand for what the registry allows, not for what a bank has issued.
const STRUCTURES: &[(&str, &str)] = &[
    ("AD", "8n12c"),
    ("AE", "19n"),
    ("AL", "8n16c"),
    ("AT", "16n"),
    ("AZ", "4a20c"),
    ("BA", "16n"),
    ("BE", "12n"),
    ("BG", "4a6n8c"),
    ("BH", "4a14c"),
    ("BI", "23n"),
    ("BR", "23n1a1c"),
    ("BY", "4c4n16c"),
    ("CH", "5n12c"),
    ("CR", "18n"),
    ("CY", "8n16c"),
    ("CZ", "20n"),
    ("DE", "18n"),
    ("DJ", "23n"),
    ("DK", "14n"),
    ("DO", "4c20n"),
    ("EE", "16n"),
    ("EG", "25n"),
    ("ES", "20n"),
    ("FI", "14n"),
    ("FK", "2a12n"),
    ("FO", "14n"),
    ("FR", "10n11c2n"),
    ("GB", "4a14n"),
    ("GE", "2a16n"),
    ("GI", "4a15c"),
    ("GL", "14n"),
    ("GR", "7n16c"),
    ("GT", "24c"),
    ("HR", "17n"),
    ("HU", "24n"),
    ("IE", "4a14n"),
    ("IL", "19n"),
    ("IQ", "4a15n"),
    ("IS", "22n"),
    ("IT", "1a10n12c"),
    ("JO", "4a4n18c"),
    ("KW", "4a22c"),
    ("KZ", "3n13c"),
    ("LB", "4n20c"),
    ("LC", "4a24c"),
    ("LI", "5n12c"),
    ("LT", "16n"),
    ("LU", "3n13c"),
    ("LV", "4a13c"),
    ("LY", "21n"),
    ("MC", "10n11c2n"),
    ("MD", "20c"),
    ("ME", "18n"),
    ("MK", "3n10c2n"),
    ("MN", "16n"),
    ("MR", "23n"),
    ("MT", "4a5n18c"),
    ("MU", "4a19n3a"),
    ("NI", "4a20n"),
    ("NL", "4a10n"),
    ("NO", "11n"),
    ("OM", "3n16c"),
    ("PK", "4a16c"),
    ("PL", "24n"),
    ("PS", "4a21c"),
    ("PT", "21n"),
    ("QA", "4a21c"),
    ("RO", "4a16c"),
    ("RS", "18n"),
    ("RU", "14n15c"),
    ("SA", "2n18c"),
    ("SC", "4a20n3a"),
    ("SD", "14n"),
    ("SE", "20n"),
    ("SI", "15n"),
    ("SK", "20n"),
    ("SM", "1a10n12c"),
    ("SO", "19n"),
    ("ST", "21n"),
    ("SV", "4a20n"),
    ("TL", "19n"),
    ("TN", "20n"),
    ("TR", "6n16c"),
    ("UA", "6n19c"),
    ("VA", "18n"),
    ("VG", "4a16n"),
    ("XK", "16n"),
    ("YE", "4a4n18c"),
];

/// The most symbols of an IBAN (ISO 13616-1, section 5).
const LONGEST: usize = 34;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IbanParameters {}

#[derive(Debug)]
struct Iban(BTreeMap<&'static str, Vec<Position>>);

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let IbanParameters {} = parse_parameters(table)?;
    let class = |ranges: &[(char, char, u32)]| Position::Class(Arc::new(CharClass::new(ranges)));
    let digit = class(&[('0', '9', 1)]);
    let capital = class(&[('A', 'Z', 1)]);
    let either = class(&[('0', '9', 1), ('A', 'Z', 1)]);
    let places = |structure: &str| {
        let mut places = Vec::new();
        let mut count = 0;
        for symbol in structure.chars() {
            // Counts have up to two digits.
            match symbol.to_digit(10) {
                Some(digit) => count = count * 10 + digit as usize,
                None => {
                    let place = match symbol {
                        'n' => &digit,
                        'a' => &capital,
                        _ => &either,
                    };
                    places.extend(std::iter::repeat_n(place.clone(), std::mem::take(&mut count)));
                }
            }
        }
        places
    };
    let countries = STRUCTURES
        .iter()
        .map(|(country, structure)| (*country, places(structure)));
    Ok(Format::Segmented(Arc::new(Iban(countries.collect()))))
}

/// The remainder of 97 of the number that `symbols` spell, letters counting 10 to 35.
fn remainder(symbols: impl Iterator<Item = char>) -> u32 {
    symbols
        .filter_map(|symbol| symbol.to_digit(36))
        .fold(0, |rest, digit| match digit {
            0..=9 => (rest * 10 + digit) % 97,
            // A letter is two decimal digits, so it shifts by 100. Reduced at each step, the sum stays far below
            // 2^32.
            _ => (rest * 100 + digit) % 97,
        })
}

impl SegmentedFormat for Iban {
    fn definition(&self) -> String {
        "iban/2".to_owned()
    }

    fn split(&self, value: &str, _: Side, places: &mut Segments) -> Result<(), FormatError> {
        // One more than an IBAN can have is enough to tell that it has too many.
        // Spaces in groups of four are layout (ISO 13616-1, printed form), and no part of the number.
        let symbols: Vec<char> = value
            .chars()
            .filter(|symbol| *symbol != ' ')
            .take(LONGEST + 1)
            .collect();
        // Looked up before anything else, since the structure says how long the rest is.
        let country: String = symbols.iter().take(2).collect();
        let structure = self.0.get(country.as_str()).ok_or(FormatError::Malformed(
            "no country with IBANs has the code it begins with",
        ))?;
        // `get` gives none for a value that ends before, so short values fall through to the error below.
        let check = symbols.get(2..4).filter(|check| check.iter().all(char::is_ascii_digit));
        let account = symbols.get(4..).unwrap_or_default();
        let fits = account.len() == structure.len()
            && structure
                .iter()
                .zip(account)
                .all(|(place, symbol)| place.takes(*symbol));
        let (Some(check), true) = (check, fits) else {
            return Err(FormatError::Malformed("not of its country's structure, in capitals"));
        };
        // Compared with the one right pair. 00, 01 and 99 leave the remainder 1 as well as 97, 98 and 02 do, but
        // ISO 7064 gives 02 to 98 only: with them, two texts would have one ciphertext.
        if check_digits(account, &country) != check {
            return Err(FormatError::CheckDigit);
        }
        for (place, symbol) in structure.iter().zip(account) {
            // Structures have classes only, so digits and places stay in step.
            if let Position::Class(class) = place {
                places.push(class.index(*symbol).unwrap_or_default(), class.size());
            }
        }
        // Countries with equal structures (AT and EE, say) get unrelated permutations.
        places.keep(country.as_bytes());
        // One for each country, since its structure says which class stands where.
        places.shape.extend_from_slice(country.as_bytes());
        Ok(())
    }

    fn join(&self, value: &str, digits: &[u64], _: Side, out: &mut String) {
        // `value` was read before.
        let country: String = value.chars().filter(|symbol| *symbol != ' ').take(2).collect();
        let Some(structure) = self.0.get(country.as_str()) else {
            return;
        };
        let account: Vec<char> = structure
            .iter()
            .zip(digits)
            .map(|(place, digit)| match place {
                Position::Class(class) => class.symbol(*digit),
                Position::Literal(literal) => *literal,
            })
            .collect();
        // Set anew from the new account. They carry no information of their own and are never encrypted.
        let check = check_digits(&account, &country);
        let mut symbols = country.chars().chain(check).chain(account);
        // Spaces stay where they are; a result has as many symbols, since the country's length is fixed.
        out.extend(value.chars().map(|symbol| match symbol {
            ' ' => ' ',
            symbol => symbols.next().unwrap_or(symbol),
        }));
    }
}

/// The check digits of an account: those with which the whole has the remainder 1.
fn check_digits(account: &[char], country: &str) -> [char; 2] {
    // ISO 7064, MOD 97-10: the check digits count as 00 and go behind, with the country, before the remainder is
    // taken.
    let rest = remainder(account.iter().copied().chain(country.chars()).chain("00".chars()));
    let check = 98 - rest;
    [check / 10, check % 10].map(|digit| char::from(b'0' + digit as u8)) // 2 to 98
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    #[test]
    fn no_country_has_more_than_an_iban_can_have() {
        let country = STRUCTURES.iter().map(|(_, structure)| {
            let counts = structure.split(|symbol: char| symbol.is_ascii_lowercase());
            4 + counts.filter_map(|count| count.parse::<usize>().ok()).sum::<usize>()
        });
        assert!(country.max().is_some_and(|symbols| symbols <= LONGEST));
    }

    #[test]
    fn examples_of_the_registry() {
        let format = parse(toml::Table::new()).expect("defaults");
        for value in [
            "GB29 NWBK 6016 1331 9268 19",
            "DE89370400440532013000",
            "FR1420041010050500013M02606",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "CH9300762011623852957",
            "BR1800360305000010009795493C1",
            "SC18SSCB11010000000000001497USD",
            "LC55HEMM000100010012001200023015",
            "NL91ABNA0417164300",
        ] {
            let other = there_and_back(&format, value);
            assert_eq!(other[..2], value[..2]);
            assert_eq!(
                remainder(other.chars().skip(4).chain(other.chars().take(4))),
                1,
                "{other}"
            );
        }
        let Format::Segmented(iban) = format else {
            unreachable!()
        };
        for value in [
            "",
            "G",
            "GB",
            "GB2",
            "XX29NWBK60161331926819",
            "GB28NWBK60161331926819",
            "GB29nwbk60161331926819",
            "GB29NWBK6016133192681",
            "GB29NWBK601613319268190",
            "GB29 1234 6016 1331 9268 19",
            "GBÄ9NWBK60161331926819",
        ] {
            assert!(
                iban.split(value, Side::Plain, &mut Segments::default()).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn structures_are_no_longer_than_the_standard_allows() {
        let Ok(Format::Segmented(_)) = parse(toml::Table::new()) else {
            panic!("mixed")
        };
        assert!(STRUCTURES.is_sorted_by_key(|(country, _)| *country));
        for (country, structure) in STRUCTURES {
            let count: usize = structure
                .split(char::is_alphabetic)
                .filter_map(|count| count.parse::<usize>().ok())
                .sum();
            assert!((11..=30).contains(&count), "{country}");
        }
    }
}
