//! The walk in AVX2: VAES or AES-NI for the cipher, quotients in double precision for the remainders.
//!
//! Rows walk in two *groups*, x and y. While one group's blocks go through AES, the other group's round ends: the two are written in
//! turns, and the processor overlaps them. There are 16 registers, and the blocks of a group take eight of them. So a turn begins with
//! making its blocks from the halves, and it ends with the last round of AES, of which it leaves only what makes y, in half as many
//! registers. When a group has walked, its rows are written and others read in the midst of the other group's turn: a stream of rows
//! fills and drains the two groups once, however long it is.
//!
//! A register of halves holds those of 8 rows, in 32 bits each, four in each of its two lanes. Everything but reading and writing
//! stays in its lane: the blocks of the i-th row of each lane share a register, and so on.
//!
//! Only the functions that are called from outside are compiled for the processor's features. What they are made of must be
//! inlined, which Rust promises only for functions without features of their own: hence these are `unsafe`, as they may be called
//! from nowhere else.

#![expect(
    clippy::needless_range_loop,
    reason = "an index says which rows a register holds, not only where it stands"
)]

use std::arch::x86_64::*;

use crate::arith::reduce_fma::{EXPONENT, Modulus53, QuotientFma, ReductionFma};
use crate::batch::chunk::Lanes;
use crate::batch::half::ByteOrder;
use crate::batch::sizes::LANES;
use crate::kernels::aes::{
    AesNi256, AesUnit, Vaes256, aes_inner_rounds, aes_last_round, aes_long_key_rounds, aes_round, round_key,
};
use crate::kernels::prefix_source::Prefixes;
use crate::kernels::schedule::Schedule;
use crate::spec::types::Direction;

/// Rows of a register of halves.
pub(crate) const ROWS: usize = 8;

/// The most rounds.
const ROUNDS: usize = 10;

pub(crate) type Y = __m256i;

/// What this kernel needs to know about a params: halves fit 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params256 {
    pub(crate) layout: Layout256,
    pub(crate) reduction: ReductionFma,
    /// Whether VAES does the work of AES-NI.
    pub(crate) vaes: bool,
    rounds: usize,
    /// The number of each round where it stands in a block.
    numbers: [[u8; 16]; ROUNDS],
    /// Modulo what the left and the right half change.
    moduli: [Modulus53; 2],
    /// 2^32, 2^64 and 2^96 modulo these.
    powers: [[u32; 3]; 2],
}

/// What y is in what AES returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Layout256 {
    /// The first 8 bytes.
    Eight,
    /// The whole block, least significant byte first: FF3.
    Reversed,
}

impl Params256 {
    /// The params whose left and right half go up to `highest`; `None` if it is left to other code.
    pub(crate) fn new(highest: [u128; 2], rounds: u8, round_shift: u32, order: ByteOrder) -> Option<Self> {
        let moduli = [highest[0].checked_add(1)?, highest[1].checked_add(1)?];
        let byte = round_shift as usize / 8;
        let (layout, byte) = match order {
            ByteOrder::BigEndian { d: 8 } => (Layout256::Eight, 15 - byte),
            ByteOrder::LittleEndian => (Layout256::Reversed, byte),
            ByteOrder::BigEndian { .. } => return None,
        };
        let powers = moduli.map(|m| [32, 64, 96].map(|k| ((1u128 << k) % m) as u32));
        let (reduction, moduli) = ReductionFma::of(moduli)?;
        if (layout, reduction) == (Layout256::Reversed, ReductionFma::Signed) {
            return None; // `fold` takes M up to 2^30
        }
        let number = |i| {
            let mut block = [0; 16];
            block[byte] = i as u8;
            block
        };
        Some(Self {
            layout,
            reduction,
            vaes: is_x86_feature_detected!("vaes"),
            rounds: rounds.into(),
            numbers: std::array::from_fn(number),
            moduli,
            powers,
        })
    }
}

/// Whether this processor has all that the functions here are compiled for, but for VAES.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("aes")
}

