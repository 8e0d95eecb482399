//! Digest.

use super::refusal::does_not_unwrap;
use crate::keys::WrapContext;
use crate::{Result, Secret};

/// What is wrapped where a service binds no context: the key and a digest of its context.
pub(in crate::kms) fn with_digest(plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Secret<Vec<u8>> {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(context.to_bytes());
    Secret::new([plaintext.expose().as_slice(), &digest].concat())
}

/// The key of what [`with_digest`] made for the same context.
pub(in crate::kms) fn without_digest(unwrapped: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Secret<Vec<u8>>> {
    use sha2::{Digest as _, Sha256};
    use subtle::ConstantTimeEq as _;
    let digest = Sha256::digest(context.to_bytes());
    match unwrapped.expose().split_last_chunk::<32>() {
        Some((key, bound)) if bool::from(bound.ct_eq(digest.as_slice())) => Ok(Secret::new(key.to_vec())),
        _ => Err(does_not_unwrap()),
    }
}
