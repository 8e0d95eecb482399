//! Key policies.

mod action;
mod evaluate;
mod pattern;
mod policy;
#[cfg(test)]
mod tests;

pub use action::KmsAction;
pub use evaluate::{AccessDecision, AccessRequest, evaluate};
pub use policy::KeyPolicy;
