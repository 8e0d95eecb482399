//! ASCII values as columns hold them: alphabets, values split into symbols and the rest, values grouped by length.

#![deny(unsafe_code)] // the kernels alone may allow it

mod alphabet;
mod by_length;
mod kept_ends;
mod kernels;
pub mod luhn;
mod split;
mod splitter;

pub use alphabet::Symbols;
pub use by_length::{LengthGroup, LengthGroups};
pub use kept_ends::{append_kept, append_kept_numerals, tweak_length};
pub use split::{MAX_LENGTH, PADDING, RowOutcome, Span, SplitPattern, SplitRows};
pub use splitter::Splitter;
