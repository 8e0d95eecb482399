//! Text in, text out: rows of symbols that are read, walk and are written without a numeral in memory.

use super::lanes::{BATCH, Plan, Rows};
use super::{Cipher, Direction, Refusal, Symbols, Tweaks, arch, lanes};
use crate::Result;

impl Cipher {
    /// Encrypts or decrypts a batch of text: `input` holds rows of `n` symbols, row after row, and so will `output`, which is as
    /// long.
    ///
    /// # Errors
    ///
    /// As [`Cipher::apply`]; also where a byte is no symbol, or there are not as many symbols as the radix. What `output` holds then
    /// is of no use.
    pub fn apply_text(
        &self,
        direction: Direction,
        tweaks: Tweaks<'_>,
        symbols: &Symbols,
        input: &[u8],
        output: &mut [u8],
        n: usize,
    ) -> Result<()> {
        self.radix.check_length(self.mode, &self.floor, n)?;
        if !input.len().is_multiple_of(n) || output.len() != input.len() {
            let numerals = input.len();
            return Err(Refusal::RaggedBatch { numerals, length: n }.into());
        }
        if self.radix.value() as usize != symbols.radix() {
            let radix = self.radix.value();
            return Err(Refusal::Alphabet {
                radix,
                symbols: symbols.radix(),
            }
            .into());
        }
        let checked = self.check_tweaks(tweaks, input.len() / n)?;
        self.kernel.proven()?;
        let short = self
            .radix
            .highest(n.div_ceil(2))
            .is_some_and(|highest| highest <= u64::MAX.into());
        if short && self.kernel != super::Kernel::Naive {
            let plan = Plan::<u64>::new(self.mode, self.radix, n);
            let mut text = arch::Text {
                symbols,
                input,
                output: &mut *output,
                n,
            };
            if let Some(all) = arch::walk_text(self.kernel, &self.aes, &plan, direction, checked, &mut text) {
                return if all { Ok(()) } else { Ok(symbols.check(input, n)?) };
            }
            let mut rows = TextRows {
                symbols,
                input,
                output,
                n,
                misfit: false,
                form: arch::TextForm::new(self.kernel, symbols, &plan, n),
                numerals: vec![0; BATCH * n],
            };
            lanes::run(self.kernel, &self.aes, &plan, direction, checked, &mut rows);
            if rows.misfit {
                symbols.check(input, n)?;
            }
            return Ok(());
        }
        symbols.check(input, n)?;
        symbols.read(input, output);
        let mut numerals: Vec<u16> = output.iter().map(|numeral| u16::from(*numeral)).collect();
        self.apply_checked(direction, checked, &mut numerals, n);
        for (byte, numeral) in output.iter_mut().zip(numerals) {
            *byte = numeral as u8; // radix ≤ 64
        }
        symbols.write(output);
        Ok(())
    }
}

/// Rows of `n` symbols.
struct TextRows<'a> {
    symbols: &'a Symbols,
    input: &'a [u8],
    output: &'a mut [u8],
    n: usize,
    /// A byte was no symbol.
    misfit: bool,
    form: arch::TextForm,
    numerals: Vec<u8>,
}

impl Rows<u64> for TextRows<'_> {
    fn len(&self) -> usize {
        self.input.len() / self.n
    }

    fn load(
        &mut self,
        plan: &Plan<u64>,
        start: usize,
        count: usize,
        left: &mut [u64; BATCH],
        right: &mut [u64; BATCH],
    ) {
        let text = &self.input[start * self.n..][..count * self.n];
        if self.form.read(text, left, right, &mut self.misfit) {
            return;
        }
        let numerals = &mut self.numerals[..text.len()];
        self.symbols.read(text, numerals);
        self.misfit |= numerals.iter().fold(0, |all, numeral| all | numeral) & 0x80 != 0;
        plan.num_rows(numerals, self.n, left, right);
    }

    fn store(&mut self, plan: &Plan<u64>, start: usize, count: usize, left: &[u64; BATCH], right: &[u64; BATCH]) {
        let text = &mut self.output[start * self.n..][..count * self.n];
        if self.form.write(left, right, text) {
            return;
        }
        plan.str_rows(text, self.n, left, right);
        self.symbols.write(text);
    }
}
