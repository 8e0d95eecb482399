//! Text of any alphabet to halves and back in AVX-512.
//!
//! ```text
//! read, for 4, 2 or 1 rows:
//!     numerals ← permutex2var(table of 128, text)       0x80 for a byte that is no symbol
//!     eights ← permute(numerals, gather)
//!     pairs ← r·a + b;  fours ← r²·a + b;  x ← r⁴·a + b     maddubs, madd, one product of 32 bits
//!     half ← r⁸·x₁ + x₀, and so on
//! write: the inverse; then symbols by look-up, and permute(…, scatter)
//! ```
//!
//! Registers, of 32: two tables of numerals or one of symbols, gather or scatter, three to six factors, and four
//! temporaries: all constants stay in registers for a whole chunk. It is fast since no step handles less than eight
//! symbols at once.
//!
//! A half is read in *eights*, groups of 8 symbols that fill a register's 64-bit lane each; the first is filled up
//! with zeros on its left. One load brings as many whole rows as fit 64 bytes, one permutation brings their symbols
//! to their eights, and for those of 4, 2 or 1 rows the left and right halves of one place stand side by side.
//!
//! Joining: x·r + y for pairs, then with r² and r⁴. Splitting is the inverse, with exact reciprocals: for x <
//! r^(2k) the quotient by r^k is ⌊x·µ/2^w⌋ with µ = ⌈2^w/r^k⌉, since the error x·(µ − 2^w/r^k)/2^w < r^(2k)/2^w is
//! below 1/r^k for 2^w > r^(3k). The quotient q and the remainder are left side by side by x + q·(2^b − r^k), where
//! b is the width of each.

use std::arch::x86_64::*;

use cipherform_ascii::Symbols;
use cipherform_simd::table::ByteTable;

use crate::batch::sizes::CHUNK;
use crate::kernels::avx512::params::available;

/// Symbols of a group.
const EIGHT: usize = 8;

/// Reads and writes rows of one shape.
pub(crate) struct SymbolCodec {
    n: usize,
    /// Rows a register.
    rows: usize,
    /// Eights of a half.
    eights: usize,
    /// The numeral of each ASCII character; 0x80 for one that is no symbol.
    numerals: [ByteTable; 2],
    symbols: ByteTable,
    /// The source of each symbol of the eights, and the bytes that have one.
    gather: ByteTable,
    filled: u64,
    /// The source of each symbol of the rows.
    scatter: ByteTable,
    radix: PowerDivisor,
    square: PowerDivisor,
    fourth: PowerDivisor,
    /// r^8.
    eighth: u64,
    /// ⌊2^64/r^8⌋
    eighth_reciprocal: u64,
}

/// A power of the radix and its reciprocal.
#[derive(Clone, Copy)]
struct PowerDivisor {
    value: u64,
    mu: u64,
    shift: i32,
}

impl PowerDivisor {
    /// µ with `bits` bits; w is `bits` + shift.
    fn new(value: u64, bits: u32) -> Self {
        // 2^k/value lies between 1/2 and 1 for this k, and its product with 2^bits between 2^(bits − 1) and 2^bits − 1.
        // As large a µ as its lane holds: then the error bound of the module's text holds for every radix up to 64.
        // For r⁴ ≤ 2^24, say, w = 52 + 23 > 3·24.
        let shift = (value - 1).ilog2();
        let mu = (1u128 << (bits + shift)).div_ceil(value.into());
        Self {
            value,
            mu: mu as u64,
            shift: shift as i32,
        }
    }
}

