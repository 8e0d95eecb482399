//! Which code does the work, chosen once and tried before it is trusted.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use super::{arch, selftest};
use crate::{Error, Result};

/// A way to compute the ciphers. All give the same answers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Kernel {
    /// Many values side by side in registers of 512 bits: VAES, IFMA and VBMI on x86-64.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Many values side by side in registers of 256 bits: AVX2, FMA and AES-NI on x86-64, with VAES where there is that.
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
        arch::available()
    }

    /// The one to use unless told otherwise.
    pub fn fastest() -> Self {
        Self::available()[0]
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

    /// Lets this kernel be used if it has given the known answers once in this process.
    pub(super) fn proven(self) -> Result<()> {
        #[cfg(target_arch = "x86_64")]
        static AVX512: OnceLock<bool> = OnceLock::new();
        #[cfg(target_arch = "x86_64")]
        static AVX2: OnceLock<bool> = OnceLock::new();
        static PORTABLE: OnceLock<bool> = OnceLock::new();
        static NAIVE: OnceLock<bool> = OnceLock::new();
        let proof = match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => &AVX512,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => &AVX2,
            Self::Portable => &PORTABLE,
            Self::Naive => &NAIVE,
        };
        if *proof.get_or_init(|| selftest::gives_known_answers(self)) {
            Ok(())
        } else {
            Err(Error::bug(format!(
                "kernel `{self}` gives wrong answers on this machine and is not used"
            )))
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernel {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let kernels = Self::available();
        kernels
            .iter()
            .copied()
            .find(|kernel| kernel.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = kernels.iter().map(|kernel| kernel.name()).collect();
                Error::bad_input(format!("no kernel `{name}` here")).with_hint(format!("one of: {}", names.join(", ")))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_every_kernel_is_proven() {
        for kernel in Kernel::available() {
            assert_eq!(kernel.to_string().parse::<Kernel>().unwrap(), kernel);
            kernel.proven().unwrap();
        }
        assert!("abacus".parse::<Kernel>().is_err());
    }
}
