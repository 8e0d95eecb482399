//! Many values of one shape, side by side: the halves as integers of 64 or 128 bits, all rounds in one call of AES.

use aes::Block;

use super::arch;
use super::key::Aes;
use super::modulus::{Barrett, Long, Medium, Short, Tall};
use super::numeral::Numeral;
use super::numeral_rows::{Form, LongRows, NumRows, ShortRows, StrRows};
use super::{Direction, Kernel, Mode, Radix, ff1, ff3_1};

/// Values of a group: the blocks that the widest backend of the crate `aes` takes in one call.
pub(super) const LANES: usize = 64;

/// An integer that holds a half of a message.
pub(super) trait Half: Copy + Default + arch::Native + arch::portable::Step {
    /// How to reduce modulo radix^m.
    type Modulus: Copy;
    /// How to read and write rows of numerals.
    type Form: Form<Self>;

    fn modulus(highest: u128, draw: Draw) -> Self::Modulus;
    fn wide(self) -> u128;
}

/// Reduces modulo radix^m ≤ 2^64; each knows the widest y it gets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Modulus64 {
    /// A power of two, as its mask.
    Mask(u64),
    /// y of 64 bits.
    Short(Short),
    /// y of 96 bits and radix^m < 2^32: first the upper 64 bits, then their remainder and the lower 32.
    Twice(Short),
    /// y of 128 bits and radix^m < 2^32: likewise, in three steps.
    Thrice(Short),
    /// y of 96 bits and radix^m < 2^62.
    Medium(Medium),
    /// y of 96 bits.
    Tall(Tall),
    /// y of up to 128 bits.
    Any(Barrett),
}

impl Half for u64 {
    type Modulus = Modulus64;
    type Form = ShortRows;

    fn modulus(highest: u128, draw: Draw) -> Modulus64 {
        let m = highest + 1;
        match u64::try_from(m) {
            _ if m.is_power_of_two() => Modulus64::Mask(highest as u64),
            Ok(m) if draw == (Draw::First { d: 8 }) => Modulus64::Short(Short::new(m)),
            Ok(m) if draw == (Draw::First { d: 12 }) && m < 1 << 32 => Modulus64::Twice(Short::new(m)),
            Ok(m) if draw == (Draw::First { d: 12 }) && m > 1 << 32 && m < 1 << 62 => Modulus64::Medium(Medium::new(m)),
            Ok(m) if draw == Draw::Reversed && m < 1 << 32 => Modulus64::Thrice(Short::new(m)),
            _ if draw == (Draw::First { d: 12 }) => {
                Tall::new(m, 96).map_or_else(|| Modulus64::Any(Barrett::new(m)), Modulus64::Tall)
            }
            _ => Modulus64::Any(Barrett::new(m)),
        }
    }

    #[inline(always)]
    fn wide(self) -> u128 {
        self.into()
    }
}

/// Reduces modulo radix^m ≤ 2^128.
#[derive(Clone, Copy)]
pub(super) enum Modulus128 {
    /// A power of two, as its mask.
    Mask(u128),
    /// y of 128 or 160 bits whose quotient fits 64.
    Tall(Tall),
    /// y of up to 128 bits.
    Any(Barrett),
    /// y of 160 bits.
    Long(Long),
}

impl Half for u128 {
    type Modulus = Modulus128;
    type Form = LongRows;

    fn modulus(highest: u128, draw: Draw) -> Modulus128 {
        let Some(m) = highest.checked_add(1).filter(|m| !m.is_power_of_two()) else {
            return Modulus128::Mask(highest);
        };
        match draw {
            Draw::First { d: 20 } => Tall::new(m, 160).map_or_else(|| Modulus128::Long(Long::new(m)), Modulus128::Tall),
            Draw::First { d: 16 } | Draw::Reversed => {
                Tall::new(m, 128).map_or_else(|| Modulus128::Any(Barrett::new(m)), Modulus128::Tall)
            }
            Draw::First { .. } => Modulus128::Any(Barrett::new(m)),
        }
    }

    #[inline(always)]
    fn wide(self) -> u128 {
        self
    }
}

