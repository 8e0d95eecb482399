//! Bands: domains that short values share (`on_short = "band"`).

use super::ranked::RankedFormat;
use crate::Error;

/// The part of a format's definition that says that it has bands, and of which version.
// Part of fingerprints, which are persisted: a changed letter would make every banded column unreadable.
pub(super) const SHORT_BAND: &str = " short=band/2";

/// The domain that a short value shares with others.
#[derive(Clone, Copy, Debug)]
pub struct Band<'a> {
    /// The values of the domain.
    pub domain: &'a dyn RankedFormat,
    /// The number of the band among those of its format.
    pub number: u16,
}

impl Band<'_> {
    /// The shape of the band's values: all have one, since a result may be of any length and class that the band has.
    pub fn shape(&self) -> Vec<u8> {
        let [high, low] = self.number.to_be_bytes();
        // No length or class of the value goes in: the result may have others, and both sides must find the same
        // tweak.
        // The number keeps apart the bands of one format that have the same length in bits.
        [b'b', b'a', b'n', b'd', high, low].into()
    }
}

pub(super) fn no_band() -> Error {
    Error::bad_policy("on_short = \"band\" does not go with this format").with_hint(
        "it goes with digits, alphanumeric, alphabet, hex, text, name, template and postcode; for others accept the \
         risk with \
         insecure_small_domain = \"the reason\"",
    )
}
