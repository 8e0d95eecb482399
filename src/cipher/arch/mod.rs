//! What depends on the processor: the one place where a kernel is chosen.

#[cfg(feature = "columns")]
pub(super) mod ascii;
#[cfg(all(test, unix))]
#[allow(unsafe_code)] // pages that cannot be touched
mod guard;
pub(super) mod portable;
mod sieve;
pub(super) mod vector;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;

use super::key::Aes;
use std::ops::RangeInclusive;

use super::lanes::{BATCH, Draw, Groups, Half, Plan, RowTweaks};
use super::sieve::{Pattern, Place, Taken};
use super::{Direction, Kernel, Symbols};

/// The kernels that this processor can run, the fastest first.
pub(super) fn available() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    #[cfg(target_arch = "x86_64")]
    if x86_64::avx512::available() {
        kernels.push(Kernel::Avx512);
    }
    #[cfg(target_arch = "x86_64")]
    if x86_64::avx2::available() {
        kernels.push(Kernel::Avx2);
    }
    kernels.extend([Kernel::Portable, Kernel::Naive]);
    kernels
}

/// Takes groups through all rounds with the kernel chosen.
pub(super) fn walk<H: Half>(
    kernel: Kernel,
    aes: &Aes,
    plan: &Plan<H>,
    direction: Direction,
    groups: &mut Groups<'_, H>,
) {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 if H::avx512(aes, plan, direction, groups) => {}
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 if H::avx2(aes, plan, direction, groups) => {}
        // A shape that a kernel has no code for. The naive twin has no lanes and never comes here.
        _ => portable::walk(aes, plan, direction, groups),
    }
}

