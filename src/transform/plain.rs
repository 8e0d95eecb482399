//! Texts that keep their length, straight from one buffer to another: rows of symbols, with separators that stay.
//!
//! What this does is what [`StringFormat`](crate::formats::StringFormat) does, row by row, for the formats and values that most
//! columns hold. A row that it has no way for is left to that; so are all errors.

use super::encrypt::sides;
use super::{RowError, Transform};
use crate::ascii::{LengthGroup, LengthGroups, PADDING, RowOutcome, Span, SplitRows, Splitter, tweak_length};
use crate::cipher::{Direction, Tweaks};
use crate::formats::{Format, MOST, Plain};
use crate::policy::{OnEmpty, Tweak};
use crate::{Error, Result};

/// Rows of text in one buffer.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The bytes of all rows.
    pub bytes: &'a [u8],
    /// Where each row stands.
    pub spans: &'a [Span],
}

/// Splits rows, with memory that is reused from one call of [`Transform::plain_rows`] to the next.
#[derive(Debug)]
pub struct Scratch {
    /// For rows that are all symbols, where all of these are encrypted.
    length_groups: Option<LengthGroups>,
    splitter: Splitter,
    split: SplitRows,
    /// The results of each group.
    results: Vec<Vec<u8>>,
}

/// The tweak column's bytes, a tweak a row.
#[derive(Clone, Copy, Debug)]
pub enum ColumnTweaks<'a> {
    /// The rule has no tweak column.
    None,
    /// Of any lengths.
    Slices(&'a [&'a [u8]]),
    /// All of one length, one after the other.
    Packed {
        /// The bytes.
        bytes: &'a [u8],
        /// Bytes of each.
        length: usize,
    },
}

impl<'a> ColumnTweaks<'a> {
    /// That of one row.
    pub fn of(self, row: usize) -> &'a [u8] {
        match self {
            Self::None => &[],
            Self::Slices(tweaks) => tweaks[row],
            Self::Packed { bytes, length } => &bytes[row * length..][..length],
        }
    }
}

impl Transform {
    /// Whether [`Transform::plain_rows`] can do most rows.
    pub fn is_plain(&self, direction: Direction) -> bool {
        self.plain().is_some() && !(self.masked && direction == Direction::Decrypt)
    }

