//! The rounds of AVX2 against the portable ones.

use crate::batch::chunk::{Chunk, Lanes};
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;
use crate::kernels::avx2::params::available;
use crate::kernels::avx2::rounds::run_lanes;
use crate::kernels::dispatch::Prepared;
use crate::kernels::portable;
use crate::selftest::random::SplitMix64;
use crate::spec::key::{Aes, AesKey};
use crate::spec::radix::Radix;
use crate::spec::types::{Direction, Mode};

/// Halves at the ends of their range and in it.
fn halves(random: &mut SplitMix64, highest: u64) -> [u64; LANES] {
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
    let mut random = SplitMix64(11);
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
            let wide = |random: &mut SplitMix64| u128::from(random.next()) << 64 | u128::from(random.next());
            // Prefixes leave room for the half, as those of the standard do not: they are added (exclusive or),
            // whatever they are.
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
                        let mut chunk = Chunk {
                            rows,
                            left: std::slice::from_mut(&mut expected_left),
                            right: std::slice::from_mut(&mut expected_right),
                            prefixes: std::slice::from_ref(prefixes),
                        };
                        portable::run(&aes, plan, direction, &mut chunk);
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
