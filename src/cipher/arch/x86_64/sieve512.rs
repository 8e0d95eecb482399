//! Texts of up to 64 bytes taken apart and put together in AVX-512, a register each: compressing brings the symbols together, and
//! expanding brings them back. Texts with a Luhn check are left to `sieve256`, which knows a mask's weights from the first text on.

use std::arch::x86_64::*;
use std::ops::RangeInclusive;

use super::avx512::{Table, available};
use super::sieve256::{ALIKE, RUN};
use crate::cipher::sieve::{Bucket, Fate, Pattern, Place, Sieve, Taken};

/// The class of a byte is its numeral if it is a symbol, else one of these.
const SEPARATOR: u8 = 0x40;
const STRANGE: u8 = 0x80;

/// Each byte as it is.
const SAME: Table = {
    let mut bytes = [0; 64];
    let mut at = 0;
    while at < 64 {
        bytes[at] = at as u8;
        at += 1;
    }
    Table(bytes)
};

/// What is known of a text that may be taken.
struct Judged {
    /// How many of its symbols are free.
    n: u8,
    /// Which of its bytes are symbols.
    symbols: u64,
    /// Its bytes, and what they are; others of no meaning after them.
    text: __m512i,
    classes: __m512i,
}

/// A pattern in tables.
pub(in crate::cipher) struct Form {
    classes: [Table; 2],
    keep: [usize; 2],
    /// Symbols that are not free.
    outer: usize,
    /// How many symbols a text has, at least and at most.
    lengths: [usize; 2],
    /// How many free ones.
    free: [usize; 2],
    /// Symbol `keep[0]` and those after it.
    down: Table,
    /// Where the numerals of a tweak are, those of the end counted from the number of symbols on, which is to be added for `from_end`.
    numerals: Table,
    from_start: u64,
    from_end: u64,
    /// The other bytes of a tweak.
    constants: Table,
    /// Bytes of a tweak, if there is one.
    tweak: usize,
}

impl Form {
    /// `None` if there is a check, or the kept symbols do not fit a register.
    pub(in crate::cipher) fn new(free: RangeInclusive<usize>, pattern: &Pattern<'_>) -> Option<Self> {
        let [first, last] = pattern.keep;
        let tweak = if pattern.kept_is_tweak {
            Sieve::tweak_length(pattern.keep)
        } else {
            0
        };
        if first + last > Sieve::LONGEST || *free.start() > Sieve::LONGEST || tweak > 64 || pattern.check.is_some() {
            return None;
        }
        let mut classes = [[STRANGE; 64]; 2];
        for byte in (0..128u8).filter(|byte| pattern.separators >> byte & 1 == 1) {
            classes[usize::from(byte / 64)][usize::from(byte % 64)] = SEPARATOR;
        }
        for (numeral, byte) in pattern.symbols.bytes()[..pattern.symbols.radix()].iter().enumerate() {
            classes[usize::from(byte / 64)][usize::from(byte % 64)] = numeral as u8;
        }
        let (mut numerals, mut constants, mut from_start, mut from_end) = ([0; 64], [0; 64], 0, 0);
        if tweak > 0 {
            for (count, start, ones) in [(first, 0, &mut from_start), (last, 4 + 2 * first, &mut from_end)] {
                constants[start + 3] = 2 * count as u8; // at most 64
                for i in 0..count {
                    let byte = start + 4 + 2 * i + 1;
                    *ones |= 1u64 << byte;
                    numerals[byte] = if start == 0 {
                        i as u8
                    } else {
                        (i as u8).wrapping_sub(count as u8)
                    };
                }
            }
        }
        Some(Self {
            classes: classes.map(Table),
            keep: pattern.keep,
            outer: first + last,
            lengths: [*pattern.lengths.start(), *pattern.lengths.end()],
            free: [*free.start(), *free.end().min(&Sieve::LONGEST)],
            down: Table(std::array::from_fn(|i| (i + first) as u8)),
            numerals: Table(numerals),
            from_start,
            from_end,
            constants: Table(constants),
            tweak,
        })
    }

    pub(in crate::cipher) fn take(&self, bytes: &[u8], places: &[Place], taken: &mut Taken) {
        assert!(available(), "this kernel was chosen on another processor");
        // SAFETY: the processor has the features.
        unsafe { self.take_rows(bytes, places, taken) }
    }

