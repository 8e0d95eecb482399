//! Groups values by length (a counting sort), so that each group is one rectangular FF1 batch. For formats without
//! separators or kept ends: where all bytes of a value are symbols to encrypt, nothing else of it has to be looked
//! at.

use std::ops::RangeInclusive;

use crate::split::{MAX_LENGTH, PADDING, Span};

/// Values grouped by length. Reuse it between calls to avoid allocating.
#[derive(Debug)]
pub struct LengthGroups {
    /// The shortest and the longest value that is gathered.
    lengths: [usize; 2],
    /// The number of values of each length.
    counts: [usize; MAX_LENGTH + 1],
    texts: Vec<u8>,
    results: Vec<u8>,
}

/// The values of one length, one after the other, and as many bytes for their results.
#[derive(Debug)]
pub struct LengthGroup<'a> {
    /// Bytes of each value.
    pub length: usize,
    /// The number of values.
    pub rows: usize,
    /// The bytes of the values.
    pub texts: &'a [u8],
    /// The bytes of their results.
    pub results: &'a mut [u8],
}

impl LengthGroups {
    /// For values of `lengths` bytes, as far as these are from 1 to [`MAX_LENGTH`].
    pub fn new(lengths: &RangeInclusive<usize>) -> Self {
        Self {
            lengths: [*lengths.start().max(&1), *lengths.end().min(&MAX_LENGTH)],
            counts: [0; MAX_LENGTH + 1],
            texts: Vec::new(),
            results: Vec::new(),
        }
    }

    /// The length of the value at `span`, if such values are gathered.
    #[inline]
    pub fn length(&self, span: Span) -> Option<usize> {
        let ([shortest, longest], length) = (self.lengths, span.length as usize);
        (shortest..=longest).contains(&length).then_some(length)
    }

    /// Gathers the values at `spans`; former ones are lost. Returns the number of values that have no group.
    ///
    /// # Panics
    ///
    /// If a span is not in `bytes`.
    pub fn gather(&mut self, bytes: &[u8], spans: &[Span]) -> usize {
        // Several counters for each length, so that a value does not wait for the one before it.
        let mut counts = [[0; MAX_LENGTH + 1]; 4];
        // First pass of the counting sort: the number of values of each length, from which their places follow.
        for (row, span) in spans.iter().enumerate() {
            if let Some(length) = self.length(*span) {
                counts[row % 4][length] += 1;
            }
        }
        self.counts = std::array::from_fn(|length| counts.iter().map(|counts| counts[length]).sum());
        let (starts, end) = self.starts();
        if self.texts.len() < end {
            self.texts.resize(end, 0);
            self.results.resize(end, 0);
        }
        // Copies of 32 bytes where that is enough: half the bytes to move.
        if self.widest() <= 32 {
            self.gather_all::<32>(bytes, spans, starts);
        } else {
            self.gather_all::<{ MAX_LENGTH }>(bytes, spans, starts);
        }
        spans.len() - self.counts.iter().sum::<usize>()
    }

    fn gather_all<const WIDTH: usize>(&mut self, bytes: &[u8], spans: &[Span], mut ends: [usize; MAX_LENGTH + 1]) {
        for span in spans {
            if let Some(length) = self.length(*span) {
                // A register is copied, of which `length` bytes count; the next value of that length is copied over
                // the others, and padding takes those of the last one.
                let end = &mut ends[length];
                copy::<WIDTH>(&bytes[span.start as usize..], &mut self.texts[*end..], length);
                *end += length;
            }
        }
    }

