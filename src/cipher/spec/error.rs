//! Why the cipher refuses an input, as a type: tests and `selftest` compare reasons, not texts.

use std::fmt;

/// The result of a call of the cipher.
pub(crate) type Result<T, E = CipherError> = std::result::Result<T, E>;

/// An input that the cipher refuses, or a kernel that must not be used.
///
/// It names positions, lengths and limits, never a numeral of the data.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CipherError {
    /// A radix is not 2 to 65,536.
    Radix {
        /// The radix given.
        value: u32,
    },
    /// A domain floor is below 100.
    FloorTooLow {
        /// The floor given.
        min: u64,
    },
    /// A domain floor below the standard's has no reason.
    FloorWithoutReason,
    /// A kernel of this name is not available on this processor.
    NoSuchKernel {
        /// The name given.
        name: String,
        /// The names of the kernels that are available.
        available: Vec<&'static str>,
    },
    /// A kernel fails its known-answer test on this machine.
    KernelFailsKnownAnswers {
        /// The name of the kernel.
        kernel: &'static str,
    },
    /// One row of a batch is refused.
    InRow {
        /// The row of the batch, from 0.
        row: usize,
        /// Why it is refused.
        error: Box<CipherError>,
    },
    /// An AES key is not 16, 24 or 32 bytes.
    KeyLength {
        /// The length given.
        bytes: usize,
    },
    /// A tweak has a length that the mode does not take.
    TweakLength {
        /// The row, from 0, if each has its own.
        row: Option<usize>,
        /// The length given.
        bytes: usize,
        /// The lengths that the mode takes.
        takes: &'static str,
    },
    /// There is not one tweak a row.
    TweakCount {
        /// Tweaks given.
        tweaks: usize,
        /// Rows given.
        rows: usize,
    },
    /// The message has fewer than two numerals, or comes from fewer than 100 values.
    MessageTooShort {
        /// Numerals given.
        length: usize,
        /// Numerals needed.
        shortest: usize,
        /// The radix.
        radix: u32,
    },
    /// The message has more numerals than the mode takes.
    MessageTooLong {
        /// Numerals given.
        length: usize,
        /// Numerals allowed.
        longest: usize,
        /// The radix.
        radix: u32,
    },
    /// The message comes from at least 100 values, but fewer than the floor in force.
    DomainBelowFloor {
        /// Numerals given.
        length: usize,
        /// radix^length.
        domain: u64,
        /// The floor in force.
        floor: u64,
        /// Numerals needed.
        shortest: usize,
        /// The radix.
        radix: u32,
    },
    /// A numeral is not below the radix.
    NumeralOutOfRange {
        /// The row of the batch, from 0.
        row: usize,
        /// The numeral of the row, from 0.
        position: usize,
        /// The radix.
        radix: u32,
    },
    /// A character is not in the alphabet.
    CharNotInAlphabet {
        /// The character, from 0.
        position: usize,
    },
    /// The numerals do not make whole rows.
    RaggedBatch {
        /// Numerals given.
        numerals: usize,
        /// Numerals a row.
        length: usize,
    },
    /// The alphabet of a text has not as many symbols as the radix.
    Alphabet {
        /// The radix.
        radix: u32,
        /// Symbols of the alphabet.
        symbols: usize,
    },
    /// Bits are asked of a cipher that is not FF1 over radix 2.
    NotBinary,
    /// An integer does not fit the bits it should.
    ValueTooWide {
        /// The row of the batch, from 0.
        row: usize,
        /// The bits there are.
        bits: u32,
    },
    /// Integers of this many bits do not fit the call.
    BitWidth {
        /// Bits asked for.
        bits: u32,
        /// Bits that the integers' type has.
        most: u32,
    },
}