/// Calls one of two functions of the same text: `$vaes`, compiled for VAES, or `$aes`. Expands to an unsafe expression.
macro_rules! widest {
    ($params:expr, $vaes:expr, $aes:expr) => {{
        assert!(available(), "this kernel was chosen on another processor");
        if $params.vaes { $vaes } else { $aes }
    }};
}
pub(crate) use widest;

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
    let per_row = matches!(group.prefixes, Prefixes::PerRow(_));
    macro_rules! walk {
        ($layout:ident, $reduction:ident) => {{
            const LAYOUT: u8 = $layout as u8;
            const REDUCTION: u8 = $reduction as u8;
            // SAFETY: the processor has the features.
            unsafe {
                widest!(
                    params,
                    match (direction, per_row) {
                        (Direction::Encrypt, false) =>
                            walk_vaes::<true, false, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Encrypt, true) =>
                            walk_vaes::<true, true, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Decrypt, false) =>
                            walk_vaes::<false, false, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Decrypt, true) =>
                            walk_vaes::<false, true, LAYOUT, REDUCTION>(schedule, params, group),
                    },
                    match (direction, per_row) {
                        (Direction::Encrypt, false) =>
                            walk_aes::<true, false, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Encrypt, true) =>
                            walk_aes::<true, true, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Decrypt, false) =>
                            walk_aes::<false, false, LAYOUT, REDUCTION>(schedule, params, group),
                        (Direction::Decrypt, true) =>
                            walk_aes::<false, true, LAYOUT, REDUCTION>(schedule, params, group),
                    }
                )
            }
        }};
    }
    by_shape!(params, walk)
}

/// AES alone, on blocks that stay in registers: `blocks` of them, rounded down to a multiple of 64.
pub(crate) fn aes_alone(schedule: &Schedule, blocks: u64) -> u64 {
    assert!(available(), "this kernel was chosen on another processor");
    // SAFETY: the processor has the features.
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
    // SAFETY: these are the features that it needs.
    unsafe { aes_in_registers::<Vaes256, 2>(schedule, blocks) }
}

#[target_feature(enable = "avx2,aes")]
fn aes_alone_aes(schedule: &Schedule, blocks: u64) -> u64 {
    // SAFETY: these are the features that it needs.
    unsafe { aes_in_registers::<AesNi256, 1>(schedule, blocks) }
}

