//! Loops and registers for the processor at hand.

#![deny(unsafe_code)] // the modules that may allow it say why

pub mod multiversion;
pub mod table;
#[cfg(all(unix, feature = "testing"))]
pub mod testing;
