//! Small files that are written whole or not at all, and locks on them.

mod atomic_file;
mod location;
mod lock;

#[cfg(feature = "cli")]
pub(crate) use atomic_file::PUBLIC;
pub(crate) use atomic_file::{PRIVATE, create_atomic, create_directory, read, write_atomic};
pub(crate) use lock::lock;
