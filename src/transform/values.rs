//! What all treatments that go value by value share.

use super::bucket::Bucketing;
use super::encrypt::RowTweaks;
use super::resolve::Work;
use super::{RowError, Texts, Transform, mask};
use crate::cipher::Direction;
use crate::formats::{Format, Misfit, RankedFormat};
use crate::policy::OnEmpty;
use crate::{Error, Result};

/// One result a row, and how many values were left in the clear.
pub type Values<T> = (Vec<Option<T>>, usize);

impl Transform {
    /// [`Transform::texts`] for treatments that go value by value; `None` for the others.
    pub(super) fn value_texts(
        &self,
        direction: Direction,
        rows: &[Option<&str>],
        tweaks: Option<&[&[u8]]>,
        out: &mut Texts,
    ) -> Result<Option<usize>, RowError> {
        if matches!(self.work, Work::Cipher { .. } | Work::Tokens(_)) {
            return Ok(None);
        }
        self.check_way(direction)?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let tweaks = self.tweaks_of(&all, tweaks)?;
        let tweak = |row: usize| match &tweaks {
            RowTweaks::Shared(tweak) => *tweak,
            RowTweaks::PerRow(tweaks) => tweaks[row],
        };
        let left = match &self.work {
            Work::Siv(siv) => {
                let mut batch = siv.batch()?;
                self.each(rows, out, |row, value, out| {
                    batch.text(direction, value, tweak(row), out)
                })
            }
            Work::Hash(hasher) => self.each(rows, out, |row, value, out| {
                hasher.text(value, tweak(row), out);
                Ok(())
            }),
            Work::Mask => self.each(rows, out, |_, value, out| {
                out.push_str(&mask(value, &self.rule));
                Ok(())
            }),
            Work::Bucket(Bucketing::Prefix(length)) => self.each(rows, out, |_, value, out| {
                out.extend(value.chars().take(*length));
                Ok(())
            }),
            Work::Bucket(bucketing) => {
                let (format, least) = (self.ranked()?, bucketing.least());
                self.each(rows, out, |_, value, out| {
                    let count = bucketing.count(least.wrapping_add_unsigned(format.rank(value)?))?;
                    format.unrank(count.abs_diff(least), value, out);
                    Ok(())
                })
            }
            Work::Shift(shifter) => {
                let (format, least) = (self.ranked()?, shifter.least());
                self.each(rows, out, |row, value, out| {
                    let count = least.wrapping_add_unsigned(format.rank(value)?);
                    let count = shifter.count(direction, count, tweak(row))?;
                    format.unrank(count.abs_diff(least), value, out);
                    Ok(())
                })
            }
            Work::Cipher { .. } | Work::Tokens(_) => return Ok(None),
        };
        left.map(Some)
    }

    /// [`Transform::counted`] for treatments that go value by value; `None` for the others.
    pub(super) fn value_counts(
        &self,
        direction: Direction,
        rows: &[Option<i128>],
        tweaks: Option<&[&[u8]]>,
    ) -> Result<Option<Values<i128>>, RowError> {
        match &self.work {
            Work::Cipher { .. } => Ok(None),
            Work::Bucket(bucketing) => {
                self.check_way(direction)?;
                self.each_count(rows, |_, count| bucketing.count(count)).map(Some)
            }
            Work::Shift(shifter) => {
                let tweaks = tweaks.ok_or_else(|| self.no_tweaks())?;
                self.each_count(rows, |row, count| shifter.count(direction, count, tweaks[row]))
                    .map(Some)
            }
            _ => Err(Error::bug("a treatment of text in a column of counts").into()),
        }
    }

