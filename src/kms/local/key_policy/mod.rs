//! Key policies.

mod action;
mod document;
mod evaluate;
mod pattern;
#[cfg(test)]
mod tests;

pub use action::KmsAction;
pub use document::PolicyDocument;
pub use evaluate::{AccessRequest, Decision, evaluate};
