//! All rounds in AVX2: VAES or AES-NI for the cipher, quotients in double precision for the remainders.
//!
//! Rows go through the rounds in two *groups*, x and y, of 16 rows with VAES and of 8 without. While one group's
//! blocks go through AES, the other group's round ends: the two are written in turns, and the processor overlaps
//! them.
//!
//! ```text
//! for each round, for (running, other) in [(y, x), (x, y)]:
//!     blocks ← prefix ⊕ bytes of (running half, round number)     8 registers, 2 blocks each
//!     blocks ← aesenc(blocks, key[1])
//!     for the k-th register of the other group's halves:
//!         blocks ← aesenc(blocks, key[2 + k])
//!         half[k] ← half[k] ± y[k] mod M                          the end of a round
//!     blocks ← aesenc(blocks, key[r]) for the other r
//!     y ← aesenclast(blocks), the bytes that y needs alone        4 registers
//! ```
//!
//! Registers, of 16: the running group's blocks take eight. So a turn begins with making its blocks from the
//! halves, and it ends with the last round of AES, of which it leaves only the bytes of y, in half as many
//! registers. That leaves eight for the round key and the arithmetic of the other group; halves and y of the group
//! that is not in work wait in memory.
//!
//! When a group has gone through all rounds, its rows are written and others read in the midst of the other group's
//! turn: many rows fill and drain the two groups once.
//!
//! A register of halves holds those of 8 rows, in 32 bits each, four in each of its two lanes. Everything but
//! reading and writing stays in its lane: the blocks of the i-th row of each lane share a register, and so on.
//!
//! Functions that depend on the [`AesUnit`] are `unsafe` and always inlined: its features are no part of their
//! type. All others are safe functions with features, which the compiler inlines by itself.

#![expect(
    clippy::needless_range_loop,
    reason = "an index says which rows a register holds, not only where it stands"
)]

use std::arch::x86_64::*;

use crate::arith::reduce_fma::ReductionFma;
use crate::batch::chunk::Lanes;
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;
use crate::kernels::aes::{
    AesNi256, AesUnit, Vaes256, aes_inner_rounds, aes_last_round, aes_long_key_rounds, aes_round, round_key,
};
use crate::kernels::avx2::params::{EIGHT, Layout256, MASK, Params256, available};
use crate::kernels::avx2::prefixes::PrefixBlocks256;
use crate::kernels::avx2::registers::{ROWS, Y, broadcast, load_halves, store_halves};
use crate::kernels::avx2::remainders::{end_round, fold};
use crate::kernels::schedule::Schedule;
use crate::spec::types::Direction;

use crate::kernels::avx2::params::widest;

/// Gives `$run` the layout and the reduction of `$params`, as constants.
macro_rules! by_shape {
    ($params:expr, $run:ident) => {{
        use Layout256::{Eight, Reversed};
        use ReductionFma::{Mask, Short, Signed, Tiny};
        match ($params.layout, $params.reduction) {
            (Eight, Mask) => $run!(Eight, Mask),
            (Eight, Tiny) => $run!(Eight, Tiny),
            (Eight, Short) => $run!(Eight, Short),
            (Eight, Signed) => $run!(Eight, Signed),
            (Reversed, Mask) => $run!(Reversed, Mask),
            (Reversed, Tiny) => $run!(Reversed, Tiny),
            (Reversed, _) => $run!(Reversed, Short),
        }
    }};
}

/// Takes a group of rows through all rounds.
pub(crate) fn run_lanes(schedule: &Schedule, params: &Params256, direction: Direction, group: &mut Lanes<'_, u64>) {
    // A parameter of the function, too: with shared prefixes one register serves all blocks, and the loads and
    // exclusive ors of rows fall away.
    let per_row = matches!(group.prefixes, Prefixes::PerRow(_));
    macro_rules! rounds {
        ($layout:ident, $reduction:ident) => {{
            const LAYOUT: u8 = $layout as u8;
            const REDUCTION: u8 = $reduction as u8;
            // SAFETY: `available` has found the features.
            unsafe {
                widest!(
                    params,
                    match (direction, per_row) {
                        (Direction::Encrypt, false) =>
                            rounds_vaes::<true, false, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Encrypt, true) =>
                            rounds_vaes::<true, true, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Decrypt, false) =>
                            rounds_vaes::<false, false, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Decrypt, true) =>
                            rounds_vaes::<false, true, LAYOUT, REDUCTION>(schedule, params, group),
                    },
                    match (direction, per_row) {
                        (Direction::Encrypt, false) =>
                            rounds_aes::<true, false, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Encrypt, true) =>
                            rounds_aes::<true, true, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Decrypt, false) =>
                            rounds_aes::<false, false, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Decrypt, true) =>
                            rounds_aes::<false, true, LAYOUT, REDUCTION>(schedule, params, group),
                    }
                )
            }
        }};
    }
    by_shape!(params, rounds)
}

