//! Texts of up to 32 bytes taken apart and put together in AVX2, a register each.
//!
//! What has to be moved where depends on nothing but which bytes of a text are symbols: its *mask*. Columns hold texts of few masks, so
//! the moves are worked out once a mask, and each text is then two shuffles of a register. Most columns even have runs of texts with one
//! length and one mask: in a run the tables stay at hand. Longer texts are left to the plain code.

#![allow(unsafe_code)] // intrinsics that read and write memory, and calls into code for features that were detected

use std::arch::x86_64::*;
use std::ops::RangeInclusive;

use crate::alphabet::Range;
use crate::kernels::portable;
use crate::luhn::solution;
use crate::split::{Bucket, Fate, LONGEST, Pattern, Place, Taken};

/// Bytes of a register.
const WIDTH: usize = 32;

/// How many masks are known at once: more than a column has that was not made to have them.
const MASKS: usize = 96;

/// The most rows of a run: a bucket is given room for so many at once.
pub(crate) const RUN: usize = 256;

/// As many rows of a kind in a row begin a run. Where lengths are random that is rare, so that the processor foresees that none begins.
pub(crate) const ALIKE: usize = 4;

/// What a digit adds to a Luhn sum in a place that counts double.
pub(crate) const DOUBLED: [u8; 16] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9, 0, 0, 0, 0, 0, 0];

/// Whether this processor has the features that the functions here are compiled for.
fn available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// A pattern in tables.
pub(crate) struct Form {
    plain: portable::Form,
    classes: Classes,
    /// The other bytes of a tweak than its numerals.
    constants: [u8; WIDTH],
    masks: Masks,
}

/// What a byte is.
struct Classes {
    /// The character with the lower four bits i and the upper four bits k is a symbol if bit k of entry i is set.
    symbols: [u8; 16],
    /// The same for separators.
    separators: [u8; 16],
    ranges: Vec<Range>,
}

impl Form {
    /// `None` if a tweak does not fit a register.
    pub(crate) fn new(free: RangeInclusive<usize>, pattern: &Pattern<'_>) -> Option<Self> {
        let plain = portable::Form::new(free, pattern);
        if !available() || plain.tweak > WIDTH {
            return None;
        }
        let mut classes = Classes {
            symbols: [0; 16],
            separators: [0; 16],
            ranges: pattern.symbols.ranges().to_vec(),
        };
        let symbols = &pattern.symbols.bytes()[..pattern.symbols.radix()];
        for byte in (0..128u8).filter(|byte| symbols.contains(byte)) {
            classes.symbols[usize::from(byte & 15)] |= 1 << (byte >> 4);
        }
        for byte in (0..128u8).filter(|byte| pattern.separators >> byte & 1 == 1) {
            classes.separators[usize::from(byte & 15)] |= 1 << (byte >> 4);
        }
        let mut constants = [0; WIDTH];
        if plain.tweak > 0 {
            let [first, last] = plain.keep;
            constants[3] = 2 * first as u8; // a tweak of 32 bytes has no more than 12
            constants[4 + 2 * first + 3] = 2 * last as u8;
        }
        Some(Self {
            plain,
            classes,
            constants,
            masks: Masks::new(),
        })
    }

    pub(crate) fn take(&mut self, bytes: &[u8], places: &[Place], taken: &mut Taken) {
        assert!(available(), "this kernel was chosen on another processor");
        // SAFETY: the processor has the features.
        unsafe {
            match (self.plain.tweak > 0, self.plain.check.is_some()) {
                (false, false) => self.take_rows::<false, false>(bytes, places, taken),
                (false, true) => self.take_rows::<false, true>(bytes, places, taken),
                (true, false) => self.take_rows::<true, false>(bytes, places, taken),
                (true, true) => self.take_rows::<true, true>(bytes, places, taken),
            }
        }
    }

    pub(crate) fn put(
        &mut self,
        bytes: &[u8],
        places: &[Place],
        taken: &Taken,
        results: &[Vec<u8>],
        output: &mut [u8],
    ) {
        assert!(available(), "this kernel was chosen on another processor");
        // SAFETY: the processor has the features.
        unsafe {
            match self.plain.check {
                None => self.put_rows::<false>(bytes, places, taken, results, output),
                Some(_) => self.put_rows::<true>(bytes, places, taken, results, output),
            }
        }
    }

