//! Splits and joins values in plain Rust, one at a time and without a branch for a character.

use std::ops::RangeInclusive;

use crate::alphabet::Symbols;
use crate::kept_ends::{append_kept_numerals, tweak_length};
use crate::luhn;
use crate::split::{MAX_LENGTH, RowOutcome, Span, SplitPattern, SplitRows, SymbolGroup};

/// Splits values of up to 64 bytes in plain Rust.
pub(crate) struct PortableSplitter {
    symbols: Symbols,
    separators: u128,
    pub(crate) keep: [usize; 2],
    /// Symbols that are not encrypted.
    outer: usize,
    /// The least and the greatest number of symbols of a value.
    lengths: [usize; 2],
    /// The least and the greatest number of symbols to encrypt.
    free: [usize; 2],
    pub(crate) check: Option<[u16; 2]>,
    /// Bytes of a tweak, if the kept symbols are that.
    pub(crate) tweak: usize,
}

impl PortableSplitter {
    pub(crate) fn new(free: RangeInclusive<usize>, pattern: &SplitPattern<'_>) -> Self {
        let tweak = if pattern.kept_is_tweak {
            tweak_length(pattern.keep)
        } else {
            0
        };
        Self {
            symbols: pattern.symbols.clone(),
            separators: pattern.separators,
            keep: pattern.keep,
            outer: pattern.keep[0] + pattern.keep[1] + usize::from(pattern.check.is_some()),
            lengths: [*pattern.lengths.start(), *pattern.lengths.end()],
            // A value has no more symbols than bytes, so that a cut bound refuses nothing.
            free: [*free.start(), *free.end().min(&MAX_LENGTH)],
            check: pattern.check,
            tweak,
        }
    }

    pub(crate) fn split(&self, bytes: &[u8], spans: &[Span], rows: &mut SplitRows) {
        let SplitRows {
            outcomes,
            groups,
            masks,
        } = rows;
        for ((span, outcome), mask) in spans.iter().zip(outcomes).zip(masks) {
            (*outcome, *mask) = self.split_row(bytes, *span, groups);
        }
    }

    pub(crate) fn join(&self, bytes: &[u8], spans: &[Span], rows: &SplitRows, results: &[Vec<u8>], output: &mut [u8]) {
        // Results of a group stand in the order of its rows: one place for each group says which comes next.
        let mut used = [0; MAX_LENGTH + 1];
        for ((span, outcome), mask) in spans.iter().zip(&rows.outcomes).zip(&rows.masks) {
            if *span == Span::NULL {
                continue;
            }
            let (start, length) = (span.start as usize, span.length as usize);
            let to = &mut output[start..][..length];
            to.copy_from_slice(&bytes[start..][..length]);
            if let RowOutcome::Split(n) = *outcome {
                let n = usize::from(n);
                self.join_row(to, *mask, &results[n][used[n]..][..n]);
                used[n] += n;
            }
        }
    }

    /// The number of symbols to encrypt of `count`, if a value may have so many.
    #[inline]
    pub(crate) fn free(&self, count: usize) -> Option<usize> {
        let within = |[first, last]: [usize; 2], n: usize| (first..=last).contains(&n);
        let n = count.checked_sub(self.outer)?;
        (within(self.free, n) && within(self.lengths, count)).then_some(n)
    }

