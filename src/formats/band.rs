//! Bands: domains that short values share (`on_short = "band"`).

use crate::Error;

pub(super) fn no_band() -> Error {
    Error::bad_policy("on_short = \"band\" does not go with this format").with_hint(
        "it goes with digits, alphanumeric, alphabet, hex, text, name, template and postcode; for others accept the \
         risk with \
         insecure_small_domain = \"the reason\"",
    )
}
