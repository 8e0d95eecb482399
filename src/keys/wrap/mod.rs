//! Wrapping and derivation: KMS clients, envelopes of data keys, subkeys, authenticated and signed files.

pub(crate) mod authenticated;
pub(crate) mod derive;
pub(crate) mod envelope;
mod key_event;
mod kms_client;
mod registry;
mod signed;
mod wrap_context;

pub(crate) use authenticated::Authenticated;
pub use derive::Purpose;
pub(crate) use derive::derive;
pub use key_event::{KeyAction, KeyAudit, KeyEvent};
pub use kms_client::{DataKey, KmsClient, KmsKeyInfo, KmsKeyState};
pub use registry::KmsRegistry;
pub(crate) use signed::{Signed, public_key};
pub use wrap_context::WrapContext;
