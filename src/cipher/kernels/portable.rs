//! The lanes in plain Rust: loops over many rows, of which the compiler makes vector code, between calls of the
//! crate `aes`.

use aes::Block;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{Array, BlockCipherEncBackend, BlockCipherEncClosure, BlockSizeUser};

use crate::arith::barrett::mask;

use cipherform_simd::multiversion;

use crate::arith::barrett::{Barrett32, LOW};
use crate::batch::chunk::Chunk;
use crate::batch::half::{ByteOrder, Half, Modulus64, Modulus128};
use crate::batch::plan::ShapePlan;
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;
use crate::spec::feistel;
use crate::spec::key::Aes;
use crate::spec::types::Direction;

/// Blocks of lanes that go through the rounds together. In each round all their blocks go through AES before the
/// arithmetic waits for the first, and the other way round: with fewer, the processor waits more; with more, the
/// first-level cache has no room.
const FEW: usize = 4;

/// Rows that go through the rounds together.
const ROWS: usize = FEW * LANES;

/// Takes `chunk` through all rounds, a few inside one call of AES.
pub(crate) fn run<H: EndRound>(aes: &Aes, plan: &ShapePlan<H>, direction: Direction, chunk: &mut Chunk<'_, H>) {
    // One call of the closure for all rounds: the backend of AES is chosen once for 256 rows, and not once a round.
    for chunk in chunk.split(FEW) {
        aes.with_backend(AllRounds { plan, direction, chunk });
    }
}

/// The end of a round: the changed halves ± y mod radix^m.
pub(crate) trait EndRound: Half {
    /// `ends` are the second blocks of S, where there are any.
    fn end_round(
        halves: &mut [Self],
        modulus: &Self::Modulus,
        order: ByteOrder,
        direction: Direction,
        blocks: &[Block],
        ends: &[Block],
    );
}

struct AllRounds<'a, 'g, H: EndRound> {
    plan: &'a ShapePlan<H>,
    direction: Direction,
    chunk: Chunk<'g, H>,
}

impl<H: EndRound> BlockSizeUser for AllRounds<'_, '_, H> {
    type BlockSize = U16;
}

impl<H: EndRound> BlockCipherEncClosure for AllRounds<'_, '_, H> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let (plan, order, prefixes) = (self.plan, self.plan.order, self.chunk.prefixes);
        // 4 KiB of blocks and 4 KiB of their ends: with the halves, 4 or 8 KiB, and the prefixes of rows that have
        // their own, 8 KiB, all of it fits a first-level cache of 32 KiB.
        let rows = self.chunk.rows.min(ROWS);
        let mut blocks = [Block::default(); ROWS];
        let mut ends = [Block::default(); ROWS];
        // d = 20 means b > 12, so that halves have more than 64 bits. The first condition is known to the compiler,
        // which can leave the second AES out of the code for `u64`.
        let two = size_of::<H>() > 8 && order == ByteOrder::BigEndian { d: 20 };
        let Chunk { left, right, .. } = self.chunk;
        // The plan is public and the same for all rows: which of the following steps run depends on no value.
        feistel::rounds(self.direction, plan.rounds, left, right, |i, changed, fixed| {
            let changed = &mut changed.as_flattened_mut()[..rows];
            let fixed = &fixed.as_flattened()[..rows];
            // FF1 steps 6.i and 6.ii, FF3-1 steps 4.ii and 4.iii: the block that ends with NUM(B), and AES of it.
            multiversion::run(FillBlocks {
                plan,
                i,
                prefixes,
                fixed,
                blocks: &mut blocks,
            });
            encrypt(backend, &mut blocks, rows);
            // NUM(B) of 16 bytes fills a block of its own: the CBC-MAC goes on with it.
            if plan.split {
                for (block, half) in blocks.iter_mut().zip(fixed) {
                    order.write(u128::from_be_bytes(block.0) ^ half.wide(), block);
                }
                encrypt(backend, &mut blocks, rows);
            }
            // S of 20 bytes is R and the first bytes of CIPH(R ⊕ [1]^16).
            if two {
                for (end, block) in ends.iter_mut().zip(&blocks[..rows]) {
                    order.write(u128::from_be_bytes(block.0) ^ 1, end);
                }
                encrypt(backend, &mut ends, rows);
            }
            // FF1 steps 6.iv to 6.vii, FF3-1 steps 4.iv and 4.v: y, and (NUM(A) ± y) mod radix^m. The halves stay
            // numbers: STR and NUM of every round undo each other.
            multiversion::run(EndRounds {
                modulus: if i % 2 == 0 { &plan.left } else { &plan.right },
                order,
                direction: self.direction,
                changed,
                blocks: &blocks[..rows],
                ends: &ends[..rows],
            });
        });
    }
}

