//! `hash`: a keyed one-way hash (HMAC-SHA-256, FIPS 198-1), cut to so many bits (SP 800-107, section 5.3.3).
//!
//! Equal values are equal still; none can be revealed. As text in base64url without padding.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::batch::{BytesBatch, Outcome, TextBatch, Texts, Values};
use super::rows::{each_bytes, each_text};
use super::treatment::Treatment;
use crate::formats::RowError;
use crate::policy::Rule;
use crate::{Error, Result, Secret};

/// Length of the key, in bytes.
pub(super) const KEY_LENGTH: usize = 32;

/// HMAC after its key, so that the key is not hashed again for each value.
#[derive(Clone, Debug)]
pub(super) struct Hasher {
    keyed: Arc<Hmac<Sha256>>,
    /// Bytes of a result.
    length: usize,
}

impl Hasher {
    pub(super) fn new(key: &Secret<Vec<u8>>, bits: u16) -> Result<Self> {
        let keyed = Hmac::new_from_slice(key.expose()).map_err(|_| Error::bug("HMAC takes keys of any length"))?;
        Ok(Self {
            keyed: Arc::new(keyed),
            length: usize::from(bits / 8),
        })
    }

    /// Hashes the tweak's length in 64 bits, the tweak and the value.
    fn digest(&self, value: &[u8], tweak: &[u8]) -> [u8; 32] {
        // A copy of the state after the key block: two compressions less for each value.
        let mut hmac = Hmac::clone(&self.keyed);
        // The length makes the pair (tweak, value) unambiguous: ("ab", "c") and ("a", "bc") differ.
        hmac.update(&(tweak.len() as u64).to_be_bytes());
        hmac.update(tweak);
        hmac.update(value);
        hmac.finalize().into_bytes().into()
    }

    fn text(&self, value: &str, tweak: &[u8], out: &mut String) {
        // Cut before it is encoded, so the text is as short as its bits.
        BASE64_URL_SAFE_NO_PAD.encode_string(&self.digest(value.as_bytes(), tweak)[..self.length], out);
    }
}

impl Treatment for Hasher {
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        each_text(rule, batch, out, |value, tweak, out| {
            self.text(value, tweak, out);
            Ok(())
        })
    }

    fn bytes(&self, rule: &Rule, batch: BytesBatch<'_>) -> Result<Values<Vec<u8>>, RowError> {
        each_bytes(rule, batch, |value, tweak| {
            // Cannot fail: every value has a hash.
            Ok(self.digest(value, tweak)[..self.length].to_vec())
        })
    }

    fn takes_bytes(&self) -> bool {
        true
    }

    fn result_length(&self) -> Option<usize> {
        // Fixed-size columns can hold it only because it is always as long.
        Some(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2 has the message that begins with what a tweak of no bytes puts first; so it is computed
    /// by hand here.
    #[test]
    fn hmac_over_tweak_and_value() {
        let key = Secret::new(b"Jefe".to_vec());
        let hasher = Hasher::new(&key, 128).unwrap();
        let mut by_hand = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        by_hand.update(b"\0\0\0\0\0\0\0\x02ABvalue");
        let by_hand: [u8; 32] = by_hand.finalize().into_bytes().into();
        assert_eq!(hasher.digest(b"value", b"AB"), by_hand);
        assert_ne!(hasher.digest(b"Bvalue", b"A"), by_hand);
        let mut text = String::new();
        hasher.text("value", b"AB", &mut text);
        assert_eq!(text, BASE64_URL_SAFE_NO_PAD.encode(&by_hand[..16]));
    }
}
