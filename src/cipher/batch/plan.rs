//! Everything that messages of one mode, radix and length have in common.

use cipherform_simd::multiversion;

use crate::arith::numeral::Numeral;
use crate::arith::numeral_batch::{NumRows, RowCodec, StrRows};
use crate::batch::half::{ByteOrder, Half};
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::{CHUNK, LANES};
use crate::spec::ff1::{CachedAesP, Ff1Shape};
use crate::spec::key::Aes;
use crate::spec::radix::Radix;
use crate::spec::types::Mode;
use crate::spec::{ff1, ff3_1};

/// Everything public about one shape, common to all its values.
pub(crate) struct ShapePlan<H: Half> {
    tweaked: TweakedMode,
    pub(crate) rounds: u8,
    pub(crate) order: ByteOrder,
    /// Bits of a block after the round number.
    pub(crate) round_shift: u32,
    /// NUM(B) has a block of its own, after the one with the round number.
    pub(crate) split: bool,
    pub(crate) left: H::Modulus,
    pub(crate) right: H::Modulus,
    codec: H::Codec,
    left_length: usize,
}

/// The mode, as far as tweaks and blocks depend on it.
enum TweakedMode {
    Ff1(Ff1Shape),
    Ff3,
}

impl<H: Half> ShapePlan<H> {
    /// A plan for messages of `n` numerals; both halves must fit `H`.
    pub(crate) fn new(mode: Mode, radix: Radix, n: usize) -> Self {
        let (tweaked, rounds, order, round_shift, split, u) = match mode {
            Mode::Ff1 => {
                let shape = Ff1Shape::new(radix, n);
                let (order, shift) = (ByteOrder::BigEndian { d: shape.d }, shape.round_shift());
                // b = 13 to 16 have d = 20; b = 16 alone leaves no byte for [i] in the block of NUM(B). Beyond 16
                // bytes there is `bignum`.
                let (split, u) = (shape.b == 16, shape.u);
                (TweakedMode::Ff1(shape), ff1::ROUNDS, order, shift, split, u)
            }
            Mode::Ff3_1 | Mode::Ff3 => {
                let u = ff3_1::left_length(n);
                (
                    TweakedMode::Ff3,
                    ff3_1::ROUNDS,
                    ByteOrder::LittleEndian,
                    ff3_1::ROUND_SHIFT,
                    false,
                    u,
                )
            }
        };
        let highest = |m| radix.highest(m).expect("halves were measured");
        let modulus = |m| H::modulus(highest(m), order);
        Self {
            tweaked,
            rounds,
            order,
            round_shift,
            split,
            left: modulus(u),
            right: modulus(n - u),
            codec: <H::Codec as RowCodec<H>>::new(radix, [u, n - u]),
            left_length: u,
        }
    }

    /// The prefixes of rows that all have `tweak`.
    pub(crate) fn shared_prefixes(&self, aes: &Aes, tweak: &[u8]) -> Prefixes {
        let mut prefixes = [[0; LANES]; 2];
        self.prefixes(aes, &mut CachedAesP::default(), [tweak].into_iter(), &mut prefixes);
        Prefixes::Shared([prefixes[0][0], prefixes[1][0]])
    }

    /// For FF1: AES(P) for tweaks of `length` bytes, and the number of whole blocks of these.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn chain(&self, aes: &Aes, length: usize) -> Option<(u128, usize)> {
        match &self.tweaked {
            TweakedMode::Ff1(shape) => Some((shape.chain(aes, length), shape.whole_blocks(length))),
            TweakedMode::Ff3 => None,
        }
    }

    /// The prefixes of rows with these tweaks, [`LANES`] at most.
    pub(crate) fn prefixes<'t>(
        &self,
        aes: &Aes,
        cached: &mut CachedAesP,
        tweaks: impl ExactSizeIterator<Item = &'t [u8]> + Clone,
        prefixes: &mut [[u128; LANES]; 2],
    ) {
        match &self.tweaked {
            TweakedMode::Ff1(shape) => {
                let rows = tweaks.len();
                shape.prefixes(aes, cached, tweaks, &mut prefixes[0][..rows]);
                // FF1's Q is the same for even and odd rounds but for [i] and NUM(B).
                prefixes[1] = prefixes[0];
            }
            TweakedMode::Ff3 => {
                for (lane, tweak) in tweaks.enumerate() {
                    (prefixes[0][lane], prefixes[1][lane]) = ff3_1::words(tweak);
                }
            }
        }
    }
}

impl<H: Half> ShapePlan<H> {
    /// Reads the halves of rows.
    pub(crate) fn num_rows<T: Numeral>(&self, numerals: &[T], left: &mut [H; CHUNK], right: &mut [H; CHUNK]) {
        multiversion::run(NumRows {
            codec: &self.codec,
            numerals,
            least_first: self.least_first(),
            left,
            right,
        });
    }

    /// Writes the halves of rows.
    pub(crate) fn str_rows<T: Numeral>(&self, numerals: &mut [T], left: &[H; CHUNK], right: &[H; CHUNK]) {
        multiversion::run(StrRows {
            codec: &self.codec,
            numerals,
            least_first: self.least_first(),
            left,
            right,
        });
    }

    /// True if halves are read from their least significant numeral on: FF3.
    pub(crate) fn least_first(&self) -> bool {
        self.order == ByteOrder::LittleEndian
    }

    /// Numerals of the left and right half.
    pub(crate) fn lengths(&self, n: usize) -> [usize; 2] {
        [self.left_length, n - self.left_length]
    }
}
