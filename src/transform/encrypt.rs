//! `encrypt`: FF1 over the numerals or the rank of a value.

use std::ops::Range;

use super::{Texts, Transform, mask};
use crate::cipher::{Direction, Tweaks};
use crate::formats::{Format, Misfit, Parts, RankedFormat, Side, StringFormat};
use crate::policy::{OnEmpty, OnInvalid, Tweak};
use crate::{Error, Result};

/// Cycle walking leaves the domain with probability below 1/2 a step, so this many steps mean a fault of ours.
const MOST_WALKS: u128 = 256;

/// A row that could not be done.
#[derive(Debug)]
pub enum RowError {
    /// Its value does not fit the format, and the rule says that this is an error.
    Misfit {
        /// From 0, in the batch given.
        row: usize,
        /// Why.
        misfit: Misfit,
    },
    /// Not this row's fault.
    Other(Error),
}

impl From<Error> for RowError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl RowError {
    /// This error, in a column; `number` gives the number that a row of the batch has for a person.
    pub fn locate(self, number: impl Fn(usize) -> u64, column: &str, transform: &Transform) -> Error {
        let rule = &transform.rule;
        match self {
            Self::Misfit { row, misfit } => Error::bad_input(format!(
                "column `{column}`, row {}: {misfit} (rule `{}`, format {})",
                number(row),
                rule.name,
                rule.format.version()
            ))
            .with_hint(match misfit {
                Misfit::UnderFloor { .. } => {
                    "set on_invalid = \"null\" in the rule, keep less of the value, or accept the risk with \
                     insecure_small_domain = \"the reason\""
                }
                _ => "mend the value, or set on_invalid = \"null\" or \"insecure-keep\" in the rule",
            }),
            Self::Other(error) => error.context(format_args!("column `{column}`, rule `{}`", rule.name)),
        }
    }
}

/// One row on its way through the cipher.
struct Live {
    row: usize,
    numerals: Range<usize>,
    kept: Range<usize>,
}

impl Transform {
    /// Encrypts or decrypts `rows`, appending one result a row to `out`; NULL stays NULL. Returns how many values were left in
    /// the clear because they do not fit and the rule says `on_invalid = "insecure-keep"`.
    ///
    /// `tweaks` holds the tweak column's bytes, one a row, and is ignored unless the rule has one.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so.
    pub fn texts(
        &self,
        direction: Direction,
        rows: &[Option<&str>],
        tweaks: Option<&[&[u8]]>,
        out: &mut Texts,
    ) -> Result<usize, RowError> {
        if self.masked && direction == Direction::Decrypt {
            let mut clear = Texts::default();
            let left = self.unmasked_texts(direction, rows, tweaks, &mut clear)?;
            for text in clear.iter() {
                match text {
                    Some(text) => out.push_with(|out| out.push_str(&mask(text, &self.rule))),
                    None => out.push_null(),
                }
            }
            return Ok(left);
        }
        self.unmasked_texts(direction, rows, tweaks, out)
    }

    fn unmasked_texts(
        &self,
        direction: Direction,
        rows: &[Option<&str>],
        tweaks: Option<&[&[u8]]>,
        out: &mut Texts,
    ) -> Result<usize, RowError> {
        match &self.rule.format {
            Format::String(format) => self.strings(format.as_ref(), direction, rows, tweaks, out),
            Format::Ranked(format) => self.ranked_texts(format.as_ref(), direction, rows, tweaks, out),
        }
    }

    /// As [`Transform::texts`], for integer columns. `None` in the result is NULL, as is every integer masked.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so; a rule whose format is not for integers.
    pub fn integers_of(
        &self,
        direction: Direction,
        rows: &[Option<i64>],
        tweaks: Option<&[&[u8]]>,
    ) -> Result<(Vec<Option<i64>>, usize), RowError> {
        let Some((min, max)) = self.integers() else {
            return Err(RowError::Other(
                Error::bad_policy(format!(
                    "format {} is for text, not integers",
                    self.rule.format.version()
                ))
                .with_hint("use format = { type = \"integer\", min = …, max = … }"),
            ));
        };
        if self.masked && direction == Direction::Decrypt {
            return Ok((vec![None; rows.len()], 0));
        }
        let mut out = rows.to_vec();
        let (mut live, mut ranks, mut left) = (Vec::new(), Vec::new(), 0);
        for (row, value) in rows.iter().enumerate() {
            match value {
                Some(value) if (min..=max).contains(value) => {
                    live.push(row);
                    ranks.push(u128::from(value.abs_diff(min)));
                }
                Some(_) => match self.misfit(row, Misfit::OutOfRange)? {
                    Left::Null => out[row] = None,
                    Left::Clear => left += 1,
                },
                None => {}
            }
        }
        let size = u128::from(max.abs_diff(min)) + 1;
        self.walk(direction, size, &mut ranks, &self.tweaks_of(&live, tweaks)?)?;
        for (row, rank) in live.into_iter().zip(ranks) {
            out[row] = Some((i128::from(min) + rank as i128) as i64); // within min…max
        }
        Ok((out, left))
    }

