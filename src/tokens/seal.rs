//! Values, sealed for the row they stand in.
//!
//! ```text
//! 1 ‖ key version id (16) ‖ salt of the batch (16) ‖ counter (4) ‖ ciphertext ‖ tag (16)
//! ```

use std::collections::HashMap;

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};

use super::Lookup;
use crate::keys::encoding::length_prefixed;
use crate::keys::{KeyHandle, KeyVersionId, Purpose, StoreId, random};
use crate::{Error, ErrorKind, Result};

const VERSION: u8 = 1;
const SALT: usize = 16;
const HEAD: usize = 1 + 16 + SALT + 4;
const TAG: usize = 16;

/// The place that a value is sealed for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) store: StoreId,
    pub(super) domain: &'a str,
    pub(super) token: &'a str,
    pub(super) lookup: &'a Lookup,
    pub(super) expires: Option<u64>,
}

impl Row<'_> {
    fn associated_data(&self, key: KeyVersionId) -> Vec<u8> {
        let expires = self.expires.map(u64::to_be_bytes);
        length_prefixed(&[
            b"cipherform sealed token v1",
            // Everything that a row says of itself: whoever can write to the database can exchange two
            // sealed values, give a token of their own the value of another, or move an end of life, and
            // is found out when it is opened.
            self.store.as_bytes(),
            self.domain.as_bytes(),
            self.token.as_bytes(),
            self.lookup,
            key.as_bytes(),
            // No end of life is an empty part, and so differs from an end at 0, which has 8 bytes.
            expires.as_ref().map_or(&[], |bytes| &bytes[..]),
        ])
    }
}

/// Seals the values of one batch, under a key that no other batch has.
pub(super) struct Sealer {
    key: KeyVersionId,
    salt: [u8; SALT],
    cipher: Aes256Gcm,
    counter: u32,
}

impl Sealer {
    pub(super) fn new(key: &KeyHandle, domain: &str) -> Result<Self> {
        // A random salt of 128 bits gives each batch a key of its own. Machines share the data key and
        // cannot share a counter; random nonces of 96 bits under one key would be bounded at 2^32 values
        // (SP 800-38D, section 8.3).
        let salt = random::array()?;
        Ok(Self {
            key: key.version_id(),
            salt,
            cipher: cipher(key, domain, &salt)?,
            counter: 0,
        })
    }

    pub(super) fn seal(&mut self, row: Row<'_>, value: &str) -> Result<Vec<u8>> {
        let counter = self.counter.to_be_bytes();
        let next = self.counter.checked_add(1);
        // A counter that wrapped round would repeat a nonce, which breaks GCM.
        self.counter = next.ok_or_else(|| Error::bug("a batch of 2^32 values"))?;
        let payload = Payload {
            msg: value.as_bytes(),
            aad: &row.associated_data(self.key),
        };
        let sealed = self.cipher.encrypt(&nonce(counter), payload);
        let sealed = sealed.map_err(|_| Error::bad_input("a value is too long to be sealed"))?;
        let mut bytes = Vec::with_capacity(HEAD + sealed.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(self.key.as_bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&counter);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }
}

/// Opens sealed values; keeps the keys of the batches it has met.
pub(super) struct Opener<'a> {
    keys: &'a HashMap<KeyVersionId, KeyHandle>,
    domain: &'a str,
    batches: HashMap<[u8; 16 + SALT], Aes256Gcm>,
}

impl<'a> Opener<'a> {
    pub(super) fn new(keys: &'a HashMap<KeyVersionId, KeyHandle>, domain: &'a str) -> Self {
        Self {
            keys,
            domain,
            batches: HashMap::new(),
        }
    }

