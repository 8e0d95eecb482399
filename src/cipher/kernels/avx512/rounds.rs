//! All rounds in AVX-512: VAES for the cipher, IFMA for the remainders, VBMI to bring bytes to their places.
//!
//! 64 rows go through the rounds together, as two groups x and y of 32. Each group fills the AES units by itself;
//! while one group's blocks go through AES, the other group's round ends and its next one begins:
//!
//! ```text
//! for each round, for (running, other) in [(y, x), (x, y)]:
//!     for r in 1 … 9:
//!         running ← aesenc(running, key[r])                       8 registers, 4 blocks each
//!         at some r, for the k-th register of the other group's halves:
//!             y ← aesenclast(other)                               the end of a round
//!             half[k] ← half[k] ± y mod M
//!         at some later r:
//!             other ← prefix ⊕ bytes of (half[k], round number)   the begin of the next
//! ```
//!
//! The two are written in turns, and the processor, which looks some 300 instructions ahead, overlaps them: AES
//! keeps two ports busy, the arithmetic the others.
//!
//! Registers, of 32: 16 hold blocks (8 a group). Halves of 32 bits take 8 more (two of the left and two of the
//! right ones of each group, 16 rows each), which leaves 8 for the round key, the round number, M, µ and
//! temporaries. Halves of 64 bits take 16, so that some of the group that is in AES wait in memory. Tables of bytes
//! come from the first-level cache.
//!
//! Two blocks share the last round of AES where FF1's y has 8 bytes: SubBytes works byte by byte and ShiftRows is a
//! fixed permutation, so the bytes that end in y can be brought together before it, in the order in which they are
//! wanted, if the last round key is permuted likewise. That is half of all last rounds, and the permutation is needed
//! anyway.
//!
//! Only the functions that are called from outside are compiled for the processor's features. The functions they
//! are made of must be inlined, which Rust promises only for functions without features of their own: hence these
//! are `unsafe`. As safe functions with features they are inlined, too, but other instructions come of it.

use std::arch::x86_64::*;

use cipherform_simd::table::ByteTable;

use crate::arith::reduce_ifma::{Modulus52, ReductionIfma};
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;
use crate::kernels::aes::{
    AesUnit, Vaes512, aes_inner_rounds, aes_last_round, aes_long_key_rounds, aes_round, round_key,
};
use crate::kernels::avx512::params::{EIGHT, Layout512, PACKED, Params512, REVERSED, available};
use crate::kernels::avx512::prefixes::PrefixBlocks512;
use crate::kernels::avx512::registers::{Z, lower_halves, table};
use crate::kernels::avx512::remainders::{fold, packed_end, wide_end};
use crate::kernels::schedule::Schedule;
use crate::spec::types::Direction;

use crate::kernels::avx512::registers::{byte_table, load, store};

/// Takes 64 rows through all rounds.
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
    // A function for each layout, reduction and direction: in its loops nothing is asked about the shape.
    // Combinations that never occur share an arm with one that does.
    macro_rules! rounds {
        ($layout:ident, $reduction:ident, $registers:literal) => {{
            const LAYOUT: u8 = $layout as u8;
            const REDUCTION: u8 = $reduction as u8;
            match direction {
                Direction::Encrypt => rounds_in_memory::<true, LAYOUT, REDUCTION, $registers>,
                Direction::Decrypt => rounds_in_memory::<false, LAYOUT, REDUCTION, $registers>,
            }
        }};
    }
    let rounds: unsafe fn(&Schedule, &Params512, &Prefixes, [&mut [u64; LANES]; 2]) =
        match (params.layout, params.reduction) {
            (Packed, Mask) => rounds!(Packed, Mask, 2),
            (Packed, Tiny) => rounds!(Packed, Tiny, 2),
            (Packed, _) => rounds!(Packed, Short, 2),
            (PackedReversed, Mask) => rounds!(PackedReversed, Mask, 2),
            (PackedReversed, Tiny) => rounds!(PackedReversed, Tiny, 2),
            (PackedReversed, _) => rounds!(PackedReversed, Short, 2),
            // Eight is what d = 8 leaves where halves are not packed: M between 2^30 and 2^32, and no power of two.
            // The shorter half is above 2^30/2^16, so that `Short` takes both.
            (Eight, _) => rounds!(Eight, Short, 4),
            (Twelve, Mask) => rounds!(Twelve, Mask, 4),
            (Twelve, Twice) => rounds!(Twelve, Twice, 4),
            (Twelve, Once) => rounds!(Twelve, Once, 4),
            (Twelve, _) => rounds!(Twelve, Wide, 4),
        };
    assert!(available(), "this kernel was chosen on another processor");
    // SAFETY: `available` has found the features.
    unsafe { rounds(schedule, params, prefixes, [left, right]) }
}