    pub(in crate::cipher) fn put(
        &self,
        bytes: &[u8],
        places: &[Place],
        taken: &Taken,
        results: &[Vec<u8>],
        output: &mut [u8],
    ) {
        assert!(available(), "this kernel was chosen on another processor");
        assert!(bytes.len() == output.len());
        // SAFETY: the processor has the features.
        unsafe { self.put_rows(bytes, places, taken, results, output) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn take_rows(&self, bytes: &[u8], places: &[Place], taken: &mut Taken) {
        let Taken { fates, buckets, masks } = taken;
        let mut row = 0;
        while row < places.len() {
            let (next, fates_of, masks_of) = (&places[row..], &mut fates[row..], &mut masks[row..]);
            row += match self.tweak {
                0 => self.take_some::<false>(bytes, next, fates_of, masks_of, buckets),
                _ => self.take_some::<true>(bytes, next, fates_of, masks_of, buckets),
            };
            let (Some(Fate::Taken(n)), true) = (fates[..row].last().copied(), row < places.len()) else {
                continue;
            };
            // The last one was like those before it, and so may the next ones be.
            let (length, symbols) = (places[row - 1].length, masks[row - 1]);
            let next = &places[row..places.len().min(row + RUN)];
            let run = self.take_run(bytes, next, length, symbols, &mut buckets[usize::from(n)], n.into());
            fates[row..row + run].fill(Fate::Taken(n));
            masks[row..row + run].fill(symbols);
            row += run;
        }
    }

    /// Takes apart texts that come first, until some in a row are of one kind. Says how many.
    ///
    /// This and what does a run are functions of their own, so that each has the registers for itself.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn take_some<const TWEAK: bool>(
        &self,
        bytes: &[u8],
        places: &[Place],
        fates: &mut [Fate],
        masks: &mut [u64],
        buckets: &mut [Bucket],
    ) -> usize {
        let (down, numerals, constants) = (load(&self.down), load(&self.numerals), load(&self.constants));
        let (mut before, mut alike) = (0, 0);
        for (row, ((place, fate), mask)) in places.iter().zip(fates).zip(masks).enumerate() {
            let Some(judged) = self.judge(bytes, *place) else {
                continue;
            };
            (*fate, *mask) = (Fate::Taken(judged.n), judged.symbols);
            let Judged {
                symbols, text, classes, ..
            } = judged;
            let n = usize::from(judged.n);
            let bucket = &mut buckets[n];
            let free = match n == place.length as usize {
                true => text,
                false => {
                    alike = if before == symbols { alike + 1 } else { 0 };
                    before = symbols;
                    _mm512_permutexvar_epi8(down, _mm512_maskz_compress_epi8(symbols, text))
                }
            };
            append(&mut bucket.symbols, bucket.rows, free, n);
            if TWEAK {
                let count = _mm512_set1_epi8(symbols.count_ones() as i8);
                let from = _mm512_mask_add_epi8(numerals, self.from_end, numerals, count);
                let all = _mm512_maskz_compress_epi8(symbols, classes);
                let kept = _mm512_maskz_permutexvar_epi8(self.from_start | self.from_end, from, all);
                append(
                    &mut bucket.tweaks,
                    bucket.rows,
                    _mm512_or_si512(kept, constants),
                    self.tweak,
                );
            }
            bucket.rows += 1;
            if alike >= ALIKE {
                return row + 1;
            }
        }
        places.len()
    }

    /// Takes apart the texts that come first and are of one kind: of this length, with these symbols. Says how many.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn take_run(
        &self,
        bytes: &[u8],
        places: &[Place],
        length: u32,
        symbols: u64,
        bucket: &mut Bucket,
        n: usize,
    ) -> usize {
        // Where the symbols are, one after the other; the free ones of these, and the kept ones where they stand in a tweak.
        let all = _mm512_maskz_compress_epi8(symbols, load(&SAME));
        let free = _mm512_permutexvar_epi8(load(&self.down), all);
        let (count, numerals) = (_mm512_set1_epi8(symbols.count_ones() as i8), load(&self.numerals));
        let kept = _mm512_permutexvar_epi8(_mm512_mask_add_epi8(numerals, self.from_end, numerals, count), all);
        let (constants, there) = (load(&self.constants), self.from_start | self.from_end);
        let whole = u64::MAX >> (64 - length);
        let separators = _mm512_maskz_set1_epi8(!symbols, SEPARATOR as i8);
        let (strange, both) = (
            _mm512_set1_epi8(STRANGE as i8),
            _mm512_set1_epi8((STRANGE | SEPARATOR) as i8),
        );
        let free_symbols = Bucket::room(&mut bucket.symbols, bucket.rows * n, places.len() * n);
        let tweaks = match self.tweak {
            0 => &mut [],
            tweak => Bucket::room(&mut bucket.tweaks, bucket.rows * tweak, places.len() * tweak),
        };
        let mut run = 0;
        for place in places.iter().take_while(|place| place.length == length) {
            let text = self.text(bytes, *place);
            let classes = self.classes(text);
            let other = _mm512_or_si512(_mm512_xor_si512(classes, separators), _mm512_and_si512(text, strange));
            if _mm512_mask_test_epi8_mask(whole, other, both) != 0 {
                break;
            }
            store(_mm512_permutexvar_epi8(free, text), n, &mut free_symbols[run * n..]);
            if self.tweak > 0 {
                let tweak = _mm512_or_si512(_mm512_maskz_permutexvar_epi8(there, kept, classes), constants);
                store(tweak, self.tweak, &mut tweaks[run * self.tweak..]);
            }
            run += 1;
        }
        bucket.rows += run;
        run
    }

