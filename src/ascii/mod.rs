//! ASCII values as columns hold them: alphabets, values split into symbols and the rest, values grouped by length.

#![deny(unsafe_code)] // the kernels alone may allow it

mod alphabet;
mod by_length;
mod kept_ends;
mod kernels;
mod luhn;
mod split;
mod splitter;

pub use alphabet::Symbols;
pub use by_length::{Shelf, Shelves};
pub use kept_ends::tweak_length;
pub use split::{Fate, LONGEST, Pattern, Place, SLACK, Taken};
pub use splitter::Sieve;
