//! Rules made ready for one key version: keys resolved, tables built, synchronous, shareable between threads.
//!
//! [`Engine`] holds a policy and its keyring, and resolves rules to [`Transform`]s; that is the only asynchronous part,
//! and it comes before any row. Each treatment is one file that implements the trait `Treatment`; `wrap` has those that
//! change what another one does.

mod batch;
mod bucket;
mod engine;
mod fingerprint;
mod fpe;
mod hash;
mod mask;
mod rows;
mod shift;
mod siv;
mod token_rows;
mod tokenize;
mod transform;
mod treatment;
mod wrap;

pub use batch::{Batch, BytesBatch, OrdinalBatch, Outcome, TextBatch, Texts, Values};
pub use engine::Engine;
pub use fpe::{AsciiRows, AsciiScratch};
pub use mask::mask;
pub use transform::Transform;