/// The beginning of a round: the blocks, with what their prefixes have in them and the fixed halves, unless these
/// come later.
struct FillBlocks<'a, H: EndRound> {
    plan: &'a ShapePlan<H>,
    i: u8,
    prefixes: &'a [Prefixes],
    fixed: &'a [H],
    blocks: &'a mut [Block; ROWS],
}

impl<H: EndRound> multiversion::MultiversionTask for FillBlocks<'_, H> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let plan = self.plan;
        let (parity, round) = (usize::from(self.i % 2), u128::from(self.i) << plan.round_shift);
        let groups = self.blocks.chunks_mut(LANES).zip(self.fixed.chunks(LANES));
        // The prefix is known up to the round number, which is the same for all rows. It is added (exclusive or)
        // and not put in: FF1's prefix is a chaining value with bits everywhere, and FF3-1's holds W, to which step
        // 4.ii adds i.
        for ((blocks, fixed), prefixes) in groups.zip(self.prefixes) {
            // This block then ends with [i], and NUM(B) is added to what AES makes of it: zeros in its place here
            // keep one loop for both cases.
            let fixed = if plan.split {
                &[H::default(); LANES][..fixed.len()]
            } else {
                fixed
            };
            // One loop for each order, so that none asks in every row.
            match (prefixes, plan.order) {
                (Prefixes::Shared(prefixes), ByteOrder::BigEndian { .. }) => {
                    let prefix = prefixes[parity] ^ round;
                    for (block, half) in blocks.iter_mut().zip(fixed) {
                        ByteOrder::BIG_ENDIAN.write(prefix ^ half.wide(), block);
                    }
                }
                (Prefixes::Shared(prefixes), ByteOrder::LittleEndian) => {
                    let prefix = prefixes[parity] ^ round;
                    for (block, half) in blocks.iter_mut().zip(fixed) {
                        ByteOrder::LittleEndian.write(prefix ^ half.wide(), block);
                    }
                }
                (Prefixes::PerRow(prefixes), ByteOrder::BigEndian { .. }) => {
                    for ((block, prefix), half) in blocks.iter_mut().zip(&prefixes[parity]).zip(fixed) {
                        ByteOrder::BIG_ENDIAN.write(prefix ^ round ^ half.wide(), block);
                    }
                }
                (Prefixes::PerRow(prefixes), ByteOrder::LittleEndian) => {
                    for ((block, prefix), half) in blocks.iter_mut().zip(&prefixes[parity]).zip(fixed) {
                        ByteOrder::LittleEndian.write(prefix ^ round ^ half.wide(), block);
                    }
                }
            }
        }
    }
}

/// The end of a round: [`EndRound::end_round`].
struct EndRounds<'a, H: EndRound> {
    modulus: &'a H::Modulus,
    order: ByteOrder,
    direction: Direction,
    changed: &'a mut [H],
    blocks: &'a [Block],
    ends: &'a [Block],
}

