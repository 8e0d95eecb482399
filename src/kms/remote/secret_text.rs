//! Secret text in the JSON of requests and responses.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, ZeroizeOnDrop};

use crate::Secret;

/// A key in base64, or a credential: wiped when dropped.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::kms) struct SecretText(String);

impl SecretText {
    pub(in crate::kms) fn new(text: String) -> Self {
        Self(text)
    }

    pub(in crate::kms) fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SecretText {}

/// Writes the JSON of a request's body, which may hold keys.
pub(in crate::kms) fn json(body: &impl Serialize) -> Secret<Vec<u8>> {
    // More than the longest wrapped key: a buffer that grows leaves copies of its content behind.
    let mut bytes = Secret::new(Vec::with_capacity(64 << 10));
    serde_json::to_writer(bytes.expose_mut(), body).expect("strings and numbers, which JSON always holds");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_written_in_one_place() {
        #[derive(Serialize)]
        struct Body {
            value: SecretText,
        }
        let body = Body {
            value: SecretText::new("a".repeat(8 << 10)),
        };
        let written = json(&body);
        assert!(written.expose().starts_with(b"{\"value\":\"aaa"));
        assert_eq!(written.expose().capacity(), 64 << 10, "it did not grow");
        assert!(std::mem::needs_drop::<SecretText>());
    }
}