impl SymbolCodec {
    /// For rows whose halves have `lengths` symbols; `None` if other code must do it.
    pub(crate) fn new(symbols: &Symbols, lengths: [usize; 2]) -> Option<Self> {
        let n = lengths[0] + lengths[1];
        let eights = lengths[0].max(lengths[1]).div_ceil(EIGHT);
        // 64 bytes hold 8 eights: as many rows as have both halves in them, as a power of two.
        let rows = match eights {
            1 => 4,
            2 => 2,
            3 => 1,
            _ => return None,
        };
        // Numerals are below 64 and leave the highest bit to say "no symbol": one `or` of all rows finds any.
        let mut numerals = [[0x80; 64]; 2];
        for (numeral, byte) in symbols.bytes()[..symbols.radix()].iter().enumerate() {
            numerals[usize::from(byte / 64)][usize::from(byte % 64)] = numeral as u8;
        }
        let (mut gather, mut filled, mut scatter) = ([0; 64], 0, [0; 64]);
        for row in 0..rows {
            // Lanes by significance first, then by half, then by row: so joining two eights of a half is an
            // addition of one part of the register to another, the same for all rows.
            for (half, length) in lengths.into_iter().enumerate() {
                for place in 0..length {
                    // Counted from the end: its eight, from the most significant one on, and the byte there.
                    let from_end = length - 1 - place;
                    let eight = eights - 1 - from_end / EIGHT;
                    let lane = (2 * eight + half) * rows + row;
                    let at = row * n + half * lengths[0] + place;
                    let byte = EIGHT * lane + EIGHT - 1 - from_end % EIGHT;
                    // A zero byte on the left of a number changes nothing: `filled` clears what has no source.
                    gather[byte] = at as u8;
                    filled |= 1 << byte;
                    // Split numbers have their least significant byte first.
                    scatter[at] = (EIGHT * lane + from_end % EIGHT) as u8;
                }
            }
        }
        // r ≤ 64, so that r^8 ≤ 2^48 and eights fit the 52 bits of IFMA.
        let r = symbols.radix() as u64;
        let eighth = r.pow(8); // at most 2^48
        if eights > 1 && eighth <= 1 << 12 {
            return None; // its reciprocal would have more than 52 bits
        }
        Some(Self {
            n,
            rows,
            eights,
            numerals: numerals.map(ByteTable),
            symbols: ByteTable(*symbols.bytes()),
            gather: ByteTable(gather),
            filled,
            scatter: ByteTable(scatter),
            radix: PowerDivisor::new(r, 16),
            square: PowerDivisor::new(r.pow(2), 32),
            fourth: PowerDivisor::new(r.pow(4), 52),
            eighth,
            eighth_reciprocal: ((1u128 << 64) / u128::from(eighth)) as u64,
        })
    }

    /// Reads whole rows; `false` if a byte is no symbol.
    pub(crate) fn read(&self, text: &[u8], left: &mut [u64; CHUNK], right: &mut [u64; CHUNK]) -> bool {
        assert!(available(), "this kernel was chosen on another processor");
        assert!(text.len() <= CHUNK * self.n);
        // SAFETY: `available` has found the features.
        unsafe {
            match self.eights {
                1 => self.read_rows::<1, 4>(text, left, right),
                2 => self.read_rows::<2, 2>(text, left, right),
                _ => self.read_rows::<3, 1>(text, left, right),
            }
        }
    }