impl<H: EndRound> multiversion::MultiversionTask for EndRounds<'_, H> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        H::end_round(
            self.changed,
            self.modulus,
            self.order,
            self.direction,
            self.blocks,
            self.ends,
        );
    }
}

impl EndRound for u64 {
    #[inline(always)]
    fn end_round(
        halves: &mut [u64],
        modulus: &Modulus64,
        order: ByteOrder,
        direction: Direction,
        blocks: &[Block],
        _ends: &[Block],
    ) {
        match modulus {
            Modulus64::Mask(mask) => each(halves, blocks, |half, block| {
                // A power of two up to 2^64: bits of y above it do not matter, and carries beyond 64 bits may be
                // lost, so that the lower 64 bits of y are all that is needed.
                let y = order.y(block) as u64;
                mask & match direction {
                    Direction::Encrypt => half.wrapping_add(y),
                    Direction::Decrypt => half.wrapping_sub(y),
                }
            }),
            // One loop for each class of modulus and each direction: what is the same for all rows is decided once.
            Modulus64::Short(short) => match direction {
                Direction::Encrypt => each(halves, blocks, |half, block| short.add(half, be(block, 0))),
                Direction::Decrypt => each(halves, blocks, |half, block| short.sub(half, be(block, 0))),
            },
            // Schoolbook division with digits of 32 bits, from the top: what the upper digits leave is below M <
            // 2^32, and takes its place before the next digit.
            Modulus64::Twice(short) => match direction {
                Direction::Encrypt => each(halves, blocks, |half, block| short.add(half, fold_96(short, block))),
                Direction::Decrypt => each(halves, blocks, |half, block| short.sub(half, fold_96(short, block))),
            },
            Modulus64::Thrice(short) => match direction {
                Direction::Encrypt => each(halves, blocks, |half, block| short.add(half, fold_128(short, block))),
                Direction::Decrypt => each(halves, blocks, |half, block| short.sub(half, fold_128(short, block))),
            },
            // Bytes 0 to 7 are ⌊y/2^32⌋, bytes 4 to 11 are y mod 2^64: both in 64 bits, as there are no vectors of
            // 96 or 128.
            Modulus64::Medium(medium) => match direction {
                Direction::Encrypt => each(halves, blocks, |half, block| {
                    medium.add(half, be(block, 0), be(block, 0) << 32 | be(block, 8) >> 32)
                }),
                Direction::Decrypt => each(halves, blocks, |half, block| {
                    medium.sub(half, be(block, 0), be(block, 0) << 32 | be(block, 8) >> 32)
                }),
            },
            // The result is below M ≤ 2^64, so that the cast loses nothing; the sums before it need more than 64
            // bits. These loops are scalar: there are no vectors of products of 128 bits.
            Modulus64::Tall(tall) => match direction {
                Direction::Encrypt => each(halves, blocks, |half, block| {
                    tall.add(half.into(), be(block, 0), order.y(block)) as u64
                }),
                Direction::Decrypt => each(halves, blocks, |half, block| {
                    tall.sub(half.into(), be(block, 0), order.y(block)) as u64
                }),
            },
            Modulus64::Any(barrett) => each(halves, blocks, |half, block| {
                join_wide(direction, half.into(), barrett.rem(order.y(block)), barrett.m) as u64
            }),
        }
    }
}

impl EndRound for u128 {
    #[inline(always)]
    fn end_round(
        halves: &mut [u128],
        modulus: &Modulus128,
        order: ByteOrder,
        direction: Direction,
        blocks: &[Block],
        ends: &[Block],
    ) {
        match modulus {
            Modulus128::Mask(mask) => {
                // y of 160 bits is read as its first 128; modulo 2^128 it is these shifted up, with the last 32 at
                // their end. What the shift pushes out is a multiple of 2^128.
                let two = order == ByteOrder::BigEndian { d: 20 };
                for ((half, block), end) in halves.iter_mut().zip(blocks).zip(ends) {
                    let y = order.y(block);
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
                    tall_step(halves, order, blocks, ends, |half, high, low| tall.add(half, high, low))
                }
                Direction::Decrypt => {
                    tall_step(halves, order, blocks, ends, |half, high, low| tall.sub(half, high, low))
                }
            },
            Modulus128::Any(barrett) => each(halves, blocks, |half, block| {
                join_wide(direction, half, barrett.rem(order.y(block)), barrett.m)
            }),
            Modulus128::Long(long) => {
                for ((half, block), end) in halves.iter_mut().zip(blocks).zip(ends) {
                    let y = long.rem(order.y(block), end32(end));
                    *half = join_wide(direction, *half, y, long.barrett.m);
                }
            }
        }
    }
}

