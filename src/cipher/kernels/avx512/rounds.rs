//! The walk in AVX-512: VAES for the cipher, IFMA for the remainders, VBMI to bring bytes to their places.
//!
//! 64 rows walk as one *band* of two groups. Each group fills the AES pipes by itself; while one group's blocks go through AES,
//! the other group's round ends and its next one begins: the two are written in turns, and the processor, which looks some 300
//! instructions ahead, overlaps them.
//!
//! Where y has 8 bytes, two blocks share the last round of AES: SubBytes works byte by byte and ShiftRows is a fixed permutation,
//! so the bytes that end in y can be brought together before it, in the order in which they are wanted, if the last round key is
//! permuted likewise.
//!
//! Only the functions that are called from outside are compiled for the processor's features. What they are made of must be
//! inlined, which Rust promises only for functions without features of their own: hence these are `unsafe`, as they may be called
//! from nowhere else.

use std::arch::x86_64::*;

use crate::arith::reduce_ifma::{Modulus52, ReductionIfma};
use crate::batch::half::ByteOrder;
use crate::batch::sizes::LANES;
use crate::kernels::aes::{
    AesUnit, Vaes512, aes_inner_rounds, aes_last_round, aes_long_key_rounds, aes_round, round_key,
};
use crate::kernels::prefix_source::Prefixes;
use crate::kernels::schedule::Schedule;
use crate::spec::types::Direction;
use cipherform_simd::table::Table;

/// What this kernel needs to know about a params.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params512 {
    pub(crate) layout: Layout512,
    pub(crate) reduction: ReductionIfma,
    rounds: u8,
    /// Where the bytes of blocks come from: 0…63 a register of halves, 64 zero, 65 the round number.
    places: [Table; 4],
    /// Modulo what the left and the right half change.
    moduli: [Modulus52; 2],
    /// 2^32, 2^64 and 2^96 modulo these.
    powers: [[u64; 3]; 2],
}

/// How halves lie in registers, and y in what AES returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Layout512 {
    /// MemoryHalves512 of 32 bits; y is the first 8 bytes.
    Packed,
    /// MemoryHalves512 of 32 bits; y is the whole block, least significant byte first: FF3.
    PackedReversed,
    /// MemoryHalves512 of 64 bits; y is the first 8 bytes.
    Eight,
    /// MemoryHalves512 of 64 bits; y is the first 12 bytes.
    Twelve,
}

impl Params512 {
    /// The params whose left and right half go up to `highest`; `None` if it is left to other code.
    pub(crate) fn new(highest: [u128; 2], rounds: u8, round_shift: u32, order: ByteOrder) -> Option<Self> {
        let moduli = [highest[0].checked_add(1)?, highest[1].checked_add(1)?];
        let packed = moduli
            .iter()
            .all(|m| *m <= 1 << 30 || m.is_power_of_two() && *m <= 1 << 32);
        let (layout, bits) = match order {
            ByteOrder::BigEndian { d: 8 } if packed => (Layout512::Packed, 64),
            ByteOrder::LittleEndian if packed => (Layout512::PackedReversed, 64),
            ByteOrder::BigEndian { d: 8 } => (Layout512::Eight, 64),
            ByteOrder::BigEndian { d: 12 } => (Layout512::Twelve, 96),
            _ => return None,
        };
        let places = std::array::from_fn(|k| places(layout, k, round_shift));
        let powers = moduli.map(|m| [32, 64, 96].map(|k| ((1u128 << k) % m) as u64));
        let (reduction, moduli) = ReductionIfma::of(moduli, bits)?;
        Some(Self {
            layout,
            reduction,
            rounds,
            places,
            moduli,
            powers,
        })
    }
}

/// Where the bytes of four blocks come from, which are the k-th that a register of halves fills.
fn places(layout: Layout512, k: usize, round_shift: u32) -> Table {
    let mut bytes = [64; 64];
    for (at, place) in bytes.iter_mut().enumerate() {
        let (block, p) = (4 * k + at / 16, at % 16);
        let round = round_shift as usize / 8;
        *place = match layout {
            Layout512::Packed if p >= 12 => 4 * block + 15 - p,
            Layout512::PackedReversed if p < 4 => 4 * block + p,
            Layout512::Eight | Layout512::Twelve if p >= 8 => 8 * (block % 8) + 15 - p,
            _ => 64,
        } as u8;
        // NUM(B) is zero where the round number stands.
        if p == if layout == Layout512::PackedReversed {
            round
        } else {
            15 - round
        } {
            *place = 65;
        }
    }
    Table(bytes)
}

