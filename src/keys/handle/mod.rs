//! Key handles: unwrapped keys with their cache, their lease and their usage.

mod cache;
mod cache_limits;
mod key_handle;
mod lease;
mod material;
mod usage;

pub(crate) use cache::Cache;
pub use cache_limits::CacheLimits;
pub use key_handle::KeyHandle;
pub(crate) use material::KeyMaterial;
pub(crate) use usage::{Usage, UsageLimit, UsageReport};
