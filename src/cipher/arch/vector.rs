//! Plain Rust that the compiler makes vector code of, compiled for more than the least of processors.

#![allow(unsafe_code)] // calls into code for features that were detected

/// Loops over many rows, for [`run`].
pub(in crate::cipher) trait Task {
    /// What is left to say when it is done.
    type Output;

    /// Does it. Implementations are `#[inline(always)]`, and so is what they call in their loops: that makes them part of the caller,
    /// and code for its features.
    fn run(self) -> Self::Output;
}

/// Runs `task`, compiled for the widest registers of this processor.
pub(in crate::cipher) fn run<T: Task>(task: T) -> T::Output {
    // SAFETY: they are this processor's.
    unsafe { run_in(Registers::widest(), task) }
}

/// What a task may be compiled for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Registers {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Those that every processor of this kind has.
    Basic,
}

impl Registers {
    /// The widest of this processor.
    fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            let all = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            return if all { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Basic
    }
}

/// # Safety
///
/// `registers` must be no wider than [`Registers::widest`].
unsafe fn run_in<T: Task>(registers: Registers, task: T) -> T::Output {
    match registers {
        // SAFETY: `widest` finds the features, or the caller would not name them.
        #[cfg(target_arch = "x86_64")]
        Registers::Avx512 => unsafe { avx512(task) },
        // SAFETY: likewise; what has AVX-512 has AVX2.
        #[cfg(target_arch = "x86_64")]
        Registers::Avx2 => unsafe { avx2(task) },
        Registers::Basic => task.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<T: Task>(task: T) -> T::Output {
    task.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<T: Task>(task: T) -> T::Output {
    task.run()
}

/// How many kinds of registers this processor has, for [`run_at`].
#[cfg(test)]
pub(in crate::cipher) fn widths() -> usize {
    ALL.iter()
        .position(|registers| *registers == Registers::widest())
        .expect("it is one of all")
        + 1
}

/// Runs `task`, compiled for the `width`-th kind of registers; the narrowest is the 0-th.
#[cfg(test)]
pub(in crate::cipher) fn run_at<T: Task>(width: usize, task: T) -> T::Output {
    assert!(width < widths());
    // SAFETY: that is no wider than the widest.
    unsafe { run_in(ALL[width], task) }
}

/// The narrowest first.
#[cfg(test)]
const ALL: &[Registers] = &[
    Registers::Basic,
    #[cfg(target_arch = "x86_64")]
    Registers::Avx2,
    #[cfg(target_arch = "x86_64")]
    Registers::Avx512,
];
