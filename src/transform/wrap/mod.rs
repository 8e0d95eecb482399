//! Treatments around treatments.

mod masked;
mod misfits;
mod versioned;

pub(super) use masked::Masked;
pub(super) use misfits::Misfits;
pub(super) use versioned::Versioned;
