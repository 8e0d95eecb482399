//! A value's text ⇄ numerals and the part kept clear.
//!
//! There are three kinds of format:
//!
//! * a [`StringFormat`]: the value is a string over one alphabet, with separators and kept positions. FF1 runs straight on its
//!   numerals, so any other FF1 with the same key, radix and tweak gives the same answer;
//! * a [`RankedFormat`]: the value is one of N well-formed things (an integer in a range, a social security number). Its rank
//!   0…N−1 is encrypted over the next power of two, again and again until it lands inside (*cycle walking*), and unranked;
//! * a [`MixedFormat`]: the value is places with choices of their own (letters here, digits there), which make a number in mixed
//!   radix, encrypted as a rank is. N goes by the value's shape.
//!
//! In all of them, the value itself is the layout of its result: separators and kept parts are copied from it, so that
//! `join(v, split(v)) == v` and the result has the shape of the input.
//!
//! A format and its tables are versioned (`pan/1`) and frozen; a later table is a new version.

mod alphabet;
mod alphanumeric;
mod base64url;
mod bits;
mod calendar;
mod check;
mod class;
mod counted;
mod custom;
mod decimal;
mod digits;
mod email;
mod hex;
mod iban;
mod integer;
mod ipv4;
mod ipv6;
mod layout;
mod mac;
mod misfit;
mod mixed;
mod opaque;
mod output;
mod pan;
mod phone;
mod plain;
mod postcode;
mod script;
mod template;
mod us_ssn;
mod uuid;

use std::fmt;
use std::sync::Arc;

pub use alphabet::Alphabet;
pub use counted::{Counts, Resolution, Unit};
pub use misfit::Misfit;
pub(crate) use misfit::grouped;
pub(crate) use mixed::WIDEST;
pub use mixed::{MixedFormat, Ordinal, Places};
pub(crate) use plain::MOST;
pub use plain::Plain;
use serde::de::DeserializeOwned;

use crate::ascii::append_kept;
use crate::{Error, Result};

/// Which side of the cipher a text stands on. Most formats look the same on both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// What a person wrote.
    Plain,
    /// What `protect` made of it.
    Protected,
}

/// What [`StringFormat::split`] finds in one value. Reused from value to value: `split` appends.
#[derive(Debug, Default)]
pub struct Parts {
    /// The numerals to encrypt, most significant first.
    pub numerals: Vec<u16>,
    /// The canonical encoding of what is kept clear, for use as a tweak: each part with its length before it (32 bits,
    /// big-endian). Never separators or check digits.
    pub kept: Vec<u8>,
}

impl Parts {
    /// Appends one kept part.
    pub(crate) fn keep(&mut self, part: &[u8]) {
        append_kept(&mut self.kept, part);
    }
}

/// A format whose values are strings over one alphabet.
pub trait StringFormat: fmt::Debug + Send + Sync {
    /// Name, version and every parameter that defines the map, in one canonical line: `pan/1 keep=0,4 check_digit=valid`.
    fn definition(&self) -> String;

    /// How many symbols the alphabet has.
    fn radix(&self) -> u32;

    /// How many numerals a usual value leaves to encrypt, when the format knows: a rule whose usual value falls under the
    /// domain floor is refused before any data is read.
    fn usual_numerals(&self) -> Option<usize> {
        None
    }

    /// How many numerals a token has for a value in which [`split`](Self::split) found `found`.
    fn token_numerals(&self, found: usize) -> usize {
        found
    }

    /// Is a text that does not fit on one side misfit on the other, too? Only then can values that do not fit be left in the
    /// clear: else `reveal` would take one for a protected value.
    fn same_on_both_sides(&self) -> bool {
        true
    }

    /// Is `symbol` part of what is protected, so that a mask must hide it? Letters and digits are, wherever they stand.
    fn is_symbol(&self, symbol: char) -> bool {
        symbol.is_alphanumeric()
    }

