//! Texts of up to 64 bytes taken apart and put together in AVX-512, a register each: compressing brings the symbols together, and
//! expanding brings them back.

use std::arch::x86_64::*;
use std::ops::RangeInclusive;

use super::avx512::{Table, available};
use crate::cipher::sieve::{Bucket, Fate, Pattern, Place, Sieve, Taken, solution};

/// The class of a byte is its numeral if it is a symbol, else one of these.
const SEPARATOR: u8 = 0x40;
const STRANGE: u8 = 0x80;

/// Rows that are done together step by step: the steps of one row wait for each other, and the processor does not look far enough
/// ahead to find many rows whose steps do not, unless each loop is short.
const BLOCK: usize = 64;

/// What a digit adds to a Luhn sum in a place that counts double.
const DOUBLED: [i8; 16] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9, 0, 0, 0, 0, 0, 0];

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
    check: Option<[u16; 2]>,
    /// Symbol `keep[0]` and those after it; and back.
    down: Table,
    up: Table,
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
    /// `None` if something does not fit a register: the kept symbols, or those of a Luhn sum.
    pub(in crate::cipher) fn new(free: RangeInclusive<usize>, pattern: &Pattern<'_>) -> Option<Self> {
        let [first, last] = pattern.keep;
        let tweak = if pattern.kept_is_tweak {
            Sieve::tweak_length(pattern.keep)
        } else {
            0
        };
        let most = *pattern.lengths.end();
        if first + last > Sieve::LONGEST
            || *free.start() > Sieve::LONGEST
            || tweak > 64
            || pattern.check.is_some() && most > 31
        {
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
            outer: first + last + usize::from(pattern.check.is_some()),
            lengths: [*pattern.lengths.start(), *pattern.lengths.end()],
            free: [*free.start(), *free.end().min(&Sieve::LONGEST)],
            check: pattern.check,
            down: Table(std::array::from_fn(|i| (i + first) as u8)),
            up: Table(std::array::from_fn(|i| i.wrapping_sub(first) as u8)),
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
        let Some([sum, _]) = self.check else {
            return self.take_block::<false>(bytes, places, fates, masks, buckets);
        };
        for start in (0..places.len()).step_by(BLOCK) {
            let block = start..places.len().min(start + BLOCK);
            let (places, fates, masks) = (&places[block.clone()], &mut fates[block.clone()], &mut masks[block]);
            for ((place, fate), mask) in places.iter().zip(&mut *fates).zip(&mut *masks) {
                if let Some(Judged { n, symbols, .. }) = self.judge(bytes, *place) {
                    (*fate, *mask) = (Fate::Taken(n), symbols);
                }
            }
            self.check(bytes, places, fates, masks, sum);
            self.take_block::<true>(bytes, places, fates, masks, buckets);
        }
    }

    /// Takes texts apart, those that are `JUDGED` or all that may be.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn take_block<const JUDGED: bool>(
        &self,
        bytes: &[u8],
        places: &[Place],
        fates: &mut [Fate],
        masks: &mut [u64],
        buckets: &mut [Bucket],
    ) {
        let (down, numerals, constants) = (load(&self.down), load(&self.numerals), load(&self.constants));
        for ((place, fate), mask) in places.iter().zip(fates).zip(masks) {
            let judged = match (JUDGED, *fate) {
                (true, Fate::Taken(n)) => {
                    let text = self.text(bytes, *place);
                    Judged {
                        n,
                        symbols: *mask,
                        text,
                        classes: self.classes(text),
                    }
                }
                (true, Fate::Left) => continue,
                (false, _) => {
                    let Some(judged) = self.judge(bytes, *place) else {
                        continue;
                    };
                    (*fate, *mask) = (Fate::Taken(judged.n), judged.symbols);
                    judged
                }
            };
            let Judged {
                symbols, text, classes, ..
            } = judged;
            let n = usize::from(judged.n);
            let bucket = &mut buckets[n];
            let free = match n == place.length as usize {
                true => text,
                false => _mm512_permutexvar_epi8(down, _mm512_maskz_compress_epi8(symbols, text)),
            };
            append(&mut bucket.symbols, bucket.rows, free, n);
            if self.tweak > 0 {
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
        }
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

    /// Leaves texts whose Luhn sum is not `sum`.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn check(&self, bytes: &[u8], places: &[Place], fates: &mut [Fate], masks: &[u64], sum: u16) {
        for ((place, fate), mask) in places.iter().zip(fates).zip(masks) {
            if *fate != Fate::Left {
                let digits = _mm512_maskz_compress_epi8(*mask, self.classes(self.text(bytes, *place)));
                if luhn(digits, mask.count_ones()) % 10 != sum {
                    *fate = Fate::Left;
                }
            }
        }
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
        let Some([_, sum]) = self.check else {
            for ((place, fate), mask) in places.iter().zip(&taken.fates).zip(&taken.masks) {
                let text = match *fate {
                    Fate::Taken(n) => self.replaced(bytes, *place, *mask, usize::from(n), results, &mut used),
                    Fate::Left => _mm512_setzero_si512(),
                };
                self.put_row(bytes, *place, *fate, text, output);
            }
            return;
        };
        // The symbols of each text, then the text that they make.
        let mut registers = [_mm512_setzero_si512(); BLOCK];
        for start in (0..places.len()).step_by(BLOCK) {
            let block = start..places.len().min(start + BLOCK);
            let (places, fates, masks) = (&places[block.clone()], &taken.fates[block.clone()], &taken.masks[block]);
            for (((place, fate), mask), symbols) in places.iter().zip(fates).zip(masks).zip(&mut registers) {
                if let Fate::Taken(n) = *fate {
                    *symbols = self.symbols(bytes, *place, *mask, usize::from(n), results, &mut used);
                }
            }
            for (((place, fate), mask), register) in places.iter().zip(fates).zip(masks).zip(&mut registers) {
                if let Fate::Taken(n) = *fate {
                    let symbols = self.solved(*register, mask.count_ones(), n.into(), sum);
                    *register = _mm512_mask_expand_epi8(self.text(bytes, *place), *mask, symbols);
                }
            }
            for ((place, fate), text) in places.iter().zip(fates).zip(&registers) {
                self.put_row(bytes, *place, *fate, *text, output);
            }
        }
    }

    /// A text, its `n` free symbols replaced by the next ones of their bucket.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn replaced(
        &self,
        bytes: &[u8],
        place: Place,
        mask: u64,
        n: usize,
        results: &[Vec<u8>],
        used: &mut [usize; Sieve::LONGEST + 1],
    ) -> __m512i {
        let free = load_free(&results[n][used[n]..], n);
        used[n] += n;
        if n == place.length as usize {
            return free;
        }
        let places = _pdep_u64((u64::MAX >> (64 - n)) << self.keep[0], mask);
        _mm512_mask_expand_epi8(self.text(bytes, place), places, free)
    }

    /// The symbols of a text with a check digit, its `n` free ones replaced by the next ones of their bucket.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn symbols(
        &self,
        bytes: &[u8],
        place: Place,
        mask: u64,
        n: usize,
        results: &[Vec<u8>],
        used: &mut [usize; Sieve::LONGEST + 1],
    ) -> __m512i {
        let free = load_free(&results[n][used[n]..], n);
        used[n] += n;
        let there = (u64::MAX >> (64 - n)) << self.keep[0];
        let symbols = _mm512_maskz_compress_epi8(mask, self.text(bytes, place));
        _mm512_mask_permutexvar_epi8(symbols, there, load(&self.up), free)
    }

    /// The symbols of a text with the check digit that brings their Luhn sum to `sum`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn solved(&self, symbols: __m512i, count: u32, n: u32, sum: u16) -> __m512i {
        let place = self.keep[0] as u32 + n;
        let digits = _mm512_mask_mov_epi8(self.classes(symbols), 1 << place, _mm512_setzero_si512());
        let digit = solution(sum, luhn(digits, count), (count - 1 - place) % 2 == 1);
        _mm512_mask_set1_epi8(symbols, 1 << place, (b'0' + digit) as i8)
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

/// The Luhn sum of up to 31 digits, not reduced.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn luhn(digits: __m512i, count: u32) -> u16 {
    // The last digit first.
    let lanes = _mm256_setr_epi8(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
        30, 31,
    );
    let from_end = _mm256_sub_epi8(_mm256_set1_epi8(count as i8 - 1), lanes);
    let there = ((1u64 << count) - 1) as u32;
    let digits = _mm256_maskz_permutexvar_epi8(there, from_end, _mm512_castsi512_si256(digits));
    // SAFETY: 16 bytes are read.
    let doubled = unsafe { _mm_loadu_si128(DOUBLED.as_ptr().cast()) };
    let doubled = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(doubled), digits);
    let weighed = _mm256_mask_mov_epi8(digits, 0xAAAA_AAAA, doubled);
    let sums = _mm256_sad_epu8(weighed, _mm256_setzero_si256());
    let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    (_mm_cvtsi128_si64(sums) + _mm_extract_epi64::<1>(sums)) as u16
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
