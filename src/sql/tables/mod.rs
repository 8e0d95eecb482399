//! Protected files as tables.

pub(super) mod file;