#[inline(always)]
unsafe fn aes_in_registers<U: AesUnit<Register = Y>, const H: usize>(schedule: &Schedule, blocks: u64) -> u64 {
    // SAFETY: the caller has the features.
    unsafe {
        let mut states = [[round_key::<U>(schedule, 0); 4]; H];
        for (k, state) in states.as_flattened_mut().iter_mut().enumerate() {
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

// `Layout256` and `ReductionFma` as parameters of functions.
const EIGHT: u8 = Layout256::Eight as u8;
const MASK: u8 = ReductionFma::Mask as u8;
const TINY: u8 = ReductionFma::Tiny as u8;
const SIGNED: u8 = ReductionFma::Signed as u8;

/// Where the halves of a stream come from and go to.
pub(crate) trait HalvesIo256<const H: usize> {
    /// The left and the right halves of a group.
    ///
    /// # Safety
    /// The caller has the features.
    unsafe fn load(&mut self, group: usize) -> [[Y; H]; 2];

    /// Takes them back: those of one group after the other.
    ///
    /// # Safety
    /// The caller has the features.
    unsafe fn store(&mut self, group: usize, halves: [[Y; H]; 2]);
}

/// MemoryHalves256 in memory.
struct MemoryHalves256<'a>([&'a mut [u64; LANES]; 2]);

impl<const H: usize> HalvesIo256<H> for MemoryHalves256<'_> {
    #[inline(always)]
    unsafe fn load(&mut self, group: usize) -> [[Y; H]; 2] {
        let [left, right] = &self.0;
        // SAFETY: the caller has the features.
        unsafe {
            let mut halves = [[_mm256_setzero_si256(); H]; 2];
            for k in 0..H {
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
            // SAFETY: the caller has the features.
            unsafe {
                store_halves(lefts[k], left, at);
                store_halves(rights[k], right, at);
            }
        }
    }
}

#[target_feature(enable = "avx2,fma,aes,vaes")]
fn walk_vaes<const ENCRYPT: bool, const PER_ROW: bool, const LAYOUT: u8, const REDUCTION: u8>(
    schedule: &Schedule,
    params: &Params256,
    group: &mut Lanes<'_, u64>,
) {
    // SAFETY: these are the features that it needs.
    unsafe { walk_in_memory::<Vaes256, ENCRYPT, PER_ROW, LAYOUT, REDUCTION, 2>(schedule, params, group) }
}

#[target_feature(enable = "avx2,fma,aes")]
fn walk_aes<const ENCRYPT: bool, const PER_ROW: bool, const LAYOUT: u8, const REDUCTION: u8>(
    schedule: &Schedule,
    params: &Params256,
    group: &mut Lanes<'_, u64>,
) {
    // SAFETY: these are the features that it needs.
    unsafe { walk_in_memory::<AesNi256, ENCRYPT, PER_ROW, LAYOUT, REDUCTION, 1>(schedule, params, group) }
}

#[inline(always)]
unsafe fn walk_in_memory<
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
    // SAFETY: the caller has the features.
    unsafe {
        let prefixes = PrefixBlocks256::<{ LANES / 16 }>::new::<LAYOUT>(schedule, group.prefixes);
        let bands = group.rows.div_ceil(2 * ROWS * H);
        let mut ends = MemoryHalves256([group.left, group.right]);
        stream::<U, ENCRYPT, PER_ROW, LAYOUT, REDUCTION, H, { LANES / 16 }>(
            schedule, params, &prefixes, bands, &mut ends,
        );
    }
}

/// Takes as many pairs of groups through all rounds as there are `bands`. With VAES the halves of a group take two registers, H;
/// without it its blocks take eight registers even if H is one.
#[inline(always)]
pub(crate) unsafe fn stream<
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
    bands: usize,
    ends: &mut impl HalvesIo256<H>,
) {
    if bands == 0 {
        return;
    }
    // SAFETY: the caller has the features.
    unsafe {
        // Rounds change one half and then the other: the left one first when encrypting.
        let parities: [usize; 2] = if ENCRYPT { [0, 1] } else { [1, 0] };
        let moduli = parities.map(|parity| &params.moduli[parity]);
        let powers = parities.map(|parity| &params.powers[parity]);
        let last = params.rounds - 1;
        macro_rules! in_order {
            ($halves:expr) => {{
                let [left, right] = $halves;
                if ENCRYPT { [left, right] } else { [right, left] }
            }};
        }
        let mut band = 0;
        let [mut first_x, mut second_x] = in_order!(ends.load(0));
        let [mut first_y, mut second_y] = in_order!(ends.load(1));

        // The blocks of a group for a round, from the half that this leaves as it is.
        macro_rules! begin {
            ($group:literal, $half:literal, $fixed:ident, $step:expr) => {{
                let number = broadcast(&params.numbers[if ENCRYPT { $step } else { last - $step }]);
                begin_round::<PER_ROW, LAYOUT, H, SIXTEENS>(
                    &$fixed,
                    prefixes,
                    parities[$half],
                    2 * band + $group,
                    number,
                )
            }};
        }
        // These through AES and, in the midst of that, register by register, the end of a round of the other group, which changes a
        // half; then `$between`. Of the blocks only what makes y is left.
        macro_rules! turn {
            ($group:literal, $half:literal, $fixed:ident, $step:expr, $ending:literal, $changed:ident, $y:ident, $between:block) => {{
                let mut states = begin!($group, $half, $fixed, $step);
                aes_round::<U>(schedule, 1, states.as_flattened_mut());
                for k in 0..H {
                    aes_round::<U>(schedule, 2 + k, states.as_flattened_mut());
                    $changed[k] = end_round::<ENCRYPT, LAYOUT, REDUCTION>($changed[k], $y[k], moduli[$ending]);
                }
                $between
                for r in 2 + H..10 {
                    aes_round::<U>(schedule, r, states.as_flattened_mut());
                }
                aes_long_key_rounds::<U>(schedule, states.as_flattened_mut());
                drawn::<U, LAYOUT, REDUCTION, H>(schedule, &states, powers[$half])
            }};
        }
        let mut states = begin!(0, 0, second_x, 0);
        aes_inner_rounds::<U>(schedule, states.as_flattened_mut());
        let mut y_of_x = drawn::<U, LAYOUT, REDUCTION, H>(schedule, &states, powers[0]);
        loop {
            let mut step = 0;
            let mut y_of_y;
            loop {
                y_of_y = turn!(1, 0, second_y, step, 0, first_x, y_of_x, {});
                y_of_x = turn!(0, 1, first_x, step + 1, 0, first_y, y_of_y, {});
                if step + 1 == last {
                    break;
                }
                y_of_y = turn!(1, 1, first_y, step + 1, 1, second_x, y_of_x, {});
                y_of_x = turn!(0, 0, second_x, step + 2, 1, second_y, y_of_y, {});
                step += 2;
            }
            let (x, y) = (2 * band, 2 * band + 1);
            let more = band + 1 < bands;
            y_of_y = turn!(1, 1, first_y, last, 1, second_x, y_of_x, {
                ends.store(x, in_order!([first_x, second_x]));
                if more {
                    [first_x, second_x] = in_order!(ends.load(x + 2));
                }
            });
            band += 1;
            if !more {
                for k in 0..H {
                    second_y[k] = end_round::<ENCRYPT, LAYOUT, REDUCTION>(second_y[k], y_of_y[k], moduli[1]);
                }
                ends.store(y, in_order!([first_y, second_y]));
                return;
            }
            y_of_x = turn!(0, 0, second_x, 0, 1, second_y, y_of_y, {
                ends.store(y, in_order!([first_y, second_y]));
                [first_y, second_y] = in_order!(ends.load(y + 2));
            });
        }
    }
}

