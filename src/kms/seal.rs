//! AES-256-GCM as the local KMS and the memory KMS use it: a random nonce, the ciphertext, the tag.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};

use crate::keys::random;
use crate::{Error, ErrorKind, Result, Secret};

const NONCE: usize = 12;

/// Seals `plaintext` under the 32-byte `key`, bound to `associated`: nonce ‖ ciphertext ‖ tag.
pub(super) fn seal(key: &[u8], associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    // Random 96-bit nonces are safe for 2^32 messages under one key (SP 800-38D, section 8.3). A KMS key
    // wraps data keys, which are far fewer.
    let nonce: [u8; NONCE] = random::array()?;
    let payload = Payload {
        msg: plaintext,
        aad: associated,
    };
    let sealed = cipher(key)?.encrypt(&Nonce::from(nonce), payload);
    let sealed = sealed.map_err(|_| Error::bug("AES-GCM refuses a short plaintext"))?;
    Ok([&nonce[..], &sealed].concat())
}

/// Opens what was sealed under `key` for `associated`; else [`ErrorKind::WrongKey`].
pub(super) fn open(key: &[u8], associated: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>> {
    // Too short to hold a nonce is a matter of form. What lacks the tag, or has a wrong one, fails in the
    // AEAD.
    let Some((nonce, sealed)) = sealed.split_first_chunk::<NONCE>() else {
        return Err(Error::bad_input("the wrapped bytes are too short"));
    };
    let payload = Payload {
        msg: sealed,
        aad: associated,
    };
    let opened = cipher(key)?.decrypt(&Nonce::from(*nonce), payload);
    opened
        .map(Secret::new)
        // Another key, another context and changed bytes look alike to GCM, so there is one error for
        // all.
        .map_err(|_| Error::new(ErrorKind::WrongKey, "the wrapped bytes do not unwrap here"))
}

fn cipher(key: &[u8]) -> Result<Aes256Gcm> {
    Aes256Gcm::new_from_slice(key).map_err(|_| Error::bug("an AES-256 key that is not 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 16 of the GCM specification (McGrew and Viega): AES-256, associated data, a 96-bit nonce.
    #[test]
    fn published_answer() {
        let hex = |text| hex::decode(text).unwrap();
        let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let sealed = hex(concat!(
            "cafebabefacedbaddecaf888",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1\
             056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ));
        let associated = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plaintext = hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2\
             449a6b525b16aedf5aa0de657ba637b39",
        );
        assert_eq!(*open(&key, &associated, &sealed).unwrap().expose(), plaintext);
        // Right key and bytes, but not the context: a wrapped key that was moved to another place.
        assert_eq!(open(&key, b"", &sealed).unwrap_err().kind(), ErrorKind::WrongKey);
        assert_eq!(open(&key, b"", b"short").unwrap_err().kind(), ErrorKind::BadInput);
    }

    #[test]
    fn nonces_are_fresh() {
        let one = seal(&[1; 32], b"", b"text").unwrap();
        // A nonce that repeats under one key gives away the XOR of two plaintexts, and the authentication
        // key of GCM.
        assert_ne!(one, seal(&[1; 32], b"", b"text").unwrap());
        assert_eq!(open(&[1; 32], b"", &one).unwrap().expose(), b"text");
    }
}
