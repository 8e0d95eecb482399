//! Many values of one shape, side by side: the halves as integers of 64 or 128 bits, all rounds in one call of AES.

use aes::Block;

use super::arch;
use super::key::Aes;
use super::modulus::{Barrett, Long, Medium, Short};
use super::numeral;
use super::{Direction, Kernel, Mode, Radix, ff1, ff3_1};

/// Values that walk together: the blocks that the widest backend of the crate `aes` takes in one call.
pub(super) const LANES: usize = 64;

/// An integer that holds a half of a message.
pub(super) trait Half: Copy + Default + arch::portable::Step {
    /// How to reduce modulo radix^m.
    type Modulus: Copy;
    /// How to read and write m numerals.
    type Form: Copy;

    fn modulus(highest: u128, draw: Draw) -> Self::Modulus;
    fn form(radix: Radix, m: usize) -> Self::Form;
    fn num(form: &Self::Form, numerals: &[u16], least_first: bool) -> Self;
    fn str(self, form: &Self::Form, numerals: &mut [u16], least_first: bool);
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
    /// y of 96 bits.
    Medium(Medium),
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
            _ => Modulus64::Any(Barrett::new(m)),
        }
    }

    fn form(radix: Radix, m: usize) -> Self::Form {
        numeral::Short::new(radix, m)
    }

    #[inline(always)]
    fn num(form: &Self::Form, numerals: &[u16], least_first: bool) -> Self {
        numeral::num_of(*form, numerals, least_first)
    }

    #[inline(always)]
    fn str(self, form: &Self::Form, numerals: &mut [u16], least_first: bool) {
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
    /// y of up to 128 bits.
    Any(Barrett),
    /// y of 160 bits.
    Long(Long),
}

impl Half for u128 {
    type Modulus = Modulus128;
    type Form = numeral::Long;

    fn modulus(highest: u128, draw: Draw) -> Modulus128 {
        match highest.checked_add(1) {
            Some(m) if !m.is_power_of_two() && draw == (Draw::First { d: 20 }) => Modulus128::Long(Long::new(m)),
            Some(m) if !m.is_power_of_two() => Modulus128::Any(Barrett::new(m)),
            _ => Modulus128::Mask(highest),
        }
    }

    fn form(radix: Radix, m: usize) -> Self::Form {
        numeral::Long::new(radix, m)
    }

    #[inline(always)]
    fn num(form: &Self::Form, numerals: &[u16], least_first: bool) -> Self {
        form.num(numerals, least_first)
    }

