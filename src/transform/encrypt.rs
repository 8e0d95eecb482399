//! `encrypt`: FF1 over the numerals or the rank of a value.

use std::ops::Range;

use num_bigint::BigUint;

use super::{Texts, Transform, Values, mask};
use crate::cipher::{CipherError, Direction, Tweaks};
use crate::formats::{
    Counts, Format, Misfit, MixedFormat, Ordinal, Parts, Places, RankedFormat, Side, StringFormat, WIDEST,
};
use crate::policy::{FF3_1_TWEAK, OnEmpty, OnInvalid, OnShort, Rule, Treatment, Tweak};
use crate::{Error, Result};

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

impl From<CipherError> for RowError {
    fn from(error: CipherError) -> Self {
        Self::Other(error.into())
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
            .with_hint(remedy(&misfit, rule)),
            Self::Other(error) => error.context(format_args!("column `{column}`, rule `{}`", rule.name)),
        }
    }
}

/// What to do about a value that does not fit: only what the rule could be given.
fn remedy(misfit: &Misfit, rule: &Rule) -> String {
    let mut remedies: Vec<&str> = Vec::new();
    match misfit {
        Misfit::TweakLength { .. } => return "mend the tweak column".to_owned(),
        Misfit::UnderFloor { .. } | Misfit::SmallDomain { .. } => {
            let could_band = rule.treatment == Treatment::Encrypt && rule.on_short != OnShort::Band;
            if could_band && rule.format.banded().is_ok() {
                remedies.push("set on_short = \"band\" in the rule");
            }
            remedies.extend(["keep less of the value", "set on_invalid = \"null\""]);
            if rule.insecure_small_domain.is_none() {
                remedies.push("accept the risk with insecure_small_domain = \"the reason\"");
            }
        }
        _ => {
            remedies.extend(["mend the value", "set on_invalid = \"null\" in the rule"]);
            // As the policy has it.
            if rule.format.same_on_both_sides() && !rule.version_character {
                remedies.push("leave it in the clear with on_invalid = \"insecure-keep\"");
            }
        }
    }
    let last = remedies.pop().unwrap_or_default();
    format!("{}, or {last}", remedies.join(", "))
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
        if let (true, Some(tweaks)) = (self.takes_tweaks_of_56_bits(), tweaks) {
            for (row, (value, tweak)) in rows.iter().zip(tweaks).enumerate() {
                if value.is_some_and(|value| !value.is_empty()) && tweak.len() != FF3_1_TWEAK {
                    let found = tweak.len();
                    let misfit = Misfit::TweakLength {
                        found,
                        takes: FF3_1_TWEAK,
                    };
                    return Err(RowError::Misfit { row, misfit });
                }
            }
        }
        match self.rule.version_character {
            true => self.marked_texts(direction, rows, tweaks, out),
            false => self.unmarked_texts(direction, rows, tweaks, out),
        }
    }

    /// Does each row bring its tweak, and must that be as long as FF3-1 has it?
    pub(super) fn takes_tweaks_of_56_bits(&self) -> bool {
        self.rule.treatment == Treatment::EncryptLegacy && matches!(self.rule.tweak, Tweak::Column(_))
    }

    pub(super) fn unmarked_texts(
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
        if let Some(left) = self.value_texts(direction, rows, tweaks, out)? {
            return Ok(left);
        }
        let (from, _) = sides(direction);
        // An empty text belongs to no band.
        let band = |value: &str| self.rule.format.band(value, from).filter(|_| !value.is_empty());
        let mut banded: Vec<(usize, &str, &dyn RankedFormat)> = Vec::new();
        for (row, value) in rows.iter().enumerate() {
            banded.extend(value.and_then(|value| Some((row, value, band(value)?))));
        }
        if banded.is_empty() {
            return self.unbanded_texts(direction, rows, tweaks, out);
        }
        let mut others = rows.to_vec();
        let (mut live, mut ranks, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
        for (row, value, band) in &banded {
            others[*row] = None;
            // What a band takes, it ranks.
            let rank = band
                .rank(value)
                .map_err(|misfit| RowError::Misfit { row: *row, misfit })?;
            live.push(*row);
            ranks.push(rank);
            lasts.push(band.size() - 1);
        }
        let mut done = Texts::default();
        let left = self.unbanded_texts(direction, &others, tweaks, &mut done)?;
        let tweaks = self.tweaks_of(&live, tweaks)?;
        self.walk(direction, &mut ranks, |at| lasts[at], tweaks.as_tweaks())?;
        let mut results = banded.iter().zip(ranks).peekable();
        for (row, text) in done.iter().enumerate() {
            match (results.next_if(|((at, ..), _)| *at == row), text) {
                (Some(((_, value, band), rank)), _) => out.push_with(|out| band.unrank(rank, value, out)),
                (None, Some(text)) => out.push_with(|out| out.push_str(text)),
                (None, None) => out.push_null(),
            }
        }
        Ok(left)
    }

    fn unbanded_texts(
        &self,
        direction: Direction,
        rows: &[Option<&str>],
        tweaks: Option<&[&[u8]]>,
        out: &mut Texts,
    ) -> Result<usize, RowError> {
        match &self.rule.format {
            Format::String(format) => self.strings(format.as_ref(), direction, rows, tweaks, out),
            Format::Ranked(format) => self.ranked_texts(format.as_ref(), direction, rows, tweaks, out),
            Format::Mixed(format) => self.mixed_texts(format.as_ref(), direction, rows, tweaks, out),
        }
    }

    /// As [`Transform::texts`], for what the format counts (see [`Transform::counts`]). `None` in the result is NULL, as is every count masked.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so; a rule whose format does not count.
    pub fn counted(
        &self,
        direction: Direction,
        rows: &[Option<i128>],
        tweaks: Option<&[&[u8]]>,
    ) -> Result<Values<i128>, RowError> {
        let Some(Counts { min, max, .. }) = self.counts() else {
            let version = self.rule.format.version();
            return Err(RowError::Other(Error::bug(format!("format {version} does not count"))));
        };
        if self.masked && direction == Direction::Decrypt {
            return Ok((vec![None; rows.len()], 0));
        }
        if let Some(done) = self.value_counts(direction, rows, tweaks)? {
            return Ok(done);
        }
        let mut out = rows.to_vec();
        let (mut live, mut ranks, mut left) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()), 0);
        for (row, value) in rows.iter().enumerate() {
            match value {
                Some(value) if (min..=max).contains(value) => {
                    live.push(row);
                    ranks.push(value.abs_diff(min));
                }
                Some(_) => match self.misfit(row, Misfit::OutOfRange)? {
                    Left::Null => out[row] = None,
                    Left::Clear => left += 1,
                },
                None => {}
            }
        }
        let last = max.abs_diff(min);
        let tweaks = self.tweaks_of(&live, tweaks)?;
        self.walk(direction, &mut ranks, |_| last, tweaks.as_tweaks())?;
        for (row, rank) in live.into_iter().zip(ranks) {
            out[row] = Some(min.wrapping_add_unsigned(rank)); // within min…max
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
        let last = format.size() - 1;
        let tweaks = self.tweaks_of(&live, tweaks)?;
        self.walk(direction, &mut ranks, |_| last, tweaks.as_tweaks())?;
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

    fn mixed_texts(
        &self,
        format: &dyn MixedFormat,
        direction: Direction,
        rows: &[Option<&str>],
        tweaks: Option<&[&[u8]]>,
        out: &mut Texts,
    ) -> Result<usize, RowError> {
        let (from, to) = sides(direction);
        let floor = u128::from(self.binary()?.floor().value());
        let mut places = Places::default();
        let mut live: Vec<Live> = Vec::with_capacity(rows.len());
        let mut numbers = Numbers::default();
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
            let (start, kept) = (places.digits.len(), places.kept.len());
            let split = format.split(value, from, &mut places).and_then(|()| {
                // Before a number of that size is made.
                let bits: u64 = places.choices[start..]
                    .iter()
                    .map(|choices| u64::from(choices.ilog2()))
                    .sum();
                if bits > WIDEST {
                    return Err(Misfit::TooWide { most: WIDEST });
                }
                let ordinal = Ordinal::of(&places.digits[start..], &places.choices[start..]);
                match &ordinal {
                    Ordinal::Narrow { last, .. } if *last < floor - 1 => Err(Misfit::SmallDomain {
                        values: *last + 1,
                        least: floor,
                    }),
                    wide if wide.bits() > WIDEST => Err(Misfit::TooWide { most: WIDEST }),
                    _ => Ok(ordinal),
                }
            });
            match split {
                Ok(ordinal) => {
                    fates.push(Fate::Live(live.len()));
                    numbers.push(live.len(), ordinal);
                    live.push(Live {
                        row,
                        numerals: start..places.digits.len(),
                        kept: kept..places.kept.len(),
                    });
                }
                Err(misfit) => {
                    places.digits.truncate(start);
                    places.choices.truncate(start);
                    places.kept.truncate(kept);
                    fates.push(self.misfit(row, misfit)?.into());
                }
            }
        }

        let rows_of = |at: &[usize]| -> Result<RowTweaks<'_>, RowError> {
            match &self.rule.tweak {
                Tweak::Kept if !places.kept.is_empty() => Ok(RowTweaks::PerRow(
                    at.iter().map(|at| &places.kept[live[*at].kept.clone()]).collect(),
                )),
                _ => self.tweaks_of(&at.iter().map(|at| live[*at].row).collect::<Vec<_>>(), tweaks),
            }
        };
        let Numbers { narrow, mut wide } = numbers;
        let (at, mut ranks, lasts): (Vec<usize>, Vec<u128>, Vec<u128>) = narrow.into_iter().fold(
            Default::default(),
            |(mut at, mut ranks, mut lasts), (i, rank, last): (usize, u128, u128)| {
                at.push(i);
                ranks.push(rank);
                lasts.push(last);
                (at, ranks, lasts)
            },
        );
        self.walk(direction, &mut ranks, |i| lasts[i], rows_of(&at)?.as_tweaks())?;
        let of_wide: Vec<usize> = wide.iter().map(|(at, ..)| *at).collect();
        self.walk_wide(direction, &mut wide, rows_of(&of_wide)?.as_tweaks())?;
        let mut results: Vec<Option<Ordinal>> = vec![None; live.len()];
        for ((at, rank), last) in at.into_iter().zip(ranks).zip(lasts) {
            results[at] = Some(Ordinal::Narrow { rank, last });
        }
        for (at, rank, last) in wide {
            results[at] = Some(Ordinal::Wide { rank, last });
        }

        let (mut left, mut digits) = (0, Vec::new());
        for (value, fate) in rows.iter().zip(fates) {
            match (value, fate) {
                (Some(value), Fate::Live(at)) => {
                    digits.clear();
                    if let Some(ordinal) = &results[at] {
                        ordinal.spell(&places.choices[live[at].numerals.clone()], &mut digits);
                    }
                    out.push_with(|out| format.join(value, &digits, to, out));
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

    pub(super) fn tweaks_of<'a>(
        &'a self,
        live: &[usize],
        tweaks: Option<&[&'a [u8]]>,
    ) -> Result<RowTweaks<'a>, RowError> {
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

    /// What becomes of a row that does not fit: whether it stays in the clear, else it is NULL.
    ///
    /// # Errors
    /// That it does not fit, if the rule says so.
    pub fn on_misfit(&self, row: usize, misfit: Misfit) -> Result<bool, RowError> {
        self.misfit(row, misfit).map(|left| matches!(left, Left::Clear))
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

/// Numbers by width, with what says whose they are.
#[derive(Default)]
struct Numbers {
    narrow: Vec<(usize, u128, u128)>,
    wide: Vec<(usize, BigUint, BigUint)>,
}

impl Numbers {
    fn push(&mut self, at: usize, ordinal: Ordinal) {
        match ordinal {
            Ordinal::Narrow { rank, last } => self.narrow.push((at, rank, last)),
            Ordinal::Wide { rank, last } => self.wide.push((at, rank, last)),
        }
    }
}

pub(super) enum RowTweaks<'a> {
    Shared(&'a [u8]),
    PerRow(Vec<&'a [u8]>),
}

impl<'a> RowTweaks<'a> {
    /// Those of some rows.
    pub(super) fn of(tweaks: Tweaks<'a>, rows: impl Iterator<Item = usize>) -> Self {
        match tweaks {
            Tweaks::Shared(tweak) => Self::Shared(tweak),
            Tweaks::PerRow(tweaks) => Self::PerRow(rows.map(|row| tweaks[row]).collect()),
            Tweaks::Packed { bytes, length } => {
                Self::PerRow(rows.map(|row| &bytes[row * length..][..length]).collect())
            }
        }
    }

    pub(super) fn as_tweaks(&self) -> Tweaks<'_> {
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
