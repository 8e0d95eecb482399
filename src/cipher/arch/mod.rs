//! What depends on the processor: the one place where a kernel is chosen.

pub(super) mod portable;

use super::key::Aes;
use super::lanes::{Group, Half, Plan};
use super::{Direction, Kernel};

/// The kernels that this processor can run, the fastest first.
pub(super) fn available() -> Vec<Kernel> {
    vec![Kernel::Portable, Kernel::Naive]
}

/// Takes a group through all rounds with the kernel chosen.
pub(super) fn walk<H: Half>(kernel: Kernel, aes: &Aes, plan: &Plan<H>, direction: Direction, group: &mut Group<H>) {
    match kernel {
        // The naive twin has no lanes and never comes here.
        Kernel::Portable | Kernel::Naive => portable::walk(aes, plan, direction, group),
    }
}
