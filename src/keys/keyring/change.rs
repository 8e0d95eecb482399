//! Changes of a keyring: made to the file as it is at that moment, under a lock, and written before they return.

use std::collections::HashMap;

use super::document::{DataKeyEntry, KeyringDocument, VersionEntry};
use super::file::{in_file, parse, sealed, verified};
use super::info::KeyInfo;
use super::keyring::Keyring;
use super::lifecycle;
use crate::keys::audit::{AuditEntry, AuditEvent, AuditLog, LogRecord};
use crate::keys::encoding::Base64;
use crate::keys::handle::KeyMaterial;
use crate::keys::ids::{DataKeyId, KeyVersionId};
use crate::keys::key_ref::{KeyName, KmsKeyRef};
use crate::keys::key_use::KeyUse;
use crate::keys::reason::Reason;
use crate::keys::state::KeyState;
use crate::keys::wrap::{WrapContext, envelope};
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret, fs};

impl Keyring {
    /// Creates a key with one active version, guarded by `kms_key`, or else by the keyring's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) if the name is taken; errors of the KMS or the file
    /// otherwise.
    pub async fn create_key(
        &mut self,
        name: &KeyName,
        key_use: KeyUse,
        kms_key: Option<&KmsKeyRef>,
    ) -> Result<KeyInfo> {
        let kms_key = kms_key.unwrap_or(self.kms_key()).clone();
        let id = DataKeyId::random()?;
        // Checked here to spare the KMS a request, and again under the lock, where the answer is final.
        refuse_taken(&self.document, name)?;
        let mut version = self.new_version(id, key_use, &kms_key).await?;
        let (who, _) = self.actor_and_time();
        let created = version.created;
        lifecycle::apply_transition(name, &mut version, KeyState::Active, &who, created, &"created".parse()?)?;
        let key = DataKeyEntry {
            name: name.clone(),
            id,
            key_use,
            created: version.created,
            kms_key,
            versions: vec![version],
            periods: None,
            values_limit: None,
            limited_since: None,
        };
        let info = key.info();
        let entry = AuditEntry {
            kms_key: Some(key.kms_key.clone()),
            version: Some(key.versions[0].id),
            ..self.audit_entry(AuditEvent::Create, name, Some(1), None)
        };
        self.commit(Some(entry), |document| {
            refuse_taken(document, name)?;
            document.keys.push(key);
            Ok(info)
        })
    }

    /// Gives the key a new active version. The one before still reveals, but protects no more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`](crate::ErrorKind::KeyNotFound); [`ErrorKind::KeyNotUsable`] for a key that came
    /// from a partner; otherwise errors of the KMS or the file.
    pub async fn rotate(&mut self, name: &KeyName, reason: Option<&Reason>) -> Result<KeyInfo> {
        let reason = match reason {
            Some(reason) => reason.clone(),
            None => "rotation".parse()?,
        };
        self.add_version(name, Some(&reason)).await
    }

    /// Gives the key a new version that is not in use yet: [`transition`](Self::transition) to *active* brings it
    /// into use.
    ///
    /// # Errors
    ///
    /// As for [`rotate`](Self::rotate).
    pub async fn prepare(&mut self, name: &KeyName) -> Result<KeyInfo> {
        self.add_version(name, None).await
    }

