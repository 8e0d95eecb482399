//! The kernels behind one interface: each call goes to the fastest code that the kernel chosen has for its shape.

use cipherform_ascii::Symbols;

use crate::batch::call::BatchCall;
use crate::batch::chunk::Chunk;
use crate::batch::half::Half;
use crate::batch::plan::ShapePlan;
use crate::batch::sizes::CHUNK;
use crate::kernels::kernel::Kernel;
use crate::kernels::portable;
use crate::kernels::portable::EndRound;
#[cfg(target_arch = "x86_64")]
use crate::kernels::prefix_source::with_prefixes;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};
use crate::spec::key::Aes;
use crate::spec::radix::Radix;
use crate::spec::types::{Direction, Mode};

/// A [`ShapePlan`], and the parameters that the vector kernels derive from it, where they have code for its shape.
pub(crate) struct Prepared<H: Half> {
    pub(crate) plan: ShapePlan<H>,
    #[cfg(target_arch = "x86_64")]
    pub(crate) avx512: Option<avx512::params::Params512>,
    #[cfg(target_arch = "x86_64")]
    pub(crate) avx2: Option<avx2::params::Params256>,
}

impl<H: Half> Prepared<H> {
    /// For messages of `n` numerals; both halves must fit `H`.
    pub(crate) fn new(mode: Mode, radix: Radix, n: usize) -> Self {
        let plan = ShapePlan::new(mode, radix, n);
        #[cfg(target_arch = "x86_64")]
        let highest = plan.lengths(n).map(|m| radix.highest(m).expect("halves were measured"));
        Self {
            // The parameters of both vector kernels, whichever is chosen: what is prepared does not know its
            // kernel.
            #[cfg(target_arch = "x86_64")]
            avx512: avx512::params::Params512::new(highest, plan.rounds, plan.round_shift, plan.order),
            #[cfg(target_arch = "x86_64")]
            avx2: avx2::params::Params256::new(highest, plan.rounds, plan.round_shift, plan.order),
            plan,
        }
    }
}

/// Takes a chunk through all rounds with the kernel chosen.
pub(crate) fn run_rounds<H: KernelOps>(
    kernel: Kernel,
    aes: &Aes,
    prepared: &Prepared<H>,
    direction: Direction,
    chunk: &mut Chunk<'_, H>,
) {
    // The guards do the work. A kernel that has no code for a shape says so before it changes a row, so that the
    // rows are as they were when the portable code takes them.
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 if H::avx512(aes, prepared, direction, chunk) => {}
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 if H::avx2(aes, prepared, direction, chunk) => {}
        // A shape that a kernel has no code for. The reference implementation has no lanes and never comes here.
        _ => portable::run(aes, &prepared.plan, direction, chunk),
    }
}

/// The code of the vector kernels for halves of one type.
pub(crate) trait KernelOps: EndRound {
    /// Takes the rows through all rounds in AVX-512; `false` if there is no code for their shape.
    #[cfg(target_arch = "x86_64")]
    fn avx512(_: &Aes, _: &Prepared<Self>, _: Direction, _: &mut Chunk<'_, Self>) -> bool {
        false
    }

    /// Takes the rows through all rounds in AVX2; `false` if there is no code for their shape.
    #[cfg(target_arch = "x86_64")]
    fn avx2(_: &Aes, _: &Prepared<Self>, _: Direction, _: &mut Chunk<'_, Self>) -> bool {
        false
    }

    /// Reads rows of text; `false` if that is left to other code. Sets `unknown` if a byte is no symbol.
    fn read(
        _: &TextCodec,
        _text: &[u8],
        _left: &mut [Self; CHUNK],
        _right: &mut [Self; CHUNK],
        _unknown: &mut bool,
    ) -> bool {
        false
    }

    /// Writes rows of text; `false` if that is left to other code.
    fn write(_: &TextCodec, _left: &[Self; CHUNK], _right: &[Self; CHUNK], _text: &mut [u8]) -> bool {
        false
    }
}

