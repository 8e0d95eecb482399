//! Format-preserving encryption: FF1, or the legacy FF3-1, over the numerals or the rank of a value.

mod ascii;
mod bands;
mod cipher;
mod cycle_walk;
mod ranked;
mod segmented;
mod shape;
mod strings;
mod treatment;

pub use ascii::{AsciiRows, AsciiScratch};
pub(super) use cipher::{Fpe, floor};