    #[target_feature(enable = "avx2")]
    fn take_rows<const TWEAK: bool, const CHECK: bool>(&mut self, bytes: &[u8], places: &[Place], taken: &mut Taken) {
        let Taken { fates, buckets, masks } = taken;
        let Self {
            plain,
            classes,
            constants,
            masks: known,
        } = self;
        let sum = plain.check.map_or(0, |[sum, _]| sum);
        let (mut row, mut before, mut alike) = (0, 0, 0);
        while row < places.len() {
            let (at, place) = (row, places[row]);
            row += 1;
            let length = place.length as usize;
            if length.wrapping_sub(1) >= WIDTH {
                (fates[at], masks[at]) = plain.take_row(bytes, place, buckets);
                continue;
            }
            let text = text(bytes, place);
            let [symbols, separators] = classes.of(text).map(|found| found & whole(length));
            let mask = known.of(symbols, plain);
            if mask.free == Mask::NONE || symbols | separators != whole(length) {
                continue;
            }
            let take = Take::<TWEAK, CHECK> {
                classes,
                mask,
                constants,
                tweak: plain.tweak,
                sum,
            };
            alike = if before == symbols { alike + 1 } else { 0 };
            before = symbols;
            let most = if alike < ALIKE { 1 } else { RUN };
            let next = &places[at..places.len().min(at + most)];
            let run = take.run(bytes, next, text, &mut buckets[usize::from(mask.free)]);
            for (fate, mask_of_row) in fates[at..at + run].iter_mut().zip(&mut masks[at..]) {
                (*fate, *mask_of_row) = (Fate::Taken(mask.free), symbols.into());
            }
            row = at + run.max(1);
        }
    }

    #[target_feature(enable = "avx2")]
    fn put_rows<const CHECK: bool>(
        &mut self,
        bytes: &[u8],
        places: &[Place],
        taken: &Taken,
        results: &[Vec<u8>],
        output: &mut [u8],
    ) {
        let Self {
            plain,
            classes,
            masks: known,
            ..
        } = self;
        let sum = plain.check.map_or(0, |[_, sum]| sum);
        let mut used = [0; LONGEST + 1];
        let (mut row, mut before, mut alike) = (0, 0, 0);
        while row < places.len() {
            let (at, place) = (row, places[row]);
            row += 1;
            if place == Place::NULL {
                continue;
            }
            let (start, length) = (place.start as usize, place.length as usize);
            let Fate::Taken(n) = taken.fates[at] else {
                output[start..][..length].copy_from_slice(&bytes[start..][..length]);
                continue;
            };
            let n = usize::from(n);
            if length > WIDTH {
                let to = &mut output[start..][..length];
                to.copy_from_slice(&bytes[start..][..length]);
                plain.put_row(to, taken.masks[at], &results[n][used[n]..][..n]);
                used[n] += n;
                continue;
            }
            let symbols = taken.masks[at];
            let mask = known.of(symbols as u32, plain); // no bit is beyond the text's bytes
            let put = Put::<CHECK> { classes, mask, sum };
            let mut run = 1;
            alike = if before == symbols { alike + 1 } else { 0 };
            before = symbols;
            if alike >= ALIKE {
                let alike = |row: &usize| taken.masks[*row] == symbols && places[*row].length == place.length;
                run += (row..places.len()).take_while(alike).count();
            }
            put.run(bytes, &places[at..at + run], &results[n][used[n]..], output);
            used[n] += n * run;
            row = at + run;
        }
    }
}

/// How texts with one mask are taken apart.
struct Take<'a, const TWEAK: bool, const CHECK: bool> {
    classes: &'a Classes,
    mask: &'a Mask,
    /// The other bytes of a tweak than its numerals.
    constants: &'a [u8; WIDTH],
    /// Bytes of a tweak.
    tweak: usize,
    /// What the Luhn sum is.
    sum: u16,
}

