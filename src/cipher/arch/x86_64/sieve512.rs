//! Texts of up to 64 bytes taken apart and put together in AVX-512, a register each: compressing brings the symbols together, and
//! expanding brings them back.

use std::arch::x86_64::*;
use std::ops::RangeInclusive;

use super::avx512::{Table, available};
use crate::cipher::sieve::{Fate, Pattern, Place, Sieve, Taken};

/// The class of a byte is its numeral if it is a symbol, else one of these.
const SEPARATOR: u8 = 0x40;
const STRANGE: u8 = 0x80;

/// What a digit adds to a Luhn sum in a place that counts double.
const DOUBLED: [i8; 16] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9, 0, 0, 0, 0, 0, 0];

/// A pattern in tables.
pub(in crate::cipher) struct Form {
    classes: [Table; 2],
    keep: [usize; 2],
    lengths: RangeInclusive<usize>,
    free: RangeInclusive<usize>,
    check: Option<[u16; 2]>,
    /// All symbols are free.
    bare: bool,
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
        if first + last > Sieve::LONGEST || tweak > 64 || pattern.check.is_some() && most > 31 {
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
            lengths: pattern.lengths.clone(),
            free,
            check: pattern.check,
            bare: pattern.keep == [0, 0] && pattern.check.is_none() && pattern.separators == 0,
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
        unsafe {
            match self.bare {
                true => self.take_rows::<true>(bytes, places, taken),
                false => self.take_rows::<false>(bytes, places, taken),
            }
        }
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
        unsafe {
            match self.bare {
                true => self.put_rows::<true>(bytes, places, taken, results, output),
                false => self.put_rows::<false>(bytes, places, taken, results, output),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn take_rows<const BARE: bool>(&self, bytes: &[u8], places: &[Place], taken: &mut Taken) {
        let (low, high) = (load(&self.classes[0]), load(&self.classes[1]));
        let down = load(&self.down);
        let [first, last] = self.keep;
        let outer = first + last + usize::from(self.check.is_some());
        let rows = places.iter().zip(&mut taken.fates).zip(&mut taken.masks);
        for ((place, fate), mask) in rows {
            let length = place.length as usize;
            if length.wrapping_sub(1) >= Sieve::LONGEST {
                continue;
            }
            let whole = u64::MAX >> (64 - length);
            let text = &bytes[place.start as usize..][..length];
            // SAFETY: only the bytes of `text` are read.
            let text = unsafe { _mm512_maskz_loadu_epi8(whole, text.as_ptr().cast()) };
            let classes = _mm512_permutex2var_epi8(low, text, high);
            let strange = _mm512_movepi8_mask(_mm512_or_si512(classes, text)) & whole;
            let symbols = _mm512_mask_cmplt_epu8_mask(whole, classes, _mm512_set1_epi8(SEPARATOR as i8));
            let count = symbols.count_ones() as usize;
            let n = count.wrapping_sub(outer);
            if strange != 0 || !self.free.contains(&n) || n > Sieve::LONGEST || !self.lengths.contains(&count) {
                continue;
            }
            let bucket = &mut taken.buckets[n];
            let at = bucket.rows * n;
            if bucket.symbols.len() < at + 64 {
                grow(&mut bucket.symbols, at);
            }
            if BARE {
                store(text, &mut bucket.symbols[at..]);
            } else {
                let numerals = _mm512_maskz_compress_epi8(symbols, classes);
                if let Some([sum, _]) = self.check
                    && luhn(numerals, count) % 10 != sum
                {
                    continue;
                }
                let free = _mm512_permutexvar_epi8(down, _mm512_maskz_compress_epi8(symbols, text));
                store(free, &mut bucket.symbols[at..]);
                if self.tweak > 0 {
                    let tweak = self.tweak(numerals, count);
                    let at = bucket.rows * self.tweak;
                    if bucket.tweaks.len() < at + 64 {
                        grow(&mut bucket.tweaks, at);
                    }
                    store(tweak, &mut bucket.tweaks[at..]);
                }
            }
            bucket.rows += 1;
            *fate = Fate::Taken(n as u8);
            *mask = symbols;
        }
    }

    /// The tweak that the numerals of a text's symbols make.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    fn tweak(&self, numerals: __m512i, count: usize) -> __m512i {
        let places = load(&self.numerals);
        let places = _mm512_mask_add_epi8(places, self.from_end, places, _mm512_set1_epi8(count as i8));
        let kept = _mm512_maskz_permutexvar_epi8(self.from_start | self.from_end, places, numerals);
        _mm512_or_si512(kept, load(&self.constants))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi1,bmi2")]
    fn put_rows<const BARE: bool>(
        &self,
        bytes: &[u8],
        places: &[Place],
        taken: &Taken,
        results: &[Vec<u8>],
        output: &mut [u8],
    ) {
        let (low, high) = (load(&self.classes[0]), load(&self.classes[1]));
        let up = load(&self.up);
        let mut used = [0; Sieve::LONGEST + 1];
        for ((place, fate), mask) in places.iter().zip(&taken.fates).zip(&taken.masks) {
            if *place == Place::NULL {
                continue;
            }
            let (start, length) = (place.start as usize, place.length as usize);
            let Fate::Taken(n) = *fate else {
                output[start..][..length].copy_from_slice(&bytes[start..][..length]);
                continue;
            };
            let n = usize::from(n);
            let at = used[n];
            used[n] += n;
            let free: &[u8; 64] = results[n][at..].first_chunk().expect("results have some bytes more");
            // SAFETY: 64 bytes are read.
            let free = unsafe { _mm512_loadu_si512(free.as_ptr().cast()) };
            let text = if BARE {
                free
            } else {
                let whole = u64::MAX >> (64 - length);
                let text = &bytes[start..][..length];
                // SAFETY: only the bytes of `text` are read.
                let text = unsafe { _mm512_maskz_loadu_epi8(whole, text.as_ptr().cast()) };
                let symbols = _mm512_maskz_compress_epi8(*mask, text);
                let places = (u64::MAX >> (64 - n)) << self.keep[0];
                let mut symbols = _mm512_mask_permutexvar_epi8(symbols, places, up, free);
                if let Some([_, sum]) = self.check {
                    let numerals = _mm512_permutex2var_epi8(low, symbols, high);
                    let count = mask.count_ones() as usize;
                    let place = self.keep[0] + n;
                    let others = luhn(
                        _mm512_mask_mov_epi8(numerals, 1 << place, _mm512_setzero_si512()),
                        count,
                    );
                    let wanted = (sum + 300 - others) % 10; // sums are below 300
                    let digit = match (count - 1 - place) % 2 {
                        0 => wanted,
                        // Doubling permutes the digits: 0…4 → 0 2 4 6 8, 5…9 → 1 3 5 7 9.
                        _ => (wanted + 9 * (wanted % 2)) / 2,
                    };
                    let digit = _mm512_set1_epi8((b'0' + digit as u8) as i8);
                    symbols = _mm512_mask_mov_epi8(symbols, 1 << place, digit);
                }
                _mm512_mask_expand_epi8(text, *mask, symbols)
            };
            if let Some(to) = output[start..].first_chunk_mut::<64>() {
                // SAFETY: 64 bytes are written; those beyond this text are written again with the next ones.
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), text) }
            } else {
                let to = &mut output[start..][..length];
                // SAFETY: only the bytes of `to` are written.
                unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), u64::MAX >> (64 - length), text) }
            }
        }
    }
}

/// The Luhn sum of up to 31 digits, not reduced.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn luhn(digits: __m512i, count: usize) -> u16 {
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

/// Makes room for more rows, and for 64 bytes from `at` on.
#[cold]
fn grow(bytes: &mut Vec<u8>, at: usize) {
    bytes.resize((2 * at).max(4096) + 64, 0);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(table: &Table) -> __m512i {
    // SAFETY: 64 bytes are read.
    unsafe { _mm512_loadu_si512(table.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(register: __m512i, to: &mut [u8]) {
    let to: &mut [u8; 64] = to.first_chunk_mut().expect("buckets have room");
    // SAFETY: 64 bytes are written.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), register) }
}
