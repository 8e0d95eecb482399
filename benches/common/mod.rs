//! Interleaved slices: every contender runs for a few milliseconds in turn, again and again, so that a noisy neighbour
//! hits all alike. `cargo test` runs benches, too: then each contender runs once, and nothing is written.

#![allow(clippy::print_stdout)] // a bench prints its table
#![allow(dead_code)] // each bench has its own races

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long one turn takes.
// Long against the clock's resolution, short against the turns of a scheduler.
const SLICE: Duration = Duration::from_millis(4);

/// Turns of each contender.
// Odd, so that the median is a measured value.
const SLICES: usize = 41;

/// Whether this is `cargo bench`.
fn measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// One thing to time.
pub struct Contender<'a> {
    run: Box<dyn FnMut(usize) -> u64 + 'a>,
    /// How often `run` runs in a slice.
    times: usize,
    values: usize,
    rates: Vec<f64>,
}

impl<'a> Contender<'a> {
    /// `run` does `values` values a call.
    pub fn new(values: usize, mut run: impl FnMut() -> u64 + 'a) -> Self {
        // The sum of results keeps the compiler from leaving the work out.
        let run = move |times| (0..times).fold(0, |sum, _| sum ^ black_box(run()));
        Self {
            run: Box::new(run),
            times: 1,
            values,
            rates: Vec::new(),
        }
    }

    fn slice(&mut self) -> f64 {
        let start = Instant::now();
        black_box((self.run)(self.times));
        let seconds = start.elapsed().as_secs_f64();
        (self.times * self.values) as f64 / seconds
    }

    /// Values a second that the fraction `quantile` of all slices did not pass.
    pub fn rate(&self, quantile: f64) -> f64 {
        // Quantiles and not a mean: one interruption would spoil that.
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[((rates.len() - 1) as f64 * quantile).round() as usize]
    }
}