    /// Writes whole rows.
    pub(crate) fn write(&self, left: &[u64; CHUNK], right: &[u64; CHUNK], text: &mut [u8]) {
        assert!(available(), "this kernel was chosen on another processor");
        assert!(text.len() <= CHUNK * self.n);
        // SAFETY: `available` has found the features.
        unsafe {
            match self.eights {
                1 => self.write_rows::<1, 4>(left, right, text),
                2 => self.write_rows::<2, 2>(left, right, text),
                _ => self.write_rows::<3, 1>(left, right, text),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    fn read_rows<const EIGHTS: usize, const ROWS: usize>(
        &self,
        text: &[u8],
        left: &mut [u64; CHUNK],
        right: &mut [u64; CHUNK],
    ) -> bool {
        debug_assert_eq!((EIGHTS, ROWS), (self.eights, self.rows));
        let (low, high) = (load(&self.numerals[0].0), load(&self.numerals[1].0));
        let (gather, filled) = (load(&self.gather.0), self.filled);
        let r = self.radix.value as i32;
        // Horner's rule, two at a time: x·r + y with the weights r and 1 for the first and the second of two
        // neighbours.
        let pairs = _mm512_set1_epi16((1 << 8 | r) as i16);
        let fours = _mm512_set1_epi32((1 << 16) | (r * r));
        let fourth = _mm512_set1_epi64(self.fourth.value as i64);
        let eighth = _mm512_set1_epi64(self.eighth as i64);
        let mut others = _mm512_setzero_si512();
        for (k, rows) in text.chunks(ROWS * self.n).enumerate() {
            // 1 to 64 bytes: up to 24 symbols a half, and as many rows as fit. The last load may have fewer rows
            // than the others.
            let whole = u64::MAX >> (64 - rows.len());
            // A masked load reads nothing beyond the mask, so that the end of the text needs no copy.
            // SAFETY: only the bytes of `rows` are read.
            let bytes = unsafe { _mm512_maskz_loadu_epi8(whole, rows.as_ptr().cast()) };
            // The look-up of a table of 128 bytes, two registers, by the lower seven bits: no address depends on a
            // symbol. Bytes beyond the rows are cleared, or the zero that the load put there might be taken for one
            // that is no symbol.
            let numerals = _mm512_maskz_mov_epi8(whole, _mm512_permutex2var_epi8(low, bytes, high));
            // Numerals are below 64, so that the highest bit says "no symbol"; beyond ASCII the byte itself has it.
            others = _mm512_or_si512(others, _mm512_or_si512(numerals, bytes));
            // vpermb moves any byte of the register anywhere; shuffles within lanes of 16 bytes could not, as rows
            // have any length.
            let eights = _mm512_maskz_permutexvar_epi8(filled, gather, numerals);
            // Bytes below 64, weights up to 64: all products and sums fit.
            let x = _mm512_madd_epi16(_mm512_maddubs_epi16(eights, pairs), fours);
            // The first four are in the lower 32 bits of each lane, which is what mul_epu32 reads; r⁴ ≤ 2^24, so
            // the sum is below 2^48.
            let x = _mm512_add_epi64(_mm512_mul_epu32(x, fourth), _mm512_srli_epi64::<32>(x));
            if EIGHTS == 1 {
                store_four(&mut left[ROWS * k..], _mm512_castsi512_si256(x));
                store_four(&mut right[ROWS * k..], _mm512_extracti64x4_epi64::<1>(x));
            } else {
                // The first eights are in the lower lanes: each step multiplies what there is by r^8 and adds the
                // next lanes.
                let next = |x| _mm512_alignr_epi64::<4>(x, x);
                // The products are below radix^m ≤ 2^64 in the lanes that are used; others hold what is not read.
                let sum = if EIGHTS == 2 {
                    _mm512_add_epi64(_mm512_mullo_epi64(x, eighth), next(x))
                } else {
                    let second = _mm512_alignr_epi64::<2>(x, x);
                    let sum = _mm512_add_epi64(_mm512_mullo_epi64(x, eighth), second);
                    _mm512_add_epi64(_mm512_mullo_epi64(sum, eighth), next(x))
                };
                let sum = _mm512_castsi512_si256(sum);
                if ROWS == 2 {
                    store_two(&mut left[ROWS * k..], _mm256_castsi256_si128(sum));
                    store_two(&mut right[ROWS * k..], _mm256_extracti128_si256::<1>(sum));
                } else {
                    left[k] = _mm256_extract_epi64::<0>(sum) as u64;
                    right[k] = _mm256_extract_epi64::<1>(sum) as u64;
                }
            }
        }
        // Once for all rows: the branch depends on whether the text is valid, not on what it is.
        _mm512_movepi8_mask(others) == 0
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi")]
    fn write_rows<const EIGHTS: usize, const ROWS: usize>(
        &self,
        left: &[u64; CHUNK],
        right: &[u64; CHUNK],
        text: &mut [u8],
    ) {
        debug_assert_eq!((EIGHTS, ROWS), (self.eights, self.rows));
        let (symbols, scatter) = (load(&self.symbols.0), load(&self.scatter.0));
        let count = |shift| _mm_cvtsi32_si128(shift);
        // Constant public sizes: no step below depends on a value.
        let width = ROWS * self.n;
        for start in (0..text.len()).step_by(width) {
            let k = start / self.n;
            // Halves to eights, in the lanes where reading has them.
            // STR (algorithm 3 of SP 800-38G), from the top down: x is split by r^8, r⁴, r² and r, each time in all
            // lanes at once, where the standard divides by r once for each numeral.
            let x = if EIGHTS == 1 {
                let left = _mm512_castsi256_si512(load_four(&left[k..]));
                _mm512_inserti64x4::<1>(left, load_four(&right[k..]))
            } else if EIGHTS == 2 {
                let both = _mm256_setr_epi64x(left[k] as i64, left[k + 1] as i64, right[k] as i64, right[k + 1] as i64);
                let (first, second) = self.divide(both);
                _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
            } else {
                let both = _mm256_setr_epi64x(left[k] as i64, right[k] as i64, 0, 0);
                let (rest, third) = self.divide(both);
                let (first, second) = self.divide(rest);
                let upper = _mm256_permute2x128_si256::<0x20>(first, second);
                _mm512_inserti64x4::<1>(_mm512_castsi256_si512(upper), third)
            };
            // Eights to fours, in halves of 32 bits.
            let mu = _mm512_set1_epi64(self.fourth.mu as i64);
            let q = _mm512_madd52hi_epu64(_mm512_setzero_si512(), x, mu);
            let q = _mm512_srl_epi64(q, count(self.fourth.shift));
            // x + q·(2^32 − r⁴) = q·2^32 + (x − q·r⁴): quotient and remainder side by side, by one product and one
            // addition. Both are below r⁴ < 2^32, so that neither reaches the other's half.
            let less = _mm512_set1_epi64(((1u64 << 32) - self.fourth.value) as i64);
            let x = _mm512_add_epi64(x, _mm512_mul_epu32(q, less));
            // Fours to pairs, of 16 bits.
            let mu = _mm512_set1_epi64(self.square.mu as i64);
            let shift = count(32 + self.square.shift);
            let even = _mm512_srl_epi64(_mm512_mul_epu32(x, mu), shift);
            // There is no product of 32 bits by 32 that gives upper halves, so that even and odd parts take a
            // product of 64 bits each.
            let odd = _mm512_srl_epi64(_mm512_mul_epu32(_mm512_srli_epi64::<32>(x), mu), shift);
            // Each quotient is below r² ≤ 2^12, so that they do not overlap.
            let q = _mm512_or_si512(even, _mm512_slli_epi64::<32>(odd));
            let less = _mm512_set1_epi32(((1 << 16) - self.square.value) as i32);
            let x = _mm512_add_epi32(x, _mm512_mullo_epi32(q, less));
            // Pairs to numerals, of 8 bits.
            // For 16 bits there is an instruction for the upper half of a product.
            let q = _mm512_mulhi_epu16(x, _mm512_set1_epi16(self.radix.mu as i16));
            let q = _mm512_srl_epi16(q, count(self.radix.shift));
            let less = _mm512_set1_epi16(((1 << 8) - self.radix.value) as i16);
            let x = _mm512_add_epi16(x, _mm512_mullo_epi16(q, less));
            // A numeral is an index of 6 bits into the register of symbols: a look-up without memory. Then the
            // inverse of `gather`.
            let rows = _mm512_permutexvar_epi8(scatter, _mm512_permutexvar_epi8(x, symbols));
            // Whole registers as long as there is room; the mask is for the last rows alone.
            let rest = text.len() - start;
            let out = text[start..].as_mut_ptr();
            if rest >= 64 {
                // SAFETY: there are 64 bytes; those beyond these rows are written again with the next ones.
                unsafe { _mm512_storeu_si512(out.cast(), rows) }
            } else {
                let whole = u64::MAX >> (64 - rest.min(width));
                // SAFETY: only the bytes of these rows are written.
                unsafe { _mm512_mask_storeu_epi8(out.cast(), whole, rows) }
            }
        }
    }

    /// x/r^8 and the remainder. As for [`ReductionIfma::Short`](crate::arith::reduce_ifma::ReductionIfma): the
    /// quotient is at most 2 too small.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn divide(&self, x: __m256i) -> (__m256i, __m256i) {
        let by = _mm256_set1_epi64x(self.eighth as i64);
        let mu = _mm256_set1_epi64x(self.eighth_reciprocal as i64);
        // x up to 2^64 has 52 bits without its lowest 12, and ⌊2^64/r^8⌋ has 52 as r^8 > 2^12, which `new` has
        // seen.
        let mut q = _mm256_madd52hi_epu64(_mm256_setzero_si256(), _mm256_srli_epi64::<12>(x), mu);
        let mut rest = _mm256_sub_epi64(x, _mm256_mullo_epi64(q, by));
        // Here the quotient itself is wanted, not a lazy remainder: two corrections, by masks and not by branches,
        // as x is secret.
        for _ in 0..2 {
            let more = _mm256_cmpge_epu64_mask(rest, by);
            rest = _mm256_mask_sub_epi64(rest, more, rest, by);
            // q + 1 as q − (−1): all ones are made without a load.
            q = _mm256_mask_sub_epi64(q, more, q, _mm256_set1_epi64x(-1));
        }
        (q, rest)
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes are read.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn load_four(items: &[u64]) -> __m256i {
    let items: &[u64; 4] = items.first_chunk().expect("batches are whole fours");
    // SAFETY: 32 bytes are read.
    unsafe { _mm256_loadu_si256(items.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn store_four(items: &mut [u64], x: __m256i) {
    let items: &mut [u64; 4] = items.first_chunk_mut().expect("batches are whole fours");
    // SAFETY: 32 bytes are written.
    unsafe { _mm256_storeu_si256(items.as_mut_ptr().cast(), x) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn store_two(items: &mut [u64], x: __m128i) {
    let items: &mut [u64; 2] = items.first_chunk_mut().expect("batches are whole fours");
    // SAFETY: 16 bytes are written.
    unsafe { _mm_storeu_si128(items.as_mut_ptr().cast(), x) }
}
