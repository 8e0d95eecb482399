//! The subcommands: one file or folder each.

pub(super) mod check;
pub(super) mod init;
pub(super) mod inspect;
pub(super) mod keys;
pub(super) mod kms;
pub(super) mod protect;
pub(super) mod query;
pub(super) mod reprotect;
pub(super) mod reveal;
pub(super) mod selftest;
pub(super) mod tokens;