/// AES alone, on blocks that stay in registers: `blocks` of them, rounded down to a multiple of 64.
pub(crate) fn aes_alone(schedule: &Schedule, blocks: u64) -> u64 {
    assert!(available(), "this kernel was chosen on another processor");
    // SAFETY: `available` has found the features.
    unsafe { aes_in_registers(schedule, blocks) }
}

#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn aes_in_registers(schedule: &Schedule, blocks: u64) -> u64 {
    // SAFETY: this function is compiled for the features they need.
    unsafe {
        // 16 registers of blocks, as many as the rounds hold.
        let mut states = [round_key::<Vaes512>(schedule, 0); 16];
        for (k, state) in states.iter_mut().enumerate() {
            // All different, or the compiler could compute one of them and copy it.
            *state = _mm512_add_epi64(*state, _mm512_set1_epi64(k as i64));
        }
        for _ in 0..blocks / 64 {
            aes_inner_rounds::<Vaes512>(schedule, &mut states);
            aes_last_round::<Vaes512>(round_key::<Vaes512>(schedule, schedule.rounds()), &mut states);
        }
        states
            .iter()
            // What is returned depends on every block, or some of the work could be left out.
            .fold(0, |sum, state| sum ^ _mm512_reduce_add_epi64(*state) as u64)
    }
}

/// Keeps the compiler from moving what comes after this to before what made these two registers, and the other way
/// round. Left to itself it may bring the arithmetic together, and the processor does not look far enough ahead to
/// take it apart again.
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

/// A source of halves, to which they go back. A group's halves take H registers each.
pub(crate) trait HalvesIo512<const H: usize> {
    /// The k-th registers of the left and the right halves of a group.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx512::params::available).
    unsafe fn load(&mut self, group: usize, k: usize) -> [Z; 2];

    /// Takes them back.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx512::params::available).
    unsafe fn store(&mut self, group: usize, k: usize, halves: [Z; 2]);
}

/// Halves in memory.
struct MemoryHalves512<'a, const LAYOUT: u8>([&'a mut [u64; LANES]; 2]);

impl<const LAYOUT: u8, const H: usize> HalvesIo512<H> for MemoryHalves512<'_, LAYOUT> {
    #[inline(always)]
    unsafe fn load(&mut self, group: usize, k: usize) -> [Z; 2] {
        let [left, right] = &self.0;
        // A group has 32 rows, a register of its halves 32/H of them.
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
fn rounds_in_memory<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8, const H: usize>(
    schedule: &Schedule,
    params: &Params512,
    prefixes: &Prefixes,
    halves: [&mut [u64; LANES]; 2],
) {
    // SAFETY: this function is compiled for the features of `available`.
    unsafe {
        // 2 KiB on this function's stack, which the rounds read from the first-level cache.
        let prefixes = PrefixBlocks512::new::<LAYOUT>(schedule, prefixes);
        rounds::<ENCRYPT, LAYOUT, REDUCTION, H>(schedule, params, &prefixes, &mut MemoryHalves512::<LAYOUT>(halves));
    }
}

/// The rounds of one group's AES after which a round of the other group ends, and its next one begins, for the k-th
/// registers of its halves.
///
/// The steps are spread, so that those of one register, each of which waits for the one before it, do not fill the
/// processor's schedulers, where the blocks would find no place.
const fn steps<const H: usize>() -> ([usize; 4], [usize; 4]) {
    match H {
        // begins_at[k] > ends_at[k], always: the next blocks of a register of halves hold what the end of the round
        // has made of it, and they overwrite the states that it reads. The distance, three to five rounds of AES of
        // eight cycles each, covers the arithmetic, which is a chain of some thirty cycles.
        2 => ([2, 5, 0, 0], [7, 9, 0, 0]),
        _ => ([1, 2, 4, 6], [5, 7, 8, 9]),
    }
}

/// A register with the number of a round in byte 1, and zero in byte 0, for `places`.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn round_number<const ENCRYPT: bool>(step: u8, last: u8) -> Z {
    let i = if ENCRYPT { step } else { last - step };
    // Byte 0 is zero and byte 1 is i, so that one register serves as the source of all padding and of [i] (FF1 step
    // 6.i) or W ⊕ [i]^4 (FF3-1 step 4.ii).
    // SAFETY: the caller promises the features of `available`.
    unsafe { _mm512_set1_epi32(i32::from(i) << 8) }
}

