//! The context that a wrapped key is bound to.

use crate::keys::encoding::length_prefixed;
use crate::keys::ids::{DataKeyId, KeyVersionId, KeyringId};

/// The context of a wrapped key: ids, which never change, rather than names, which may.
///
/// A KMS binds the wrapped bytes to it, so that bytes moved to another keyring, key, version or use do not unwrap.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrapContext {
    /// Keyring that holds the wrapped bytes.
    pub keyring: KeyringId,
    /// Data key.
    pub data_key: DataKeyId,
    /// Version of the data key.
    pub version: KeyVersionId,
    /// Use of the key, as the keyring writes it: `derive`, `direct-ff1-256`, …
    pub key_use: String,
}

impl WrapContext {
    /// Returns the canonical bytes, for the associated data of an AEAD: a fixed string, then the four fields in
    /// order, each behind its length (32 bits, big-endian).
    pub fn to_bytes(&self) -> Vec<u8> {
        // The fixed string keeps these bytes apart from all other associated data of the crate.
        length_prefixed(&[
            b"cipherform wrap v1",
            self.keyring.as_bytes(),
            self.data_key.as_bytes(),
            self.version.as_bytes(),
            // The use is bound, too: whoever edits the keyring cannot turn a key for one mode into one to
            // derive from.
            self.key_use.as_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_fixed() {
        let context = WrapContext {
            keyring: KeyringId::from_bytes([1; 16]),
            data_key: DataKeyId::from_bytes([2; 16]),
            version: KeyVersionId::from_bytes([3; 16]),
            key_use: "derive".to_string(),
        };
        let mut expected = b"\0\0\0\x12cipherform wrap v1".to_vec();
        for id in 1..=3 {
            expected.extend_from_slice(b"\0\0\0\x10");
            expected.extend_from_slice(&[id; 16]);
        }
        expected.extend_from_slice(b"\0\0\0\x06derive");
        assert_eq!(context.to_bytes(), expected);
    }
}
