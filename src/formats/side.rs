//! Sides of the cipher.

use crate::cipher::Direction;

/// The side of the cipher on which a text stands. Most formats look alike on both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The plaintext, as a person wrote it.
    Plain,
    /// The ciphertext or token, as `protect` made it.
    Protected,
}

impl Side {
    /// The sides of a value before and after a cipher in this direction.
    // First where the value comes from, then where its result stands.
    pub fn ends(direction: Direction) -> (Self, Self) {
        match direction {
            Direction::Encrypt => (Self::Plain, Self::Protected),
            Direction::Decrypt => (Self::Protected, Self::Plain),
        }
    }

    /// The other side.
    pub fn other(self) -> Self {
        match self {
            Self::Plain => Self::Protected,
            Self::Protected => Self::Plain,
        }
    }
}
