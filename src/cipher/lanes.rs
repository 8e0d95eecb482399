//! Many values of one shape, side by side: the halves as integers of 64 or 128 bits, all rounds in one call of AES.

use aes::Block;

use super::arch;
use super::key::Aes;
use super::modulus::{Barrett, Long, Medium, Short, Tall};
use super::numeral::{self, Numeral};
use super::{Direction, Kernel, Mode, Radix, ff1, ff3_1};

/// Values that walk together: the blocks that the widest backend of the crate `aes` takes in one call.
pub(super) const LANES: usize = 64;

/// An integer that holds a half of a message.
pub(super) trait Half: Copy + Default + arch::Native + arch::portable::Step {
    /// How to reduce modulo radix^m.
    type Modulus: Copy;
    /// How to read and write m numerals.
    type Form: Copy;

    fn modulus(highest: u128, draw: Draw) -> Self::Modulus;
    fn form(radix: Radix, m: usize) -> Self::Form;
    fn num<T: Numeral>(form: &Self::Form, numerals: &[T], least_first: bool) -> Self;
    fn str<T: Numeral>(self, form: &Self::Form, numerals: &mut [T], least_first: bool);
    fn wide(self) -> u128;
}

/// Reduces modulo radix^m ≤ 2^64; each knows the widest y it gets.
#[derive(Clone, Copy)]
pub(super) enum Modulus64 {
    /// A power of two, as its mask.
    Mask(u64),
    /// y of 64 bits.
    Short(Short),
    /// y of 96 bits and radix^m ≤ 2^32: first the upper 64 bits, then their remainder and the lower 32.
    Twice(Short),
    /// y of 96 bits and radix^m ≤ 2^62.
    Medium(Medium),
    /// y of 96 bits.
    Tall(Tall),
    /// y of up to 128 bits.
    Any(Barrett),
}

impl Half for u64 {
    type Modulus = Modulus64;
    type Form = numeral::Short;

    fn modulus(highest: u128, draw: Draw) -> Modulus64 {
        let m = highest + 1;
        match u64::try_from(m) {
            _ if m.is_power_of_two() => Modulus64::Mask(highest as u64),
            Ok(m) if draw == (Draw::First { d: 8 }) => Modulus64::Short(Short::new(m)),
            Ok(m) if draw == (Draw::First { d: 12 }) && m < 1 << 32 => Modulus64::Twice(Short::new(m)),
            Ok(m) if draw == (Draw::First { d: 12 }) && m > 1 << 32 && m < 1 << 62 => Modulus64::Medium(Medium::new(m)),
            _ if draw == (Draw::First { d: 12 }) => {
                Tall::new(m, 96).map_or_else(|| Modulus64::Any(Barrett::new(m)), Modulus64::Tall)
            }
            _ => Modulus64::Any(Barrett::new(m)),
        }
    }

    fn form(radix: Radix, m: usize) -> Self::Form {
        numeral::Short::new(radix, m)
    }

    #[inline(always)]
    fn num<T: Numeral>(form: &Self::Form, numerals: &[T], least_first: bool) -> Self {
        numeral::num_of(*form, numerals, least_first)
    }