    /// What is known of a text that may be taken.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn judge(&self, bytes: &[u8], place: Place) -> Option<Judged> {
        let length = place.length as usize;
        if length.wrapping_sub(1) >= Sieve::LONGEST {
            return None;
        }
        let text = self.text(bytes, place);
        let classes = self.classes(text);
        let whole = u64::MAX >> (64 - length);
        let strange = _mm512_movepi8_mask(_mm512_or_si512(classes, text)) & whole;
        let symbols = _mm512_mask_cmplt_epu8_mask(whole, classes, _mm512_set1_epi8(SEPARATOR as i8));
        let count = symbols.count_ones() as usize;
        let n = count.wrapping_sub(self.outer);
        let judged = Judged {
            n: n as u8,
            symbols,
            text,
            classes,
        };
        (strange == 0 && within(self.free, n) && within(self.lengths, count)).then_some(judged)
    }

    /// A text, and bytes of no meaning after it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn text(&self, bytes: &[u8], place: Place) -> __m512i {
        let (bytes, length) = (&bytes[place.start as usize..], place.length as usize);
        assert!(length <= bytes.len());
        // SAFETY: only bytes of `bytes` are read.
        unsafe {
            match (bytes.len(), length) {
                // A masked load takes several times as long.
                (..64, _) => _mm512_maskz_loadu_epi8((1 << bytes.len()) - 1, bytes.as_ptr().cast()),
                (_, ..=32) => _mm512_castsi256_si512(_mm256_loadu_si256(bytes.as_ptr().cast())),
                _ => _mm512_loadu_si512(bytes.as_ptr().cast()),
            }
        }
    }

    /// The class of each byte.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    fn classes(&self, text: __m512i) -> __m512i {
        _mm512_permutex2var_epi8(load(&self.classes[0]), text, load(&self.classes[1]))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn put_rows(&self, bytes: &[u8], places: &[Place], taken: &Taken, results: &[Vec<u8>], output: &mut [u8]) {
        let mut used = [0; Sieve::LONGEST + 1];
        let mut row = 0;
        while row < places.len() {
            let parts = (&places[row..], &taken.fates[row..], &taken.masks[row..]);
            row += self.put_some(bytes, parts, results, &mut used, output);
            let (Some(Fate::Taken(n)), true) = (taken.fates[..row].last().copied(), row < places.len()) else {
                continue;
            };
            let (n, length, symbols) = (usize::from(n), places[row - 1].length, taken.masks[row - 1]);
            let like = |row: &usize| taken.masks[*row] == symbols && places[*row].length == length;
            let run = (row..places.len()).take_while(like).count();
            let free = &results[n][used[n]..];
            self.put_run(bytes, &places[row..row + run], symbols, n, free, output);
            used[n] += n * run;
            row += run;
        }
    }

    /// Puts together texts that come first, until some in a row are of one kind. Says how many.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn put_some(
        &self,
        bytes: &[u8],
        (places, fates, masks): (&[Place], &[Fate], &[u64]),
        results: &[Vec<u8>],
        used: &mut [usize; Sieve::LONGEST + 1],
        output: &mut [u8],
    ) -> usize {
        let (mut before, mut alike) = (0, 0);
        for (row, ((place, fate), mask)) in places.iter().zip(fates).zip(masks).enumerate() {
            let text = match *fate {
                Fate::Taken(n) => {
                    let n = usize::from(n);
                    let free = load_free(&results[n][used[n]..], n);
                    used[n] += n;
                    match n == place.length as usize {
                        true => free,
                        false => {
                            alike = if before == *mask { alike + 1 } else { 0 };
                            before = *mask;
                            _mm512_mask_expand_epi8(self.text(bytes, *place), self.changed(*mask, n), free)
                        }
                    }
                }
                Fate::Left => _mm512_setzero_si512(),
            };
            self.put_row(bytes, *place, *fate, text, output);
            if alike >= ALIKE {
                return row + 1;
            }
        }
        places.len()
    }

    /// Puts together texts of one kind: of one length, with these symbols, `n` of them free.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn put_run(&self, bytes: &[u8], places: &[Place], symbols: u64, n: usize, free: &[u8], output: &mut [u8]) {
        let changed = self.changed(symbols, n);
        for (row, place) in places.iter().enumerate() {
            let free = load_free(&free[row * n..], n);
            let text = _mm512_mask_expand_epi8(self.text(bytes, *place), changed, free);
            self.put_row(bytes, *place, Fate::Taken(n as u8), text, output);
        }
    }

    /// Which bytes are the `n` free symbols.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn changed(&self, symbols: u64, n: usize) -> u64 {
        _pdep_u64((u64::MAX >> (64 - n)) << self.keep[0], symbols)
    }

    /// Writes what a text became, or the text as it was if it was left.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn put_row(&self, bytes: &[u8], place: Place, fate: Fate, text: __m512i, output: &mut [u8]) {
        if place == Place::NULL {
            return;
        }
        let (start, length) = (place.start as usize, place.length as usize);
        if fate == Fate::Left {
            output[start..][..length].copy_from_slice(&bytes[start..][..length]);
            return;
        }
        let to = &mut output[start..];
        if to.len() >= 64 {
            store(text, length, to); // what is written beyond this text is written again with the next ones
        } else {
            let to = &mut to[..length];
            // SAFETY: only the bytes of `to` are written.
            unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), u64::MAX >> (64 - length), text) }
        }
    }
}

