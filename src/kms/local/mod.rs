//! The embedded KMS: one sealed file in the user's configuration directory.
//!
//! ```text
//! passphrase ──Argon2id──┐
//! passphrase ──PBKDF2────┤
//! another KMS ──unwraps──┤
//! the OS's keyring ──────┤
//! key file ──────────────┴─► unlock key ──KBKDF──► MAC key: authenticates the whole file
//!                                          └─────► seal key: AES-256-GCM over each version of each KMS key's material
//! ```
//!
//! A wrapped key is stored as a byte 2, the ids of the KMS key and of the version of its material (16 bytes each), then
//! AES-256-GCM bound to both ids and the wrap context.

mod alias;
#[cfg(feature = "exchange")]
mod asymmetric;
mod authorization;
mod backup;
mod file;
mod format_v1;
mod history;
mod ids;
#[cfg(feature = "exchange")]
mod import;
mod info;
mod key_policy;
mod lifecycle;
mod local_kms;
mod lookup;
mod maintenance;
mod manage;
mod material;
mod model;
mod os_keyring;
mod rekey;
#[cfg(test)]
mod tests;
mod unlock;
mod unlock_env;
mod unlock_key;

#[cfg(feature = "exchange")]
pub use import::ImportParameters;
pub use info::{KmsKeyChange, KmsKeyOrigin, KmsKeySpec, KmsKeyUsage, LocalKeyInfo, MaterialInfo, NewKmsKey};
pub use key_policy::{AccessDecision, AccessRequest, KeyPolicy, KmsAction, evaluate};
pub use lifecycle::DELETION_WINDOW_DAYS;
pub use local_kms::LocalKms;
pub use unlock::{PassphraseKdf, Unlock};