/// AES alone, on blocks that stay in registers: `blocks` of them, rounded down to a multiple of 64.
pub(crate) fn aes_alone(schedule: &Schedule, blocks: u64) -> u64 {
    assert!(available(), "this kernel was chosen on another processor");
    // SAFETY: `available` has found the features.
    unsafe {
        if is_x86_feature_detected!("vaes") {
            aes_alone_vaes(schedule, blocks)
        } else {
            aes_alone_aes(schedule, blocks)
        }
    }
}

#[target_feature(enable = "avx2,aes,vaes")]
fn aes_alone_vaes(schedule: &Schedule, blocks: u64) -> u64 {
    // SAFETY: this function is compiled for the features of the unit and of `available`.
    unsafe { aes_in_registers::<Vaes256, 2>(schedule, blocks) }
}

#[target_feature(enable = "avx2,aes")]
fn aes_alone_aes(schedule: &Schedule, blocks: u64) -> u64 {
    // SAFETY: this function is compiled for the features of the unit and of `available`.
    unsafe { aes_in_registers::<AesNi256, 1>(schedule, blocks) }
}

/// AES alone, with one unit.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx2::params::available) and of `U`.
#[inline(always)]
unsafe fn aes_in_registers<U: AesUnit<Register = Y>, const H: usize>(schedule: &Schedule, blocks: u64) -> u64 {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // As many blocks in flight as the rounds have: eight registers with VAES; without, four, which are eight of
        // 128 bits.
        let mut states = [[round_key::<U>(schedule, 0); 4]; H];
        for (k, state) in states.as_flattened_mut().iter_mut().enumerate() {
            // All different, or the compiler could compute one of them and copy it.
            *state = _mm256_add_epi64(*state, _mm256_set1_epi64x(k as i64));
        }
        for _ in 0..blocks / 64 * (8 / H as u64) {
            aes_inner_rounds::<U>(schedule, states.as_flattened_mut());
            aes_last_round::<U>(round_key::<U>(schedule, schedule.rounds()), states.as_flattened_mut());
        }
        let mut sum = _mm256_setzero_si256();
        for state in states.as_flattened() {
            sum = _mm256_xor_si256(sum, *state);
        }
        (_mm256_extract_epi64::<0>(sum) ^ _mm256_extract_epi64::<2>(sum)) as u64
    }
}

/// A source of halves, group by group, to which they go back.
pub(crate) trait HalvesIo256<const H: usize> {
    /// The left and the right halves of a group.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx2::params::available).
    unsafe fn load(&mut self, group: usize) -> [[Y; H]; 2];

    /// Takes them back: those of one group after the other.
    ///
    /// # Safety
    ///
    /// The processor has the features of [`available`](crate::kernels::avx2::params::available).
    unsafe fn store(&mut self, group: usize, halves: [[Y; H]; 2]);
}

/// Halves in memory.
struct MemoryHalves256<'a>([&'a mut [u64; LANES]; 2]);

