//! AVX2 with FMA and AES-NI or VAES.

#![allow(unsafe_code)] // intrinsics that read and write memory, and calls into code for features that were detected

pub(crate) mod decimal;
pub(crate) mod params;
pub(crate) mod prefixes;
pub(crate) mod registers;
pub(crate) mod remainders;
pub(crate) mod rounds;
#[cfg(test)]
mod tests;
