//! Texts that keep their length, straight from one buffer to another: rows of symbols, with separators that stay.
//!
//! What this does is what [`StringFormat`](crate::formats::StringFormat) does, row by row, for the formats and values that most
//! columns hold. A row that it has no way for is left to that; so are all errors.

use super::encrypt::sides;
use super::{RowError, Transform};
use crate::Result;
use crate::cipher::{Direction, Fate, Place, Sieve, Taken, Tweaks};
use crate::formats::{Format, MOST, Parts, Plain};
use crate::policy::{OnEmpty, Tweak};

/// Rows of text in one buffer.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The bytes of all rows.
    pub bytes: &'a [u8],
    /// Where each row stands.
    pub places: &'a [Place],
}

/// Memory that serves again from one call of [`Transform::plain_rows`] to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    taken: Taken,
    /// What became of each bucket.
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
    fn of(self, row: usize) -> &'a [u8] {
        match self {
            Self::None => &[],
            Self::Slices(tweaks) => tweaks[row],
            Self::Packed { bytes, length } => &bytes[row * length..][..length],
        }
    }
}

/// Rows that walk together: those with as many symbols to encrypt.
#[derive(Default)]
struct Bucket {
    rows: Vec<Laid>,
    symbols: Vec<u8>,
    /// For the kept parts alone.
    parts: Parts,
}