    fn strings(
        &self,
        format: &dyn StringFormat,
        direction: Direction,
        rows: &[Option<&str>],
        tweaks: Option<&[&[u8]]>,
        out: &mut Texts,
    ) -> Result<usize, RowError> {
        let (from, to) = sides(direction);
        let lengths = self.cipher()?.lengths();
        let mut parts = Parts::default();
        let mut live: Vec<Live> = Vec::with_capacity(rows.len());
        let mut fates: Vec<Fate> = Vec::with_capacity(rows.len());
        for (row, value) in rows.iter().enumerate() {
            let Some(value) = value else {
                fates.push(Fate::Null);
                continue;
            };
            if value.is_empty() && self.rule.on_empty == OnEmpty::Keep {
                fates.push(Fate::Clear);
                continue;
            }
            let (numerals, kept) = (parts.numerals.len(), parts.kept.len());
            let split = format.split(value, from, &mut parts).and_then(|()| {
                let found = parts.numerals.len() - numerals;
                match (found < *lengths.start(), found > *lengths.end()) {
                    (true, _) => Err(Misfit::UnderFloor {
                        found,
                        least: *lengths.start(),
                    }),
                    (_, true) => Err(Misfit::TooLong {
                        found,
                        most: *lengths.end(),
                    }),
                    _ => Ok(()),
                }
            });
            match split {
                Ok(()) => {
                    fates.push(Fate::Live(live.len()));
                    live.push(Live {
                        row,
                        numerals: numerals..parts.numerals.len(),
                        kept: kept..parts.kept.len(),
                    });
                }
                Err(misfit) => {
                    parts.numerals.truncate(numerals);
                    parts.kept.truncate(kept);
                    fates.push(self.misfit(row, misfit)?.into());
                }
            }
        }

        let Parts { numerals, kept } = &mut parts;
        let ranges: Vec<Range<usize>> = live.iter().map(|live| live.numerals.clone()).collect();
        let tweaks = match &self.rule.tweak {
            Tweak::Kept if !kept.is_empty() => {
                RowTweaks::PerRow(live.iter().map(|live| &kept[live.kept.clone()]).collect())
            }
            _ => self.tweaks_of(&live.iter().map(|live| live.row).collect::<Vec<_>>(), tweaks)?,
        };
        self.cipher()?
            .apply_rows(direction, tweaks.as_tweaks(), numerals, &ranges)?;

        let mut left = 0;
        for (value, fate) in rows.iter().zip(fates) {
            match (value, fate) {
                (Some(value), Fate::Live(at)) => {
                    let numerals = &parts.numerals[live[at].numerals.clone()];
                    out.push_with(|out| format.join(value, numerals, to, out));
                }
                (Some(value), Fate::Clear) => {
                    left += usize::from(!value.is_empty());
                    out.push_with(|out| out.push_str(value));
                }
                _ => out.push_null(),
            }
        }
        Ok(left)
    }

    fn ranked_texts(
        &self,
        format: &dyn RankedFormat,
        direction: Direction,
        rows: &[Option<&str>],
        tweaks: Option<&[&[u8]]>,
        out: &mut Texts,
    ) -> Result<usize, RowError> {
        let (mut live, mut ranks, mut left) = (Vec::new(), Vec::new(), 0);
        let mut fates = Vec::with_capacity(rows.len());
        for (row, value) in rows.iter().enumerate() {
            let fate = match value {
                None => Fate::Null,
                Some("") if self.rule.on_empty == OnEmpty::Keep => Fate::Clear,
                Some(value) => match format.rank(value) {
                    Ok(rank) => {
                        live.push(row);
                        ranks.push(rank);
                        Fate::Live(ranks.len() - 1)
                    }
                    Err(misfit) => self.misfit(row, misfit)?.into(),
                },
            };
            fates.push(fate);
        }
        self.walk(direction, format.size(), &mut ranks, &self.tweaks_of(&live, tweaks)?)?;
        for (value, fate) in rows.iter().zip(fates) {
            match (value, fate) {
                (Some(value), Fate::Live(at)) => out.push_with(|out| format.unrank(ranks[at], value, out)),
                (Some(value), Fate::Clear) => {
                    left += usize::from(!value.is_empty());
                    out.push_with(|out| out.push_str(value));
                }
                _ => out.push_null(),
            }
        }
        Ok(left)
    }