/// Runs all `contenders` in turn, `slices` times.
fn race(contenders: &mut [Contender<'_>], slices: usize) {
    if !measuring() {
        for contender in contenders {
            let rate = contender.slice();
            contender.rates.push(rate);
        }
        return;
    }
    // Calibrated first, so that each turn takes about one slice whatever the speed.
    for contender in contenders.iter_mut() {
        let rate = contender.slice();
        contender.times = ((rate * SLICE.as_secs_f64()) as usize / contender.values).max(1);
    }
    // In turn and not one after the other: a change of clock speed or load then meets all of them.
    for _ in 0..slices {
        for contender in contenders.iter_mut() {
            let rate = contender.slice();
            contender.rates.push(rate);
        }
    }
}

/// What a line of the table says beside figures.
pub struct Line {
    /// Which bench.
    pub bench: &'static str,
    /// What the values look like.
    pub shape: String,
    /// What is timed.
    pub mode: String,
    /// Bits of the AES key.
    pub key_bits: usize,
    /// Our kernel.
    pub kernel: String,
}

/// The table, printed line by line, and the file of results.
pub struct Report {
    file: Option<File>,
}

impl Report {
    /// Writes to `benches/results/NAME.csv`.
    pub fn new(name: &str) -> Self {
        // A run within the tests leaves no file behind.
        let file = measuring().then(|| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
            std::fs::create_dir_all(&folder).expect("benches/results can be made");
            let mut file = File::create(folder.join(format!("{name}.csv"))).expect("the results can be written");
            let columns = "bench,shape,mode,direction,key_bits,kernel,values_per_s_p50,values_per_s_p90,floor_p90,ratio_floor,fpe_p90,ratio_fpe,ratio_digits";
            writeln!(file, "{columns}").expect("the results can be written");
            file
        });
        println!(
            "{:<34} {:<16} {:<8} {:>4} {:<9} {:>10} {:>10} {:>8} {:>8} {:>8}",
            "shape", "mode", "way", "key", "kernel", "p50 M/s", "p90 M/s", "÷ floor", "÷ fpe", "÷ digits"
        );
        Self { file }
    }

    /// Races the AES floor, ours both ways and the crate `fpe`, and writes a line for each way.
    pub fn race(
        &mut self,
        line: &Line,
        floor: Contender<'_>,
        encrypt: Contender<'_>,
        decrypt: Contender<'_>,
        fpe: Contender<'_>,
    ) {
        let mut contenders = [floor, encrypt, decrypt, fpe];
        race(&mut contenders, SLICES);
        let [floor, encrypt, decrypt, fpe] = &contenders;
        for (direction, ours) in [("encrypt", encrypt), ("decrypt", decrypt)] {
            self.line(line, direction, ours, Some(floor), Some(fpe), None);
        }
    }

    /// Races ours both ways against a plain column of 16 digits, and writes a line for each way.
    pub fn beside(&mut self, line: &Line, encrypt: Contender<'_>, decrypt: Contender<'_>, digits: Contender<'_>) {
        let mut contenders = [encrypt, decrypt, digits];
        race(&mut contenders, SLICES);
        let [encrypt, decrypt, digits] = &contenders;
        for (direction, ours) in [("encrypt", encrypt), ("decrypt", decrypt)] {
            self.line(line, direction, ours, None, None, Some(digits));
        }
    }

    /// The same for what goes one way.
    pub fn one_way(&mut self, line: &Line, encrypt: Contender<'_>, digits: Contender<'_>) {
        let mut contenders = [encrypt, digits];
        race(&mut contenders, SLICES);
        let [encrypt, digits] = &contenders;
        self.line(line, "encrypt", encrypt, None, None, Some(digits));
    }

    /// Times the copying of 16 bytes a row, which is what memory alone would allow.
    pub fn memcpy(&mut self, bench: &'static str, rows: usize) {
        let from = vec![b'7'; 16 * rows];
        let mut to = from.clone();
        let line = Line {
            bench,
            shape: "16 bytes".into(),
            mode: "memcpy".into(),
            key_bits: 0,
            kernel: String::new(),
        };
        let copy = Contender::new(rows, move || {
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&to)[0].into()
        });
        self.alone(&line, "", copy);
    }

    /// Times one thing by itself.
    pub fn alone(&mut self, line: &Line, direction: &str, contender: Contender<'_>) {
        let mut contenders = [contender];
        race(&mut contenders, SLICES);
        self.line(line, direction, &contenders[0], None, None, None);
    }

    /// Races ours both ways, and the crate `fpe` where it takes no minutes, `slices` times: for what takes longer
    /// than a slice.
    pub fn slow(
        &mut self,
        line: &Line,
        slices: usize,
        encrypt: Contender<'_>,
        decrypt: Contender<'_>,
        fpe: Option<Contender<'_>>,
    ) {
        let mut contenders: Vec<Contender<'_>> = [encrypt, decrypt].into_iter().chain(fpe).collect();
        race(&mut contenders, slices);
        for (direction, ours) in ["encrypt", "decrypt"].into_iter().zip(&contenders) {
            self.line(line, direction, ours, None, contenders.get(2), None);
        }
    }

    fn line(
        &mut self,
        line: &Line,
        direction: &str,
        ours: &Contender<'_>,
        floor: Option<&Contender<'_>>,
        fpe: Option<&Contender<'_>>,
        digits: Option<&Contender<'_>>,
    ) {
        // The ninth decile is closest to what the machine can do undisturbed; the median shows how noisy it was.
        let (p50, p90) = (ours.rate(0.5), ours.rate(0.9));
        let beside = |other: Option<&Contender<'_>>, places| {
            other.map_or_else(Default::default, |other| {
                let rate = other.rate(0.9);
                (written(rate), format!("{:.places$}", p90 / rate))
            })
        };
        let ((floor, ratio_floor), (fpe, ratio_fpe)) = (beside(floor, 3), beside(fpe, 1));
        let ratio_digits = digits.map_or(String::new(), |digits| format!("{:.3}", p90 / digits.rate(0.9)));
        let Line {
            bench,
            shape,
            mode,
            key_bits,
            kernel,
        } = line;
        println!(
            "{shape:<34} {mode:<16} {direction:<8} {key_bits:>4} {kernel:<9} {:>10} {:>10} {ratio_floor:>8} {ratio_fpe:>8} {ratio_digits:>8}",
            shown(p50),
            shown(p90)
        );
        // Commas would be columns.
        let shape = shape.replace(',', ";");
        if let Some(file) = &mut self.file {
            writeln!(
                file,
                "{bench},{shape},{mode},{direction},{key_bits},{kernel},{},{},{floor},{ratio_floor},{fpe},{ratio_fpe},{ratio_digits}",
                written(p50),
                written(p90)
            )
            .expect("the results can be written");
        }
    }
}

/// A rate as it is printed: in millions a second, or as the milliseconds of one value.
fn shown(rate: f64) -> String {
    if rate < 1e4 {
        format!("{:.3} ms", 1e3 / rate)
    } else {
        format!("{:.2}", rate / 1e6)
    }
}

/// A rate as it stands in the file of results.
fn written(rate: f64) -> String {
    let places = if rate < 1000.0 { 3 } else { 0 };
    format!("{rate:.places$}")
}