/// How y is read from what AES returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Draw {
    /// FF1: the first d bytes of S, most significant first.
    First { d: usize },
    /// FF3: the whole block, least significant first.
    Reversed,
}

impl Draw {
    /// The order of FF1, whatever d is.
    pub(super) const FIRST: Self = Self::First { d: 0 };

    /// Makes `block` hold the integer `x`.
    #[inline(always)]
    pub(super) fn put(self, x: u128, block: &mut Block) {
        // Word by word: of these there are vectors, of 128 bits there are none.
        let (high, low) = ((x >> 64) as u64, x as u64);
        let (first, last) = match self {
            Self::First { .. } => (high.to_be_bytes(), low.to_be_bytes()),
            Self::Reversed => (low.to_le_bytes(), high.to_le_bytes()),
        };
        let (to_first, to_last) = block.0.split_at_mut(8);
        to_first.copy_from_slice(&first);
        to_last.copy_from_slice(&last);
    }

    /// y, or its first 128 bits.
    #[inline(always)]
    pub(super) fn y(self, block: &Block) -> u128 {
        match self {
            Self::First { d } => u128::from_be_bytes(block.0) >> (128 - 8 * d.min(16)),
            Self::Reversed => u128::from_le_bytes(block.0),
        }
    }
}

/// Everything public about one shape: what all its values have in common.
pub(super) struct Plan<H: Half> {
    tweaked: Tweaked,
    /// The shape as the kernel for AVX-512 takes it, if it does.
    #[cfg(target_arch = "x86_64")]
    pub(super) avx512: Option<arch::x86_64::avx512::Shape>,
    /// The same for AVX2.
    #[cfg(target_arch = "x86_64")]
    pub(super) avx2: Option<arch::x86_64::avx2::Shape>,
    pub(super) rounds: u8,
    pub(super) draw: Draw,
    /// Where the round number stands in a block.
    pub(super) round_shift: u32,
    /// NUM(B) has a block of its own, after the one with the round number.
    pub(super) split: bool,
    pub(super) left: H::Modulus,
    pub(super) right: H::Modulus,
    form: H::Form,
    left_length: usize,
}

/// How tweaks come into the blocks.
enum Tweaked {
    Ff1(ff1::Shape),
    Ff3,
}

impl<H: Half> Plan<H> {
    /// A plan for messages of `n` numerals; both halves must fit `H`.
    pub(super) fn new(mode: Mode, radix: Radix, n: usize) -> Self {
        let (tweaked, rounds, draw, round_shift, split, u) = match mode {
            Mode::Ff1 => {
                let shape = ff1::Shape::new(radix, n);
                let (draw, shift) = (Draw::First { d: shape.d }, shape.round_shift());
                let (split, u) = (shape.b == 16, shape.u);
                (Tweaked::Ff1(shape), ff1::ROUNDS, draw, shift, split, u)
            }
            Mode::Ff3_1 | Mode::Ff3 => {
                let u = ff3_1::left_length(n);
                (
                    Tweaked::Ff3,
                    ff3_1::ROUNDS,
                    Draw::Reversed,
                    ff3_1::ROUND_SHIFT,
                    false,
                    u,
                )
            }
        };
        let highest = |m| radix.highest(m).expect("halves were measured");
        let modulus = |m| H::modulus(highest(m), draw);
        Self {
            tweaked,
            #[cfg(target_arch = "x86_64")]
            avx512: arch::x86_64::avx512::Shape::new([highest(u), highest(n - u)], rounds, round_shift, draw),
            #[cfg(target_arch = "x86_64")]
            avx2: arch::x86_64::avx2::Shape::new([highest(u), highest(n - u)], rounds, round_shift, draw),
            rounds,
            draw,
            round_shift,
            split,
            left: modulus(u),
            right: modulus(n - u),
            form: H::Form::new(radix, [u, n - u]),
            left_length: u,
        }
    }

    /// What the blocks of even and odd rounds share if all rows have `tweak`.
    pub(super) fn shared_heads(&self, aes: &Aes, tweak: &[u8]) -> Heads {
        let mut heads = [[0; LANES]; 2];
        self.heads(aes, &mut ff1::Memo::default(), [tweak].into_iter(), &mut heads);
        Heads::Shared([heads[0][0], heads[1][0]])
    }

