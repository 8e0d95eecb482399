//! Bounds of the splitters: buffers that begin and end at pages which cannot be touched.
//! A byte too far ends the whole test process.

use cipherform_simd::multiversion::Instructions;
use cipherform_simd::testing::Guarded;

use crate::alphabet::Symbols;
use crate::split::{PADDING, RowOutcome, Span, SplitPattern, SplitRows};
use crate::splitter::Splitter;

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn symbols(radix: usize) -> Symbols {
    Symbols::new(&ALPHABET.chars().take(radix).collect::<Vec<_>>()).expect("an alphabet")
}

/// Symbols that differ from place to place.
fn text(radix: usize, length: usize) -> Vec<u8> {
    let at = |i: usize| ((i * 2_654_435_761) >> 7) % radix;
    (0..length).map(|i| ALPHABET.as_bytes()[at(i)]).collect()
}

#[test]
fn texts_of_every_length_taken_apart() {
    let symbols = symbols(10);
    // No kept symbols; ten of them, which make a tweak of 28 bytes; a check digit to compute.
    for (keep, check) in [([0, 0], None), ([6, 4], None), ([0, 4], Some([0, 3]))] {
        let pattern = SplitPattern {
            symbols: &symbols,
            separators: 1 << b'-',
            keep,
            lengths: 0..=31,
            check,
            kept_is_tweak: true,
        };
        for instructions in Instructions::available() {
            let mut splitter = Splitter::new(*instructions, 6..=usize::MAX, &pattern);
            // Past 32 and 64 bytes, where the kernels change registers and give up.
            for length in 1..=70 {
                for count in [1, 2, 3, 63, 64, 65] {
                    for at_start in [true, false] {
                        let mut all = text(10, length * count);
                        // The first value then has a separator and a byte of no class: it is skipped and has to be
                        // copied.
                        if length > 20 {
                            all[length / 2] = b'-';
                            all[length - 1] = b'x';
                        }
                        let input = Guarded::new(&all, at_start);
                        let spans: Vec<Span> = (0..count)
                            .map(|row| Span {
                                start: (row * length) as u32,
                                length: length as u32,
                            })
                            .collect();
                        let mut rows = SplitRows::default();
                        splitter.split(&input, &spans, &mut rows);
                        let results: Vec<Vec<u8>> = rows
                            .groups
                            .iter()
                            .enumerate()
                            .map(|(n, group)| {
                                let mut result = group.symbols.clone();
                                result.truncate(n * group.rows);
                                // The padding that is promised, and no more.
                                result.resize(n * group.rows + PADDING, 0xEE);
                                result
                            })
                            .collect();
                        let mut output = Guarded::new(&vec![0; all.len()], at_start);
                        splitter.join(&input, &spans, &rows, &results, &mut output);
                        for (row, outcome) in rows.outcomes.iter().enumerate() {
                            let row = row * length..(row + 1) * length;
                            match (outcome, check) {
                                // With another check digit.
                                (RowOutcome::Split(_), Some(_)) => {
                                    let differ = input[row.clone()].iter().zip(&output[row]).filter(|(a, b)| a != b);
                                    assert!(differ.count() <= 1);
                                }
                                _ => assert_eq!(input[row.clone()], output[row], "{keep:?}, {length}"),
                            }
                        }
                    }
                }
            }
        }
    }
}
