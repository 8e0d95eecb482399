//! Proof on this machine: known answers, every kernel against the reference implementation and the crate `fpe`, and
//! files of vectors.
//!
//! Nothing is printed here: results go to the caller line by line.

pub(crate) mod crosscheck;
pub(crate) mod known_answers;
pub(crate) mod random;
mod report;
mod suite;
mod vectors;

pub use report::{PartReport, Summary, Totals};
pub use suite::run;
pub use vectors::{Expected, Vector, VectorFile};
