//! SQL: functions and protected tables, in a session of their own or in any DataFusion `SessionContext`.
//!
//! | function | does |
//! | --- | --- |
//! | `protect(v, 'rule' [, tweak])` | protects `v` as the rule says, under the active key version |
//! | `reveal(v, 'rule' [, tweak])` | undoes it; `'rule@2'` names a key version |
//! | `fpe_encrypt(v, 'rule' [, tweak])` | the FF1 underneath; a given tweak takes the place of the rule's |
//! | `fpe_decrypt(v, 'rule' [, tweak])` | its inverse |
//! | `tokenize(v, 'rule')` | the token of `v`, minted if it has none |
//! | `detokenize(t, 'rule')` | the value of a token |
//! | `mask(v, 'rule')` | letters, digits and the format's other symbols replaced as the rule's `mask` says |
//!
//! The rule is a literal. Keys are resolved when a [`Session`] begins, never while a query is planned or runs.
//!
//! Field metadata gets lost and goes stale inside a query engine, so it is read once, when a file is opened
//! ([`Session::register_file`]): the table is then a view in which each protected column is `reveal(column,
//! 'rule@version')`.

mod access;
mod answer;
mod errors;
mod explain;
mod functions;
mod grants;
mod guards;
mod limits;
mod prepared;
mod record;
mod revealed_values;
mod roles;
mod session;
mod spill;
mod tables;
mod types;

pub use answer::Answer;
pub use limits::Limits;
pub use session::{Session, statements};
#[cfg(feature = "cli")]
pub(crate) use tables::is_protected;

use errors::external;
pub use errors::{from_datafusion, from_execution};
