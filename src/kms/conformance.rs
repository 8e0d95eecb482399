//! The conformance suite of KMS clients, ours and others'.

use crate::keys::{DataKeyId, KeyVersionId, KeyringId, KmsClient, KmsKeyRef, WrapContext};
use crate::{Error, ErrorKind, Result, Secret};

/// Lengths of wrapped keys: AES keys, and an AES key followed by a check key of 32 bytes.
const LENGTHS: [usize; 6] = [16, 24, 32, 48, 56, 64];

/// Tests `client` with `key`, which must exist and be usable.
///
/// # Errors
///
/// [`ErrorKind::Bug`] that says which promise of [`KmsClient`] is broken, or the client's own error where it should
/// have succeeded.
pub async fn check(client: &dyn KmsClient, key: &KmsKeyRef) -> Result<()> {
    describes(client, key).await?;
    wraps_and_unwraps(client, key).await?;
    generates_distinct_keys(client, key).await?;
    binds_the_context(client, key).await?;
    refuses_changed_bytes(client, key).await?;
    gives_random_bytes(client).await?;
    refuses_a_missing_key(client, key).await
}

async fn describes(client: &dyn KmsClient, key: &KmsKeyRef) -> Result<()> {
    let info = client.describe(key).await?;
    require(
        !info.manager.is_empty() && !info.id.is_empty(),
        "describe: the manager and the id are told",
    )?;
    require(info == client.describe(key).await?, "describe: twice the same")
}

async fn wraps_and_unwraps(client: &dyn KmsClient, key: &KmsKeyRef) -> Result<()> {
    for length in LENGTHS {
        let context = context()?;
        // Bytes that differ, so that a client which cuts or reorders them is found.
        let plaintext = Secret::new((0..length).map(|byte| byte as u8).collect::<Vec<_>>());
        let wrapped = client.wrap(key, &plaintext, &context).await?;
        require(
            // The coarsest mistake: to store the key beside its tag.
            !contains(&wrapped, plaintext.expose()),
            "wrap: the key does not stand in the wrapped bytes",
        )?;
        // Twice: a service that consumes what it unwraps would make data unreadable.
        for _ in 0..2 {
            let unwrapped = client.unwrap(key, &wrapped, &context).await?;
            require(
                unwrapped.expose() == plaintext.expose(),
                "unwrap: gives what was wrapped, each time",
            )?;
        }
    }
    Ok(())
}

async fn generates_distinct_keys(client: &dyn KmsClient, key: &KmsKeyRef) -> Result<()> {
    for length in LENGTHS {
        let context = context()?;
        let one = client.generate_data_key(key, length, &context).await?;
        let two = client.generate_data_key(key, length, &context).await?;
        let lengths = [one.plaintext.expose().len(), two.plaintext.expose().len()];
        require(
            lengths == [length; 2],
            "generate_data_key: the key is as long as asked for",
        )?;
        require(
            // A generator with a fixed seed, or a cached answer, would give two tables one key.
            one.plaintext.expose() != two.plaintext.expose(),
            "generate_data_key: each key is another one",
        )?;
        let unwrapped = client.unwrap(key, &one.wrapped, &context).await?;
        require(
            unwrapped.expose() == one.plaintext.expose(),
            "generate_data_key: the wrapped key is the key",
        )?;
    }
    Ok(())
}

async fn binds_the_context(client: &dyn KmsClient, key: &KmsKeyRef) -> Result<()> {
    let (right, other) = (context()?, context()?);
    let wrapped = client.generate_data_key(key, 32, &right).await?.wrapped;
    // Each field by itself: a client that binds three of four would pass a test that changes all of them.
    for wrong in [
        WrapContext {
            keyring: other.keyring,
            ..right.clone()
        },
        WrapContext {
            data_key: other.data_key,
            ..right.clone()
        },
        WrapContext {
            version: other.version,
            ..right.clone()
        },
        WrapContext {
            key_use: "direct-ff1-256".to_string(),
            ..right.clone()
        },
    ] {
        refused(
            client.unwrap(key, &wrapped, &wrong).await,
            "unwrap: another context is refused",
        )?;
    }
    // The refusals above must come from the context, not from bytes that never unwrap.
    client.unwrap(key, &wrapped, &right).await.map(drop)
}

