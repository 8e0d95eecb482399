//! KMS providers: one file each, all alike behind [`KmsClient`](crate::keys::KmsClient).
//!
//! | scheme | client | feature |
//! | --- | --- | --- |
//! | `memory` | [`MemoryKms`]: for tests | |
//!
//! A provider of one's own implements the trait, passes [`conformance::check`], and is registered in a [`KmsRegistry`](crate::keys::KmsRegistry).

pub mod conformance;
mod memory;
mod seal;

pub use memory::{Calls, MemoryKms};
