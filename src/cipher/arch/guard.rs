//! Whether kernels read and write what they were given and nothing else: buffers that begin and end at pages which cannot be touched.
//! A byte too far ends the whole test process.

use crate::cipher::{AesKey, Cipher, Direction, Fate, Kernel, Pattern, Place, Radix, Sieve, Symbols, Taken, Tweaks};

const PAGE: usize = 4096;

/// Bytes between two pages that cannot be touched.
struct Guarded {
    pages: *mut u8,
    length: usize,
    start: usize,
    bytes: usize,
}

impl Guarded {
    /// A copy of `bytes` right after the first of the two, or right before the second.
    fn new(bytes: &[u8], at_start: bool) -> Self {
        let inner = bytes.len().next_multiple_of(PAGE);
        let length = inner + 2 * PAGE;
        // SAFETY: fresh pages of our own, of which the inner ones may be read and written.
        let pages = unsafe {
            let pages = libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(pages, libc::MAP_FAILED);
            if inner > 0 {
                let allowed = libc::mprotect(pages.add(PAGE), inner, libc::PROT_READ | libc::PROT_WRITE);
                assert_eq!(allowed, 0);
            }
            pages.cast()
        };
        let start = if at_start { PAGE } else { PAGE + inner - bytes.len() };
        let mut guarded = Self {
            pages,
            length,
            start,
            bytes: bytes.len(),
        };
        guarded.copy_from_slice(bytes);
        guarded
    }
}

impl std::ops::Deref for Guarded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: within the pages that may be read; zeros at first.
        unsafe { std::slice::from_raw_parts(self.pages.add(self.start), self.bytes) }
    }
}

impl std::ops::DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; they may be written, too.
        unsafe { std::slice::from_raw_parts_mut(self.pages.add(self.start), self.bytes) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: these pages, which nobody else has.
        unsafe { libc::munmap(self.pages.cast(), self.length) };
    }
}

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
            let judge = cipher(radix).with_kernel(Kernel::Portable);
            judge
                .apply_text(Direction::Encrypt, packed(&tweaks), &symbols, &plain, &mut expected, n)
                .unwrap();
            for kernel in Kernel::available()
                .into_iter()
                .filter(|kernel| *kernel != Kernel::Naive)
            {
                let cipher = cipher(radix).with_kernel(kernel);
                for rows in 1..=200 {
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

#[test]
fn texts_of_every_length_taken_apart() {
    let symbols = symbols(10);
    for (keep, check) in [([0, 0], None), ([6, 4], None), ([0, 4], Some([0, 3]))] {
        let pattern = Pattern {
            symbols: &symbols,
            separators: 1 << b'-',
            keep,
            lengths: 0..=31,
            check,
            kept_is_tweak: true,
        };
        for kernel in Kernel::available() {
            let mut sieve = Sieve::new(&cipher(10).with_kernel(kernel), &pattern);
            for length in 1..=70 {
                for count in [1, 2, 3, 63, 64, 65] {
                    for at_start in [true, false] {
                        let mut all = text(10, length * count);
                        if length > 20 {
                            all[length / 2] = b'-';
                            all[length - 1] = b'x';
                        }
                        let input = Guarded::new(&all, at_start);
                        let places: Vec<Place> = (0..count)
                            .map(|row| Place {
                                start: (row * length) as u32,
                                length: length as u32,
                            })
                            .collect();
                        let mut taken = Taken::default();
                        sieve.take(&input, &places, &mut taken);
                        let results: Vec<Vec<u8>> = taken
                            .buckets
                            .iter()
                            .enumerate()
                            .map(|(n, bucket)| {
                                let mut result = bucket.symbols.clone();
                                result.truncate(n * bucket.rows);
                                result.resize(n * bucket.rows + Sieve::SLACK, 0xEE);
                                result
                            })
                            .collect();
                        let mut output = Guarded::new(&vec![0; all.len()], at_start);
                        sieve.put(&input, &places, &taken, &results, &mut output);
                        for (row, fate) in taken.fates.iter().enumerate() {
                            let row = row * length..(row + 1) * length;
                            match (fate, check) {
                                // With another check digit.
                                (Fate::Taken(_), Some(_)) => {
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
