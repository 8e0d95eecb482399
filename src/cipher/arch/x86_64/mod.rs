//! Kernels for x86-64: AES and its arithmetic in vector registers.

#![allow(unsafe_code)] // intrinsics that read and write memory, and calls into code for features that were detected

pub(in crate::cipher) mod avx2;
pub(in crate::cipher) mod avx512;
pub(in crate::cipher) mod bits512;
pub(in crate::cipher) mod digits256;
pub(in crate::cipher) mod digits512;
mod heads;
mod schedule;
pub(in crate::cipher) mod sieve256;
pub(in crate::cipher) mod sieve512;
pub(in crate::cipher) mod text512;

pub(in crate::cipher) use heads::HeadSource;
pub(in crate::cipher) use schedule::Schedule;
