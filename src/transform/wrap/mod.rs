//! Treatments around treatments.

mod masked;
mod versioned;

pub(super) use masked::Masked;
pub(super) use versioned::Versioned;
