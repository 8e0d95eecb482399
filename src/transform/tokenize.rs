//! `tokenize`: random tokens of the format, kept in a store.

use super::{RowError, Texts, Transform, mask};
use crate::cipher::Direction;
use crate::formats::{Counts, Format, Misfit};
use crate::keys::Timestamp;
use crate::policy::{OnEmpty, OnForgotten, OnInvalid};
use crate::tokens::{Revealed, TokenizeError, Tokenizer};
use crate::{Error, Result};

/// Rows that did not get what they came for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Left {
    /// Values that do not fit, left in the clear by `on_invalid = "insecure-keep"`.
    pub clear: usize,
    /// Tokens whose value was deleted, or has expired.
    pub forgotten: usize,
}

impl Transform {
    /// Tokenizes or detokenizes `rows`, appending one result a row to `out`; NULL stays NULL. All rows are checked before the first token is minted.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so; what the store says; a rule that does not tokenize.
    pub async fn token_texts(
        &self,
        direction: Direction,
        rows: &[Option<&str>],
        out: &mut Texts,
    ) -> Result<Left, RowError> {
        let Some(tokenizer) = self.tokenizer() else {
            return Err(RowError::Other(does_not_tokenize(&self.rule.name)));
        };
        // Where each value stands.
        let mut live = Vec::with_capacity(rows.len());
        let mut values = Vec::with_capacity(rows.len());
        for (row, value) in rows.iter().enumerate() {
            match value {
                None => {}
                Some("") if self.rule.on_empty == OnEmpty::Keep => {}
                Some(value) => {
                    live.push(row);
                    values.push(*value);
                }
            }
        }
        let done = match direction {
            Direction::Encrypt => self.minted(tokenizer, &values, &live).await?,
            Direction::Decrypt => self.unsealed(tokenizer, &values, &live).await?,
        };
        let mut left = Left::default();
        let mut done = live.into_iter().zip(done).peekable();
        for (row, value) in rows.iter().enumerate() {
            let result = done.next_if(|(at, _)| *at == row).map(|(_, result)| result);
            match (value, result) {
                (Some(_), Some(Fate::Text(text))) => out.push_with(|out| out.push_str(&text)),
                (Some(_), Some(Fate::Forgotten)) => {
                    left.forgotten += 1;
                    match (self.on_forgotten(), value) {
                        (OnForgotten::Keep, Some(token)) => out.push_with(|out| out.push_str(token)),
                        _ => out.push_null(),
                    }
                }
                (Some(value), Some(Fate::Misfit)) if self.rule.on_invalid == OnInvalid::InsecureKeep => {
                    left.clear += 1;
                    out.push_with(|out| out.push_str(value));
                }
                // An empty text, kept.
                (Some(value), None) => out.push_with(|out| out.push_str(value)),
                (None, _) | (Some(_), Some(Fate::Misfit)) => out.push_null(),
            }
        }
        Ok(left)
    }

    /// As [`Transform::token_texts`], for what the format counts (see [`Transform::counts`]): counts and texts of one thing have one token.
    ///
    /// # Errors
    /// As [`Transform::token_texts`]; a rule whose format does not count.
    pub async fn token_counts(
        &self,
        direction: Direction,
        rows: &[Option<i128>],
    ) -> Result<(Vec<Option<i128>>, Left), RowError> {
        let (Format::Ranked(format), Some(Counts { min, max, .. })) = (&self.rule.format, self.counts()) else {
            let version = self.rule.format.version();
            return Err(RowError::Other(Error::bug(format!("format {version} does not count"))));
        };
        if self.masked && direction == Direction::Decrypt {
            return Ok((vec![None; rows.len()], Left::default()));
        }
        let (mut done, mut out_of_range) = (vec![None; rows.len()], 0);
        let mut values = vec![None; rows.len()];
        for (row, count) in rows.iter().enumerate() {
            match count {
                Some(count) if (min..=max).contains(count) => {
                    let mut text = String::new();
                    format.unrank(count.abs_diff(min), "", &mut text);
                    values[row] = Some(text);
                }
                Some(count) if self.on_misfit(row, Misfit::OutOfRange)? => {
                    done[row] = Some(*count);
                    out_of_range += 1;
                }
                _ => {}
            }
        }
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let mut texts = Texts::with_capacity(rows.len(), 0);
        let mut left = self.token_texts(direction, &values, &mut texts).await?;
        left.clear += out_of_range;
        for (done, text) in done.iter_mut().zip(texts.iter()) {
            if let Some(text) = text {
                let rank = format.rank(text).map_err(|_| {
                    let error = Error::bad_input("the store holds something that is no value of the rule's format");
                    RowError::Other(error.with_hint("reveal with the format that it was protected with"))
                })?;
                *done = Some(min.wrapping_add_unsigned(rank)); // within min…max
            }
        }
        Ok((done, left))
    }

    async fn minted(&self, tokenizer: &Tokenizer, values: &[&str], live: &[usize]) -> Result<Vec<Fate>, RowError> {
        let report_misfits = self.rule.on_invalid != OnInvalid::Error;
        let tokens = tokenizer.tokenize(values, report_misfits, Timestamp::now()).await;
        let tokens = tokens.map_err(|error| match error {
            TokenizeError::Misfit { row, misfit } => RowError::Misfit { row: live[row], misfit },
            TokenizeError::Other(error) => RowError::Other(error),
        })?;
        let fate = |token: Result<&str, &Misfit>| token.map_or(Fate::Misfit, |token| Fate::Text(token.to_owned()));
        Ok(tokens.iter().map(fate).collect())
    }

    async fn unsealed(&self, tokenizer: &Tokenizer, tokens: &[&str], live: &[usize]) -> Result<Vec<Fate>, RowError> {
        let revealed = tokenizer.reveal(tokens, Timestamp::now()).await?;
        let fates = revealed.into_iter().zip(live).map(|(revealed, row)| match revealed {
            Revealed::Value(value) if self.masked => Ok(Fate::Text(mask(&value, &self.rule))),
            Revealed::Value(value) => Ok(Fate::Text(value)),
            Revealed::Emptied if self.on_forgotten() == OnForgotten::Error => Err(RowError::Misfit {
                row: *row,
                misfit: Misfit::Malformed("the value of this token was deleted, or has expired"),
            }),
            Revealed::Emptied => Ok(Fate::Forgotten),
            Revealed::Unknown if self.rule.on_invalid == OnInvalid::Error => Err(RowError::Misfit {
                row: *row,
                misfit: Misfit::Malformed("the store has issued no such token"),
            }),
            Revealed::Unknown => Ok(Fate::Misfit),
        });
        fates.collect()
    }

    fn on_forgotten(&self) -> OnForgotten {
        let tokens = self.rule.tokens.as_ref();
        tokens.map(|tokens| tokens.on_forgotten).unwrap_or_default()
    }
}

/// What is said of a rule with another treatment.
fn does_not_tokenize(rule: &str) -> Error {
    Error::bad_policy(format!("rule `{rule}` does not tokenize"))
        .with_hint("use protect and reveal, or give the rule treatment = \"tokenize\"")
}

/// What becomes of a value.
enum Fate {
    Text(String),
    Forgotten,
    Misfit,
}
