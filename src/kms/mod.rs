//! KMS providers: one file each, all alike behind [`KmsClient`](crate::keys::KmsClient).
//!
//! | scheme | client | feature |
//! | --- | --- | --- |
//! | `local` | `LocalKms`: a sealed file in the user's configuration directory | `kms-local` |
//! | `memory` | [`MemoryKms`]: for tests | |
//!
//! A provider of one's own implements the trait, passes [`conformance::check`], and is registered in a [`KmsRegistry`](crate::keys::KmsRegistry).

pub mod conformance;
#[cfg(feature = "kms-local")]
mod local;
mod memory;
mod seal;

#[cfg(feature = "kms-local")]
pub use local::{LocalKeyInfo, LocalKms, Unlock};
pub use memory::{Calls, MemoryKms};