    /// The same format for whole columns, if it is one of ASCII symbols and separators. It must give the same answers as
    /// [`split`](Self::split) and [`join`](Self::join), or leave a value to them.
    fn plain(&self) -> Option<Plain<'_>> {
        None
    }

    /// What short values are encrypted among, where [`Format::banded`] gave the format one.
    fn band(&self, value: &str, side: Side) -> Option<&dyn RankedFormat> {
        let _ = (value, side);
        None
    }

    /// The same format with a band for short values.
    ///
    /// # Errors
    /// A format that has none.
    fn banded(&self) -> Result<Arc<dyn StringFormat>> {
        Err(no_band())
    }

    /// Appends the numerals and kept parts of `value`, which stands on `side`.
    ///
    /// # Errors
    /// When the value is not well-formed; `parts` may then hold a part of it.
    fn split(&self, value: &str, side: Side, parts: &mut Parts) -> Result<(), Misfit>;

    /// Appends to `out` the text that has the layout of `value` and `numerals` in place of its own, to stand on `side`.
    ///
    /// `value` has passed [`split`](Self::split), and `numerals` are as many as it found.
    fn join(&self, value: &str, numerals: &[u16], side: Side, out: &mut String);
}

/// A format whose values are N well-formed things.
pub trait RankedFormat: fmt::Debug + Send + Sync {
    /// Name, version and every parameter that defines the map, in one canonical line: `integer/1 min=1 max=999999999`.
    fn definition(&self) -> String;

    /// N, at least 1 and at most 2^128 − 1.
    fn size(&self) -> u128;

    /// The rank of `value`, in 0…N−1.
    ///
    /// # Errors
    /// When the value is not well-formed.
    fn rank(&self, value: &str) -> Result<u128, Misfit>;

    /// Appends to `out` the text of `rank`, in the layout of `value`.
    fn unrank(&self, rank: u128, value: &str, out: &mut String);

    /// What this format counts, if it can be used on columns of numbers, dates or times: a count's rank is its distance from the least.
    fn counts(&self) -> Option<Counts> {
        None
    }
}

/// A format of any kind.
#[derive(Clone, Debug)]
pub enum Format {
    /// See [`StringFormat`].
    String(Arc<dyn StringFormat>),
    /// See [`RankedFormat`].
    Ranked(Arc<dyn RankedFormat>),
    /// See [`MixedFormat`].
    Mixed(Arc<dyn MixedFormat>),
}

/// A parser of one format's parameters.
type Parse = fn(toml::Table) -> Result<Format>;

/// Every format by the name it has in a policy. A new format is one file and one line.
const FORMATS: &[(&str, Parse)] = &[
    ("alphabet", custom::parse),
    ("alphanumeric", alphanumeric::parse),
    ("base64url", base64url::parse),
    ("date", calendar::date),
    ("decimal", decimal::parse),
    ("digits", digits::parse),
    ("email", email::parse),
    ("hex", hex::parse),
    ("iban", iban::parse),
    ("integer", integer::parse),
    ("ipv4", ipv4::parse),
    ("ipv6", ipv6::parse),
    ("mac", mac::parse),
    ("name", script::name),
    ("npi", template::npi),
    ("opaque", opaque::parse),
    ("pan", pan::parse),
    ("phone", phone::parse),
    ("postcode", postcode::parse),
    ("template", template::parse),
    ("text", script::text),
    ("time", calendar::time),
    ("timestamp", calendar::timestamp),
    ("us-ssn", us_ssn::parse),
    ("uuid", uuid::parse),
    ("vin", template::vin),
];

/// The names of all formats.
pub fn names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|(name, _)| *name)
}

impl Format {
    /// The format called `name` with `parameters` (a policy's table without its `type`).
    ///
    /// ```
    /// use cipherform::formats::Format;
    /// let format = Format::parse("pan", toml::toml! { keep = [6, 4]  check_digit = "off" })?;
    /// assert_eq!(format.definition(), "pan/1 keep=6,4 check_digit=off");
    /// # Ok::<(), cipherform::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when there is no such format, or it has no such parameter.
    pub fn parse(name: &str, parameters: toml::Table) -> Result<Self> {
        match FORMATS.iter().find(|(known, _)| *known == name) {
            Some((_, parse)) => parse(parameters).map_err(|error| error.context(format_args!("format `{name}`"))),
            None => {
                let known: Vec<_> = FORMATS.iter().map(|(name, _)| *name).collect();
                Err(Error::bad_policy(format!("no format is called `{name}`"))
                    .with_hint(format!("the formats are {}", known.join(", "))))
            }
        }
    }

    /// Name, version and every parameter that defines the map.
    pub fn definition(&self) -> String {
        match self {
            Self::String(format) => format.definition(),
            Self::Ranked(format) => format.definition(),
            Self::Mixed(format) => format.definition(),
        }
    }

