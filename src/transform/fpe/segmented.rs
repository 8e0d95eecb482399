//! Formats whose places have choices of their own: FF1 over a number in mixed radix.

use std::ops::Range;

use num_bigint::BigUint;

use super::cipher::Fpe;
use super::shape::ShapedTweaks;
use crate::formats::{FormatError, MAX_RANK_BITS, Rank, RowError, SegmentedFormat, Segments, Side};
use crate::policy::{Rule, Tweak};
use crate::transform::batch::{Outcome, TextBatch, Texts};
use crate::transform::rows::{GatheredTweaks, RowResult, stays_empty};

/// A row whose rank goes through the cipher.
struct SegmentedRow {
    row: usize,
    digits: Range<usize>,
    kept: Range<usize>,
    shape: Range<usize>,
}

/// Ranks by width, each with the number of its row among those that are encrypted.
#[derive(Default)]
struct RanksByWidth {
    /// Row, rank and last rank.
    narrow: Vec<(usize, u128, u128)>,
    wide: Vec<(usize, BigUint, BigUint)>,
}

impl RanksByWidth {
    fn push(&mut self, at: usize, rank: Rank) {
        match rank {
            Rank::Narrow { rank, last } => self.narrow.push((at, rank, last)),
            Rank::Wide { rank, last } => self.wide.push((at, rank, last)),
        }
    }
}

impl Fpe {
    pub(super) fn segmented_texts(
        &self,
        rule: &Rule,
        format: &dyn SegmentedFormat,
        batch: TextBatch<'_>,
        out: &mut Texts,
    ) -> Result<Outcome, RowError> {
        let (from, to) = Side::ends(batch.direction);
        let mut segments = Segments::default();
        let mut live: Vec<SegmentedRow> = Vec::with_capacity(batch.rows.len());
        let mut ranks = RanksByWidth::default();
        let mut results: Vec<RowResult> = Vec::with_capacity(batch.rows.len());
        for (row, value) in batch.rows.iter().enumerate() {
            let result = match value {
                None => RowResult::Null,
                Some(value) if stays_empty(rule, value) => RowResult::Clear,
                Some(value) => {
                    // Everything is appended to shared buffers; these are the marks to cut back to when a value
                    // does not fit.
                    let (start, kept) = (segments.digits.len(), segments.kept.len());
                    let shape = segments.shape.len();
                    match self.split_segments(format, value, from, &mut segments) {
                        Ok(rank) => {
                            ranks.push(live.len(), rank);
                            live.push(SegmentedRow {
                                row,
                                digits: start..segments.digits.len(),
                                kept: kept..segments.kept.len(),
                                shape: shape..segments.shape.len(),
                            });
                            RowResult::Treated(live.len() - 1)
                        }
                        Err(cause) => {
                            // `split` may have left a part behind. The next row's ranges would then begin in it.
                            segments.digits.truncate(start);
                            segments.choices.truncate(start);
                            segments.kept.truncate(kept);
                            segments.shape.truncate(shape);
                            RowResult::for_unfit(rule, row, cause)?
                        }
                    }
                }
            };
            results.push(result);
        }
        // All values are checked by now: an error of the last row comes before anything is encrypted.
        let ranks = self.encrypt_ranks(rule, batch, &live, &segments, ranks)?;
        let mut digits = Vec::new();
        Ok(out.push_results(batch.rows, results, |at, value, out| {
            digits.clear();
            // Every row of `live` has its rank; there is no other way here.
            if let Some(rank) = &ranks[at] {
                rank.spell(&segments.choices[live[at].digits.clone()], &mut digits);
            }
            format.join(value, &digits, to, out);
        }))
    }

    /// Splits one value, and checks that its shape has neither too few nor too many values.
    fn split_segments(
        &self,
        format: &dyn SegmentedFormat,
        value: &str,
        side: Side,
        segments: &mut Segments,
    ) -> Result<Rank, FormatError> {
        let floor = u128::from(self.binary.floor().value());
        let start = segments.digits.len();
        format.split(value, side, segments)?;
        let too_wide = || FormatError::TooWide { most: MAX_RANK_BITS };
        // A lower bound of the bits, before a number of that size is made.
        let choices = segments.choices[start..].iter();
        let bits: u64 = choices.map(|choices| u64::from(choices.ilog2())).sum();
        if bits > MAX_RANK_BITS {
            return Err(too_wide());
        }
        let rank = Rank::new(&segments.digits[start..], &segments.choices[start..]);
        match &rank {
            // `last` is N − 1, so this is N < floor without an overflow at N = 2^128.
            Rank::Narrow { last, .. } if *last < floor - 1 => Err(FormatError::SmallDomain {
                values: *last + 1,
                least: floor,
            }),
            // The bound above rounds down each place; this is the exact width.
            wide if wide.bits() > MAX_RANK_BITS => Err(too_wide()),
            _ => Ok(rank),
        }
    }

    /// Encrypts or decrypts the ranks of `live` rows; the results are in the order of these.
    fn encrypt_ranks(
        &self,
        rule: &Rule,
        batch: TextBatch<'_>,
        live: &[SegmentedRow],
        segments: &Segments,
        ranks: RanksByWidth,
    ) -> Result<Vec<Option<Rank>>, RowError> {
        // A batch of formats that keep nothing has the rule's own tweak, shared by all.
        let tweaks = if rule.tweak == Tweak::Kept && !segments.kept.is_empty() {
            GatheredTweaks::PerRow(live.iter().map(|row| &segments.kept[row.kept.clone()]).collect())
        } else {
            GatheredTweaks::for_rule(rule, batch.tweaks, live.iter().map(|row| row.row))?
        };
        // Formats with one shape for each bit length write none, and their tweaks stay as they are.
        let shaped = (!segments.shape.is_empty()).then(|| {
            let shapes = live.iter().map(|row| &segments.shape[row.shape.clone()]);
            ShapedTweaks::new(&rule.format.version(), shapes, (0..live.len()).map(|at| tweaks.get(at)))
        });
        let tweaks_of = |at: &[usize]| match &shaped {
            Some(shaped) => shaped.gather(at.iter().copied()),
            None => GatheredTweaks::from_rows(tweaks.as_tweaks(), at.iter().copied()),
        };
        let RanksByWidth { narrow, mut wide } = ranks;
        // Narrow ranks are the usual case and go through kernels; wide ones through big integers. Each has tweaks
        // in its own order.
        let at: Vec<usize> = narrow.iter().map(|(at, ..)| *at).collect();
        let lasts: Vec<u128> = narrow.iter().map(|(.., last)| *last).collect();
        let mut ranks: Vec<u128> = narrow.iter().map(|(_, rank, _)| *rank).collect();
        let narrow_tweaks = tweaks_of(&at);
        self.cycle_walk(batch.direction, &mut ranks, |i| lasts[i], narrow_tweaks.as_tweaks())?;
        let wide_rows: Vec<usize> = wide.iter().map(|(at, ..)| *at).collect();
        let wide_tweaks = tweaks_of(&wide_rows);
        self.cycle_walk_wide(batch.direction, &mut wide, wide_tweaks.as_tweaks())?;
        let mut results: Vec<Option<Rank>> = vec![None; live.len()];
        // Back to the order of the rows, by their numbers.
        for ((at, rank), last) in at.into_iter().zip(ranks).zip(lasts) {
            results[at] = Some(Rank::Narrow { rank, last });
        }
        for (at, rank, last) in wide {
            results[at] = Some(Rank::Wide { rank, last });
        }
        Ok(results)
    }
}