/// A row taken apart.
struct Laid {
    row: usize,
    /// Where its bytes stand.
    start: usize,
    /// Which of its bytes are symbols.
    mask: u64,
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
        if !cipher.lengths().contains(&n) || n > MOST {
            return Ok(false);
        }
        let tweaks = match (&self.rule.tweak, tweaks) {
            (Tweak::Fixed(bytes), _) => Tweaks::Shared(bytes),
            (Tweak::Column(_), ColumnTweaks::Slices(tweaks)) => Tweaks::PerRow(tweaks),
            (Tweak::Column(_), ColumnTweaks::Packed { bytes, length }) => Tweaks::Packed { bytes, length },
            (Tweak::Column(_), ColumnTweaks::None) => return Ok(false),
            (Tweak::Kept | Tweak::None, _) => Tweaks::Shared(&[]),
        };
        // Lengths and tweaks are right, so only a byte that is no symbol can be refused.
        Ok(cipher
            .apply_text(direction, tweaks, plain.symbols, input, output, n)
            .is_ok())
    }

    /// Encrypts or decrypts rows: `output`, which is as long as their buffer, gets the results in their places, and the rows that are
    /// left alone as they are. Returns the latter, in order. What stands between rows is of no use then.
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
        let Some(plain) = self.plain() else {
            output.copy_from_slice(rows.bytes);
            return Ok((0..rows.places.len()).collect());
        };
        let cipher = self.cipher()?;
        let with_kept = self.rule.tweak == Tweak::Kept && plain.keep != [0, 0];
        match plain.sieve(cipher, sides(direction).0, with_kept) {
            Some(sieve) => self.sieved_rows(direction, (&sieve, scratch), &plain, rows, tweaks, output),
            None => self.rows_one_by_one(direction, &plain, rows, tweaks, output),
        }
    }

    /// Rows that a kernel takes apart.
    fn sieved_rows(
        &self,
        direction: Direction,
        (sieve, scratch): (&Sieve, &mut Scratch),
        plain: &Plain<'_>,
        rows: Rows<'_>,
        tweaks: ColumnTweaks<'_>,
        output: &mut [u8],
    ) -> Result<Vec<usize>, RowError> {
        let cipher = self.cipher()?;
        let Scratch { taken, results } = scratch;
        sieve.take(rows.bytes, rows.places, taken);
        results.resize_with(taken.buckets.len(), Vec::new);
        for (n, bucket) in taken.buckets.iter().enumerate().filter(|(_, bucket)| bucket.rows > 0) {
            let length = n * bucket.rows;
            if results[n].len() < length + Sieve::SLACK {
                results[n].resize(length + Sieve::SLACK, 0);
            }
            let kept = Sieve::tweak_length(plain.keep);
            let slices: Vec<&[u8]>;
            let tweaks = match (&self.rule.tweak, tweaks) {
                (Tweak::Fixed(bytes), _) => Tweaks::Shared(bytes),
                (Tweak::Kept, _) if plain.keep != [0, 0] => Tweaks::Packed {
                    bytes: &bucket.tweaks[..kept * bucket.rows],
                    length: kept,
                },
                (Tweak::Kept | Tweak::None, _) => Tweaks::Shared(&[]),
                (Tweak::Column(_), ColumnTweaks::None) => return Err(RowError::Other(self.no_tweaks())),
                (Tweak::Column(_), tweaks) => {
                    let fates = taken.fates.iter().enumerate();
                    let here = fates.filter(|(_, fate)| **fate == Fate::Taken(n as u8));
                    slices = here.map(|(row, _)| tweaks.of(row)).collect();
                    Tweaks::PerRow(&slices)
                }
            };
            let (symbols, result) = (&bucket.symbols[..length], &mut results[n][..length]);
            cipher.apply_text(direction, tweaks, plain.symbols, symbols, result, n)?;
        }
        sieve.put(rows.bytes, rows.places, taken, results, output);
        let is_left = |(row, fate): (usize, &Fate)| {
            let place = rows.places[row];
            let stays = place == Place::NULL || place.length == 0 && self.rule.on_empty == OnEmpty::Keep;
            (*fate == Fate::Left && !stays).then_some(row)
        };
        Ok(taken.fates.iter().enumerate().filter_map(is_left).collect())
    }

    /// The same in plain Rust.
    fn rows_one_by_one(
        &self,
        direction: Direction,
        plain: &Plain<'_>,
        rows: Rows<'_>,
        tweaks: ColumnTweaks<'_>,
        output: &mut [u8],
    ) -> Result<Vec<usize>, RowError> {
        output.copy_from_slice(rows.bytes);
        let cipher = self.cipher()?;
        let (from, to) = sides(direction);
        let mut buckets: Vec<Bucket> = Vec::new();
        buckets.resize_with(MOST + 1, Bucket::default);
        let mut others = Vec::new();
        let mut marks = Vec::new();
        let mut symbols = Vec::with_capacity(MOST);
        let with_kept = self.rule.tweak == Tweak::Kept && plain.keep != [0, 0];
        for (row, place) in rows.places.iter().enumerate() {
            if *place == Place::NULL {
                continue;
            }
            let text = &rows.bytes[place.start as usize..][..place.length as usize];
            if text.is_empty() && self.rule.on_empty == OnEmpty::Keep {
                continue;
            }
            if text.len() > MOST {
                others.push(row);
                continue;
            }
            marks.clear();
            plain.symbols.mark(text, &mut marks);
            let mut mask = 0u64;
            let mut strange = false;
            symbols.resize(MOST, 0);
            let mut n = 0;
            for (at, (byte, mark)) in text.iter().zip(&marks).enumerate() {
                symbols[n] = *byte;
                n += usize::from(*mark);
                mask |= u64::from(*mark) << at;
                strange |= *mark == 0 && (*byte >= 128 || plain.separators >> byte & 1 == 0);
            }
            symbols.truncate(n);
            match plain.free(&symbols, from) {
                Some(free) if !strange && cipher.lengths().contains(&free.len()) => {
                    let bucket = &mut buckets[free.len()];
                    bucket.symbols.extend_from_slice(&symbols[free]);
                    if with_kept {
                        plain.kept(&symbols, &mut bucket.parts);
                    }
                    bucket.rows.push(Laid {
                        row,
                        start: place.start as usize,
                        mask,
                    });
                }
                _ => others.push(row),
            }
        }
        let mut results = Vec::new();
        for (n, bucket) in buckets.iter().enumerate().filter(|(_, bucket)| !bucket.rows.is_empty()) {
            results.clear();
            results.resize(bucket.symbols.len(), 0);
            let per_row: Vec<&[u8]>;
            let tweaks = match &self.rule.tweak {
                Tweak::Fixed(bytes) => Tweaks::Shared(bytes),
                Tweak::Kept if with_kept => Tweaks::Packed {
                    bytes: &bucket.parts.kept,
                    length: bucket.parts.kept.len() / bucket.rows.len(),
                },
                Tweak::Kept | Tweak::None => Tweaks::Shared(&[]),
                Tweak::Column(_) if matches!(tweaks, ColumnTweaks::None) => {
                    return Err(RowError::Other(self.no_tweaks()));
                }
                Tweak::Column(_) => {
                    per_row = bucket.rows.iter().map(|laid| tweaks.of(laid.row)).collect();
                    Tweaks::PerRow(&per_row)
                }
            };
            cipher.apply_text(direction, tweaks, plain.symbols, &bucket.symbols, &mut results, n)?;
            for (laid, result) in bucket.rows.iter().zip(results.chunks_exact(n)) {
                plain.put(&mut output[laid.start..], laid.mask, result, to);
            }
        }
        Ok(others)
    }
}
