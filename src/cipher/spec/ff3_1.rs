//! FF3-1 for one shape, and its older form FF3 with a 64-bit tweak.
//!
//! Both are legacy: FF3 was broken in 2017 and FF3-1 withdrawn from the standard's drafts. They read old data.
//!
//! The standard turns bytes and numerals around (REVB, REV) before and after AES. Read from the other end, nothing
//! needs turning: a half is a number with its least significant numeral first, a block is NUM(B) as 12 bytes with
//! the least significant first, then W ⊕ i likewise, and y is AES of it, least significant byte first.

/// Rounds of the Feistel network.
pub(crate) const ROUNDS: u8 = 8;

/// The bit of W ⊕ i in a block that is read least significant byte first.
pub(crate) const ROUND_SHIFT: u32 = 96;

/// Numerals of the left half: u = ⌈n/2⌉.
pub(crate) fn left_length(n: usize) -> usize {
    n.div_ceil(2)
}

/// The prefixes for a tweak of 7 or 8 bytes, to which a round adds NUM(B): (even rounds, odd rounds), that is (T_R,
/// T_L).
pub(crate) fn words(tweak: &[u8]) -> (u128, u128) {
    let (left, right) = match *tweak {
        // FF3-1: T_L = T[0..27] ‖ 0^4 and T_R = T[32..55] ‖ T[28..31] ‖ 0^4.
        [t0, t1, t2, t3, t4, t5, t6] => ([t0, t1, t2, t3 & 0xf0], [t4, t5, t6, t3 << 4]),
        // FF3: T_L = T[0..31] and T_R = T[32..63].
        [t0, t1, t2, t3, t4, t5, t6, t7] => ([t0, t1, t2, t3], [t4, t5, t6, t7]),
        _ => unreachable!("tweak lengths were checked"),
    };
    // P = W ⊕ [i]^4 ‖ [NUM(REV(B))]^12 (step 4.ii): read from its other end, W is what comes after 96 bits of
    // NUM(B), and i is added to its last byte, which is the lowest of the word.
    let word = |bytes| u128::from(u32::from_be_bytes(bytes)) << ROUND_SHIFT;
    (word(right), word(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_tweak_splits_its_middle_byte() {
        let (even, odd) = words(&[0x11, 0x22, 0x33, 0x45, 0x66, 0x77, 0x88]);
        assert_eq!(odd >> 96, 0x1122_3340);
        assert_eq!(even >> 96, 0x6677_8850);
        assert_eq!(words(&[0x11, 0x22, 0x33, 0x40, 0x66, 0x77, 0x88, 0x50]), (even, odd));
    }
}
