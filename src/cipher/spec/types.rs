//! Direction and mode.

/// The direction of a call.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Encrypt,
    /// Ciphertext to plaintext.
    Decrypt,
}

/// A mode of SP 800-38G or of its drafts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// FF1.
    Ff1,
    /// FF3-1, of a withdrawn draft: legacy.
    Ff3_1,
    /// FF3 with a 64-bit tweak, broken in 2017: legacy.
    Ff3,
}