impl<const TWEAK: bool, const CHECK: bool> Take<'_, TWEAK, CHECK> {
    /// Writes the free symbols and the tweak of a text that has this mask, as those of row `k`; `false` if its sum is wrong.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn row(&self, text: __m256i, [symbols, tweaks]: [&mut [u8]; 2], k: usize) -> bool {
        let numerals = match TWEAK || CHECK {
            true => self.classes.numerals(text),
            false => text,
        };
        if CHECK && luhn(numerals, self.mask) % 10 != self.sum {
            return false;
        }
        store_in(self.mask.gather.of(text), symbols, k * usize::from(self.mask.free));
        if TWEAK {
            let tweak = _mm256_or_si256(self.mask.tweak.of(numerals), load(self.constants));
            store_in(tweak, tweaks, k * self.tweak);
        }
        true
    }

    /// Takes apart the texts that come first and are of one kind, as `text`, the first, is: says how many.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn run(&self, bytes: &[u8], places: &[Place], mut text: __m256i, bucket: &mut Bucket) -> usize {
        let (n, length) = (usize::from(self.mask.free), places[0].length);
        let (rows, more) = (bucket.rows, places.len());
        let symbols = Bucket::room(&mut bucket.symbols, rows * n, more * n);
        let tweaks = match TWEAK {
            true => Bucket::room(&mut bucket.tweaks, rows * self.tweak, more * self.tweak),
            false => &mut [],
        };
        let mut run = 0;
        while self.row(text, [&mut *symbols, &mut *tweaks], run) {
            run += 1;
            match places.get(run) {
                Some(place) if place.length == length => text = self::text(bytes, *place),
                _ => break,
            }
            if !self.classes.are(text, self.mask, length as usize) {
                break;
            }
        }
        bucket.rows += run;
        run
    }
}

/// How texts with one mask are put together.
struct Put<'a, const CHECK: bool> {
    classes: &'a Classes,
    mask: &'a Mask,
    /// What the Luhn sum is to be.
    sum: u16,
}

impl<const CHECK: bool> Put<'_, CHECK> {
    /// Writes a text with other free symbols. What is written beyond it is written again with the next ones.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn row(&self, text: __m256i, free: &[u8], to: &mut [u8; WIDTH]) {
        let mask = self.mask;
        let free = mask
            .scatter
            .of(load(free.first_chunk().expect("results have some bytes more")));
        let text = _mm256_blendv_epi8(text, free, load(&mask.changed));
        store(text, to);
        if CHECK {
            // A zero, which counts nothing, for the digit that is sought.
            let text = _mm256_or_si256(text, load(&mask.zero));
            let others = luhn(self.classes.numerals(text), mask);
            to[usize::from(mask.check)] = b'0' + solution(self.sum, others, mask.check_doubled);
        }
    }

    /// Does as many rows of one kind.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn run(&self, bytes: &[u8], places: &[Place], free: &[u8], output: &mut [u8]) {
        let n = usize::from(self.mask.free);
        let mut last = [0; WIDTH];
        for (row, place) in places.iter().enumerate() {
            let text = text(bytes, *place);
            let to = &mut output[place.start as usize..];
            let there = to.len() >= WIDTH;
            let register = to.first_chunk_mut().unwrap_or(&mut last);
            self.row(text, &free[row * n..], register);
            if !there {
                let length = place.length as usize;
                to[..length].copy_from_slice(&last[..length]);
            }
        }
    }
}

impl Classes {
    /// Which bytes are symbols, and which are separators.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(&self, text: __m256i) -> [u32; 2] {
        let bit = bits(text);
        [&self.symbols, &self.separators].map(|table| {
            let found = _mm256_and_si256(_mm256_shuffle_epi8(broadcast(table), text), bit);
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(found, bit)) as u32
        })
    }

    /// Whether the first `length` bytes are symbols where the mask has such, and else separators.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn are(&self, text: __m256i, mask: &Mask, length: usize) -> bool {
        let bit = bits(text);
        let [symbols, separators] =
            [&self.symbols, &self.separators].map(|table| _mm256_shuffle_epi8(broadcast(table), text));
        let classes = _mm256_blendv_epi8(separators, symbols, load(&mask.inside));
        let found = _mm256_cmpeq_epi8(_mm256_and_si256(classes, bit), bit);
        _mm256_movemask_epi8(found) as u32 & whole(length) == whole(length)
    }

    /// The numeral of each symbol; for what is none, any.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn numerals(&self, text: __m256i) -> __m256i {
        if let [Range { first, .. }] = self.ranges[..] {
            return _mm256_sub_epi8(text, _mm256_set1_epi8(first as i8));
        }
        let mut numerals = _mm256_setzero_si256();
        for Range { first, length, base } in &self.ranges {
            let at = _mm256_sub_epi8(text, _mm256_set1_epi8(*first as i8));
            let inside = _mm256_cmpeq_epi8(_mm256_min_epu8(at, _mm256_set1_epi8((*length - 1) as i8)), at);
            let numeral = _mm256_add_epi8(at, _mm256_set1_epi8(*base as i8));
            numerals = _mm256_or_si256(numerals, _mm256_and_si256(numeral, inside));
        }
        numerals
    }
}