/// The prefixes of a stream of up to 16 times `SIXTEENS` rows as AES blocks, with the first round key added, two to a register: those of
/// the same row of two lanes.
pub(crate) struct PrefixBlocks256<const SIXTEENS: usize> {
    /// Of even and odd rounds; FF1 has the same for both, here the first. Where all rows share their prefixes, the first register alone.
    blocks: [[[Y; 8]; SIXTEENS]; 2],
}

impl<const SIXTEENS: usize> PrefixBlocks256<SIXTEENS> {
    #[inline(always)]
    pub(crate) unsafe fn new<const LAYOUT: u8>(schedule: &Schedule, prefixes: &Prefixes) -> Self {
        // SAFETY: the caller has the features.
        unsafe {
            let mut prepared = Self {
                blocks: [[[_mm256_setzero_si256(); 8]; SIXTEENS]; 2],
            };
            prepared.set::<LAYOUT>(schedule, prefixes, 0);
            prepared
        }
    }

    /// Those of all rows, or of [`LANES`] rows from `start` on.
    #[inline(always)]
    pub(crate) unsafe fn set<const LAYOUT: u8>(&mut self, schedule: &Schedule, prefixes: &Prefixes, start: usize) {
        // SAFETY: the caller has the features.
        unsafe {
            let first = round_key::<AesNi256>(schedule, 0);
            let block = |prefix: u128| {
                if LAYOUT == EIGHT {
                    prefix.to_be_bytes()
                } else {
                    prefix.to_le_bytes()
                }
            };
            let parities = if LAYOUT == EIGHT { 1 } else { 2 };
            for parity in 0..parities {
                match prefixes {
                    Prefixes::Shared(shared) => {
                        self.blocks[parity][0][0] = _mm256_xor_si256(broadcast(&block(shared[parity])), first);
                    }
                    Prefixes::PerRow(rows) => {
                        let blocks = self.blocks[parity].as_flattened_mut();
                        for (at, pair) in blocks[start / 2..][..LANES / 2].iter_mut().enumerate() {
                            let [low, high] = pair_rows(at).map(|row| block(rows[parity][row]));
                            *pair = _mm256_xor_si256(two(&low, &high), first);
                        }
                    }
                }
            }
        }
    }

