//! Sets of characters that may stand in one place, and values that are one of several sequences of such places.

use std::fmt;
use std::sync::Arc;

use super::error::FormatError;
use super::ranked::RankedFormat;
use super::segmented::Rank;

/// The floor that a band has to pass (SP 800-38G Rev 1 drafts, section 5.1).
pub(super) const FLOOR: u128 = 1_000_000;

/// Characters, in ranges; the order of the ranges is that of the numerals.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct CharClass {
    /// First character of each range, how many there are, how far apart they stand, and how many came before.
    ranges: Vec<ClassRange>,
    size: u64,
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct ClassRange {
    first: u32,
    count: u32,
    step: u32,
    before: u64,
}

impl CharClass {
    /// The characters of `ranges`, each from its first to its last by a step. No character may stand in two of them.
    pub(super) fn new(ranges: &[(char, char, u32)]) -> Self {
        let mut size = 0;
        let ranges = ranges
            .iter()
            .map(|(first, last, step)| {
                let first = u32::from(*first);
                // Both ends are in the set. With a step of 2, a range takes every second code point: upper or
                // lower case where they alternate.
                let count = (u32::from(*last) - first) / step + 1;
                let before = size;
                size += u64::from(count);
                ClassRange {
                    first,
                    count,
                    step: *step,
                    before,
                }
            })
            .collect();
        Self { ranges, size }
    }

    /// The number of characters.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The place of `symbol` in it.
    pub(super) fn index(&self, symbol: char) -> Option<u64> {
        let symbol = u32::from(symbol);
        self.ranges.iter().find_map(|range| {
            // `checked_sub` leaves this range only: a later one may begin at a smaller code point.
            let distance = symbol.checked_sub(range.first)?;
            let inside = distance % range.step == 0 && distance / range.step < range.count;
            inside.then(|| range.before + u64::from(distance / range.step))
        })
    }

    /// The character at `index`, which is below the size.
    pub(super) fn symbol(&self, index: u64) -> char {
        // Ranges are in ascending order of `before`, so the last one that begins at or below the index holds it.
        let range = self
            .ranges
            .iter()
            .rev()
            .find(|range| range.before <= index)
            .unwrap_or(&self.ranges[0]);
        let code = range.first + (index - range.before) as u32 * range.step; // below `count`
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER) // the ranges are of characters
    }

    /// Have they no character in common?
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        // By members rather than by ends: with steps, two ranges may overlap without sharing a character.
        (0..self.size).all(|index| other.index(self.symbol(index)).is_none())
    }

    /// The characters of this one and then those of `other`, which has no character in common with it.
    pub(super) fn with(&self, other: &Self) -> Self {
        let mut ranges = self.ranges.clone();
        // The indices of this class stay; those of the other follow behind them.
        ranges.extend(other.ranges.iter().map(|range| ClassRange {
            before: range.before + self.size,
            ..*range
        }));
        Self {
            ranges,
            size: self.size + other.size,
        }
    }
}

impl fmt::Debug for CharClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Class({} characters)", self.size)
    }
}

/// One position of a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Position {
    Literal(char),
    Class(Arc<CharClass>),
}

impl Position {
    pub(super) fn takes(&self, symbol: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == symbol,
            Self::Class(class) => class.index(symbol).is_some(),
        }
    }

    pub(super) fn choices(&self) -> u64 {
        match self {
            Self::Literal(_) => 1,
            Self::Class(class) => class.size(),
        }
    }

    /// Is there no symbol that both take?
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            // Two literals come here as well: a literal takes just itself.
            (Self::Literal(literal), place) | (place, Self::Literal(literal)) => !place.takes(*literal),
            (Self::Class(one), Self::Class(other)) => one.is_disjoint(other),
        }
    }
}

/// Does `value` have just these places?
pub(super) fn fits(pattern: &[Position], value: &str) -> bool {
    let mut symbols = value.chars();
    // Also false for a value that is shorter: `next` gives nothing for a place that is left.
    pattern
        .iter()
        .all(|place| symbols.next().is_some_and(|symbol| place.takes(symbol)))
        && symbols.next().is_none()
}

/// The number of values of a pattern; `None` beyond 2^128 − 1.
pub(super) fn size(pattern: &[Position]) -> Option<u128> {
    pattern
        .iter()
        .try_fold(1u128, |size, place| size.checked_mul(u128::from(place.choices())))
}

/// The values of several patterns, numbered together: what short values are encrypted among, so that a result may be
/// of another pattern.
#[derive(Debug)]
pub(super) struct PatternUnion {
    /// Each with the number of its first value. No value has two.
    patterns: Vec<(u128, Vec<Position>)>,
    size: u128,
}

impl PatternUnion {
    /// `None` if there are 2^128 values or more.
    pub(super) fn new(patterns: impl IntoIterator<Item = Vec<Position>>) -> Option<Self> {
        let mut before = 0u128;
        let mut numbered = Vec::new();
        // Numbers are given without gaps, so the union is 0 to size − 1 and a walk needs no other test.
        for pattern in patterns {
            let first = before;
            // Checked, since a pattern may have 256 places.
            before = before.checked_add(size(&pattern)?)?;
            numbered.push((first, pattern));
        }
        Some(Self {
            patterns: numbered,
            size: before,
        })
    }