    #[inline(always)]
    fn str<T: Numeral>(self, form: &Self::Form, numerals: &mut [T], least_first: bool) {
        numeral::str_of(*form, self, numerals, least_first);
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
    type Form = numeral::Long;

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

    fn form(radix: Radix, m: usize) -> Self::Form {
        numeral::Long::new(radix, m)
    }

    #[inline(always)]
    fn num<T: Numeral>(form: &Self::Form, numerals: &[T], least_first: bool) -> Self {
        form.num(numerals, least_first)
    }

    #[inline(always)]
    fn str<T: Numeral>(self, form: &Self::Form, numerals: &mut [T], least_first: bool) {
        form.str(self, numerals, least_first);
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
    /// The block that holds the integer `x`.
    #[inline(always)]
    pub(super) fn block(self, x: u128) -> Block {
        Block::from(match self {
            Self::First { .. } => x.to_be_bytes(),
            Self::Reversed => x.to_le_bytes(),
        })
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
    left_form: H::Form,
    right_form: H::Form,
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
            left_form: H::form(radix, u),
            right_form: H::form(radix, n - u),
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
    /// Reads the halves of rows of `n` numerals.
    pub(super) fn num_rows<T: Numeral>(&self, numerals: &[T], n: usize, left: &mut [H; BATCH], right: &mut [H; BATCH]) {
        // One loop for each order, so that neither asks in every row.
        match self.draw {
            Draw::Reversed => self.num_rows_in(true, numerals, n, left, right),
            Draw::First { .. } => self.num_rows_in(false, numerals, n, left, right),
        }
    }

    #[inline(always)]
    fn num_rows_in<T: Numeral>(
        &self,
        least_first: bool,
        numerals: &[T],
        n: usize,
        left: &mut [H; BATCH],
        right: &mut [H; BATCH],
    ) {
        let halves = left.iter_mut().zip(right);
        for ((left, right), row) in halves.zip(numerals.chunks_exact(n)) {
            let (numerals_left, numerals_right) = row.split_at(self.left_length);
            *left = H::num(&self.left_form, numerals_left, least_first);
            *right = H::num(&self.right_form, numerals_right, least_first);
        }
    }

    /// Writes them back.
    pub(super) fn str_rows<T: Numeral>(&self, numerals: &mut [T], n: usize, left: &[H; BATCH], right: &[H; BATCH]) {
        match self.draw {
            Draw::Reversed => self.str_rows_in(true, numerals, n, left, right),
            Draw::First { .. } => self.str_rows_in(false, numerals, n, left, right),
        }
    }

    #[inline(always)]
    fn str_rows_in<T: Numeral>(
        &self,
        least_first: bool,
        numerals: &mut [T],
        n: usize,
        left: &[H; BATCH],
        right: &[H; BATCH],
    ) {
        let halves = left.iter().zip(right);
        for ((left, right), row) in halves.zip(numerals.chunks_exact_mut(n)) {
            let (to_left, to_right) = row.split_at_mut(self.left_length);
            left.str(&self.left_form, to_left, least_first);
            right.str(&self.right_form, to_right, least_first);
        }
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
pub(super) enum Heads {
    /// The same in all rows.
    Shared([u128; 2]),
    /// Of each row.
    PerRow([[u128; LANES]; 2]),
}

/// Up to `LANES` values on their walk.
pub(super) struct Group<'a, H> {
    pub(super) rows: usize,
    /// All lanes hold halves of the shape, also those beyond `rows`.
    pub(super) left: &'a mut [H; LANES],
    pub(super) right: &'a mut [H; LANES],
    pub(super) heads: &'a Heads,
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
        plan.num_rows(&self.numerals[start * self.n..][..count * self.n], self.n, left, right);
    }

    fn store(&mut self, plan: &Plan<H>, start: usize, count: usize, left: &[H; BATCH], right: &[H; BATCH]) {
        plan.str_rows(
            &mut self.numerals[start * self.n..][..count * self.n],
            self.n,
            left,
            right,
        );
    }
}

/// Integers of `bits` bits, each a message of as many binary numerals.
pub(super) struct BitRows<'a> {
    pub(super) values: &'a mut [u128],
    pub(super) bits: u32,
}

impl Rows<u64> for BitRows<'_> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn load(
        &mut self,
        plan: &Plan<u64>,
        start: usize,
        count: usize,
        left: &mut [u64; BATCH],
        right: &mut [u64; BATCH],
    ) {
        let width = self.bits - plan.left_length as u32;
        for ((left, right), value) in left.iter_mut().zip(right).zip(&self.values[start..][..count]) {
            *left = (value >> width) as u64;
            *right = (value & (u128::MAX >> (128 - width))) as u64;
        }
    }

    fn store(&mut self, plan: &Plan<u64>, start: usize, count: usize, left: &[u64; BATCH], right: &[u64; BATCH]) {
        let width = self.bits - plan.left_length as u32;
        for ((left, right), value) in left.iter().zip(right).zip(&mut self.values[start..][..count]) {
            *value = u128::from(*left) << width | u128::from(*right);
        }
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
    let mut per_row = [[0; LANES]; 2];
    let mut heads = Heads::Shared([0; 2]);
    if let RowTweaks::Shared(tweak) = tweaks {
        heads = plan.shared_heads(aes, tweak);
    }
    let (mut left, mut right) = ([H::default(); BATCH], [H::default(); BATCH]);
    for start in (0..rows.len()).step_by(BATCH) {
        let count = BATCH.min(rows.len() - start);
        rows.load(plan, start, count, &mut left, &mut right);
        let (lefts, _) = left.as_chunks_mut::<LANES>();
        let (rights, _) = right.as_chunks_mut::<LANES>();
        for ((first, left), right) in (0..count).step_by(LANES).zip(lefts).zip(rights) {
            let lanes = LANES.min(count - first);
            let at = start + first;
            match tweaks {
                RowTweaks::Shared(_) => {}
                RowTweaks::PerRow(tweaks) => {
                    plan.heads(aes, &mut memo, tweaks[at..at + lanes].iter().copied(), &mut per_row);
                    heads = Heads::PerRow(per_row);
                }
                RowTweaks::Packed { bytes, length } => {
                    let tweaks = (at..at + lanes).map(|row| &bytes[row * length..][..length]);
                    plan.heads(aes, &mut memo, tweaks, &mut per_row);
                    heads = Heads::PerRow(per_row);
                }
            }
            let mut group = Group {
                rows: lanes,
                left,
                right,
                heads: &heads,
            };
            arch::walk(kernel, aes, plan, direction, &mut group);
        }
        rows.store(plan, start, count, &left, &right);
    }
}
