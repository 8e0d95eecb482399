//! `siv`: deterministic authenticated encryption (AES-SIV, RFC 5297) of values of any length.
//!
//! Equal values are equal still, so that columns join; nothing else is told but lengths. The result is longer by 16
//! bytes, as text in base64url without padding. What was changed, or protected otherwise, does not authenticate.

use std::fmt;

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::batch::{BytesBatch, Outcome, TextBatch, Texts, Values};
use super::rows::{each_bytes, each_text};
use super::treatment::Treatment;
use crate::cipher::Direction;
use crate::formats::{FormatError, RowError};
use crate::policy::Rule;
use crate::{Error, Result, Secret};

/// Length of the key, in bytes: two of AES-256.
pub(super) const KEY_LENGTH: usize = 64;

// One message for every failure: which check failed is nothing an attacker should learn, and we do not know the
// cause either.
const UNAUTHENTIC: FormatError =
    FormatError::Malformed("was not protected under this rule and key, or was changed since (AES-SIV)");

/// AES-SIV under one key.
#[derive(Clone)]
pub(super) struct Siv {
    key: std::sync::Arc<Secret<Vec<u8>>>,
}

impl fmt::Debug for Siv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No derive: that would print what `Secret` hides only as long as it stays a `Secret`.
        f.write_str("Siv")
    }
}

/// The cipher for a batch: its state goes on from value to value.
pub(super) struct SivBatch(Aes256Siv);

impl Siv {
    pub(super) fn new(key: Secret<Vec<u8>>) -> Self {
        Self {
            key: std::sync::Arc::new(key),
        }
    }

    pub(super) fn batch(&self) -> Result<SivBatch> {
        // The key schedule is computed once for each batch, not for each value.
        match Aes256Siv::new_from_slice(self.key.expose()) {
            Ok(siv) => Ok(SivBatch(siv)),
            Err(_) => Err(Error::bug("an AES-SIV key of another length")),
        }
    }
}

impl SivBatch {
    /// Encrypts `value`, bound to `headers`.
    ///
    /// # Errors
    /// None with at most 126 headers (RFC 5297, section 2.6).
    pub(super) fn seal(&mut self, headers: &[&[u8]], value: &[u8]) -> Result<Vec<u8>, FormatError> {
        self.0.encrypt(headers, value).map_err(|_| UNAUTHENTIC)
    }

    /// Decrypts what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// Anything else.
    pub(super) fn open(&mut self, headers: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, FormatError> {
        self.0.decrypt(headers, sealed).map_err(|_| UNAUTHENTIC)
    }

    /// Encrypts or decrypts the bytes of one value; the tweak is its associated data.
    fn bytes(&mut self, direction: Direction, value: &[u8], tweak: &[u8]) -> Result<Vec<u8>, FormatError> {
        match direction {
            Direction::Encrypt => self.seal(&[tweak], value),
            Direction::Decrypt => self.open(&[tweak], value),
        }
    }

    /// Encrypts or decrypts one text; the ciphertext is base64url.
    fn text(&mut self, direction: Direction, value: &str, tweak: &[u8], out: &mut String) -> Result<(), FormatError> {
        match direction {
            Direction::Encrypt => {
                // The URL alphabet is safe in file names and in CSV.
                BASE64_URL_SAFE_NO_PAD.encode_string(self.bytes(direction, value.as_bytes(), tweak)?, out);
            }
            Direction::Decrypt => {
                // Strict decoding: a text that is spelt otherwise is refused like one that was changed.
                let sealed = BASE64_URL_SAFE_NO_PAD.decode(value).map_err(|_| UNAUTHENTIC)?;
                // Text protects text. Bytes that are none were protected in a column of bytes.
                let text = String::from_utf8(self.bytes(direction, &sealed, tweak)?);
                out.push_str(&text.map_err(|_| UNAUTHENTIC)?);
            }
        }
        Ok(())
    }
}

impl Treatment for Siv {
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        let mut siv = self.batch()?;
        each_text(rule, batch, out, |value, tweak, out| {
            siv.text(batch.direction, value, tweak, out)
        })
    }

    fn bytes(&self, rule: &Rule, batch: BytesBatch<'_>) -> Result<Values<Vec<u8>>, RowError> {
        let mut siv = self.batch()?;
        each_bytes(rule, batch, |value, tweak| siv.bytes(batch.direction, value, tweak))
    }

    fn takes_bytes(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_does_not_authenticate() {
        let siv = Siv::new(Secret::new(vec![7; KEY_LENGTH]));
        let mut batch = siv.batch().unwrap();
        for value in ["", "x", "any text, of any length ☂"] {
            let mut sealed = String::new();
            batch.text(Direction::Encrypt, value, b"t", &mut sealed).unwrap();
            let mut again = String::new();
            siv.batch()
                .unwrap()
                .text(Direction::Encrypt, value, b"t", &mut again)
                .unwrap();
            assert_eq!(sealed, again, "deterministic, whatever came before");
            let mut open = String::new();
            batch.text(Direction::Decrypt, &sealed, b"t", &mut open).unwrap();
            assert_eq!(open, value);
            let other = if sealed.starts_with('A') { "B" } else { "A" };
            for (changed, tweak) in [
                (sealed.clone(), b"u"),
                (format!("{other}{}", &sealed[1..]), b"t"),
                (sealed[..sealed.len() - 1].to_owned(), b"t"),
                (String::new(), b"t"),
                ("no base64 at all".to_owned(), b"t"),
            ] {
                assert_eq!(
                    batch.text(Direction::Decrypt, &changed, tweak, &mut String::new()),
                    Err(UNAUTHENTIC)
                );
            }
        }
    }

    /// RFC 5297 has no vector for 512-bit keys; this one is from the crate `aes-siv`'s independent relatives in
    /// Miscreant's test suite.
    #[test]
    fn a_known_answer_of_a_256_bit_key_pair() {
        let key = hex::decode(
            "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f06f6e6d6c6b6a69686766656463626160\
             f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f",
        )
        .unwrap();
        let associated = hex::decode("101112131415161718191a1b1c1d1e1f2021222324252627").unwrap();
        let plain = hex::decode("112233445566778899aabbccddee").unwrap();
        let mut batch = Siv::new(Secret::new(key)).batch().unwrap();
        let sealed = batch.bytes(Direction::Encrypt, &plain, &associated).unwrap();
        assert_eq!(
            hex::encode(sealed),
            "f125274c598065cfc26b0e71575029088b035217e380cac8919ee800c126"
        );
    }
}