/// What the kernels have for halves of one type.
pub(super) trait Native: Sized {
    /// Takes the groups through all rounds; `false` if there is no code for their shape.
    #[cfg(target_arch = "x86_64")]
    fn avx512(_: &Aes, _: &Plan<Self>, _: Direction, _: &mut Groups<'_, Self>) -> bool
    where
        Self: Half,
    {
        false
    }

    /// The same in AVX2.
    #[cfg(target_arch = "x86_64")]
    fn avx2(_: &Aes, _: &Plan<Self>, _: Direction, _: &mut Groups<'_, Self>) -> bool
    where
        Self: Half,
    {
        false
    }

    /// Reads rows of text; `false` if that is left to other code. Sets `misfit` if a byte is no symbol.
    fn read(
        _: &TextForm,
        _text: &[u8],
        _left: &mut [Self; BATCH],
        _right: &mut [Self; BATCH],
        _misfit: &mut bool,
    ) -> bool {
        false
    }

    /// Writes rows of text; `false` if that is left to other code.
    fn write(_: &TextForm, _left: &[Self; BATCH], _right: &[Self; BATCH], _text: &mut [u8]) -> bool {
        false
    }
}

impl Native for u64 {
    #[cfg(target_arch = "x86_64")]
    fn avx512(aes: &Aes, plan: &Plan<u64>, direction: Direction, groups: &mut Groups<'_, u64>) -> bool {
        match (aes.schedule(), &plan.avx512) {
            (Some(schedule), Some(shape)) => {
                for group in groups.each() {
                    x86_64::avx512::walk(schedule, shape, direction, group.heads, group.left, group.right);
                }
                true
            }
            _ => false,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2(aes: &Aes, plan: &Plan<u64>, direction: Direction, groups: &mut Groups<'_, u64>) -> bool {
        match (aes.schedule(), &plan.avx2) {
            (Some(schedule), Some(shape)) => {
                for mut group in groups.each() {
                    x86_64::avx2::walk(schedule, shape, direction, &mut group);
                }
                true
            }
            _ => false,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn read(
        form: &TextForm,
        text: &[u8],
        left: &mut [u64; BATCH],
        right: &mut [u64; BATCH],
        misfit: &mut bool,
    ) -> bool {
        let TextForm::Halves512(form) = form else {
            return false;
        };
        *misfit |= !form.read(text, left, right);
        true
    }

    #[cfg(target_arch = "x86_64")]
    fn write(form: &TextForm, left: &[u64; BATCH], right: &[u64; BATCH], text: &mut [u8]) -> bool {
        let TextForm::Halves512(form) = form else {
            return false;
        };
        form.write(left, right, text);
        true
    }
}

impl Native for u128 {}

/// How a kernel reads and writes text of one shape.
pub(super) enum TextForm {
    /// By way of numerals in memory.
    Numerals,
    /// By way of halves in memory.
    #[cfg(target_arch = "x86_64")]
    Halves512(Box<x86_64::text512::Form>),
    /// In registers, between which and the text there is no memory.
    #[cfg(target_arch = "x86_64")]
    Digits512(Box<x86_64::digits512::Form>),
    /// The same in AVX2.
    #[cfg(target_arch = "x86_64")]
    Digits256(Box<x86_64::digits256::Form>),
}

impl TextForm {
    pub(super) fn new(kernel: Kernel, symbols: &Symbols, plan: &Plan<u64>, n: usize) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use x86_64::{digits256, digits512, text512};
            let (lengths, least_first) = (plan.lengths(n), plan.draw == Draw::Reversed);
            if let (Kernel::Avx512, Some(shape)) = (kernel, &plan.avx512)
                && let Some(form) = digits512::Form::new(symbols, lengths, least_first)
                && digits512::covers(shape, &form)
            {
                return Self::Digits512(Box::new(form));
            }
            if kernel == Kernel::Avx512
                && !least_first
                && let Some(form) = text512::Form::new(symbols, lengths)
            {
                return Self::Halves512(Box::new(form));
            }
            if let (Kernel::Avx2, Some(_)) = (kernel, &plan.avx2)
                && let Some(form) = digits256::Form::new(symbols, lengths, least_first)
            {
                return Self::Digits256(Box::new(form));
            }
        }
        let _ = (kernel, symbols, plan, n);
        Self::Numerals
    }
}

/// Rows of `n` symbols and where they go.
pub(super) struct Text<'a> {
    pub(super) symbols: &'a Symbols,
    pub(super) input: &'a [u8],
    pub(super) output: &'a mut [u8],
    pub(super) n: usize,
}

/// Takes text through all rounds where a kernel has code that needs no halves in memory: says then whether all bytes are symbols.
pub(super) fn walk_text(
    form: &TextForm,
    aes: &Aes,
    plan: &Plan<u64>,
    direction: Direction,
    tweaks: RowTweaks<'_>,
    text: &mut Text<'_>,
) -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    {
        use x86_64::{digits256, digits512};
        let (input, output) = (text.input, &mut *text.output);
        let run = match form {
            TextForm::Digits512(form) => {
                let (schedule, shape) = (aes.schedule()?, plan.avx512.as_ref()?);
                with_heads(aes, plan, tweaks, |heads| {
                    digits512::run(schedule, shape, form, direction, heads, input, output)
                })
            }
            TextForm::Digits256(form) => {
                let (schedule, shape) = (aes.schedule()?, plan.avx2.as_ref()?);
                with_heads(aes, plan, tweaks, |heads| {
                    digits256::run(schedule, shape, form, direction, heads, input, output)
                })
            }
            _ => return None,
        };
        Some(run)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (form, aes, plan, direction, tweaks, text);
        None
    }
}

/// Takes integers, whose right halves are their lowest `width` bits, through all rounds where a kernel has code that needs no halves
/// in memory: says whether it has.
pub(super) fn walk_bits(
    kernel: Kernel,
    aes: &Aes,
    plan: &Plan<u64>,
    direction: Direction,
    tweaks: RowTweaks<'_>,
    values: &mut [u64],
    width: u32,
) -> bool {
    #[cfg(target_arch = "x86_64")]
    if kernel == Kernel::Avx512
        && let (Some(schedule), Some(shape)) = (aes.schedule(), &plan.avx512)
        && x86_64::bits512::covers(shape)
    {
        return with_heads(aes, plan, tweaks, |heads| {
            x86_64::bits512::run(schedule, shape, direction, heads, values, width);
            true
        });
    }
    let _ = (kernel, aes, plan, direction, tweaks, values, width);
    false
}

/// Gives `run` the heads of rows with `tweaks`.
#[cfg(target_arch = "x86_64")]
fn with_heads(
    aes: &Aes,
    plan: &Plan<u64>,
    tweaks: RowTweaks<'_>,
    run: impl FnOnce(x86_64::HeadSource<'_>) -> bool,
) -> bool {
    use super::ff1::Memo;
    use super::lanes::{Heads, LANES};
    use x86_64::HeadSource;

    let mut memo = Memo::default();
    let mut per_row = |rows: std::ops::Range<usize>| {
        let mut heads = [[0; LANES]; 2];
        plan.heads(aes, &mut memo, rows.map(|row| tweaks.of(row)), &mut heads);
        Heads::PerRow(heads)
    };
    let (shared, joined);
    // Tweaks of one length are read together.
    let tweaks = match tweaks {
        RowTweaks::PerRow(each @ [first, others @ ..]) if others.iter().all(|tweak| tweak.len() == first.len()) => {
            joined = each.concat();
            RowTweaks::Packed {
                bytes: &joined,
                length: first.len(),
            }
        }
        other => other,
    };
    let heads = match tweaks {
        RowTweaks::Shared(tweak) => {
            shared = plan.shared_heads(aes, tweak);
            HeadSource::Shared(&shared)
        }
        RowTweaks::Packed { bytes, length } => match plan.chain(aes, length) {
            Some((chain, whole_blocks)) => HeadSource::Packed {
                chain,
                whole_blocks,
                tweaks: bytes,
                length,
            },
            None => HeadSource::Each(&mut per_row),
        },
        RowTweaks::PerRow(_) => HeadSource::Each(&mut per_row),
    };
    run(heads)
}

/// How a kernel takes texts apart.
pub(in crate::cipher) enum Sieve {
    Portable(sieve::Form),
    #[cfg(target_arch = "x86_64")]
    Avx2(Box<x86_64::sieve256::Form>),
    #[cfg(target_arch = "x86_64")]
    Avx512(Box<x86_64::sieve512::Form>),
}

impl Sieve {
    pub(super) fn new(kernel: Kernel, free: RangeInclusive<usize>, pattern: &Pattern<'_>) -> Self {
        #[cfg(target_arch = "x86_64")]
        if kernel == Kernel::Avx512
            && let Some(form) = x86_64::sieve512::Form::new(free.clone(), pattern)
        {
            return Self::Avx512(Box::new(form));
        }
        #[cfg(target_arch = "x86_64")]
        if matches!(kernel, Kernel::Avx512 | Kernel::Avx2)
            && x86_64::avx2::available()
            && let Some(form) = x86_64::sieve256::Form::new(free.clone(), pattern)
        {
            return Self::Avx2(Box::new(form));
        }
        let _ = kernel;
        Self::Portable(sieve::Form::new(free, pattern))
    }

    pub(super) fn take(&mut self, bytes: &[u8], places: &[Place], taken: &mut Taken) {
        match self {
            Self::Portable(form) => form.take(bytes, places, taken),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(form) => form.take(bytes, places, taken),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(form) => form.take(bytes, places, taken),
        }
    }

    pub(super) fn put(
        &mut self,
        bytes: &[u8],
        places: &[Place],
        taken: &Taken,
        results: &[Vec<u8>],
        output: &mut [u8],
    ) {
        match self {
            Self::Portable(form) => form.put(bytes, places, taken, results, output),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(form) => form.put(bytes, places, taken, results, output),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(form) => form.put(bytes, places, taken, results, output),
        }
    }
}
