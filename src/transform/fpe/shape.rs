//! Tweaks that name the shape of a value.
//!
//! Ranks of one bit length are permuted alike under one tweak. Where values of one bit length may differ in which class
//! of characters stands where, the shape is therefore part of the tweak: else a known pair of one shape would tell
//! pairs of others, and a ciphertext that is spelt anew in another shape would decrypt.
//!
//! ```text
//! T′ = S ‖ T      S = the first 16 bytes of SHA-256(LP("cipherform shape v1") ‖ LP(format/version) ‖ LP(shape))
//! LP(x) = the length of x in 32 bits, big-endian ‖ x
//! ```
//!
//! S has a fixed length and stands first, so that (S, T) can be told from T′, whatever T is.

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::ascii::append_kept;
use crate::transform::rows::GatheredTweaks;

/// Tweaks of rows, each behind the tag of the row's shape.
pub(super) struct ShapedTweaks {
    /// Each distinct tweak once, one after the other.
    bytes: Vec<u8>,
    rows: Vec<Range<usize>>,
}

impl ShapedTweaks {
    /// Puts the tag of each row's shape, of a `format` with its version, before the row's tweak.
    pub(super) fn new<'a>(
        format: &str,
        shapes: impl Iterator<Item = &'a [u8]>,
        tweaks: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let mut tags: HashMap<&[u8], [u8; 16]> = HashMap::new();
        // By contents: equal tweaks then are one place in memory, by which the cipher tells that it can hash them
        // once.
        let mut places: HashMap<([u8; 16], &[u8]), Range<usize>> = HashMap::new();
        let mut bytes = Vec::new();
        let rows = shapes.zip(tweaks).map(|(shape, tweak)| {
            // SHA-256 once for each distinct shape, and a column has few.
            let tag = *tags.entry(shape).or_insert_with(|| tag(format, shape));
            let place = places.entry((tag, tweak)).or_insert_with(|| {
                let start = bytes.len();
                bytes.extend_from_slice(&tag);
                bytes.extend_from_slice(tweak);
                start..bytes.len()
            });
            place.clone()
        });
        Self {
            // Ranges and not slices, since `bytes` moves while it grows.
            rows: rows.collect(),
            bytes,
        }
    }

    /// The tweaks of some of the rows, which the iterator gives by number.
    pub(super) fn gather(&self, rows: impl Iterator<Item = usize>) -> GatheredTweaks<'_> {
        GatheredTweaks::collect(rows.map(|row| &self.bytes[self.rows[row].clone()]))
    }
}

/// The tag of a shape.
fn tag(format: &str, shape: &[u8]) -> [u8; 16] {
    let mut named = Vec::new();
    for part in ["cipherform shape v1".as_bytes(), format.as_bytes(), shape] {
        append_kept(&mut named, part);
    }
    let mut tag = [0; 16];
    // 128 bits: two shapes share a tag with negligible probability, and a tag is one block of AES in FF1's PRF.
    tag.copy_from_slice(&Sha256::digest(named)[..16]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_hash_of_three_prefixed_parts() {
        let mut by_hand = b"\0\0\0\x13cipherform shape v1\0\0\0\x06text/2\0\0\0\x02".to_vec();
        by_hand.extend([0, 18]);
        assert_eq!(tag("text/2", &[0, 18]), Sha256::digest(by_hand)[..16]);
    }

    #[test]
    fn rows_of_one_shape_and_tweak_share_their_bytes() {
        let shapes: [&[u8]; 4] = [b"a", b"b", b"a", b"a"];
        let tweaks: [&[u8]; 4] = [b"t", b"t", b"t", b"u"];
        let shaped = ShapedTweaks::new("text/2", shapes.into_iter(), tweaks.into_iter());
        assert_eq!(shaped.bytes.len(), 3 * 17);
        assert!(matches!(shaped.gather([0, 2].into_iter()), GatheredTweaks::Shared(_)));
        let all = shaped.gather(0..4);
        assert_eq!(all.get(0), all.get(2));
        assert!(all.get(0) != all.get(1) && all.get(0) != all.get(3));
        assert_eq!(all.get(3)[16..], *b"u");
    }
}
