//! Text in, text out: rows of symbols that are read, go through the rounds and are written without a numeral in memory.

use cipherform_ascii::Symbols;

use crate::batch::call::BatchCall;
use crate::batch::plan::ShapePlan;
use crate::batch::run::HalfRows;
use crate::batch::sizes::CHUNK;
use crate::batch::text_shapes::TextShape;
use crate::batch::{numerals, run};
use crate::cipher::Cipher;
use crate::kernels::dispatch::{KernelOps, Prepared, SymbolRows, TextCodec, run_text};
use crate::kernels::kernel::Kernel;
use crate::selftest::known_answers;
use crate::spec::error::{CipherError, Result};
use crate::spec::tweaks::Tweaks;
use crate::spec::types::Direction;

impl Cipher {
    /// Encrypts or decrypts a batch of text: `input` holds rows of `n` symbols, row after row, and so will
    /// `output`, which is as long.
    ///
    /// # Errors
    ///
    /// As [`Cipher::apply`]; also where a byte is no symbol, or there are not as many symbols as the radix. What
    /// `output` holds then is of no use.
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
            return Err(CipherError::RaggedBatch { numerals, length: n });
        }
        if self.radix.value() as usize != symbols.radix() {
            let radix = self.radix.value();
            return Err(CipherError::Alphabet {
                radix,
                symbols: symbols.radix(),
            });
        }
        self.check_tweaks(tweaks, input.len() / n)?;
        let call = self.call(direction, tweaks);
        known_answers::prove(self.kernel)?;
        let mut text = SymbolRows {
            symbols,
            input,
            output: &mut *output,
            n,
        };
        // By the width of the longer half, and to the fastest code that there is for the shape. Bytes that are no
        // symbols come out as a flag, so that valid text is read once.
        let fits = match self.radix.highest(n.div_ceil(2)) {
            Some(highest) if self.kernel != Kernel::Naive && highest <= u64::MAX.into() => {
                let fresh;
                // Made by the first call that meets the length, also by several threads at once; an alphabet that
                // differs has its shape made anew, as it is rare.
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
                let TextShape { prepared, codec, .. } = shape;
                match run_text(codec, call, prepared, &mut text) {
                    Some(fits) => fits,
                    None => run_text_rows(call, prepared, text, codec),
                }
            }
            Some(_) if self.kernel != Kernel::Naive => {
                let prepared = Prepared::<u128>::new(self.mode, self.radix, n);
                run_text_rows(call, &prepared, text, &TextCodec::Numerals)
            }
            _ => {
                check(symbols, input, n)?;
                symbols.read(input, output);
                let mut numerals: Vec<u16> = output.iter().map(|numeral| u16::from(*numeral)).collect();
                numerals::apply(call, self.mode, self.radix, &mut numerals, n);
                for (byte, numeral) in output.iter_mut().zip(numerals) {
                    *byte = numeral as u8; // radix ≤ 64
                }
                symbols.write(output);
                true
            }
        };
        if fits { Ok(()) } else { check(symbols, input, n) }
    }

    fn shape(&self, symbols: &Symbols, n: usize) -> TextShape {
        let prepared = Prepared::new(self.mode, self.radix, n);
        TextShape {
            symbols: symbols.clone(),
            codec: TextCodec::new(self.kernel, symbols, &prepared, n),
            prepared,
        }
    }
}

/// Refuses text in rows of `n` bytes of which one is no symbol.
fn check(symbols: &Symbols, text: &[u8], n: usize) -> Result<()> {
    match symbols.first_other(text) {
        None => Ok(()),
        Some(at) => Err(CipherError::NumeralOutOfRange {
            row: at / n,
            position: at % n,
            radix: symbols.radix() as u32,
        }),
    }
}

/// Takes rows through the rounds; `false` if a byte is no symbol.
fn run_text_rows<H: KernelOps>(
    call: BatchCall<'_>,
    prepared: &Prepared<H>,
    text: SymbolRows<'_>,
    codec: &TextCodec,
) -> bool {
    let mut rows = TextRows {
        numerals: vec![0; CHUNK * text.n],
        text,
        unknown: false,
        codec,
    };
    run::run(call, prepared, &mut rows);
    !rows.unknown
}

/// Rows of symbols, read and written by a codec.
struct TextRows<'a> {
    text: SymbolRows<'a>,
    /// True if a byte was no symbol.
    unknown: bool,
    codec: &'a TextCodec,
    numerals: Vec<u8>,
}

impl<H: KernelOps> HalfRows<H> for TextRows<'_> {
    fn len(&self) -> usize {
        self.text.input.len() / self.text.n
    }

    fn load(&mut self, plan: &ShapePlan<H>, start: usize, count: usize, left: &mut [H; CHUNK], right: &mut [H; CHUNK]) {
        let SymbolRows { symbols, input, n, .. } = self.text;
        let text = &input[start * n..][..count * n];
        if H::read(self.codec, text, left, right, &mut self.unknown) {
            return;
        }
        let numerals = &mut self.numerals[..text.len()];
        self.unknown |= !symbols.read(text, numerals);
        plan.num_rows(numerals, left, right);
    }

    fn store(&mut self, plan: &ShapePlan<H>, start: usize, count: usize, left: &[H; CHUNK], right: &[H; CHUNK]) {
        let n = self.text.n;
        let text = &mut self.text.output[start * n..][..count * n];
        if H::write(self.codec, left, right, text) {
            return;
        }
        plan.str_rows(text, left, right);
        self.text.symbols.write(text);
    }
}