    #[inline(always)]
    fn str(self, form: &Self::Form, numerals: &mut [u16], least_first: bool) {
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
    aes_heads: Heads,
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

enum Heads {
    Ff1(ff1::Shape),
    Ff3,
}

impl<H: Half> Plan<H> {
    /// A plan for messages of `n` numerals; both halves must fit `H`.
    pub(super) fn new(mode: Mode, radix: Radix, n: usize) -> Self {
        let (aes_heads, rounds, draw, round_shift, split, u) = match mode {
            Mode::Ff1 => {
                let shape = ff1::Shape::new(radix, n);
                let (draw, shift) = (Draw::First { d: shape.d }, shape.round_shift());
                let (split, u) = (shape.b == 16, shape.u);
                (Heads::Ff1(shape), ff1::ROUNDS, draw, shift, split, u)
            }
            Mode::Ff3_1 | Mode::Ff3 => {
                let u = ff3_1::left_length(n);
                (Heads::Ff3, ff3_1::ROUNDS, Draw::Reversed, ff3_1::ROUND_SHIFT, false, u)
            }
        };
        let modulus = |m| H::modulus(radix.highest(m).expect("halves were measured"), draw);
        Self {
            aes_heads,
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

    /// What the blocks of even and odd rounds share, for each tweak.
    fn heads(&self, aes: &Aes, memo: &mut ff1::Memo, tweaks: &[&[u8]], heads: &mut [[u128; LANES]; 2]) {
        match &self.aes_heads {
            Heads::Ff1(shape) => {
                shape.heads(aes, memo, tweaks, &mut heads[0][..tweaks.len()]);
                heads[1] = heads[0];
            }
            Heads::Ff3 => {
                for (lane, tweak) in tweaks.iter().enumerate() {
                    (heads[0][lane], heads[1][lane]) = ff3_1::words(tweak);
                }
            }
        }
    }
}

/// Up to `LANES` values on their walk.
pub(super) struct Group<H> {
    pub(super) rows: usize,
    pub(super) left: [H; LANES],
    pub(super) right: [H; LANES],
    /// For even and odd rounds.
    pub(super) heads: [[u128; LANES]; 2],
}

/// Where values come from and go to.
pub(super) trait Rows<H: Half> {
    fn len(&self) -> usize;
    fn load(&self, plan: &Plan<H>, row: usize) -> (H, H);
    fn store(&mut self, plan: &Plan<H>, row: usize, left: H, right: H);
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

    #[inline(always)]
    fn load(&self, plan: &Plan<H>, row: usize) -> (H, H) {
        let (left, right) = self.numerals[row * self.n..][..self.n].split_at(plan.left_length);
        let least_first = plan.draw == Draw::Reversed;
        (
            H::num(&plan.left_form, left, least_first),
            H::num(&plan.right_form, right, least_first),
        )
    }

    #[inline(always)]
    fn store(&mut self, plan: &Plan<H>, row: usize, left: H, right: H) {
        let (to_left, to_right) = self.numerals[row * self.n..][..self.n].split_at_mut(plan.left_length);
        let least_first = plan.draw == Draw::Reversed;
        left.str(&plan.left_form, to_left, least_first);
        right.str(&plan.right_form, to_right, least_first);
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

    #[inline(always)]
    fn load(&self, plan: &Plan<u64>, row: usize) -> (u64, u64) {
        let right = self.bits - plan.left_length as u32;
        let value = self.values[row];
        ((value >> right) as u64, (value & (u128::MAX >> (128 - right))) as u64)
    }

    #[inline(always)]
    fn store(&mut self, plan: &Plan<u64>, row: usize, left: u64, right: u64) {
        let width = self.bits - plan.left_length as u32;
        self.values[row] = u128::from(left) << width | u128::from(right);
    }
}

/// The tweaks of a batch, once checked.
#[derive(Clone, Copy)]
pub(super) enum RowTweaks<'a> {
    Shared(&'a [u8]),
    PerRow(&'a [&'a [u8]]),
}

impl<'a> RowTweaks<'a> {
    /// The tweak of one row.
    pub(super) fn of(self, row: usize) -> &'a [u8] {
        match self {
            Self::Shared(tweak) => tweak,
            Self::PerRow(tweaks) => tweaks[row],
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
    let mut group = Group {
        rows: 0,
        left: [H::default(); LANES],
        right: [H::default(); LANES],
        heads: [[0; LANES]; 2],
    };
    if let RowTweaks::Shared(tweak) = tweaks {
        plan.heads(aes, &mut memo, &[tweak], &mut group.heads);
        for heads in &mut group.heads {
            *heads = [heads[0]; LANES];
        }
    }
    for start in (0..rows.len()).step_by(LANES) {
        group.rows = LANES.min(rows.len() - start);
        if let RowTweaks::PerRow(tweaks) = tweaks {
            plan.heads(aes, &mut memo, &tweaks[start..start + group.rows], &mut group.heads);
        }
        for lane in 0..group.rows {
            (group.left[lane], group.right[lane]) = rows.load(plan, start + lane);
        }
        arch::walk(kernel, aes, plan, direction, &mut group);
        for lane in 0..group.rows {
            rows.store(plan, start + lane, group.left[lane], group.right[lane]);
        }
    }
}
