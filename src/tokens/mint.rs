//! Random tokens of a format.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::{Space, SpaceId};
use crate::formats::{Format, FormatError, Parts, Segments, Side};
use crate::keys::encoding::length_prefixed;
use crate::keys::random;
use crate::{Error, Hint, Remedy, Result};

/// How often a token is drawn before there is said to be none. With half of the places taken, 2^-128 is the chance to
/// be wrong.
const DRAWS: usize = 128;

/// Spaces above this size are not counted: half of it is 3.4 × 10^10 tokens of one shape and kept part, several
/// terabytes.
const COUNTED: u128 = 1 << 36;

/// The common shape of some tokens.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The number of numerals that are drawn, for formats that have them.
    numerals: usize,
    /// `None` if there are too many to be counted.
    pub(super) space: Option<Space>,
}

/// Draws tokens for values.
pub(super) struct Minter<'a> {
    format: &'a Format,
    never_valid_as: &'a [Format],
    floor: u64,
    random: Random,
    parts: Parts,
    places: Segments,
    shapes: HashMap<(usize, Vec<u8>), Shape>,
}

impl<'a> Minter<'a> {
    pub(super) fn new(format: &'a Format, never_valid_as: &'a [Format], floor: u64) -> Self {
        Self {
            format,
            never_valid_as,
            floor,
            random: Random::default(),
            parts: Parts::default(),
            places: Segments::default(),
            shapes: HashMap::new(),
        }
    }

    /// The shape of the tokens that `value` may get, of which there are at least as many as the rule's floor.
    pub(super) fn shape(&mut self, value: &str) -> Result<Shape, FormatError> {
        self.parts.numerals.clear();
        self.parts.kept.clear();
        let numerals = match self.format {
            Format::String(format) => {
                format.split(value, Side::Plain, &mut self.parts)?;
                match format.token_numerals(self.parts.numerals.len()) {
                    // All is kept: the token would be the value itself.
                    0 => return Err(FormatError::UnderFloor { found: 0, least: 1 }),
                    numerals => numerals,
                }
            }
            Format::Ranked(format) => format.rank(value).map(|_| 0)?,
            Format::Segmented(format) => {
                self.places.digits.clear();
                self.places.choices.clear();
                self.places.kept.clear();
                self.places.shape.clear();
                format.split(value, Side::Plain, &mut self.places)?;
                self.parts.kept.append(&mut self.places.kept);
                for choices in &self.places.choices {
                    self.parts.kept.extend_from_slice(&choices.to_be_bytes());
                }
                self.parts.kept.append(&mut self.places.shape);
                self.places.digits.len()
            }
        };
        // By what is kept and what is drawn: only tokens that agree in both can collide, so these share a
        // space.
        let key = (numerals, std::mem::take(&mut self.parts.kept));
        if let Some(known) = self.shapes.get(&key) {
            let known = known.clone();
            self.parts.kept = key.1;
            return Ok(known);
        }
        let size = match self.format {
            Format::String(format) => {
                u128::from(format.radix()).saturating_pow(u32::try_from(numerals).unwrap_or(u32::MAX))
            }
            Format::Ranked(format) => format.size(),
            Format::Segmented(_) => {
                (self.places.choices.iter()).fold(1u128, |size, choices| size.saturating_mul(u128::from(*choices)))
            }
        };
        // A token is another value of its space: where there are two, it tells the value, and where there are few,
        // it leaves few.
        if size < u128::from(self.floor) {
            return Err(FormatError::SmallDomain {
                values: size,
                least: self.floor.into(),
            });
        }
        let space = (size <= COUNTED).then(|| Space {
            id: self.space_id(&key.1, numerals),
            // At most half: a guessed token then is one with a probability of at most one half, and a
            // free one is found in two draws on average.
            limit: size as u64 / 2,
        });
        let shape = Shape { numerals, space };
        self.shapes.insert(key, shape.clone());
        Ok(shape)
    }

    fn space_id(&self, kept: &[u8], numerals: usize) -> SpaceId {
        let parts = length_prefixed(&[
            // A hash gives ids of one length. It hides nothing: the kept parts stand in the tokens, too.
            b"cipherform token space v1",
            self.format.definition().as_bytes(),
            &(numerals as u64).to_be_bytes(),
            kept,
        ]);
        let mut id = SpaceId::default();
        id.copy_from_slice(&Sha256::digest(parts)[..16]);
        id
    }

