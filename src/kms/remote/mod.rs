//! What every client of a remote KMS does alike: it works off the async threads, with patience that ends, over few connections, and says nothing secret.

#[cfg(feature = "kms-azure")]
mod context_digest;
#[cfg(feature = "kms-http")]
pub(super) mod http;
mod limiter;
#[cfg(any(feature = "kms-azure", feature = "kms-gcp"))]
pub(super) mod oauth;
mod reference;
mod refusal;
mod retry;
#[cfg(feature = "kms-tls")]
pub(super) mod tls;

#[cfg(feature = "kms-azure")]
pub(super) use context_digest::{with_digest, without_digest};
pub(super) use limiter::Queue;
pub(super) use reference::{decode, decode_bytes, malformed, parameters};
pub(super) use refusal::{does_not_unwrap, no_such_key};
pub(super) use retry::{Failure, attempt};
