//! The canonical encoding of the parts of a value that are kept in the clear, which is a tweak: frozen.

/// Appends one part to the canonical encoding of what is kept.
pub(super) fn append_kept(kept: &mut Vec<u8>, part: &[u8]) {
    // A value is an Arrow string, at most 2 GiB; a longer one would only make its own tweak differ.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    kept.extend_from_slice(&length.to_be_bytes());
    kept.extend_from_slice(part);
}