    /// Splits one value. Returns the outcome, and the bytes that are symbols, as bits.
    pub(crate) fn split_row(&self, bytes: &[u8], span: Span, groups: &mut [SymbolGroup]) -> (RowOutcome, u64) {
        let length = span.length as usize;
        // One comparison for three cases: an empty value wraps to the highest number, NULL has length 2^32 − 1, and
        // long values are beyond the masks of 64 bits.
        if length.wrapping_sub(1) >= MAX_LENGTH {
            return (RowOutcome::Skipped, 0);
        }
        let text = &bytes[span.start as usize..][..length];
        let mut marks = [0; MAX_LENGTH];
        self.symbols.read(text, &mut marks[..length]);
        let (mut symbols, mut numerals) = ([0; MAX_LENGTH], [0; MAX_LENGTH]);
        let (mut count, mut mask, mut strange) = (0, 0, false);
        // The place to write to advances by 0 or 1, in place of a branch: branches for each character would be
        // mispredicted where values differ.
        for (at, (byte, mark)) in text.iter().zip(marks).enumerate() {
            // No more are written than bytes were read. What is no symbol is written over.
            (symbols[count], numerals[count]) = (*byte, mark);
            let is_symbol = mark < 64;
            count += usize::from(is_symbol);
            mask |= u64::from(is_symbol) << at;
            // A shift by seven bits finds the byte in the set of separators, 128 bits; no table in memory is
            // indexed by a byte.
            strange |= !is_symbol & ((*byte >= 128) | (self.separators >> (byte & 127) & 1 == 0));
        }
        let numerals = &numerals[..count];
        // The first branch on the value: on the classes of its bytes, not on which symbols they are.
        let Some(n) = self.free(count).filter(|_| !strange) else {
            return (RowOutcome::Skipped, 0);
        };
        if self.check.is_some_and(|[sum, _]| luhn::sum(numerals) != sum) {
            return (RowOutcome::Skipped, 0);
        }
        let group = &mut groups[n];
        let [first, last] = self.keep;
        SymbolGroup::room(&mut group.symbols, group.rows * n, n)[..n].copy_from_slice(&symbols[first..first + n]);
        if self.tweak > 0 {
            // The vector is as long as the rows before; padding that another kernel has left behind is cut off.
            let at = group.rows * self.tweak;
            group.tweaks.resize(at, 0);
            append_kept_numerals(&mut group.tweaks, &numerals[..first]);
            append_kept_numerals(&mut group.tweaks, &numerals[count - last..]);
        }
        group.rows += 1;
        (RowOutcome::Split(n as u8), mask)
    }

