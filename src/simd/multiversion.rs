//! Function multiversioning: compiles a loop for several instruction sets and picks the best at run time.
//!
//! A [`MultiversionTask`] is plain Rust. Its body is inlined into one function per instruction set, and each of
//! these is compiled for that set's features, so that the compiler makes vector code of the loop for registers of
//! 512, 256 or 128 bits.

#![allow(unsafe_code)] // calls into code for features that were detected

/// A loop over many rows, for [`run`].
pub trait MultiversionTask {
    /// The result of the loop.
    type Output;

    /// Runs the loop. Implementations are `#[inline(always)]`, and so is everything they call in their loops: that
    /// makes them part of the caller, and code for its features.
    fn run(self) -> Self::Output;
}

/// The instruction sets that a [`MultiversionTask`] is compiled for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Instructions {
    /// AVX-512 F, BW, DQ and VL: registers of 512 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2: registers of 256 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The instructions that every processor of this architecture has.
    Baseline,
}

impl Instructions {
    /// The widest set of this processor.
    pub fn widest() -> Self {
        // The answer is kept by the standard library: asking again is a load and a test.
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            let all = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            return if all { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Baseline
    }

    /// All sets of this processor, the narrowest first.
    pub fn available() -> &'static [Self] {
        const ALL: &[Instructions] = &[
            Instructions::Baseline,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512,
        ];
        let widest = Self::widest();
        let count = ALL.iter().take_while(|set| **set != widest).count() + 1;
        &ALL[..count]
    }
}

/// Runs `task`, compiled for the widest instruction set of this processor.
pub fn run<T: MultiversionTask>(task: T) -> T::Output {
    // Once a call and not once a row: tasks are loops over many rows.
    // SAFETY: `widest` has found the features on this processor.
    unsafe { run_unchecked(Instructions::widest(), task) }
}

/// Runs `task`, compiled for `instructions`.
///
/// # Panics
///
/// If this processor does not have these.
pub fn run_with<T: MultiversionTask>(instructions: Instructions, task: T) -> T::Output {
    assert!(
        Instructions::available().contains(&instructions),
        "this processor lacks these instructions"
    );
    // SAFETY: the line above has found the features on this processor.
    unsafe { run_unchecked(instructions, task) }
}

/// Runs `task`, compiled for `instructions`.
///
/// # Safety
///
/// `instructions` must be one of [`Instructions::available`].
unsafe fn run_unchecked<T: MultiversionTask>(instructions: Instructions, task: T) -> T::Output {
    match instructions {
        // SAFETY: the caller promises that this processor has AVX-512 F, BW, DQ and VL.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { run_avx512(task) },
        // SAFETY: the caller promises that this processor has AVX2.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { run_avx2(task) },
        Instructions::Baseline => task.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512<T: MultiversionTask>(task: T) -> T::Output {
    task.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<T: MultiversionTask>(task: T) -> T::Output {
    task.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sum<'a>(&'a [u32]);

    impl MultiversionTask for Sum<'_> {
        type Output = u32;

        #[inline(always)]
        fn run(self) -> u32 {
            self.0.iter().sum()
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_sum() {
        let numbers: Vec<u32> = (0..1000).collect();
        assert_eq!(Instructions::available().last(), Some(&Instructions::widest()));
        for instructions in Instructions::available() {
            assert_eq!(run_with(*instructions, Sum(&numbers)), run(Sum(&numbers)));
        }
    }
}
