//! Look-up hashes of values, and the tags of the rows that they lead to.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{KnownToken, Lookup, RowTag};
use crate::keys::KeyVersionId;
use crate::keys::encoding::length_prefixed;

/// The keys of a domain by which equal values are found, and rows are checked.
pub(super) struct LookupIndex {
    /// The key version that both are derived from.
    pub(super) key: KeyVersionId,
    /// The domain's name in the store.
    pub(super) domain: String,
    pub(super) lookups: Hmac<Sha256>,
    /// Not the key of look-up hashes: those are MACs of values, and whoever may tokenize any text would get a tag of
    /// their choice for one.
    pub(super) tags: Hmac<Sha256>,
}

impl LookupIndex {
    /// Returns the look-up hash of a value.
    pub(super) fn lookup(&self, value: &str) -> Lookup {
        // The key's two blocks of HMAC are hashed once, in the clone's origin, and not for every value.
        let mut mac = self.lookups.clone();
        mac.update(value.as_bytes());
        let mut lookup = Lookup::default();
        // The first 128 bits of the HMAC (RFC 2104, section 5, truncated output): collisions by chance
        // stay out of reach, and the index is half as large.
        lookup.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        lookup
    }

    /// Returns the tag of a row.
    pub(super) fn tag(&self, lookup: &Lookup, token: &str, expires: Option<u64>) -> RowTag {
        let mut tag = RowTag::default();
        let mac = self.tag_mac(lookup, token, expires).finalize();
        tag.copy_from_slice(&mac.into_bytes()[..16]);
        tag
    }

    /// Checks whether `tag` is that of the row which `lookup` led to, in constant time.
    pub(super) fn is_tag(&self, tag: &RowTag, lookup: &Lookup, known: &KnownToken) -> bool {
        let mac = self.tag_mac(lookup, &known.token, known.expires);
        mac.verify_truncated_left(tag).is_ok()
    }

    fn tag_mac(&self, lookup: &Lookup, token: &str, expires: Option<u64>) -> Hmac<Sha256> {
        let expires = expires.map(u64::to_be_bytes);
        let mut mac = self.tags.clone();
        mac.update(&length_prefixed(&[
            self.domain.as_bytes(),
            lookup,
            token.as_bytes(),
            // No end of life is an empty part, and so differs from an end at 0, which has 8 bytes.
            expires.as_ref().map_or(&[], |bytes| &bytes[..]),
        ]));
        mac
    }
}