    /// The groups that are not empty.
    pub fn filled(&mut self) -> impl Iterator<Item = LengthGroup<'_>> {
        let (starts, _) = self.starts();
        let (mut texts, mut results, mut before) = (&self.texts[..], &mut self.results[..], 0);
        let used = self.counts.iter().enumerate().filter(|(_, rows)| **rows > 0);
        used.map(move |(length, rows)| {
            // Groups are handed out as disjoint parts of two buffers; `skipped` is the padding between them.
            let (skipped, size) = (starts[length] - before, length * rows);
            before = starts[length] + size;
            let (own_texts, own_results);
            (own_texts, texts) = texts[skipped..].split_at(size);
            (own_results, results) = std::mem::take(&mut results)[skipped..].split_at_mut(size);
            LengthGroup {
                length,
                rows: *rows,
                texts: own_texts,
                results: own_results,
            }
        })
    }

    /// Writes to `output`, at the spans of `bytes`, the results of the values that were gathered from there. Other
    /// values are copied as they are. Bytes between values and after the last one may be overwritten.
    ///
    /// # Panics
    ///
    /// If a span is not in `bytes`, or other spans were gathered.
    pub fn scatter(&self, bytes: &[u8], spans: &[Span], output: &mut [u8]) {
        assert_eq!(bytes.len(), output.len(), "spans are the same in both");
        if self.widest() <= 32 {
            self.scatter_all::<32>(bytes, spans, output);
        } else {
            self.scatter_all::<{ MAX_LENGTH }>(bytes, spans, output);
        }
    }

    fn scatter_all<const WIDTH: usize>(&self, bytes: &[u8], spans: &[Span], output: &mut [u8]) {
        let (mut ends, _) = self.starts();
        for span in spans {
            // In the order of the spans, which ascend and do not overlap, as Arrow's offsets do: so each value
            // mends what the one before has written over it.
            let start = span.start as usize;
            match self.length(*span) {
                Some(length) => {
                    // What is written beyond this value is written again with the next ones.
                    let end = &mut ends[length];
                    copy::<WIDTH>(&self.results[*end..], &mut output[start..], length);
                    *end += length;
                }
                None if *span != Span::NULL => {
                    let text = start..start + span.length as usize;
                    output[text.clone()].copy_from_slice(&bytes[text]);
                }
                None => {}
            }
        }
    }

    /// The start of each group, and the end of the last one. Padding follows each, over which its last value is copied.
    fn starts(&self) -> ([usize; MAX_LENGTH + 1], usize) {
        let mut end = 0;
        let starts = std::array::from_fn(|length| {
            let start = end;
            if self.counts[length] > 0 {
                // Groups without values take no room.
                end += length * self.counts[length] + PADDING;
            }
            start
        });
        (starts, end)
    }

    /// The length of the longest value that was gathered.
    fn widest(&self) -> usize {
        self.counts.iter().rposition(|count| *count > 0).unwrap_or_default()
    }
}

/// Copies `length` bytes, or `WIDTH` where there is room: one copy of a known size takes less time than one of
/// fewer bytes.
#[inline(always)]
fn copy<const WIDTH: usize>(from: &[u8], to: &mut [u8], length: usize) {
    // Apart, or else the compiler makes one copy of both, of either size.
    #[cold]
    fn copy_last(from: &[u8], to: &mut [u8], length: usize) {
        to[..length].copy_from_slice(&from[..length]);
    }
    match (from.first_chunk::<WIDTH>(), to.first_chunk_mut::<WIDTH>()) {
        (Some(from), Some(to)) => *to = *from,
        _ => copy_last(from, to, length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of these lengths one after the other; `None` is NULL.
    fn texts(lengths: &[Option<usize>]) -> (Vec<u8>, Vec<Span>) {
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        for (row, length) in lengths.iter().enumerate() {
            let Some(length) = *length else {
                spans.push(Span::NULL);
                continue;
            };
            spans.push(Span {
                start: bytes.len() as u32,
                length: length as u32,
            });
            bytes.extend((0..length).map(|i| (row * 31 + i) as u8));
        }
        (bytes, spans)
    }

    #[test]
    fn what_is_taken_is_put_back() {
        let mixed: Vec<Option<usize>> = (0..500).map(|row| (row % 11 != 5).then_some(row * row % 70)).collect();
        for lengths in [
            mixed,
            vec![Some(5); 300],
            vec![Some(64); 9],
            vec![Some(65), None, Some(0)],
            vec![],
        ] {
            let (bytes, spans) = texts(&lengths);
            let mut by_length = LengthGroups::new(&(3..=usize::MAX));
            for _ in 0..2 {
                let taken = |length: &&Option<usize>| length.is_some_and(|length| (3..=64).contains(&length));
                let left = lengths.len() - lengths.iter().filter(taken).count();
                assert_eq!(by_length.gather(&bytes, &spans), left);
                let mut seen = 0;
                for group in by_length.filled() {
                    assert_eq!(group.texts.len(), group.length * group.rows);
                    let own = lengths.iter().filter(|length| **length == Some(group.length)).count();
                    assert_eq!(group.rows, own);
                    for (result, byte) in group.results.iter_mut().zip(group.texts) {
                        *result = !*byte;
                    }
                    seen += own;
                }
                assert_eq!(seen + left, lengths.len());
                let mut output = vec![0; bytes.len()];
                by_length.scatter(&bytes, &spans, &mut output);
                for span in spans.iter().filter(|span| **span != Span::NULL) {
                    let text = span.start as usize..(span.start + span.length) as usize;
                    let changed = by_length.length(*span).is_some();
                    for (result, byte) in output[text.clone()].iter().zip(&bytes[text]) {
                        assert_eq!(*result, if changed { !byte } else { *byte });
                    }
                }
            }
        }
    }
}
