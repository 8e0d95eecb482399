//! Formats whose symbols have choices of their own: a letter here, a digit there.

use std::fmt;
use std::sync::Arc;

use num_bigint::BigUint;
use num_traits::{One, ToPrimitive, Zero};

use super::band::{Band, no_band};
use super::error::FormatError;
use super::side::Side;
use crate::Result;
use crate::ascii::append_kept;

/// The widest number of a mixed format, in bits: 870 letters. Work goes by the square of it.
pub(crate) const MAX_RANK_BITS: u64 = 4_096;

/// The result of [`SegmentedFormat::split`]. Reused from value to value: `split` appends.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    /// The digit of each place, most significant first.
    pub digits: Vec<u64>,
    /// The number of choices of each place: 1 to 2^32, and more than its digit.
    pub choices: Vec<u64>,
    /// The parts kept clear, encoded as in [`super::Parts::kept`].
    pub kept: Vec<u8>,
    /// The shape of the value: which class stands in each place, where values of one bit length may differ in that.
    /// Empty for formats whose values have one shape for each bit length. It is bound to the tweak: without that, all
    /// shapes of one bit length would share a permutation, and a ciphertext spelt in another shape would decrypt.
    pub shape: Vec<u8>,
}

impl Segments {
    /// Appends one place.
    pub(super) fn push(&mut self, digit: u64, choices: u64) {
        debug_assert!(digit < choices && choices <= 1 << 32);
        self.digits.push(digit);
        self.choices.push(choices);
    }

    /// As [`push`](Self::push), in a value that may be of any length. `bits` is what its places have so far, rounded
    /// down, so that one that is too wide is refused while its places still take less memory than it does.
    pub(super) fn push_of_many(&mut self, digit: u64, choices: u64, bits: &mut u64) -> Result<(), FormatError> {
        // Rounded down, so a value that is really too wide may pass here; the exact test follows before it is
        // encrypted.
        *bits += u64::from(choices.ilog2());
        if *bits > MAX_RANK_BITS {
            return Err(FormatError::TooWide { most: MAX_RANK_BITS });
        }
        self.push(digit, choices);
        Ok(())
    }

    /// Appends one kept part.
    pub(super) fn keep(&mut self, part: &[u8]) {
        // With the length before it, so that two parts never read as two others.
        append_kept(&mut self.kept, part);
    }
}

/// A format whose values are places, each with choices of its own (a number in mixed radix).
///
/// The places that a value has, and the class of characters of each, are its shape; every value of that shape is
/// well-formed. So a value is a number 0…N−1, N the product of the choices, and is encrypted as those of a
/// [`super::RankedFormat`] are.
pub trait SegmentedFormat: fmt::Debug + Send + Sync {
    /// Name, version and every parameter that defines the map, in one canonical line: `uuid/1 case=lower version=keep`.
    fn definition(&self) -> String;

    /// N of a usual value, when the format knows: a rule whose usual value falls under the domain floor is refused
    /// before any data is read.
    fn usual_size(&self) -> Option<u128> {
        None
    }

    /// As [`super::StringFormat::is_symmetric`].
    fn is_symmetric(&self) -> bool {
        true
    }

    /// As [`super::StringFormat::is_symbol`].
    fn is_symbol(&self, symbol: char) -> bool {
        symbol.is_alphanumeric()
    }

    /// Do values of some layout all begin with `character`?
    fn begins_with(&self, _character: char) -> bool {
        false
    }

    /// Appends the places and kept parts of `value`, which stands on `side`.
    ///
    /// # Errors
    /// When the value is not well-formed; `places` may then hold a part of it.
    fn split(&self, value: &str, side: Side, places: &mut Segments) -> Result<(), FormatError>;

    /// Appends to `out` the text that has the layout of `value` and `digits` in place of its own, to stand on `side`.
    ///
    /// `value` has passed [`split`](Self::split), and `digits` are as many as it found, each below the choices of its
    /// place.
    fn join(&self, value: &str, digits: &[u64], side: Side, out: &mut String);

    /// The band of a short value, where [`super::Format::banded`] gave the format bands.
    fn band(&self, value: &str, side: Side) -> Option<Band<'_>> {
        let _ = (value, side);
        None
    }

    /// Adds a band for short values to the format.
    ///
    /// # Errors
    /// A format that has none.
    fn banded(&self) -> Result<Arc<dyn SegmentedFormat>> {
        Err(no_band())
    }
}

/// A value's number and the greatest that values of its shape have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rank {
    /// Of at most 128 bits.
    Narrow {
        /// 0…last.
        rank: u128,
        /// N − 1.
        last: u128,
    },
    /// Of more.
    Wide {
        /// 0…last.
        rank: BigUint,
        /// N − 1.
        last: BigUint,
    },
}

