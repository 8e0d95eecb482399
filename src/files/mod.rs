//! Parquet files in, Parquet files out.
//!
//! A file is rewritten row group by row group, with the memory of one row group; written aside, synced, renamed.
//! Statistics, dictionaries, page indexes and bloom filters of a protected column are those of what stands in the new
//! file. Everything that can be checked is checked before the first byte is written.

mod commit;
mod rewrite;
mod source;
mod table_name;
mod types;

#[cfg(feature = "cli")]
pub(crate) use commit::OutputFile;
pub use rewrite::{Job, Progress, Report};
pub use source::Source;
pub use table_name::table_name;
