//! Bounds of the kernels: buffers that begin and end at pages which cannot be touched.
//! A byte too far ends the whole test process.

use cipherform_ascii::Symbols;
use cipherform_simd::testing::Guarded;

use crate::cipher::Cipher;
use crate::kernels::kernel::Kernel;
use crate::spec::key::AesKey;
use crate::spec::radix::Radix;
use crate::spec::tweaks::Tweaks;
use crate::spec::types::Direction;

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn cipher(radix: usize) -> Cipher {
    let key = AesKey::try_new(&[9; 32]).expect("a key");
    Cipher::ff1(&key, Radix::try_new(radix as u32).expect("a radix"))
}

fn symbols(radix: usize) -> Symbols {
    Symbols::new(&ALPHABET.chars().take(radix).collect::<Vec<_>>()).expect("an alphabet")
}

/// Symbols that differ from place to place.
fn text(radix: usize, length: usize) -> Vec<u8> {
    let at = |i: usize| ((i * 2_654_435_761) >> 7) % radix;
    (0..length).map(|i| ALPHABET.as_bytes()[at(i)]).collect()
}

fn packed(bytes: &[u8]) -> Tweaks<'_> {
    Tweaks::Packed { bytes, length: 5 }
}

#[test]
fn text_of_every_number_of_rows() {
    // Halves of up to 8, 9, 16, 18 and 19 digits, at which the decimal codecs change, and of one more; other
    // radices for the codecs of any alphabet.
    for (radix, lengths) in [
        (10, &[6, 9, 12, 16, 17, 18, 19, 20, 25, 32, 33, 36, 38, 40][..]),
        (2, &[20, 64]),
        (36, &[12, 24]),
        (62, &[10, 20]),
    ] {
        let symbols = symbols(radix);
        for n in lengths.iter().copied() {
            let plain = text(radix, 200 * n);
            let tweaks: Vec<u8> = (0..200 * 5).map(|i| i as u8).collect();
            let mut expected = vec![0; plain.len()];
            // The portable kernel loads and stores by way of slices alone.
            let reference = cipher(radix).with_kernel(Kernel::Portable);
            reference
                .apply_text(Direction::Encrypt, packed(&tweaks), &symbols, &plain, &mut expected, n)
                .unwrap();
            for kernel in Kernel::available()
                .into_iter()
                .filter(|kernel| *kernel != Kernel::Naive)
            {
                let cipher = cipher(radix).with_kernel(kernel);
                // Every number of rows up to a few groups of 64, as the last group is the one that could reach too
                // far.
                for rows in 1..=200 {
                    // At the start a read or write before the buffer hits a page, at the end one after it.
                    for at_start in [true, false] {
                        let input = Guarded::new(&plain[..rows * n], at_start);
                        let tweaks = Guarded::new(&tweaks[..rows * 5], at_start);
                        let mut output = Guarded::new(&vec![0; rows * n], at_start);
                        cipher
                            .apply_text(Direction::Encrypt, packed(&tweaks), &symbols, &input, &mut output, n)
                            .unwrap();
                        assert!(
                            *output == expected[..rows * n],
                            "{kernel}, radix {radix}, {n} symbols, {rows} rows"
                        );
                    }
                }
            }
        }
    }
}
