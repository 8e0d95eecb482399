//! Text in, text out: rows of symbols that are read, walk and are written without a numeral in memory.

use std::sync::OnceLock;

use super::lanes::{BATCH, Half, Plan, RowTweaks, Rows};
use super::{Cipher, Direction, Kernel, Refusal, Symbols, Tweaks, arch, lanes};
use crate::Result;

/// What texts of one length over one alphabet have in common.
struct Shape {
    symbols: Symbols,
    plan: Plan<u64>,
    form: arch::TextForm,
}

/// The shapes a cipher has met, by length: columns come in batches, and working one out takes as long as some hundred rows.
pub(super) struct Shapes([OnceLock<Box<Shape>>; Self::LONGEST + 1]);

impl Shapes {
    const LONGEST: usize = 64;

    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| OnceLock::new()))
    }
}

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
        let mut text = arch::Text {
            symbols,
            input,
            output: &mut *output,
            n,
        };
        let fits = match self.radix.highest(n.div_ceil(2)) {
            Some(highest) if self.kernel != Kernel::Naive && highest <= u64::MAX.into() => {
                let fresh;
                let met = self
                    .shapes
                    .0
                    .get(n)
                    .map(|cell| cell.get_or_init(|| Box::new(self.shape(symbols, n))));
                let shape = match met.filter(|shape| shape.symbols == *symbols) {
                    Some(shape) => shape,
                    None => {
                        fresh = self.shape(symbols, n);
                        &fresh
                    }
                };
                let Shape { plan, form, .. } = shape;
                match arch::walk_text(form, &self.aes, plan, direction, checked, &mut text) {
                    Some(fits) => fits,
                    None => self.walk_text(plan, direction, checked, text, form),
                }
            }
            Some(_) if self.kernel != Kernel::Naive => {
                let plan = Plan::<u128>::new(self.mode, self.radix, n);
                self.walk_text(&plan, direction, checked, text, &arch::TextForm::Numerals)
            }
            _ => {
                symbols.check(input, n)?;
                symbols.read(input, output);
                let mut numerals: Vec<u16> = output.iter().map(|numeral| u16::from(*numeral)).collect();
                self.apply_checked(direction, checked, &mut numerals, n);
                for (byte, numeral) in output.iter_mut().zip(numerals) {
                    *byte = numeral as u8; // radix ≤ 64
                }
                symbols.write(output);
                true
            }
        };
        if fits { Ok(()) } else { Ok(symbols.check(input, n)?) }
    }

    fn shape(&self, symbols: &Symbols, n: usize) -> Shape {
        let plan = Plan::new(self.mode, self.radix, n);
        Shape {
            symbols: symbols.clone(),
            form: arch::TextForm::new(self.kernel, symbols, &plan, n),
            plan,
        }
    }

    /// Takes rows through the walk; `false` if a byte is no symbol.
    fn walk_text<H: Half>(
        &self,
        plan: &Plan<H>,
        direction: Direction,
        tweaks: RowTweaks<'_>,
        text: arch::Text<'_>,
        form: &arch::TextForm,
    ) -> bool {
        let mut rows = TextRows {
            numerals: vec![0; BATCH * text.n],
            text,
            misfit: false,
            form,
        };
        lanes::run(self.kernel, &self.aes, plan, direction, tweaks, &mut rows);
        !rows.misfit
    }
}

/// Rows of symbols.
struct TextRows<'a> {
    text: arch::Text<'a>,
    /// A byte was no symbol.
    misfit: bool,
    form: &'a arch::TextForm,
    numerals: Vec<u8>,
}

impl<H: Half> Rows<H> for TextRows<'_> {
    fn len(&self) -> usize {
        self.text.input.len() / self.text.n
    }

    fn load(&mut self, plan: &Plan<H>, start: usize, count: usize, left: &mut [H; BATCH], right: &mut [H; BATCH]) {
        let arch::Text { symbols, input, n, .. } = self.text;
        let text = &input[start * n..][..count * n];
        if H::read(self.form, text, left, right, &mut self.misfit) {
            return;
        }
        let numerals = &mut self.numerals[..text.len()];
        self.misfit |= !symbols.read(text, numerals);
        plan.num_rows(numerals, left, right);
    }

    fn store(&mut self, plan: &Plan<H>, start: usize, count: usize, left: &[H; BATCH], right: &[H; BATCH]) {
        let n = self.text.n;
        let text = &mut self.text.output[start * n..][..count * n];
        if H::write(self.form, left, right, text) {
            return;
        }
        plan.str_rows(text, left, right);
        self.text.symbols.write(text);
    }
}
