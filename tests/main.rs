//! The integration tests: one binary, so that DataFusion is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in a test, a panic is the message

mod answers;
mod bad_input;
mod columns;
mod command;
mod customer;
mod domains;
mod files;
mod fixture;
#[cfg(all(feature = "full", target_os = "linux"))]
mod foreign;
mod hardening;
mod hostile;
mod interchange;
mod keys;
#[cfg(feature = "full")]
mod kms;
#[cfg(target_os = "linux")]
mod memory;
mod misfits;
mod partners;
mod roles;
mod sandbox;
mod secrets;
mod shapes;
mod sql;
mod tables;
mod tokens;
