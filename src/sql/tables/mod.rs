//! Protected data as tables.

pub(super) mod batches;
mod listing;
pub(super) mod open;
pub(super) mod provider;
mod reader;
pub(super) mod view;