    /// Writes `free` symbols to their places in `text`, whose symbols are at the bits of `mask`.
    pub(crate) fn join_row(&self, text: &mut [u8], mask: u64, free: &[u8]) {
        let (mut symbols, mut at) = ([0; 2 * MAX_LENGTH], 0);
        for (i, byte) in text.iter().enumerate() {
            symbols[at] = *byte;
            at += (mask >> i & 1) as usize;
        }
        let first = self.keep[0];
        symbols[first..first + free.len()].copy_from_slice(free);
        if let Some([_, sum]) = self.check {
            let (count, place) = (at, first + free.len());
            let mut digits = [0; MAX_LENGTH];
            self.symbols.read(&symbols[..count], &mut digits[..count]);
            // Zero counts nothing, counted double or not: the sum is that of the others.
            digits[place] = 0;
            symbols[place] = b'0' + luhn::solve(&digits[..count], place, sum) as u8; // below 10
        }
        let mut at = 0;
        for (i, byte) in text.iter_mut().enumerate() {
            let is_symbol = (mask >> i & 1) as u8;
            // Takes the symbol where the mask is all ones and leaves the byte where it is zero: again no branch.
            *byte ^= (*byte ^ symbols[at]) & is_symbol.wrapping_neg();
            at += usize::from(is_symbol);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::PADDING;
    use crate::splitter::Splitter;
    use cipherform_simd::multiversion::Instructions;
    use cipherform_simd::testing::SplitMix64;

    const UPPER: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    /// Texts of any lengths, many of which fit, alone and in runs.
    fn texts(random: &mut SplitMix64, alphabet: &str) -> (Vec<u8>, Vec<Span>) {
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        let count = [1, 2, 3, 31, 64, 65, 300, 700][random.below(8)];
        while spans.len() < count {
            if random.below(12) == 0 {
                spans.push(Span::NULL);
                continue;
            }
            let mut length = random.below(24);
            if random.below(8) == 0 {
                length = random.below(70);
            }
            let (grouped, strange) = (random.below(2) == 0, random.below(8) == 0);
            for _ in 0..1 + random.below(5) * random.below(5) {
                let start = bytes.len();
                for at in 0..length {
                    bytes.push(if grouped && at % 5 == 4 {
                        b'-'
                    } else {
                        alphabet.as_bytes()[random.below(alphabet.len())]
                    });
                }
                if strange && length > 0 {
                    bytes[start + random.below(length)] = [b'x', 0, 0xC3, b':'][random.below(4)];
                }
                spans.push(Span {
                    start: start as u32,
                    length: length as u32,
                });
            }
        }
        (bytes, spans)
    }

    /// Another text of as many symbols for each.
    fn changed(rows: &SplitRows, symbols: &[u8]) -> Vec<Vec<u8>> {
        let next = |byte: &u8| {
            let at = symbols.iter().position(|symbol| symbol == byte).unwrap();
            symbols[(at + 3) % symbols.len()]
        };
        let of_bucket = |(n, group): (usize, &SymbolGroup)| {
            let mut bytes: Vec<u8> = group.symbols[..n * group.rows].iter().map(next).collect();
            bytes.resize(bytes.len() + PADDING, 0xEE);
            bytes
        };
        rows.groups.iter().enumerate().map(of_bucket).collect()
    }

    #[test]
    fn every_kernel_takes_texts_apart_alike() {
        let mut random = SplitMix64(11);
        for (alphabet, keep, check) in [
            (&UPPER[..10], [0, 0], None),
            (&UPPER[..10], [6, 4], None),
            (&UPPER[..10], [0, 4], Some([0, 0])),
            (&UPPER[..10], [6, 4], Some([0, 1])),
            (&UPPER[..10], [0, 0], Some([3, 7])),
            (UPPER, [2, 1], None),
            ("QAZWSXEDC", [1, 0], None),
            (&UPPER[..10], [9, 9], None),
        ] {
            let symbols = Symbols::new(&alphabet.chars().collect::<Vec<_>>()).unwrap();
            // As many symbols as FF1 takes for a million values.
            let free = 10f64.powi(6).log(alphabet.len() as f64).ceil() as usize..=usize::MAX;
            for kept_is_tweak in [keep != [0, 0], false] {
                let pattern = SplitPattern {
                    symbols: &symbols,
                    separators: 1 << b'-' | 1 << b' ',
                    keep,
                    lengths: if check.is_some() { 8..=19 } else { 0..=64 },
                    check,
                    kept_is_tweak,
                };
                for _ in 0..60 {
                    let (bytes, spans) = texts(&mut random, alphabet);
                    let mut expected: Option<(SplitRows, Vec<u8>)> = None;
                    for instructions in Instructions::available() {
                        let mut splitter = Splitter::new(*instructions, free.clone(), &pattern);
                        let mut rows = SplitRows::default();
                        splitter.split(&bytes, &spans, &mut rows);
                        let mut output = vec![0; bytes.len()];
                        splitter.join(&bytes, &spans, &rows, &changed(&rows, alphabet.as_bytes()), &mut output);
                        let Some((reference, reference_output)) = &expected else {
                            expected = Some((rows, output));
                            continue;
                        };
                        let context = format!("{instructions:?}, {alphabet}, {keep:?}, {check:?}");
                        assert_eq!(rows.outcomes, reference.outcomes, "{context}");
                        let masks = |rows: &SplitRows| -> Vec<u64> {
                            let masks = rows.masks.iter().zip(&rows.outcomes);
                            masks
                                .filter(|(_, outcome)| **outcome != RowOutcome::Skipped)
                                .map(|(mask, _)| *mask)
                                .collect()
                        };
                        assert_eq!(masks(&rows), masks(reference), "{context}");
                        let tweak = if kept_is_tweak { tweak_length(keep) } else { 0 };
                        for (n, (group, other)) in rows.groups.iter().zip(&reference.groups).enumerate() {
                            assert_eq!(group.rows, other.rows, "{context}");
                            let symbols = ..n * group.rows;
                            assert_eq!(group.symbols[symbols], other.symbols[symbols], "{context}");
                            let tweaks = ..tweak * group.rows;
                            assert_eq!(group.tweaks[tweaks], other.tweaks[tweaks], "{context}");
                        }
                        for span in spans.iter().filter(|span| **span != Span::NULL) {
                            let text = span.start as usize..(span.start + span.length) as usize;
                            assert_eq!(output[text.clone()], reference_output[text], "{context}");
                        }
                    }
                }
            }
        }
    }
}