    /// For FF1: the chaining value before tweaks of `length` bytes, and how many whole blocks these have.
    pub(super) fn chain(&self, aes: &Aes, length: usize) -> Option<(u128, usize)> {
        match &self.tweaked {
            Tweaked::Ff1(shape) => Some((shape.chain(aes, length), shape.whole_blocks(length))),
            Tweaked::Ff3 => None,
        }
    }

    /// What the blocks of even and odd rounds share, for each of up to [`LANES`] tweaks.
    pub(super) fn heads<'t>(
        &self,
        aes: &Aes,
        memo: &mut ff1::Memo,
        tweaks: impl ExactSizeIterator<Item = &'t [u8]> + Clone,
        heads: &mut [[u128; LANES]; 2],
    ) {
        match &self.tweaked {
            Tweaked::Ff1(shape) => {
                let rows = tweaks.len();
                shape.heads(aes, memo, tweaks, &mut heads[0][..rows]);
                heads[1] = heads[0];
            }
            Tweaked::Ff3 => {
                for (lane, tweak) in tweaks.enumerate() {
                    (heads[0][lane], heads[1][lane]) = ff3_1::words(tweak);
                }
            }
        }
    }
}

impl<H: Half> Plan<H> {
    /// Reads the halves of rows.
    pub(super) fn num_rows<T: Numeral>(&self, numerals: &[T], left: &mut [H; BATCH], right: &mut [H; BATCH]) {
        arch::vector::run(NumRows {
            form: &self.form,
            numerals,
            least_first: self.draw == Draw::Reversed,
            left,
            right,
        });
    }

    /// Writes them back.
    pub(super) fn str_rows<T: Numeral>(&self, numerals: &mut [T], left: &[H; BATCH], right: &[H; BATCH]) {
        arch::vector::run(StrRows {
            form: &self.form,
            numerals,
            least_first: self.draw == Draw::Reversed,
            left,
            right,
        });
    }

    /// Numerals of the left and right half.
    pub(super) fn lengths(&self, n: usize) -> [usize; 2] {
        [self.left_length, n - self.left_length]
    }
}

/// What the blocks of even and odd rounds share.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack of a band: a box would be an allocation for 64 rows"
)]
#[derive(Clone)]
pub(super) enum Heads {
    /// The same in all rows.
    Shared([u128; 2]),
    /// Of each row.
    PerRow([[u128; LANES]; 2]),
}

/// Up to [`LANES`] values on their walk.
pub(super) struct Group<'a, H> {
    pub(super) rows: usize,
    /// All lanes hold halves of the shape, also those beyond `rows`.
    pub(super) left: &'a mut [H; LANES],
    pub(super) right: &'a mut [H; LANES],
    pub(super) heads: &'a Heads,
}

/// Up to [`BATCH`] values on their walk, as groups of which the last need not be full.
pub(super) struct Groups<'a, H> {
    pub(super) rows: usize,
    pub(super) left: &'a mut [[H; LANES]],
    pub(super) right: &'a mut [[H; LANES]],
    pub(super) heads: &'a [Heads],
}

impl<H> Groups<'_, H> {
    /// One by one.
    pub(super) fn each(&mut self) -> impl Iterator<Item = Group<'_, H>> {
        let halves = self.left.iter_mut().zip(&mut *self.right);
        let rows = self.rows;
        let groups = (0..rows).step_by(LANES).zip(halves).zip(self.heads);
        groups.map(move |((start, (left, right)), heads)| Group {
            rows: LANES.min(rows - start),
            left,
            right,
            heads,
        })
    }

    /// `count` at a time.
    pub(super) fn each_few(&mut self, count: usize) -> impl Iterator<Item = Groups<'_, H>> {
        let halves = self.left.chunks_mut(count).zip(self.right.chunks_mut(count));
        let (rows, most) = (self.rows, count * LANES);
        let groups = (0..rows).step_by(most).zip(halves).zip(self.heads.chunks(count));
        groups.map(move |((start, (left, right)), heads)| Groups {
            rows: most.min(rows - start),
            left,
            right,
            heads,
        })
    }
}

