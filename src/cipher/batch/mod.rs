//! Many messages of one length, side by side.

pub(crate) mod call;
pub(crate) mod chunk;
pub(crate) mod half;
pub(crate) mod integers;
pub(crate) mod numerals;
pub(crate) mod plan;
pub(crate) mod prefixes;
pub(crate) mod rows;
pub(crate) mod run;
pub(crate) mod sizes;
pub(crate) mod symbols;
pub(crate) mod text_shapes;
