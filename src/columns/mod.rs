//! Arrow arrays in, Arrow arrays out, of the same type.
//!
//! [`treat`] does one array under one transform ([`apply`] does so without waiting, for treatments that wait for
//! nothing). A [`BatchPlan`] does whole record batches: it binds a policy to a schema, or reads the metadata of one
//! that is protected, and checks all that can be checked before the first row.

mod array;
mod ascii;
mod batch;
mod bind;
mod bytes;
mod counts;
mod dictionary;
mod examine;
mod metadata;
mod nested;
mod ordinal;
mod runs;
mod task;
#[cfg(test)]
mod tests;
mod text;
mod tokens;
mod tweak;
mod types;

pub use array::{apply, treat};
#[cfg(feature = "files")]
pub(crate) use batch::LeafFate;
pub use batch::{BatchPlan, ColumnSummary};
pub use bind::RevealOptions;
#[cfg(feature = "sql")]
pub(crate) use bind::{check_circles, resolve};
pub use counts::ValueCounts;
pub use examine::{MisfitReasons, MisfitRows};
pub use metadata::{ColumnDescription, METADATA_KEY, ProtectedColumn, describe, protected_columns};
#[cfg(feature = "files")]
pub(crate) use metadata::{file_description, with_descriptions};
#[cfg(feature = "files")]
pub(crate) use nested::{leaf_paths, with_leaves};
pub use task::{Task, Treated};
pub use types::check_type;