    /// Bytes of tweaks that [`Self::set_packed`] reads for so many rows, a multiple of 16.
    pub(crate) fn reach(rows: usize, whole_blocks: usize, length: usize) -> usize {
        (rows - 1) * length + 16 * (whole_blocks + 1)
    }

    /// FF1's prefixes of so many rows, a multiple of 16, whose tweaks all have `length` bytes and stand one after the other, with anything
    /// after them, from the value of AES for what comes before.
    #[inline(always)]
    pub(crate) unsafe fn set_packed<U: AesUnit<Register = Y>>(
        &mut self,
        schedule: &Schedule,
        chain: u128,
        whole_blocks: usize,
        tweaks: &[u8],
        length: usize,
        rows: usize,
    ) {
        assert!(tweaks.len() >= Self::reach(rows, whole_blocks, length));
        // What a tweak has of a block: as many ones are not passed.
        const OWN: [u8; 32] = {
            let mut bytes = [0; 32];
            let mut at = 0;
            while at < 16 {
                bytes[at] = 0xFF;
                at += 1;
            }
            bytes
        };
        let own = |k: usize| {
            let own = length.saturating_sub(16 * k).min(16);
            OWN[16 - own..].first_chunk().expect("own is at most 16")
        };
        // SAFETY: the caller has the features; there are as many bytes as are read.
        unsafe {
            let first = round_key::<U>(schedule, 0);
            let chain = _mm256_xor_si256(broadcast(&chain.to_be_bytes()), first);
            let last = _mm256_xor_si256(round_key::<U>(schedule, schedule.rounds()), first);
            let block = |row: usize, k: usize| {
                let low = tweaks.as_ptr().add(row * length + 16 * k);
                _mm256_and_si256(
                    _mm256_loadu2_m128i(low.add(4 * length).cast(), low.cast()),
                    broadcast(own(k)),
                )
            };
            // Eight registers fill the AES pipes.
            for (sixteen, blocks) in self.blocks[0][..rows / 16].iter_mut().enumerate() {
                let rows: [usize; 8] = std::array::from_fn(|i| pair_rows(8 * sixteen + i)[0]);
                let mut states = [[chain; 4]; 2];
                for k in 0..whole_blocks {
                    for (row, state) in rows.iter().zip(states.as_flattened_mut()) {
                        *state = _mm256_xor_si256(*state, block(*row, k));
                    }
                    aes_inner_rounds::<U>(schedule, states.as_flattened_mut());
                    aes_last_round::<U>(last, states.as_flattened_mut());
                }
                for ((row, state), to) in rows.iter().zip(states.as_flattened()).zip(blocks) {
                    *to = _mm256_xor_si256(*state, block(*row, whole_blocks));
                }
            }
        }
    }
}