async fn refuses_changed_bytes(client: &dyn KmsClient, key: &KmsKeyRef) -> Result<()> {
    let context = context()?;
    let wrapped = client.generate_data_key(key, 32, &context).await?.wrapped;
    // Services charge for calls: eight positions, the first and the last byte among them.
    let last = wrapped.len().saturating_sub(1);
    for place in (0..8).map(|eighth| eighth * last / 7) {
        let mut changed = wrapped.clone();
        changed[place] ^= 1;
        // Where the bytes name the key, a changed name may be of no key, or of one that is not allowed.
        let kind = client
            .unwrap(key, &changed, &context)
            .await
            .err()
            .map(|error| error.kind());
        require(
            matches!(
                kind,
                Some(ErrorKind::WrongKey | ErrorKind::BadInput | ErrorKind::KeyNotFound | ErrorKind::NotAllowed)
            ),
            "unwrap: changed bytes are refused",
        )?;
    }
    refused(
        // A stored file that was cut off.
        client.unwrap(key, &wrapped[..last], &context).await,
        "unwrap: shortened bytes are refused",
    )?;
    refused(client.unwrap(key, &[], &context).await, "unwrap: no bytes are refused")
}

async fn gives_random_bytes(client: &dyn KmsClient) -> Result<()> {
    for length in LENGTHS {
        // No test of randomness, which 16 bytes cannot show: only of the length, and against constants.
        let (one, two) = (client.random(length).await?, client.random(length).await?);
        require(one.expose().len() == length, "random: as many bytes as asked for")?;
        require(one.expose() != two.expose(), "random: not the same bytes twice")?;
    }
    Ok(())
}

async fn refuses_a_missing_key(client: &dyn KmsClient, key: &KmsKeyRef) -> Result<()> {
    // The parameters of the reference stay as they are.
    let (path, parameters) = key
        .as_str()
        .split_at(key.as_str().find('?').unwrap_or(key.as_str().len()));
    let missing: KmsKeyRef = format!("{path}-that-is-not-there{parameters}").parse()?;
    let kinds = [
        client.describe(&missing).await.err().map(|error| error.kind()),
        client
            .generate_data_key(&missing, 32, &context()?)
            .await
            .err()
            .map(|error| error.kind()),
    ];
    // Some services do not tell strangers what exists.
    let fits = |kind: &Option<ErrorKind>| {
        matches!(
            kind,
            Some(ErrorKind::KeyNotFound | ErrorKind::NotAllowed | ErrorKind::BadInput)
        )
    };
    require(
        kinds.iter().all(fits),
        "a key that is not there: KeyNotFound, NotAllowed or BadInput",
    )
}

fn context() -> Result<WrapContext> {
    Ok(WrapContext {
        keyring: KeyringId::random()?,
        data_key: DataKeyId::random()?,
        version: KeyVersionId::random()?,
        key_use: "derive".to_string(),
    })
}

fn refused<T>(result: Result<T>, promise: &str) -> Result<()> {
    let kind = result.err().map(|error| error.kind());
    require(matches!(kind, Some(ErrorKind::WrongKey | ErrorKind::BadInput)), promise)
}

fn require(kept: bool, promise: &str) -> Result<()> {
    if kept {
        Ok(())
    } else {
        Err(Error::bug(format!("the KMS client breaks a promise: {promise}")))
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::keys::{KmsKeyInfo, KmsKeyState};

    /// Does not bind the context.
    #[derive(Debug)]
    struct CarelessKms;

    #[async_trait]
    impl KmsClient for CarelessKms {
        async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
            Ok(KmsKeyInfo::new("careless", key.rest(), KmsKeyState::Enabled))
        }

        async fn wrap(&self, _: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, _: &WrapContext) -> Result<Vec<u8>> {
            // A suite that accepts everything proves nothing: this client must fail, and for the right
            // promise.
            Ok(plaintext.expose().iter().map(|byte| byte ^ 1).collect())
        }

        async fn unwrap(&self, _: &KmsKeyRef, wrapped: &[u8], _: &WrapContext) -> Result<Secret<Vec<u8>>> {
            Ok(Secret::new(wrapped.iter().map(|byte| byte ^ 1).collect()))
        }
    }

    #[tokio::test]
    async fn a_careless_client_fails() {
        let error = check(&CarelessKms, &"careless:main".parse().unwrap())
            .await
            .unwrap_err();
        assert!(error.message().contains("another context"), "{error}");
    }
}
