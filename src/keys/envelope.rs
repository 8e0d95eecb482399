//! Data keys, made and unwrapped through the KMS that guards them.

use super::{KmsKeyRef, KmsRegistry, WrapContext};
use crate::{Error, ErrorKind, Result, Secret};

/// A new key of `length` bytes for `context`: in the clear, and wrapped.
pub(crate) async fn generate(
    registry: &KmsRegistry,
    kms_key: &KmsKeyRef,
    length: usize,
    context: &WrapContext,
) -> Result<(Secret<Vec<u8>>, Vec<u8>)> {
    let made = registry
        .client(kms_key)?
        .generate_data_key(kms_key, length, context)
        .await;
    let made = made.map_err(|error| error.context(format!("KMS key `{kms_key}`")))?;
    check_length(made.plaintext, length, kms_key).map(|plaintext| (plaintext, made.wrapped))
}

/// The key of `length` bytes that was wrapped for `context`.
pub(crate) async fn unwrap(
    registry: &KmsRegistry,
    kms_key: &KmsKeyRef,
    wrapped: &[u8],
    length: usize,
    context: &WrapContext,
) -> Result<Secret<Vec<u8>>> {
    let unwrapped = registry.client(kms_key)?.unwrap(kms_key, wrapped, context).await;
    let unwrapped = unwrapped.map_err(|error| error.context(format!("KMS key `{kms_key}`")))?;
    check_length(unwrapped, length, kms_key)
}

fn check_length(key: Secret<Vec<u8>>, length: usize, kms_key: &KmsKeyRef) -> Result<Secret<Vec<u8>>> {
    match key.expose().len() {
        actual if actual == length => Ok(key),
        actual => Err(Error::new(
            ErrorKind::WrongKey,
            format!("KMS key `{kms_key}`: gave a data key of {actual} bytes, not {length}"),
        )),
    }
}
