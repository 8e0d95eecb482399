//! Formats over one alphabet: FF1 straight over a value's numerals.

use std::ops::Range;

use super::cipher::Fpe;
use crate::formats::{FormatError, Parts, RowError, Side, StringFormat};
use crate::policy::{Rule, Tweak};
use crate::transform::batch::{Outcome, TextBatch, Texts};
use crate::transform::rows::{GatheredTweaks, RowResult, stays_empty};

/// A row whose numerals go through the cipher.
struct StringRow {
    row: usize,
    numerals: Range<usize>,
    kept: Range<usize>,
}

impl Fpe {
    pub(super) fn strings(
        &self,
        rule: &Rule,
        format: &dyn StringFormat,
        batch: TextBatch<'_>,
        out: &mut Texts,
    ) -> Result<Outcome, RowError> {
        let (from, to) = Side::ends(batch.direction);
        let mut parts = Parts::default();
        let mut live: Vec<StringRow> = Vec::with_capacity(batch.rows.len());
        let mut results: Vec<RowResult> = Vec::with_capacity(batch.rows.len());
        for (row, value) in batch.rows.iter().enumerate() {
            let result = match value {
                None => RowResult::Null,
                Some(value) if stays_empty(rule, value) => RowResult::Clear,
                Some(value) => {
                    // Marks in the shared buffers, to cut back to if the value does not fit.
                    let (numerals, kept) = (parts.numerals.len(), parts.kept.len());
                    match self.split_string(format, value, from, &mut parts) {
                        Ok(()) => {
                            live.push(StringRow {
                                row,
                                numerals: numerals..parts.numerals.len(),
                                kept: kept..parts.kept.len(),
                            });
                            RowResult::Treated(live.len() - 1)
                        }
                        Err(cause) => {
                            // What a failed split left would be encrypted as part of the next row.
                            parts.numerals.truncate(numerals);
                            parts.kept.truncate(kept);
                            RowResult::for_unfit(rule, row, cause)?
                        }
                    }
                }
            };
            results.push(result);
        }

        let Parts { numerals, kept } = &mut parts;
        let ranges: Vec<Range<usize>> = live.iter().map(|live| live.numerals.clone()).collect();
        // Kept parts differ from row to row. A format without any has an empty buffer and shares the rule's tweak.
        let tweaks = if rule.tweak == Tweak::Kept && !kept.is_empty() {
            GatheredTweaks::PerRow(live.iter().map(|live| &kept[live.kept.clone()]).collect())
        } else {
            GatheredTweaks::for_rule(rule, batch.tweaks, live.iter().map(|live| live.row))?
        };
        // One call for all rows: the cipher groups them by length itself.
        self.cipher
            .apply_rows(batch.direction, tweaks.as_tweaks(), numerals, &ranges)?;

        Ok(out.push_results(batch.rows, results, |at, value, out| {
            format.join(value, &parts.numerals[live[at].numerals.clone()], to, out);
        }))
    }

    /// Splits one value, and checks that the cipher takes as many numerals.
    fn split_string(
        &self,
        format: &dyn StringFormat,
        value: &str,
        side: Side,
        parts: &mut Parts,
    ) -> Result<(), FormatError> {
        let before = parts.numerals.len();
        format.split(value, side, parts)?;
        let found = parts.numerals.len() - before;
        // The cipher's lengths begin where radix^length passes the floor, so short values are refused here.
        let lengths = self.cipher.lengths();
        let (least, most) = (*lengths.start(), *lengths.end());
        if found < least {
            Err(FormatError::UnderFloor { found, least })
        } else if found > most {
            Err(FormatError::TooLong { found, most })
        } else {
            Ok(())
        }
    }
}
