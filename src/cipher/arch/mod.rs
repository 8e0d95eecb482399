//! What depends on the processor: the one place where a kernel is chosen.

pub(super) mod portable;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;

use super::key::Aes;
use super::lanes::{BATCH, Draw, Group, Half, Plan};
use super::{Direction, Kernel, Symbols};

/// The kernels that this processor can run, the fastest first.
pub(super) fn available() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    #[cfg(target_arch = "x86_64")]
    if x86_64::avx512::available() {
        kernels.push(Kernel::Avx512);
    }
    kernels.extend([Kernel::Portable, Kernel::Naive]);
    kernels
}

/// Takes a group through all rounds with the kernel chosen.
pub(super) fn walk<H: Half>(kernel: Kernel, aes: &Aes, plan: &Plan<H>, direction: Direction, group: &mut Group<'_, H>) {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 if H::avx512(aes, plan, direction, group) => {}
        // A shape that a kernel has no code for. The naive twin has no lanes and never comes here.
        _ => portable::walk(aes, plan, direction, group),
    }
}

/// What the kernels have for halves of one type.
pub(super) trait Native: Sized {
    /// Takes the group through all rounds; `false` if there is no code for its shape.
    #[cfg(target_arch = "x86_64")]
    fn avx512(_: &Aes, _: &Plan<Self>, _: Direction, _: &mut Group<'_, Self>) -> bool
    where
        Self: Half,
    {
        false
    }
}

impl Native for u64 {
    #[cfg(target_arch = "x86_64")]
    fn avx512(aes: &Aes, plan: &Plan<u64>, direction: Direction, group: &mut Group<'_, u64>) -> bool {
        match (aes.schedule(), &plan.avx512) {
            (Some(schedule), Some(shape)) => {
                x86_64::avx512::walk(schedule, shape, direction, group.heads, group.left, group.right);
                true
            }
            _ => false,
        }
    }
}

impl Native for u128 {}

/// How a kernel reads and writes text of one shape, if it has code for that.
pub(super) struct TextForm {
    #[cfg(target_arch = "x86_64")]
    avx512: Option<Box<x86_64::text512::Form>>,
}

impl TextForm {
    pub(super) fn new(kernel: Kernel, symbols: &Symbols, plan: &Plan<u64>, n: usize) -> Self {
        #[cfg(target_arch = "x86_64")]
        if kernel == Kernel::Avx512 && plan.draw != Draw::Reversed {
            let avx512 = x86_64::text512::Form::new(symbols, plan.lengths(n)).map(Box::new);
            return Self { avx512 };
        }
        let _ = (kernel, symbols, plan, n);
        Self {
            #[cfg(target_arch = "x86_64")]
            avx512: None,
        }
    }

    /// Reads rows of text; `false` if that is left to other code. Sets `misfit` if a byte is no symbol.
    pub(super) fn read(
        &self,
        text: &[u8],
        left: &mut [u64; BATCH],
        right: &mut [u64; BATCH],
        misfit: &mut bool,
    ) -> bool {
        #[cfg(target_arch = "x86_64")]
        if let Some(form) = &self.avx512 {
            *misfit |= !form.read(text, left, right);
            return true;
        }
        let _ = (text, left, right, misfit);
        false
    }

    /// Writes rows of text; `false` if that is left to other code.
    pub(super) fn write(&self, left: &[u64; BATCH], right: &[u64; BATCH], text: &mut [u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if let Some(form) = &self.avx512 {
            form.write(left, right, text);
            return true;
        }
        let _ = (left, right, text);
        false
    }
}
