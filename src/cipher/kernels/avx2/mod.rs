//! AVX2 with FMA and AES-NI or VAES.

#![allow(unsafe_code)] // intrinsics that read and write memory, and calls into code for features that were detected

pub(crate) mod decimal;
pub(crate) mod rounds;
