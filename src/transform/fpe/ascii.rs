//! ASCII text that keeps its length, from one buffer to another: rows of symbols, with separators that stay.
//!
//! This does row by row what [`StringFormat`](crate::formats::StringFormat) does, for the formats and values that most
//! columns hold. A row that it cannot do is left to that; so are all errors.

use super::cipher::Fpe;
use crate::ascii::{LengthGroup, LengthGroups, PADDING, RowOutcome, Span, SplitRows, Splitter, tweak_length};
use crate::cipher::{Direction, Tweaks};
use crate::formats::{AsciiLayout, Format, RowError, Side};
use crate::policy::{OnEmpty, Rule, Tweak};
use crate::transform::rows::{missing_tweaks, rule_tweaks};
use crate::{Error, Result};

/// Rows of text in one buffer.
#[derive(Clone, Copy, Debug)]
pub struct AsciiRows<'a> {
    /// The bytes of all rows.
    pub bytes: &'a [u8],
    /// The place of each row in the bytes.
    pub spans: &'a [Span],
}

/// Memory for rows of one transform in one direction, to be used again from chunk to chunk.
#[derive(Debug)]
pub struct AsciiScratch {
    /// For rows that are all symbols, where all of these are encrypted.
    length_groups: Option<LengthGroups>,
    splitter: Splitter,
    split: SplitRows,
    /// The results of each length.
    results: Vec<Vec<u8>>,
}

