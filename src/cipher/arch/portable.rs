//! The lanes in plain Rust. Inside the closure that the crate `aes` calls, the arithmetic too is compiled for the
//! processor features that it found.

use aes::Block;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{Array, BlockCipherEncBackend, BlockCipherEncClosure, BlockSizeUser};

use crate::cipher::Direction;
use crate::cipher::feistel;
use crate::cipher::key::Aes;
use crate::cipher::lanes::{Draw, Group, Half, Heads, LANES, Modulus64, Modulus128, Plan};
use crate::cipher::modulus::mask;

/// Takes `group` through all rounds inside one call of AES.
pub(crate) fn walk<H: Half>(aes: &Aes, plan: &Plan<H>, direction: Direction, group: &mut Group<'_, H>) {
    aes.with_backend(Walk { plan, direction, group });
}

/// The end of a round: the changed halves ± y mod radix^m.
pub(crate) trait Step: Sized {
    /// `ends` are the second blocks of S, where there are any.
    fn step(
        halves: &mut [Self],
        modulus: &<Self as Half>::Modulus,
        draw: Draw,
        direction: Direction,
        blocks: &[Block],
        ends: &[Block],
    ) where
        Self: Half;
}

struct Walk<'a, 'g, H: Half> {
    plan: &'a Plan<H>,
    direction: Direction,
    group: &'a mut Group<'g, H>,
}

impl<H: Half> BlockSizeUser for Walk<'_, '_, H> {
    type BlockSize = U16;
}

impl<H: Half> BlockCipherEncClosure for Walk<'_, '_, H> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let (plan, direction) = (self.plan, self.direction);
        let Group {
            rows,
            left,
            right,
            heads,
        } = self.group;
        let rows = (*rows).min(LANES);
        let spread;
        let heads = match heads {
            Heads::Shared([even, odd]) => {
                spread = [[*even; LANES], [*odd; LANES]];
                &spread
            }
            Heads::PerRow(heads) => heads,
        };
        let mut blocks = [Block::default(); LANES];
        let mut ends = [Block::default(); LANES];
        let two = plan.draw == Draw::First { d: 20 };
        feistel::walk(direction, plan.rounds, *left, *right, |i, changed, fixed| {
            let heads = &heads[usize::from(i % 2)][..rows];
            let round = u128::from(i) << plan.round_shift;
            if plan.split {
                for (block, head) in blocks.iter_mut().zip(heads) {
                    *block = plan.draw.block(head ^ round);
                }
                encrypt(backend, &mut blocks, rows);
                for (block, half) in blocks.iter_mut().zip(&fixed[..rows]) {
                    *block = plan.draw.block(u128::from_be_bytes(block.0) ^ half.wide());
                }
            } else {
                for ((block, head), half) in blocks.iter_mut().zip(heads).zip(&fixed[..rows]) {
                    *block = plan.draw.block(head ^ round ^ half.wide());
                }
            }
            encrypt(backend, &mut blocks, rows);
            if two {
                for (end, block) in ends.iter_mut().zip(&blocks[..rows]) {
                    *end = plan.draw.block(u128::from_be_bytes(block.0) ^ 1);
                }
                encrypt(backend, &mut ends, rows);
            }
            let modulus = if i % 2 == 0 { &plan.left } else { &plan.right };
            H::step(
                &mut changed[..rows],
                modulus,
                plan.draw,
                direction,
                &blocks[..rows],
                &ends[..rows],
            );
        });
    }
}

impl Step for u64 {
    #[inline(always)]
    fn step(
        halves: &mut [u64],
        modulus: &Modulus64,
        draw: Draw,
        direction: Direction,
        blocks: &[Block],
        _ends: &[Block],
    ) {
        match modulus {
            Modulus64::Mask(mask) => each(halves, blocks, |half, block| {
                let y = draw.y(block) as u64;
                mask & match direction {
                    Direction::Encrypt => half.wrapping_add(y),
                    Direction::Decrypt => half.wrapping_sub(y),
                }
            }),
            Modulus64::Short(short) => {
                each(halves, blocks, |half, block| {
                    join(direction, half, short.rem(be(block, 0)), short.m)
                });
            }
            Modulus64::Twice(short) => each(halves, blocks, |half, block| {
                let above = short.rem(be(block, 0));
                let y = short.rem(above << 32 | be(block, 4) & 0xffff_ffff);
                join(direction, half, y, short.m)
            }),
            Modulus64::Medium(medium) => each(halves, blocks, |half, block| {
                join(direction, half, medium.rem(be(block, 0), be(block, 4)), medium.m)
            }),
            Modulus64::Tall(tall) => match direction {
                Direction::Encrypt => each(halves, blocks, |half, block| {
                    tall.add(half.into(), be(block, 0), draw.y(block)) as u64
                }),
                Direction::Decrypt => each(halves, blocks, |half, block| {
                    tall.sub(half.into(), be(block, 0), draw.y(block)) as u64
                }),
            },
            Modulus64::Any(barrett) => each(halves, blocks, |half, block| {
                join_wide(direction, half.into(), barrett.rem(draw.y(block)), barrett.m) as u64
            }),
        }
    }
}

