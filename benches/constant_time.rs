//! Whether the time of a kernel tells something of values or keys: Welch's t-test, as dudect does it (Reparaz, Balasch
//! and Verbauwhede, "Dude, is my code constant time?", 2017).
//!
//! `cargo bench -p cipherform-cipher --bench constant_time`, on a quiet machine, or with names of kernels behind `--`.
//! Two classes of input are measured in random order: one input that is the same each time, and inputs that differ.
//! Where their times come from one distribution, t stays small, however long it is measured; dudect takes |t| > 4.5 for
//! a difference. Times are cropped at a hundred percentiles, since interrupts hide small differences in large times,
//! and the largest |t| of all is shown. On a machine that does other work, single lines go beyond 4.5 by chance: what
//! counts is a line that does so in every run. The naive kernel, which is not meant to be constant in time, is measured
//! only by its name.

#![allow(missing_docs, clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use cipherform_cipher::{AesKey, Cipher, Direction, Kernel, Radix, Tweaks};

/// Values in one measurement: what fills the widest registers once.
const ROWS: usize = 64;

/// Measurements of both classes together; the naive kernel, which is slow, has fewer.
const MEASUREMENTS: usize = 200_000;

/// Measurements before the first that counts: caches and clocks settle.
const WARM_UP: usize = 2_000;

/// Inputs of each class, made ahead: what makes them must not be measured.
const INPUTS: usize = 64;

/// Percentiles at which times are cropped.
const CROPS: usize = 100;

/// A generator of inputs (SplitMix64), the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn numerals(&mut self, shape: Shape) -> Vec<u16> {
        let count = ROWS * shape.length;
        (0..count)
            .map(|_| (self.next() % u64::from(shape.radix)) as u16)
            .collect()
    }

    fn key(&mut self) -> AesKey {
        let bytes: Vec<u8> = (0..4).flat_map(|_| self.next().to_le_bytes()).collect();
        AesKey::try_new(&bytes).expect("32 bytes")
    }
}

/// What is encrypted.
#[derive(Clone, Copy)]
struct Shape {
    radix: u32,
    length: usize,
}

/// Mean and variance of one class, in one pass (Welford).
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, time: f64) {
        self.count += 1.0;
        let from_mean = time - self.mean;
        self.mean += from_mean / self.count;
        self.squares += from_mean * (time - self.mean);
    }

    /// Welch's t of two classes; 0 where there is too little of one.
    fn t(&self, other: &Self) -> f64 {
        if self.count < 1_000.0 || other.count < 1_000.0 {
            return 0.0;
        }
        let of_mean = |class: &Self| class.squares / (class.count - 1.0) / class.count;
        let variance = of_mean(self) + of_mean(other);
        if variance == 0.0 {
            0.0
        } else {
            (self.mean - other.mean) / variance.sqrt()
        }
    }
}

/// The largest |t| of the measured times: all of them, and those below each of the percentiles.
fn largest_t(times: &[(bool, f64)]) -> f64 {
    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    // As dudect has them: denser towards the top, where the outliers are.
    let percentile = |crop: usize| 1.0 - 0.5f64.powf(10.0 * (crop + 1) as f64 / CROPS as f64);
    let bound = |crop| sorted[(sorted.len() as f64 * percentile(crop)) as usize];
    let bounds = (0..CROPS).map(bound).chain([f64::INFINITY]);
    let t = bounds.map(|bound| {
        let mut classes = [Moments::default(); 2];
        let below = times.iter().filter(|(_, time)| *time < bound);
        below.for_each(|(is_fixed, time)| classes[usize::from(*is_fixed)].add(*time));
        classes[0].t(&classes[1]).abs()
    });
    t.fold(0.0, f64::max)
}

/// Measures one kernel; `fixed` and `random` are ciphers and numerals of both classes.
fn measure(
    measurements: usize,
    direction: Direction,
    length: usize,
    [fixed, random]: [&[(Cipher, Vec<u16>)]; 2],
    order: &mut Random,
) -> f64 {
    let mut times = Vec::with_capacity(measurements);
    // One buffer for both classes: two would lie differently in the caches.
    let mut numerals = fixed[0].1.clone();
    for measured in 0..WARM_UP + measurements {
        let is_fixed = order.next() & 1 == 1;
        let class = if is_fixed { fixed } else { random };
        let (cipher, input) = &class[(order.next() % INPUTS as u64) as usize];
        numerals.copy_from_slice(input);
        let started = Instant::now();
        let done = cipher.apply(direction, Tweaks::Shared(b"tweak"), black_box(&mut numerals), length);
        let time = started.elapsed();
        black_box(done).expect("these lengths are taken");
        if measured >= WARM_UP {
            times.push((is_fixed, time.as_nanos() as f64));
        }
    }
    largest_t(&times)
}

fn main() {
    let only: Vec<Kernel> = std::env::args().skip(1).filter_map(|name| name.parse().ok()).collect();
    let mut random = Random(20_261_201);
    println!("| kernel | values | direction | fixed or random | largest \\|t\\| |\n| --- | --- | --- | --- | --- |");
    for kernel in Kernel::available() {
        let is_wanted = if only.is_empty() {
            kernel != Kernel::Naive
        } else {
            only.contains(&kernel)
        };
        if !is_wanted {
            continue;
        }
        let measurements = if kernel == Kernel::Naive {
            MEASUREMENTS / 20
        } else {
            MEASUREMENTS
        };
        for shape in [(10, 16), (10, 30), (36, 12), (2, 64)].map(|(radix, length)| Shape { radix, length }) {
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let radix = Radix::try_new(shape.radix).expect("a radix");
                let cipher = |key: &AesKey| Cipher::ff1(key, radix).with_kernel(kernel);
                let one_key = random.key();
                // Zeros in every row: different rows would even out what single values take.
                let one_value = vec![0; ROWS * shape.length];
                // As many ciphers in each class, so that both are as far apart in memory.
                let fixed: Vec<_> = (0..INPUTS).map(|_| (cipher(&one_key), one_value.clone())).collect();
                let values: Vec<_> = (0..INPUTS)
                    .map(|_| (cipher(&one_key), random.numerals(shape)))
                    .collect();
                let keys: Vec<_> = (0..INPUTS)
                    .map(|_| (cipher(&random.key()), one_value.clone()))
                    .collect();
                for (what, class) in [("values", &values), ("keys", &keys)] {
                    let t = measure(measurements, direction, shape.length, [&fixed, class], &mut random);
                    let Shape { radix, length } = shape;
                    println!("| {kernel} | {length} of radix {radix} | {direction:?} | {what} | {t:.1} |");
                }
            }
        }
    }
}
