//! Directions of a treatment: the right that each takes.

use crate::cipher::Direction;
use crate::keys::Operation;

impl From<Direction> for Operation {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Encrypt => Self::Protect,
            Direction::Decrypt => Self::Reveal,
        }
    }
}

impl From<Operation> for Direction {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Protect => Self::Encrypt,
            Operation::Reveal => Self::Decrypt,
        }
    }
}
