//! Short values of formats with bands: each is encrypted among all values of its band.

use super::cipher::Fpe;
use super::shape::ShapedTweaks;
use crate::formats::{Band, RowError, Side};
use crate::policy::Rule;
use crate::transform::batch::{Outcome, TextBatch, Texts};
use crate::transform::rows::GatheredTweaks;

impl Fpe {
    /// Treats the values of bands, and leaves the others to the format itself.
    pub(super) fn with_bands(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        let (from, _) = Side::ends(batch.direction);
        // An empty text belongs to no band.
        // `Short` would give it the rank of its first value.
        let band = |value: &str| rule.format.band(value, from).filter(|_| !value.is_empty());
        let mut banded: Vec<(usize, &str, Band<'_>)> = Vec::new();
        for (row, value) in batch.rows.iter().enumerate() {
            banded.extend(value.and_then(|value| Some((row, value, band(value)?))));
        }
        // No copy of the rows is made for the usual batch, which has no short values.
        if banded.is_empty() {
            return self.without_bands(rule, batch, out);
        }
        let mut others = batch.rows.to_vec();
        let (mut ranks, mut lasts, mut shapes) = (Vec::new(), Vec::new(), Vec::new());
        for (row, value, band) in &banded {
            // As a NULL, so that the format itself neither encrypts nor refuses it.
            others[*row] = None;
            let rank = band.domain.rank(value);
            ranks.push(rank.map_err(|cause| RowError::Row { row: *row, cause })?);
            // A domain has at least the floor's number of values, so this does not go below zero.
            lasts.push(band.domain.size() - 1);
            shapes.push(band.shape());
        }
        let mut done = Texts::default();
        let others = TextBatch { rows: &others, ..batch };
        let mut outcome = self.without_bands(rule, others, &mut done)?;
        outcome.banded += banded.len();
        let rows = banded.iter().map(|(row, ..)| *row);
        // Formats with bands keep nothing in the clear, so the rule's own tweak is all there is.
        let tweaks = GatheredTweaks::for_rule(rule, batch.tweaks, rows)?;
        let tweaks = (0..banded.len()).map(|at| tweaks.get(at));
        // The band's number in the tweak: without it, all bands of one bit length would share a permutation.
        let shaped = ShapedTweaks::new(&rule.format.version(), shapes.iter().map(Vec::as_slice), tweaks);
        let tweaks = shaped.gather(0..banded.len());
        // All bands walk together; each row has the end of its own.
        self.cycle_walk(batch.direction, &mut ranks, |at| lasts[at], tweaks.as_tweaks())?;
        let mut results = banded.iter().zip(ranks).peekable();
        // Banded rows are in order of their numbers, so one pass merges the two results.
        let mut misfits = done.take_misfits().into_iter().peekable();
        for (row, text) in done.iter().enumerate() {
            match (results.next_if(|((at, ..), _)| *at == row), text) {
                (Some(((_, value, band), rank)), _) => out.push_with(|out| band.domain.unrank(rank, value, out)),
                (None, Some(text)) => out.push_with(|out| out.push_str(text)),
                (None, None) => match misfits.next_if(|(at, _)| *at == row) {
                    Some((_, cause)) => out.push_misfit(cause),
                    None => out.push_null(),
                },
            }
        }
        Ok(outcome)
    }
}