/// Rows that are read, walk and are written together: few enough for the first-level cache, so many that each of the three
/// is a loop of its own, which the processor overlaps with itself.
pub(super) const BATCH: usize = 8 * LANES;

/// Where values come from and go to.
pub(super) trait Rows<H: Half> {
    fn len(&self) -> usize;
    /// Reads the halves of `count` rows from `start` on.
    fn load(&mut self, plan: &Plan<H>, start: usize, count: usize, left: &mut [H; BATCH], right: &mut [H; BATCH]);
    /// Writes them back.
    fn store(&mut self, plan: &Plan<H>, start: usize, count: usize, left: &[H; BATCH], right: &[H; BATCH]);
}

/// Rows of `n` numerals.
pub(super) struct NumeralRows<'a> {
    pub(super) numerals: &'a mut [u16],
    pub(super) n: usize,
}

impl<H: Half> Rows<H> for NumeralRows<'_> {
    fn len(&self) -> usize {
        self.numerals.len() / self.n
    }

    fn load(&mut self, plan: &Plan<H>, start: usize, count: usize, left: &mut [H; BATCH], right: &mut [H; BATCH]) {
        plan.num_rows(&self.numerals[start * self.n..][..count * self.n], left, right);
    }

    fn store(&mut self, plan: &Plan<H>, start: usize, count: usize, left: &[H; BATCH], right: &[H; BATCH]) {
        plan.str_rows(&mut self.numerals[start * self.n..][..count * self.n], left, right);
    }
}

/// The tweaks of a batch, once checked.
#[derive(Clone, Copy)]
pub(super) enum RowTweaks<'a> {
    Shared(&'a [u8]),
    PerRow(&'a [&'a [u8]]),
    /// All of one length, one after the other.
    Packed {
        bytes: &'a [u8],
        length: usize,
    },
}

impl<'a> RowTweaks<'a> {
    /// The tweak of one row.
    pub(super) fn of(self, row: usize) -> &'a [u8] {
        match self {
            Self::Shared(tweak) => tweak,
            Self::PerRow(tweaks) => tweaks[row],
            Self::Packed { bytes, length } => &bytes[row * length..][..length],
        }
    }
}

/// Takes all `rows` through the walk.
pub(super) fn run<H: Half>(
    kernel: Kernel,
    aes: &Aes,
    plan: &Plan<H>,
    direction: Direction,
    tweaks: RowTweaks<'_>,
    rows: &mut impl Rows<H>,
) {
    let mut memo = ff1::Memo::default();
    let shared = match tweaks {
        RowTweaks::Shared(tweak) => plan.shared_heads(aes, tweak),
        RowTweaks::PerRow(_) | RowTweaks::Packed { .. } => Heads::Shared([0; 2]), // until the rows' own come
    };
    let mut heads: [Heads; BATCH / LANES] = std::array::from_fn(|_| shared.clone());
    let (mut left, mut right) = ([H::default(); BATCH], [H::default(); BATCH]);
    for start in (0..rows.len()).step_by(BATCH) {
        let count = BATCH.min(rows.len() - start);
        rows.load(plan, start, count, &mut left, &mut right);
        for (first, heads) in (0..count).step_by(LANES).zip(&mut heads) {
            let these = start + first..start + count.min(first + LANES);
            let mut per_row = [[0; LANES]; 2];
            match tweaks {
                RowTweaks::Shared(_) => break,
                RowTweaks::PerRow(tweaks) => {
                    plan.heads(aes, &mut memo, tweaks[these].iter().copied(), &mut per_row);
                }
                RowTweaks::Packed { bytes, length } => {
                    let tweaks = these.map(|row| &bytes[row * length..][..length]);
                    plan.heads(aes, &mut memo, tweaks, &mut per_row);
                }
            }
            *heads = Heads::PerRow(per_row);
        }
        let mut groups = Groups {
            rows: count,
            left: left.as_chunks_mut().0,
            right: right.as_chunks_mut().0,
            heads: &heads,
        };
        arch::walk(kernel, aes, plan, direction, &mut groups);
        rows.store(plan, start, count, &left, &right);
    }
}