/// Takes two groups, x and y, of 32 rows, whose halves take H registers each, through all rounds.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi,vaes")]
pub(crate) fn rounds<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8, const H: usize>(
    schedule: &Schedule,
    params: &Params512,
    prefixes: &PrefixBlocks512,
    ends: &mut impl HalvesIo512<H>,
) {
    // SAFETY: this function is compiled for the features of `available`.
    unsafe {
        // Rounds change one half and then the other: the left one first when encrypting.
        let parities: [usize; 2] = if ENCRYPT { [0, 1] } else { [1, 0] };
        // By the order of the rounds and not by left and right: a half is "first" if the first round changes it. So
        // the code below is one for both directions, and decryption differs in constants alone.
        let moduli = parities.map(|parity| &params.moduli[parity]);
        let powers = parities.map(|parity| &params.powers[parity]);
        let last = params.rounds - 1;

        // Constants after inlining: the comparisons with r in `turn` are decided by the compiler.
        let (ends_at, begins_at) = steps::<H>();
        let zero = _mm512_setzero_si512();
        // 8 registers of 4 blocks a group: all 32 rows. Arrays whose indices are all constants can be kept in
        // registers.
        let (mut x, mut y) = ([zero; 8], [zero; 8]);
        let (mut first_x, mut second_x, mut first_y, mut second_y) = ([zero; H], [zero; H], [zero; H], [zero; H]);
        // Macros, for the reason given in `remainders`: everything below is to be one straight piece of code that
        // the compiler may not put into calls.
        macro_rules! load {
            ($group:literal, $first:ident, $second:ident, $states:ident) => {{
                for k in 0..H {
                    // No swap of halves after a round: A ← B, B ← C of the standard is a renaming, and here the
                    // names alternate.
                    let [left, right] = ends.load($group, k);
                    ($first[k], $second[k]) = if ENCRYPT { (left, right) } else { (right, left) };
                }
                // Round 0, or the last one when decrypting.
                let number = round_number::<ENCRYPT>(0, last);
                for k in 0..H {
                    let place = [parities[0], $group, k];
                    begin_round::<LAYOUT, H>(params, &mut $states, &$second, prefixes, place, number);
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
                // The last round changes the second half alone. First all ends, which are independent of one
                // another, then the stores.
                for k in 0..H {
                    end!($states, 1, $second, k);
                }
                for k in 0..H {
                    // The number of rounds is even (10 or 8), so that the halves end where they began.
                    let (first, second) = ($first[k], $second[k]);
                    ends.store($group, k, if ENCRYPT { [first, second] } else { [second, first] });
                }
            }};
        }
        // The AES of one group, and between its rounds, register by register: the end of a round of the other
        // group, which changes a half, and the start of its next, whose blocks hold what was changed.
        macro_rules! turn {
            ($running:ident, $ending:ident, $group:literal, $half:literal, $changed:ident, $step:expr) => {{
                let next = round_number::<ENCRYPT>($step, last);
                for r in 1..10 {
                    // Eight independent `aesenc` of one round: the next round waits for the first of these only,
                    // which is done when the eighth starts.
                    aes_round::<Vaes512>(schedule, r, &mut $running);
                    for k in 0..H {
                        if r == ends_at[k] {
                            end!($ending, $half, $changed, k);
                            // After the last block of this round and the changed half: what is written before stays
                            // before, what is after stays after. So the arithmetic keeps its place between two
                            // rounds of AES.
                            in_order!($running[7], $changed[k]);
                        }
                        if r == begins_at[k] {
                            let place = [parities[1 - $half], $group, k];
                            begin_round::<LAYOUT, H>(params, &mut $ending, &$changed, prefixes, place, next);
                        }
                    }
                }
                // Not in the loop: its nine rounds are the same for all keys, and these are behind one
                // well-predicted branch.
                aes_long_key_rounds::<Vaes512>(schedule, &mut $running);
            }};
        }

        // While the first blocks of x are in AES, y is read; while the last ones of y are, x is written.
        load!(0, first_x, second_x, x);
        load!(1, first_y, second_y, y);
        aes_inner_rounds::<Vaes512>(schedule, &mut x);
        let mut step = 0;
        // Two rounds a pass, as they change different halves, and different registers need different code. `step`
        // is the number of the round in the order of the direction.
        loop {
            turn!(y, x, 0, 0, first_x, step + 1);
            turn!(x, y, 1, 0, first_y, step + 1);
            step += 2;
            // In the middle of the pass: the last round of each group ends in `store`, with nothing after it to
            // begin.
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

/// The blocks of a round for the rows of the k-th register of a group's halves, the first round key added.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn begin_round<const LAYOUT: u8, const H: usize>(
    params: &Params512,
    states: &mut [Z; 8],
    halves: &[Z; H],
    prefixes: &PrefixBlocks512,
    [parity, group, k]: [usize; 3],
    round: Z,
) {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        for i in 0..8 / H {
            // One permutation brings NUM(B) to the right end of each block, the round number before it, and zeros
            // elsewhere.
            let number = _mm512_permutex2var_epi8(halves[k], table(&params.places[i]), round);
            // Register k of the halves fills 8/H registers of blocks: four for 16 packed halves, two for 8 wide
            // ones.
            let at = k * (8 / H) + i;
            states[at] = _mm512_xor_si512(number, prefixes.of::<LAYOUT>(parity, 8 * group + at));
        }
    }
}

/// The end of a round for the rows of the k-th register of a group's halves, from the last round of AES on.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
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
        // LAYOUT is a constant: one arm is left of this match.
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
                // y < 2^64 is `low` alone; `high` is for y of 96 bits, and `Short` does not look at it.
                let y = shared_end(schedule, states[2 * k], states[2 * k + 1]);
                wide_end::<ENCRYPT, REDUCTION>(half, y, y, modulus)
            }
            _ => {
                let key = round_key::<Vaes512>(schedule, schedule.rounds());
                // 12 of 16 bytes of each block are wanted, so that two blocks do not fit one: the last round is not
                // shared.
                let a = _mm512_aesenclast_epi128(states[2 * k], key);
                let b = _mm512_aesenclast_epi128(states[2 * k + 1], key);
                // 12 bytes do not fit a lane: bytes 0 to 7 are ⌊y/2^32⌋, bytes 4 to 11 are y mod 2^64.
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
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn shared_end(schedule: &Schedule, a: Z, b: Z) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // SubBytes and the addition of the key work byte by byte, and the last round has no MixColumns: a byte of
        // the result depends on one byte of the state. So the bytes of y from two blocks go through one
        // `aesenclast` together, with the key's bytes in their order. Half of the last rounds are saved, and the
        // bytes come out as integers, which needs a permutation in any case.
        let key = Vaes512::broadcast(schedule.shared_key());
        _mm512_aesenclast_epi128(_mm512_permutex2var_epi8(a, table(&SHARED), b), key)
    }
}