impl Step for u128 {
    #[inline(always)]
    fn step(
        halves: &mut [u128],
        modulus: &Modulus128,
        draw: Draw,
        direction: Direction,
        blocks: &[Block],
        ends: &[Block],
    ) {
        match modulus {
            Modulus128::Mask(mask) => {
                let two = draw == Draw::First { d: 20 };
                for ((half, block), end) in halves.iter_mut().zip(blocks).zip(ends) {
                    let y = draw.y(block);
                    let y = if two { y << 32 | u128::from(end32(end)) } else { y };
                    *half = mask
                        & match direction {
                            Direction::Encrypt => half.wrapping_add(y),
                            Direction::Decrypt => half.wrapping_sub(y),
                        };
                }
            }
            Modulus128::Tall(tall) => match direction {
                Direction::Encrypt => {
                    tall_step(halves, draw, blocks, ends, |half, high, low| tall.add(half, high, low))
                }
                Direction::Decrypt => {
                    tall_step(halves, draw, blocks, ends, |half, high, low| tall.sub(half, high, low))
                }
            },
            Modulus128::Any(barrett) => each(halves, blocks, |half, block| {
                join_wide(direction, half, barrett.rem(draw.y(block)), barrett.m)
            }),
            Modulus128::Long(long) => {
                for ((half, block), end) in halves.iter_mut().zip(blocks).zip(ends) {
                    let y = long.rem(draw.y(block), end32(end));
                    *half = join_wide(direction, *half, y, long.barrett.m);
                }
            }
        }
    }
}

/// CIPH_K of the first `rows` blocks, and of others if that is quicker.
#[inline(always)]
fn encrypt<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, blocks: &mut [Block; LANES], rows: usize) {
    let wide = B::ParBlocksSize::USIZE;
    // Backends take a part of their width block by block: from an eighth of it, a full width is quicker.
    let fill = rows % wide > wide / 8 && rows.next_multiple_of(wide) <= LANES;
    let count = if fill { rows.next_multiple_of(wide) } else { rows };
    let (chunks, rest) = Array::slice_as_chunks_mut(&mut blocks[..count]);
    for chunk in chunks {
        backend.encrypt_par_blocks_inplace(chunk);
    }
    if !rest.is_empty() {
        backend.encrypt_tail_blocks_inplace(rest);
    }
}

#[inline(always)]
fn each<H: Half>(halves: &mut [H], blocks: &[Block], step: impl Fn(H, &Block) -> H) {
    for (half, block) in halves.iter_mut().zip(blocks) {
        *half = step(*half, block);
    }
}

/// Joins each half with its y, given as its first 64 bits and its last 128.
#[inline(always)]
fn tall_step(
    halves: &mut [u128],
    draw: Draw,
    blocks: &[Block],
    ends: &[Block],
    join: impl Fn(u128, u64, u128) -> u128,
) {
    let one = |half, y: u128| join(half, (y >> 64) as u64, y);
    match draw {
        Draw::First { d: 20 } => {
            for ((half, block), end) in halves.iter_mut().zip(blocks).zip(ends) {
                let y = u128::from_be_bytes(block.0);
                *half = join(*half, (y >> 64) as u64, y << 32 | u128::from(end32(end)));
            }
        }
        Draw::First { .. } => each(halves, blocks, |half, block| one(half, u128::from_be_bytes(block.0))),
        Draw::Reversed => each(halves, blocks, |half, block| one(half, u128::from_le_bytes(block.0))),
    }
}

/// (half ± y) mod m for half, y < m ≤ 2^62.
#[inline(always)]
fn join(direction: Direction, half: u64, y: u64, m: u64) -> u64 {
    // half + y − m = half − (m − y): either way a subtraction, and m added where it wraps. A wrapped difference is at
    // least 2^64 − m and comes out below m after that; another one is below m and would grow.
    let rest = half.wrapping_sub(match direction {
        Direction::Encrypt => m - y,
        Direction::Decrypt => y,
    });
    rest.min(rest.wrapping_add(m))
}

/// (half ± y) mod m for half, y < m < 2^128.
#[inline(always)]
fn join_wide(direction: Direction, half: u128, y: u128, m: u128) -> u128 {
    let (rest, borrow) = half.overflowing_sub(match direction {
        Direction::Encrypt => m - y,
        Direction::Decrypt => y,
    });
    rest.wrapping_add(m & mask(borrow))
}

/// Eight bytes from `start` on, most significant first.
#[inline(always)]
fn be(block: &Block, start: usize) -> u64 {
    let x = u128::from_be_bytes(block.0);
    (x >> (64 - 8 * start)) as u64
}

/// The last four bytes of a y of 20.
#[inline(always)]
fn end32(end: &Block) -> u32 {
    (be(end, 0) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_are_sums_and_differences() {
        for m in [2, 3, 1000, (1 << 32) + 1, 1 << 62] {
            for half in [0, 1, m / 2, m - 1] {
                for y in [0, 1, m / 2, m - 1] {
                    let sum = ((u128::from(half) + u128::from(y)) % u128::from(m)) as u64;
                    assert_eq!(join(Direction::Encrypt, half, y, m), sum);
                    assert_eq!(join(Direction::Decrypt, sum, y, m), half);
                    let (half, y, m) = (u128::from(half), u128::from(y), u128::from(m));
                    assert_eq!(join_wide(Direction::Encrypt, half, y, m), sum.into());
                    assert_eq!(join_wide(Direction::Decrypt, sum.into(), y, m), half);
                }
            }
        }
        let m = u128::MAX;
        assert_eq!(join_wide(Direction::Encrypt, m - 1, m - 1, m), m - 2);
        assert_eq!(join_wide(Direction::Decrypt, m - 2, m - 1, m), m - 1);
    }
}
