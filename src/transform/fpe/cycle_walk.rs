//! Cycle walking: FF1 over the next power of two, again for those that land outside, until all are inside.
//!
//! All rows of a batch walk together, and those that have to go on are gathered for each further step, so that every
//! step fills the lanes of the cipher.

use num_bigint::BigUint;

use super::cipher::Fpe;
use crate::cipher::{Direction, Tweaks, Word};
use crate::formats::OrdinalRange;
use crate::policy::Rule;
use crate::transform::rows::{GatheredTweaks, missing_tweaks, rule_tweaks};
use crate::{Error, Result};

/// The most steps of a walk. A step lands outside with probability below 1/2, so as many steps mean a bug of ours.
// N needs n bits, so N > 2^(n−1): at least half of all numbers are inside.
const MOST_STEPS: u128 = 256;

impl Fpe {
    /// The greatest rank of the rule's ordinals; `None` if there is none of up to 64 bits.
    pub(in crate::transform) fn last_rank(&self, rule: &Rule) -> Option<u64> {
        // The difference is unsigned and may be 2^128 − 1; then the caller has to go another way.
        let OrdinalRange { min, max, .. } = rule.format.ordinal_range()?;
        max.abs_diff(min).try_into().ok()
    }

    /// Encrypts or decrypts ranks from 0 to the [last](Self::last_rank), in place.
    ///
    /// # Errors
    /// A missing tweak column, or tweaks that do not suit the rows; our bug.
    pub(in crate::transform) fn ranks(
        &self,
        rule: &Rule,
        direction: Direction,
        ranks: &mut [u64],
        tweaks: Option<Tweaks<'_>>,
    ) -> Result<()> {
        let last = self.last_rank(rule);
        let last = last.ok_or_else(|| Error::bug("a format without ranks of 64 bits"))?;
        let tweaks = rule_tweaks(rule, tweaks).ok_or_else(|| missing_tweaks(rule))?;
        self.walk_words(direction, ranks, |_| last, bit_length(last.into()), tweaks)
    }

    /// Encrypts or decrypts ranks of up to 128 bits; `last(i)` is the greatest rank of row i's shape.
    ///
    /// # Errors
    /// Our bug.
    pub(super) fn cycle_walk(
        &self,
        direction: Direction,
        ranks: &mut [u128],
        last: impl Fn(usize) -> u128,
        tweaks: Tweaks<'_>,
    ) -> Result<()> {
        let bits = |at: &usize| bit_length(last(*at));
        // By width, since a call of the cipher works on one width.
        let mut order: Vec<usize> = (0..ranks.len()).collect();
        // Most columns have one width, and are in order already.
        if !order.is_sorted_by_key(bits) {
            order.sort_by_key(bits);
        }
        for group in order.chunk_by(|a, b| bits(a) == bits(b)) {
            let own;
            // The whole batch: tweaks need no copy.
            let tweaks = if group.len() == ranks.len() {
                tweaks
            } else {
                own = GatheredTweaks::from_rows(tweaks, group.iter().copied());
                own.as_tweaks()
            };
            let bits = bits(&group[0]);
            // Words of 64 bits have kernels of their own, twice as many to a register.
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

    /// Encrypts or decrypts ranks of shapes that all take `bits` bits.
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
        // Every row takes a first step, also one that ends where it began: a walk of no steps would leave the
        // plaintext.
        let cipher = &self.binary;
        cipher.apply_bits(direction, tweaks, ranks, bits)?;
        // Whether a row walks on is as good as random, so that a branch on it would be mispredicted half of the time:
        // this writes each row's number without a branch, over the one before if that is inside.
        let mut outside = vec![0; ranks.len()];
        let mut count = 0;
        // A walk follows the cycle of a permutation. It began inside, so it comes inside again, at the latest
        // where it began; and the way back from there is the same walk with decryption.
        for (at, rank) in ranks.iter().enumerate() {
            outside[count] = at;
            // `count` is at most `at`, so the write is within the vector.
            count += usize::from(*rank > last(at));
        }
        outside.truncate(count);
        // A walk that starts inside cannot take more steps than there are ranks outside, and one.
        // 2^bits − 1, also for 128 bits, where 1 << 128 would overflow.
        let highest = u128::MAX >> (u128::BITS - bits);
        let beyond = outside.iter().map(|at| highest - last(*at).into()).max().unwrap_or(0);
        let most = MOST_STEPS.min(beyond.saturating_add(1));
        let mut batch = Vec::with_capacity(count);
        // Only rows that are still outside go on. Each step brings in more than half of them, in expectation, so
        // all further steps together cost less than the first.
        for _ in 1..most {
            if outside.is_empty() {
                break;
            }
            batch.clear();
            batch.extend(outside.iter().map(|at| ranks[*at]));
            // Each row's own tweak goes with it, or it would follow another permutation.
            let own = GatheredTweaks::from_rows(tweaks, outside.iter().copied());
            cipher.apply_bits(direction, own.as_tweaks(), &mut batch, bits)?;
            for (at, rank) in outside.iter().zip(&batch) {
                ranks[*at] = *rank;
            }
            outside.retain(|at| ranks[*at] > last(*at));
        }
        all_inside(outside.is_empty(), most)
    }

    /// Encrypts or decrypts ranks of more than 128 bits, each behind its row and before the greatest rank of its shape.
    ///
    /// # Errors
    /// Our bug.
    pub(super) fn cycle_walk_wide(
        &self,
        direction: Direction,
        numbers: &mut [(usize, BigUint, BigUint)],
        tweaks: Tweaks<'_>,
    ) -> Result<()> {
        let mut pending: Vec<usize> = (0..numbers.len()).collect();
        for _ in 0..MOST_STEPS {
            if pending.is_empty() {
                break;
            }
            let (mut numerals, mut ranges) = (Vec::new(), Vec::new());
            // Numbers differ in length here, so rows are described by ranges of one buffer of bits.
            for at in &pending {
                let (_, rank, last) = &numbers[*at];
                let start = numerals.len();
                // As many bits as the greatest rank has, with leading zeros: FF1's length is part of its input.
                numerals.extend((0..last.bits()).rev().map(|place| u16::from(rank.bit(place))));
                ranges.push(start..numerals.len());
            }
            let own = GatheredTweaks::from_rows(tweaks, pending.iter().copied());
            self.binary
                .apply_rows(direction, own.as_tweaks(), &mut numerals, &ranges)?;
            for (at, range) in pending.iter().zip(ranges) {
                let bytes: Vec<u8> = numerals[range].iter().map(|bit| *bit as u8).collect(); // 0 or 1
                numbers[*at].1 = BigUint::from_radix_be(&bytes, 2).unwrap_or_default();
            }
            pending.retain(|at| numbers[*at].1 > numbers[*at].2);
        }
        all_inside(pending.is_empty(), MOST_STEPS)
    }
}

/// The number of bits that ranks up to `last` take, at least two: FF1 has two halves.
fn bit_length(last: u128) -> u32 {
    // The floor makes domains far larger; two bits only keep FF1's halves from being empty.
    (u128::BITS - last.leading_zeros()).max(2)
}

fn all_inside(yes: bool, most: u128) -> Result<()> {
    if yes {
        Ok(())
    } else {
        // By chance this happens to a row with a probability below 2^−256, or never where fewer ranks are outside.
        Err(Error::bug(format!("a cycle walk took more than {most} steps")))
    }
}