impl<const H: usize> HalvesIo256<H> for MemoryHalves256<'_> {
    #[inline(always)]
    unsafe fn load(&mut self, group: usize) -> [[Y; H]; 2] {
        let [left, right] = &self.0;
        // SAFETY: the caller promises the features of `available`.
        unsafe {
            let mut halves = [[_mm256_setzero_si256(); H]; 2];
            for k in 0..H {
                // Groups stand one after the other, each of H registers of 8 rows.
                let at = ROWS * (H * group + k);
                halves[0][k] = load_halves(left, at);
                halves[1][k] = load_halves(right, at);
            }
            halves
        }
    }

    #[inline(always)]
    unsafe fn store(&mut self, group: usize, [lefts, rights]: [[Y; H]; 2]) {
        let [left, right] = &mut self.0;
        for k in 0..H {
            let at = ROWS * (H * group + k);
            // SAFETY: the caller promises the features of `available`.
            unsafe {
                store_halves(lefts[k], left, at);
                store_halves(rights[k], right, at);
            }
        }
    }
}

#[target_feature(enable = "avx2,fma,aes,vaes")]
fn rounds_vaes<const ENCRYPT: bool, const PER_ROW: bool, const LAYOUT: u8, const REDUCTION: u8>(
    schedule: &Schedule,
    params: &Params256,
    group: &mut Lanes<'_, u64>,
) {
    // SAFETY: this function is compiled for the features of the unit and of `available`.
    unsafe { rounds_in_memory::<Vaes256, ENCRYPT, PER_ROW, LAYOUT, REDUCTION, 2>(schedule, params, group) }
}

#[target_feature(enable = "avx2,fma,aes")]
fn rounds_aes<const ENCRYPT: bool, const PER_ROW: bool, const LAYOUT: u8, const REDUCTION: u8>(
    schedule: &Schedule,
    params: &Params256,
    group: &mut Lanes<'_, u64>,
) {
    // SAFETY: this function is compiled for the features of the unit and of `available`.
    unsafe { rounds_in_memory::<AesNi256, ENCRYPT, PER_ROW, LAYOUT, REDUCTION, 1>(schedule, params, group) }
}

/// Takes rows whose halves are in memory through all rounds, with one unit.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx2::params::available) and of `U`.
#[inline(always)]
unsafe fn rounds_in_memory<
    U: AesUnit<Register = Y>,
    const ENCRYPT: bool,
    const PER_ROW: bool,
    const LAYOUT: u8,
    const REDUCTION: u8,
    const H: usize,
>(
    schedule: &Schedule,
    params: &Params256,
    group: &mut Lanes<'_, u64>,
) {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        let prefixes = PrefixBlocks256::<{ LANES / 16 }>::new::<LAYOUT>(schedule, group.prefixes);
        // Whole pairs of groups. A shape's lanes beyond the rows hold valid halves; 64 lanes are whole pairs for
        // either H.
        let pairs = group.rows.div_ceil(2 * ROWS * H);
        let mut ends = MemoryHalves256([group.left, group.right]);
        rounds::<U, ENCRYPT, PER_ROW, LAYOUT, REDUCTION, H, { LANES / 16 }>(
            schedule, params, &prefixes, pairs, &mut ends,
        );
    }
}

/// The halves in the order in which rounds change them, and the other way round.
#[inline(always)]
fn in_order<const ENCRYPT: bool, const H: usize>([left, right]: [[Y; H]; 2]) -> [[Y; H]; 2] {
    if ENCRYPT { [left, right] } else { [right, left] }
}

/// Takes `pairs` pairs of groups through all rounds. With VAES the halves of a group take two registers, H;
/// without it its blocks take eight registers even if H is one.
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx2::params::available) and of `U`.
/// There is at least one pair, and `ends` has as many.
#[inline(always)]
pub(crate) unsafe fn rounds<
    U: AesUnit<Register = Y>,
    const ENCRYPT: bool,
    const PER_ROW: bool,
    const LAYOUT: u8,
    const REDUCTION: u8,
    const H: usize,
    const SIXTEENS: usize,
