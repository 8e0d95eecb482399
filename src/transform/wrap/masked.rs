//! Masking of what is revealed, for a role that may see no more.

use std::sync::Arc;

use crate::cipher::Direction;
use crate::formats::RowError;
use crate::policy::{OnEmpty, OnInvalid, Rule};
use crate::tokens::Tokenizer;
use crate::transform::batch::{BytesBatch, OrdinalBatch, Outcome, TextBatch, Texts, Values};
use crate::transform::mask::mask_for_role;
use crate::transform::treatment::Treatment;

/// The text that a role sees in place of every value that did not fit its format.
const MISFIT: &str = "***";

/// A treatment that reveals values masked: text with its symbols replaced, everything else as NULL.
pub(in crate::transform) struct Masked(pub(in crate::transform) Arc<dyn Treatment>);

impl Treatment for Masked {
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        // Masking concerns what is read. A role that may protect writes real values.
        if batch.direction == Direction::Encrypt {
            return self.0.texts(rule, batch, out);
        }
        // What did not fit has no format by which it could be masked: it is not even opened.
        let is_wrapped = |row: &Option<&str>| {
            rule.on_invalid == OnInvalid::Siv && row.is_some_and(|value| value.starts_with(rule.wrap_mark))
        };
        let rows: Vec<Option<&str>> = batch.rows.iter().map(|row| row.filter(|_| !is_wrapped(row))).collect();
        // Plain values go to a buffer of their own and never into the result.
        let mut clear = Texts::default();
        let mut outcome = self.0.texts(rule, TextBatch { rows: &rows, ..batch }, &mut clear)?;
        for (row, text) in batch.rows.iter().zip(clear.iter()) {
            match text {
                None if is_wrapped(row) => {
                    outcome.wrapped += 1;
                    out.push_with(|out| out.push_str(rule.mask.fixed.as_deref().unwrap_or(MISFIT)));
                }
                // Also values that were kept in the clear because they did not fit: they are as secret as the
                // others.
                Some(text) => out.push_with(|out| out.push_str(&mask_for_role(text, rule))),
                None => out.push_null(),
            }
        }
        Ok(outcome)
    }

    fn ordinals(&self, rule: &Rule, batch: OrdinalBatch<'_>) -> Result<Values<i128>, RowError> {
        match batch.direction {
            Direction::Encrypt => self.0.ordinals(rule, batch),
            // A number has no symbols to replace; any number in its place would look like a real one.
            Direction::Decrypt => Ok((vec![None; batch.rows.len()], Outcome::default())),
        }
    }

    fn bytes(&self, rule: &Rule, batch: BytesBatch<'_>) -> Result<Values<Vec<u8>>, RowError> {
        if batch.direction == Direction::Encrypt {
            return self.0.bytes(rule, batch);
        }
        // An empty value that is kept is no secret: it is stored as such.
        let stays = |value: &[u8]| value.is_empty() && rule.on_empty == OnEmpty::Keep;
        let rows = batch.rows.iter();
        let masked = rows.map(|value| value.filter(|value| stays(value)).map(<[u8]>::to_vec));
        Ok((masked.collect(), Outcome::default()))
    }

    fn takes_ordinals(&self) -> bool {
        self.0.takes_ordinals()
    }

    fn takes_bytes(&self) -> bool {
        self.0.takes_bytes()
    }

    fn result_length(&self) -> Option<usize> {
        self.0.result_length()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.0.tokenizer()
    }
}
