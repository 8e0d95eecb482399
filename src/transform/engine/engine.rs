//! Policies and their keys, ready to be asked for transforms.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Result;
use crate::cipher::Direction;
use crate::keys::{KeyHandle, Keyring, KmsRegistry};
#[cfg(feature = "sql")]
use crate::policy::Rights;
use crate::policy::{Grant, Policy, RuleRef};
use crate::tokens::{StoreUrl, TokenStore, Tokenizer};
use crate::transform::transform::Transform;

/// A policy, its keyring and the KMS clients that open it. Cheap to clone: clones share resolved keys.
///
/// Keys are resolved by the asynchronous calls, before any row is seen; [`Engine::resolved`] only looks up.
#[derive(Clone)]
pub struct Engine {
    pub(super) state: Arc<EngineState>,
    pub(super) role: Option<Arc<str>>,
}

/// The part of an engine that its clones and roles share.
pub(super) struct EngineState {
    pub(super) policy: Policy,
    pub(super) keyring: Keyring,
    id: u64,
    /// Transforms that were resolved, and the errors of those that could not be.
    transforms: Mutex<ResolvedTransforms>,
    /// Accesses that the audit log has already: each is logged once a session.
    pub(super) audited: Mutex<HashSet<AuditedAccess>>,
    /// Token stores that are open.
    stores: Mutex<HashMap<StoreUrl, Arc<dyn TokenStore>>>,
}

/// A role, and the rule and direction that it asked for.
pub(super) type AuditedAccess = (Option<Arc<str>>, RuleRef, Direction);

/// Transforms by the role, rule, direction and grant that they were resolved for. By the role as well, since each
/// counts what it does, and what one is refused says nothing of another.
type ResolvedTransforms = HashMap<(Option<Arc<str>>, RuleRef, Direction, Grant), Result<Arc<Transform>>>;

impl Engine {
    /// Reads the policy at `path` and opens its keyring through `registry`.
    ///
    /// # Errors
    /// A bad policy, a keyring that is missing or does not authenticate, a KMS that refuses.
    pub async fn open(path: &Path, registry: &KmsRegistry) -> Result<Self> {
        let policy = Policy::load(path)?;
        // The host's cache, if it set one, goes before the policy's.
        let registry = match registry.cache() {
            Some(_) => registry.clone(),
            None => registry.clone().with_cache(policy.cache),
        };
        let registry = match registry.trust() {
            Some(_) => registry,
            None => registry.with_trust(policy.trust(None)?),
        };
        let keyring = Keyring::open(&policy.keyring, &registry).await?;
        // The pin of the policy is compared before anything is used: an old copy of the keyring would bring back
        // keys that were disabled since.
        let keyring = keyring.not_older_than(policy.keyring_generation)?;
        let keyring = match &policy.audit {
            Some(path) => keyring.with_audit_log(path)?,
            None => keyring,
        };
        Ok(Self::new(policy, keyring))
    }

    /// An engine over what is already open.
    pub fn new(policy: Policy, keyring: Keyring) -> Self {
        // Never reused in a process, so a plan that outlives its engine never compares equal with one of another.
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Self {
            state: Arc::new(EngineState {
                policy,
                keyring,
                id: NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
                transforms: Mutex::default(),
                audited: Mutex::default(),
                stores: Mutex::default(),
            }),
            role: None,
        }
    }

    /// This engine for a role of the policy: it reveals, masks or refuses as `[roles.NAME]` says.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`](crate::ErrorKind::NotAllowed) when the policy has no such role.
    pub fn with_role(mut self, role: &str) -> Result<Self> {
        // Asks for any rule, only to learn whether the role exists: a misspelt role is an error now and not at the
        // first query.
        self.state.policy.grant(Some(role), "*")?;
        self.role = Some(role.into());
        Ok(self)
    }

    /// Uses `store` for the rules whose tokens the policy keeps at `url`: a store in memory, or one of the program's
    /// own.
    #[must_use]
    pub fn with_token_store(self, url: StoreUrl, store: Arc<dyn TokenStore>) -> Self {
        self.stores().insert(url, store);
        self
    }

    /// The store that the policy's `url` means, opened if it was not before; to protect, made if it is not there.
    ///
    /// # Errors
    /// As [`StoreUrl::open`] and [`StoreUrl::open_existing`].
    pub async fn token_store(&self, url: &StoreUrl, direction: Direction) -> Result<Arc<dyn TokenStore>> {
        // The lock is not held while a store is opened, which may wait for a network.
        let known = self.stores().get(url).cloned();
        match known {
            Some(store) => Ok(store),
            None => {
                // To reveal, a store that is not there is an error: a new and empty one would know no token.
                let store = match direction {
                    Direction::Encrypt => url.open().await?,
                    Direction::Decrypt => url.open_existing().await?,
                };
                // Whoever opened it first at the same time: one connection is enough.
                Ok(Arc::clone(self.stores().entry(url.clone()).or_insert(store)))
            }
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.state.policy
    }

    /// The keyring.
    pub fn keyring(&self) -> &Keyring {
        &self.state.keyring
    }

    /// The role, if this engine is bound to one.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// Tells this engine from every other of this process, and its roles from each other: what SQL functions compare
    /// by.
    pub fn identity(&self) -> (u64, Option<&str>) {
        (self.state.id, self.role())
    }

    /// The grant of this engine's role under `rule`.
    ///
    /// # Errors
    /// [`ErrorKind::BadPolicy`](crate::ErrorKind::BadPolicy) when there is no such rule.
    pub fn grant(&self, rule: &str) -> Result<Grant> {
        // A rule that does not exist is a bad policy, and not just one without a grant.
        self.state.policy.rule(rule)?;
        self.state.policy.grant(self.role(), rule)
    }

    /// Warnings about the keys that this engine has used: periods that end soon, versions that are suspended or
    /// compromised.
    pub fn due(&self) -> Vec<String> {
        let transforms = self.transforms();
        let keys = transforms.values().flatten().map(|transform| transform.key());
        // A set: several rules may have one key, and a person is told once.
        let told: BTreeSet<&str> = keys.filter(|key| key.was_used()).filter_map(KeyHandle::due).collect();
        told.into_iter().map(str::to_owned).collect()
    }

    /// Warnings of token spaces that this engine has filled so far that there will soon be no more tokens.
    pub fn filling_up(&self) -> Vec<String> {
        let transforms = self.transforms();
        let tokenizers = transforms
            .values()
            .flatten()
            .filter_map(|transform| transform.tokenizer());
        let told: BTreeSet<String> = tokenizers.filter_map(Tokenizer::due).collect();
        told.into_iter().collect()
    }

    /// The rights of this engine's role under `rule`.
    ///
    /// # Errors
    /// [`ErrorKind::BadPolicy`](crate::ErrorKind::BadPolicy) when there is no such rule.
    #[cfg(feature = "sql")]
    pub(crate) fn rights(&self, rule: &str) -> Result<Rights> {
        self.state.policy.rule(rule)?;
        self.state.policy.rights(self.role(), rule)
    }

    fn stores(&self) -> MutexGuard<'_, HashMap<StoreUrl, Arc<dyn TokenStore>>> {
        // As for the transforms below: an entry is inserted as a whole.
        self.state.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn transforms(&self) -> MutexGuard<'_, ResolvedTransforms> {
        // Entries are whole or absent, so a panic elsewhere cannot have left one half done.
        self.state.transforms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EngineState {
    /// Nobody can be told any more if it fails; the entry of the access is there.
    fn drop(&mut self) {
        let _ = self.keyring.audit_usage(None, "until the engine was closed");
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("policy", &self.state.policy.path)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