>(
    schedule: &Schedule,
    params: &Params256,
    prefixes: &PrefixBlocks256<SIXTEENS>,
    pairs: usize,
    ends: &mut impl HalvesIo256<H>,
) {
    debug_assert!(pairs > 0);
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // Rounds change one half and then the other: the left one first when encrypting.
        let parities: [usize; 2] = if ENCRYPT { [0, 1] } else { [1, 0] };
        // "First" is the half that the first round changes, so that both directions share the code below;
        // decryption differs in constants.
        let moduli = parities.map(|parity| &params.moduli[parity]);
        let powers = parities.map(|parity| &params.powers[parity]);
        let last = params.rounds - 1;
        let mut pair = 0;
        // The first reading has nothing to overlap with; all others happen in the midst of a turn.
        let [mut first_x, mut second_x] = in_order::<ENCRYPT, H>(ends.load(0));
        let [mut first_y, mut second_y] = in_order::<ENCRYPT, H>(ends.load(1));

        // The blocks of a group for a round, from the half that this leaves as it is.
        macro_rules! begin {
            ($group:literal, $half:literal, $fixed:ident, $step:expr) => {{
                // [i] of FF1 step 6.i, or the i of W ⊕ [i]^4 in FF3-1 step 4.ii: rounds go from the last to the
                // first when decrypting.
                let number = broadcast(&params.numbers[if ENCRYPT { $step } else { last - $step }]);
                begin_round::<PER_ROW, LAYOUT, H, SIXTEENS>(
                    &$fixed,
                    prefixes,
                    parities[$half],
                    2 * pair + $group,
                    number,
                )
            }};
        }
        // These through AES and, in the midst of that, register by register, the end of a round of the other group,
        // which changes a half; then `$between`. Of the blocks only what makes y is left.
        macro_rules! turn {
            (
                $group:literal, $half:literal, $fixed:ident, $step:expr,
                $ending:literal, $changed:ident, $y:ident, $between:block
            ) => {{
                // Blocks are made right before their AES and not a turn earlier: there are 16 registers, and two
                // groups of blocks would take all of them.
                let mut states = begin!($group, $half, $fixed, $step);
                // One round of AES first: the arithmetic then fills the cycles in which it waits for its results.
                aes_round::<U>(schedule, 1, states.as_flattened_mut());
                for k in 0..H {
                    // Register by register between rounds, so that the arithmetic does not hold its temporaries for
                    // both at once.
                    aes_round::<U>(schedule, 2 + k, states.as_flattened_mut());
                    $changed[k] = end_round::<ENCRYPT, LAYOUT, REDUCTION>($changed[k], $y[k], moduli[$ending]);
                }
                $between
                // Rounds 1 to 1 + H are done. The arithmetic before these does not hold them up: they do not depend
                // on it, and the processor starts them out of order.
                for r in 2 + H..10 {
                    aes_round::<U>(schedule, r, states.as_flattened_mut());
                }
                aes_long_key_rounds::<U>(schedule, states.as_flattened_mut());
                // The turn's value is y of the running group: half as many registers as its blocks.
                last_round::<U, LAYOUT, REDUCTION, H>(schedule, &states, powers[$half])
            }};
        }
        // x alone, to start with: y's first turn then ends x's first round.
        let mut states = begin!(0, 0, second_x, 0);
        aes_inner_rounds::<U>(schedule, states.as_flattened_mut());
        let mut y_of_x = last_round::<U, LAYOUT, REDUCTION, H>(schedule, &states, powers[0]);
        loop {
            let mut step = 0;
            let mut y_of_y;
            loop {
                // y encrypts its blocks of a round while x ends the same round; then x begins the next one while y
                // ends this one.
                y_of_y = turn!(1, 0, second_y, step, 0, first_x, y_of_x, {});
                y_of_x = turn!(0, 1, first_x, step + 1, 0, first_y, y_of_y, {});
                // The number of rounds is even, so that the last one changes the second half: the pass is left in
                // its middle.
                if step + 1 == last {
                    break;
                }
                y_of_y = turn!(1, 1, first_y, step + 1, 1, second_x, y_of_x, {});
                y_of_x = turn!(0, 0, second_x, step + 2, 1, second_y, y_of_y, {});
                step += 2;
            }
            let (x, y) = (2 * pair, 2 * pair + 1);
            // Rows are written and read while y's last blocks are in AES, so that the AES units have work between
            // pairs, too.
            let more = pair + 1 < pairs;
            y_of_y = turn!(1, 1, first_y, last, 1, second_x, y_of_x, {
                ends.store(x, in_order::<ENCRYPT, H>([first_x, second_x]));
                if more {
                    [first_x, second_x] = in_order::<ENCRYPT, H>(ends.load(x + 2));
                }
            });
            pair += 1;
            // The very last end of a round: there is no other group left to run beside it.
            if !more {
                for k in 0..H {
                    second_y[k] = end_round::<ENCRYPT, LAYOUT, REDUCTION>(second_y[k], y_of_y[k], moduli[1]);
                }
                ends.store(y, in_order::<ENCRYPT, H>([first_y, second_y]));
                return;
            }
            // The first round of the next x runs beside the last end of this y.
            y_of_x = turn!(0, 0, second_x, 0, 1, second_y, y_of_y, {
                ends.store(y, in_order::<ENCRYPT, H>([first_y, second_y]));
                [first_y, second_y] = in_order::<ENCRYPT, H>(ends.load(y + 2));
            });
        }
    }
}

