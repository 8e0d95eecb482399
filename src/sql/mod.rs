//! SQL: functions and protected tables for any DataFusion `SessionContext`.
//!
//! | function | does |
//! | --- | --- |
//! | `protect(v, 'rule' [, tweak])` | protects `v` as the rule says, under the active key version |
//! | `reveal(v, 'rule' [, tweak])` | undoes it; `'rule@2'` names a key version |
//! | `fpe_encrypt(v, 'rule' [, tweak])` | the FF1 underneath; a given tweak takes the place of the rule's |
//! | `fpe_decrypt(v, 'rule' [, tweak])` | its inverse |
//! | `mask(v, 'rule')` | letters and digits replaced as the rule's `mask` says |
//!
//! The rule is a literal. Keys are resolved by [`register`], never while a query is planned or runs.
//!
//! Field metadata gets lost and goes stale inside a query engine, so it is read once, when a file is opened ([`register_file`]):
//! the table is then a view in which each protected column is `reveal(column, 'rule@version')`.

mod functions;
mod session;
mod tables;

pub use session::{context, query, register, register_batches, register_file};

use datafusion::error::DataFusionError;

use crate::{Error, ErrorKind};

/// Our error, on its way through DataFusion.
fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// An error of DataFusion as ours: one of our own that passed through it comes back as it was.
pub fn from_datafusion(error: DataFusionError) -> Error {
    fn ours(error: &DataFusionError) -> Option<Error> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(ours) = error.downcast_ref::<Error>() {
                let copy = Error::new(ours.kind(), ours.to_string());
                return Some(match ours.hint() {
                    Some(hint) => copy.with_hint(hint),
                    None => copy,
                });
            }
            cause = error.source();
        }
        None
    }
    ours(&error).unwrap_or_else(|| Error::new(ErrorKind::BadInput, error.strip_backtrace()))
}
