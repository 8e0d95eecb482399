//! The cipher by itself: text in memory, on every kernel, against AES alone and the crate `fpe`.
//!
//! `make bench`, or `cargo bench --no-default-features --bench cipher -- avx512 "16 symbols"` for one kernel and some
//! shapes; `-- long` for single values of up to 16,777,216 digits.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)]

mod common;

use cipherform::cipher::limit::{AesAlone, RoundsAlone};
use cipherform::cipher::{AesKey, Cipher, Direction, Kernel, Mode, Radix, Symbols, Tweaks};
use common::{Contender, Line, Report};
use fpe::ff1::{FF1, FlexibleNumeralString};

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Rows of a batch.
// The number of rows of DataFusion's usual batch.
const ROWS: usize = 8192;

/// One shape.
struct Shape {
    mode: Mode,
    radix: usize,
    n: usize,
    key_bits: usize,
    /// Bytes of each row's tweak, if every row has its own.
    per_row: Option<usize>,
}

impl Shape {
    fn name(&self) -> String {
        let mode = if self.mode == Mode::Ff1 { "" } else { "FF3-1, " };
        format!("{mode}radix {}, {} symbols", self.radix, self.n)
    }
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let only: Vec<Kernel> = wanted.iter().filter_map(|name| name.parse().ok()).collect();
    let named: Vec<&String> = wanted.iter().filter(|name| name.parse::<Kernel>().is_err()).collect();
    // The longest values run only when they are asked for.
    let long = named.iter().any(|name| *name == "long");
    let mut report = Report::new(if long { "long" } else { "cipher" });
    let ff1 = |radix, n, key_bits, per_row| Shape {
        mode: Mode::Ff1,
        radix,
        n,
        key_bits,
        per_row,
    };
    // Lengths one by one: kernels differ by how many digits a word holds.
    let mut shapes: Vec<Shape> = (9..=38).map(|n| ff1(10, n, 256, None)).collect();
    shapes.extend([40, 48, 56, 100].map(|n| ff1(10, n, 256, None)));
    shapes.extend([
        ff1(36, 12, 256, None),
        ff1(62, 10, 256, None),
        ff1(62, 20, 256, None),
        ff1(2, 64, 256, None),
    ]);
    // Key lengths and tweaks are varied at one length, so that a difference has one cause.
    shapes.extend([
        ff1(10, 16, 128, None),
        ff1(10, 16, 192, None),
        ff1(10, 16, 256, Some(8)),
        ff1(10, 16, 256, Some(28)),
    ]);
    shapes.push(Shape {
        mode: Mode::Ff3_1,
        ..ff1(10, 16, 256, None)
    });
    for shape in &shapes {
        if !named.is_empty() && !named.iter().any(|name| shape.name().contains(*name)) {
            continue;
        }
        for kernel in Kernel::available() {
            // Slower kernels run a few shapes only: enough for a comparison.
            let few = shape.n == 16 || [12, 20, 40].contains(&shape.n);
            if kernel == Kernel::Naive
                || !only.is_empty() && !only.contains(&kernel)
                || kernel != Kernel::fastest() && !few
            {
                continue;
            }
            run(&mut report, shape, kernel);
        }
    }
    if named.is_empty() && only.is_empty() {
        report.memcpy("cipher", ROWS);
    }
    if long || named.is_empty() && only.is_empty() {
        for (n, slices) in [
            (100, 41),
            (200, 41),
            (500, 41),
            (1000, 41),
            (2000, 41),
            (5000, 21),
            (10_000, 5),
            (100_000, 5),
        ] {
            one_long_value(&mut report, n, slices);
        }
    }
    if long {
        one_long_value(&mut report, 1 << 20, 3);
        one_long_value(&mut report, 1 << 24, 1);
    }
}

/// One decimal value of any length, by itself: that no value stalls a job.
fn one_long_value(report: &mut Report, n: usize, slices: usize) {
    let key: Vec<u8> = vec![7; 32];
    let cipher = Cipher::ff1(
        &AesKey::try_new(&key).expect("a key"),
        Radix::try_new(10).expect("a radix"),
    );
    let plain: Vec<u16> = (0..n).map(|at| (at * 7 % 10) as u16).collect();
    let mut value = plain.clone();
    for direction in [Direction::Encrypt, Direction::Decrypt] {
        cipher
            .apply(direction, Tweaks::Shared(&[]), &mut value, n)
            .expect("fits");
    }
    assert_eq!(value, plain);
    let line = Line {
        bench: "cipher",
        shape: format!("radix 10, {n} symbols"),
        mode: "one value".into(),
        key_bits: 256,
        kernel: Kernel::fastest().to_string(),
    };
    let judge = Judge::new(&key, 10);
    // Beyond that the crate takes too long.
    let fpe = (n <= 10_000).then(|| Contender::new(1, || judge.encrypt(&[], plain.clone())[0].into()));
    let mut other = value.clone();
    let one = |value: &mut [u16], direction| {
        cipher.apply(direction, Tweaks::Shared(&[]), value, n).expect("fits");
        value[0].into()
    };
    let encrypt = Contender::new(1, || one(&mut value, Direction::Encrypt));
    let decrypt = Contender::new(1, || one(&mut other, Direction::Decrypt));
    report.slow(&line, slices, encrypt, decrypt, fpe);
}

