//! Data keys generated, wrapped and unwrapped by their KMS. Every such request goes through here, and is audited.

use std::time::Instant;

use super::key_event::{KeyAction, KeyEvent};
use super::kms_client::KmsClient;
use super::registry::KmsRegistry;
use super::wrap_context::WrapContext;
use crate::keys::key_ref::KmsKeyRef;
use crate::{Error, ErrorKind, Result, Secret};

/// Generates a key of `length` bytes for `context`: in the clear, and wrapped.
pub(crate) async fn generate(
    registry: &KmsRegistry,
    kms_key: &KmsKeyRef,
    length: usize,
    context: &WrapContext,
) -> Result<(Secret<Vec<u8>>, Vec<u8>)> {
    let made = request(registry, KeyAction::Generate, kms_key, context, |client| async move {
        client.generate_data_key(kms_key, length, context).await
    });
    let made = made.await?;
    // The length is checked on arrival: a KMS that returns a short key would weaken everything derived
    // from it, and a long one would be cut somewhere.
    check_length(made.plaintext, length, kms_key).map(|plaintext| (plaintext, made.wrapped))
}

/// Wraps `plaintext` for `context`.
pub(crate) async fn wrap(
    registry: &KmsRegistry,
    kms_key: &KmsKeyRef,
    plaintext: &Secret<Vec<u8>>,
    context: &WrapContext,
) -> Result<Vec<u8>> {
    request(registry, KeyAction::Wrap, kms_key, context, |client| async move {
        client.wrap(kms_key, plaintext, context).await
    })
    .await
}

/// Unwraps a key of `length` bytes that was wrapped for `context`.
pub(crate) async fn unwrap(
    registry: &KmsRegistry,
    kms_key: &KmsKeyRef,
    wrapped: &[u8],
    length: usize,
    context: &WrapContext,
) -> Result<Secret<Vec<u8>>> {
    let unwrapped = request(registry, KeyAction::Unwrap, kms_key, context, |client| async move {
        client.unwrap(kms_key, wrapped, context).await
    });
    check_length(unwrapped.await?, length, kms_key)
}

async fn request<'a, T, F>(
    registry: &'a KmsRegistry,
    action: KeyAction,
    kms_key: &KmsKeyRef,
    context: &WrapContext,
    call: impl FnOnce(&'a dyn KmsClient) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    // Two clocks: the wall clock says when, and may jump; the monotonic one says how long.
    let (time, started) = (registry.context().now(), Instant::now());
    let response = match registry.client(kms_key) {
        Ok(client) => call(client).await,
        // A missing client is recorded, too: somebody asked for a key that this process cannot reach.
        Err(error) => Err(error),
    };
    // Refusals are recorded like successes, by their kind alone: the message of a provider could hold
    // anything.
    let event = KeyEvent {
        time,
        action,
        kms_key: kms_key.clone(),
        context: context.clone(),
        outcome: response.as_ref().map(|_| ()).map_err(Error::kind),
        took: started.elapsed(),
    };
    // Before the caller gets the key. An audit log that cannot record this refuses every later entry,
    // such as that of the access by an engine, and the access fails with it.
    for audit in registry.audits() {
        audit.record(&event);
    }
    // Only here the reference is added, so that each provider's message is the same with and without it.
    response.map_err(|error| error.context(format!("KMS key `{kms_key}`")))
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
