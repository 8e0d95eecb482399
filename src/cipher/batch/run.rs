//! All rows of a batch, chunk after chunk: read, through the rounds, written.

use crate::batch::call::BatchCall;
use crate::batch::chunk::Chunk;
use crate::batch::half::Half;
use crate::batch::plan::ShapePlan;
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::{CHUNK, LANES};
use crate::kernels::dispatch::{KernelOps, Prepared, run_rounds};
use crate::spec::ff1::CachedAesP;
use crate::spec::tweaks::Tweaks;

/// A source of values, to which their results go back.
pub(crate) trait HalfRows<H: Half> {
    /// The number of rows.
    fn len(&self) -> usize;

    /// Reads the halves of `count` rows from `start` on.
    fn load(&mut self, plan: &ShapePlan<H>, start: usize, count: usize, left: &mut [H; CHUNK], right: &mut [H; CHUNK]);
    /// Writes the halves of `count` rows from `start` on back.
    fn store(&mut self, plan: &ShapePlan<H>, start: usize, count: usize, left: &[H; CHUNK], right: &[H; CHUNK]);
}

/// Takes all `rows` through the rounds.
pub(crate) fn run<H: KernelOps>(call: BatchCall<'_>, prepared: &Prepared<H>, rows: &mut impl HalfRows<H>) {
    let (BatchCall { aes, tweaks, .. }, plan) = (call, &prepared.plan);
    let mut cached = CachedAesP::default();
    let shared = match tweaks {
        Tweaks::Shared(tweak) => plan.shared_prefixes(aes, tweak),
        Tweaks::PerRow(_) | Tweaks::Packed { .. } => Prefixes::Shared([0; 2]), // until the rows' own come
    };
    let mut prefixes: [Prefixes; CHUNK / LANES] = std::array::from_fn(|_| shared.clone());
    // Zeros are halves of every shape: lanes that no row fills may go through the rounds as well.
    let (mut left, mut right) = ([H::default(); CHUNK], [H::default(); CHUNK]);
    for start in (0..rows.len()).step_by(CHUNK) {
        let count = CHUNK.min(rows.len() - start);
        rows.load(plan, start, count, &mut left, &mut right);
        // 64 tweaks at a time: their blocks share calls of AES.
        for (first, prefixes) in (0..count).step_by(LANES).zip(&mut prefixes) {
            let these = start + first..start + count.min(first + LANES);
            let mut per_row = [[0; LANES]; 2];
            match tweaks {
                Tweaks::Shared(_) => break,
                Tweaks::PerRow(tweaks) => {
                    plan.prefixes(aes, &mut cached, tweaks[these].iter().copied(), &mut per_row);
                }
                Tweaks::Packed { bytes, length } => {
                    let tweaks = these.map(|row| &bytes[row * length..][..length]);
                    plan.prefixes(aes, &mut cached, tweaks, &mut per_row);
                }
            }
            *prefixes = Prefixes::PerRow(per_row);
        }
        let mut chunk = Chunk {
            rows: count,
            left: left.as_chunks_mut().0,
            right: right.as_chunks_mut().0,
            prefixes: &prefixes,
        };
        run_rounds(call.kernel, aes, prepared, call.direction, &mut chunk);
        rows.store(plan, start, count, &left, &right);
    }
}
