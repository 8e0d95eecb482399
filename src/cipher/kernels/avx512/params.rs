//! Shapes as the AVX-512 kernels take them.

use cipherform_simd::table::ByteTable;

use crate::arith::reduce_ifma::{Modulus52, ReductionIfma};
use crate::batch::half::ByteOrder;

/// The parameters of a shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params512 {
    pub(crate) layout: Layout512,
    pub(crate) reduction: ReductionIfma,
    pub(crate) rounds: u8,
    /// The source of each byte of blocks: 0…63 a register of halves, 64 zero, 65 the round number.
    pub(crate) places: [ByteTable; 4],
    /// Modulo what the left and the right half change.
    pub(crate) moduli: [Modulus52; 2],
    /// 2^32, 2^64 and 2^96 modulo these.
    pub(crate) powers: [[u64; 3]; 2],
}

/// How halves lie in registers, and y in what AES returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Layout512 {
    /// Halves of 32 bits; y is the first 8 bytes.
    Packed,
    /// Halves of 32 bits; y is the whole block, least significant byte first: FF3.
    PackedReversed,
    /// Halves of 64 bits; y is the first 8 bytes.
    Eight,
    /// Halves of 64 bits; y is the first 12 bytes.
    Twelve,
}

impl Params512 {
    /// The parameters of the shape whose left and right half go up to `highest`; `None` if it is left to other code.
    pub(crate) fn new(highest: [u128; 2], rounds: u8, round_shift: u32, order: ByteOrder) -> Option<Self> {
        let moduli = [highest[0].checked_add(1)?, highest[1].checked_add(1)?];
        let packed = moduli
            .iter()
            .all(|m| *m <= 1 << 30 || m.is_power_of_two() && *m <= 1 << 32);
        // M ≤ 2^30 leaves room for 4M in 32 bits; powers of two need none, as a mask reduces them.
        let (layout, bits) = match order {
            ByteOrder::BigEndian { d: 8 } if packed => (Layout512::Packed, 64),
            ByteOrder::LittleEndian if packed => (Layout512::PackedReversed, 64),
            ByteOrder::BigEndian { d: 8 } => (Layout512::Eight, 64),
            ByteOrder::BigEndian { d: 12 } => (Layout512::Twelve, 96),
            _ => return None,
        };
        // Worked out once a shape: in a round one permutation by these bytes makes four blocks of halves and round
        // number.
        let places = std::array::from_fn(|k| places(layout, k, round_shift));
        // For `fold`, which FF3-1 alone needs: its y has 128 bits, FF1's at most 96 here.
        let powers = moduli.map(|m| [32, 64, 96].map(|k| ((1u128 << k) % m) as u64));
        let (reduction, moduli) = ReductionIfma::for_moduli(moduli, bits)?;
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

/// The source of each byte of four blocks, which are the k-th that a register of halves fills.
fn places(layout: Layout512, k: usize, round_shift: u32) -> ByteTable {
    let mut bytes = [64; 64];
    for (at, place) in bytes.iter_mut().enumerate() {
        // A register of 16 packed halves fills four registers of blocks, one of 8 wide halves the first two of
        // these; `block % 8` keeps the sources of the others, which are not used, within the register.
        let (block, p) = (4 * k + at / 16, at % 16);
        let round = round_shift as usize / 8;
        *place = match layout {
            // NUM(B) is the last bytes of FF1's block, most significant first, but lanes are little-endian: byte 15
            // − p of the number goes to byte p. All bytes of the lane go there, even if b is smaller, as the others
            // are zeros.
            Layout512::Packed if p >= 12 => 4 * block + 15 - p,
            // REVB turns FF3-1's block around, so that NUM(REV(B)) begins it, least significant byte first, as the
            // lane has it.
            Layout512::PackedReversed if p < 4 => 4 * block + p,
            Layout512::Eight | Layout512::Twelve if p >= 8 => 8 * (block % 8) + 15 - p,
            // 64 and 65 are bytes 0 and 1 of the second register that the permutation takes.
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
    ByteTable(bytes)
}

/// True if this processor has the features that the kernels are compiled for: AVX-512 F, BW, DQ, VL, IFMA, VBMI and
/// VBMI2, and VAES.
pub(crate) fn available() -> bool {
    // All or nothing: what needs fewer of them is still called from functions that are compiled for the others.
    // Processors with VBMI2 and VAES (Ice Lake, Zen 4 and later) have all.
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("vaes")
}

// `Layout512` and `ReductionIfma` as parameters of functions.
// Rust takes integers there and no enums. As they are constants, each shape has loops of its own, without a branch.
pub(crate) const PACKED: u8 = Layout512::Packed as u8;

pub(crate) const REVERSED: u8 = Layout512::PackedReversed as u8;

pub(crate) const EIGHT: u8 = Layout512::Eight as u8;

pub(crate) const MASK: u8 = ReductionIfma::Mask as u8;

pub(crate) const TINY: u8 = ReductionIfma::Tiny as u8;

pub(crate) const SHORT: u8 = ReductionIfma::Short as u8;

pub(crate) const TWICE: u8 = ReductionIfma::Twice as u8;

pub(crate) const ONCE: u8 = ReductionIfma::Once as u8;
