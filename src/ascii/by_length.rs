//! Texts brought together by length. Where all bytes of a text are symbols to encrypt, nothing else of it has to be looked at.

use std::ops::RangeInclusive;

use crate::split::{LONGEST, Place, SLACK};

/// Texts in shelves, one for each length. Its memory serves again.
#[derive(Debug)]
pub struct Shelves {
    /// The shortest and the longest text that is taken.
    lengths: [usize; 2],
    /// How many texts there are of each length.
    counts: [usize; LONGEST + 1],
    texts: Vec<u8>,
    results: Vec<u8>,
}

/// Texts of one length, one after the other, and as many bytes for what they become.
#[derive(Debug)]
pub struct Shelf<'a> {
    /// Bytes of each text.
    pub length: usize,
    /// How many.
    pub rows: usize,
    /// Their bytes.
    pub texts: &'a [u8],
    /// What they become.
    pub results: &'a mut [u8],
}

impl Shelves {
    /// For texts of `lengths` bytes, as far as these are from 1 to [`LONGEST`].
    pub fn new(lengths: &RangeInclusive<usize>) -> Self {
        Self {
            lengths: [*lengths.start().max(&1), *lengths.end().min(&LONGEST)],
            counts: [0; LONGEST + 1],
            texts: Vec::new(),
            results: Vec::new(),
        }
    }

    /// The length of the text at `place`, if such are taken.
    #[inline]
    pub fn length(&self, place: Place) -> Option<usize> {
        let ([shortest, longest], length) = (self.lengths, place.length as usize);
        (shortest..=longest).contains(&length).then_some(length)
    }

    /// Takes the texts at `places`, in place of what was there. Says how many of them have no shelf.
    ///
    /// # Panics
    ///
    /// If a place is not in `bytes`.
    pub fn take(&mut self, bytes: &[u8], places: &[Place]) -> usize {
        // Several counters for each length, so that a text does not wait for the one before it.
        let mut counts = [[0; LONGEST + 1]; 4];
        for (row, place) in places.iter().enumerate() {
            if let Some(length) = self.length(*place) {
                counts[row % 4][length] += 1;
            }
        }
        self.counts = std::array::from_fn(|length| counts.iter().map(|counts| counts[length]).sum());
        let (starts, end) = self.starts();
        if self.texts.len() < end {
            self.texts.resize(end, 0);
            self.results.resize(end, 0);
        }
        if self.widest() <= 32 {
            self.take_all::<32>(bytes, places, starts);
        } else {
            self.take_all::<{ LONGEST }>(bytes, places, starts);
        }
        places.len() - self.counts.iter().sum::<usize>()
    }

    fn take_all<const WIDTH: usize>(&mut self, bytes: &[u8], places: &[Place], mut ends: [usize; LONGEST + 1]) {
        for place in places {
            if let Some(length) = self.length(*place) {
                let end = &mut ends[length];
                copy::<WIDTH>(&bytes[place.start as usize..], &mut self.texts[*end..], length);
                *end += length;
            }
        }
    }

    /// The shelves that are not empty.
    pub fn filled(&mut self) -> impl Iterator<Item = Shelf<'_>> {
        let (starts, _) = self.starts();
        let (mut texts, mut results, mut before) = (&self.texts[..], &mut self.results[..], 0);
        let used = self.counts.iter().enumerate().filter(|(_, rows)| **rows > 0);
        used.map(move |(length, rows)| {
            let (skipped, size) = (starts[length] - before, length * rows);
            before = starts[length] + size;
            let (own_texts, own_results);
            (own_texts, texts) = texts[skipped..].split_at(size);
            (own_results, results) = std::mem::take(&mut results)[skipped..].split_at_mut(size);
            Shelf {
                length,
                rows: *rows,
                texts: own_texts,
                results: own_results,
            }
        })
    }

    /// Puts in `output`, at the places of `bytes`, what the texts that were taken from there became. Other texts are copied as they
    /// are. What stands between texts and after the last one may be overwritten.
    ///
    /// # Panics
    ///
    /// If a place is not in `bytes`, or other places were taken.
    pub fn put(&self, bytes: &[u8], places: &[Place], output: &mut [u8]) {
        assert_eq!(bytes.len(), output.len(), "places are the same in both");
        if self.widest() <= 32 {
            self.put_all::<32>(bytes, places, output);
        } else {
            self.put_all::<{ LONGEST }>(bytes, places, output);
        }
    }

    fn put_all<const WIDTH: usize>(&self, bytes: &[u8], places: &[Place], output: &mut [u8]) {
        let (mut ends, _) = self.starts();
        for place in places {
            let start = place.start as usize;
            match self.length(*place) {
                Some(length) => {
                    // What is written beyond this text is written again with the next ones.
                    let end = &mut ends[length];
                    copy::<WIDTH>(&self.results[*end..], &mut output[start..], length);
                    *end += length;
                }
                None if *place != Place::NULL => {
                    let text = start..start + place.length as usize;
                    output[text.clone()].copy_from_slice(&bytes[text]);
                }
                None => {}
            }
        }
    }

    /// Where each shelf begins, and where the last one ends. After each there are bytes that its last text is copied over.
    fn starts(&self) -> ([usize; LONGEST + 1], usize) {
        let mut end = 0;
        let starts = std::array::from_fn(|length| {
            let start = end;
            if self.counts[length] > 0 {
                end += length * self.counts[length] + SLACK;
            }
            start
        });
        (starts, end)
    }

    /// The length of the longest text there is.
    fn widest(&self) -> usize {
        self.counts.iter().rposition(|count| *count > 0).unwrap_or_default()
    }
}

/// Copies `length` bytes, or `WIDTH` where there is room: one copy of a known size takes less time than one of fewer bytes.
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
    fn texts(lengths: &[Option<usize>]) -> (Vec<u8>, Vec<Place>) {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for (row, length) in lengths.iter().enumerate() {
            let Some(length) = *length else {
                places.push(Place::NULL);
                continue;
            };
            places.push(Place {
                start: bytes.len() as u32,
                length: length as u32,
            });
            bytes.extend((0..length).map(|i| (row * 31 + i) as u8));
        }
        (bytes, places)
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
            let (bytes, places) = texts(&lengths);
            let mut shelves = Shelves::new(&(3..=usize::MAX));
            for _ in 0..2 {
                let taken = |length: &&Option<usize>| length.is_some_and(|length| (3..=64).contains(&length));
                let left = lengths.len() - lengths.iter().filter(taken).count();
                assert_eq!(shelves.take(&bytes, &places), left);
                let mut seen = 0;
                for shelf in shelves.filled() {
                    assert_eq!(shelf.texts.len(), shelf.length * shelf.rows);
                    let own = lengths.iter().filter(|length| **length == Some(shelf.length)).count();
                    assert_eq!(shelf.rows, own);
                    for (result, byte) in shelf.results.iter_mut().zip(shelf.texts) {
                        *result = !*byte;
                    }
                    seen += own;
                }
                assert_eq!(seen + left, lengths.len());
                let mut output = vec![0; bytes.len()];
                shelves.put(&bytes, &places, &mut output);
                for place in places.iter().filter(|place| **place != Place::NULL) {
                    let text = place.start as usize..(place.start + place.length) as usize;
                    let changed = shelves.length(*place).is_some();
                    for (result, byte) in output[text.clone()].iter().zip(&bytes[text]) {
                        assert_eq!(*result, if changed { !byte } else { *byte });
                    }
                }
            }
        }
    }
}
