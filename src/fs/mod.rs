//! Files that are written whole or not at all, and locks on them.

mod atomic_file;
#[cfg(feature = "cli")]
mod exposure;
mod location;
mod lock;

#[cfg(feature = "cli")]
pub(crate) use atomic_file::PUBLIC;
#[cfg(feature = "files")]
pub(crate) use atomic_file::{AtomicFile, IfExists, sweep};
pub(crate) use atomic_file::{PRIVATE, create_atomic, create_directory, read, write_atomic};
#[cfg(feature = "cli")]
pub(crate) use exposure::is_open_to_others;
pub(crate) use lock::lock;