    pub(super) fn open(&mut self, row: Row<'_>, sealed: &[u8]) -> Result<String> {
        let (batch, counter, ciphertext) = parse(sealed)?;
        let key = key_of(batch);
        // Derived once a batch, not once a row: rows that were minted together are often revealed
        // together.
        let cipher = match self.batches.entry(*batch) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                // The row names its key version, which is not authenticated yet; a changed id names no
                // key, or one under which the tag does not fit.
                let handle = self.keys.get(&key).ok_or_else(|| {
                    Error::new(
                        ErrorKind::KeyNotFound,
                        format!("a token was sealed with key version {key}, which cannot be used here"),
                    )
                    .with_hint("use the keyring that minted it; after a rotation, open the policy again")
                })?;
                new.insert(cipher(handle, self.domain, &batch[16..])?)
            }
        };
        let payload = Payload {
            msg: ciphertext,
            aad: &row.associated_data(key),
        };
        let value = cipher.decrypt(&nonce(counter), payload).map_err(|_| broken())?;
        String::from_utf8(value).map_err(|_| broken())
    }
}

/// The key version that `sealed` was sealed with.
pub(super) fn key_version(sealed: &[u8]) -> Result<KeyVersionId> {
    parse(sealed).map(|(batch, ..)| key_of(batch))
}

type Parsed<'a> = (&'a [u8; 16 + SALT], [u8; 4], &'a [u8]);

fn parse(sealed: &[u8]) -> Result<Parsed<'_>> {
    let split = || {
        let (version, rest) = sealed.split_first()?;
        let (batch, rest) = rest.split_first_chunk::<{ 16 + SALT }>()?;
        let (counter, ciphertext) = rest.split_first_chunk::<4>()?;
        (*version == VERSION && ciphertext.len() >= TAG).then_some((batch, *counter, ciphertext))
    };
    split().ok_or_else(broken)
}

fn key_of(batch: &[u8; 16 + SALT]) -> KeyVersionId {
    let mut id = [0; 16];
    id.copy_from_slice(&batch[..16]);
    KeyVersionId::from_bytes(id)
}

fn cipher(key: &KeyHandle, domain: &str, salt: &[u8]) -> Result<Aes256Gcm> {
    // The domain is in the derivation as well: a tokenizer of another domain derives another key.
    let key = key.subkey(Purpose::TokenSeal, domain, salt, 32)?;
    Aes256Gcm::new_from_slice(key.expose()).map_err(|_| Error::bug("an AES-256 key that is not 32 bytes"))
}

/// A key serves one batch, so its counter is nonce enough.
fn nonce(counter: [u8; 4]) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&counter);
    nonce.into()
}

fn broken() -> Error {
    changed("a sealed value in the token store does not authenticate")
}

/// The error for a row whose look-up hash, token and end of life do not belong together.
pub(super) fn broken_row() -> Error {
    changed("a row of the token store does not authenticate: its look-up hash, token or end of life was changed")
}

fn changed(message: &str) -> Error {
    Error::new(ErrorKind::WrongKey, message)
        .with_hint("the store was changed by somebody else, or belongs to another keyring or policy")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tests::handle;

    #[tokio::test]
    async fn a_row_opens_in_its_own_place_only() {
        let key = handle().await;
        let keys = HashMap::from([(key.version_id(), key.clone())]);
        let row = Row {
            store: StoreId::from_bytes([1; 16]),
            domain: "card",
            token: "tok_1",
            lookup: &[2; 16],
            expires: Some(7),
        };
        let mut sealer = Sealer::new(&key, "card").unwrap();
        let sealed = sealer.seal(row, "4111").unwrap();
        // Equal values of one batch must not show as equal.
        let twice = sealer.seal(row, "4111").unwrap();
        assert_ne!(sealed, twice);
        assert_eq!(key_version(&sealed).unwrap(), key.version_id());
        let mut opener = Opener::new(&keys, "card");
        assert_eq!(opener.open(row, &sealed).unwrap(), "4111");
        // Each part of the place by itself: what whoever writes to the database could change.
        for other in [
            Row {
                store: StoreId::from_bytes([3; 16]),
                ..row
            },
            Row { domain: "ssn", ..row },
            Row { token: "tok_2", ..row },
            Row {
                lookup: &[3; 16],
                ..row
            },
            Row { expires: None, ..row },
        ] {
            assert_eq!(opener.open(other, &sealed).unwrap_err().kind(), ErrorKind::WrongKey);
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(opener.open(row, &changed).is_err(), "byte {at}");
        }
        assert!(opener.open(row, &sealed[..HEAD + TAG - 1]).is_err());
        assert!(Opener::new(&keys, "ssn").open(row, &sealed).is_err());
    }
}