impl KernelOps for u64 {
    #[cfg(target_arch = "x86_64")]
    fn avx512(aes: &Aes, prepared: &Prepared<u64>, direction: Direction, chunk: &mut Chunk<'_, u64>) -> bool {
        match (aes.schedule(), &prepared.avx512) {
            // All 64 lanes go through the rounds, whatever the number of rows: the lanes beyond them hold halves of
            // the shape, so that no arithmetic leaves its bounds, and nobody reads their results.
            (Some(schedule), Some(params)) => {
                for lanes in chunk.lanes() {
                    avx512::rounds::run_lanes(schedule, params, direction, lanes.prefixes, lanes.left, lanes.right);
                }
                true
            }
            _ => false,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2(aes: &Aes, prepared: &Prepared<u64>, direction: Direction, chunk: &mut Chunk<'_, u64>) -> bool {
        match (aes.schedule(), &prepared.avx2) {
            // Here the number of rows counts: pairs of groups beyond the last row are left out.
            (Some(schedule), Some(params)) => {
                for mut lanes in chunk.lanes() {
                    avx2::rounds::run_lanes(schedule, params, direction, &mut lanes);
                }
                true
            }
            _ => false,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn read(
        codec: &TextCodec,
        text: &[u8],
        left: &mut [u64; CHUNK],
        right: &mut [u64; CHUNK],
        unknown: &mut bool,
    ) -> bool {
        let TextCodec::Symbols512(codec) = codec else {
            return false;
        };
        // A flag for the whole batch, and no branch for a byte: which byte is no symbol is found out only if there
        // is one.
        *unknown |= !codec.read(text, left, right);
        true
    }

    #[cfg(target_arch = "x86_64")]
    fn write(codec: &TextCodec, left: &[u64; CHUNK], right: &[u64; CHUNK], text: &mut [u8]) -> bool {
        let TextCodec::Symbols512(codec) = codec else {
            return false;
        };
        codec.write(left, right, text);
        true
    }
}

impl KernelOps for u128 {}

/// The way a kernel reads and writes text of one shape.
pub(crate) enum TextCodec {
    /// By way of numerals in memory.
    Numerals,
    /// By way of halves in memory.
    #[cfg(target_arch = "x86_64")]
    Symbols512(Box<avx512::symbols::SymbolCodec>),
    /// In registers, between which and the text there is no memory.
    #[cfg(target_arch = "x86_64")]
    Decimal512(Box<avx512::decimal::DecimalCodec512>),
    /// In registers of AVX2, between which and the text there is no memory.
    #[cfg(target_arch = "x86_64")]
    Decimal256(Box<avx2::decimal::DecimalCodec256>),
}

impl TextCodec {
    /// The fastest codec that `kernel` has for rows of `n` symbols.
    pub(crate) fn new(kernel: Kernel, symbols: &Symbols, prepared: &Prepared<u64>, n: usize) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let plan = &prepared.plan;
            let (lengths, least_first) = (plan.lengths(n), plan.least_first());
            // Decimal digits have the fastest code, where both the digits and the halves of the shape have some.
            if let (Kernel::Avx512, Some(params)) = (kernel, &prepared.avx512)
                && let Some(codec) = avx512::decimal::DecimalCodec512::new(symbols, lengths, least_first)
                && avx512::decimal::covers(params, &codec)
            {
                return Self::Decimal512(Box::new(codec));
            }
            // Any other alphabet of up to 24 symbols a half. FF3 reads halves from their other end, which this does
            // not.
            if kernel == Kernel::Avx512
                && !least_first
                && let Some(codec) = avx512::symbols::SymbolCodec::new(symbols, lengths)
            {
                return Self::Symbols512(Box::new(codec));
            }
            // Both halves of up to 8 digits are below 10^8 < 2^30, so that every shape that the codec takes has
            // parameters of one of two reductions, Tiny or Short.
            if let (Kernel::Avx2, Some(_)) = (kernel, &prepared.avx2)
                && let Some(codec) = avx2::decimal::DecimalCodec256::new(symbols, lengths, least_first)
            {
                return Self::Decimal256(Box::new(codec));
            }
        }
        let _ = (kernel, symbols, prepared, n);
        Self::Numerals
    }
}

/// Rows of `n` symbols and where they go.
pub(crate) struct SymbolRows<'a> {
    pub(crate) symbols: &'a Symbols,
    pub(crate) input: &'a [u8],
    pub(crate) output: &'a mut [u8],
    pub(crate) n: usize,
}

/// Takes text through all rounds where a kernel has code that needs no halves in memory: says then whether all
/// bytes are symbols.
pub(crate) fn run_text(
    codec: &TextCodec,
    call: BatchCall<'_>,
    prepared: &Prepared<u64>,
    text: &mut SymbolRows<'_>,
) -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    {
        let (direction, input, output) = (call.direction, text.input, &mut *text.output);
        // The codec was made for this kernel and these parameters, so both `?` find what they ask for; if not, the
        // caller goes by way of halves in memory.
        let all_symbols = match codec {
            TextCodec::Decimal512(codec) => {
                let (schedule, params) = (call.aes.schedule()?, prepared.avx512.as_ref()?);
                with_prefixes(call, &prepared.plan, |prefixes| {
                    avx512::decimal::run(schedule, params, codec, direction, prefixes, (input, output))
                })
            }
            TextCodec::Decimal256(codec) => {
                let (schedule, params) = (call.aes.schedule()?, prepared.avx2.as_ref()?);
                with_prefixes(call, &prepared.plan, |prefixes| {
                    avx2::decimal::run(schedule, params, codec, direction, prefixes, (input, output))
                })
            }
            _ => return None,
        };
        Some(all_symbols)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (codec, call, prepared, text);
        None
    }
}

/// Takes integers, whose right halves are their lowest `width` bits, through all rounds where a kernel has code
/// that needs no halves in memory: says whether it has.
pub(crate) fn run_integers(call: BatchCall<'_>, prepared: &Prepared<u64>, values: &mut [u64], width: u32) -> bool {
    // Radix 2 alone comes here: powers of two are reduced by a mask, and the halves of an integer are its upper and
    // its lower bits. NUM and STR (algorithms 1 and 3 of SP 800-38G) need no arithmetic then.
    #[cfg(target_arch = "x86_64")]
    if call.kernel == Kernel::Avx512
        && let (Some(schedule), Some(params)) = (call.aes.schedule(), &prepared.avx512)
        && avx512::integers::covers(params)
    {
        return with_prefixes(call, &prepared.plan, |prefixes| {
            avx512::integers::run(schedule, params, call.direction, prefixes, values, width);
            true
        });
    }
    let _ = (call, prepared, values, width);
    false
}
