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
        let band = |value: &str| rule.format.band(value, from).filter(|_| !value.is_empty());
        let mut banded: Vec<(usize, &str, Band<'_>)> = Vec::new();
        for (row, value) in batch.rows.iter().enumerate() {
            banded.extend(value.and_then(|value| Some((row, value, band(value)?))));
        }
        if banded.is_empty() {
            return self.without_bands(rule, batch, out);
        }
        let mut others = batch.rows.to_vec();
        let (mut ranks, mut lasts, mut shapes) = (Vec::new(), Vec::new(), Vec::new());
        for (row, value, band) in &banded {
            others[*row] = None;
            let rank = band.domain.rank(value);
            ranks.push(rank.map_err(|cause| RowError::Row { row: *row, cause })?);
            lasts.push(band.domain.size() - 1);
            shapes.push(band.shape());
        }
        let mut done = Texts::default();
        let others = TextBatch { rows: &others, ..batch };
        let outcome = self.without_bands(rule, others, &mut done)?;
        let rows = banded.iter().map(|(row, ..)| *row);
        let tweaks = GatheredTweaks::for_rule(rule, batch.tweaks, rows)?;
        let tweaks = (0..banded.len()).map(|at| tweaks.get(at));
        let shaped = ShapedTweaks::new(&rule.format.version(), shapes.iter().map(Vec::as_slice), tweaks);
        let tweaks = shaped.gather(0..banded.len());
        self.cycle_walk(batch.direction, &mut ranks, |at| lasts[at], tweaks.as_tweaks())?;
        let mut results = banded.iter().zip(ranks).peekable();
        for (row, text) in done.iter().enumerate() {
            match (results.next_if(|((at, ..), _)| *at == row), text) {
                (Some(((_, value, band), rank)), _) => out.push_with(|out| band.domain.unrank(rank, value, out)),
                (None, Some(text)) => out.push_with(|out| out.push_str(text)),
                (None, None) => out.push_null(),
            }
        }
        Ok(outcome)
    }
}
