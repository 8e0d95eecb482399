//! Key policies: who may do what with a KMS key, in statements as AWS KMS and IAM have them. No I/O, so that a server
//! can decide with the same code.
//!
//! ```json
//! { "Version": "2012-10-17", "Statement": [
//!     { "Sid": "jobs", "Effect": "Allow", "Principal": { "User": "etl@batch-7" },
//!       "Action": "kms:Decrypt", "Resource": "*",
//!       "Condition": { "StringEquals": { "kms:EncryptionContext:cipherform:use": "derive" } } } ] }
//! ```
//!
//! A request is allowed if a statement of the key's policy allows it and no statement denies it: explicit deny goes
//! before allow, allow before the implicit deny of everything else. A statement of the key's policy whose principal
//! is `identity-policies` refers to the policies of identities: then the identity's policy must allow the request.
//! Denials in either policy count.

mod access;
mod action;
mod evaluate;
mod pattern;
mod policy;
#[cfg(test)]
mod tests;

pub use access::{AccessDecision, AccessRequest};
pub use action::KmsAction;
pub use evaluate::evaluate;
pub use policy::KeyPolicy;