/// Whether this processor has all that the functions here are compiled for.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("vaes")
}

/// Takes a band of rows through all rounds.
pub(crate) fn run_lanes(
    schedule: &Schedule,
    params: &Params512,
    direction: Direction,
    prefixes: &Prefixes,
    left: &mut [u64; LANES],
    right: &mut [u64; LANES],
) {
    use Layout512::{Eight, Packed, PackedReversed, Twelve};
    use ReductionIfma::{Mask, Once, Short, Tiny, Twice, Wide};
    macro_rules! band {
        ($layout:ident, $reduction:ident, $registers:literal) => {{
            const LAYOUT: u8 = $layout as u8;
            const REDUCTION: u8 = $reduction as u8;
            match direction {
                Direction::Encrypt => band_in_memory::<true, LAYOUT, REDUCTION, $registers>,
                Direction::Decrypt => band_in_memory::<false, LAYOUT, REDUCTION, $registers>,
            }
        }};
    }
    let band: unsafe fn(&Schedule, &Params512, &Prefixes, [&mut [u64; LANES]; 2]) =
        match (params.layout, params.reduction) {
            (Packed, Mask) => band!(Packed, Mask, 2),
            (Packed, Tiny) => band!(Packed, Tiny, 2),
            (Packed, _) => band!(Packed, Short, 2),
            (PackedReversed, Mask) => band!(PackedReversed, Mask, 2),
            (PackedReversed, Tiny) => band!(PackedReversed, Tiny, 2),
            (PackedReversed, _) => band!(PackedReversed, Short, 2),
            (Eight, _) => band!(Eight, Short, 4),
            (Twelve, Mask) => band!(Twelve, Mask, 4),
            (Twelve, Twice) => band!(Twelve, Twice, 4),
            (Twelve, Once) => band!(Twelve, Once, 4),
            (Twelve, _) => band!(Twelve, Wide, 4),
        };
    assert!(available(), "this kernel was chosen on another processor");
    // SAFETY: `available` has found the features.
    unsafe { band(schedule, params, prefixes, [left, right]) }
}

/// AES alone, on blocks that stay in registers: `blocks` of them, rounded down to a multiple of 64.
pub(crate) fn aes_alone(schedule: &Schedule, blocks: u64) -> u64 {
    assert!(available(), "this kernel was chosen on another processor");
    // SAFETY: `available` has found the features.
    unsafe { aes_in_registers(schedule, blocks) }
}

pub(crate) type Z = __m512i;

#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn aes_in_registers(schedule: &Schedule, blocks: u64) -> u64 {
    // SAFETY: this function is compiled for the features they need.
    unsafe {
        let mut states = [round_key::<Vaes512>(schedule, 0); 16];
        for (k, state) in states.iter_mut().enumerate() {
            *state = _mm512_add_epi64(*state, _mm512_set1_epi64(k as i64));
        }
        for _ in 0..blocks / 64 {
            aes_inner_rounds::<Vaes512>(schedule, &mut states);
            aes_last_round::<Vaes512>(round_key::<Vaes512>(schedule, schedule.rounds()), &mut states);
        }
        states
            .iter()
            .fold(0, |sum, state| sum ^ _mm512_reduce_add_epi64(*state) as u64)
    }
}

// `Layout512` and `ReductionIfma` as parameters of functions.
const PACKED: u8 = Layout512::Packed as u8;
const REVERSED: u8 = Layout512::PackedReversed as u8;
const EIGHT: u8 = Layout512::Eight as u8;
const MASK: u8 = ReductionIfma::Mask as u8;
const TINY: u8 = ReductionIfma::Tiny as u8;
const SHORT: u8 = ReductionIfma::Short as u8;
const TWICE: u8 = ReductionIfma::Twice as u8;
const ONCE: u8 = ReductionIfma::Once as u8;

