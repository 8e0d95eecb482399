//! JSON files with a MAC over every byte.
//!
//! ```json
//! { "format": "cipherform-…/1", "content": { … }, "mac": "base64" }
//! ```
//!
//! The MAC is HMAC-SHA-256 over `format` and the compact JSON of `content`, each behind its length. A file is
//! accepted only as it would be written again, byte for byte: no other spelling of the same content passes.

use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::keys::encoding::{Base64, length_prefixed};
use crate::{Error, ErrorKind, Result};

/// A file's content with its MAC, not necessarily checked.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authenticated<T> {
    format: String,
    content: T,
    mac: Base64,
}

impl<T: Serialize> Authenticated<T> {
    /// Authenticates `content` under `key`.
    pub(crate) fn new(format: &str, content: T, key: &[u8]) -> Self {
        let mac = mac(format, &content, key).finalize().into_bytes().to_vec();
        Self {
            format: format.to_string(),
            content,
            mac: Base64(mac),
        }
    }

    /// Returns the bytes of the file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .expect("our files are structs, strings and numbers, which JSON always holds");
        bytes.push(b'\n');
        bytes
    }

    /// Returns the content, which anybody may have written.
    pub(crate) fn unverified(&self) -> &T {
        &self.content
    }

    /// Returns the content if the MAC under `key` is right; else [`ErrorKind::WrongKey`].
    pub(crate) fn verify(self, key: &[u8]) -> Result<T> {
        // `verify_slice` compares in constant time: the time of a comparison that stops at the first
        // difference would let whoever writes files find a right MAC byte by byte.
        match mac(&self.format, &self.content, key).verify_slice(&self.mac.0) {
            Ok(()) => Ok(self.content),
            Err(_) => Err(Error::new(ErrorKind::WrongKey, "the file is not what was last written")),
        }
    }
}

impl<T: Serialize + DeserializeOwned> Authenticated<T> {
    /// Reads the bytes of a file of one of `formats`; [`verify`](Self::verify) comes next.
    pub(crate) fn parse(formats: &[&str], bytes: &[u8]) -> Result<Self> {
        // The format first: a newer one may have fields that `deny_unknown_fields` would report as
        // damage.
        if !formats.contains(&format(bytes)?.as_str()) {
            return Err(
                Error::bad_input("the file is of another format, or of a version this program does not know")
                    .with_hint(format!("this program reads `{}`", formats.join("` and `"))),
            );
        }
        // The MAC is over the parsed content written again, so differences that parsing drops (spaces,
        // escapes, the order of fields) would escape it. The comparison below refuses them: what is
        // authenticated is the file.
        let file: Self = serde_json::from_slice(bytes).map_err(not_ours)?;
        if file.to_bytes() != bytes {
            return Err(Error::bad_input("the file was edited: it is not as it was written"));
        }
        Ok(file)
    }
}

/// Reads the format that a file says it has.
pub(crate) fn format(bytes: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    struct FormatHeader {
        format: String,
    }
    // Other fields are allowed here, since a format that is not known has fields that are not known.
    let header: FormatHeader = serde_json::from_slice(bytes).map_err(not_ours)?;
    Ok(header.format)
}

/// Returns the error for a damaged file: the position, but not the text, which may be anything.
fn not_ours(error: serde_json::Error) -> Error {
    Error::bad_input(format!(
        "the file is damaged at line {}, column {}",
        error.line(),
        error.column()
    ))
}

fn mac<T: Serialize>(format: &str, content: &T, key: &[u8]) -> Hmac<Sha256> {
    let content =
        serde_json::to_vec(content).expect("our files are structs, strings and numbers, which JSON always holds");
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    // The format is under the MAC, so that content cannot be presented as that of another version.
    mac.update(&length_prefixed(&[format.as_bytes(), &content]));
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_bytes_pass() {
        let bytes = Authenticated::new("test/1", "content".to_string(), b"key").to_bytes();
        let read = |bytes: &[u8]| Authenticated::<String>::parse(&["test/2", "test/1"], bytes)?.verify(b"key");
        assert_eq!(read(&bytes).unwrap(), "content");
        for position in 0..bytes.len() {
            // A low bit, the bit that changes the case of a letter, and the one that leaves ASCII.
            for flip in [0x01, 0x20, 0x80] {
                let mut changed = bytes.clone();
                changed[position] ^= flip;
                assert!(read(&changed).is_err(), "byte {position}");
            }
        }
        assert!(read(&bytes[..bytes.len() - 1]).is_err());
        // White space at the end means nothing to JSON; here it is a change of the file.
        assert!(read(&[&bytes[..], b" "].concat()).is_err());
        assert!(Authenticated::<String>::parse(&["test/2"], &bytes).is_err());
        let other = Authenticated::<String>::parse(&["test/1"], &bytes)
            .unwrap()
            .verify(b"other");
        assert_eq!(other.unwrap_err().kind(), ErrorKind::WrongKey);
    }
}
