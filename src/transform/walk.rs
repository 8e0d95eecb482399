//! Cycle walking: FF1 over the next power of two, again for those that land outside, until all are inside.
//!
//! All rows of a batch walk together, and those that have to go on are gathered for each further step, so that the cipher works on
//! full bands of rows.

use num_bigint::BigUint;

use super::encrypt::RowTweaks;
use super::{ColumnTweaks, Transform};
use crate::cipher::{Direction, Tweaks, Word};
use crate::formats::Counts;
use crate::{Error, Result};

/// Cycle walking leaves the domain with probability below 1/2 a step, so this many steps mean a fault of ours.
const MOST_WALKS: u128 = 256;

impl Transform {
    /// The greatest rank that [`Transform::ranks`] takes, which is that of the greatest [count](Transform::counts); `None` if this
    /// transform does not just encrypt ranks of up to 64 bits.
    pub fn last_rank(&self, direction: Direction) -> Option<u64> {
        if self.binary().is_err() || self.masked && direction == Direction::Decrypt {
            return None;
        }
        let Counts { min, max, .. } = self.counts()?;
        max.abs_diff(min).try_into().ok()
    }

    /// Encrypts or decrypts ranks from 0, which is that of the least count, to [`Transform::last_rank`], in place.
    ///
    /// # Errors
    /// Tweaks that do not suit the rule or the rows; a fault of ours.
    pub fn ranks(&self, direction: Direction, ranks: &mut [u64], tweaks: ColumnTweaks<'_>) -> Result<()> {
        let last = self
            .last_rank(direction)
            .ok_or_else(|| Error::bug("a format without such ranks"))?;
        let tweaks = self.tweaks_from(tweaks).ok_or_else(|| self.no_tweaks())?;
        self.walk_words(direction, ranks, |_| last, bits_of(last.into()), tweaks)
    }

    /// Ranks of up to 128 bits; `last(i)` is the greatest of row i's shape.
    pub(super) fn walk(
        &self,
        direction: Direction,
        ranks: &mut [u128],
        last: impl Fn(usize) -> u128,
        tweaks: Tweaks<'_>,
    ) -> Result<()> {
        let bits = |at: &usize| bits_of(last(*at));
        let mut order: Vec<usize> = (0..ranks.len()).collect();
        if !order.is_sorted_by_key(bits) {
            order.sort_by_key(bits);
        }
        for group in order.chunk_by(|a, b| bits(a) == bits(b)) {
            let own;
            let tweaks = match group.len() == ranks.len() {
                true => tweaks,
                false => {
                    own = RowTweaks::of(tweaks, group.iter().copied());
                    own.as_tweaks()
                }
            };
            let bits = bits(&group[0]);
            if bits <= u64::BITS {
                // That many bits have all of them.
                let mut narrow: Vec<u64> = group.iter().map(|at| ranks[*at] as u64).collect();
                self.walk_words(direction, &mut narrow, |i| last(group[i]) as u64, bits, tweaks)?;
                for (at, rank) in group.iter().zip(narrow) {
                    ranks[*at] = rank.into();
                }
            } else {
                let mut wide: Vec<u128> = group.iter().map(|at| ranks[*at]).collect();
                self.walk_words(direction, &mut wide, |i| last(group[i]), bits, tweaks)?;
                for (at, rank) in group.iter().zip(wide) {
                    ranks[*at] = rank;
                }
            }
        }
        Ok(())
    }

    /// Ranks of shapes that all take `bits` bits.
    fn walk_words<W: Word>(
        &self,
        direction: Direction,
        ranks: &mut [W],
        last: impl Fn(usize) -> W,
        bits: u32,
        tweaks: Tweaks<'_>,
    ) -> Result<()> {
        if ranks.is_empty() {
            return Ok(());
        }
        let cipher = self.binary()?;
        cipher.apply_bits(direction, tweaks, ranks, bits)?;
        // Whether a row walks on is as good as random, so this asks nothing: it writes each row's number, over the one before if
        // that is inside.
        let mut outside = vec![0; ranks.len()];
        let mut count = 0;
        for (at, rank) in ranks.iter().enumerate() {
            outside[count] = at;
            count += usize::from(*rank > last(at));
        }
        outside.truncate(count);
        // A walk that starts inside cannot take more steps than there are ranks outside, and one.
        let highest = u128::MAX >> (u128::BITS - bits);
        let beyond = outside.iter().map(|at| highest - last(*at).into()).max().unwrap_or(0);
        let most = MOST_WALKS.min(beyond.saturating_add(1));
        let mut batch = Vec::with_capacity(count);
        for _ in 1..most {
            if outside.is_empty() {
                break;
            }
            batch.clear();
            batch.extend(outside.iter().map(|at| ranks[*at]));
            let own = RowTweaks::of(tweaks, outside.iter().copied());
            cipher.apply_bits(direction, own.as_tweaks(), &mut batch, bits)?;
            for (at, rank) in outside.iter().zip(&batch) {
                ranks[*at] = *rank;
            }
            outside.retain(|at| ranks[*at] > last(*at));
        }
        all_inside(outside.is_empty(), most)
    }

    /// Numbers of more than 128 bits, each with the greatest of its shape.
    pub(super) fn walk_wide(
        &self,
        direction: Direction,
        numbers: &mut [(usize, BigUint, BigUint)],
        tweaks: Tweaks<'_>,
    ) -> Result<()> {
        let mut pending: Vec<usize> = (0..numbers.len()).collect();
        for _ in 0..MOST_WALKS {
            if pending.is_empty() {
                break;
            }
            let (mut numerals, mut ranges) = (Vec::new(), Vec::new());
            for at in &pending {
                let (_, rank, last) = &numbers[*at];
                let start = numerals.len();
                numerals.extend((0..last.bits()).rev().map(|place| u16::from(rank.bit(place))));
                ranges.push(start..numerals.len());
            }
            let own = RowTweaks::of(tweaks, pending.iter().copied());
            self.binary()?
                .apply_rows(direction, own.as_tweaks(), &mut numerals, &ranges)?;
            for (at, range) in pending.iter().zip(ranges) {
                let bytes: Vec<u8> = numerals[range].iter().map(|bit| *bit as u8).collect(); // 0 or 1
                numbers[*at].1 = BigUint::from_radix_be(&bytes, 2).unwrap_or_default();
            }
            pending.retain(|at| numbers[*at].1 > numbers[*at].2);
        }
        all_inside(pending.is_empty(), MOST_WALKS)
    }
}

/// How many binary numerals ranks up to `last` take.
fn bits_of(last: u128) -> u32 {
    (u128::BITS - last.leading_zeros()).max(2)
}

fn all_inside(yes: bool, most: u128) -> Result<()> {
    match yes {
        true => Ok(()),
        false => Err(Error::bug(format!("a cycle walk took more than {most} steps"))),
    }
}
