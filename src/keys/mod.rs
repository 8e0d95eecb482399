//! Keys: what a name in a policy resolves to.
//!
//! ```text
//! KMS key ──wraps──► data key version ──KBKDF──► one subkey for each purpose, domain and format
//! (never leaves      (in the keyring,
//!  its KMS)           only wrapped)
//! ```
//!
//! The [`Keyring`] is the file of wrapped data keys. It is authenticated as a whole under a root key that its KMS wraps, so it is opened with a
//! [`KmsRegistry`]: the [`KmsClient`]s of this process by the scheme of their key references. What comes out is a [`KeyHandle`]: one version of one
//! key, checked for its state, ready to derive subkeys.
//!
//! ```
//! use cipherform::keys::{KeyUse, Keyring, KmsRegistry, Operation, Purpose};
//! use cipherform::kms::MemoryKms;
//!
//! # async fn example(directory: &std::path::Path) -> cipherform::Result<()> {
//! let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
//! let mut keyring = Keyring::create(directory.join("keyring.json"), &"memory:main".parse()?, &registry).await?;
//! keyring.create_key(&"pii".parse()?, KeyUse::Derive, None).await?;
//!
//! let key = keyring.handle(&"pii".parse()?, Operation::Protect).await?;
//! let subkey = key.subkey(Purpose::Ff1, "customer-key", b"fingerprint", 32)?;
//! # Ok(())
//! # }
//! ```

mod audit;
pub(crate) mod authenticated;
pub(crate) mod backup;
mod cache;
#[cfg(feature = "exchange")]
mod certificate;
pub(crate) mod derive;
mod document;
pub(crate) mod encoding;
mod envelope;
#[cfg(feature = "exchange")]
mod exchange;
mod handle;
pub(crate) mod ids;
mod key_ref;
mod key_use;
mod keyring;
mod kms;
mod policies;
pub(crate) mod random;
pub(crate) mod registry;
mod signed;
mod state;
pub(crate) mod store;
mod timestamp;
mod usage;
mod wrap_context;

pub use audit::{AuditEntry, AuditEvent, AuditLog, Checkpoint, KeyAction, KeyAudit, KeyEvent, Verified};
pub use backup::{Backup, Staged};
pub use cache::CachePolicy;
#[cfg(feature = "exchange")]
pub use certificate::Authorities;
pub use derive::Purpose;
pub use document::{Change, ExchangedMap, KeyInfo, Periods, VersionInfo};
#[cfg(feature = "exchange")]
pub use exchange::{ExchangePackage, ExchangeSigner, Identity, Recipient, Sender};
pub use handle::KeyHandle;
pub use ids::{DataKeyId, KeyVersionId, KeyringId, StoreId};
pub use key_ref::{KeyName, KeyRef, KmsKeyRef};
pub use key_use::{DirectMode, KeyBits, KeyUse};
pub use keyring::{Finding, Keyring};
pub use kms::{DataKey, KmsClient, KmsKeyInfo, KmsKeyState};
pub use policies::{AccessRequest, Decision, KmsAction, PolicyDocument, evaluate};
pub use registry::KmsRegistry;
pub use state::{KeyState, Operation, Reason};
pub use timestamp::Timestamp;
pub use wrap_context::WrapContext;
