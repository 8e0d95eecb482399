//! The trait that every treatment implements.

use super::batch::{BytesBatch, OrdinalBatch, Outcome, TextBatch, Texts, Values};
use super::fpe::Fpe;
use crate::Error;
use crate::formats::RowError;
use crate::policy::Rule;
use crate::tokens::Tokenizer;

/// A treatment made ready for one key version: what [`Transform`](super::Transform) does to the rows of a column.
///
/// The rule comes with each call, since a caller may give a tweak in place of the rule's own. NULL stays NULL in every
/// method, and a value that does not fit its format is handled as the rule's `on_invalid` says.
pub(super) trait Treatment: Send + Sync {
    /// Treats rows of text, appending one result a row to `out`.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so.
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError>;

    /// Treats rows of numbers, dates or times.
    ///
    /// # Errors
    /// As [`texts`](Self::texts); our bug if it does not [take them](Self::takes_ordinals).
    fn ordinals(&self, _rule: &Rule, _batch: OrdinalBatch<'_>) -> Result<Values<i128>, RowError> {
        // A default, as few treatments take them. Columns are checked by type before, so nothing leads here.
        Err(Error::bug("a treatment of text in a column of ordinals").into())
    }

    /// Treats rows of bytes.
    ///
    /// # Errors
    /// As [`texts`](Self::texts); our bug if it does not [take them](Self::takes_bytes).
    fn bytes(&self, _rule: &Rule, _batch: BytesBatch<'_>) -> Result<Values<Vec<u8>>, RowError> {
        Err(Error::bug("a treatment of text in a column of bytes").into())
    }

    /// Tells whether columns of numbers, dates and times can be treated.
    fn takes_ordinals(&self) -> bool {
        false
    }

    /// Tells whether columns of bytes can be treated.
    fn takes_bytes(&self) -> bool {
        false
    }

    /// The length of each result in bytes, if all have the same.
    fn result_length(&self) -> Option<usize> {
        None
    }

    /// The ciphers, if nothing but format-preserving encryption is done: whole columns have faster ways then.
    // Wrappers leave the default in place: the fast ways know only the bare cipher, and would skip what the
    // wrapper does.
    fn fpe(&self) -> Option<&Fpe> {
        None
    }

    /// The tokenizer, if values are tokenized.
    fn tokenizer(&self) -> Option<&Tokenizer> {
        None
    }
}