/// The rows whose blocks share the register of blocks `at`.
#[inline(always)]
fn pair_rows(at: usize) -> [usize; 2] {
    let row = ROWS * (at / 4) + at % 4;
    [row, row + 4]
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
    let blocks = &prefixes.blocks[if LAYOUT == EIGHT { 0 } else { parity }];
    let shared = _mm256_xor_si256(blocks[0][0], number);
    let mut states = [[shared; 4]; H];
    for k in 0..H {
        for i in 0..4 {
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

/// Where the bytes of a block come from: its last four are the i-th half of a lane, most significant first.
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

/// What the last round of AES leaves of a group's blocks. Two registers have the first 8 bytes of the blocks of 8 rows, as they are;
/// or, for FF3, a number of 64 bits that is y modulo M (see `fold`).
#[inline(always)]
unsafe fn drawn<U: AesUnit<Register = Y>, const LAYOUT: u8, const REDUCTION: u8, const H: usize>(
    schedule: &Schedule,
    states: &[[Y; 4]; H],
    powers: &[u32; 3],
) -> [[Y; 2]; H] {
    // SAFETY: the caller has the features.
    unsafe {
        let key = round_key::<U>(schedule, schedule.rounds());
        let mut y = [[_mm256_setzero_si256(); 2]; H];
        for k in 0..H {
            for i in 0..2 {
                let a = U::last_round(states[k][2 * i], key);
                let b = U::last_round(states[k][2 * i + 1], key);
                y[k][i] = _mm256_unpacklo_epi64(a, b);
                if LAYOUT != EIGHT && REDUCTION != MASK {
                    y[k][i] = fold(y[k][i], _mm256_unpackhi_epi64(a, b), powers);
                }
            }
        }
        y
    }
}

/// A number of 64 bits that is y modulo M for each y of 128 bits: with 2^32, 2^64 and 2^96 modulo M ≤ 2^30 it is at most
/// 3·(2^32 − 1)·(2^30 − 1) + 2^32 − 1 < 2^64.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fold(low: Y, high: Y, powers: &[u32; 3]) -> Y {
    let parts = [_mm256_srli_epi64::<32>(low), high, _mm256_srli_epi64::<32>(high)];
    let mut sum = _mm256_and_si256(low, _mm256_set1_epi64x(0xffff_ffff));
    for (part, power) in parts.into_iter().zip(powers) {
        sum = _mm256_add_epi64(sum, _mm256_mul_epu32(part, _mm256_set1_epi64x((*power).into())));
    }
    sum
}

/// The end of a round for 8 rows, from what [`drawn`] has left: changed ± y modulo M.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn end_round<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8>(
    changed: Y,
    y: [Y; 2],
    modulus: &Modulus53,
) -> Y {
    let m = _mm256_set1_epi32(modulus.m as i32);
    let low = if LAYOUT == EIGHT {
        let swap = broadcast(&[3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]);
        _mm256_shuffle_epi8(dwords::<0b11_01_11_01>(y), swap)
    } else {
        dwords::<0b10_00_10_00>(y)
    };
    if REDUCTION == MASK {
        let sum = if ENCRYPT {
            _mm256_add_epi32(changed, low)
        } else {
            _mm256_sub_epi32(changed, low)
        };
        return _mm256_and_si256(sum, m);
    }
    let q = dwords::<0b10_00_10_00>([
        quotient::<ENCRYPT, LAYOUT, REDUCTION>(y[0], modulus),
        quotient::<ENCRYPT, LAYOUT, REDUCTION>(y[1], modulus),
    ]);
    // Modulo 2^32, where it fits.
    let rest = _mm256_sub_epi32(low, _mm256_mullo_epi32(q, m));
    if REDUCTION == SIGNED {
        let y = _mm256_add_epi32(rest, _mm256_and_si256(m, _mm256_srai_epi32::<31>(rest)));
        let less = if ENCRYPT { _mm256_sub_epi32(m, y) } else { y };
        // M is added where the difference is negative.
        let fits = _mm256_cmpeq_epi32(_mm256_max_epu32(changed, less), changed);
        return _mm256_add_epi32(_mm256_sub_epi32(changed, less), _mm256_andnot_si256(fits, m));
    }
    let sum = if ENCRYPT {
        _mm256_add_epi32(changed, rest)
    } else {
        _mm256_sub_epi32(changed, rest)
    };
    let sum = _mm256_min_epu32(sum, _mm256_sub_epi32(sum, _mm256_add_epi32(m, m)));
    _mm256_min_epu32(sum, _mm256_sub_epi32(sum, m))
}

/// q̂ in the lower 32 bits of each 64.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn quotient<const ENCRYPT: bool, const LAYOUT: u8, const REDUCTION: u8>(y: Y, modulus: &Modulus53) -> Y {
    let exponent = _mm256_set1_epi64x(EXPONENT as i64);
    let last = if ENCRYPT { &modulus.plus } else { &modulus.minus };
    if REDUCTION == TINY {
        let y = if LAYOUT == EIGHT {
            _mm256_shuffle_epi8(y, broadcast(&[7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]))
        } else {
            y
        };
        let h = _mm256_srli_epi64::<32>(y);
        let q = multiply_add(_mm256_or_si256(h, exponent), &modulus.first);
        let g = _mm256_sub_epi64(h, _mm256_mul_epu32(q, _mm256_set1_epi64x(modulus.m.into())));
        let z = _mm256_blend_epi32::<0b10_10_10_10>(y, _mm256_slli_epi64::<32>(g));
        let t = _mm256_srl_epi64(z, _mm_cvtsi32_si128(modulus.shift as i32));
        return multiply_add(_mm256_or_si256(t, exponent), last);
    }
    let t = if LAYOUT == EIGHT {
        _mm256_shuffle_epi8(
            y,
            broadcast(&[5, 4, 3, 2, 1, 0, 0x80, 0x80, 13, 12, 11, 10, 9, 8, 0x80, 0x80]),
        )
    } else {
        _mm256_srli_epi64::<16>(y)
    };
    multiply_add(_mm256_or_si256(t, exponent), last)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply_add(t: Y, quotient: &QuotientFma) -> Y {
    let (by, to) = (_mm256_set1_pd(quotient.by), _mm256_set1_pd(quotient.to));
    _mm256_castpd_si256(_mm256_fmadd_pd(_mm256_castsi256_pd(t), by, to))
}

/// Of each lane two 32-bit parts of the first register, then two of the second.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn dwords<const PARTS: i32>([a, b]: [Y; 2]) -> Y {
    _mm256_castps_si256(_mm256_shuffle_ps::<PARTS>(
        _mm256_castsi256_ps(a),
        _mm256_castsi256_ps(b),
    ))
}

