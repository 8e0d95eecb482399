//! The policy file, read and checked.

mod file;
mod keys;
mod policy;
mod roles;
mod rule;
mod source;
#[cfg(test)]
mod tests;
mod tokens;
mod treatment;