    /// A token for `value`: not the value itself, not one of `drawn`, no valid value where it must not be one.
    pub(super) fn draw(&mut self, value: &str, shape: &Shape, drawn: &HashSet<String>) -> Result<String> {
        // Drawn and tried again, not searched for: a search from a random place would prefer tokens
        // behind long runs of taken ones.
        for _ in 0..DRAWS {
            let mut token = String::with_capacity(value.len());
            match self.format {
                Format::String(format) => {
                    self.parts.numerals.clear();
                    for _ in 0..shape.numerals {
                        let numeral = self.random.below(format.radix().into())?;
                        self.parts.numerals.push(numeral as u16); // below a radix of at most 2^16
                    }
                    format.join(value, &self.parts.numerals, Side::Protected, &mut token);
                }
                Format::Ranked(format) => {
                    let rank = self.random.below(format.size())?;
                    format.unrank(rank, value, &mut token);
                }
                Format::Segmented(format) => {
                    self.places.digits.clear();
                    self.places.choices.clear();
                    self.places.kept.clear();
                    self.places.shape.clear();
                    // It has passed `shape`.
                    format
                        .split(value, Side::Plain, &mut self.places)
                        .map_err(|misfit| Error::bug(format!("a value with a shape: {misfit}")))?;
                    for (digit, choices) in self.places.digits.iter_mut().zip(&self.places.choices) {
                        *digit = self.random.below(u128::from(*choices))? as u64; // below 2^32
                    }
                    format.join(value, &self.places.digits, Side::Protected, &mut token);
                }
            }
            let valid_elsewhere = self.never_valid_as.iter().any(|format| is_valid(format, &token));
            // A token that is its own value would show it. One that is drawn twice in a batch would be
            // refused by the store as a repetition.
            if token != value && !drawn.contains(&token) && !valid_elsewhere {
                return Ok(token);
            }
        }
        Err(exhausted())
    }
}

/// The error of a space in which no free token was found.
pub(super) fn exhausted() -> Error {
    Error::bad_input(format!(
        "no token is free for a value: {DRAWS} draws gave only such as are taken, or excluded"
    ))
    .with_hint(
        Hint::from(
            "keep less of the value in clear, use format = \"opaque\", or exclude less by never_valid_as; to see how \
             full the store is, ",
        )
        .then(Remedy::ShowTokenStats),
    )
}

/// Is `text` a value of `format`?
fn is_valid(format: &Format, text: &str) -> bool {
    match format {
        Format::String(format) => format.split(text, Side::Plain, &mut Parts::default()).is_ok(),
        Format::Ranked(format) => format.rank(text).is_ok(),
        Format::Segmented(format) => format.split(text, Side::Plain, &mut Segments::default()).is_ok(),
    }
}

/// Random bytes of the operating system, fetched by the kilobyte.
struct Random {
    bytes: [u8; 1024],
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self {
            bytes: [0; 1024],
            used: 1024,
        }
    }
}