/// The blocks of a round for a group's rows, the first round key added.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn begin_round<const PER_ROW: bool, const LAYOUT: u8, const H: usize, const SIXTEENS: usize>(
    halves: &[Y; H],
    prefixes: &PrefixBlocks256<SIXTEENS>,
    parity: usize,
    group: usize,
    number: Y,
) -> [[Y; 4]; H] {
    // Indices are constants but for the group: no address depends on a value.
    let blocks = &prefixes.blocks[if LAYOUT == EIGHT { 0 } else { parity }];
    let shared = _mm256_xor_si256(blocks[0][0], number);
    let mut states = [[shared; 4]; H];
    for k in 0..H {
        for i in 0..4 {
            // Shuffles of bytes stay within lanes, hence the order of rows; an index of 0x80 makes a zero, where
            // prefix and number show.
            let place = broadcast(if LAYOUT == EIGHT { &LAST_FOUR[i] } else { &FIRST_FOUR[i] });
            let half = _mm256_shuffle_epi8(halves[k], place);
            if PER_ROW {
                states[k][i] = _mm256_xor_si256(blocks.as_flattened()[4 * (H * group + k) + i], number);
            }
            states[k][i] = _mm256_xor_si256(states[k][i], half);
        }
    }
    states
}

/// The source of each byte of a block whose last four are the i-th half of a lane, most significant first.
const LAST_FOUR: [[u8; 16]; 4] = {
    let mut places = [[0x80; 16]; 4];
    let mut at = 0;
    while at < 16 {
        places[at / 4][15 - at % 4] = at as u8;
        at += 1;
    }
    places
};

/// The first four are, least significant first.
const FIRST_FOUR: [[u8; 16]; 4] = {
    let mut places = [[0x80; 16]; 4];
    let mut at = 0;
    while at < 16 {
        places[at / 4][at % 4] = at as u8;
        at += 1;
    }
    places
};

/// The last round of AES: of a group's blocks the bytes of y alone. Two registers have the first 8 bytes of the
/// blocks of 8 rows, as they are; or, for FF3, a number of 64 bits that is y modulo M (see `fold`).
///
/// # Safety
///
/// The processor has the features of [`available`](crate::kernels::avx2::params::available) and of `U`.
#[inline(always)]
unsafe fn last_round<U: AesUnit<Register = Y>, const LAYOUT: u8, const REDUCTION: u8, const H: usize>(
    schedule: &Schedule,
    states: &[[Y; 4]; H],
    powers: &[u32; 3],
) -> [[Y; 2]; H] {
    // SAFETY: the caller promises the features of `available`.
    unsafe {
        // Unlike AVX-512's, this last round is not shared by two blocks: to bring bytes of two registers together
        // before it, AVX2 would need two shuffles and an `or`, and it saves one `aesenclast`.
        let key = round_key::<U>(schedule, schedule.rounds());
        let mut y = [[_mm256_setzero_si256(); 2]; H];
        for k in 0..H {
            for i in 0..2 {
                let a = U::last_round(states[k][2 * i], key);
                let b = U::last_round(states[k][2 * i + 1], key);
                // Bytes 0 to 7 of each block, which are all of FF1's y for d = 8: two registers become one, so that
                // less has to wait until the end of the round.
                y[k][i] = _mm256_unpacklo_epi64(a, b);
                if LAYOUT != EIGHT && REDUCTION != MASK {
                    y[k][i] = fold(y[k][i], _mm256_unpackhi_epi64(a, b), powers);
                }
            }
        }
        y
    }
}
