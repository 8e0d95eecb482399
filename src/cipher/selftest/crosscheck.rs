//! The part of `selftest` that needs no published answers: every kernel, the reference implementation and the crate
//! `fpe` must agree.

use cipherform_ascii::Symbols;
use fpe::ff1::{FF1, FlexibleNumeralString};

use crate::cipher::Cipher;
use crate::kernels::kernel::Kernel;
use crate::selftest::random::SplitMix64;
use crate::selftest::report::PartReport;
use crate::spec::error::Result;
use crate::spec::key::AesKey;
use crate::spec::radix::Radix;
use crate::spec::tweaks::Tweaks;
use crate::spec::types::{Direction, Mode};

const RADICES: [u32; 16] = [2, 3, 7, 10, 16, 26, 32, 36, 62, 64, 85, 255, 256, 1000, 65_535, 65_536];

/// Rows of a batch: one, tails of a group of lanes, whole groups.
const ROWS: [usize; 8] = [1, 2, 3, 63, 64, 65, 130, 0];

/// An alphabet whose first symbols serve every radix up to 64.
const SYMBOLS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/";

/// Rows of a batch that also the slow references compute.
const CHECKED_ROWS: usize = 3;

/// Compares `kernel` with the reference implementation and `fpe` on shapes of every class, both kinds of tweak and
/// all key sizes.
pub(crate) fn against_naive_and_fpe(kernel: Kernel) -> Result<PartReport> {
    let oracles = match kernel {
        Kernel::Naive => "the crate `fpe`",
        _ => "the reference implementation and the crate `fpe`",
    };
    let mut line = PartReport {
        name: format!("kernel {kernel} against {oracles}"),
        ..PartReport::default()
    };
    let mut random = SplitMix64(0x2545_f491_4f6c_dd1d);
    for value in RADICES {
        let radix = Radix::try_new(value)?;
        for (mode, n) in shapes(radix) {
            if kernel == Kernel::Naive && mode != Mode::Ff1 {
                continue; // `fpe` knows FF1 alone
            }
            let case = ShapeCase::new(&mut random, mode, radix, n);
            match case.agrees(kernel) {
                Ok(true) => line.passed += 1,
                _ => line
                    .failed
                    .push(format!("{mode:?}, radix {value}, {n} numerals, {} rows", case.rows)),
            }
        }
    }
    Ok(line)
}

/// The shortest and longest length of each class of half (32, 64, 128 bits and beyond), their neighbours, and more.
fn shapes(radix: Radix) -> Vec<(Mode, usize)> {
    let key = AesKey::try_new(&[0; 16]).expect("16 bytes are a key");
    let mut shapes = Vec::new();
    for mode in [Mode::Ff1, Mode::Ff3_1, Mode::Ff3] {
        let lengths = cipher(&key, mode, radix).lengths();
        let mut chosen = vec![*lengths.start(), *lengths.start() + 1];
        // Where code for one width ends and the next begins.
        for bits in [32, 40, 62, 64, 96, 120, 128] {
            // The longest half of that many bits.
            let half = (1..=bits).take_while(|m| radix.bits(*m) <= bits).last().unwrap_or(1);
            chosen.extend([2 * half - 1, 2 * half, 2 * half + 1]);
        }
        if mode != Mode::Ff1 {
            chosen.extend([*lengths.end() - 1, *lengths.end()]);
        }
        chosen.retain(|n| lengths.contains(n));
        chosen.sort_unstable();
        chosen.dedup();
        shapes.extend(chosen.into_iter().map(|n| (mode, n)));
    }
    shapes
}

/// One batch.
struct ShapeCase {
    key: Vec<u8>,
    mode: Mode,
    radix: Radix,
    n: usize,
    rows: usize,
    tweaks: Vec<Vec<u8>>,
    shared: bool,
    numerals: Vec<u16>,
}

impl ShapeCase {
    fn new(random: &mut SplitMix64, mode: Mode, radix: Radix, n: usize) -> Self {
        let size = [16, 24, 32][random.below(3)];
        let key = random.bytes(size);
        let rows = ROWS[random.below(ROWS.len())];
        let shared = random.below(2) == 0;
        let mut tweaks = Vec::new();
        for _ in 0..rows.max(1) {
            let length = match mode {
                Mode::Ff1 => [0, 1, 7, 8, 11, 15, 16, 17, 40][random.below(9)],
                Mode::Ff3_1 => 7,
                Mode::Ff3 => 8,
            };
            tweaks.push(random.bytes(length));
        }
        let highest = (radix.value() - 1) as u16;
        let mut numerals: Vec<u16> = (0..rows * n)
            .map(|_| random.below(radix.value() as usize) as u16)
            .collect();
        for (row, numerals) in numerals.chunks_exact_mut(n).enumerate() {
            // The ends of the range are where carries and corrections happen.
            match row % 3 {
                0 if random.below(2) == 0 => numerals.fill(0),
                1 => numerals.fill(highest),
                _ => {}
            }
        }
        Self {
            key,
            mode,
            radix,
            n,
            rows,
            tweaks,
            shared,
            numerals,
        }
    }

