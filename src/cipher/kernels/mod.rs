//! The rounds for each kind of processor: plain Rust, AVX2 and AVX-512.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // intrinsics of units that the caller has found
pub(crate) mod aes;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod dispatch;
#[cfg(all(test, unix))]
#[allow(unsafe_code)] // pages that cannot be touched
mod guard;
pub(crate) mod kernel;
pub(crate) mod portable;
#[cfg(target_arch = "x86_64")]
pub(crate) mod prefix_source;
#[cfg(target_arch = "x86_64")]
pub(crate) mod schedule;
