//! Random 128-bit ids. Wrapping and derivation bind to them, since names may change.

use crate::Result;

/// Declares a random 128-bit identity, written as 32 lower-case hexadecimal digits.
macro_rules! random_id {
    ($(#[$doc:meta])* $visibility:vis struct $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        $visibility struct $name([u8; 16]);

        #[allow(dead_code, reason = "each identity has the same methods, wanted or not")]
        impl $name {
            /// Makes a new id from the operating system's random bytes.
            $visibility fn random() -> $crate::Result<Self> {
                // 128 random bits: processes that never meet make ids without a collision, so copies of a
                // keyring can be told apart, and an id that was used once is never used again for another
                // key.
                Ok(Self($crate::keys::random::array()?))
            }

            /// Makes the id with these bytes.
            $visibility const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes.
            $visibility const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Always lower case, since the text stands in files that must be written again byte for
                // byte.
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Ids are public: they stand in the metadata of protected columns and in the audit log.
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(text: &str) -> $crate::Result<Self> {
                let mut bytes = [0; 16];
                // A slice of fixed length refuses shorter and longer texts. Upper case is read too: in an
                // authenticated file the comparison with the bytes as written refuses it.
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| $crate::Error::bad_input("an id is 32 hexadecimal digits"))?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
#[cfg(feature = "kms-local")]
pub(crate) use random_id;

random_id! {
    /// The id of a token store, fixed when the store is made.
    pub struct StoreId
}

random_id! {
    /// The id of a keyring, fixed when the file is created.
    pub struct KeyringId
}

random_id! {
    /// The id of a data key, whatever its name.
    pub struct DataKeyId
}

random_id! {
    /// The id of a version of a data key. The number of the version is only for display.
    pub struct KeyVersionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        let id = KeyVersionId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string(), "ab".repeat(16));
        assert_eq!(id.to_string().parse::<KeyVersionId>().unwrap(), id);
        for bad in ["", "ab", &"ab".repeat(17), &"zz".repeat(16)] {
            assert!(bad.parse::<KeyVersionId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn no_two_are_equal() {
        assert_ne!(KeyVersionId::random().unwrap(), KeyVersionId::random().unwrap());
    }
}