fn run(report: &mut Report, shape: &Shape, kernel: Kernel) {
    let Shape {
        mode,
        radix,
        n,
        key_bits,
        per_row,
    } = *shape;
    let bytes: Vec<u8> = (0..key_bits as u8 / 8).collect::<Vec<_>>();
    let bytes = if key_bits == 256 { (0..32).collect() } else { bytes };
    let key = AesKey::try_new(&bytes).expect("a key");
    let alphabet: Vec<char> = ALPHABET.chars().take(radix).collect();
    let symbols = Symbols::new(&alphabet).expect("an alphabet");
    let number = Radix::try_new(radix as u32).expect("a radix");
    let cipher = match mode {
        Mode::Ff1 => Cipher::ff1(&key, number),
        _ => Cipher::ff3_1_legacy(&key, number),
    }
    .with_kernel(kernel);
    // A generator of fixed seed, so that every run has the same values.
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let plain: Vec<u8> = (0..ROWS * n).map(|_| alphabet[random() % radix] as u8).collect();
    let tweak_bytes: Vec<u8> = (0..ROWS * per_row.unwrap_or_default())
        .map(|_| random() as u8)
        .collect();
    let shared: &[u8] = b"7 bytes";
    let tweaks = match per_row {
        Some(length) => Tweaks::Packed {
            bytes: &tweak_bytes,
            length,
        },
        None => Tweaks::Shared(shared),
    };
    let tweak_of = |row: usize| per_row.map_or(shared, |length| &tweak_bytes[row * length..][..length]);

    // Right first, then fast: a kernel that is wrong may well be faster.
    let numerals = |text: &[u8]| -> Vec<u16> {
        let numeral = |byte: &u8| {
            alphabet
                .iter()
                .position(|symbol| *symbol as u8 == *byte)
                .expect("a symbol") as u16
        };
        text.iter().map(numeral).collect()
    };
    let mut protected = vec![0; plain.len()];
    cipher
        .apply_text(Direction::Encrypt, tweaks, &symbols, &plain, &mut protected, n)
        .expect("fits");
    let judge = Judge::new(&bytes, radix as u32);
    // The crate has no FF3-1.
    if mode == Mode::Ff1 {
        // A step prime to the lanes, so each lane is compared at some row.
        for row in (0..ROWS).step_by(37) {
            let at = row * n..(row + 1) * n;
            let expected = judge.encrypt(tweak_of(row), numerals(&plain[at.clone()]));
            assert_eq!(
                numerals(&protected[at]),
                expected,
                "radix {radix}, {n} symbols, row {row}"
            );
        }
    }
    let mut back = vec![0; plain.len()];
    cipher
        .apply_text(Direction::Decrypt, tweaks, &symbols, &protected, &mut back, n)
        .expect("fits");
    assert!(back == plain, "decryption gives the plaintext back");

    let alone = AesAlone::new(&key);
    // Ten rounds of FF1 or eight of FF3-1, one block each at the least.
    let blocks = if mode == Mode::Ff1 { 10 } else { 8 };
    let floor = || Contender::new(ROWS, || alone.encrypt(blocks * ROWS as u64));
    // The crate is much slower, so a few rows give as good a figure.
    let few = numerals(&plain[..64 * n]);
    let fpe = || {
        Contender::new(64, || {
            let rows = few.chunks_exact(n).enumerate();
            rows.fold(0, |sum, (row, numerals)| {
                sum ^ u64::from(judge.encrypt(tweak_of(row), numerals.to_vec())[0])
            })
        })
    };
    // Two buffers, as each way holds one for the whole race.
    let (mut out, mut out_too) = (vec![0; plain.len()], vec![0; plain.len()]);
    let mut line = Line {
        bench: "cipher",
        shape: shape.name(),
        mode: per_row.map_or("text".to_owned(), |length| format!("text, tweak {length}")),
        key_bits,
        kernel: kernel.to_string(),
    };
    let ours = Contender::new(ROWS, || {
        cipher
            .apply_text(Direction::Encrypt, tweaks, &symbols, &plain, &mut out, n)
            .expect("fits");
        out[0].into()
    });
    let back = Contender::new(ROWS, || {
        cipher
            .apply_text(Direction::Decrypt, tweaks, &symbols, &protected, &mut out_too, n)
            .expect("fits");
        out_too[0].into()
    });
    report.race(&line, floor(), ours, back, fpe());
    // The rounds by themselves, where a half fits a word: the difference is the cost of text.
    if per_row.is_none() && number_of_bits(radix, n.div_ceil(2)) <= 64.0 {
        line.mode = "rounds".to_owned();
        let (mut forth, mut back) = (RoundsAlone::new(&cipher, n), RoundsAlone::new(&cipher, n));
        report.race(
            &line,
            floor(),
            Contender::new(ROWS, || forth.run(Direction::Encrypt, ROWS)),
            Contender::new(ROWS, || back.run(Direction::Decrypt, ROWS)),
            fpe(),
        );
    }
}

fn number_of_bits(radix: usize, m: usize) -> f64 {
    m as f64 * (radix as f64).log2()
}

/// The crate `fpe`.
enum Judge {
    Aes128(Box<FF1<aes::Aes128>>),
    Aes192(Box<FF1<aes::Aes192>>),
    Aes256(Box<FF1<aes::Aes256>>),
}

impl Judge {
    fn new(key: &[u8], radix: u32) -> Self {
        match key.len() {
            16 => Self::Aes128(Box::new(FF1::new(key, radix).expect("a radix"))),
            24 => Self::Aes192(Box::new(FF1::new(key, radix).expect("a radix"))),
            _ => Self::Aes256(Box::new(FF1::new(key, radix).expect("a radix"))),
        }
    }

    fn encrypt(&self, tweak: &[u8], numerals: Vec<u16>) -> Vec<u16> {
        let numerals = FlexibleNumeralString::from(numerals);
        match self {
            Self::Aes128(ff1) => ff1.encrypt(tweak, &numerals),
            Self::Aes192(ff1) => ff1.encrypt(tweak, &numerals),
            Self::Aes256(ff1) => ff1.encrypt(tweak, &numerals),
        }
        .expect("fits")
        .into()
    }
}