impl Random {
    /// A number below `limit`, each as likely as the other.
    fn below(&mut self, limit: u128) -> Result<u128> {
        // As many bits as the largest number needs, and numbers that are too large thrown away: a
        // remainder would make the small ones likelier. At least half of the draws are kept.
        let bits = 128 - (limit - 1).leading_zeros();
        let length = (bits as usize).div_ceil(8);
        // For a limit of 1 there are no bits, and the shift by 128 has no result: the only number is 0.
        let mask = u128::MAX.checked_shr(128 - bits).unwrap_or(0);
        loop {
            if self.used + length > self.bytes.len() {
                self.bytes = random::array()?;
                self.used = 0;
            }
            let mut number = [0; 16];
            number[..length].copy_from_slice(&self.bytes[self.used..][..length]);
            self.used += length;
            let number = u128::from_le_bytes(number) & mask;
            if number < limit {
                return Ok(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, parameters: toml::Table) -> Format {
        Format::parse(name, parameters).unwrap()
    }

    #[test]
    fn numbers_are_uniform_over_their_whole_range() {
        let mut random = Random::default();
        // Powers of two and numbers beside them, where a mask of one bit too few or too many would show.
        for limit in [1u128, 2, 3, 10, 62, 256, 257, 65_536, u128::MAX] {
            let found: HashSet<u128> = (0..2_000).map(|_| random.below(limit).unwrap()).collect();
            assert!(found.iter().all(|number| *number < limit));
            if limit <= 62 {
                assert_eq!(found.len() as u128, limit);
            }
        }
    }

    #[test]
    fn tokens_have_the_format_of_their_value_and_are_not_it() {
        for (format, value) in [
            (format("pan", toml::Table::new()), "4111-1111-1111-1111"),
            (
                format("pan", toml::toml! { check_digit = "invalid" }),
                "4111-1111-1111-1111",
            ),
            (format("us-ssn", toml::Table::new()), "123-45-6789"),
            (format("email", toml::Table::new()), "a@example.com"),
            (format("digits", toml::Table::new()), "7"),
            (format("integer", toml::toml! { min = 1  max = 2 }), "1"),
            (format("opaque", toml::Table::new()), "anything at all"),
            (format("ipv4", toml::toml! { prefix = 24 }), "192.0.2.1"),
        ] {
            let mut minter = Minter::new(&format, &[], 0);
            let shape = minter.shape(value).unwrap();
            for _ in 0..200 {
                let token = minter.draw(value, &shape, &HashSet::new()).unwrap();
                assert_ne!(token, value);
                match &format {
                    Format::String(format) => format.split(&token, Side::Protected, &mut Parts::default()).unwrap(),
                    Format::Ranked(format) => format.rank(&token).map(drop).unwrap(),
                    Format::Segmented(format) => {
                        format.split(&token, Side::Protected, &mut Segments::default()).unwrap()
                    }
                }
            }
        }
    }

    #[test]
    fn a_card_token_passes_or_fails_luhn_as_asked() {
        let value = "4111111111111111";
        let valid = format("pan", toml::Table::new());
        for (check_digit, passes) in [("valid", true), ("invalid", false)] {
            let mut parameters = toml::Table::new();
            parameters.insert("check_digit".into(), check_digit.into());
            let format = format("pan", parameters);
            let mut minter = Minter::new(&format, &[], 0);
            let shape = minter.shape(value).unwrap();
            for _ in 0..200 {
                let token = minter.draw(value, &shape, &HashSet::new()).unwrap();
                assert_eq!(is_valid(&valid, &token), passes);
            }
        }
    }

    #[test]
    fn tokens_can_be_kept_from_being_values_of_another_format() {
        let (digits, ssn) = (
            format("digits", toml::Table::new()),
            format("us-ssn", toml::Table::new()),
        );
        let never = [ssn.clone()];
        let mut minter = Minter::new(&digits, &never, 0);
        let shape = minter.shape("123456789").unwrap();
        for _ in 0..200 {
            let token = minter.draw("123456789", &shape, &HashSet::new()).unwrap();
            assert!(!is_valid(&ssn, &token));
        }
        // Excludes everything that can be drawn: an error after many draws, and no endless loop.
        let never = [digits.clone()];
        let mut minter = Minter::new(&digits, &never, 0);
        assert!(minter.draw("123456789", &shape, &HashSet::new()).is_err());
    }

    #[test]
    fn a_value_of_few_gets_no_token() {
        let flag = format("integer", toml::toml! { min = 0  max = 1 });
        let digits = format("digits", toml::toml! { keep = [2, 0] });
        let email = format("email", toml::Table::new());
        for (format, few, many) in [
            (&flag, "1", None),
            (&digits, "1234567", Some("12345678")),
            (&email, "a@b.example", None),
        ] {
            let mut minter = Minter::new(format, &[], 1_000_000);
            // Each time, also after the shape was met before.
            for _ in 0..2 {
                let error = minter.shape(few).unwrap_err();
                assert!(
                    matches!(error, FormatError::SmallDomain { least: 1_000_000, .. }),
                    "{error}"
                );
            }
            assert!(many.is_none_or(|many| minter.shape(many).is_ok()));
        }
        assert!(
            Minter::new(&format("opaque", toml::Table::new()), &[], 1_000_000)
                .shape("")
                .is_ok()
        );
    }

    #[test]
    fn spaces_are_halved_and_told_apart() {
        let digits = format("digits", toml::toml! { keep = [1, 0] });
        let mut minter = Minter::new(&digits, &[], 0);
        let mut space = |value| minter.shape(value).unwrap().space;
        assert_eq!(space("1234").unwrap().limit, 500);
        assert_eq!(space("1234"), space("1999"));
        // Separators are no part of a token's space.
        assert_eq!(space("1-234"), space("1999"));
        assert_ne!(space("1234"), space("2234"));
        assert_ne!(space("1234"), space("12345"));
        assert!(space("1234567890123456").is_none());
        assert_eq!(
            minter.shape("1").unwrap_err(),
            FormatError::UnderFloor { found: 0, least: 1 }
        );
    }
}