impl Fpe {
    /// The layout of the rule's format, if it is one of ASCII symbols.
    pub(in crate::transform) fn ascii_layout<'a>(&self, rule: &'a Rule) -> Option<AsciiLayout<'a>> {
        match &rule.format {
            // Tweaks that may have a wrong length are looked at row by row.
            // FF3-1 takes tweaks of exactly 56 bits, and the error has to name the row.
            Format::String(_) if rule.takes_tweaks_of_56_bits() => None,
            Format::String(format) => format.ascii_layout(),
            Format::Ranked(_) | Format::Segmented(_) => None,
        }
    }

    /// Encrypts or decrypts rows of `n` bytes each, all symbols, one after the other. Returns `false` if one of them is
    /// not like that, or the format does not just take all symbols: then `output` is of no use.
    ///
    /// # Errors
    /// Our bug.
    pub(in crate::transform) fn uniform_rows(
        &self,
        rule: &Rule,
        direction: Direction,
        (input, n): (&[u8], usize),
        tweaks: Option<Tweaks<'_>>,
        output: &mut [u8],
    ) -> Result<bool> {
        // Bare layouts keep nothing, so the tweak does not depend on the row's text.
        let Some(layout) = self.ascii_layout(rule).filter(AsciiLayout::is_bare) else {
            return Ok(false);
        };
        let symbols = layout.symbols;
        // One row tells most columns that have separators.
        let first = input.get(..n).unwrap_or_default();
        // All rows have one length, so the cipher's limits, and with them the domain floor, are tested once.
        if !self.cipher.lengths().contains(&n) || n > AsciiLayout::LONGEST || !symbols.are_all(first) {
            return Ok(false);
        }
        // A missing tweak column goes the slow way, whose error says so.
        let Some(tweaks) = rule_tweaks(rule, tweaks) else {
            return Ok(false);
        };
        // Lengths and tweaks are right, so only a byte that is no symbol can be refused.
        let done = self.cipher.apply_text(direction, tweaks, symbols, input, output, n);
        Ok(done.is_ok())
    }

    /// Allocates what [`ascii_rows`](Self::ascii_rows) needs.
    ///
    /// # Errors
    /// Our bug: the format has no such rows.
    pub(in crate::transform) fn ascii_scratch(&self, rule: &Rule, direction: Direction) -> Result<AsciiScratch> {
        let layout = self.ascii_layout(rule).ok_or_else(no_ascii_layout)?;
        // Only then does the splitter write a tweak for each row.
        let kept_is_tweak = rule.tweak == Tweak::Kept && layout.keep != [0, 0];
        Ok(AsciiScratch {
            // Bare rows need no splitting, only rows of equal length beside each other.
            length_groups: layout.is_bare().then(|| LengthGroups::new(&self.cipher.lengths())),
            splitter: layout.splitter(&self.cipher, Side::ends(direction).0, kept_is_tweak),
            split: SplitRows::default(),
            results: Vec::new(),
        })
    }

    /// Encrypts or decrypts rows: `output`, which is as long as their buffer, gets the results in their places. Returns
    /// the rows that this cannot do, in order; bytes between rows are of no use then.
    ///
    /// # Errors
    /// A missing tweak column; our bug.
    pub(in crate::transform) fn ascii_rows(
        &self,
        rule: &Rule,
        direction: Direction,
        (rows, tweaks): (AsciiRows<'_>, Option<Tweaks<'_>>),
        scratch: &mut AsciiScratch,
        output: &mut [u8],
    ) -> Result<Vec<usize>, RowError> {
        let layout = self.ascii_layout(rule).ok_or_else(no_ascii_layout)?;
        // Where the mark of misfits is a separator, it does not keep a row out of the layout; its first character does.
        let marked = if layout.is_separator(rule.wrap_mark) {
            marked_rows(rows, rule.wrap_mark)
        } else {
            Vec::new()
        };
        if marked.is_empty() {
            return self.unmarked_rows(rule, direction, (rows, tweaks), scratch, output);
        }
        let mut spans = rows.spans.to_vec();
        marked.iter().for_each(|row| spans[*row] = Span::NULL);
        let others = AsciiRows {
            bytes: rows.bytes,
            spans: &spans,
        };
        let mut left = self.unmarked_rows(rule, direction, (others, tweaks), scratch, output)?;
        left.extend(marked);
        left.sort_unstable();
        Ok(left)
    }

    /// As [`ascii_rows`](Self::ascii_rows), for rows that do not begin with the mark of misfits.
    fn unmarked_rows(
        &self,
        rule: &Rule,
        direction: Direction,
        (rows, tweaks): (AsciiRows<'_>, Option<Tweaks<'_>>),
        scratch: &mut AsciiScratch,
        output: &mut [u8],
    ) -> Result<Vec<usize>, RowError> {
        let layout = self.ascii_layout(rule).ok_or_else(no_ascii_layout)?;
        let AsciiScratch {
            length_groups,
            splitter,
            split,
            results,
        } = scratch;
        // One look at the whole buffer. A byte between rows that is no symbol only costs the fast way, not the
        // result.
        if let Some(length_groups) = length_groups.as_mut().filter(|_| layout.symbols.are_all(rows.bytes)) {
            return self.rows_by_length(rule, direction, (rows, tweaks), length_groups, output);
        }
        splitter.split(rows.bytes, rows.spans, split);
        // Buffers grow to the largest chunk and are kept: a chunk allocates nothing once they have.
        results.resize_with(split.groups.len(), Vec::new);
        let lengths = split.outcomes.iter().map(|outcome| match outcome {
            RowOutcome::Split(n) => Some(usize::from(*n)),
            RowOutcome::Skipped => None,
        });
        // In the order of the rows of each length, which is the order in which the splitter has appended them.
        let of_rows = column_tweaks_by_length(rule, lengths, tweaks)?;
        for (n, group) in split.groups.iter().enumerate().filter(|(_, group)| group.rows > 0) {
            let length = n * group.rows;
            // Kernels store whole registers, also behind the last row.
            if results[n].len() < length + PADDING {
                results[n].resize(length + PADDING, 0);
            }
            let tweaks = match &rule.tweak {
                Tweak::Fixed(bytes) => Tweaks::Shared(bytes),
                // All kept parts of a layout have one length, so tweaks lie side by side and need no pointer for
                // each row.
                Tweak::Kept if layout.keep != [0, 0] => {
                    let kept = tweak_length(layout.keep);
                    Tweaks::Packed {
                        bytes: &group.tweaks[..kept * group.rows],
                        length: kept,
                    }
                }
                Tweak::Kept | Tweak::None => Tweaks::Shared(&[]),
                Tweak::Column(_) => Tweaks::PerRow(&of_rows[n]),
            };
            let (symbols, result) = (&group.symbols[..length], &mut results[n][..length]);
            let done = self
                .cipher
                .apply_text(direction, tweaks, layout.symbols, symbols, result, n);
            done.map_err(Error::from)?;
        }
        splitter.join(rows.bytes, rows.spans, split, results, output);
        // Most chunks leave nothing; then no row is looked at again.
        if split.groups.iter().map(|group| group.rows).sum::<usize>() == rows.spans.len() {
            return Ok(Vec::new());
        }
        let is_left = |row: &usize| split.outcomes[*row] == RowOutcome::Skipped;
        Ok(left_rows(rule, rows.spans, is_left))
    }

    /// As [`ascii_rows`](Self::ascii_rows), for rows of which every byte is a symbol to encrypt.
    fn rows_by_length(
        &self,
        rule: &Rule,
        direction: Direction,
        (rows, tweaks): (AsciiRows<'_>, Option<Tweaks<'_>>),
        length_groups: &mut LengthGroups,
        output: &mut [u8],
    ) -> Result<Vec<usize>, RowError> {
        let layout = self.ascii_layout(rule).ok_or_else(no_ascii_layout)?;
        // Rows of a length that the cipher does not take stay out of the groups.
        let others = length_groups.gather(rows.bytes, rows.spans);
        let lengths = rows.spans.iter().map(|span| length_groups.length(*span));
        let of_rows = column_tweaks_by_length(rule, lengths, tweaks)?;
        for group in length_groups.filled() {
            let LengthGroup {
                length, texts, results, ..
            } = group;
            let tweaks = match &rule.tweak {
                Tweak::Fixed(bytes) => Tweaks::Shared(bytes),
                Tweak::Kept | Tweak::None => Tweaks::Shared(&[]),
                Tweak::Column(_) => Tweaks::PerRow(&of_rows[length]),
            };
            let done = self
                .cipher
                .apply_text(direction, tweaks, layout.symbols, texts, results, length);
            done.map_err(Error::from)?;
        }
        length_groups.scatter(rows.bytes, rows.spans, output);
        // As above: most columns have none.
        if others == 0 {
            return Ok(Vec::new());
        }
        let is_left = |row: &usize| length_groups.length(rows.spans[*row]).is_none();
        Ok(left_rows(rule, rows.spans, is_left))
    }
}