/// The bit of each character in the tables of classes. Beyond ASCII there is one, too, but in no table: the entries for bytes with the
/// highest bit set are 0.
#[inline]
#[target_feature(enable = "avx2")]
fn bits(text: __m256i) -> __m256i {
    let bits = broadcast(&[1, 2, 4, 8, 16, 32, 64, 128, 1, 1, 1, 1, 1, 1, 1, 1]);
    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(text), _mm256_set1_epi8(15));
    _mm256_shuffle_epi8(bits, upper)
}

/// As many ones as a text of 1 to 32 bytes has.
#[inline]
fn whole(length: usize) -> u32 {
    u32::MAX >> (WIDTH - length)
}

/// What becomes of the bytes of texts with one mask.
#[derive(Clone)]
#[repr(align(32))]
struct Mask {
    /// Which bytes are symbols.
    symbols: u32,
    /// How many of them are free; [`Mask::NONE`] if the number of symbols does not fit.
    free: u8,
    /// Where the check digit is, if there is one, and whether it counts double.
    check: u8,
    check_doubled: bool,
    /// From a text to its free symbols, and back.
    gather: Moves,
    scatter: Moves,
    /// From a text's numerals to its tweak.
    tweak: Moves,
    /// Ones for symbols.
    inside: [u8; WIDTH],
    /// Ones for what is not as it was: free symbols and the check digit.
    changed: [u8; WIDTH],
    /// A zero for the check digit.
    zero: [u8; WIDTH],
    /// Ones for the digits of a Luhn sum that count once, and for those that count double.
    once: [u8; WIDTH],
    twice: [u8; WIDTH],
}

impl Mask {
    const NONE: u8 = u8::MAX;

    const UNFIT: Self = Self {
        symbols: 0,
        free: Self::NONE,
        check: 0,
        check_doubled: false,
        gather: Moves::NONE,
        scatter: Moves::NONE,
        tweak: Moves::NONE,
        inside: [0; WIDTH],
        changed: [0; WIDTH],
        zero: [0; WIDTH],
        once: [0; WIDTH],
        twice: [0; WIDTH],
    };

    fn new(symbols: u32, form: &portable::Form) -> Self {
        let mut mask = Self { symbols, ..Self::UNFIT };
        let places: Vec<usize> = (0..WIDTH).filter(|at| symbols >> at & 1 == 1).collect();
        let count = places.len();
        let Some(n) = form.free(count) else {
            return mask;
        };
        mask.free = n as u8; // up to 32
        for place in &places {
            mask.inside[*place] = 0xFF;
        }
        let [first, last] = form.keep;
        for (i, place) in places[first..first + n].iter().enumerate() {
            mask.gather.set(i, *place);
            mask.scatter.set(*place, i);
            mask.changed[*place] = 0xFF;
        }
        if form.tweak > 0 {
            let ends = [(4, &places[..first]), (8 + 2 * first, &places[count - last..])];
            for (start, kept) in ends {
                for (i, place) in kept.iter().enumerate() {
                    mask.tweak.set(start + 2 * i + 1, *place);
                }
            }
        }
        if form.check.is_some() {
            for (from_end, place) in places.iter().rev().enumerate() {
                let weighed = if from_end % 2 == 1 {
                    &mut mask.twice
                } else {
                    &mut mask.once
                };
                weighed[*place] = 0xFF;
            }
            let check = places[first + n];
            mask.check = check as u8;
            mask.check_doubled = mask.twice[check] == 0xFF;
            mask.changed[check] = 0xFF;
            mask.zero[check] = b'0';
        }
        mask
    }
}

