//! Who runs this process.

/// Who runs this process, `user@host`: for [`KmsRegistry::with_actor`](crate::keys::KmsRegistry::with_actor).
pub fn actor() -> String {
    let or_unknown = |name: whoami::Result<String>| name.unwrap_or_else(|_| "unknown".to_owned());
    format!("{}@{}", or_unknown(whoami::username()), or_unknown(whoami::hostname()))
}
