//! `cipherform kms …`: keys of the local KMS, which wrap data keys.

mod alias;
mod change;
mod command;
mod create;
mod material;
mod passphrase;
mod policy;
mod rotate;
mod show;
mod state;

pub(in crate::cli) use command::{KmsArgs, run};
