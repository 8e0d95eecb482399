//! Key handles: unwrapped keys with their cache, their lease and their usage.

mod cache;
mod key_handle;
mod lease;
mod material;
mod usage;

pub(crate) use cache::Cache;
pub use key_handle::KeyHandle;
pub(crate) use material::KeyMaterial;
pub(crate) use usage::{UsageLimit, UsageReport, VersionUsage};
