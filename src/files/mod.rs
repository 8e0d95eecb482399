//! Parquet files in, Parquet files out.
//!
//! The new file has the schema and the row groups of its source. Columns that no rule is for are copied as they stand,
//! pages, statistics, indexes and bloom filters; the others are decoded, transformed and encoded on all cores, and have
//! statistics, dictionaries, indexes and bloom filters of what stands in the new file. It is written aside, synced and
//! renamed. Everything that can be checked is checked before the first byte is written.
//!
//! | module | does |
//! | --- | --- |
//! | `source` | opens a file, and says what is wrong with it |
//! | `schema` | the Parquet and Arrow schemas of both files |
//! | `rewrite` | the job |
//! | `pipeline` | its parts on all cores, results in order |
//! | `encode` | one part: decode, transform, encode |
//! | `copy`, `pages` | columns as they stand, their checksums compared |
//! | `footer` | entries of the footer that may stand in the new file |
//! | `int96` | the unit for timestamps of the old type |
//! | `chunk`, `page_store` | bytes of the source for several threads, encoded pages on their way |
//! | `commit` | files that appear whole or not at all |

mod chunk;
mod commit;
mod copy;
mod encode;
mod footer;
mod int96;
mod page_store;
mod pages;
mod pipeline;
mod rewrite;
mod schema;
mod source;
mod table_name;

#[cfg(feature = "cli")]
pub(crate) use commit::OutputFile;
pub use pipeline::Progress;
pub use rewrite::{Job, Report};
pub use source::Source;
pub use table_name::table_name;
