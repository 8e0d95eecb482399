//! The open keyring.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::document::{DataKeyEntry, KeyringDocument, RootEntry, VersionEntry};
use super::file::{in_file, parse, sealed, verified};
use super::info::KeyInfo;
use super::lifecycle;
use crate::cipher::Direction;
use crate::keys::audit::{AuditEntry, AuditEvent, AuditLog};
use crate::keys::encoding::Base64;
use crate::keys::handle::{Cache, KeyHandle, KeyMaterial, UsageLimit, UsageReport, VersionUsage};
use crate::keys::ids::{KeyVersionId, KeyringId};
use crate::keys::key_ref::{KeyName, KeyRef, KmsKeyRef};
use crate::keys::trust::root_check;
use crate::keys::wrap::{KmsRegistry, envelope};
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret, fs};

/// Bytes of the root key, from which the key of the MAC is derived.
pub(super) const ROOT: usize = 32;

/// Usage by version and role. Roles of one process are counted apart, or the log would name one for the other.
type Usages = HashMap<(KeyVersionId, Option<Arc<str>>), Arc<VersionUsage>>;

/// An open keyring: authenticated as a whole. Keys are unwrapped when they are needed, each once.
///
/// Every change is written before it returns. It starts from the file as it is at that moment, so changes of other
/// processes are kept.
#[derive(Debug)]
pub struct Keyring {
    pub(super) path: PathBuf,
    pub(super) document: KeyringDocument,
    pub(super) root: Secret<Vec<u8>>,
    pub(super) registry: KmsRegistry,
    pub(super) cache: Cache,
    /// Usage of each version that was handed out, by the role it was for.
    pub(super) usages: Mutex<Usages>,
    pub(super) log: Option<Arc<AuditLog>>,
}

impl Keyring {
    /// Creates a keyring without keys, guarded by `kms_key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if there is a file at `path` already; otherwise errors of the KMS.
    pub async fn create(path: impl Into<PathBuf>, kms_key: &KmsKeyRef, registry: &KmsRegistry) -> Result<Self> {
        let path = path.into();
        // Asked first, so that no KMS key is used in vain; the exclusive creation below decides.
        if path.exists() {
            return Err(
                in_file(&path, Error::bad_input("already exists")).with_hint("name another file, or use this one")
            );
        }
        let (id, root_id) = (KeyringId::random()?, KeyVersionId::random()?);
        let (root, wrapped) =
            envelope::generate(registry, kms_key, ROOT, &KeyringDocument::root_context(id, root_id)).await?;
        let root_entry = RootEntry {
            kms_key: kms_key.clone(),
            id: root_id,
            wrapped: Base64(wrapped),
        };
        let document = KeyringDocument {
            id,
            generation: 1,
            root: root_entry,
            keys: Vec::new(),
            last_backup: None,
            audit: None,
        };
        // Fails if another process has made the file meanwhile: its keys must not be replaced by an empty
        // keyring.
        fs::create_atomic(&path, &sealed(&document, &root)?, fs::PRIVATE)?;
        Ok(Self::new(path, document, root, registry))
    }

    fn new(path: PathBuf, document: KeyringDocument, root: Secret<Vec<u8>>, registry: &KmsRegistry) -> Self {
        Self {
            path,
            document,
            root,
            registry: registry.clone(),
            cache: Cache::new(registry.cache().unwrap_or_default(), Arc::new(Instant::now)),
            usages: Mutex::default(),
            log: None,
        }
    }

    /// Opens the keyring at `path`, and authenticates it as a whole.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::FileNotFound`] if there is no file; [`ErrorKind::BadInput`] or [`ErrorKind::WrongKey`] if a byte
    /// of it was changed, or if the KMS did not wrap it; otherwise errors of the KMS.
    pub async fn open(path: impl Into<PathBuf>, registry: &KmsRegistry) -> Result<Self> {
        let path = path.into();
        let file = parse(&path)?;
        // The file says which KMS to ask, and what to unwrap, before it can be authenticated: the key of
        // its MAC is what comes back. So the MAC is only as good as the KMS key: whoever may wrap under
        // it can write a keyring.
        let document = file.unverified();
        let trust = registry.trust().cloned();
        if let Some(trust) = &trust {
            trust
                .check_keyring(document.id)
                .map_err(|error| in_file(&path, error))?;
        }
        let context = KeyringDocument::root_context(document.id, document.root.id);
        let root = envelope::unwrap(
            registry,
            &document.root.kms_key,
            &document.root.wrapped.0,
            ROOT,
            &context,
        )
        .await
        .map_err(|error| in_file(&path, error))?;
        if let Some(trust) = &trust {
            trust.check_root(&root).map_err(|error| in_file(&path, error))?;
        }
        let document = verified(&path, file, &root)?;
        Ok(Self::new(path, document, root, registry))
    }