/// Eight halves from `at` on: four in each lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_halves(halves: &[u64; LANES], at: usize) -> Y {
    let halves = &halves[at..][..ROWS];
    // SAFETY: these are 64 bytes.
    unsafe {
        let a = _mm256_loadu_si256(halves.as_ptr().cast());
        let b = _mm256_loadu_si256(halves.as_ptr().add(4).cast());
        dwords::<0b10_00_10_00>([
            _mm256_permute2x128_si256::<0x20>(a, b),
            _mm256_permute2x128_si256::<0x31>(a, b),
        ])
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_halves(register: Y, halves: &mut [u64; LANES], at: usize) {
    let halves = &mut halves[at..][..ROWS];
    // SAFETY: these are 64 bytes.
    unsafe {
        let low = _mm256_cvtepu32_epi64(_mm256_castsi256_si128(register));
        let high = _mm256_cvtepu32_epi64(_mm256_extracti128_si256::<1>(register));
        _mm256_storeu_si256(halves.as_mut_ptr().cast(), low);
        _mm256_storeu_si256(halves.as_mut_ptr().add(4).cast(), high);
    }
}

/// The same bytes in both lanes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn broadcast(bytes: &[u8; 16]) -> Y {
    // SAFETY: 16 bytes are read.
    unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast())) }
}