    fn agrees(&self, kernel: Kernel) -> Result<bool> {
        let key = AesKey::try_new(&self.key)?;
        let cipher = cipher(&key, self.mode, self.radix).with_kernel(kernel);
        let slices: Vec<&[u8]> = self.tweaks.iter().map(Vec::as_slice).collect();
        let tweaks = if self.shared {
            Tweaks::Shared(slices[0])
        } else {
            Tweaks::PerRow(&slices[..self.rows])
        };
        let mut agrees = true;
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let mut done = self.numerals.clone();
            cipher.apply(direction, tweaks, &mut done, self.n)?;
            for row in self.checked_rows() {
                let tweak = if self.shared { slices[0] } else { slices[row] };
                let (before, after) = (self.row(&self.numerals, row), self.row(&done, row));
                if kernel != Kernel::Naive {
                    let mut expected = before.to_vec();
                    let reference = cipher.clone().with_kernel(Kernel::Naive);
                    reference.apply(direction, Tweaks::Shared(tweak), &mut expected, self.n)?;
                    agrees &= expected == after;
                }
                // Independent of all our code, AES apart: the strongest of the comparisons.
                if self.mode == Mode::Ff1 {
                    agrees &= fpe(&self.key, self.radix, direction, tweak, before).as_deref() == Some(after);
                }
            }
            agrees &= self.text_agrees(&cipher, direction, tweaks, &done)?;
            let back = match direction {
                Direction::Encrypt => Direction::Decrypt,
                Direction::Decrypt => Direction::Encrypt,
            };
            // A round trip proves nothing by itself, but it covers all rows, of which the slow references compute a
            // few.
            cipher.apply(back, tweaks, &mut done, self.n)?;
            agrees &= done == self.numerals;
        }
        Ok(agrees)
    }

    /// True if the batch gives equal results as text, or the radix is too large for that.
    fn text_agrees(&self, cipher: &Cipher, direction: Direction, tweaks: Tweaks<'_>, done: &[u16]) -> Result<bool> {
        let alphabet: Vec<char> = SYMBOLS.chars().take(self.radix.value() as usize).collect();
        let Some(symbols) = Symbols::new(&alphabet).filter(|_| self.radix.value() <= 64) else {
            return Ok(true);
        };
        let text =
            |numerals: &[u16]| -> Vec<u8> { numerals.iter().map(|at| alphabet[usize::from(*at)] as u8).collect() };
        let mut output = vec![0; done.len()];
        cipher.apply_text(direction, tweaks, &symbols, &text(&self.numerals), &mut output, self.n)?;
        Ok(output == text(done))
    }

    /// The first rows and the last.
    fn checked_rows(&self) -> Vec<usize> {
        let mut rows: Vec<_> = (0..self.rows.min(CHECKED_ROWS)).collect();
        if self.rows > CHECKED_ROWS {
            rows.push(self.rows - 1);
        }
        rows
    }

    fn row<'a>(&self, numerals: &'a [u16], row: usize) -> &'a [u16] {
        &numerals[row * self.n..][..self.n]
    }
}

fn cipher(key: &AesKey, mode: Mode, radix: Radix) -> Cipher {
    match mode {
        Mode::Ff1 => Cipher::ff1(key, radix),
        Mode::Ff3_1 => Cipher::ff3_1_legacy(key, radix),
        Mode::Ff3 => Cipher::ff3_legacy(key, radix),
    }
}

/// The result of the crate `fpe`.
pub(crate) fn fpe(key: &[u8], radix: Radix, direction: Direction, tweak: &[u8], numerals: &[u16]) -> Option<Vec<u16>> {
    let numerals = FlexibleNumeralString::from(numerals.to_vec());
    macro_rules! with {
        ($aes:ty) => {{
            let ff1 = FF1::<$aes>::new(key, radix.value()).ok()?;
            match direction {
                Direction::Encrypt => ff1.encrypt(tweak, &numerals),
                Direction::Decrypt => ff1.decrypt(tweak, &numerals),
            }
        }};
    }
    let done = match key.len() {
        16 => with!(aes::Aes128),
        24 => with!(aes::Aes192),
        _ => with!(aes::Aes256),
    };
    done.ok().map(Vec::from)
}
