//! Numerals in, numerals out: FF1 as NIST SP 800-38G has it, and the legacy FF3-1 and FF3.
//!
//! A [`Cipher`] is a key, a mode and a radix. The batch is the main call: all rows of one length go through the rounds
//! side by side.
//!
//! ```
//! # mod cipherform { pub use cipherform_cipher as cipher; }
//! use cipherform::cipher::{AesKey, Cipher, Direction, Radix, Tweaks};
//!
//! let key = AesKey::try_new(&[7; 32])?;
//! let cipher = Cipher::ff1(&key, Radix::try_new(10)?);
//! let mut numerals = [4, 1, 1, 1, 1, 1, 9, 0, 0, 0, 0, 1]; // two rows of six
//! cipher.apply(Direction::Encrypt, Tweaks::Shared(b""), &mut numerals, 6)?;
//! cipher.apply(Direction::Decrypt, Tweaks::Shared(b""), &mut numerals, 6)?;
//! assert_eq!(numerals, [4, 1, 1, 1, 1, 1, 9, 0, 0, 0, 0, 1]);
//! # Ok::<(), cipherform::cipher::CipherError>(())
//! ```
//!
//! For radices up to 64 and halves up to 128 bits, time and memory addresses do not depend on keys or values. Lengths,
//! tweak lengths and whether an input is valid do show, and so may everything else about larger radices, longer halves
//! and [`Kernel::Naive`].

#![deny(unsafe_code)] // the kernels alone may allow it

mod arith;
mod batch;
mod cipher;
mod kernels;
#[doc(hidden)]
pub mod limit;
pub mod selftest;
mod spec;
#[cfg(test)]
mod tests;

pub use batch::integers::Word;
pub use cipher::Cipher;
pub use kernels::kernel::Kernel;
pub use spec::error::CipherError;
pub use spec::key::AesKey;
pub use spec::radix::{DomainFloor, Radix};
pub use spec::tweaks::Tweaks;
pub use spec::types::{Direction, Mode};

pub use cipherform_ascii::Symbols;
