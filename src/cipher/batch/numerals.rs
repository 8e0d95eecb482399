//! Rows of numerals.

use crate::arith::bignum;
use crate::batch::call::BatchCall;
use crate::batch::half::Half;
use crate::batch::plan::ShapePlan;
use crate::batch::run;
use crate::batch::run::HalfRows;
use crate::batch::sizes::CHUNK;
use crate::kernels::dispatch::Prepared;
use crate::kernels::kernel::Kernel;
use crate::spec::radix::Radix;
use crate::spec::reference;
use crate::spec::types::Mode;

/// Rows of `n` numerals.
pub(crate) struct NumeralRows<'a> {
    pub(crate) numerals: &'a mut [u16],
    pub(crate) n: usize,
}

impl<H: Half> HalfRows<H> for NumeralRows<'_> {
    fn len(&self) -> usize {
        self.numerals.len() / self.n
    }

    fn load(&mut self, plan: &ShapePlan<H>, start: usize, count: usize, left: &mut [H; CHUNK], right: &mut [H; CHUNK]) {
        plan.num_rows(&self.numerals[start * self.n..][..count * self.n], left, right);
    }

    fn store(&mut self, plan: &ShapePlan<H>, start: usize, count: usize, left: &[H; CHUNK], right: &[H; CHUNK]) {
        plan.str_rows(&mut self.numerals[start * self.n..][..count * self.n], left, right);
    }
}

/// Encrypts or decrypts rows of `n` numerals in place, once everything about them has been checked.
pub(crate) fn apply(call: BatchCall<'_>, mode: Mode, radix: Radix, numerals: &mut [u16], n: usize) {
    let BatchCall {
        kernel,
        aes,
        direction,
        tweaks,
    } = call;
    if kernel == Kernel::Naive {
        for (row, numerals) in numerals.chunks_exact_mut(n).enumerate() {
            let done = reference::apply(mode, aes, radix, direction, tweaks.get(row), numerals);
            numerals.copy_from_slice(&done);
        }
        return;
    }
    // The longer half decides: FF1 has it on the right, FF3-1 on the left, and both have ⌈n/2⌉ numerals.
    match radix.highest(n.div_ceil(2)) {
        Some(highest) if highest <= u64::MAX.into() => {
            let prepared = Prepared::<u64>::new(mode, radix, n);
            run::run(call, &prepared, &mut NumeralRows { numerals, n });
        }
        Some(_) => {
            let prepared = Prepared::<u128>::new(mode, radix, n);
            run::run(call, &prepared, &mut NumeralRows { numerals, n });
        }
        // FF1 alone: FF3-1's halves are at most 2^96.
        None => bignum::apply(aes, radix, direction, tweaks, numerals, n),
    }
}