/// The rows that begin with `mark`, an ASCII character.
fn marked_rows(rows: AsciiRows<'_>, mark: char) -> Vec<usize> {
    let is_marked = |span: &Span| {
        let first = rows.bytes.get(span.start as usize);
        *span != Span::NULL && span.length > 0 && first.is_some_and(|byte| char::from(*byte) == mark)
    };
    let marked = rows.spans.iter().enumerate().filter(|(_, span)| is_marked(span));
    marked.map(|(row, _)| row).collect()
}

/// The rows that are left, but for those that stay as they are.
fn left_rows(rule: &Rule, spans: &[Span], is_left: impl Fn(&usize) -> bool) -> Vec<usize> {
    // NULL has nothing to encrypt, and an empty text stays empty under this setting: both are right as they are.
    let stays = |span: Span| span == Span::NULL || span.length == 0 && rule.on_empty == OnEmpty::Keep;
    let rows = 0..spans.len();
    rows.filter(is_left).filter(|row| !stays(spans[*row])).collect()
}

/// For a rule with a tweak column, the tweaks of the rows of each length; rows without a length have none.
fn column_tweaks_by_length<'a>(
    rule: &Rule,
    lengths: impl Iterator<Item = Option<usize>>,
    tweaks: Option<Tweaks<'a>>,
) -> Result<Vec<Vec<&'a [u8]>>> {
    if !matches!(rule.tweak, Tweak::Column(_)) {
        return Ok(Vec::new());
    }
    let tweaks = tweaks.ok_or_else(|| missing_tweaks(rule))?;
    // One list for each length, since groups are encrypted one by one and each needs its tweaks in order.
    let mut each = vec![Vec::new(); AsciiLayout::LONGEST + 1];
    for (row, length) in lengths.enumerate() {
        if let Some(length) = length {
            each[length].push(tweaks.get(row));
        }
    }
    Ok(each)
}

fn no_ascii_layout() -> Error {
    Error::bug("a format without ASCII rows")
}
