//! Health checks of a keyring: each KMS is reached, each wrapped key unwrapped, due tasks are listed.

use std::collections::BTreeSet;
use std::path::Path;

use super::backup_record::BackupRecord;
use super::document::{DataKeyEntry, KeyringDocument, VersionEntry};
use super::file::{parse, verified};
use super::keyring::{Keyring, ROOT, refuse_older};
use super::lifecycle;
use crate::cipher::Direction;
use crate::keys::handle::KeyMaterial;
use crate::keys::key_ref::KmsKeyRef;
use crate::keys::state::KeyState;
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::{KmsKeyInfo, KmsKeyState, KmsRegistry, envelope};
use crate::{Error, ErrorKind, Hint, Remedy, Result};

/// One finding of a health check.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// Subject: a KMS key, the keyring, a version of a data key.
    pub subject: String,
    /// Outcome: a description, or the error.
    pub outcome: Result<String>,
    /// Advice on what is due, though nothing failed.
    pub advice: Option<Hint>,
}

impl Finding {
    pub(crate) fn new(subject: String, outcome: Result<String>) -> Self {
        Self {
            subject,
            outcome,
            advice: None,
        }
    }
}

impl Keyring {
    /// Checks everything that the keyring at `path` depends on, and goes on after failures. Nothing is changed, and
    /// no key is kept. A copy older than generation `least` is a failure.
    ///
    /// # Errors
    ///
    /// Only if the file is missing, or cannot be read as a keyring. Every other failure is a [`Finding`].
    pub async fn examine(path: &Path, registry: &KmsRegistry, least: u64) -> Result<Vec<Finding>> {
        let file = parse(path)?;
        // A health check must say something about a keyring that cannot be authenticated, too, such as
        // which KMS is down. What it says of keys then is only as good as the file.
        let document = file.unverified().clone();
        let mut findings = Vec::new();
        let kms_keys = document.keys.iter().map(|key| &key.kms_key);
        // Each KMS key once, however many data keys it wraps.
        let kms_keys: BTreeSet<&KmsKeyRef> = kms_keys.chain([&document.root.kms_key]).collect();
        let root = &document.root;
        let context = KeyringDocument::root_context(document.id, root.id);
        for kms_key in kms_keys {
            let mut finding = kms_key_finding(registry, kms_key).await;
            if finding.outcome.is_ok()
                && let Ok(client) = registry.client(kms_key)
                // An advice and no failure: jobs that protect and reveal only unwrap, and are often
                // allowed nothing else.
                && let Err(refusal) = client.try_generate(kms_key, &context).await
            {
                let refusal =
                    format!("it refuses to generate data keys, which only creating and rotating keys needs: {refusal}");
                finding.advice = Some(match finding.advice {
                    Some(due) => due.then("; ").then(refusal),
                    None => refusal.into(),
                });
            }
            findings.push(finding);
        }
        let root = match envelope::unwrap(registry, &root.kms_key, &root.wrapped.0, ROOT, &context).await {
            Ok(root) => verified(path, file, &root).and_then(|document| {
                refuse_older(document.generation, least)?;
                Ok(format!(
                    "authentic, generation {}, guarded by `{}`",
                    document.generation, document.root.kms_key
                ))
            }),
            Err(error) => Err(error),
        };
        let mut finding = Finding::new(format!("keyring `{}`", path.display()), root);
        finding.advice = BackupRecord::advice(document.last_backup.as_ref(), document.generation);
        findings.push(finding);
        for key in &document.keys {
            let newest = key.current().map(|version| version.number);
            for version in &key.versions {
                let subject = format!("key `{}@{}`", key.name, version.number);
                let Some(wrapped) = &version.wrapped else {
                    findings.push(Finding::new(subject, Ok(version.state.to_string())));
                    continue;
                };
                let context = document.context(key.id, version.id, key.key_use);
                let length = KeyMaterial::length(key.key_use);
                // Each version is really unwrapped, old ones too: a version that nobody used for a year
                // may have lost its KMS key, and is needed when old data is revealed.
                let unwrapped = envelope::unwrap(registry, &key.kms_key, &wrapped.0, length, &context).await;
                // The key is dropped here, and so wiped.
                let outcome = unwrapped.map(|_| format!("{}, unwraps", version.state));
                let mut finding = Finding::new(subject, outcome);
                finding.advice = advice(key, version, newest, registry.context().now()).map(Hint::from);
                findings.push(finding);
            }
        }
        Ok(findings)
    }

    /// Describes a key of a KMS.
    ///
    /// # Errors
    ///
    /// Errors of the KMS.
    pub async fn describe_kms_key(&self, kms_key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        described(&self.registry, kms_key).await
    }
}

/// Returns what is due with a version that unwraps; `newest` is the version that the name alone means.
fn advice(key: &DataKeyEntry, version: &VersionEntry, newest: Option<u32>, now: Timestamp) -> Option<String> {
    let over = |direction| {
        lifecycle::check(key, version, direction, now)
            .err()
            .map(|error| error.message().to_owned())
    };
    let idle = (newest == Some(version.number) && version.state != KeyState::Active).then(|| {
        format!(
            "key `{}` has no active version, so nothing is protected with it; unless that is meant, {}",
            key.name,
            lifecycle::renewal(key)
        )
    });
    let said: Vec<String> = [Direction::Encrypt, Direction::Decrypt]
        .into_iter()
        // Only for what the state allows: that a removed version does not protect needs no advice.
        .filter(|direction| version.state.may(*direction))
        .filter_map(|direction| over(direction).or_else(|| lifecycle::due(key, version, direction, now)))
        .chain(idle)
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}

async fn described(registry: &KmsRegistry, kms_key: &KmsKeyRef) -> Result<KmsKeyInfo> {
    let described = async { registry.client(kms_key)?.describe(kms_key).await };
    described
        .await
        .map_err(|error: Error| error.context(format!("KMS key `{kms_key}`")))
}

async fn kms_key_finding(registry: &KmsRegistry, kms_key: &KmsKeyRef) -> Finding {
    let described = async { registry.client(kms_key)?.describe(kms_key).await }.await;
    let due = described
        .as_ref()
        .ok()
        .and_then(|info| info.due.clone())
        .map(Hint::from);
    let outcome = described.and_then(|info| match info.state {
        KmsKeyState::Enabled => {
            let told = [
                Some(info.state.to_string()),
                info.usage,
                info.origin,
                info.rotation.map(|rotation| format!("rotation {rotation}")),
            ];
            Ok(told.into_iter().flatten().collect::<Vec<_>>().join("; "))
        }
        state => Err(Error::new(ErrorKind::KeyNotUsable, format!("is {state}")).with_hint(remedy_for(state))),
    });
    Finding {
        advice: due,
        ..Finding::new(format!("KMS key `{kms_key}`"), outcome)
    }
}

/// Returns what to do about a KMS key that is not enabled.
fn remedy_for(state: KmsKeyState) -> Hint {
    match state {
        KmsKeyState::PendingDeletion => "cancel the deletion now: what the key wraps is lost with it".into(),
        KmsKeyState::Disabled => "enable it again in its KMS".into(),
        KmsKeyState::Destroyed => "what it wrapped is lost, unless a backup of its KMS has the key".into(),
        KmsKeyState::Unavailable | KmsKeyState::Enabled => {
            Hint::from("its material is missing: bring back the module that has it, or ")
                .then(Remedy::ImportMaterial(None))
        }
    }
}
