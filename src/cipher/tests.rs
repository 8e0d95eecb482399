//! Tests of the whole cipher. Round trips alone prove little: the reference implementation, `fpe` and published
//! answers are the oracles.

use std::time::{Duration, Instant};

use cipherform_ascii::Symbols;

use crate::batch::sizes::LANES;
use crate::cipher::Cipher;
use crate::kernels::kernel::Kernel;
use crate::selftest::crosscheck;
use crate::selftest::random::SplitMix64;
use crate::spec::error::{CipherError, Result};
use crate::spec::key::AesKey;
use crate::spec::radix::{DomainFloor, Radix};
use crate::spec::tweaks::Tweaks;
use crate::spec::types::{Direction, Mode};

fn key() -> AesKey {
    AesKey::try_new(&[0xc5; 32]).unwrap()
}

fn radix(value: u32) -> Radix {
    Radix::try_new(value).unwrap()
}

fn ciphers(value: u32) -> [Cipher; 3] {
    let (key, radix) = (key(), radix(value));
    [
        Cipher::ff1(&key, radix),
        Cipher::ff3_1_legacy(&key, radix),
        Cipher::ff3_legacy(&key, radix),
    ]
}

fn tweak(cipher: &Cipher) -> &'static [u8] {
    match cipher.mode() {
        Mode::Ff1 => b"twelve bytes",
        Mode::Ff3_1 => b"7 bytes",
        Mode::Ff3 => b"8 bytes!",
    }
}

fn numerals(cipher: &Cipher, count: usize) -> Vec<u16> {
    let mut random = SplitMix64(count as u64);
    (0..count)
        .map(|_| random.below(cipher.radix().value() as usize) as u16)
        .collect()
}

fn reason(result: Result<()>) -> CipherError {
    result.unwrap_err()
}

#[test]
fn every_tail_equals_the_reference() {
    for cipher in ciphers(10) {
        for (n, most) in [(16, 200), (20, 70), (45, 70)] {
            let mut expected = numerals(&cipher, most * n);
            let plain = expected.clone();
            let reference = cipher.clone().with_kernel(Kernel::Naive);
            let shared = Tweaks::Shared(tweak(&cipher));
            reference.apply(Direction::Encrypt, shared, &mut expected, n).unwrap();
            for rows in 0..=most {
                let mut batch = plain[..rows * n].to_vec();
                cipher.apply(Direction::Encrypt, shared, &mut batch, n).unwrap();
                assert_eq!(batch, expected[..rows * n], "{cipher:?}, {rows} rows");
                cipher.apply(Direction::Decrypt, shared, &mut batch, n).unwrap();
                assert_eq!(batch, plain[..rows * n], "{cipher:?}, {rows} rows");
            }
        }
    }
}

