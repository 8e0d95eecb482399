//! Shapes as the AVX2 kernels take them.

use crate::arith::reduce_fma::{Modulus53, ReductionFma};
use crate::batch::half::ByteOrder;

/// The most rounds.
const ROUNDS: usize = 10;

/// The parameters of a shape whose halves fit 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params256 {
    pub(crate) layout: Layout256,
    pub(crate) reduction: ReductionFma,
    /// True if VAES does the work of AES-NI.
    pub(crate) vaes: bool,
    pub(crate) rounds: usize,
    /// The number of each round where it stands in a block.
    pub(crate) numbers: [[u8; 16]; ROUNDS],
    /// Modulo what the left and the right half change.
    pub(crate) moduli: [Modulus53; 2],
    /// 2^32, 2^64 and 2^96 modulo these.
    pub(crate) powers: [[u32; 3]; 2],
}

/// The place of y in the block that AES returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Layout256 {
    /// The first 8 bytes.
    Eight,
    /// The whole block, least significant byte first: FF3.
    Reversed,
}

impl Params256 {
    /// The parameters of the shape whose left and right half go up to `highest`; `None` if it is left to other code.
    pub(crate) fn new(highest: [u128; 2], rounds: u8, round_shift: u32, order: ByteOrder) -> Option<Self> {
        let moduli = [highest[0].checked_add(1)?, highest[1].checked_add(1)?];
        let byte = round_shift as usize / 8;
        // d is 8 for halves of up to 32 bits; this kernel has no code for longer ones.
        // [i] stands before NUM(B), which has b = round_shift/8 bytes: at byte 15 − b of FF1's block, and at byte
        // 12 of FF3-1's, which is read from its other end.
        let (layout, byte) = match order {
            ByteOrder::BigEndian { d: 8 } => (Layout256::Eight, 15 - byte),
            ByteOrder::LittleEndian => (Layout256::Reversed, byte),
            ByteOrder::BigEndian { .. } => return None,
        };
        // For `fold` and FF3-1 alone; each is below M ≤ 2^32.
        let powers = moduli.map(|m| [32, 64, 96].map(|k| ((1u128 << k) % m) as u32));
        let (reduction, moduli) = ReductionFma::for_moduli(moduli)?;
        if (layout, reduction) == (Layout256::Reversed, ReductionFma::Signed) {
            return None; // `fold` takes M up to 2^30
        }
        // Whole blocks and not numbers: a round takes its own by one broadcast load, and adds it by exclusive or.
        let number = |i| {
            let mut block = [0; 16];
            block[byte] = i as u8;
            block
        };
        Some(Self {
            layout,
            reduction,
            // Not part of `available`: AES-NI does the same at half the width, and processors before VAES are many.
            // A field, so that tests can try both.
            vaes: is_x86_feature_detected!("vaes"),
            rounds: rounds.into(),
            numbers: std::array::from_fn(number),
            moduli,
            powers,
        })
    }
}

/// True if this processor has the features that the functions here are compiled for, but for VAES: AVX2, FMA and AES.
pub(crate) fn available() -> bool {
    // These three came with Haswell and Zen, years before VAES.
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("aes")
}

/// Calls one of two functions of the same text: `$vaes`, compiled for VAES, or `$aes`. Expands to an unsafe expression.
macro_rules! widest {
    ($params:expr, $vaes:expr, $aes:expr) => {{
        assert!(
            $crate::kernels::avx2::params::available(),
            "this kernel was chosen on another processor"
        );
        if $params.vaes { $vaes } else { $aes }
    }};
}

pub(crate) use widest;

// `Layout256` and `ReductionFma` as parameters of functions.
// Rust takes integers there and no enums.
pub(crate) const EIGHT: u8 = Layout256::Eight as u8;

pub(crate) const MASK: u8 = ReductionFma::Mask as u8;

pub(crate) const TINY: u8 = ReductionFma::Tiny as u8;

pub(crate) const SIGNED: u8 = ReductionFma::Signed as u8;
