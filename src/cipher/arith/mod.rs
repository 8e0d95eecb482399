//! Arithmetic without division: NUM and STR, and remainders.

pub(crate) mod barrett;
pub(crate) mod bignum;
pub(crate) mod numeral;
pub(crate) mod numeral_batch;
#[cfg(target_arch = "x86_64")]
pub(crate) mod reduce_fma;
#[cfg(target_arch = "x86_64")]
pub(crate) mod reduce_ifma;