/// Keeps the compiler from moving what comes after this to before what made these two registers, and the other way round. Left
/// to itself it may bring the arithmetic together, and the processor does not look far enough ahead to take it apart again.
macro_rules! in_order {
    ($a:expr, $b:expr) => {
        std::arch::asm!(
            "/* {0} {1} */",
            inout(zmm_reg) $a,
            inout(zmm_reg) $b,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

/// Where the halves of a band come from and go to. A group's halves take H registers each.
pub(crate) trait HalvesIo512<const H: usize> {
    /// The k-th registers of the left and the right halves of a group.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`].
    unsafe fn load(&mut self, group: usize, k: usize) -> [Z; 2];

    /// Takes them back.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`].
    unsafe fn store(&mut self, group: usize, k: usize, halves: [Z; 2]);
}

/// MemoryHalves512 in memory.
struct MemoryHalves512<'a, const LAYOUT: u8>([&'a mut [u64; LANES]; 2]);

impl<const LAYOUT: u8, const H: usize> HalvesIo512<H> for MemoryHalves512<'_, LAYOUT> {
    #[inline(always)]
    unsafe fn load(&mut self, group: usize, k: usize) -> [Z; 2] {
        let [left, right] = &self.0;
        let at = 32 * group + 32 / H * k;
        // SAFETY: the caller promises the features of `available`.
        unsafe { [load_halves::<LAYOUT>(*left, at), load_halves::<LAYOUT>(*right, at)] }
    }

    #[inline(always)]
    unsafe fn store(&mut self, group: usize, k: usize, halves: [Z; 2]) {
        let [left, right] = &mut self.0;
        let at = 32 * group + 32 / H * k;
        // SAFETY: the caller promises the features of `available`.
        unsafe {
            store_halves::<LAYOUT>(halves[0], *left, at);
            store_halves::<LAYOUT>(halves[1], *right, at);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi,vaes")]
fn band_in_memory<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8, const H: usize>(
    schedule: &Schedule,
    params: &Params512,
    prefixes: &Prefixes,
    halves: [&mut [u64; LANES]; 2],
) {
    // SAFETY: this function is compiled for the features of `available`.
    unsafe {
        let prefixes = PrefixBlocks512::new::<LAYOUT>(schedule, prefixes);
        band::<ENCRYPT, LAYOUT, REDUCTION, H>(schedule, params, &prefixes, &mut MemoryHalves512::<LAYOUT>(halves));
    }
}

/// Takes a band of two groups, x and y, of 32 rows, whose halves take H registers each, through all rounds.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi,vaes")]
pub(crate) fn band<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8, const H: usize>(
    schedule: &Schedule,
    params: &Params512,
    prefixes: &PrefixBlocks512,
    ends: &mut impl HalvesIo512<H>,
) {
    // SAFETY: this function is compiled for the features of `available`.
    unsafe {
        // Rounds change one half and then the other: the left one first when encrypting.
        let parities: [usize; 2] = if ENCRYPT { [0, 1] } else { [1, 0] };
        let moduli = parities.map(|parity| &params.moduli[parity]);
        let powers = parities.map(|parity| &params.powers[parity]);
        let last = params.rounds - 1;
        // Byte 0 is zero, byte 1 the round number, for `places`.
        let round = |step: u8| {
            let i = if ENCRYPT { step } else { last - step };
            _mm512_set1_epi32(i32::from(i) << 8)
        };

        // After which rounds of one group's AES a step is taken for the k-th registers of the other group. The steps are spread, so
        // that those of one register, each of which waits for the one before it, do not fill the processor's schedulers, where the
        // blocks would find no place.
        let (ends_at, begins_at): ([usize; 4], [usize; 4]) = match H {
            2 => ([2, 5, 0, 0], [7, 9, 0, 0]),
            _ => ([1, 2, 4, 6], [5, 7, 8, 9]),
        };

        let zero = _mm512_setzero_si512();
        let (mut x, mut y) = ([zero; 8], [zero; 8]);
        let (mut first_x, mut second_x, mut first_y, mut second_y) = ([zero; H], [zero; H], [zero; H], [zero; H]);
        macro_rules! load {
            ($group:literal, $first:ident, $second:ident, $states:ident) => {{
                for k in 0..H {
                    let [left, right] = ends.load($group, k);
                    ($first[k], $second[k]) = if ENCRYPT { (left, right) } else { (right, left) };
                }
                for k in 0..H {
                    let place = [parities[0], $group];
                    begin_round::<LAYOUT, H>(params, &mut $states, k, &$second, prefixes, place, round(0));
                }
            }};
        }
        macro_rules! end {
            ($states:ident, $half:literal, $changed:ident, $k:expr) => {
                end_round::<ENCRYPT, LAYOUT, REDUCTION, H>(
                    schedule,
                    &mut $changed,
                    $k,
                    &$states,
                    moduli[$half],
                    powers[$half],
                )
            };
        }
        macro_rules! store {
            ($group:literal, $first:ident, $second:ident, $states:ident) => {{
                for k in 0..H {
                    end!($states, 1, $second, k);
                }
                for k in 0..H {
                    let (first, second) = ($first[k], $second[k]);
                    ends.store($group, k, if ENCRYPT { [first, second] } else { [second, first] });
                }
            }};
        }
        // The AES of one group, and between its rounds, register by register: the end of a round of the other group, which
        // changes a half, and the start of its next, whose blocks hold what was changed.
        macro_rules! turn {
            ($running:ident, $ending:ident, $group:literal, $half:literal, $changed:ident, $step:expr) => {{
                let next = round($step);
                for r in 1..10 {
                    aes_round::<Vaes512>(schedule, r, &mut $running);
                    for k in 0..H {
                        if r == ends_at[k] {
                            end!($ending, $half, $changed, k);
                            in_order!($running[7], $changed[k]);
                        }
                        if r == begins_at[k] {
                            let place = [parities[1 - $half], $group];
                            begin_round::<LAYOUT, H>(params, &mut $ending, k, &$changed, prefixes, place, next);
                        }
                    }
                }
                aes_long_key_rounds::<Vaes512>(schedule, &mut $running);
            }};
        }

        // While the first blocks of x are in AES, y is read; while the last ones of y are, x is written.
        load!(0, first_x, second_x, x);
        load!(1, first_y, second_y, y);
        aes_inner_rounds::<Vaes512>(schedule, &mut x);
        let mut step = 0;
        loop {
            turn!(y, x, 0, 0, first_x, step + 1);
            turn!(x, y, 1, 0, first_y, step + 1);
            step += 2;
            if step > last {
                break;
            }
            turn!(y, x, 0, 1, second_x, step);
            turn!(x, y, 1, 1, second_y, step);
        }
        store!(0, first_x, second_x, x);
        aes_inner_rounds::<Vaes512>(schedule, &mut y);
        store!(1, first_y, second_y, y);
    }
}

/// The prefixes of a band as AES blocks, with the first round key added, four to a register.
pub(crate) struct PrefixBlocks512 {
    /// Of even and odd rounds; FF1 has the same for both, here the first.
    blocks: [[Z; LANES / 4]; 2],
    /// Selects the register: all bits, or none where all rows share their prefixes.
    select: usize,
}

impl PrefixBlocks512 {
    /// # Safety
    ///
    /// The processor has the features of [`available`].
    #[inline(always)]
    pub(crate) unsafe fn new<const LAYOUT: u8>(schedule: &Schedule, prefixes: &Prefixes) -> Self {
        // SAFETY: the caller promises the features of `available`.
        unsafe {
            let first = round_key::<Vaes512>(schedule, 0);
            let order = table(if LAYOUT == REVERSED { &SAME } else { &REVERSE });
            let parities = if LAYOUT == REVERSED { 2 } else { 1 };
            let mut blocks = [[_mm512_setzero_si512(); LANES / 4]; 2];
            let select = match prefixes {
                Prefixes::Shared(shared) => {
                    for parity in 0..parities {
                        let block = _mm512_shuffle_epi8(load(&[shared[parity]; 4], 0), order);
                        blocks[parity][0] = _mm512_xor_si512(block, first);
                    }
                    0
                }
                Prefixes::PerRow(rows) => {
                    for parity in 0..parities {
                        for (k, block) in blocks[parity].iter_mut().enumerate() {
                            let quad = _mm512_shuffle_epi8(load(&rows[parity], 4 * k), order);
                            *block = _mm512_xor_si512(quad, first);
                        }
                    }
                    LANES / 4 - 1
                }
            };
            Self { blocks, select }
        }
    }

    /// FF1's prefixes of [`LANES`] rows whose tweaks all have `length` bytes and stand one after the other, with anything after them,
    /// from the value of AES for what comes before.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`].
    #[inline(always)]
    pub(crate) unsafe fn set_packed(
        &mut self,
        schedule: &Schedule,
        chain: u128,
        whole_blocks: usize,
        tweaks: &[u8],
        length: usize,
    ) {
        assert!(tweaks.len() >= LANES * length);
        // SAFETY: the caller promises the features of `available`; only bytes of `tweaks` are read.
        unsafe {
            let chain = Vaes512::broadcast(&chain.to_be_bytes());
            let first = round_key::<Vaes512>(schedule, 0);
            self.select = LANES / 4 - 1;
            for (half, states) in self.blocks[0].as_chunks_mut::<8>().0.iter_mut().enumerate() {
                *states = [_mm512_xor_si512(chain, first); 8];
                for k in 0..whole_blocks {
                    for (i, state) in states.iter_mut().enumerate() {
                        *state = _mm512_xor_si512(*state, tweak_blocks(tweaks, length, 8 * half + i, k));
                    }
                    aes_inner_rounds::<Vaes512>(schedule, states);
                    let last = _mm512_xor_si512(round_key::<Vaes512>(schedule, schedule.rounds()), first);
                    aes_last_round::<Vaes512>(last, states);
                }
                for (i, state) in states.iter_mut().enumerate() {
                    *state = _mm512_xor_si512(*state, tweak_blocks(tweaks, length, 8 * half + i, whole_blocks));
                }
            }
        }
    }

    /// Brings the prefixes of each 16 rows to the order 0, 4, 8, 12, 1, 5, …
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`].
    #[inline(always)]
    pub(crate) unsafe fn transpose<const LAYOUT: u8>(&mut self) {
        if self.select == 0 {
            return;
        }
        let parities = if LAYOUT == REVERSED { 2 } else { 1 };
        for quads in self.blocks[..parities].as_flattened_mut().as_chunks_mut::<4>().0 {
            let [a, b, c, d] = *quads;
            // SAFETY: the caller promises the features of `available`.
            *quads = unsafe {
                let (ab_low, ab_high) = (_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xDD>(a, b));
                let (cd_low, cd_high) = (_mm512_shuffle_i64x2::<0x88>(c, d), _mm512_shuffle_i64x2::<0xDD>(c, d));
                [
                    _mm512_shuffle_i64x2::<0x88>(ab_low, cd_low),
                    _mm512_shuffle_i64x2::<0x88>(ab_high, cd_high),
                    _mm512_shuffle_i64x2::<0xDD>(ab_low, cd_low),
                    _mm512_shuffle_i64x2::<0xDD>(ab_high, cd_high),
                ]
            };
        }
    }

    #[inline(always)]
    fn of<const LAYOUT: u8>(&self, parity: usize, block: usize) -> Z {
        let parity = if LAYOUT == REVERSED { parity } else { 0 };
        self.blocks[parity][block & self.select]
    }
}

/// The k-th blocks of the tweaks of four rows, zeros after their end.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn tweak_blocks(tweaks: &[u8], length: usize, quad: usize, k: usize) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let at = 4 * quad * length + 16 * k;
        let low = _mm256_castsi128_si256(bytes_from(tweaks, at));
        let low = _mm256_inserti128_si256::<1>(low, bytes_from(tweaks, at + length));
        let high = _mm256_castsi128_si256(bytes_from(tweaks, at + 2 * length));
        let high = _mm256_inserti128_si256::<1>(high, bytes_from(tweaks, at + 3 * length));
        let own = length.saturating_sub(16 * k).min(16);
        let own = ((1u64 << own) - 1) * 0x0001_0001_0001_0001;
        _mm512_maskz_mov_epi8(own, _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
    }
}

/// 16 bytes from `at` on, or zeros from the end of `bytes` on.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn bytes_from(bytes: &[u8], at: usize) -> __m128i {
    // SAFETY: the caller promises the features of `available`; only bytes of the slice are read.
    unsafe {
        if at + 16 <= bytes.len() {
            _mm_loadu_si128(bytes.as_ptr().add(at).cast())
        } else {
            // A masked load takes several times as long.
            let there = bytes.len().saturating_sub(at);
            _mm_maskz_loadu_epi8((1 << there) - 1, bytes.as_ptr().add(bytes.len() - there).cast())
        }
    }
}

/// The blocks of a round for the rows of the k-th register of a group's halves, the first round key added.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn begin_round<const LAYOUT: u8, const H: usize>(
    params: &Params512,
    states: &mut [Z; 8],
    k: usize,
    halves: &[Z; H],
    prefixes: &PrefixBlocks512,
    [parity, group]: [usize; 2],
    round: Z,
) {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        for i in 0..8 / H {
            let number = _mm512_permutex2var_epi8(halves[k], table(&params.places[i]), round);
            let at = k * (8 / H) + i;
            states[at] = _mm512_xor_si512(number, prefixes.of::<LAYOUT>(parity, 8 * group + at));
        }
    }
}

/// The end of a round for the rows of the k-th register of a group's halves, from the last round of AES on.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn end_round<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8, const H: usize>(
    schedule: &Schedule,
    changed: &mut [Z; H],
    k: usize,
    states: &[Z; 8],
    modulus: &Modulus52,
    powers: &[u64; 3],
) {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let half = changed[k];
        changed[k] = match LAYOUT {
            PACKED => {
                let y = [
                    shared_end(schedule, states[4 * k], states[4 * k + 1]),
                    shared_end(schedule, states[4 * k + 2], states[4 * k + 3]),
                ];
                packed_end::<ENCRYPT, REDUCTION>(half, y, modulus)
            }
            REVERSED => {
                let y = [
                    fold(schedule, states[4 * k], states[4 * k + 1], powers),
                    fold(schedule, states[4 * k + 2], states[4 * k + 3], powers),
                ];
                packed_end::<ENCRYPT, REDUCTION>(half, y, modulus)
            }
            EIGHT => {
                let y = shared_end(schedule, states[2 * k], states[2 * k + 1]);
                wide_end::<ENCRYPT, REDUCTION>(half, y, y, modulus)
            }
            _ => {
                let key = round_key::<Vaes512>(schedule, schedule.rounds());
                let a = _mm512_aesenclast_epi128(states[2 * k], key);
                let b = _mm512_aesenclast_epi128(states[2 * k + 1], key);
                let high = _mm512_permutex2var_epi8(a, table(&UPPER), b);
                let low = _mm512_permutex2var_epi8(a, table(&LOWER), b);
                wide_end::<ENCRYPT, REDUCTION>(half, high, low, modulus)
            }
        };
    }
}

/// The last round of eight blocks at once: of each only the first 8 bytes, as an integer.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn shared_end(schedule: &Schedule, a: Z, b: Z) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let key = Vaes512::broadcast(schedule.shared_key());
        _mm512_aesenclast_epi128(_mm512_permutex2var_epi8(a, table(&SHARED), b), key)
    }
}

/// The last round of eight blocks, and a 64-bit number that is y modulo M for each y of 128 bits: with 2^32, 2^64 and 2^96 modulo
/// M ≤ 2^30 it is at most 3·(2^32 − 1)·(2^30 − 1) + 2^32 − 1 < 2^64. (For powers of two only its lower 32 bits matter.)
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn fold(schedule: &Schedule, a: Z, b: Z, powers: &[u64; 3]) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let key = round_key::<Vaes512>(schedule, schedule.rounds());
        let (a, b) = (_mm512_aesenclast_epi128(a, key), _mm512_aesenclast_epi128(b, key));
        let low = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b);
        let high = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), b);
        let part = |x: Z, power: u64| _mm512_mul_epu32(x, _mm512_set1_epi64(power as i64));
        let sum = _mm512_maskz_mov_epi32(0x5555, low);
        let sum = _mm512_add_epi64(sum, part(_mm512_srli_epi64::<32>(low), powers[0]));
        let sum = _mm512_add_epi64(sum, part(high, powers[1]));
        _mm512_add_epi64(sum, part(_mm512_srli_epi64::<32>(high), powers[2]))
    }
}

/// changed ± y modulo M for 16 rows.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn packed_end<const ENCRYPT: bool, const REDUCTION: u8>(changed: Z, y: [Z; 2], modulus: &Modulus52) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let y = if REDUCTION == TINY {
            [brought_down(y[0], modulus), brought_down(y[1], modulus)]
        } else {
            y
        };
        // Modulo 2^32, as 4M ≤ 2^32.
        let set = |x: u64| _mm512_set1_epi32(x as i32);
        let low = lower_halves(y);
        if REDUCTION == MASK {
            let sum = if ENCRYPT {
                _mm512_add_epi32(changed, low)
            } else {
                _mm512_sub_epi32(changed, low)
            };
            return _mm512_and_si512(sum, set(modulus.m));
        }
        let q = lower_halves([
            packed_quotient::<REDUCTION>(y[0], modulus),
            packed_quotient::<REDUCTION>(y[1], modulus),
        ]);
        let product = _mm512_mullo_epi32(q, set(modulus.m));
        let lazy = _mm512_sub_epi32(low, product);
        let sum = if ENCRYPT {
            _mm512_add_epi32(changed, lazy)
        } else {
            _mm512_sub_epi32(_mm512_add_epi32(changed, set(modulus.m3)), lazy)
        };
        let sum = _mm512_min_epu32(sum, _mm512_sub_epi32(sum, set(modulus.m2)));
        _mm512_min_epu32(sum, _mm512_sub_epi32(sum, set(modulus.m)))
    }
}

/// q̂ for y, or for what it was brought down to.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn packed_quotient<const REDUCTION: u8>(y: Z, modulus: &Modulus52) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let set = |x: u64| _mm512_set1_epi64(x as i64);
        if REDUCTION == TINY {
            let t = _mm512_srl_epi64(y, _mm_cvtsi32_si128(modulus.shift as i32));
            return upper_product(t, set(modulus.nu));
        }
        debug_assert!(REDUCTION == SHORT);
        upper_product(_mm512_srli_epi64::<12>(y), set(modulus.mu))
    }
}

/// z for y, for [`ReductionIfma::Tiny`].
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn brought_down(y: Z, modulus: &Modulus52) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let upper = _mm512_mul_epu32(_mm512_srli_epi64::<32>(y), _mm512_set1_epi64(modulus.mu as i64));
        _mm512_add_epi64(upper, _mm512_maskz_mov_epi32(0x5555, y))
    }
}

/// The end of a round for 8 rows with halves of 64 bits: y is `low`, and `high` = ⌊y/2^32⌋ if it has 96 bits.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn wide_end<const ENCRYPT: bool, const REDUCTION: u8>(changed: Z, high: Z, low: Z, modulus: &Modulus52) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let set = |x: u64| _mm512_set1_epi64(x as i64);
        let m = set(modulus.m);
        let rest = |z: Z, q: Z| _mm512_sub_epi64(z, _mm512_mullo_epi64(q, m));
        let lazy = match REDUCTION {
            MASK => {
                let sum = if ENCRYPT {
                    _mm512_add_epi64(changed, low)
                } else {
                    _mm512_sub_epi64(changed, low)
                };
                return _mm512_and_si512(sum, m);
            }
            SHORT => rest(low, upper_product(_mm512_srli_epi64::<12>(low), set(modulus.mu))),
            TWICE => {
                let g = rest(high, upper_product(_mm512_srli_epi64::<12>(high), set(modulus.mu)));
                let low = _mm512_maskz_mov_epi32(0x5555, low);
                let (up, down) = (
                    _mm_cvtsi32_si128(32 - modulus.shift as i32),
                    _mm_cvtsi32_si128(modulus.shift as i32),
                );
                let t = _mm512_add_epi64(_mm512_sll_epi64(g, up), _mm512_srl_epi64(low, down));
                let z = _mm512_or_si512(_mm512_slli_epi64::<32>(g), low);
                rest(z, upper_product(t, set(modulus.nu)))
            }
            ONCE => rest(low, upper_product(_mm512_srli_epi64::<12>(high), set(modulus.mu))),
            _ => {
                let q = upper_product(_mm512_srli_epi64::<12>(high), set(modulus.mu));
                let lazy = rest(low, _mm512_srl_epi64(q, _mm_cvtsi32_si128(modulus.shift as i32)));
                let y = _mm512_min_epu64(lazy, _mm512_sub_epi64(lazy, m));
                // Sums may pass 2^64, so differences, and M where they are negative.
                let less = if ENCRYPT { _mm512_sub_epi64(m, y) } else { y };
                let negative = _mm512_cmplt_epu64_mask(changed, less);
                let rest = _mm512_sub_epi64(changed, less);
                return _mm512_mask_add_epi64(rest, negative, rest, m);
            }
        };
        let sum = if ENCRYPT {
            _mm512_add_epi64(changed, lazy)
        } else {
            _mm512_sub_epi64(_mm512_add_epi64(changed, set(modulus.m3)), lazy)
        };
        let sum = _mm512_min_epu64(sum, _mm512_sub_epi64(sum, set(modulus.m2)));
        _mm512_min_epu64(sum, _mm512_sub_epi64(sum, m))
    }
}

/// ⌊t·µ/2^52⌋ for t, µ < 2^52.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn upper_product(t: Z, mu: Z) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe { _mm512_madd52hi_epu64(_mm512_setzero_si512(), t, mu) }
}

/// The lower 32 bits of 16 numbers.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
pub(crate) unsafe fn lower_halves([a, b]: [Z; 2]) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        _mm512_permutex2var_epi32(a, even, b)
    }
}

/// A register of halves from the one at `at` on, packed if they are.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn load_halves<const LAYOUT: u8>(halves: &[u64], at: usize) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        if LAYOUT == PACKED || LAYOUT == REVERSED {
            lower_halves([load(halves, at), load(halves, at + 8)])
        } else {
            load(halves, at)
        }
    }
}

/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
unsafe fn store_halves<const LAYOUT: u8>(register: Z, halves: &mut [u64], at: usize) {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        if LAYOUT == PACKED || LAYOUT == REVERSED {
            let (low, high) = (
                _mm512_castsi512_si256(register),
                _mm512_extracti64x4_epi64::<1>(register),
            );
            store(_mm512_cvtepu32_epi64(low), halves, at);
            store(_mm512_cvtepu32_epi64(high), halves, at + 8);
        } else {
            store(register, halves, at);
        }
    }
}

/// 64 bytes from item `at` on.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
pub(crate) unsafe fn load<T: Copy>(items: &[T], at: usize) -> Z {
    let items = &items[at..][..64 / size_of::<T>()];
    // SAFETY: the caller promises the features of `available`; these are 64 bytes of integers.
    unsafe { _mm512_loadu_si512(items.as_ptr().cast()) }
}

/// 64 bytes to item `at` on.
///
/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
pub(crate) unsafe fn store(z: Z, items: &mut [u64], at: usize) {
    let items = &mut items[at..][..8];
    // SAFETY: the caller promises the features of `available`; these are 64 bytes of integers.
    unsafe { _mm512_storeu_si512(items.as_mut_ptr().cast(), z) }
}

/// # Safety
///
/// The processor has the features of [`available`].
#[inline(always)]
pub(crate) unsafe fn table(bytes: &Table) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe { load(&bytes.0, 0) }
}

/// Fills a table with an expression of the block and the byte in it.
macro_rules! table {
    (|$block:ident, $p:ident| $index:expr) => {{
        let mut bytes = [0; 64];
        let mut at = 0;
        while at < 64 {
            let ($block, $p) = (at / 16, at % 16);
            bytes[at] = $index as u8;
            at += 1;
        }
        Table(bytes)
    }};
}

/// Each block as it is.
const SAME: Table = table!(|_block, p| p);

/// Each block last byte first.
const REVERSE: Table = table!(|_block, p| 15 - p);

/// Of eight blocks in two registers, the first 8 bytes as integers.
const UPPER: Table = table!(|block, p| 16 * (2 * block + p / 8) + 7 - p % 8);

/// Of eight blocks in two registers, bytes 4 to 11 as integers.
const LOWER: Table = table!(|block, p| 16 * (2 * block + p / 8) + 11 - p % 8);

/// Where ShiftRows takes byte `p` of a block from.
const fn shifted(p: usize) -> usize {
    let (row, column) = (p % 4, p / 4);
    row + 4 * ((column + row) % 4)
}

/// Of eight blocks in two registers, what the last round turns into [`UPPER`].
const SHARED: Table = {
    let mut bytes = [0; 64];
    let mut at = 0;
    while at < 64 {
        let (block, p) = (at / 16, at % 16);
        // Byte p of the result is byte 7 − p % 8 of its block's last state.
        bytes[16 * block + shifted(p)] = (16 * (2 * block + p / 8) + shifted(7 - p % 8)) as u8;
        at += 1;
    }
    Table(bytes)
};