/// CIPH_K of the first `rows` blocks, and of others if that is quicker.
#[inline(always)]
fn encrypt<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, blocks: &mut [Block; ROWS], rows: usize) {
    // Rows beyond the last one hold zeros or what an earlier round has left: any block may be encrypted, and nobody
    // reads them.
    let wide = B::ParBlocksSize::USIZE;
    // Backends take a part of their width block by block: from an eighth of it, a full width is quicker.
    let fill = rows % wide > wide / 8 && rows.next_multiple_of(wide) <= ROWS;
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
fn each<H: EndRound>(halves: &mut [H], blocks: &[Block], step: impl Fn(H, &Block) -> H) {
    for (half, block) in halves.iter_mut().zip(blocks) {
        *half = step(*half, block);
    }
}

/// A number of 64 bits with the remainder of FF1's y of 96.
#[inline(always)]
fn fold_96(short: &Barrett32, block: &Block) -> u64 {
    // The remainder is below M < 2^32: shifted up it still fits, and its lower half is free for y's last four
    // bytes.
    short.rem(be(block, 0)) << 32 | be(block, 8) >> 32
}

/// A number of 64 bits with the remainder of FF3's y of 128.
#[inline(always)]
fn fold_128(short: &Barrett32, block: &Block) -> u64 {
    // REVB of the block makes its last bytes the most significant ones (FF3-1 step 4.iii). The upper 64 bits are
    // reduced, and what is left takes its place before the next 32, twice; `short` reduces the last number itself.
    let (high, low) = (le(block, 8), le(block, 0));
    let rest = short.rem(high) << 32 | low >> 32;
    short.rem(rest) << 32 | low & LOW
}

/// Joins each half with its y, given as its first 64 bits and its last 128.
#[inline(always)]
fn tall_step(
    halves: &mut [u128],
    order: ByteOrder,
    blocks: &[Block],
    ends: &[Block],
    join: impl Fn(u128, u64, u128) -> u128,
) {
    let one = |half, y: u128| join(half, (y >> 64) as u64, y);
    // One loop for each order, as in `FillBlocks`: the order is public and the same for all rows.
    match order {
        ByteOrder::BigEndian { d: 20 } => {
            for ((half, block), end) in halves.iter_mut().zip(blocks).zip(ends) {
                let y = u128::from_be_bytes(block.0);
                *half = join(*half, (y >> 64) as u64, y << 32 | u128::from(end32(end)));
            }
        }
        ByteOrder::BigEndian { .. } => each(halves, blocks, |half, block| one(half, u128::from_be_bytes(block.0))),
        ByteOrder::LittleEndian => each(halves, blocks, |half, block| one(half, u128::from_le_bytes(block.0))),
    }
}

/// (half ± y) mod m for half, y < m < 2^128.
#[inline(always)]
fn join_wide(direction: Direction, half: u128, y: u128, m: u128) -> u128 {
    // half + y could pass 2^128. half − (M − y) is the same modulo M, lies between −M and M − 1, and its sign is
    // the borrow. M is added by a mask and not by a branch, as halves are secret.
    let (rest, borrow) = half.overflowing_sub(match direction {
        Direction::Encrypt => m - y,
        Direction::Decrypt => y,
    });
    rest.wrapping_add(m & mask(borrow))
}

/// Eight bytes from `start` on, most significant first.
#[inline(always)]
fn be(block: &Block, start: usize) -> u64 {
    u64::from_be_bytes(*block.0[start..].first_chunk().expect("a block has sixteen"))
}

/// Eight bytes from `start` on, least significant first.
#[inline(always)]
fn le(block: &Block, start: usize) -> u64 {
    be(block, start).swap_bytes()
}

/// The last four bytes of a y of 20.
#[inline(always)]
fn end32(end: &Block) -> u32 {
    (be(end, 0) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;
    use crate::selftest::random::SplitMix64;
    use crate::spec::radix::Radix;
    use crate::spec::types::Mode;
    use cipherform_simd::multiversion;
    use cipherform_simd::multiversion::Instructions;

    /// A block whose y is near a multiple of `m`, near the ends, or anywhere.
    fn block(random: &mut SplitMix64, order: ByteOrder, m: &BigUint) -> (Block, BigUint) {
        let bits = match order {
            ByteOrder::BigEndian { d } => 8 * d,
            ByteOrder::LittleEndian => 128,
        };
        let end = BigUint::from(1u8) << bits;
        let anything = BigUint::from_bytes_be(&random.bytes(bits / 8));
        let multiple = &anything / m * m;
        let y = match random.below(8) {
            0 => multiple,
            1 => multiple + m - 1u8,
            2 => multiple + 1u8,
            3 => BigUint::from(random.below(3)),
            4 => &end - 1u8 - random.below(3),
            5 => BigUint::from(1u8) << random.below(bits),
            6 => (&end - 1u8) / m * m,
            _ => anything,
        };
        let y = if y < end { y } else { end - 1u8 };
        let mut bytes = y.to_bytes_le();
        bytes.resize(bits / 8, 0);
        if order != ByteOrder::LittleEndian {
            bytes.reverse();
        }
        // What comes after y must not matter.
        bytes.extend(random.bytes(16 - bits / 8));
        (Block::try_from(&bytes[..]).unwrap(), y)
    }

    #[test]
    fn rounds_are_exact_in_all_registers() {
        let mut random = SplitMix64(5);
        let mut seen = std::collections::BTreeSet::new();
        for (mode, radix, n) in [
            (Mode::Ff1, 2u32, 40),
            (Mode::Ff1, 10, 6),
            (Mode::Ff1, 10, 16),
            (Mode::Ff1, 10, 19),
            (Mode::Ff1, 10, 30),
            (Mode::Ff1, 10, 37),
            (Mode::Ff1, 10, 38),
            (Mode::Ff1, 36, 12),
            (Mode::Ff1, 36, 13),
            (Mode::Ff1, 65_535, 4),
            (Mode::Ff1, 65_535, 5),
            (Mode::Ff3_1, 10, 16),
            (Mode::Ff3_1, 10, 18),
            (Mode::Ff3_1, 10, 24),
            (Mode::Ff3_1, 65_535, 4),
        ] {
            let radix = Radix::try_new(radix).unwrap();
            let plan = ShapePlan::<u64>::new(mode, radix, n);
            let [u, v] = plan.lengths(n);
            for (modulus, m) in [(&plan.left, u), (&plan.right, v)] {
                seen.insert(format!("{modulus:?}").split('(').next().unwrap_or_default().to_owned());
                let highest = radix.highest(m).unwrap() as u64;
                let m = BigUint::from(highest) + 1u8;
                for rows in [0, 1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 200, ROWS] {
                    let (blocks, ys): (Vec<Block>, Vec<BigUint>) =
                        (0..rows).map(|_| block(&mut random, plan.order, &m)).unzip();
                    let halves: Vec<u64> = (0..rows)
                        .map(|row| match row % 4 {
                            0 => 0,
                            1 => highest,
                            _ => random.next() % highest.max(1),
                        })
                        .collect();
                    let sums: Vec<u64> = halves
                        .iter()
                        .zip(&ys)
                        .map(|(half, y)| u64::try_from((y + *half) % &m).unwrap())
                        .collect();
                    for instructions in Instructions::available() {
                        let mut changed = halves.clone();
                        for (direction, expected) in [(Direction::Encrypt, &sums), (Direction::Decrypt, &halves)] {
                            let join = EndRounds {
                                modulus,
                                order: plan.order,
                                direction,
                                changed: &mut changed,
                                blocks: &blocks,
                                ends: &[],
                            };
                            multiversion::run_with(*instructions, join);
                            assert_eq!(&changed, expected, "{mode:?}, {m}, {rows} rows, {modulus:?}");
                        }
                    }
                }
            }
        }
        let all = ["Any", "Mask", "Medium", "Short", "Tall", "Thrice", "Twice"];
        assert_eq!(Vec::from_iter(&seen), Vec::from_iter(&all.map(str::to_owned)));
    }

    #[test]
    fn blocks_are_filled_alike_in_all_registers() {
        let mut random = SplitMix64(6);
        let wide = |random: &mut SplitMix64| u128::from(random.next()) << 64 | u128::from(random.next());
        for (mode, n) in [(Mode::Ff1, 16), (Mode::Ff3_1, 16)] {
            let plan = ShapePlan::<u64>::new(mode, Radix::try_new(10).unwrap(), n);
            for per_row in [false, true] {
                let prefixes: [Prefixes; FEW] = std::array::from_fn(|_| {
                    if per_row {
                        Prefixes::PerRow(std::array::from_fn(|_| std::array::from_fn(|_| wide(&mut random))))
                    } else {
                        Prefixes::Shared([wide(&mut random), wide(&mut random)])
                    }
                });
                let halves: Vec<u64> = (0..ROWS).map(|_| random.next()).collect();
                for (i, rows) in [
                    (0, 1),
                    (1, 8),
                    (2, 63),
                    (3, 64),
                    (4, 65),
                    (5, 200),
                    (6, ROWS),
                    (7, ROWS - 1),
                ] {
                    for instructions in Instructions::available() {
                        let mut blocks = [Block::default(); ROWS];
                        let fill = FillBlocks {
                            plan: &plan,
                            i,
                            prefixes: &prefixes,
                            fixed: &halves[..rows],
                            blocks: &mut blocks,
                        };
                        multiversion::run_with(*instructions, fill);
                        for (row, block) in blocks.iter().enumerate() {
                            let prefix = match &prefixes[row / LANES] {
                                Prefixes::Shared(prefixes) => prefixes[usize::from(i % 2)],
                                Prefixes::PerRow(prefixes) => prefixes[usize::from(i % 2)][row % LANES],
                            };
                            let x = prefix ^ u128::from(i) << plan.round_shift ^ u128::from(halves[row]);
                            let expected = match mode {
                                _ if row >= rows => [0; 16],
                                Mode::Ff1 => x.to_be_bytes(),
                                _ => x.to_le_bytes(),
                            };
                            assert_eq!(block.0, expected, "{mode:?}, row {row} of {rows}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn joins_are_sums_and_differences() {
        for m in [2, 3, 1000, (1 << 32) + 1, 1 << 62, 1 << 127] {
            for half in [0, 1, m / 2, m - 1] {
                for y in [0, 1, m / 2, m - 1] {
                    let sum = (half + y) % m;
                    assert_eq!(join_wide(Direction::Encrypt, half, y, m), sum);
                    assert_eq!(join_wide(Direction::Decrypt, sum, y, m), half);
                }
            }
        }
        let m = u128::MAX;
        assert_eq!(join_wide(Direction::Encrypt, m - 1, m - 1, m), m - 2);
        assert_eq!(join_wide(Direction::Decrypt, m - 2, m - 1, m), m - 1);
    }
}
