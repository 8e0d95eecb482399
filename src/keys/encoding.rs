//! Encodings of bytes: base64 in JSON files, length prefixes in authenticated data.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Result;

/// Joins the parts, each behind its length as 32 bits big-endian, so that no two lists of parts give
/// the same bytes.
///
/// # Panics
///
/// If a part is 4 GiB or longer.
pub(crate) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 4 + part.len()).sum());
    for part in parts {
        // Fixed-width lengths make the encoding injective. Plain concatenation would let an attacker move
        // bytes from one field to the next, say from a domain to a fingerprint, and keep the same MAC or
        // subkey.
        let length = u32::try_from(part.len()).expect("names, ids and fingerprints are far shorter than 4 GiB");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Public bytes (wrapped keys, tags), as base64 in a file.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl std::fmt::Debug for Base64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Wrapped keys are no secrets, but they have no use in a log either, and they would fill one.
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        STANDARD
            // The engine is strict: padding must be there, and the bits behind the last byte must be
            // zero. So one byte string has one spelling.
            .decode(text.as_bytes())
            .map(Self)
            .map_err(|_| de::Error::custom("not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_shifted() {
        assert_eq!(length_prefixed(&[b"ab", b""]), b"\0\0\0\x02ab\0\0\0\0");
        // Without lengths both lists would be the bytes `abc`.
        assert_ne!(length_prefixed(&[b"ab", b"c"]), length_prefixed(&[b"a", b"bc"]));
    }
}