/// A register of halves from the one at `at` on, packed if they are.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
#[inline(always)]
unsafe fn load_halves<const LAYOUT: u8>(halves: &[u64], at: usize) -> Z {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        if LAYOUT == PACKED || LAYOUT == REVERSED {
            // Packed halves are below 2^32: the upper halves of their words are zeros, and nothing is lost.
            lower_halves([load(halves, at), load(halves, at + 8)])
        } else {
            load(halves, at)
        }
    }
}

/// Stores a register of halves from the one at `at` on, unpacked if they are packed.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx512::params::available).
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

/// Of eight blocks in two registers, the first 8 bytes as integers.
const UPPER: ByteTable = byte_table!(|block, p| 16 * (2 * block + p / 8) + 7 - p % 8);

/// Of eight blocks in two registers, bytes 4 to 11 as integers.
const LOWER: ByteTable = byte_table!(|block, p| 16 * (2 * block + p / 8) + 11 - p % 8);

/// The byte of a block that ShiftRows moves to `p`.
const fn shifted(p: usize) -> usize {
    // FIPS 197, section 5.1.2: the state is filled column by column, and row r moves left by r columns.
    let (row, column) = (p % 4, p / 4);
    row + 4 * ((column + row) % 4)
}

/// Of eight blocks in two registers, what the last round turns into [`UPPER`].
const SHARED: ByteTable = {
    let mut bytes = [0; 64];
    let mut at = 0;
    while at < 64 {
        let (block, p) = (at / 16, at % 16);
        // Byte p of the result is byte 7 − p % 8 of its block's last state.
        // The permutation puts it at shifted(p), whence ShiftRows brings it to p, and takes it from shifted(7 − p %
        // 8), whence ShiftRows would have brought it in a block of its own.
        bytes[16 * block + shifted(p)] = (16 * (2 * block + p / 8) + shifted(7 - p % 8)) as u8;
        at += 1;
    }
    ByteTable(bytes)
};