    pub(super) fn takes(&self, value: &str) -> bool {
        self.patterns.iter().any(|(_, pattern)| fits(pattern, value))
    }
}

impl RankedFormat for PatternUnion {
    fn definition(&self) -> String {
        format!("band of {}", self.size)
    }

    fn size(&self) -> u128 {
        self.size
    }

    fn rank(&self, value: &str) -> Result<u128, FormatError> {
        // The patterns are disjoint, so the first that fits is the only one.
        let pattern = self.patterns.iter().find(|(_, pattern)| fits(pattern, value));
        let (first, pattern) = pattern.ok_or(FormatError::Malformed("not of any of the patterns"))?;
        let rank = pattern
            .iter()
            .zip(value.chars())
            .fold(0u128, |rank, (place, symbol)| match place {
                // A literal is no choice; it adds nothing to the number.
                Position::Literal(_) => rank,
                Position::Class(class) => {
                    // Below the size of the pattern at each step, so it cannot overflow.
                    rank * u128::from(class.size()) + u128::from(class.index(symbol).unwrap_or_default())
                }
            });
        Ok(first + rank)
    }

    fn unrank(&self, rank: u128, _: &str, out: &mut String) {
        let Some((first, pattern)) = self.patterns.iter().rev().find(|(first, _)| *first <= rank) else {
            return; // the first pattern begins at 0
        };
        let choices: Vec<u64> = pattern.iter().map(Position::choices).collect();
        // A literal has one choice, so its digit is 0: digits and places stay in step.
        let mut digits = Vec::with_capacity(choices.len());
        let ordinal = Rank::Narrow {
            rank: rank - first,
            last: self.size,
        };
        ordinal.spell(&choices, &mut digits);
        out.extend(pattern.iter().zip(digits).map(|(place, digit)| match place {
            Position::Literal(literal) => *literal,
            Position::Class(class) => class.symbol(digit),
        }));
    }
}

/// Of patterns in order of their sizes, as many of the smallest as have the floor's number of values together: none
/// if the smallest has.
pub(super) fn short(mut patterns: Vec<Vec<Position>>) -> Option<PatternUnion> {
    // A stable sort: equal sizes keep the policy's order, which is part of the definition.
    patterns.sort_by_key(|pattern| size(pattern).unwrap_or(u128::MAX)); // stable
    let (mut together, mut taken) = (0u128, 0);
    while together < FLOOR {
        // None also if all patterns together stay under the floor: a band below it would protect nobody.
        together = together.saturating_add(size(patterns.get(taken)?)?);
        taken += 1;
    }
    patterns.truncate(taken);
    match taken {
        // The smallest pattern alone passes the floor, so no value is short and a band would only change results.
        1 => None,
        _ => PatternUnion::new(patterns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(ranges: &[(char, char, u32)]) -> Position {
        Position::Class(Arc::new(CharClass::new(ranges)))
    }

    #[test]
    fn characters_and_indices_are_inverse() {
        let class = CharClass::new(&[('a', 'f', 1), ('Ā', 'Ķ', 2), ('0', '9', 1)]);
        assert_eq!(class.size(), 6 + 28 + 10);
        for index in 0..class.size() {
            assert_eq!(class.index(class.symbol(index)), Some(index));
        }
        assert_eq!((class.symbol(6), class.symbol(7), class.symbol(34)), ('Ā', 'Ă', '0'));
        for stranger in ['g', 'ā', '`', '/', ':', '\u{0}', '\u{10ffff}'] {
            assert_eq!(class.index(stranger), None);
        }
        let more = class.with(&CharClass::new(&[('x', 'z', 1)]));
        assert_eq!((more.size(), more.index('y')), (47, Some(45)));
        assert!(!class.is_disjoint(&more) && class.is_disjoint(&CharClass::new(&[('x', 'z', 1)])));
    }

    #[test]
    fn a_union_numbers_its_values_without_gaps() {
        let (letter, digit) = (class(&[('a', 'e', 1)]), class(&[('0', '2', 1)]));
        let union = PatternUnion::new([
            vec![digit.clone()],
            vec![letter.clone(), Position::Literal('-'), digit.clone()],
            vec![letter.clone(), letter, digit],
        ])
        .expect("a small one");
        assert_eq!(union.size(), 3 + 15 + 75);
        let mut seen = std::collections::HashSet::new();
        for rank in 0..union.size() {
            let mut text = String::new();
            union.unrank(rank, "", &mut text);
            assert_eq!(union.rank(&text), Ok(rank));
            assert!(union.takes(&text) && seen.insert(text));
        }
        for stranger in ["", "3", "a-", "a-1x", "aa", "aaa1"] {
            assert!(union.rank(stranger).is_err() && !union.takes(stranger), "{stranger}");
        }
    }

    #[test]
    fn a_band_takes_no_more_than_it_needs() {
        let digits = |count| vec![class(&[('0', '9', 1)]); count];
        let band = short((1..=9).map(digits).collect()).expect("short ones");
        assert_eq!(band.size(), 1_111_110);
        assert!(band.takes("123456") && !band.takes("1234567"));
        assert!(short(vec![digits(6), digits(7)]).is_none());
        assert!(short(vec![digits(3), digits(4)]).is_none(), "never enough");
    }
}
