//! A value's text ⇄ numerals and the part kept clear.
//!
//! There are three kinds of format:
//!
//! * a [`StringFormat`]: the value is a string over one alphabet, with separators and kept positions. FF1 runs
//!   straight on its numerals, so any other FF1 with the same key, radix and tweak gives the same answer;
//! * a [`RankedFormat`]: the value is one of N well-formed things (an integer in a range, a social security number).
//!   Its rank 0…N−1 is encrypted over the next power of two, again and again until it lands inside (*cycle walking*),
//!   and unranked;
//! * a [`SegmentedFormat`]: the value is places with choices of their own (letters here, digits there), which make a
//!   number in mixed radix, encrypted as a rank is. N goes by the value's shape.
//!
//! In all of them, the value itself is the layout of its result: separators and kept parts are copied from it, so that
//! `join(v, split(v)) == v` and the result has the shape of the input.
//!
//! A format and its tables are versioned (`pan/1`) and frozen; a later table is a new version.

mod alphabet;
mod ascii_layout;
mod band;
mod bits;
mod builtin;
mod calendar;
mod check;
mod class;
mod error;
mod format;
mod layout;
mod ordinal;
mod ordinal_range;
mod output;
mod parameters;
mod ranked;
mod registry;
mod row_error;
mod script;
mod segmented;
mod side;
mod string;
mod template;

pub use alphabet::Alphabet;
pub use ascii_layout::AsciiLayout;
pub use band::Band;
pub use error::FormatError;
pub(crate) use error::digit_groups;
pub use format::Format;
pub use ordinal_range::{OrdinalRange, Resolution, Unit};
pub use ranked::RankedFormat;
pub use registry::names;
pub use row_error::RowError;
pub(crate) use segmented::MAX_RANK_BITS;
pub use segmented::{Rank, SegmentedFormat, Segments};
pub use side::Side;
pub use string::{Parts, StringFormat};
