//! Formats of numbered values: FF1 over a value's rank, with cycle walking.

use super::cipher::Fpe;
use crate::Error;
use crate::formats::{FormatError, OrdinalRange, RankedFormat, RowError};
use crate::policy::Rule;
use crate::transform::batch::{OrdinalBatch, Outcome, TextBatch, Texts, Values};
use crate::transform::rows::{GatheredTweaks, RowResult, Unfit, handle_unfit, stays_empty};

impl Fpe {
    pub(super) fn ranked_texts(
        &self,
        rule: &Rule,
        format: &dyn RankedFormat,
        batch: TextBatch<'_>,
        out: &mut Texts,
    ) -> Result<Outcome, RowError> {
        let (mut live, mut ranks) = (Vec::new(), Vec::new());
        let mut results = Vec::with_capacity(batch.rows.len());
        for (row, value) in batch.rows.iter().enumerate() {
            let result = match value {
                None => RowResult::Null,
                Some(value) if stays_empty(rule, value) => RowResult::Clear,
                Some(value) => match format.rank(value) {
                    // Ranks are gathered without gaps, so that the cipher's lanes are full whatever rows are NULL.
                    Ok(rank) => {
                        live.push(row);
                        ranks.push(rank);
                        RowResult::Treated(ranks.len() - 1)
                    }
                    Err(cause) => RowResult::for_unfit(rule, row, cause)?,
                },
            };
            results.push(result);
        }
        // N is at least 1.
        let last = format.size() - 1;
        let tweaks = GatheredTweaks::for_rule(rule, batch.tweaks, live.into_iter())?;
        self.cycle_walk(batch.direction, &mut ranks, |_| last, tweaks.as_tweaks())?;
        Ok(out.push_results(batch.rows, results, |at, value, out| {
            format.unrank(ranks[at], value, out)
        }))
    }

    pub(super) fn ranked_ordinals(&self, rule: &Rule, batch: OrdinalBatch<'_>) -> Result<Values<i128>, RowError> {
        let Some(OrdinalRange { min, max, .. }) = rule.format.ordinal_range() else {
            return Err(Error::bug(format!("format {} has no ordinals", rule.format.version())).into());
        };
        let mut out = batch.rows.to_vec();
        let mut outcome = Outcome::default();
        let (mut live, mut ranks) = (Vec::with_capacity(out.len()), Vec::with_capacity(out.len()));
        for (row, value) in batch.rows.iter().enumerate() {
            match value {
                Some(value) if (min..=max).contains(value) => {
                    live.push(row);
                    // `abs_diff` is unsigned: the range may be wider than i128.
                    ranks.push(value.abs_diff(min));
                }
                Some(_) => match handle_unfit(rule, row, FormatError::OutOfRange)? {
                    Unfit::Null => {
                        outcome.nulled += 1;
                        out[row] = None;
                    }
                    Unfit::KeptClear => outcome.kept_clear += 1,
                },
                None => {}
            }
        }
        let last = max.abs_diff(min);
        let tweaks = GatheredTweaks::for_rule(rule, batch.tweaks, live.iter().copied())?;
        self.cycle_walk(batch.direction, &mut ranks, |_| last, tweaks.as_tweaks())?;
        for (row, rank) in live.into_iter().zip(ranks) {
            out[row] = Some(min.wrapping_add_unsigned(rank)); // within min…max
        }
        Ok((out, outcome))
    }
}
