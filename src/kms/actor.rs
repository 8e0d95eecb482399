//! The actor: user and host of this process.

/// Returns `user@host` of this process, for [`KmsRegistry::with_actor`](crate::keys::KmsRegistry::with_actor).
pub fn actor() -> String {
    let or_unknown = |name: whoami::Result<String>| name.unwrap_or_else(|_| "unknown".to_owned());
    format!("{}@{}", or_unknown(whoami::username()), or_unknown(whoami::hostname()))
}
