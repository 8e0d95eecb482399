//! `cipherform keys …`: data keys, in the keyring.

mod audit;
mod audit_filter;
mod backup;
mod command;
mod create;
mod doctor;
mod exchange;
mod lifecycle;
mod new_root;
mod rewrap;
mod rotate;
mod show;
pub(in crate::cli) mod trust;

pub(in crate::cli) use command::{KeysArgs, run};
