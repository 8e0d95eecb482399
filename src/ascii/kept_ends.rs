//! The canonical encoding of what a value keeps, which is its tweak. It is frozen: another encoding gives other
//! ciphertexts.
//!
//! ```text
//! kept parts  = part ‖ part ‖ …        part = [bytes]^4 ‖ bytes, the length big-endian
//! kept ends   = part of the first numerals ‖ part of the last ones, each numeral in 16 bits, big-endian
//! ```

/// Bytes of a length.
const LENGTH: usize = 4;

/// Appends one part to `kept`.
pub fn append_kept(kept: &mut Vec<u8>, part: &[u8]) {
    // A value is an Arrow string, at most 2 GiB; a longer one would only make its own tweak differ.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    // With its length before it, no part can pass for the beginning of the next: different kept values have
    // different tweaks.
    kept.extend_from_slice(&length.to_be_bytes());
    kept.extend_from_slice(part);
}

/// Appends numerals, kept at one end, to `kept`.
pub fn append_kept_numerals<T: Copy + Into<u16>>(kept: &mut Vec<u8>, numerals: &[T]) {
    let length = u32::try_from(2 * numerals.len()).unwrap_or(u32::MAX);
    kept.extend_from_slice(&length.to_be_bytes());
    kept.extend(numerals.iter().flat_map(|numeral| (*numeral).into().to_be_bytes()));
}

/// Bytes of the tweak of a value that keeps `keep` numerals at its start and its end.
pub fn tweak_length(keep: [usize; 2]) -> usize {
    keep.iter().map(|count| LENGTH + 2 * count).sum()
}

/// The place in such a tweak of the `i`-th numeral, below 256, of the start (`end` 0) or the end (1).
#[cfg(any(target_arch = "x86_64", test))]
pub(crate) fn numeral_place(keep: [usize; 2], end: usize, i: usize) -> usize {
    let part = if end == 0 { 0 } else { LENGTH + 2 * keep[0] };
    part + LENGTH + 2 * i + 1
}

/// The tweak of `tweak_length` bytes, of `N` at most, with zeros for all numerals.
#[cfg(any(target_arch = "x86_64", test))]
pub(crate) fn blank_tweak<const N: usize>(keep: [usize; 2]) -> [u8; N] {
    let mut kept = Vec::with_capacity(N);
    for count in keep {
        append_kept_numerals(&mut kept, &vec![0u8; count]);
    }
    let mut blank = [0; N];
    blank[..kept.len()].copy_from_slice(&kept);
    blank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_encoded_as_ever() {
        let mut kept = Vec::new();
        append_kept_numerals(&mut kept, &[1u16, 0x203]);
        append_kept_numerals(&mut kept, &[9u8]);
        assert_eq!(kept, [0, 0, 0, 4, 0, 1, 2, 3, 0, 0, 0, 2, 0, 9]);
        assert_eq!(tweak_length([2, 1]), kept.len());
        assert_eq!(
            blank_tweak::<16>([2, 1]),
            [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]
        );
        assert_eq!([numeral_place([2, 1], 0, 1), numeral_place([2, 1], 1, 0)], [7, 13]);
    }
}
