//! A format of any kind.

use std::sync::Arc;

use super::band::{Band, no_band};
use super::ordinal_range::{OrdinalRange, Unit};
use super::ranked::RankedFormat;
use super::segmented::SegmentedFormat;
use super::side::Side;
use super::string::StringFormat;
use crate::Result;

/// A format of any kind.
#[derive(Clone, Debug)]
pub enum Format {
    /// See [`StringFormat`].
    String(Arc<dyn StringFormat>),
    /// See [`RankedFormat`].
    Ranked(Arc<dyn RankedFormat>),
    /// See [`SegmentedFormat`].
    Segmented(Arc<dyn SegmentedFormat>),
}

impl Format {
    /// The format as one of numbered values, if it is one.
    pub fn ranked(&self) -> Option<&dyn RankedFormat> {
        match self {
            Self::Ranked(format) => Some(format.as_ref()),
            Self::String(_) | Self::Segmented(_) => None,
        }
    }

    /// The range of numbers, dates or times, of a format that can be used on such columns.
    pub fn ordinal_range(&self) -> Option<OrdinalRange> {
        self.ranked()?.ordinal_range()
    }

    /// Name, version and every parameter that defines the map.
    pub fn definition(&self) -> String {
        match self {
            Self::String(format) => format.definition(),
            Self::Ranked(format) => format.definition(),
            Self::Segmented(format) => format.definition(),
        }
    }

    /// Is `symbol` part of what is protected, so that a mask must hide it?
    pub fn is_symbol(&self, symbol: char) -> bool {
        match self {
            Self::String(format) => format.is_symbol(symbol),
            Self::Segmented(format) => format.is_symbol(symbol),
            // The sign of a number tells about its value.
            Self::Ranked(format) => {
                let signed = matches!(
                    format.ordinal_range(),
                    Some(OrdinalRange {
                        unit: Unit::Integer | Unit::Decimal { .. },
                        ..
                    })
                );
                // Dates and times have a hyphen as well, but it is layout there; only numbers have a sign.
                symbol.is_alphanumeric() || symbol == '-' && signed
            }
        }
    }

    /// Could a protected value begin with `character`, other than by keeping that of its value?
    pub fn writes_first(&self, character: char) -> bool {
        match self {
            Self::String(format) => format.is_symbol(character),
            Self::Segmented(format) => format.is_symbol(character) || format.begins_with(character),
            Self::Ranked(format) => {
                let mut first = String::new();
                format.unrank(0, "", &mut first);
                self.is_symbol(character) || first.starts_with(character)
            }
        }
    }

    /// Can values that do not fit be left in the clear, and be told from protected ones by `reveal`?
    pub fn is_symmetric(&self) -> bool {
        match self {
            Self::String(format) => format.is_symmetric(),
            Self::Segmented(format) => format.is_symmetric(),
            // Both sides are the same N values, so what does not fit on one does not fit on the other.
            Self::Ranked(_) => true,
        }
    }

    /// Returns a copy of the format in which short values are encrypted among each other, in one ranked domain that
    /// passes the floor: a result may then be longer or shorter than its value (`on_short = "band"`).
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] for a format that has no short values, or cannot join them.
    pub fn banded(&self) -> Result<Self> {
        let banded = match self {
            Self::String(format) => format.banded().map(Self::String),
            Self::Segmented(format) => format.banded().map(Self::Segmented),
            // All N values are one domain already: there are no short ones.
            Self::Ranked(_) => Err(no_band()),
        };
        // Names the format, since a rule may have none by name but one given as a table.
        banded.map_err(|error| error.context(format_args!("format {}", self.version())))
    }

    /// The band of `value` on `side`, if it is a short one of a format that has bands.
    pub fn band(&self, value: &str, side: Side) -> Option<Band<'_>> {
        match self {
            Self::String(format) => format.band(value, side),
            Self::Segmented(format) => format.band(value, side),
            Self::Ranked(_) => None,
        }
    }

    /// The definition as a person reads it: ends of a range as the format writes them, no long alphabets.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Ranked(format) if format.ordinal_range().is_some() => {
                let mut described = format!("{} from ", self.version());
                format.unrank(0, "", &mut described);
                described.push_str(" to ");
                // N is at least 1, so N − 1 does not go below zero.
                format.unrank(format.size() - 1, "", &mut described);
                described
            }
            _ => {
                let definition = self.definition();
                // Alphabets stand last in a definition, and may have 65,536 symbols: they would fill the terminal.
                definition.split(" symbols=").next().unwrap_or_default().to_owned()
            }
        }
    }

    /// Name and version: `pan/1`.
    pub fn version(&self) -> String {
        let definition = self.definition();
        // Every definition begins with name and version, up to the first space.
        definition.split(' ').next().unwrap_or_default().to_owned()
    }
}
