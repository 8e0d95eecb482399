//! `tokenize`: random tokens of the format, kept in a store.

use super::batch::{Outcome, TextBatch, Texts};
use super::treatment::Treatment;
use crate::Error;
use crate::formats::RowError;
use crate::policy::Rule;
use crate::tokens::Tokenizer;

/// Tokens of one rule, minted and revealed by its tokenizer. A store may be far away, so only the asynchronous
/// `token_texts` and `token_ordinals` of [`Transform`](super::Transform) ask it.
pub(super) struct Tokens(pub(super) Tokenizer);

impl Treatment for Tokens {
    fn texts(&self, rule: &Rule, _: TextBatch<'_>, _: &mut Texts) -> Result<Outcome, RowError> {
        // The synchronous way cannot wait for a store, so nothing may lead here.
        Err(Error::bug(format!("rule `{}` tokenizes, and its store was not asked", rule.name)).into())
    }

    fn takes_ordinals(&self) -> bool {
        true
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        Some(&self.0)
    }
}