    /// Cycle walking: FF1 over the next power of two, again for those that land outside.
    fn walk(
        &self,
        direction: Direction,
        size: u128,
        ranks: &mut [u128],
        tweaks: &RowTweaks<'_>,
    ) -> Result<(), RowError> {
        let bits = (128 - (size - 1).leading_zeros()).max(2);
        // Outside are 2^bits − size ranks; a walk that starts inside cannot take more steps than there are outside, and one.
        let outside = match bits {
            128 => u128::MAX - size + 1,
            bits => (1 << bits) - size,
        };
        let most = MOST_WALKS.min(outside + 1);
        let mut pending: Vec<usize> = (0..ranks.len()).collect();
        for _ in 0..most {
            if pending.is_empty() {
                break;
            }
            let mut batch: Vec<u128> = pending.iter().map(|at| ranks[*at]).collect();
            let per_row: Vec<&[u8]>;
            let tweaks = match tweaks {
                RowTweaks::Shared(tweak) => Tweaks::Shared(tweak),
                RowTweaks::PerRow(tweaks) => {
                    per_row = pending.iter().map(|at| tweaks[*at]).collect();
                    Tweaks::PerRow(&per_row)
                }
            };
            self.cipher()?.apply_bits(direction, tweaks, &mut batch, bits)?;
            for (at, rank) in pending.iter().zip(&batch) {
                ranks[*at] = *rank;
            }
            pending.retain(|at| ranks[*at] >= size);
        }
        match pending.is_empty() {
            true => Ok(()),
            false => Err(RowError::Other(Error::bug(format!(
                "a cycle walk took more than {most} steps"
            )))),
        }
    }

    fn tweaks_of<'a>(&'a self, live: &[usize], tweaks: Option<&[&'a [u8]]>) -> Result<RowTweaks<'a>, RowError> {
        Ok(match &self.rule.tweak {
            // Where nothing is kept clear.
            Tweak::Kept | Tweak::None => RowTweaks::Shared(&[]),
            Tweak::Fixed(bytes) => RowTweaks::Shared(bytes),
            Tweak::Column(_) => {
                let tweaks = tweaks.ok_or_else(|| self.no_tweaks())?;
                RowTweaks::PerRow(live.iter().map(|row| tweaks[*row]).collect())
            }
        })
    }

    fn misfit(&self, row: usize, misfit: Misfit) -> Result<Left, RowError> {
        match self.rule.on_invalid {
            OnInvalid::Error => Err(RowError::Misfit { row, misfit }),
            OnInvalid::Null => Ok(Left::Null),
            OnInvalid::InsecureKeep => Ok(Left::Clear),
        }
    }

    pub(super) fn no_tweaks(&self) -> Error {
        let column = self.tweak_column().unwrap_or_default();
        Error::bad_input(format!(
            "rule `{}` takes its tweak from column `{column}`",
            self.rule.name
        ))
        .with_hint("give the whole table, or pass the tweak as one more argument")
    }
}

enum RowTweaks<'a> {
    Shared(&'a [u8]),
    PerRow(Vec<&'a [u8]>),
}

impl RowTweaks<'_> {
    fn as_tweaks(&self) -> Tweaks<'_> {
        match self {
            Self::Shared(tweak) => Tweaks::Shared(tweak),
            Self::PerRow(tweaks) => Tweaks::PerRow(tweaks),
        }
    }
}

/// What becomes of a value that does not fit.
enum Left {
    Null,
    Clear,
}

/// What becomes of a row.
enum Fate {
    Null,
    /// It stays as it is.
    Clear,
    /// It went through the cipher, as this one of those that did.
    Live(usize),
}

impl From<Left> for Fate {
    fn from(left: Left) -> Self {
        match left {
            Left::Null => Self::Null,
            Left::Clear => Self::Clear,
        }
    }
}

pub(super) fn sides(direction: Direction) -> (Side, Side) {
    match direction {
        Direction::Encrypt => (Side::Plain, Side::Protected),
        Direction::Decrypt => (Side::Protected, Side::Plain),
    }
}
