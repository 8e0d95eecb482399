//! Rows of any lengths: those of one length go through the rounds together.

use std::ops::Range;

use crate::cipher::Cipher;
use crate::spec::error::{CipherError, Result};
use crate::spec::tweaks::Tweaks;
use crate::spec::types::Direction;

impl Cipher {
    /// Encrypts or decrypts a batch in place whose rows may differ in length: row i is `numerals[rows[i]]`, most
    /// significant first. Rows must not overlap.
    ///
    /// # Errors
    ///
    /// As [`Cipher::apply`], naming the row. Then nothing is changed.
    pub fn apply_rows(
        &self,
        direction: Direction,
        tweaks: Tweaks<'_>,
        numerals: &mut [u16],
        rows: &[Range<usize>],
    ) -> Result<()> {
        // All checks of all rows before the first is changed: an error leaves the batch as it was.
        self.check_tweaks(tweaks, rows.len())?;
        for (row, range) in rows.iter().enumerate() {
            let checked = self.radix.check_length(self.mode, &self.floor, range.len());
            checked.map_err(|error| CipherError::InRow {
                row,
                error: Box::new(error),
            })?;
            self.check_numerals(&numerals[range.clone()], range.len())
                .map_err(|error| match error {
                    CipherError::NumeralOutOfRange { position, radix, .. } => {
                        CipherError::NumeralOutOfRange { row, position, radix }
                    }
                    other => other,
                })?;
        }
        // Row numbers by length; a stable sort keeps neighbours together.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|row| rows[*row].len());
        let mut batch: Vec<u16> = Vec::new();
        for shape in order.chunk_by(|a, b| rows[*a].len() == rows[*b].len()) {
            // Rows of one length are copied together, go through the rounds as one batch, and are copied back: two
            // copies cost little beside ten rounds of AES.
            batch.clear();
            for row in shape {
                batch.extend_from_slice(&numerals[rows[*row].clone()]);
            }
            let length = rows[shape[0]].len();
            match tweaks {
                Tweaks::Shared(_) => self.apply(direction, tweaks, &mut batch, length)?,
                Tweaks::PerRow(tweaks) => {
                    let tweaks: Vec<&[u8]> = shape.iter().map(|row| tweaks[*row]).collect();
                    self.apply(direction, Tweaks::PerRow(&tweaks), &mut batch, length)?;
                }
                Tweaks::Packed { bytes, length: each } => {
                    let tweaks: Vec<&[u8]> = shape.iter().map(|row| &bytes[row * each..][..each]).collect();
                    self.apply(direction, Tweaks::PerRow(&tweaks), &mut batch, length)?;
                }
            }
            for (row, result) in shape.iter().zip(batch.chunks_exact(length)) {
                numerals[rows[*row].clone()].copy_from_slice(result);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::key::AesKey;
    use crate::spec::radix::Radix;

    fn cipher() -> Cipher {
        Cipher::ff1(&AesKey::try_new(&[3; 32]).unwrap(), Radix::try_new(10).unwrap())
    }

    /// Rows of mixed lengths one after the other.
    fn mixed(lengths: &[usize]) -> (Vec<u16>, Vec<Range<usize>>) {
        let mut rows = Vec::new();
        let mut end = 0;
        for length in lengths {
            rows.push(end..end + length);
            end += length;
        }
        ((0..end).map(|i| (i * 7 % 10) as u16).collect(), rows)
    }

    #[test]
    fn equals_row_by_row() {
        let (plain, rows) = mixed(&[16, 6, 19, 16, 40, 6, 7, 16]);
        let tweaks: Vec<Vec<u8>> = (0..rows.len()).map(|row| vec![row as u8; row]).collect();
        let tweaks: Vec<&[u8]> = tweaks.iter().map(Vec::as_slice).collect();
        for (all, each) in [(Tweaks::Shared(b"t"), None), (Tweaks::PerRow(&tweaks), Some(&tweaks))] {
            let mut together = plain.clone();
            cipher()
                .apply_rows(Direction::Encrypt, all, &mut together, &rows)
                .unwrap();
            for (row, range) in rows.iter().enumerate() {
                let mut alone = plain[range.clone()].to_vec();
                let tweak = each.map_or(&b"t"[..], |tweaks| tweaks[row]);
                let length = alone.len();
                cipher()
                    .apply(Direction::Encrypt, Tweaks::Shared(tweak), &mut alone, length)
                    .unwrap();
                assert_eq!(together[range.clone()], alone);
            }
            cipher()
                .apply_rows(Direction::Decrypt, all, &mut together, &rows)
                .unwrap();
            assert_eq!(together, plain);
        }
    }

    #[test]
    fn a_bad_row_is_named_and_changes_nothing() {
        let (plain, rows) = mixed(&[16, 5, 16]);
        let mut numerals = plain.clone();
        let error = cipher().apply_rows(Direction::Encrypt, Tweaks::Shared(b""), &mut numerals, &rows);
        assert!(error.unwrap_err().to_string().contains("row 1"));
        let (mut plain, rows) = mixed(&[16, 6, 16]);
        plain[17] = 10;
        let mut numerals = plain.clone();
        let error = cipher().apply_rows(Direction::Encrypt, Tweaks::Shared(b""), &mut numerals, &rows);
        assert!(error.unwrap_err().to_string().contains("row 1"));
        assert_eq!(numerals, plain);
    }
}
