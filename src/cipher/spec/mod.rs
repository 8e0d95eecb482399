//! The standard, SP 800-38G: what each mode fixes, its limits, and the reference implementation.

pub(crate) mod error;
pub(crate) mod feistel;
pub(crate) mod ff1;
pub(crate) mod ff3_1;
pub(crate) mod key;
pub(crate) mod radix;
pub(crate) mod reference;
pub(crate) mod tweaks;
pub(crate) mod types;