    /// Is `symbol` part of what is protected, so that a mask must hide it?
    pub fn is_symbol(&self, symbol: char) -> bool {
        match self {
            Self::String(format) => format.is_symbol(symbol),
            Self::Mixed(format) => format.is_symbol(symbol),
            // The sign of a number tells about its value.
            Self::Ranked(format) => {
                let signed = matches!(
                    format.counts(),
                    Some(Counts {
                        unit: Unit::Integer | Unit::Decimal { .. },
                        ..
                    })
                );
                symbol.is_alphanumeric() || symbol == '-' && signed
            }
        }
    }

    /// Can values that do not fit be left in the clear, and be told from protected ones by `reveal`?
    pub fn same_on_both_sides(&self) -> bool {
        match self {
            Self::String(format) => format.same_on_both_sides(),
            Self::Mixed(format) => format.same_on_both_sides(),
            Self::Ranked(_) => true,
        }
    }

    /// The same format, but short values are encrypted among each other, in one ranked domain that passes the floor: a result may then
    /// be longer or shorter than its value (`on_short = "band"`).
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] for a format that has no short values, or cannot join them.
    pub fn banded(&self) -> Result<Self> {
        let banded = match self {
            Self::String(format) => format.banded().map(Self::String),
            Self::Mixed(format) => format.banded().map(Self::Mixed),
            Self::Ranked(_) => Err(no_band()),
        };
        banded.map_err(|error| error.context(format_args!("format {}", self.version())))
    }

    /// What `value` on `side` is encrypted among, if it is a short one of a format that has bands for such.
    pub fn band(&self, value: &str, side: Side) -> Option<&dyn RankedFormat> {
        match self {
            Self::String(format) => format.band(value, side),
            Self::Mixed(format) => format.band(value, side),
            Self::Ranked(_) => None,
        }
    }

    /// The definition as a person reads it: ends of a range as the format writes them, no long alphabets.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Ranked(format) if format.counts().is_some() => {
                let mut described = format!("{} from ", self.version());
                format.unrank(0, "", &mut described);
                described.push_str(" to ");
                format.unrank(format.size() - 1, "", &mut described);
                described
            }
            _ => {
                let definition = self.definition();
                definition.split(" symbols=").next().unwrap_or_default().to_owned()
            }
        }
    }

    /// Name and version: `pan/1`.
    pub fn version(&self) -> String {
        let definition = self.definition();
        definition.split(' ').next().unwrap_or_default().to_owned()
    }
}

fn no_band() -> Error {
    Error::bad_policy("on_short = \"band\" does not go with this format").with_hint(
        "it goes with digits, alphanumeric, alphabet, hex, text, name, template and postcode; for others accept the risk with \
         insecure_small_domain = \"the reason\"",
    )
}

/// Reads the parameters of a format; one it does not have is refused.
fn parameters<T: DeserializeOwned>(table: toml::Table) -> Result<T> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| Error::bad_policy(error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_names_itself_and_refuses_unknown_parameters() {
        for (name, _) in FORMATS {
            let mut parameters = toml::Table::new();
            if *name == "integer" {
                parameters.extend(toml::toml! { min = 0  max = 9_999_999 });
            }
            if *name == "template" {
                parameters.extend(toml::toml! { pattern = "AAA-9999" });
            }
            if *name == "postcode" {
                parameters.extend(toml::toml! { country = "GB" });
            }
            if *name == "decimal" {
                parameters.extend(toml::toml! { min = 0  max = 9_999_999  scale = 2 });
            }
            if *name == "alphabet" {
                parameters.extend(toml::toml! { symbols = "0123456789abcdef" });
            }
            let format = Format::parse(name, parameters.clone()).expect("defaults");
            assert!(format.version().starts_with(&format!("{name}/")), "{name}");

            parameters.insert("no_such_parameter".into(), true.into());
            let error = Format::parse(name, parameters).expect_err("unknown parameter");
            assert!(error.to_string().contains("no_such_parameter"), "{error}");
        }
    }

    #[test]
    fn unknown_format_lists_the_known() {
        let error = Format::parse("cards", toml::Table::new()).expect_err("unknown");
        assert!(error.hint().expect("hint").contains("pan"));
    }
}