/// Writes the first `length` bytes of `register` after `rows` times as many, and others of no meaning after them.
#[inline]
#[target_feature(enable = "avx512f")]
fn append(bytes: &mut Vec<u8>, rows: usize, register: __m512i, length: usize) {
    store(register, length, Bucket::room(bytes, rows * length, 0));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(table: &Table) -> __m512i {
    // SAFETY: 64 bytes are read.
    unsafe { _mm512_loadu_si512(table.0.as_ptr().cast()) }
}

/// The first 64 bytes, or 32 if no more than `length` matter: every second load of 64 would touch two cache lines.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_free(bytes: &[u8], length: usize) -> __m512i {
    let bytes: &[u8; 64] = bytes.first_chunk().expect("results have some bytes more");
    // SAFETY: at most 64 bytes are read.
    unsafe {
        match length {
            ..=32 => _mm512_zextsi256_si512(_mm256_loadu_si256(bytes.as_ptr().cast())),
            _ => _mm512_loadu_si512(bytes.as_ptr().cast()),
        }
    }
}

/// Writes 64 bytes, or 32 if no more than `length` matter.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(register: __m512i, length: usize, to: &mut [u8]) {
    let to: &mut [u8; 64] = to.first_chunk_mut().expect("there is room");
    // SAFETY: at most 64 bytes are written.
    unsafe {
        match length {
            ..=32 => _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_castsi512_si256(register)),
            _ => _mm512_storeu_si512(to.as_mut_ptr().cast(), register),
        }
    }
}

#[inline]
fn within([first, last]: [usize; 2], n: usize) -> bool {
    n.wrapping_sub(first) <= last - first
}
