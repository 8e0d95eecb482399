//! The kernels by name, and the ones that this processor can run.

use std::fmt;
use std::str::FromStr;

use cipherform_simd::multiversion::Instructions;

#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};
use crate::spec::error::{CipherError, Result};

/// A way to compute the ciphers. All give the same answers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Kernel {
    /// Many values side by side in registers of 512 bits: VAES, IFMA and VBMI on x86-64.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Many values side by side in registers of 256 bits: AVX2, FMA and AES-NI on x86-64, with VAES where there is
    /// that.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Many values side by side, in plain Rust.
    Portable,
    /// One value at a time on big integers: slow, plainly right, not constant time.
    Naive,
}

impl Kernel {
    /// Every kernel that this processor can run, the fastest first.
    pub fn available() -> Vec<Self> {
        // Found out at run time and not when compiled: one binary serves every processor of its architecture.
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        if avx512::params::available() {
            kernels.push(Self::Avx512);
        }
        #[cfg(target_arch = "x86_64")]
        if avx2::params::available() {
            kernels.push(Self::Avx2);
        }
        // Plain Rust runs everywhere, so that there is always a fastest kernel and always an independent one to
        // compare it with.
        kernels.extend([Self::Portable, Self::Naive]);
        kernels
    }

    /// The one to use unless told otherwise.
    pub fn fastest() -> Self {
        Self::available()[0]
    }

    /// The instructions for loops around this kernel.
    #[doc(hidden)]
    pub fn instructions(self) -> Instructions {
        match self {
            // These sets are subsets of what the kernel itself needs: whoever may run the kernel may run the loops.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Instructions::Avx512,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Instructions::Avx2,
            Self::Portable | Self::Naive => Instructions::Baseline,
        }
    }

    /// The name that [`Kernel::from_str`] reads.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
            Self::Naive => "naive",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernel {
    type Err = CipherError;

    fn from_str(name: &str) -> Result<Self> {
        // Only what this processor can run may be named: a `Kernel` that exists is one that is safe to call.
        let kernels = Self::available();
        kernels
            .iter()
            .copied()
            .find(|kernel| kernel.name() == name)
            .ok_or_else(|| CipherError::NoSuchKernel {
                name: name.to_owned(),
                available: kernels.iter().map(|kernel| kernel.name()).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for kernel in Kernel::available() {
            assert_eq!(kernel.to_string().parse::<Kernel>().unwrap(), kernel);
        }
        assert!("abacus".parse::<Kernel>().is_err());
    }
}