impl Rank {
    /// The number that `digits` spell where each has as many `choices`.
    pub fn new(digits: &[u64], choices: &[u64]) -> Self {
        // `last` is carried and not N, since N = 2^128 would not fit where N − 1 does.
        let (mut rank, mut last) = (0u128, 0u128);
        for (group, size) in groups(choices) {
            // A group fits 64 bits by construction, so these steps cannot overflow.
            let digit = digits[group.clone()]
                .iter()
                .zip(&choices[group.clone()])
                .fold(0, |number, (digit, choices)| number * choices + digit);
            let size = u128::from(size);
            // last·size + size − 1 = N·size − 1: the greatest number after one more group.
            match last.checked_mul(size).and_then(|last| last.checked_add(size - 1)) {
                Some(more) => {
                    last = more;
                    rank = rank * size + u128::from(digit); // at most `last`
                }
                // Started anew in big integers: values beyond 128 bits are rare, and a mixed form would slow down
                // all others.
                None => return Self::wide(digits, choices),
            }
        }
        Self::Narrow { rank, last }
    }

    fn wide(digits: &[u64], choices: &[u64]) -> Self {
        let (mut rank, mut size) = (BigUint::zero(), BigUint::one());
        for (group, choices_of_group) in groups(choices) {
            let digit = digits[group.clone()]
                .iter()
                .zip(&choices[group])
                .fold(0, |number, (digit, choices)| number * choices + digit);
            rank = rank * choices_of_group + digit;
            size *= choices_of_group;
        }
        Self::Wide { rank, last: size - 1u8 }
    }

    /// The length of N − 1 in bits: what FF1 runs over. At least 1.
    pub fn bits(&self) -> u64 {
        match self {
            // One place with one choice has N − 1 = 0, which has no bits.
            Self::Narrow { last, .. } => u64::from(128 - last.leading_zeros()).max(1),
            Self::Wide { last, .. } => last.bits(),
        }
    }

    /// Appends the digits that spell this number in places of so many `choices`.
    pub fn spell(&self, choices: &[u64], digits: &mut Vec<u64>) {
        let start = digits.len();
        digits.resize(start + choices.len(), 0);
        let digits = &mut digits[start..];
        let groups: Vec<_> = groups(choices).collect();
        let mut spell_group = |group: std::ops::Range<usize>, mut number: u64| {
            for place in group.rev() {
                digits[place] = number % choices[place];
                number /= choices[place];
            }
        };
        match self {
            // From the least significant group on, as division gives digits in that order.
            Self::Narrow { rank, .. } => {
                let mut rank = *rank;
                for (group, size) in groups.into_iter().rev() {
                    // Division of 128 bits is a library call; as soon as the rest fits a word, the processor's own
                    // serves.
                    let number = match u64::try_from(rank) {
                        Ok(narrow) => {
                            rank = u128::from(narrow / size);
                            narrow % size
                        }
                        Err(_) => {
                            let number = (rank % u128::from(size)) as u64; // below `size`
                            rank /= u128::from(size);
                            number
                        }
                    };
                    spell_group(group, number);
                }
            }
            Self::Wide { rank, .. } => {
                let mut rank = rank.clone();
                for (group, size) in groups.into_iter().rev() {
                    spell_group(group, (&rank % size).to_u64().unwrap_or_default()); // below `size`
                    rank /= size;
                }
            }
        }
    }
}

/// Neighbouring places whose choices make at most 2^64 − 1 together, and how many those are: so that most of the work
/// is in machine words.
fn groups(choices: &[u64]) -> impl Iterator<Item = (std::ops::Range<usize>, u64)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        // One place has at most 2^32 choices, so a group always takes at least one and the iterator moves on.
        let mut size = *choices.get(start)?;
        let mut end = start + 1;
        // 64 bits at most, so `spell` divides by a machine word.
        while let Some(more) = choices.get(end).and_then(|choices| size.checked_mul(*choices)) {
            size = more;
            end += 1;
        }
        let group = start..end;
        start = end;
        Some((group, size))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ordinals_are_numbers_in_mixed_radix(
            places in prop::collection::vec((1u64..=1 << 32, any::<u64>()), 0..24)
        ) {
            let choices: Vec<u64> = places.iter().map(|(choices, _)| *choices).collect();
            let digits: Vec<u64> = places.iter().map(|(choices, digit)| digit % choices).collect();
            let by_hand = digits
                .iter()
                .zip(&choices)
                .fold(BigUint::zero(), |number, (digit, choices)| number * *choices + *digit);
            let last = choices.iter().fold(BigUint::one(), |size, choices| size * *choices) - 1u8;
            let ordinal = Rank::new(&digits, &choices);
            prop_assert_eq!(ordinal.bits(), last.bits().max(1));
            match &ordinal {
                Rank::Narrow { rank, last: ours } => {
                    prop_assert_eq!((BigUint::from(*rank), BigUint::from(*ours)), (by_hand, last));
                }
                Rank::Wide { rank, last: ours } => {
                    prop_assert!(last.bits() > 128);
                    prop_assert_eq!((rank, ours), (&by_hand, &last));
                }
            }
            let mut spelt = Vec::new();
            ordinal.spell(&choices, &mut spelt);
            prop_assert_eq!(spelt, digits);
        }
    }

    #[test]
    fn two_to_the_128_is_narrow_still() {
        let choices = [1 << 32; 4];
        let all = [(1 << 32) - 1; 4];
        assert_eq!(
            Rank::new(&all, &choices),
            Rank::Narrow {
                rank: u128::MAX,
                last: u128::MAX
            }
        );
        assert_eq!(Rank::new(&[], &[]).bits(), 1);
    }
}
