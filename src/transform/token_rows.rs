//! Rows tokenized and detokenized through a store.

use super::batch::{Outcome, Texts, Values};
use super::mask::mask_for_role;
use super::rows::stays_empty;
use super::transform::Transform;
use crate::Error;
use crate::cipher::Direction;
use crate::formats::{FormatError, OrdinalRange, RowError};
use crate::keys::Timestamp;
use crate::policy::{OnForgotten, OnInvalid};
use crate::tokens::{Revealed, Tokenizer};

/// The result of a value that was tokenized or revealed.
enum TokenResult {
    Text(String),
    Forgotten,
    Unfit,
}

impl Transform {
    /// Tokenizes or detokenizes `rows`, appending one result a row to `out`. NULL stays NULL, and all rows are checked
    /// before the first token is minted.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so; what the store says; a rule that does not tokenize.
    pub async fn token_texts(
        &self,
        direction: Direction,
        rows: &[Option<&str>],
        out: &mut Texts,
    ) -> Result<Outcome, RowError> {
        let Some(tokenizer) = self.tokenizer() else {
            return Err(RowError::Batch(does_not_tokenize(&self.rule().name)));
        };
        let mut live = Vec::with_capacity(rows.len());
        let mut values = Vec::with_capacity(rows.len());
        for (row, value) in rows.iter().enumerate() {
            match value {
                None => {}
                // An empty text stays, and takes no place in the store.
                Some(value) if stays_empty(self.rule(), value) => {}
                Some(value) => {
                    live.push(row);
                    values.push(*value);
                }
            }
        }
        // One call for all rows: a store may be far away, and one round trip a row would dominate everything.
        let done = match direction {
            Direction::Encrypt => self.minted(tokenizer, &values, &live).await?,
            Direction::Decrypt => self.unsealed(tokenizer, &values, &live).await?,
        };
        // A role that sees masks sees no token, and no value that was left in the clear.
        let is_masked = self.is_masked() && direction == Direction::Decrypt;
        let mut outcome = Outcome::default();
        let mut done = live.into_iter().zip(done).peekable();
        for (row, value) in rows.iter().enumerate() {
            // `live` is in ascending order, so the results are consumed in step with the rows.
            let result = done.next_if(|(at, _)| *at == row).map(|(_, result)| result);
            match (value, result) {
                (Some(_), Some(TokenResult::Text(text))) => out.push_with(|out| out.push_str(&text)),
                (Some(_), Some(TokenResult::Forgotten)) => {
                    outcome.forgotten += 1;
                    match (self.on_forgotten(), value) {
                        (OnForgotten::Keep, Some(token)) if !is_masked => out.push_with(|out| out.push_str(token)),
                        _ => out.push_null(),
                    }
                }
                (Some(value), Some(TokenResult::Unfit)) if self.rule().on_invalid == OnInvalid::InsecureKeep => {
                    outcome.kept_clear += 1;
                    if is_masked {
                        out.push_with(|out| out.push_str(&mask_for_role(value, self.rule())));
                    } else {
                        out.push_with(|out| out.push_str(value));
                    }
                }
                // An empty text, kept.
                (Some(value), None) => out.push_with(|out| out.push_str(value)),
                (value, _) => {
                    outcome.nulled += usize::from(value.is_some());
                    out.push_null();
                }
            }
        }
        Ok(outcome)
    }