    /// As [`Transform::texts`], for bytes: of those treatments that [take them](Transform::takes_bytes).
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so.
    pub fn bytes(
        &self,
        direction: Direction,
        rows: &[Option<&[u8]>],
        tweaks: Option<&[&[u8]]>,
    ) -> Result<Values<Vec<u8>>, RowError> {
        self.check_way(direction)?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let tweaks = self.tweaks_of(&all, tweaks)?;
        let tweak = |row: usize| match &tweaks {
            RowTweaks::Shared(tweak) => *tweak,
            RowTweaks::PerRow(tweaks) => tweaks[row],
        };
        let mut batch = match &self.work {
            Work::Siv(siv) => Some(siv.batch()?),
            _ => None,
        };
        let (mut out, mut left) = (Vec::with_capacity(rows.len()), 0);
        for (row, value) in rows.iter().enumerate() {
            let result = match (value, &self.work, &mut batch) {
                (None, ..) => None,
                (Some([]), ..) if self.rule.on_empty == OnEmpty::Keep => Some(Ok(Vec::new())),
                (Some(_), ..) if self.masked && direction == Direction::Decrypt => None,
                (Some(value), Work::Hash(hasher), _) => {
                    Some(Ok(hasher.bytes(value, tweak(row))[..hasher.length].to_vec()))
                }
                (Some(value), _, Some(batch)) => Some(batch.bytes(direction, value, tweak(row))),
                _ => return Err(Error::bug("a treatment of text in a column of bytes").into()),
            };
            out.push(match (result, value) {
                (None, _) => None,
                (Some(Ok(bytes)), _) => Some(bytes),
                (Some(Err(misfit)), value) => match self.on_misfit(row, misfit)? {
                    true => {
                        left += 1;
                        value.map(<[u8]>::to_vec)
                    }
                    false => None,
                },
            });
        }
        Ok((out, left))
    }

    /// Whether columns of bytes can be done: their values keep no format.
    pub fn takes_bytes(&self) -> bool {
        matches!(self.work, Work::Siv(_) | Work::Hash(_)) && !self.rule.version_character
    }

    /// Whether columns of what the format counts can be done.
    pub fn takes_counts(&self) -> bool {
        match &self.work {
            _ if self.rule.version_character => false,
            Work::Cipher { .. } | Work::Shift(_) | Work::Tokens(_) => true,
            Work::Bucket(bucketing) => !matches!(bucketing, Bucketing::Prefix(_)),
            Work::Siv(_) | Work::Hash(_) | Work::Mask => false,
        }
    }

    /// The length of each result in bytes, if all have the same.
    pub fn fixed_length(&self) -> Option<usize> {
        match &self.work {
            Work::Hash(hasher) => Some(hasher.length),
            _ => None,
        }
    }

    fn ranked(&self) -> Result<&dyn RankedFormat> {
        match &self.rule.format {
            Format::Ranked(format) => Ok(format.as_ref()),
            Format::String(_) | Format::Mixed(_) => Err(Error::bug("a format that does not count")),
        }
    }

    /// Refuses to reveal what cannot be.
    fn check_way(&self, direction: Direction) -> Result<()> {
        let treatment = self.rule.treatment;
        match direction {
            Direction::Decrypt if treatment.is_one_way() => Err(Error::bad_input(format!(
                "what treatment = \"{treatment}\" made cannot be revealed (rule `{}`)",
                self.rule.name
            ))
            .with_hint("use it as it is, or protect with encrypt, siv or tokenize what has to come back")),
            _ => Ok(()),
        }
    }

    /// Does each value by itself: `work` gets its row and appends the result. NULL stays NULL. Returns how many were left in the clear.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so.
    pub(super) fn each(
        &self,
        rows: &[Option<&str>],
        out: &mut Texts,
        mut work: impl FnMut(usize, &str, &mut String) -> Result<(), Misfit>,
    ) -> Result<usize, RowError> {
        let mut left = 0;
        let mut result = String::new();
        for (row, value) in rows.iter().enumerate() {
            let Some(value) = value else {
                out.push_null();
                continue;
            };
            if value.is_empty() && self.rule.on_empty == OnEmpty::Keep {
                out.push_with(|_| ());
                continue;
            }
            result.clear();
            match work(row, value, &mut result) {
                Ok(()) => out.push_with(|out| out.push_str(&result)),
                Err(misfit) => match self.on_misfit(row, misfit)? {
                    true => {
                        left += 1;
                        out.push_with(|out| out.push_str(value));
                    }
                    false => out.push_null(),
                },
            }
        }
        Ok(left)
    }

    /// The same for counts: whatever the rule does not take to another count is out of its range.
    pub(super) fn each_count(
        &self,
        rows: &[Option<i128>],
        mut work: impl FnMut(usize, i128) -> Result<i128, Misfit>,
    ) -> Result<Values<i128>, RowError> {
        let mut left = 0;
        let mut out = Vec::with_capacity(rows.len());
        for (row, count) in rows.iter().enumerate() {
            out.push(match count.map(|count| work(row, count)) {
                None => None,
                Some(Ok(result)) => Some(result),
                Some(Err(misfit)) => match self.on_misfit(row, misfit)? {
                    true => {
                        left += 1;
                        *count
                    }
                    false => None,
                },
            });
        }
        Ok((out, left))
    }
}
