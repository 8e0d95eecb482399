//! Rows on their way through the rounds.

use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;

/// Up to [`LANES`] rows on their way through the rounds, a lane each.
#[cfg(target_arch = "x86_64")]
pub(crate) struct Lanes<'a, H> {
    pub(crate) rows: usize,
    /// All lanes hold halves of the shape, also those beyond `rows`.
    pub(crate) left: &'a mut [H; LANES],
    pub(crate) right: &'a mut [H; LANES],
    pub(crate) prefixes: &'a Prefixes,
}

/// Up to [`CHUNK`](crate::batch::sizes::CHUNK) rows on their way through the rounds, of which the last lanes need
/// not be full.
pub(crate) struct Chunk<'a, H> {
    pub(crate) rows: usize,
    pub(crate) left: &'a mut [[H; LANES]],
    pub(crate) right: &'a mut [[H; LANES]],
    pub(crate) prefixes: &'a [Prefixes],
}

impl<H> Chunk<'_, H> {
    /// The rows of the chunk, [`LANES`] at a time.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn lanes(&mut self) -> impl Iterator<Item = Lanes<'_, H>> {
        let halves = self.left.iter_mut().zip(&mut *self.right);
        let rows = self.rows;
        let groups = (0..rows).step_by(LANES).zip(halves).zip(self.prefixes);
        groups.map(move |((start, (left, right)), prefixes)| Lanes {
            // The last lanes may be partly filled; what is in the others is valid, if old.
            rows: LANES.min(rows - start),
            left,
            right,
            prefixes,
        })
    }

    /// Smaller chunks, of `count` times [`LANES`] rows.
    pub(crate) fn split(&mut self, count: usize) -> impl Iterator<Item = Chunk<'_, H>> {
        let halves = self.left.chunks_mut(count).zip(self.right.chunks_mut(count));
        let (rows, most) = (self.rows, count * LANES);
        let groups = (0..rows).step_by(most).zip(halves).zip(self.prefixes.chunks(count));
        groups.map(move |((start, (left, right)), prefixes)| Chunk {
            rows: most.min(rows - start),
            left,
            right,
            prefixes,
        })
    }
}