/// Halves around 8, 12 and 16 bytes, beyond which another reduction or another number of blocks begins.
#[test]
fn halves_around_every_number_of_bytes_equal_both_oracles() {
    let tweaks: Vec<u8> = (0..=255).cycle().take(700).collect();
    for value in [2, 10, 36, 62, 65_535, 65_536] {
        let radix = radix(value);
        for bytes in [8, 12, 16] {
            let most = (1..).take_while(|m| radix.bits(*m) <= 8 * bytes).last().unwrap();
            for n in 2 * most - 2..=2 * most + 3 {
                let cipher = Cipher::ff1(&key(), radix);
                let mut plain = numerals(&cipher, 6 * n);
                plain[..n].fill(0);
                plain[n..2 * n].fill((value - 1) as u16);
                for tweak in [&tweaks[..0], &tweaks[..7], &tweaks[..700]] {
                    for direction in [Direction::Encrypt, Direction::Decrypt] {
                        let oracle = |row: &[u16]| crosscheck::fpe(&[0xc5; 32], radix, direction, tweak, row).unwrap();
                        let expected: Vec<u16> = plain.chunks_exact(n).flat_map(oracle).collect();
                        for kernel in Kernel::available() {
                            let mut done = plain.clone();
                            let cipher = cipher.clone().with_kernel(kernel);
                            cipher.apply(direction, Tweaks::Shared(tweak), &mut done, n).unwrap();
                            assert_eq!(done, expected, "{cipher:?}, {n} numerals");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_tweak_for_each_row_equals_each_row_alone() {
    let bytes: Vec<u8> = (0..200).collect();
    for n in [16, 40, 76, 90] {
        let cipher = Cipher::ff1(&key(), radix(10));
        let rows = 150;
        let tweaks: Vec<&[u8]> = (0..rows).map(|row| &bytes[..(row * 7) % 60]).collect();
        let plain = numerals(&cipher, rows * n);
        let mut batch = plain.clone();
        cipher
            .apply(Direction::Encrypt, Tweaks::PerRow(&tweaks), &mut batch, n)
            .unwrap();
        for row in 0..rows {
            let mut alone = plain[row * n..][..n].to_vec();
            cipher
                .apply(Direction::Encrypt, Tweaks::Shared(tweaks[row]), &mut alone, n)
                .unwrap();
            assert_eq!(alone, batch[row * n..][..n]);
        }
    }
}

#[test]
fn small_domains_are_permuted() {
    let floor = DomainFloor::insecure(100, "the whole domain in a test").unwrap();
    for (value, n) in [(10, 2), (10, 3), (2, 7), (3, 5), (3, 8), (256, 2), (5, 4), (100, 2)] {
        for cipher in ciphers(value) {
            let cipher = cipher.with_floor(floor.clone());
            let size = (value as usize).pow(n as u32);
            let digits = |x: usize| {
                (0..n)
                    .rev()
                    .map(move |i| (x / (value as usize).pow(i as u32) % value as usize) as u16)
            };
            let all: Vec<u16> = (0..size).flat_map(digits).collect();
            let mut seen = vec![false; size];
            let mut batch = all.clone();
            let shared = Tweaks::Shared(tweak(&cipher));
            cipher.apply(Direction::Encrypt, shared, &mut batch, n).unwrap();
            for row in batch.chunks_exact(n) {
                let x = row
                    .iter()
                    .fold(0, |x, numeral| x * value as usize + usize::from(*numeral));
                assert!(!std::mem::replace(&mut seen[x], true), "{cipher:?}: {x} twice");
            }
            assert_ne!(batch, all);
            cipher.apply(Direction::Decrypt, shared, &mut batch, n).unwrap();
            assert_eq!(batch, all);
        }
    }
}

#[test]
fn bits_equal_numerals() {
    let bytes: Vec<u8> = (0..200).collect();
    for kernel in Kernel::available() {
        let cipher = Cipher::ff1(&key(), Radix::BINARY).with_kernel(kernel);
        for bits in 20..=128u32 {
            let (n, rows) = (bits as usize, 67);
            let plain = numerals(&cipher, rows * n);
            let join = |row: &[u16]| row.iter().fold(0u128, |x, bit| x << 1 | u128::from(*bit));
            let values: Vec<u128> = plain.chunks_exact(n).map(join).collect();
            let narrow: Vec<u64> = values.iter().map(|value| *value as u64).collect();
            let own: Vec<&[u8]> = (0..rows).map(|row| &bytes[row..2 * row]).collect();
            let packed = Tweaks::Packed {
                bytes: &bytes[..2 * rows],
                length: 2,
            };
            for tweaks in [Tweaks::Shared(b"shared"), Tweaks::PerRow(&own), packed] {
                for direction in [Direction::Encrypt, Direction::Decrypt] {
                    let (mut a, mut b) = (plain.clone(), values.clone());
                    cipher.apply(direction, tweaks, &mut a, n).unwrap();
                    cipher.apply_bits(direction, tweaks, &mut b, bits).unwrap();
                    assert_eq!(b, a.chunks_exact(n).map(join).collect::<Vec<_>>(), "{bits} bits");
                    if bits <= u64::BITS {
                        let mut c = narrow.clone();
                        cipher.apply_bits(direction, tweaks, &mut c, bits).unwrap();
                        assert!(c.iter().map(|c| u128::from(*c)).eq(b), "{bits} bits");
                    }
                }
            }
        }
    }
}

#[test]
fn narrow_and_wide_words_of_any_number_of_rows_are_the_same() {
    for kernel in Kernel::available()
        .into_iter()
        .filter(|kernel| *kernel != Kernel::Naive)
    {
        let cipher = Cipher::ff1(&key(), Radix::BINARY).with_kernel(kernel);
        for bits in [20, 31, 32, 33, 63, 64] {
            for rows in (0..=2 * LANES as u64 + 1).chain([1_000]) {
                let highest = u64::MAX >> (64 - bits);
                let mut narrow: Vec<u64> = (0..rows).map(|row| highest - (row << 9 | row) % highest).collect();
                let mut wide: Vec<u128> = narrow.iter().map(|value| u128::from(*value)).collect();
                for direction in [Direction::Encrypt, Direction::Encrypt, Direction::Decrypt] {
                    cipher
                        .apply_bits(direction, Tweaks::Shared(b""), &mut narrow, bits)
                        .unwrap();
                    cipher
                        .apply_bits(direction, Tweaks::Shared(b""), &mut wide, bits)
                        .unwrap();
                    assert!(narrow.iter().map(|narrow| u128::from(*narrow)).eq(wide.iter().copied()));
                }
            }
        }
    }
}

#[test]
fn a_refused_batch_is_unchanged_and_says_where() {
    let cipher = Cipher::ff1(&key(), radix(10));
    let shared = Tweaks::Shared(b"");
    let mut batch = vec![1; 24];
    let mut refuse = |tweaks, change: Option<(usize, u16)>, n| {
        batch.fill(1);
        if let Some((at, numeral)) = change {
            batch[at] = numeral;
        }
        let before = batch.clone();
        let reason = reason(cipher.apply(Direction::Encrypt, tweaks, &mut batch, n));
        assert_eq!(batch, before);
        reason
    };
    assert_eq!(
        refuse(shared, Some((21, 10)), 8),
        CipherError::NumeralOutOfRange {
            row: 2,
            position: 5,
            radix: 10
        }
    );
    assert_eq!(
        refuse(shared, None, 7),
        CipherError::RaggedBatch {
            numerals: 24,
            length: 7
        }
    );
    assert!(matches!(
        refuse(shared, None, 0),
        CipherError::MessageTooShort { length: 0, .. }
    ));
    assert!(matches!(
        refuse(shared, None, 1),
        CipherError::MessageTooShort { length: 1, .. }
    ));
    assert!(matches!(
        refuse(shared, None, 4),
        CipherError::DomainBelowFloor { shortest: 6, .. }
    ));
    assert_eq!(
        refuse(Tweaks::PerRow(&[b"", b""]), None, 8),
        CipherError::TweakCount { tweaks: 2, rows: 3 }
    );
    let error = cipher.apply(Direction::Decrypt, shared, &mut [7; 5], 5).unwrap_err();
    assert_eq!(
        error.to_string(),
        "5 numerals of radix 10 make 100000 values, below the floor of 1000000: at least 6 numerals are needed"
    );
}

#[test]
fn legacy_modes_take_their_tweaks_and_lengths_alone() {
    let [_, ff3_1, ff3] = ciphers(10);
    for (cipher, right) in [(ff3_1, 7), (ff3, 8)] {
        for bytes in [0, 6, 7, 8, 9, 16] {
            let tweak = vec![0; bytes];
            let result = cipher.apply(Direction::Encrypt, Tweaks::Shared(&tweak), &mut [3; 10], 10);
            assert_eq!(result.is_ok(), bytes == right);
        }
        let good = vec![0; right];
        let tweaks: [&[u8]; 2] = [&good, b"bad"];
        assert!(matches!(
            reason(cipher.apply(Direction::Encrypt, Tweaks::PerRow(&tweaks), &mut [3; 20], 10)),
            CipherError::TweakLength {
                row: Some(1),
                bytes: 3,
                ..
            }
        ));
        assert_eq!(
            reason(cipher.apply(Direction::Encrypt, Tweaks::Shared(&good), &mut [3; 57], 57)),
            CipherError::MessageTooLong {
                length: 57,
                longest: 56,
                radix: 10
            }
        );
    }
}

#[test]
fn bits_are_refused_where_they_do_not_fit() {
    let binary = Cipher::ff1(&key(), Radix::BINARY);
    let shared = Tweaks::Shared(b"");
    let apply = |cipher: &Cipher, values: &mut [u128], bits| {
        reason(cipher.apply_bits(Direction::Encrypt, shared, values, bits))
    };
    let mut values = [1, 2, 1 << 20, 3];
    assert_eq!(
        apply(&binary, &mut values, 20),
        CipherError::ValueTooWide { row: 2, bits: 20 }
    );
    assert_eq!(values, [1, 2, 1 << 20, 3]);
    assert!(matches!(
        apply(&binary, &mut values, 19),
        CipherError::DomainBelowFloor { .. }
    ));
    for bits in [0, 1, 129, u32::MAX] {
        assert_eq!(
            apply(&binary, &mut values, bits),
            CipherError::BitWidth { bits, most: 128 }
        );
    }
    let mut narrow = [1, 2, 1 << 40, 3u64];
    let mut apply_narrow = |bits| reason(binary.apply_bits(Direction::Encrypt, shared, &mut narrow, bits));
    assert_eq!(apply_narrow(65), CipherError::BitWidth { bits: 65, most: 64 });
    assert_eq!(apply_narrow(40), CipherError::ValueTooWide { row: 2, bits: 40 });
    assert_eq!(narrow, [1, 2, 1 << 40, 3]);
    assert_eq!(
        apply(&Cipher::ff1(&key(), radix(4)), &mut values, 30),
        CipherError::NotBinary
    );
    assert_eq!(
        apply(&Cipher::ff3_1_legacy(&key(), Radix::BINARY), &mut values, 30),
        CipherError::NotBinary
    );
}

#[test]
fn empty_batches_are_done_at_once() {
    for cipher in ciphers(10) {
        cipher
            .apply(Direction::Encrypt, Tweaks::Shared(tweak(&cipher)), &mut [], 10)
            .unwrap();
        cipher
            .apply(Direction::Encrypt, Tweaks::PerRow(&[]), &mut [], 10)
            .unwrap();
    }
    let binary = Cipher::ff1(&key(), Radix::BINARY);
    binary
        .apply_bits::<u64>(Direction::Encrypt, Tweaks::PerRow(&[]), &mut [], 40)
        .unwrap();
}

#[test]
fn debug_shows_no_key() {
    for cipher in ciphers(10) {
        let text = format!("{cipher:?} {:?}", key());
        assert!(text.contains("AES-256 ****"), "{text}");
        for secret in ["197", "c5", "C5"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn long_values_are_right_and_take_their_time_but_no_more() {
    for (value, n) in [
        (10, 5000),
        (10, 1141),
        (65_535, 1001),
        (36, 700),
        (2, 3001),
        (1000, 333),
    ] {
        let cipher = Cipher::ff1(&key(), radix(value));
        let plain = numerals(&cipher, n);
        let (mut fast, mut slow) = (plain.clone(), plain.clone());
        cipher
            .apply(Direction::Encrypt, Tweaks::Shared(b"t"), &mut fast, n)
            .unwrap();
        let naive = cipher.clone().with_kernel(Kernel::Naive);
        naive
            .apply(Direction::Encrypt, Tweaks::Shared(b"t"), &mut slow, n)
            .unwrap();
        assert_eq!(fast, slow, "radix {value}, {n} numerals");
        cipher
            .apply(Direction::Decrypt, Tweaks::Shared(b"t"), &mut fast, n)
            .unwrap();
        assert_eq!(fast, plain);
    }
    // The last has halves so long that transforms multiply them.
    for (value, n) in [(10, 100_000), (256, 100_000), (65_535, 100_000), (10, 300_001)] {
        let cipher = Cipher::ff1(&key(), radix(value));
        let plain = numerals(&cipher, n);
        let mut long = plain.clone();
        let start = Instant::now();
        cipher
            .apply(Direction::Encrypt, Tweaks::Shared(b"t"), &mut long, plain.len())
            .unwrap();
        cipher
            .apply(Direction::Decrypt, Tweaks::Shared(b"t"), &mut long, plain.len())
            .unwrap();
        // Generous: this is milliseconds, and quadratic code would be minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        assert_eq!(long, plain);
    }
}

#[test]
fn text_equals_numerals_for_every_tail_length_and_kernel() {
    let alphabet: Vec<char> = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/"
        .chars()
        .collect();
    for value in [2, 3, 10, 26, 36, 62, 64] {
        let symbols = Symbols::new(&alphabet[..value as usize]).unwrap();
        let portable = Cipher::ff1(&key(), radix(value)).with_kernel(Kernel::Portable);
        let shortest = *portable.lengths().start();
        for n in (shortest..50).chain([64, 65, 100]) {
            let mut expected = numerals(&portable, 70 * n);
            let plain = expected.clone();
            portable
                .apply(Direction::Encrypt, Tweaks::Shared(b"t"), &mut expected, n)
                .unwrap();
            let text =
                |numerals: &[u16]| -> Vec<u8> { numerals.iter().map(|at| alphabet[usize::from(*at)] as u8).collect() };
            let (plain, expected) = (text(&plain), text(&expected));
            for kernel in Kernel::available()
                .into_iter()
                .filter(|kernel| *kernel != Kernel::Naive)
            {
                let cipher = portable.clone().with_kernel(kernel);
                for rows in (0..10).chain([31, 63, 64, 65, 70]) {
                    let mut output = vec![0xAA; rows * n];
                    let apply = |direction, input: &[u8], output: &mut [u8]| {
                        cipher
                            .apply_text(direction, Tweaks::Shared(b"t"), &symbols, input, output, n)
                            .unwrap();
                    };
                    apply(Direction::Encrypt, &plain[..rows * n], &mut output);
                    assert_eq!(output, expected[..rows * n], "{cipher:?}, {n} symbols, {rows} rows");
                    apply(Direction::Decrypt, &expected[..rows * n], &mut output);
                    assert_eq!(output, plain[..rows * n], "{cipher:?}, {n} symbols, {rows} rows");
                }
            }
        }
    }
}

#[test]
fn text_with_other_characters_is_refused_by_row() {
    let symbols = Symbols::new(&"0123456789".chars().collect::<Vec<_>>()).unwrap();
    for kernel in Kernel::available() {
        let cipher = Cipher::ff1(&key(), radix(10)).with_kernel(kernel);
        for n in [8, 16, 17, 38, 50] {
            for (row, position) in [(0, 0), (3, n - 1), (6, n / 2)] {
                for byte in [b'/', b':', b'-', 0, 0x80, 0xB0, 0xFF] {
                    let mut input = vec![b'7'; 7 * n];
                    input[row * n + position] = byte;
                    let mut output = vec![0; 7 * n];
                    let result = cipher.apply_text(
                        Direction::Encrypt,
                        Tweaks::Shared(b""),
                        &symbols,
                        &input,
                        &mut output,
                        n,
                    );
                    let expected = CipherError::NumeralOutOfRange {
                        row,
                        position,
                        radix: 10,
                    };
                    assert_eq!(reason(result), expected, "{kernel}, {n}, {byte}");
                }
            }
        }
    }
}