    fn plain(&self) -> Option<Plain<'_>> {
        match &self.rule.format {
            // Tweaks that may have a wrong length are looked at row by row.
            Format::String(_) if self.rule.version_character || self.takes_tweaks_of_56_bits() => None,
            Format::String(format) if self.cipher().is_ok() => format.plain(),
            Format::String(_) | Format::Ranked(_) | Format::Mixed(_) => None,
        }
    }

    /// Encrypts or decrypts rows of `n` bytes each, all symbols, one after the other. `false` if one of them is not like that,
    /// or the format does not just take all symbols: then `output` is of no use.
    ///
    /// # Errors
    /// A fault of ours.
    pub fn uniform_rows(
        &self,
        direction: Direction,
        input: &[u8],
        n: usize,
        tweaks: ColumnTweaks<'_>,
        output: &mut [u8],
    ) -> Result<bool> {
        let Some(plain) = self.plain().filter(Plain::is_bare) else {
            return Ok(false);
        };
        let cipher = self.cipher()?;
        // One row tells most columns that have separators.
        if !cipher.lengths().contains(&n) || n > MOST || !plain.symbols.are_all(input.get(..n).unwrap_or_default()) {
            return Ok(false);
        }
        let Some(tweaks) = self.tweaks_from(tweaks) else {
            return Ok(false);
        };
        // Lengths and tweaks are right, so only a byte that is no symbol can be refused.
        Ok(cipher
            .apply_text(direction, tweaks, plain.symbols, input, output, n)
            .is_ok())
    }

    /// The tweaks of rows of which nothing is kept in the clear; `None` if the column that they come from is missing.
    pub(super) fn tweaks_from<'a>(&'a self, column: ColumnTweaks<'a>) -> Option<Tweaks<'a>> {
        Some(match (&self.rule.tweak, column) {
            (Tweak::Fixed(bytes), _) => Tweaks::Shared(bytes),
            (Tweak::Column(_), ColumnTweaks::Slices(tweaks)) => Tweaks::PerRow(tweaks),
            (Tweak::Column(_), ColumnTweaks::Packed { bytes, length }) => Tweaks::Packed { bytes, length },
            (Tweak::Column(_), ColumnTweaks::None) => return None,
            (Tweak::Kept | Tweak::None, _) => Tweaks::Shared(&[]),
        })
    }

    /// What [`Transform::plain_rows`] needs to do rows in this direction.
    ///
    /// # Errors
    /// A fault of ours: this transform does none (see [`Transform::is_plain`]).
    pub fn scratch(&self, direction: Direction) -> Result<Scratch> {
        let plain = self.plain().ok_or_else(|| Error::bug("no rows of symbols"))?;
        let cipher = self.cipher()?;
        let with_kept = self.rule.tweak == Tweak::Kept && plain.keep != [0, 0];
        Ok(Scratch {
            length_groups: plain.is_bare().then(|| LengthGroups::new(&cipher.lengths())),
            splitter: plain.splitter(cipher, sides(direction).0, with_kept),
            split: SplitRows::default(),
            results: Vec::new(),
        })
    }

    /// Encrypts or decrypts rows: `output`, which is as long as their buffer, gets the results at their spans, and the rows that are
    /// left alone as they are. Returns the latter, in order. What stands between rows is of no use then. `scratch` is this transform's,
    /// for the same direction.
    ///
    /// # Errors
    /// A fault of ours.
    pub fn plain_rows(
        &self,
        direction: Direction,
        rows: Rows<'_>,
        tweaks: ColumnTweaks<'_>,
        scratch: &mut Scratch,
        output: &mut [u8],
    ) -> Result<Vec<usize>, RowError> {
        let plain = self.plain().ok_or_else(|| Error::bug("no rows of symbols"))?;
        let cipher = self.cipher()?;
        let Scratch {
            length_groups,
            splitter,
            split,
            results,
        } = scratch;
        if let Some(length_groups) = length_groups.as_mut().filter(|_| plain.symbols.are_all(rows.bytes)) {
            return self.rows_by_length(direction, rows, tweaks, length_groups, output);
        }
        splitter.split(rows.bytes, rows.spans, split);
        results.resize_with(split.groups.len(), Vec::new);
        let lengths = split.outcomes.iter().map(|outcome| match outcome {
            RowOutcome::Split(n) => Some(usize::from(*n)),
            RowOutcome::Skipped => None,
        });
        let of_rows = match &self.rule.tweak {
            Tweak::Column(_) => by_length(lengths, tweaks).ok_or_else(|| self.no_tweaks())?,
            _ => Vec::new(),
        };
        for (n, group) in split.groups.iter().enumerate().filter(|(_, group)| group.rows > 0) {
            let length = n * group.rows;
            if results[n].len() < length + PADDING {
                results[n].resize(length + PADDING, 0);
            }
            let tweaks = match &self.rule.tweak {
                Tweak::Fixed(bytes) => Tweaks::Shared(bytes),
                Tweak::Kept if plain.keep != [0, 0] => {
                    let kept = tweak_length(plain.keep);
                    Tweaks::Packed {
                        bytes: &group.tweaks[..kept * group.rows],
                        length: kept,
                    }
                }
                Tweak::Kept | Tweak::None => Tweaks::Shared(&[]),
                Tweak::Column(_) => Tweaks::PerRow(&of_rows[n]),
            };
            let (symbols, result) = (&group.symbols[..length], &mut results[n][..length]);
            cipher.apply_text(direction, tweaks, plain.symbols, symbols, result, n)?;
        }
        splitter.join(rows.bytes, rows.spans, split, results, output);
        let all = split.groups.iter().map(|group| group.rows).sum::<usize>() == rows.spans.len();
        if all {
            return Ok(Vec::new());
        }
        let left = |row: &usize| split.outcomes[*row] == RowOutcome::Skipped;
        Ok(self.left_rows(rows.spans, left))
    }

    /// The same where all bytes of rows are symbols to encrypt.
    fn rows_by_length(
        &self,
        direction: Direction,
        rows: Rows<'_>,
        tweaks: ColumnTweaks<'_>,
        length_groups: &mut LengthGroups,
        output: &mut [u8],
    ) -> Result<Vec<usize>, RowError> {
        let plain = self.plain().ok_or_else(|| Error::bug("no rows of symbols"))?;
        let others = length_groups.gather(rows.bytes, rows.spans);
        let of_rows = match &self.rule.tweak {
            Tweak::Column(_) => {
                let lengths = rows.spans.iter().map(|span| length_groups.length(*span));
                by_length(lengths, tweaks).ok_or_else(|| self.no_tweaks())?
            }
            _ => Vec::new(),
        };
        for group in length_groups.filled() {
            let LengthGroup {
                length, texts, results, ..
            } = group;
            let tweaks = match &self.rule.tweak {
                Tweak::Fixed(bytes) => Tweaks::Shared(bytes),
                Tweak::Kept | Tweak::None => Tweaks::Shared(&[]),
                Tweak::Column(_) => Tweaks::PerRow(&of_rows[length]),
            };
            self.cipher()?
                .apply_text(direction, tweaks, plain.symbols, texts, results, length)?;
        }
        length_groups.scatter(rows.bytes, rows.spans, output);
        let left = |row: &usize| length_groups.length(rows.spans[*row]).is_none();
        Ok(match others {
            0 => Vec::new(),
            _ => self.left_rows(rows.spans, left),
        })
    }

    /// The rows that are left, but for those that stay as they are.
    fn left_rows(&self, spans: &[Span], left: impl Fn(&usize) -> bool) -> Vec<usize> {
        let stays = |span: Span| span == Span::NULL || span.length == 0 && self.rule.on_empty == OnEmpty::Keep;
        let rows = 0..spans.len();
        rows.filter(left).filter(|row| !stays(spans[*row])).collect()
    }
}

/// The tweaks of the rows of each length, of those that have one; `None` if there are none.
fn by_length<'a>(lengths: impl Iterator<Item = Option<usize>>, tweaks: ColumnTweaks<'a>) -> Option<Vec<Vec<&'a [u8]>>> {
    if matches!(tweaks, ColumnTweaks::None) {
        return None;
    }
    let mut each = vec![Vec::new(); MOST + 1];
    for (row, length) in lengths.enumerate() {
        if let Some(length) = length {
            each[length].push(tweaks.of(row));
        }
    }
    Some(each)
}
