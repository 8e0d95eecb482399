//! Batches of rows, and the results of treating them.

use std::ops::AddAssign;

use crate::cipher::{Direction, Tweaks};
use crate::formats::FormatError;

/// Rows of values to protect or reveal together.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, V> {
    /// Encrypt to protect, decrypt to reveal.
    pub direction: Direction,
    /// One value a row; `None` is NULL.
    pub rows: &'a [Option<V>],
    /// The tweak column's bytes, a tweak a row; `None` where there is no tweak column.
    pub tweaks: Option<Tweaks<'a>>,
}

/// Rows of text.
pub type TextBatch<'a> = Batch<'a, &'a str>;

/// Rows of numbers, dates or times, as whole numbers of the format's units.
pub type OrdinalBatch<'a> = Batch<'a, i128>;

/// Rows of bytes.
pub type BytesBatch<'a> = Batch<'a, &'a [u8]>;

impl<'a, V> Batch<'a, V> {
    /// A batch without a tweak column.
    pub fn new(direction: Direction, rows: &'a [Option<V>]) -> Self {
        Self {
            direction,
            rows,
            tweaks: None,
        }
    }

    /// Gives each row its tweak.
    #[must_use]
    pub fn with_tweaks(self, tweaks: Option<Tweaks<'a>>) -> Self {
        Self { tweaks, ..self }
    }
}

/// Counts of rows that were not treated as the rule's treatment says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Values that do not fit their format, left in the clear by `on_invalid = "insecure-keep"`.
    pub kept_clear: usize,
    /// Values that do not fit their format, encrypted as a whole by `on_invalid = "siv"`; when revealing, those that
    /// were opened.
    pub wrapped: usize,
    /// Values that do not fit their format, made NULL by `on_invalid = "null"`.
    pub nulled: usize,
    /// Short values, encrypted among those of their band by `on_short = "band"`.
    pub banded: usize,
    /// Tokens whose value was deleted, or has expired.
    pub forgotten: usize,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.kept_clear += other.kept_clear;
        self.wrapped += other.wrapped;
        self.nulled += other.nulled;
        self.banded += other.banded;
        self.forgotten += other.forgotten;
    }
}

/// One result a row, `None` for NULL, and the count of what was not treated.
pub type Values<T> = (Vec<Option<T>>, Outcome);

/// Texts in one buffer, NULLs among them, as Arrow wants them.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: String,
    /// The end of each text, in bytes; it begins at the end of the one before.
    ends: Vec<usize>,
    /// Empty while no row is NULL.
    // Most columns have no NULL: then no flag is written for each row.
    valid: Vec<bool>,
    /// Rows, in order, whose value has to be wrapped, and why it does not fit. They are NULL until then.
    misfits: Vec<(usize, FormatError)>,
}

impl Texts {
    /// Makes room for `rows` texts of `bytes` bytes together.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self {
            bytes: String::with_capacity(bytes),
            ends: Vec::with_capacity(rows),
            valid: Vec::new(),
            misfits: Vec::new(),
        }
    }

    /// Counts the rows so far.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Iterates over the rows, in order.
    // Texts begin where the one before ends, so one number a row describes all places, as in Arrow's offsets.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(row, end)| {
            let text = &self.bytes[start..*end];
            start = *end;
            self.valid.get(row).copied().unwrap_or(true).then_some(text)
        })
    }

    /// Counts the bytes so far.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a text that `write` writes.
    // A closure writes into the buffer itself, so results are not allocated one by one.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        if !self.valid.is_empty() {
            self.valid.push(true);
        }
    }

    /// Appends NULL.
    pub(super) fn push_null(&mut self) {
        // The first NULL: all rows before it were valid.
        if self.valid.is_empty() {
            self.valid = vec![true; self.ends.len()];
        }
        // A NULL has a place as well, an empty one, so that rows and ends stay in step.
        self.ends.push(self.bytes.len());
        self.valid.push(false);
    }

    /// Appends NULL in the place of a value that has to be wrapped.
    pub(super) fn push_misfit(&mut self, cause: FormatError) {
        self.misfits.push((self.len(), cause));
        self.push_null();
    }

    /// Takes out which rows have to be wrapped, in order.
    pub(super) fn take_misfits(&mut self) -> Vec<(usize, FormatError)> {
        std::mem::take(&mut self.misfits)
    }

    /// Puts `texts` in the place of their rows, which are in order.
    pub(super) fn replace(&mut self, texts: Vec<(usize, String)>) {
        let old = std::mem::take(self);
        let mut texts = texts.into_iter().peekable();
        for (row, text) in old.iter().enumerate() {
            match (texts.next_if(|(at, _)| *at == row), text) {
                (Some((_, text)), _) => self.push_with(|out| out.push_str(&text)),
                (None, Some(text)) => self.push_with(|out| out.push_str(text)),
                (None, None) => self.push_null(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_may_come_at_any_row() {
        for nulls in [vec![], vec![0], vec![2], vec![0, 1, 2]] {
            let mut texts = Texts::default();
            let rows: Vec<Option<&str>> = (0..3).map(|row| (!nulls.contains(&row)).then_some("ab")).collect();
            for row in &rows {
                match row {
                    Some(text) => texts.push_with(|out| out.push_str(text)),
                    None => texts.push_null(),
                }
            }
            assert_eq!(texts.iter().collect::<Vec<_>>(), rows);
        }
    }
}
