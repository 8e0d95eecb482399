//! A rule made ready for one key version: keys resolved, tables built, synchronous, shareable between threads.
//!
//! [`Engine`] holds a policy and its keyring, and resolves rules to [`Transform`]s; that is the only asynchronous part, and it
//! comes before any row. One treatment is one file.

mod bucket;
mod encrypt;
mod engine;
mod fingerprint;
mod hash;
mod mask;
mod plain;
mod resolve;
mod shift;
mod siv;
mod texts;
mod tokenize;
mod values;
mod version;
mod walk;

pub use encrypt::RowError;
pub use engine::Engine;
pub use mask::mask;
pub use plain::{ColumnTweaks, Rows, Scratch};
pub use resolve::Transform;
pub use texts::Texts;
pub use tokenize::Left;
pub use values::Values;
