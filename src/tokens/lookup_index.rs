//! Look-up hashes of values.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Lookup;
use crate::keys::KeyVersionId;

/// The key of look-up hashes, by which equal values are found.
pub(super) struct LookupIndex {
    pub(super) key: KeyVersionId,
    pub(super) mac: Hmac<Sha256>,
}

impl LookupIndex {
    pub(super) fn lookup(&self, value: &str) -> Lookup {
        // The key's two blocks of HMAC are hashed once, in the clone's origin, and not for every value.
        let mut mac = self.mac.clone();
        mac.update(value.as_bytes());
        let mut lookup = Lookup::default();
        // The first 128 bits of the HMAC (RFC 2104, section 5, truncated output): collisions by chance
        // stay out of reach, and the index is half as large.
        lookup.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        lookup
    }
}
