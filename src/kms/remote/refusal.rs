//! Refusals.

use crate::{Error, ErrorKind};

/// The error for `what` that took too long.
#[cfg(any(feature = "kms-http", feature = "kms-pkcs11"))]
pub(in crate::kms) fn in_time(what: &str, which: &str) -> Error {
    Error::new(
        ErrorKind::ProviderDown,
        format!("{what} does not answer in time ({which})"),
    )
    .with_hint("CIPHERFORM_KMS_TIMEOUT gives it more seconds for one answer; the default is 10")
}

/// The error for wrapped bytes that do not authenticate.
pub(in crate::kms) fn does_not_unwrap() -> Error {
    Error::new(
        ErrorKind::WrongKey,
        "the wrapped bytes do not unwrap: another key, another context, or changed bytes",
    )
    .with_hint("the KMS key must be the one of then; if it is, restore the keyring from a backup")
}

/// The error for a key that the service does not have.
pub(in crate::kms) fn no_such_key(service: &str) -> Error {
    Error::new(ErrorKind::KeyNotFound, format!("{service} has no such key"))
        .with_hint("check the reference, letter by letter; a deleted key is gone with what it wrapped")
}