impl CipherError {
    /// A stable name, as files of test vectors use it.
    pub fn name(&self) -> &'static str {
        match self {
            // Frozen: files of vectors outside of this crate name them.
            Self::Radix { .. } => "radix",
            Self::FloorTooLow { .. } => "floor_too_low",
            Self::FloorWithoutReason => "floor_without_reason",
            Self::NoSuchKernel { .. } => "no_such_kernel",
            Self::KernelFailsKnownAnswers { .. } => "kernel_fails_known_answers",
            Self::InRow { error, .. } => error.name(),
            Self::KeyLength { .. } => "key_length",
            Self::TweakLength { .. } => "tweak_length",
            Self::TweakCount { .. } => "tweak_count",
            Self::MessageTooShort { .. } => "message_too_short",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::DomainBelowFloor { .. } => "domain_below_rev1",
            Self::NumeralOutOfRange { .. } => "numeral_out_of_range",
            Self::CharNotInAlphabet { .. } => "char_not_in_alphabet",
            Self::RaggedBatch { .. } => "ragged_batch",
            Self::Alphabet { .. } => "alphabet",
            Self::NotBinary => "not_binary",
            Self::ValueTooWide { .. } => "value_too_wide",
            Self::BitWidth { .. } => "bit_width",
        }
    }
}

impl fmt::Display for CipherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Radix { value } => write!(f, "a radix is 2 to 65,536, not {value}"),
            // Lengths, positions and limits, and never a numeral, a tweak or a key: these texts end in logs.
            Self::FloorTooLow { min } => {
                write!(
                    f,
                    "a domain floor of {min} is below 100, the least that SP 800-38G ever allowed"
                )
            }
            Self::FloorWithoutReason => f.write_str("a lower domain floor needs a reason"),
            Self::NoSuchKernel { name, .. } => write!(f, "no kernel `{name}` here"),
            Self::KernelFailsKnownAnswers { kernel } => {
                write!(
                    f,
                    "kernel `{kernel}` gives wrong answers on this machine and is not used"
                )
            }
            Self::InRow { row, error } => write!(f, "row {row}: {error}"),
            Self::KeyLength { bytes } => write!(f, "an AES key is 16, 24 or 32 bytes, not {bytes}"),
            Self::TweakLength { row, bytes, takes } => {
                write!(f, "the tweak is {bytes} bytes; this mode takes {takes}")?;
                row.map_or(Ok(()), |row| write!(f, " (row {row})"))
            }
            Self::TweakCount { tweaks, rows } => write!(f, "{tweaks} tweaks for {rows} rows"),
            Self::MessageTooShort {
                length,
                shortest,
                radix,
            } => write!(
                f,
                "{length} numerals of radix {radix} are too few: at least {shortest} are needed"
            ),
            Self::MessageTooLong { length, longest, radix } => {
                write!(f, "{length} numerals of radix {radix} are too many: at most {longest}")
            }
            Self::DomainBelowFloor {
                length,
                domain,
                floor,
                shortest,
                radix,
            } => write!(
                f,
                "{length} numerals of radix {radix} make {domain} values, below the floor of {floor}: \
                 at least {shortest} numerals are needed"
            ),
            Self::NumeralOutOfRange { row, position, radix } => {
                write!(
                    f,
                    "the numeral at position {position} of row {row} is not below the radix {radix}"
                )
            }
            Self::CharNotInAlphabet { position } => {
                write!(f, "the character at position {position} is not in the alphabet")
            }
            Self::RaggedBatch { numerals, length } => {
                write!(f, "{numerals} numerals do not make whole rows of {length}")
            }
            Self::Alphabet { radix, symbols } => write!(f, "an alphabet of {symbols} symbols for radix {radix}"),
            Self::NotBinary => f.write_str("bits need FF1 over radix 2"),
            Self::ValueTooWide { row, bits } => write!(f, "the value of row {row} has more than {bits} bits"),
            Self::BitWidth { bits, most } => write!(f, "values of {bits} bits: 2 to {most} are possible"),
        }
    }
}

impl std::error::Error for CipherError {}