/// 16 bytes in each lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn two(low: &[u8; 16], high: &[u8; 16]) -> Y {
    // SAFETY: 16 bytes are read, twice.
    unsafe { _mm256_loadu2_m128i(high.as_ptr().cast(), low.as_ptr().cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::chunk::Chunk;
    use crate::kernels::dispatch::Prepared;
    use crate::kernels::portable;
    use crate::selftest::random::Random;
    use crate::spec::key::{Aes, AesKey};
    use crate::spec::radix::Radix;
    use crate::spec::types::Mode;

    /// MemoryHalves256 at the ends of their range and in it.
    fn halves(random: &mut Random, highest: u64) -> [u64; LANES] {
        std::array::from_fn(|lane| match lane % 5 {
            0 => 0,
            1 => highest,
            2 => highest / 2,
            _ => random.next() % (highest + 1),
        })
    }

    /// Both ways to compute AES, whichever this processor prefers, and tails of every length.
    #[test]
    fn walks_equal_the_portable_ones() {
        if !available() {
            return;
        }
        let mut random = Random(11);
        let mut seen = std::collections::BTreeSet::new();
        for (mode, radix, n) in [
            (Mode::Ff1, 2, 20usize),
            (Mode::Ff1, 2, 33),
            (Mode::Ff1, 2, 64),
            (Mode::Ff1, 10, 6),
            (Mode::Ff1, 10, 9),
            (Mode::Ff1, 10, 11),
            (Mode::Ff1, 10, 16),
            (Mode::Ff1, 10, 18),
            (Mode::Ff1, 36, 7),
            (Mode::Ff1, 36, 11),
            (Mode::Ff1, 36, 12),
            (Mode::Ff1, 62, 10),
            (Mode::Ff1, 1500, 6),
            (Mode::Ff3_1, 2, 40),
            (Mode::Ff3_1, 10, 6),
            (Mode::Ff3_1, 10, 16),
            (Mode::Ff3_1, 10, 17),
            (Mode::Ff3_1, 36, 7),
        ] {
            let radix = Radix::try_new(radix).unwrap();
            let highest = [n / 2, n.div_ceil(2)].map(|m| radix.highest(m).unwrap() as u64);
            let highest = if mode == Mode::Ff1 {
                highest
            } else {
                [highest[1], highest[0]]
            };
            for bytes in [16, 24, 32] {
                let aes = Aes::new(&AesKey::try_new(&random.bytes(bytes)).unwrap());
                let prepared = Prepared::<u64>::new(mode, radix, n);
                let (plan, mut params) = (&prepared.plan, prepared.avx2.unwrap());
                seen.insert(format!("{:?} {:?}", params.layout, params.reduction));
                let wide = |random: &mut Random| u128::from(random.next()) << 64 | u128::from(random.next());
                // Prefixes leave room for the half, as those of the standard do not: they are added (exclusive or), whatever they are.
                let shared = Prefixes::Shared([wide(&mut random), wide(&mut random)]);
                let per_row = Prefixes::PerRow(std::array::from_fn(|_| std::array::from_fn(|_| wide(&mut random))));
                let per_row = match (mode, per_row) {
                    (Mode::Ff1, Prefixes::PerRow([even, _])) => Prefixes::PerRow([even, even]),
                    (_, prefixes) => prefixes,
                };
                let shared = match (mode, shared) {
                    (Mode::Ff1, Prefixes::Shared([even, _])) => Prefixes::Shared([even, even]),
                    (_, prefixes) => prefixes,
                };
                for prefixes in [&shared, &per_row] {
                    for direction in [Direction::Encrypt, Direction::Decrypt] {
                        for rows in [1, 15, 16, 17, 31, 32, 33, 48, 63, 64] {
                            let (left, right) = (halves(&mut random, highest[0]), halves(&mut random, highest[1]));
                            let (mut expected_left, mut expected_right) = (left, right);
                            let mut groups = Chunk {
                                rows,
                                left: std::slice::from_mut(&mut expected_left),
                                right: std::slice::from_mut(&mut expected_right),
                                prefixes: std::slice::from_ref(prefixes),
                            };
                            portable::run(&aes, plan, direction, &mut groups);
                            for vaes in [is_x86_feature_detected!("vaes"), false] {
                                params.vaes = vaes;
                                let (mut left, mut right) = (left, right);
                                let mut group = Lanes {
                                    rows,
                                    left: &mut left,
                                    right: &mut right,
                                    prefixes,
                                };
                                run_lanes(aes.schedule().unwrap(), &params, direction, &mut group);
                                assert_eq!(
                                    left[..rows],
                                    expected_left[..rows],
                                    "{mode:?}, {n}, {vaes}, {rows} rows"
                                );
                                assert_eq!(
                                    right[..rows],
                                    expected_right[..rows],
                                    "{mode:?}, {n}, {vaes}, {rows} rows"
                                );
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(seen.len(), 7, "{seen:?}");
    }
}
