//! The common parts of clients of remote KMSs. Work runs off the async threads, is retried within limits, uses few
//! connections, and reports nothing secret.

#![cfg_attr(
    not(all(
        feature = "kms-aws",
        feature = "kms-azure",
        feature = "kms-gcp",
        feature = "kms-kmip",
        feature = "kms-pkcs11",
        feature = "kms-vault"
    )),
    allow(dead_code, unused_imports, unused_macros, reason = "each provider uses some of this")
)]

mod client;
#[cfg(feature = "kms-azure")]
mod context_digest;
#[cfg(any(feature = "kms-azure", feature = "kms-gcp"))]
pub(super) mod hosts;
#[cfg(feature = "kms-http")]
pub(super) mod http;
mod limiter;
#[cfg(any(feature = "kms-azure", feature = "kms-gcp"))]
pub(super) mod oauth;
mod reference;
pub(super) mod refusal;
mod retry;
#[cfg(feature = "kms-http")]
pub(super) mod secret_text;
#[cfg(feature = "kms-tls")]
pub(super) mod tls;
#[cfg(feature = "kms-http")]
pub(super) mod token_cache;

pub(super) use client::{Provider, Remote, remote_client};
#[cfg(feature = "kms-azure")]
pub(super) use context_digest::{with_digest, without_digest};
pub(super) use limiter::Limiter;
pub(super) use reference::{decode, decode_bytes, malformed, parameters};
pub(super) use refusal::{does_not_unwrap, no_such_key};
pub(super) use retry::{Failure, attempt};