    /// Adds a version. With a reason it is activated at once.
    async fn add_version(&mut self, name: &KeyName, reason: Option<&Reason>) -> Result<KeyInfo> {
        let key = self.entry(name)?;
        // The partner could not reveal what a version made here protects, nor would its check value
        // agree.
        if key.versions.iter().any(|version| version.only_for.is_some()) {
            let message =
                format!("key `{name}` came from a partner: a version that is made here would be no key of theirs");
            return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint(lifecycle::renewal(key)));
        }
        let (id, kms_key) = (key.id, key.kms_key.clone());
        let version = self.new_version(id, key.key_use, &kms_key).await?;
        let (who, now) = self.actor_and_time();
        let entry = AuditEntry {
            version: Some(version.id),
            ..self.audit_entry(AuditEvent::Rotate, name, None, reason)
        };
        self.commit(Some(entry), |document| {
            let changed = |why: &str| Error::bad_input(format!("key `{name}` {why} meanwhile")).with_hint("try again");
            let key = document.key_mut(id).ok_or_else(|| changed("was removed"))?;
            // `rewrap` in another process: the new version is wrapped by the KMS key from before, and the
            // entry has one KMS key for all its versions.
            if key.kms_key != kms_key {
                return Err(changed("went to another KMS key"));
            }
            // Numbered under the lock: two processes that rotate at the same time get two numbers.
            let number = 1 + key.versions.last().map_or(0, |last| last.number);
            let mut version = VersionEntry { number, ..version };
            if let Some(reason) = reason {
                // In the same change of the file, so that there is no moment with two active versions, or
                // with none.
                lifecycle::replace_active(key, number, &who, now)?;
                lifecycle::apply_transition(name, &mut version, KeyState::Active, &who, now, reason)?;
            }
            key.versions.push(version);
            Ok(key.info())
        })
    }

    /// Wraps data keys under `to` instead: the same keys under another KMS key, so no data is touched. Without
    /// `names` it is all of them, and the keyring's root. Each is unwrapped again by the new KMS key before anything
    /// is written.
    ///
    /// This does not help against a KMS key that was known to others: what it wrapped before may be known, too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`](crate::ErrorKind::KeyNotFound); otherwise errors of either KMS or the file. The
    /// file is then as it was.
    pub async fn rewrap(&mut self, to: &KmsKeyRef, names: &[KeyName]) -> Result<usize> {
        // All names are checked before the first request, so that a misspelt one costs nothing.
        for name in names {
            self.entry(name)?;
        }
        let before = &self.document;
        let mut after = before.clone();
        let mut count = 0;
        if names.is_empty() {
            let context = KeyringDocument::root_context(before.id, before.root.id);
            after.root.wrapped = Base64(self.rewrapped(to, &self.root, &context, "the root").await?);
            after.root.kms_key = to.clone();
        }
        for (key, place) in before.keys.iter().zip(&mut after.keys) {
            if !names.is_empty() && !names.contains(&key.name) {
                continue;
            }
            // All versions, not the active one alone: old ones still reveal, and the KMS key they are
            // wrapped by may be about to be deleted.
            for (version, place) in key.versions.iter().zip(&mut place.versions) {
                // Removed versions have no key to rewrap.
                let Some(wrapped) = &version.wrapped else { continue };
                let what = format!("key `{}@{}`", key.name, version.number);
                let (context, length) = (
                    before.context(key.id, version.id, key.key_use),
                    KeyMaterial::length(key.key_use),
                );
                let unwrapped = envelope::unwrap(&self.registry, &key.kms_key, &wrapped.0, length, &context).await;
                let plaintext = unwrapped.map_err(|error| in_file(&self.path, error.context(&what)))?;
                place.wrapped = Some(Base64(self.rewrapped(to, &plaintext, &context, &what).await?));
                count += 1;
            }
            place.kms_key = to.clone();
        }
        let generation = before.generation;
        let entry = AuditEntry {
            kms_key: Some(to.clone()),
            key: (!names.is_empty()).then(|| names.iter().map(KeyName::as_str).collect::<Vec<_>>().join(", ")),
            ..AuditEntry::new(AuditEvent::Rewrap)
        };
        self.commit(Some(entry), |document| {
            // `after` was made from the document before the requests; a change by another process would
            // be lost.
            if document.generation != generation {
                return Err(Error::bad_input("was changed by somebody else meanwhile").with_hint("try again"));
            }
            *document = after;
            Ok(count)
        })
    }

    async fn rewrapped(
        &self,
        to: &KmsKeyRef,
        plaintext: &Secret<Vec<u8>>,
        context: &WrapContext,
        what: &str,
    ) -> Result<Vec<u8>> {
        let wrap = async {
            let wrapped = envelope::wrap(&self.registry, to, plaintext, context).await?;
            // A KMS may allow Encrypt and refuse Decrypt, or a proxy may lose the context. This is found
            // now, while the old wrapped bytes are still in the file, not when data must be revealed.
            let back = envelope::unwrap(&self.registry, to, &wrapped, plaintext.expose().len(), context).await?;
            // Not in constant time: the KMS alone could choose `back`, and it was given the key itself.
            if back.expose() != plaintext.expose() {
                let message = format!("KMS key `{to}` unwraps to another key than it wrapped");
                return Err(Error::new(ErrorKind::WrongKey, message));
            }
            Ok(wrapped)
        };
        wrap.await
            .map_err(|error: Error| in_file(&self.path, error.context(what)))
    }

    async fn new_version(&self, key: DataKeyId, key_use: KeyUse, kms_key: &KmsKeyRef) -> Result<VersionEntry> {
        // The id is chosen before the KMS is asked, since the wrapping is bound to it.
        let context = self.document.context(key, KeyVersionId::random()?, key_use);
        let length = KeyMaterial::length(key_use);
        // The plaintext is dropped at once, and so wiped: the first use unwraps it again, which also
        // shows that the KMS allows it.
        let (_, wrapped) = envelope::generate(&self.registry, kms_key, length, &context).await?;
        Ok(VersionEntry {
            number: 1,
            id: context.version,
            state: KeyState::PreActivation,
            created: self.registry.context().now(),
            wrapped: Some(Base64(wrapped)),
            activated: None,
            history: Vec::new(),
            only_for: None,
            sender: None,
        })
    }

    /// Applies `change` to the file as it is now, and saves it. Requests to the KMS come before, so that nobody waits
    /// for it under the lock.
    ///
    /// `entry`, and one for each version that goes over to another state, go into the audit log before the change is
    /// made, so that there is no change without them; if it fails, the log says that, too.
    pub(super) fn commit<T>(
        &mut self,
        entry: Option<AuditEntry>,
        change: impl FnOnce(&mut KeyringDocument) -> Result<T>,
    ) -> Result<T> {
        // From here to the rename nobody else changes the file: read, change and write are one step.
        let _lock = fs::lock(&self.path)?;
        let mut document = self.current()?;
        let before = document.clone();
        let result = change(&mut document).map_err(|error| in_file(&self.path, error))?;
        document.generation += 1;
        document
            // Checked before it is written, since a file that does not pass could not be opened again.
            .validate()
            .map_err(|error| Error::bug("a change that the keyring cannot hold").with_source(error))?;
        let generation = Some(document.generation);
        let entries: Vec<_> = (entry.into_iter())
            .chain(transitions(&before, &document))
            .map(|entry| AuditEntry { generation, ..entry })
            .collect();
        // The log first, and synced: a crash between the two leaves an entry without a change, which is
        // seen by its generation. The other order would leave a change that nobody can account for.
        if let Some(log) = self.log.as_ref().filter(|_| !entries.is_empty()) {
            let end = log.append(entries.clone())?;
            document.audit = recorded(log, document.audit.take(), end)?;
        }
        let bytes = sealed(&document, &self.root)?;
        if let Err(error) = fs::write_atomic(&self.path, &bytes, fs::PRIVATE) {
            // The first error is the one to report.
            let _ = self.audit(entries.iter().map(|entry| entry.failed(&error)));
            return Err(error);
        }
        // Only now: after a failure the keyring in memory is as the file is.
        self.document = document;
        if let Some(log) = &self.log {
            log.know(self.document.audit.clone())?;
        }
        // From here on an older copy is refused. Not before: whoever ends in between has the older one rightly.
        self.audit([AuditEntry {
            generation,
            ..AuditEntry::new(AuditEvent::Written)
        }])?;
        Ok(result)
    }

    /// Reads the document as the file has it now; the caller holds the lock.
    pub(super) fn current(&self) -> Result<KeyringDocument> {
        let file = parse(&self.path)?;
        // Before the MAC, which would fail as well and be called a damaged file. The id alone grants
        // nothing.
        if file.unverified().id != self.document.id {
            return Err(
                in_file(&self.path, Error::bad_input("was replaced by another keyring")).with_hint("open it again")
            );
        }
        if file.unverified().root.id != self.document.root.id {
            let replaced = Error::new(ErrorKind::KeyNotUsable, "got another root key meanwhile");
            return Err(in_file(&self.path, replaced.with_hint("open it again")));
        }
        // Not the document in memory: another process may have changed the file since it was read.
        let document = verified(&self.path, file, &self.root)?;
        // An older copy has a right MAC. To change it would give its generations to other changes, and no
        // check of generations could tell the two histories apart any more.
        if document.generation < self.document.generation {
            return Err(
                in_file(&self.path, Error::bad_input("was replaced by an older copy of itself"))
                    .with_hint("put the newer copy back; data protected since then needs it"),
            );
        }
        Ok(document)
    }
}