    /// Logs uses and changes of keys in the audit log at `path` from now on. Without its entry no key is handed out.
    ///
    /// The first entry is that of the unwrapping of the root key, which came before.
    ///
    /// # Errors
    ///
    /// Errors of the log's file.
    pub fn with_audit_log(mut self, path: impl Into<PathBuf>) -> Result<Self> {
        let log = self.audit_log_at(path.into())?;
        self.refuse_older_than(&log)?;
        // The log's key is derived from the root, so the unwrapping of the root can be written down only
        // afterwards.
        log.append(vec![AuditEntry {
            version: Some(self.document.root.id),
            kms_key: Some(self.document.root.kms_key.clone()),
            context: Some("keyring-root".to_owned()),
            generation: Some(self.document.generation),
            ..AuditEntry::new(AuditEvent::Unwrap)
        }])?;
        // From here on each request to a KMS writes its own entry.
        self.registry = self.registry.with_audit(Arc::clone(&log) as _);
        self.log = Some(log);
        Ok(self)
    }

    pub(super) fn audit_log_at(&self, path: PathBuf) -> Result<Arc<AuditLog>> {
        let context = self.registry.context().clone();
        let record = self.document.audit.clone();
        Ok(Arc::new(AuditLog::new(path, self.id(), &self.root, record, context)?))
    }

    /// Refuses a keyring that is older than its own log knows it: an old copy has the key of before a compromise, and
    /// the states of before.
    fn refuse_older_than(&self, log: &AuditLog) -> Result<()> {
        let Some(known) = log.known_generation()?.filter(|known| *known > self.generation()) else {
            return Ok(());
        };
        // Another process may have changed the keyring since this one read it.
        if parse(&self.path)?.unverified().generation >= known {
            return Ok(());
        }
        let message = format!(
            "this is an older copy: generation {}, and its audit log knows generation {known}",
            self.generation()
        );
        Err(in_file(&self.path, Error::new(ErrorKind::WrongKey, message)).with_hint(
            Hint::from("put the newer keyring back; if it is lost, ")
                .then(Remedy::RestoreBackup)
                .then(" --reason brings an older one back for good"),
        ))
    }

    /// Refuses a copy of the keyring that is older than generation `least`, which the caller has seen before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`].
    pub fn not_older_than(self, least: u64) -> Result<Self> {
        match refuse_older(self.generation(), least) {
            Ok(()) => Ok(self),
            Err(error) => Err(in_file(&self.path, error)),
        }
    }

    /// Returns the registry that requests go through; it logs them if there is an audit log.
    #[cfg(feature = "cli")]
    pub(crate) fn registry(&self) -> &KmsRegistry {
        &self.registry
    }

    /// Returns the audit log, if there is one.
    pub fn audit_log(&self) -> Option<&AuditLog> {
        self.log.as_deref()
    }

