//! Protected data as tables.

pub(super) mod batches;
pub(super) mod file;
mod view;
