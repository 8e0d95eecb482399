//! Small JSON files with a signature of their writer.
//!
//! ```json
//! { "format": "cipherform-…/1", "content": { … }, "signature": "base64" }
//! ```
//!
//! The signature is Ed25519 (FIPS 186-5) over `format` and the compact JSON of `content`, each behind its length. Its
//! key is derived from the root of a keyring.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::keys::encoding::{Base64, length_prefixed};
use crate::{Error, Result, Secret};

/// A file's content with its signature, not necessarily checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed<T> {
    format: String,
    content: T,
    signature: Base64,
}

impl<T: Serialize> Signed<T> {
    /// Signs `content` with the key of `seed`.
    pub(crate) fn new(format: &str, content: T, seed: &Secret<Vec<u8>>) -> Result<Self> {
        // Ed25519 needs no random number to sign, so a bad generator cannot reveal the key, as it can
        // with ECDSA.
        let signature = signing_key(seed)?.sign(&message(format, &content));
        Ok(Self {
            format: format.to_owned(),
            content,
            signature: Base64(signature.to_bytes().to_vec()),
        })
    }

    /// Returns the bytes of the file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("strings and numbers, which JSON always holds");
        bytes.push(b'\n');
        bytes
    }

    /// Returns the content, which anybody may have written.
    pub(crate) fn content(&self) -> &T {
        &self.content
    }

    /// Checks whether the owner of `public_key` signed the file.
    pub(crate) fn is_signed_by(&self, public_key: &[u8]) -> bool {
        let check = || {
            // Every way to fail is the same answer, no: a key that is none verifies nothing.
            let key = VerifyingKey::from_bytes(public_key.try_into().ok()?).ok()?;
            let signature = Signature::from_slice(&self.signature.0).ok()?;
            // Strict: public keys and signature points of small order are refused. Under such a key one
            // signature can hold for several messages.
            key.verify_strict(&message(&self.format, &self.content), &signature)
                .ok()
        };
        check().is_some()
    }
}

impl<T: DeserializeOwned> Signed<T> {
    /// Reads the bytes of a file; `what` names it in errors.
    pub(crate) fn parse(format: &str, what: &str, bytes: &[u8]) -> Result<Self> {
        let file: Self = serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::bad_input(format!("this is not a {what}: line {line}, column {column}"))
        })?;
        // Unlike files with a MAC, these may be spelled otherwise than they were written (indentation,
        // line ends): a checkpoint or a package may be copied through other tools, and the signature is
        // over the content.
        if file.format == format {
            return Ok(file);
        }
        let message = format!("the {what} is of a version this program does not know");
        Err(Error::bad_input(message).with_hint(format!("this program reads `{format}`")))
    }
}

/// Returns the public key of `seed`.
pub(crate) fn public_key(seed: &Secret<Vec<u8>>) -> Result<[u8; 32]> {
    Ok(signing_key(seed)?.verifying_key().to_bytes())
}

/// Makes the key of a seed of 32 bytes: RFC 8032, section 5.1.5.
fn signing_key(seed: &Secret<Vec<u8>>) -> Result<SigningKey> {
    // Copied into an array that is wiped; `try_into` on the vector would leave one behind that is not.
    let mut bytes = Secret::new([0; 32]);
    match seed.expose().len() {
        32 => bytes.expose_mut().copy_from_slice(seed.expose()),
        _ => return Err(Error::bug("a signing key that is not 32 bytes")),
    }
    Ok(SigningKey::from_bytes(bytes.expose()))
}

/// Returns the bytes that are signed.
fn message<T: Serialize>(format: &str, content: &T) -> Vec<u8> {
    let content = serde_json::to_vec(content).expect("strings and numbers, which JSON always holds");
    // The format is under the signature: what was signed as one kind of file, or as one version of it, is
    // not valid as another.
    length_prefixed(&[format.as_bytes(), &content])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_passes() {
        let seed = Secret::new(vec![7; 32]);
        let key = public_key(&seed).unwrap();
        let file = Signed::new("test/1", "content".to_owned(), &seed).unwrap();
        let read = |bytes: &[u8]| Signed::<String>::parse("test/1", "test", bytes);
        let back = read(&file.to_bytes()).unwrap();
        assert!(back.is_signed_by(&key) && back.content() == "content");
        assert!(!back.is_signed_by(&[0; 32]) && !back.is_signed_by(&key[..31]));
        assert!(!back.is_signed_by(&public_key(&Secret::new(vec![8; 32])).unwrap()));
        let text = String::from_utf8(file.to_bytes()).unwrap();
        assert!(
            !read(
                text.replace("\"content\"\n", "\"contents\"\n")
                    .replace(": \"content\"", ": \"contents\"")
                    .as_bytes()
            )
            .unwrap()
            .is_signed_by(&key)
        );
        assert!(read(text.replace("test/1", "test/2").as_bytes()).is_err());
        assert!(read(b"{}").is_err());
    }
}
