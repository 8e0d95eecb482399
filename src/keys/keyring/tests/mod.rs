//! Tests of the keyring, by topic.

mod audit;
mod bench;
mod file;
mod kms;
mod root;
mod versions;
