//! Format-preserving encryption and tokenization for data in use.

#![deny(unsafe_code)] // `cipher::arch` alone may allow it

pub mod cipher;
mod error;
pub mod keys;
pub mod kms;
mod secret;

pub use error::{Error, ErrorKind, Result};
pub use secret::Secret;