    /// Tokenizes or detokenizes numbers, dates or times. An ordinal and its text have one token.
    ///
    /// # Errors
    /// As [`Transform::token_texts`]; our bug for a format without ordinals.
    pub async fn token_ordinals(&self, direction: Direction, rows: &[Option<i128>]) -> Result<Values<i128>, RowError> {
        let Some((format, OrdinalRange { min, max, .. })) = self.rule().format.ranked().zip(self.ordinal_range())
        else {
            let version = self.rule().format.version();
            return Err(RowError::Batch(Error::bug(format!("format {version} has no ordinals"))));
        };
        // Not even asked: a number has no mask that would be a number, so the store's answer would be thrown away.
        if self.is_masked() && direction == Direction::Decrypt {
            return Ok((vec![None; rows.len()], Outcome::default()));
        }
        let (mut done, mut out_of_range, mut nulled) = (vec![None; rows.len()], 0, 0);
        let mut values = vec![None; rows.len()];
        for (row, ordinal) in rows.iter().enumerate() {
            match ordinal {
                Some(ordinal) if (min..=max).contains(ordinal) => {
                    let mut text = String::new();
                    // By its text, so that a number and the same number as text have one token.
                    format.unrank(ordinal.abs_diff(min), "", &mut text);
                    values[row] = Some(text);
                }
                Some(ordinal) if self.keeps_unfit(row, FormatError::OutOfRange)? => {
                    done[row] = Some(*ordinal);
                    out_of_range += 1;
                }
                Some(_) => nulled += 1,
                None => {}
            }
        }
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let mut texts = Texts::with_capacity(rows.len(), 0);
        let mut outcome = self.token_texts(direction, &values, &mut texts).await?;
        outcome.kept_clear += out_of_range;
        outcome.nulled += nulled;
        // NULLs of the store's answer leave what is there: NULL, or a value that stays in the clear.
        for (done, text) in done.iter_mut().zip(texts.iter()) {
            if let Some(text) = text {
                // A store is outside data: what it holds is checked like any input.
                let rank = format.rank(text).map_err(|_| {
                    let error = Error::bad_input("the store holds something that is no value of the rule's format");
                    RowError::Batch(error.with_hint("reveal with the format that it was protected with"))
                })?;
                *done = Some(min.wrapping_add_unsigned(rank)); // within min…max
            }
        }
        Ok((done, outcome))
    }

    async fn minted(
        &self,
        tokenizer: &Tokenizer,
        values: &[&str],
        live: &[usize],
    ) -> Result<Vec<TokenResult>, RowError> {
        // Only then are values that do not fit reported row by row; else the first is an error before a token is
        // minted.
        let report_unfit = self.rule().on_invalid != OnInvalid::Error;
        let tokens = tokenizer.tokenize(values, report_unfit, Timestamp::now()).await;
        // The tokenizer numbers the values it was given, without NULLs; the error has to name the row.
        let tokens = tokens.map_err(|error| error.renumber(|row| live[row]))?;
        let fate = |token: Result<&str, &FormatError>| {
            token.map_or(TokenResult::Unfit, |token| TokenResult::Text(token.to_owned()))
        };
        Ok(tokens.iter().map(fate).collect())
    }

    async fn unsealed(
        &self,
        tokenizer: &Tokenizer,
        tokens: &[&str],
        live: &[usize],
    ) -> Result<Vec<TokenResult>, RowError> {
        let revealed = tokenizer.reveal(tokens, Timestamp::now()).await?;
        // Errors stop at the first row, as they do for encryption.
        let fates = revealed.into_iter().zip(live).map(|(revealed, row)| match revealed {
            Revealed::Value(value) if self.is_masked() => Ok(TokenResult::Text(mask_for_role(&value, self.rule()))),
            Revealed::Value(value) => Ok(TokenResult::Text(value)),
            Revealed::Emptied if self.on_forgotten() == OnForgotten::Error => Err(RowError::Row {
                row: *row,
                cause: FormatError::Malformed("the value of this token was deleted, or has expired"),
            }),
            Revealed::Emptied => Ok(TokenResult::Forgotten),
            Revealed::Unknown if self.rule().on_invalid == OnInvalid::Error => Err(RowError::Row {
                row: *row,
                cause: FormatError::Malformed("the store has issued no such token"),
            }),
            Revealed::Unknown => Ok(TokenResult::Unfit),
        });
        fates.collect()
    }

    fn on_forgotten(&self) -> OnForgotten {
        let tokens = self.rule().tokens.as_ref();
        tokens.map(|tokens| tokens.on_forgotten).unwrap_or_default()
    }
}

fn does_not_tokenize(rule: &str) -> Error {
    Error::bad_policy(format!("rule `{rule}` does not tokenize"))
        .with_hint("use protect and reveal, or give the rule treatment = \"tokenize\"")
}
