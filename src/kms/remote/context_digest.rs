//! Context binding for services that bind none: a digest of the context behind the key.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::refusal::does_not_unwrap;
use crate::keys::WrapContext;
use crate::{Result, Secret};

/// Appends the SHA-256 of `context` to a key.
pub(in crate::kms) fn with_digest(plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Secret<Vec<u8>> {
    let digest = Sha256::digest(context.to_bytes());
    // The wrapping authenticates key and digest together (RSA-OAEP, or AES key wrap), so neither can be
    // exchanged alone.
    Secret::new([plaintext.expose().as_slice(), &digest].concat())
}

/// Returns the key that [`with_digest`] was given, if the digest is that of `context`.
pub(in crate::kms) fn without_digest(unwrapped: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Secret<Vec<u8>>> {
    let digest = Sha256::digest(context.to_bytes());
    match unwrapped.expose().split_last_chunk::<32>() {
        // The digest is of public ids, but it stands beside a key in memory: constant time costs nothing
        // here.
        Some((key, bound)) if bool::from(bound.ct_eq(digest.as_slice())) => Ok(Secret::new(key.to_vec())),
        _ => Err(does_not_unwrap()),
    }
}
