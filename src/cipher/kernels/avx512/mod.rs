//! AVX-512 with IFMA, VBMI and VAES.

#![allow(unsafe_code)] // intrinsics that read and write memory, and calls into code for features that were detected

pub(crate) mod decimal;
pub(crate) mod integers;
pub(crate) mod params;
pub(crate) mod prefixes;
pub(crate) mod registers;
pub(crate) mod remainders;
pub(crate) mod rounds;
pub(crate) mod symbols;