/// What is known of masks, by their hash.
struct Masks {
    /// Where each is in `known`, at the slot of its hash or the next one that was free; 0 in slots that are.
    slots: [u8; 256],
    /// First one for no symbols at all: no text without symbols fits.
    known: Vec<Mask>,
}

impl Masks {
    fn new() -> Self {
        Self {
            slots: [0; 256],
            known: vec![Mask::UNFIT],
        }
    }

    #[inline]
    fn of(&mut self, symbols: u32, form: &portable::Form) -> &Mask {
        // A multiplier with which texts of 1 to 32 symbols without separators do not meet, and those in groups hardly.
        let slot = (symbols.wrapping_mul(0xB937_A989) >> 24) as u8;
        let at = usize::from(self.slots[usize::from(slot)]);
        match self.known[at].symbols == symbols {
            true => &self.known[at],
            false => self.find(slot, symbols, form),
        }
    }

    #[inline(never)]
    fn find(&mut self, mut slot: u8, symbols: u32, form: &portable::Form) -> &Mask {
        if symbols == 0 {
            return &self.known[0];
        }
        loop {
            let at = usize::from(self.slots[usize::from(slot)]);
            if self.known[at].symbols == symbols {
                return &self.known[at];
            }
            if at == 0 {
                break;
            }
            slot = slot.wrapping_add(1);
        }
        if self.known.len() > MASKS {
            *self = Self::new();
        }
        let at = self.known.len();
        self.slots[usize::from(slot)] = at as u8; // up to 96
        self.known.push(Mask::new(symbols, form));
        &self.known[at]
    }
}

/// Where each byte of a register comes from: from the same lane, or from the other one.
#[derive(Clone)]
struct Moves {
    same: [u8; WIDTH],
    other: [u8; WIDTH],
}

impl Moves {
    const NONE: Self = Self {
        same: [0x80; WIDTH],
        other: [0x80; WIDTH],
    };

    fn set(&mut self, to: usize, from: usize) {
        let way = match to / 16 == from / 16 {
            true => &mut self.same,
            false => &mut self.other,
        };
        way[to] = (from % 16) as u8;
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(&self, bytes: __m256i) -> __m256i {
        let crossed = _mm256_permute4x64_epi64::<0b01_00_11_10>(bytes);
        _mm256_or_si256(
            _mm256_shuffle_epi8(bytes, load(&self.same)),
            _mm256_shuffle_epi8(crossed, load(&self.other)),
        )
    }
}

/// The Luhn sum of a text's digits, not reduced.
#[inline]
#[target_feature(enable = "avx2")]
fn luhn(digits: __m256i, mask: &Mask) -> u16 {
    let doubled = _mm256_shuffle_epi8(broadcast(&DOUBLED), digits);
    let once = _mm256_and_si256(digits, load(&mask.once));
    let weighed = _mm256_or_si256(once, _mm256_and_si256(doubled, load(&mask.twice)));
    let sums = _mm256_sad_epu8(weighed, _mm256_setzero_si256());
    let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    (_mm_cvtsi128_si64(sums) + _mm_extract_epi64::<1>(sums)) as u16
}

/// A text of up to 32 bytes, and bytes of no meaning after it.
#[inline]
#[target_feature(enable = "avx2")]
fn text(bytes: &[u8], place: Place) -> __m256i {
    let (bytes, length) = (&bytes[place.start as usize..], place.length as usize);
    assert!(length <= bytes.len());
    match bytes.first_chunk() {
        Some(bytes) => load(bytes),
        None => {
            let mut last = [0; WIDTH];
            last[..length].copy_from_slice(&bytes[..length]);
            load(&last)
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn broadcast(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes are read.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; WIDTH]) -> __m256i {
    // SAFETY: 32 bytes are read.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Writes the register to the 32 bytes from `at` on.
#[inline]
#[target_feature(enable = "avx2")]
fn store_in(register: __m256i, to: &mut [u8], at: usize) {
    store(register, to[at..].first_chunk_mut().expect("there is room"));
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(register: __m256i, to: &mut [u8; WIDTH]) {
    // SAFETY: 32 bytes are written.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), register) }
}