/// Returns what the keyring knows of its log once entries were appended up to `end`.
fn recorded(log: &AuditLog, known: Option<LogRecord>, end: LogRecord) -> Result<Option<LogRecord>> {
    let Some(known) = known else { return Ok(Some(end)) };
    // A log that does not go on from what is known, since it was cut or exchanged, stays unknown until somebody says
    // why: else the next change would cover it up.
    if log.continues(&known)? {
        let closed = known.closed;
        Ok(Some(LogRecord { closed, ..end }))
    } else {
        Ok(Some(known))
    }
}

/// Returns the entries for versions whose state differs between `before` and `after`.
fn transitions(before: &KeyringDocument, after: &KeyringDocument) -> Vec<AuditEntry> {
    let known: HashMap<_, _> = (before.keys.iter())
        .flat_map(|key| &key.versions)
        // By the length of the histories, which only grow, so that two steps at once (removed, then
        // destroyed) give two entries.
        .map(|version| (version.id, version.history.len()))
        .collect();
    let mut entries = Vec::new();
    for key in &after.keys {
        for version in &key.versions {
            let known = known.get(&version.id).copied().unwrap_or(0);
            entries.extend(version.history.iter().skip(known).map(|change| AuditEntry {
                key: Some(format!("{}@{}", key.name, version.number)),
                version: Some(version.id),
                context: Some(format!("to {}", change.to)),
                reason: Some(change.reason.clone()),
                ..AuditEntry::new(AuditEvent::State)
            }));
        }
    }
    entries
}

pub(super) fn refuse_taken(document: &KeyringDocument, name: &KeyName) -> Result<()> {
    match document.key(name) {
        None => Ok(()),
        Some(_) => Err(Error::bad_input(format!("key `{name}` already exists"))
            .with_hint(Hint::from("choose another name, or ").then(Remedy::RotateKey(name.to_string())))),
    }
}
