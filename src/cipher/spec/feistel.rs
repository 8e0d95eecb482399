//! The Feistel network that both modes and both directions share.

use crate::spec::types::Direction;

/// Walks all rounds over the two halves of a message, or of a group of messages.
///
/// The standard renames the halves in every round (A ← B, B ← C). Without the renaming, an even round i changes the
/// left half by a function of the right one, and an odd round the right half by a function of the left one. The
/// number of rounds is even in every mode, so the halves end where they began. Decryption runs the rounds from the
/// last round to the first, subtracting where encryption adds; `round(i, changed, fixed)` does the one or the other.
#[inline(always)]
pub(crate) fn rounds<H: ?Sized>(
    direction: Direction,
    count: u8,
    left: &mut H,
    right: &mut H,
    mut round: impl FnMut(u8, &mut H, &H),
) {
    // The rounds of every kernel but the reference, which follows the standard's text, and the vector kernels,
    // which interleave two groups. The branches depend on the round alone.
    for step in 0..count {
        let i = match direction {
            Direction::Encrypt => step,
            Direction::Decrypt => count - 1 - step,
        };
        if i % 2 == 0 {
            round(i, left, right);
        } else {
            round(i, right, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decryption_is_encryption_backwards() {
        let seen = |direction| {
            let (mut left, mut right, mut seen) = (0, 1, Vec::new());
            rounds(direction, 4, &mut left, &mut right, |i, changed, fixed| {
                seen.push((i, *changed, *fixed));
            });
            seen
        };
        let mut forth = seen(Direction::Encrypt);
        assert_eq!(forth, [(0, 0, 1), (1, 1, 0), (2, 0, 1), (3, 1, 0)]);
        forth.reverse();
        assert_eq!(forth, seen(Direction::Decrypt));
    }
}
