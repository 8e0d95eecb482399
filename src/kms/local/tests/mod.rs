//! Tests of the local KMS, by topic.

mod bench;
#[cfg(feature = "exchange")]
mod exchange;
mod file;
mod lifecycle;
mod policies;
mod unlock;
