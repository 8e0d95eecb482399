//! Texts of one length over one alphabet, as a cipher has met them.

use std::sync::OnceLock;

use cipherform_ascii::Symbols;

use crate::kernels::dispatch::{Prepared, TextCodec};

/// Everything that texts of one length over one alphabet have in common.
pub(crate) struct TextShape {
    pub(crate) symbols: Symbols,
    pub(crate) prepared: Prepared<u64>,
    pub(crate) codec: TextCodec,
}

/// Cache of the shapes a cipher has met, by length: columns come in batches, and working one out takes as long as some
/// hundred rows.
pub(crate) struct TextShapes(pub(crate) [OnceLock<Box<TextShape>>; Self::LONGEST + 1]);

impl TextShapes {
    const LONGEST: usize = 64;

    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| OnceLock::new()))
    }
}
