//! Formats whose values are strings over one alphabet.

use std::fmt;
use std::sync::Arc;

use super::ascii_layout::AsciiLayout;
use super::band::{Band, no_band};
use super::error::FormatError;
use super::side::Side;
use crate::Result;
use crate::ascii::append_kept;

/// A format whose values are strings over one alphabet.
pub trait StringFormat: fmt::Debug + Send + Sync {
    /// Name, version and every parameter that defines the map, in one canonical line: `pan/1 keep=0,4
    /// check_digit=valid`.
    fn definition(&self) -> String;

    /// The number of symbols of the alphabet.
    fn radix(&self) -> u32;

    /// Returns the number of numerals that a usual value leaves to encrypt, when the format knows: a rule whose usual
    /// value falls under the domain floor is refused before any data is read.
    fn usual_numerals(&self) -> Option<usize> {
        None
    }

    /// The number of numerals of a token for a value in which [`split`](Self::split) found `found`.
    fn token_numerals(&self, found: usize) -> usize {
        // Tokens are as long as their values unless a format says otherwise.
        found
    }

    /// Is a text that does not fit on one side misfit on the other, too? Only then can values that do not fit be left
    /// in the clear: else `reveal` would take one for a protected value.
    fn is_symmetric(&self) -> bool {
        // Most formats take the same texts on both sides.
        true
    }

    /// Is `symbol` part of what is protected, so that a mask must hide it? Letters and digits are, wherever they stand.
    fn is_symbol(&self, symbol: char) -> bool {
        symbol.is_alphanumeric()
    }

    /// Returns the layout by which whole columns are split, if the format is one of ASCII symbols and separators.
    ///
    /// It must give the same answers as [`split`](Self::split) and [`join`](Self::join), or leave a value to them.
    fn ascii_layout(&self) -> Option<AsciiLayout<'_>> {
        None
    }

    /// The band of a short value, where [`Format::banded`](super::Format::banded) gave the format bands.
    fn band(&self, value: &str, side: Side) -> Option<Band<'_>> {
        let _ = (value, side);
        None
    }

    /// Adds a band for short values to the format.
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
    fn split(&self, value: &str, side: Side, parts: &mut Parts) -> Result<(), FormatError>;

    /// Appends to `out` the text that has the layout of `value` and `numerals` in place of its own, to stand on `side`.
    ///
    /// `value` has passed [`split`](Self::split), and `numerals` are as many as it found.
    fn join(&self, value: &str, numerals: &[u16], side: Side, out: &mut String);
}

/// The result of [`StringFormat::split`]. Reused from value to value: `split` appends.
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
