//! Interleaved slices: every contender runs for a few milliseconds in turn, again and again, so that a noisy neighbour
//! hits all alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long one turn takes.
const SLICE: Duration = Duration::from_millis(4);

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
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[((rates.len() - 1) as f64 * quantile).round() as usize]
    }
}

/// Runs all `contenders` in turn, `slices` times.
pub fn race(contenders: &mut [Contender<'_>], slices: usize) {
    for contender in contenders.iter_mut() {
        let rate = contender.slice();
        contender.times = ((rate * SLICE.as_secs_f64()) as usize / contender.values).max(1);
    }
    for _ in 0..slices {
        for contender in contenders.iter_mut() {
            let rate = contender.slice();
            contender.rates.push(rate);
        }
    }
}
