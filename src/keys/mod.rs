//! Data keys: the keyring, handles of its keys, the audit log, and the exchange with partners.
//!
//! ```text
//! KMS key ──wraps──► data key version ──KBKDF──► one subkey for each purpose, domain and format
//! (never leaves      (in the keyring,
//!  its KMS)           only wrapped)
//! ```
//!
//! The [`Keyring`] is the file of wrapped data keys. It is authenticated as a whole under a root key that its KMS
//! wraps, so it is opened with a [`KmsRegistry`]: the [`KmsClient`]s of this process by the scheme of their key
//! references. What comes out is a [`KeyHandle`]: one version of one key, checked for its state, ready to derive
//! subkeys.
//!
//! ```
//! use cipherform::cipher::Direction;
//! use cipherform::keys::{KeyUse, Keyring, KmsRegistry, Purpose};
//! use cipherform::kms::MemoryKms;
//!
//! # async fn example(directory: &std::path::Path) -> cipherform::Result<()> {
//! let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
//! let mut keyring = Keyring::create(directory.join("keyring.json"), &"memory:main".parse()?, &registry).await?;
//! keyring.create_key(&"pii".parse()?, KeyUse::Derive, None).await?;
//!
//! let key = keyring.handle(&"pii".parse()?, Direction::Encrypt).await?;
//! let subkey = key.subkey(Purpose::Ff1, "customer-key", b"fingerprint", 32)?;
//! # Ok(())
//! # }
//! ```

mod audit;
mod cache_limits;
mod context;
pub(crate) mod encoding;
#[cfg(feature = "exchange")]
mod exchange;
mod exchanged_map;
mod handle;
pub(crate) mod ids;
mod key_ref;
mod key_use;
mod keyring;
pub(crate) mod random;
mod reason;
mod state;
mod timestamp;
mod trust;
pub(crate) mod wrap;

#[cfg(feature = "sql")]
pub(crate) use audit::QueryRecord;
pub use audit::{AuditEntry, AuditEvent, AuditLog, Checkpoint, VerifiedLog};
pub use cache_limits::CacheLimits;
#[cfg(feature = "kms-local")]
pub(crate) use context::Context;
#[cfg(feature = "kms-local")]
pub(crate) use encoding::{Base64, length_prefixed};
#[cfg(feature = "exchange")]
pub use exchange::{Authorities, ExchangePackage, ExchangeSigner, Identity, Recipient, Sender};
pub use exchanged_map::ExchangedMap;
pub use handle::KeyHandle;
#[cfg(feature = "kms-local")]
pub(crate) use ids::random_id;
pub use ids::{DataKeyId, KeyVersionId, KeyringId, StoreId};
pub use key_ref::{KeyName, KeyRef, KmsKeyRef};
pub use key_use::{DirectMode, KeyBits, KeyUse};
#[cfg(feature = "kms-local")]
pub(crate) use keyring::BackupRecord;
#[cfg(feature = "exchange")]
pub use keyring::KeyImport;
pub use keyring::{Backup, Finding, KeyInfo, Keyring, Periods, StagedBackup, StateChange, VersionInfo};
pub use reason::Reason;
pub use state::KeyState;
pub(crate) use state::verb;
pub use timestamp::Timestamp;
pub use trust::Trust;
#[cfg(feature = "kms-local")]
pub(crate) use wrap::{Authenticated, derive};
pub use wrap::{
    DataKey, KeyAction, KeyAudit, KeyEvent, KmsClient, KmsKeyInfo, KmsKeyState, KmsRegistry, Purpose, WrapContext,
};
