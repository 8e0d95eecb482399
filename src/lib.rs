#![doc = include_str!("../README.md")]
#![deny(unsafe_code)] // the kernels and `columns::ascii` alone may allow it

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "columns")]
pub mod columns;
mod error;
#[cfg(feature = "files")]
pub mod files;
pub mod formats;
mod fs;
pub mod keys;
pub mod kms;
pub mod manual;
pub mod policy;
mod secret;
#[cfg(feature = "sql")]
pub mod sql;
pub mod tokens;
pub mod transform;
pub mod vectors;

use cipherform_ascii as ascii;
#[doc(inline)]
pub use cipherform_cipher as cipher;
#[cfg(feature = "columns")]
use cipherform_simd as simd;

pub use error::{Error, ErrorKind, Hint, HintPart, Remedy, Result};
pub use secret::Secret;
pub use transform::Engine;