    /// Appends entries, if there is a log.
    pub(crate) fn audit(&self, entries: impl IntoIterator<Item = AuditEntry>) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let entries: Vec<_> = entries.into_iter().collect();
        // An append syncs the disk, for nothing here.
        if !entries.is_empty() {
            log.append(entries)?;
        }
        Ok(())
    }

    /// Logs how many values were protected and revealed with each version since the last call, in the job that
    /// `context` names. Handles that were for no role count for `role`.
    ///
    /// # Errors
    ///
    /// Errors of the log's file.
    pub fn audit_usage(&self, role: Option<&str>, context: &str) -> Result<()> {
        self.report_usage(role, context, |_| true)
    }

    /// Logs like [`audit_usage`](Self::audit_usage) what was done in this role alone, or in none.
    pub(crate) fn audit_usage_of(&self, role: Option<&str>, context: &str) -> Result<()> {
        self.report_usage(role, context, |of| of == role)
    }

    fn report_usage(&self, role: Option<&str>, context: &str, is_meant: impl Fn(Option<&str>) -> bool) -> Result<()> {
        let mut entries = Vec::new();
        let usages = self.usages();
        for key in &self.document.keys {
            for version in &key.versions {
                let of_version = usages
                    .iter()
                    .filter(|((id, of), _)| *id == version.id && is_meant(of.as_deref()));
                for ((_, of), usage) in of_version {
                    entries.extend(usage_entries(
                        key,
                        version,
                        of.as_deref().or(role),
                        context,
                        usage.take(),
                    ));
                }
            }
        }
        drop(usages);
        self.audit(entries)
    }

    pub(super) fn usages(&self) -> std::sync::MutexGuard<'_, Usages> {
        self.usages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the usage of a version. If the key has a limit, the audit log says how much of it is left.
    fn usage(&self, key: &DataKeyEntry, version: &VersionEntry, role: Option<&Arc<str>>) -> Result<Arc<VersionUsage>> {
        // One counter a version, role and process, shared by all handles: each handle with its own would set
        // aside its own part of the limit.
        let place = (version.id, role.cloned());
        if let Some(usage) = self.usages().get(&place) {
            return Ok(Arc::clone(usage));
        }
        let limit = key.values_limit.map(|values| UsageLimit {
            values,
            since: key.limited_since.unwrap_or_default(),
        });
        let usage = match (limit, &self.log) {
            (None, _) => VersionUsage::default(),
            (Some(limit), Some(log)) => {
                VersionUsage::limited(limit, Arc::clone(log), key.name.clone(), version.number, version.id)
            }
            // Refused rather than counted in memory: other processes could not see it, and the next start
            // would forget it.
            (Some(_), None) => {
                let message = format!(
                    "key `{}` has a limit of values, which needs an audit log to count \
                 them",
                    key.name
                );
                return Err(Error::new(ErrorKind::KeyNotUsable, message)
                    .with_hint("add a line like audit = \"audit.jsonl\" to the policy: the audit log counts"));
            }
        };
        // Another task may have come first since the look-up above. Its counter is the one that counts.
        Ok(Arc::clone(self.usages().entry(place).or_insert(Arc::new(usage))))
    }

    /// Returns the KMS keys that the keyring at `path` says it needs. They are read before the file is authenticated,
    /// so do not trust them further than to ask their KMS.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), but no request is made to a KMS.
    pub fn kms_keys(path: &Path) -> Result<Vec<KmsKeyRef>> {
        let file = parse(path)?;
        let document = file.unverified();
        let keys = document.keys.iter().map(|key| &key.kms_key);
        let mut keys: Vec<_> = keys.chain([&document.root.kms_key]).cloned().collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// Returns the check value of the root key, in hexadecimal, by which a policy pins it: see
    /// [`Trust`](crate::keys::Trust).
    ///
    /// # Errors
    ///
    /// A bug.
    pub fn root_check(&self) -> Result<String> {
        root_check(&self.root)
    }

    /// Returns the id of the keyring.
    pub fn id(&self) -> KeyringId {
        self.document.id
    }

    /// Returns the generation: the number of changes. A smaller one than seen before shows an older copy.
    pub fn generation(&self) -> u64 {
        self.document.generation
    }

    /// Returns the KMS key that guards the keyring, and new keys unless they name another.
    pub fn kms_key(&self) -> &KmsKeyRef {
        &self.document.root.kms_key
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lists all keys, in the order of their creation.
    pub fn list(&self) -> Vec<KeyInfo> {
        self.document.keys.iter().map(DataKeyEntry::info).collect()
    }

    /// Describes one key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`].
    pub fn describe(&self, name: &KeyName) -> Result<KeyInfo> {
        self.entry(name).map(DataKeyEntry::info)
    }

    /// Resolves the version that `key` names, for `direction`. Without a number it is the current one: the newest
    /// that is or was in use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; [`ErrorKind::KeyNotUsable`] if its state forbids the direction; errors of the KMS
    /// otherwise.
    pub async fn handle(&self, key: &KeyRef, direction: Direction) -> Result<KeyHandle> {
        self.handle_for(key, direction, None).await
    }

    /// Resolves like [`handle`](Self::handle); what is done with the key counts for `role`.
    pub(crate) async fn handle_for(
        &self,
        key: &KeyRef,
        direction: Direction,
        role: Option<&Arc<str>>,
    ) -> Result<KeyHandle> {
        let (entry, version) = self.version(key)?;
        self.resolve(entry, version, direction, role).await
    }

    pub(super) fn version(&self, key: &KeyRef) -> Result<(&DataKeyEntry, &VersionEntry)> {
        let entry = self.entry(&key.name)?;
        let version = match key.version {
            None => entry.current(),
            Some(number) => entry.versions.iter().find(|version| version.number == number),
        };
        let version = version.ok_or_else(|| {
            let numbers: Vec<_> = entry
                .versions
                .iter()
                .map(|version| version.number.to_string())
                .collect();
            in_file(
                &self.path,
                Error::new(ErrorKind::KeyNotFound, format!("there is no key version `{key}`")),
            )
            .with_hint(format!("the versions of `{}` are {}", key.name, numbers.join(", ")))
        })?;
        Ok((entry, version))
    }

    /// Resolves the version that protected data names, for `direction`. `key` is the name of the data key, or its id.
    ///
    /// # Errors
    ///
    /// As for [`handle`](Self::handle).
    pub async fn handle_by_version_id(
        &self,
        key: &str,
        version: KeyVersionId,
        direction: Direction,
    ) -> Result<KeyHandle> {
        let found = self.document.keys.iter().find_map(|entry| {
            // By name or by id, since names may change after data was protected; the id of the version
            // must fit in either case, so metadata that names another key gets nothing.
            let known_as = entry.name.as_str() == key || entry.id.to_string() == key;
            entry
                .versions
                .iter()
                .find(|candidate| known_as && candidate.id == version)
                .map(|version| (entry, version))
        });
        let (entry, version) = found.ok_or_else(|| {
            let message = format!("no key `{key}` has a version with id {version}");
            in_file(&self.path, Error::new(ErrorKind::KeyNotFound, message)).with_hint(
                Hint::from("use the keyring that the data was protected with; to see what this one has, ")
                    .then(Remedy::ListKeys),
            )
        })?;
        self.resolve(entry, version, direction, None).await
    }

    async fn resolve(
        &self,
        key: &DataKeyEntry,
        version: &VersionEntry,
        direction: Direction,
        role: Option<&Arc<str>>,
    ) -> Result<KeyHandle> {
        let now = self.registry.context().now();
        // State and periods before the cache: a version that was compromised a moment ago is refused
        // though its bytes are still in memory.
        lifecycle::check(key, version, direction, now)?;
        let wrapped = version
            .wrapped
            .as_ref()
            .ok_or_else(|| Error::bug("a version that may be used has no key"))?;
        // Before the KMS is asked: a limit that cannot be counted makes the key useless here.
        let usage = self.usage(key, version, role)?;
        let fetch = async {
            let context = self.document.context(key.id, version.id, key.key_use);
            let length = KeyMaterial::length(key.key_use);
            let bytes = envelope::unwrap(&self.registry, &key.kms_key, &wrapped.0, length, &context).await?;
            KeyMaterial::try_new(key.key_use, bytes)
        };
        let fetched = self.cache.fetch_once(version.id, fetch).await;
        let (material, lease) = fetched.map_err(|error| {
            in_file(
                &self.path,
                error.context(format!("key `{}@{}`", key.name, version.number)),
            )
        })?;
        Ok(KeyHandle {
            name: key.name.clone(),
            version: version.number,
            version_id: version.id,
            material,
            lease,
            usage,
            only_for: version.only_for.clone().map(Arc::new),
            due: lifecycle::due(key, version, direction, now),
        })
    }

    pub(super) fn entry(&self, name: &KeyName) -> Result<&DataKeyEntry> {
        self.document.key(name).ok_or_else(|| {
            let names: Vec<_> = self.document.keys.iter().map(|key| key.name.as_str()).collect();
            let known = if names.is_empty() {
                "it is empty".to_string()
            } else {
                format!("it has {}", names.join(", "))
            };
            in_file(
                &self.path,
                Error::new(ErrorKind::KeyNotFound, format!("there is no key `{name}`; {known}")),
            )
            .with_hint(Remedy::CreateKey(Some(name.to_string())))
        })
    }
}

/// Returns the entries for what was done with a version.
fn usage_entries(
    key: &DataKeyEntry,
    version: &VersionEntry,
    role: Option<&str>,
    context: &str,
    UsageReport { uses, released }: UsageReport,
) -> Vec<AuditEntry> {
    let used = uses.map(|(purpose, values)| (AuditEvent::Use, purpose, values));
    // Last, so that a process that ends in between counts too many values rather than too few.
    let released = (AuditEvent::Released, Direction::Encrypt, released);
    let counted = used.into_iter().chain([released]).filter(|(.., values)| *values > 0);
    let entry = |(event, purpose, values)| AuditEntry {
        role: role.map(str::to_owned),
        key: Some(format!("{}@{}", key.name, version.number)),
        version: Some(version.id),
        purpose: Some(purpose),
        context: Some(context.to_owned()),
        values: Some(values),
        ..AuditEntry::new(event)
    };
    counted.map(entry).collect()
}

pub(super) fn refuse_older(generation: u64, least: u64) -> Result<()> {
    // A MAC cannot tell an older copy from the newest: both were written by the holder of the root. Only
    // a number kept elsewhere, in the policy or a checkpoint, can.
    if generation >= least {
        return Ok(());
    }
    let message = format!("is an older copy: generation {generation}, and {least} was seen before");
    Err(Error::new(ErrorKind::WrongKey, message).with_hint(
        "put the newer copy back; data protected since then \
     needs it",
    ))
}
