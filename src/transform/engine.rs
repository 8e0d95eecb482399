//! A policy and its keys, ready to be asked for transforms.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::Transform;
use crate::keys::{AuditEntry, AuditEvent, KeyHandle, KeyRef, KeyVersionId, Keyring, KmsRegistry, Operation};
use crate::policy::{Grant, Policy, Rule, RuleRef, Tokens, Treatment};
use crate::tokens::{StoreUrl, TokenRule, TokenStore, Tokenizer};
use crate::{Error, ErrorKind, Result};

/// A policy, its keyring and the KMS clients that open it. Cheap to clone: clones share resolved keys.
///
/// Keys are resolved by the asynchronous calls, before any row is seen; [`Engine::resolved`] only looks up.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    role: Option<Arc<str>>,
}

struct Shared {
    policy: Policy,
    keyring: Keyring,
    id: u64,
    /// What has been resolved, or why it could not be.
    transforms: Mutex<HashMap<Resolved, Result<Arc<Transform>>>>,
    /// What of it a query has asked for, and the audit log knows.
    told: Mutex<HashSet<Told>>,
    /// The token stores that are open.
    stores: Mutex<HashMap<StoreUrl, Arc<dyn TokenStore>>>,
}

/// By which role, for what a transform was asked.
type Told = (Option<Arc<str>>, RuleRef, Operation);

/// What a transform was resolved for.
type Resolved = (RuleRef, Operation, Grant);

impl Engine {
    /// Reads the policy at `path` and opens its keyring through `registry`.
    ///
    /// # Errors
    /// A bad policy, a keyring that is missing or does not authenticate, a KMS that refuses.
    pub async fn open(path: &Path, registry: &KmsRegistry) -> Result<Self> {
        let policy = Policy::load(path)?;
        let registry = match registry.cache() {
            Some(_) => registry.clone(),
            None => registry.clone().with_cache(policy.cache),
        };
        let keyring = Keyring::open(&policy.keyring, &registry).await?;
        let keyring = keyring.not_older_than(policy.keyring_generation)?;
        let keyring = match &policy.audit {
            Some(path) => keyring.with_audit_log(path)?,
            None => keyring,
        };
        Ok(Self::new(policy, keyring))
    }

    /// An engine over what is already open.
    pub fn new(policy: Policy, keyring: Keyring) -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Self {
            shared: Arc::new(Shared {
                policy,
                keyring,
                id: NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
                transforms: Mutex::default(),
                told: Mutex::default(),
                stores: Mutex::default(),
            }),
            role: None,
        }
    }

    /// This engine for a role of the policy: it reveals, masks or refuses as `[roles.NAME]` says.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the policy has no such role.
    pub fn with_role(mut self, role: &str) -> Result<Self> {
        self.shared.policy.grant(Some(role), "*")?;
        self.role = Some(role.into());
        Ok(self)
    }

    /// Uses `store` for the rules whose tokens the policy keeps at `url`: a store in memory, or one of the program's own.
    #[must_use]
    pub fn with_token_store(self, url: StoreUrl, store: Arc<dyn TokenStore>) -> Self {
        self.stores().insert(url, store);
        self
    }

    /// The store that the policy's `url` means, opened if it was not before; to protect, made if it is not there.
    ///
    /// # Errors
    /// As [`StoreUrl::open`] and [`StoreUrl::open_existing`].
    pub async fn token_store(&self, url: &StoreUrl, operation: Operation) -> Result<Arc<dyn TokenStore>> {
        let known = self.stores().get(url).cloned();
        match known {
            Some(store) => Ok(store),
            None => {
                let store = match operation {
                    Operation::Protect => url.open().await?,
                    Operation::Reveal => url.open_existing().await?,
                };
                // Whoever opened it first at the same time: one connection is enough.
                Ok(Arc::clone(self.stores().entry(url.clone()).or_insert(store)))
            }
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The keyring.
    pub fn keyring(&self) -> &Keyring {
        &self.shared.keyring
    }

    /// The role, if this engine is bound to one.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// Tells this engine from every other of this process, and its roles from each other: what SQL functions compare by.
    pub fn identity(&self) -> (u64, Option<&str>) {
        (self.shared.id, self.role())
    }

    /// What this engine's role sees under `rule`.
    ///
    /// # Errors
    /// [`ErrorKind::BadPolicy`] when there is no such rule.
    pub fn grant(&self, rule: &str) -> Result<Grant> {
        self.shared.policy.rule(rule)?;
        self.shared.policy.grant(self.role(), rule)
    }

    /// The transform of a rule, its key resolved now if it was not before.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the role may not; a key that is missing, in a state that does not allow `operation`, or
    /// refused by its KMS.
    pub async fn resolve(&self, rule: &RuleRef, operation: Operation) -> Result<Arc<Transform>> {
        let resolved = self.resolve_ahead(rule, operation).await;
        self.audit_access(rule, operation, resolved.as_deref().map(Transform::key))?;
        resolved
    }

    /// The same, for whom may never ask for it: no access yet.
    async fn resolve_ahead(&self, rule: &RuleRef, operation: Operation) -> Result<Arc<Transform>> {
        let grant = self.allow(rule, operation)?;
        if let Some(Ok(transform)) = self.known(rule, operation, grant)
            && transform.key().is_fresh()
        {
            return Ok(transform);
        }
        let definition = self.shared.policy.rule(&rule.rule)?;
        let transform = match &definition.tokens {
            Some(tokens) => self.tokens(definition, tokens, rule, operation).await,
            None => self.cipher(definition, rule, operation).await,
        };
        let transform = transform.map_err(|error| error.context(format_args!("rule `{}`", rule.rule)))?;
        let transform = Arc::new(if grant == Grant::Masked {
            transform.masked()
        } else {
            transform
        });
        let mut transforms = self.lock();
        // The version that a bare name stands for goes by its number too, as tables bind it.
        if transform.tokenizer().is_none() {
            let numbered = RuleRef {
                rule: rule.rule.clone(),
                version: Some(transform.key().version()),
            };
            transforms.insert((numbered, operation, grant), Ok(transform.clone()));
        }
        transforms.insert((rule.clone(), operation, grant), Ok(transform.clone()));
        Ok(transform)
    }

    /// Writes down who got, or did not get, which key.
    fn audit_access(&self, rule: &RuleRef, operation: Operation, key: Result<&KeyHandle, &Error>) -> Result<()> {
        if self.shared.keyring.audit_log().is_none() {
            return Ok(());
        }
        self.shared.keyring.audit([AuditEntry {
            role: self.role().map(str::to_owned),
            key: key.ok().map(|key| format!("{}@{}", key.name(), key.version())),
            version: key.ok().map(KeyHandle::version_id),
            purpose: Some(operation),
            rule: Some(rule.to_string()),
            refused: key.err().map(|error| error.kind().to_string()),
            ..AuditEntry::new(AuditEvent::Access)
        }])
    }

    /// Writes into the audit log how many values were protected and revealed with each key since the last time, in the job that `context` names. Without
    /// a log it does nothing. What is not written down so is when the last clone of the engine goes.
    ///
    /// # Errors
    /// What the log's file says.
    pub fn audit_usage(&self, context: &str) -> Result<()> {
        self.shared.keyring.audit_usage(self.role(), context)
    }

    /// What is due with the keys that this engine has protected or revealed with: periods that end soon, versions that are suspended or compromised.
    pub fn due(&self) -> Vec<String> {
        let transforms = self.lock();
        let keys = transforms.values().flatten().map(|transform| transform.key());
        let told: BTreeSet<&str> = keys.filter(|key| key.was_used()).filter_map(KeyHandle::due).collect();
        told.into_iter().map(str::to_owned).collect()
    }

    /// Warnings of token spaces that this engine has filled so far that there will soon be no more tokens.
    pub fn filling_up(&self) -> Vec<String> {
        let transforms = self.lock();
        let tokenizers = transforms
            .values()
            .flatten()
            .filter_map(|transform| transform.tokenizer());
        let told: BTreeSet<String> = tokenizers.filter_map(Tokenizer::due).collect();
        told.into_iter().collect()
    }

    async fn cipher(&self, definition: &Rule, rule: &RuleRef, operation: Operation) -> Result<Transform> {
        if definition.treatment == Treatment::EncryptLegacy
            && operation == Operation::Protect
            && definition.insecure_legacy.is_none()
        {
            return Err(Error::bad_policy(
                "treatment = \"encrypt-legacy\" only reveals: FF3-1 has been broken, and NIST has withdrawn it",
            )
            .with_hint(
                "protect with treatment = \"encrypt\"; where other software needs FF3-1 still, add \
                 insecure_legacy = \"the reason\" to the rule",
            ));
        }
        let key = KeyRef {
            version: rule.version.or(definition.key.version),
            ..definition.key.clone()
        };
        let transform = Transform::try_new(definition, self.shared.keyring.handle(&key, operation).await?)?;
        if !definition.version_character || operation == Operation::Protect {
            return Ok(transform);
        }
        let keys = self.handles(&definition.key).await?.into_iter();
        let others = keys.filter(|key| key.version() != transform.key().version());
        let others = others
            .map(|key| Transform::try_new(definition, key))
            .collect::<Result<_>>()?;
        Ok(transform.with_others(others))
    }

    /// Every version of a key that can be had to reveal with.
    async fn handles(&self, key: &KeyRef) -> Result<Vec<KeyHandle>> {
        let keyring = &self.shared.keyring;
        let mut handles = Vec::new();
        for version in keyring.describe(&key.name)?.versions {
            let version = KeyRef {
                version: Some(version.number),
                ..key.clone()
            };
            match keyring.handle(&version, Operation::Reveal).await {
                Ok(handle) => handles.push(handle),
                Err(error) if error.kind() == ErrorKind::ProviderDown => return Err(error),
                // What it protected cannot be revealed; that is said where such a value is met.
                Err(_) => {}
            }
        }
        Ok(handles)
    }

    /// Every row of a token store says itself which key version sealed it, so all that can be had are.
    async fn tokens(
        &self,
        definition: &Rule,
        tokens: &Tokens,
        rule: &RuleRef,
        operation: Operation,
    ) -> Result<Transform> {
        if rule.version.is_some() && operation == Operation::Protect {
            return Err(no_version_of_tokens());
        }
        let keyring = &self.shared.keyring;
        let key = keyring.handle(&definition.key, operation).await?;
        let keys = self.handles(&definition.key).await?;
        let token_rule = TokenRule {
            domain: definition.domain.clone(),
            format: definition.format.clone(),
            per_occurrence: tokens.per_occurrence,
            ttl: tokens.ttl,
            never_valid_as: tokens.never_valid_as.clone(),
        };
        let store = self.token_store(&tokens.store, operation).await?;
        let active = (operation == Operation::Protect).then(|| key.clone());
        Transform::tokens(definition, key, Tokenizer::open(token_rule, store, active, keys).await?)
    }

    /// The transform for revealing what was protected under `rule` with the key version `id`.
    ///
    /// # Errors
    /// As [`Engine::resolve`]; [`ErrorKind::KeyNotFound`] when the keyring has no such version.
    pub async fn resolve_version(&self, rule: &str, id: KeyVersionId) -> Result<Arc<Transform>> {
        let definition = self.shared.policy.rule(rule)?;
        let key = self.shared.keyring.describe(&definition.key.name)?;
        let version = key.versions.iter().find(|version| version.id == id).ok_or_else(|| {
            Error::new(
                ErrorKind::KeyNotFound,
                format!(
                    "rule `{rule}`: key `{}` of keyring `{}` has no version with the id {id}",
                    key.name,
                    self.shared.keyring.path().display()
                ),
            )
            .with_hint("reveal with the keyring it was protected with")
        })?;
        let rule = RuleRef {
            rule: rule.to_owned(),
            version: Some(version.number),
        };
        self.resolve(&rule, Operation::Reveal).await
    }

    /// Resolves every rule for its active or pinned key and for every version that can still reveal, as far as the role may.
    ///
    /// A rule whose key cannot be had is passed over: it is an error when it is used.
    ///
    /// # Errors
    /// [`ErrorKind::ProviderDown`] and [`ErrorKind::WrongKey`]: nothing would work.
    pub async fn resolve_all(&self) -> Result<()> {
        for rule in self.shared.policy.rules() {
            let mut versions = vec![None];
            if let Ok(key) = self.shared.keyring.describe(&rule.key.name)
                && rule.tokens.is_none()
            {
                versions.extend(key.versions.iter().map(|version| Some(version.number)));
            }
            for version in versions {
                let reference = RuleRef {
                    rule: rule.name.clone(),
                    version,
                };
                for operation in [Operation::Protect, Operation::Reveal] {
                    match self.resolve_ahead(&reference, operation).await {
                        // A token store that is down concerns its own rules only.
                        Err(error)
                            if matches!(error.kind(), ErrorKind::ProviderDown | ErrorKind::WrongKey)
                                && rule.tokens.is_none() =>
                        {
                            return Err(error);
                        }
                        Err(error) => {
                            let grant = self.grant(&rule.name)?;
                            self.lock().insert((reference.clone(), operation, grant), Err(error));
                        }
                        Ok(_) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// A transform resolved before; never asks a KMS.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the role may not; else why there is none.
    pub fn resolved(&self, rule: &RuleRef, operation: Operation) -> Result<Arc<Transform>> {
        let resolved = self.look_up(rule, operation);
        if self.is_news(rule, operation) {
            self.audit_access(rule, operation, resolved.as_deref().map(Transform::key))?;
        }
        resolved
    }

    /// Writes down that the role asked for what it may not have.
    ///
    /// # Errors
    /// What the log's file says.
    #[cfg(feature = "sql")]
    pub(crate) fn audit_refusal(&self, rule: &RuleRef, operation: Operation, refusal: &Error) -> Result<()> {
        match self.is_news(rule, operation) {
            true => self.audit_access(rule, operation, Err(refusal)),
            false => Ok(()),
        }
    }

    /// Whether this is the first time, however often a query is planned and in how many parts it runs.
    fn is_news(&self, rule: &RuleRef, operation: Operation) -> bool {
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert((self.role.clone(), rule.clone(), operation))
    }

    fn look_up(&self, rule: &RuleRef, operation: Operation) -> Result<Arc<Transform>> {
        let grant = self.allow(rule, operation)?;
        let known = self.known(rule, operation, grant).map(|known| {
            let transform = known?;
            transform.key().check_lease()?;
            Ok(transform)
        });
        known.unwrap_or_else(|| {
            let key = match self.shared.policy.rule(&rule.rule) {
                Ok(definition) if definition.tokens.is_some() && rule.version.is_some() => {
                    return Err(no_version_of_tokens());
                }
                Ok(definition) => &definition.key,
                Err(error) => return Err(error),
            };
            let error = Error::new(
                ErrorKind::KeyNotUsable,
                format!("rule `{rule}` is not ready to {operation}: key `{key}` has no such version, or its state forbids it"),
            )
            .with_hint(format!("see `cipherform keys describe {}`", key.name));
            Err(error)
        })
    }

    fn known(&self, rule: &RuleRef, operation: Operation, grant: Grant) -> Option<Result<Arc<Transform>>> {
        let transforms = self.lock();
        let known = transforms.get(&(rule.clone(), operation, grant))?;
        Some(known.as_ref().map(Arc::clone).map_err(Error::again))
    }

    fn stores(&self) -> std::sync::MutexGuard<'_, HashMap<StoreUrl, Arc<dyn TokenStore>>> {
        self.shared.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Resolved, Result<Arc<Transform>>>> {
        // Entries are whole or absent, so a panic elsewhere cannot have left one half done.
        self.shared.transforms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Protecting is a right of its own; revealing is for those who see the rule's values, or see them masked, and get just that.
    fn allow(&self, rule: &RuleRef, operation: Operation) -> Result<Grant> {
        let protects = self.shared.policy.may_protect(self.role(), &rule.rule)?;
        match (operation, self.grant(&rule.rule)?) {
            (Operation::Protect, _) if protects => Ok(Grant::Plain),
            (Operation::Reveal, grant @ (Grant::Plain | Grant::Masked)) => Ok(grant),
            _ => Err(Error::new(
                ErrorKind::NotAllowed,
                format!(
                    "role `{}` may not {operation} what is under rule `{}`",
                    self.role().unwrap_or_default(),
                    rule.rule
                ),
            )
            .with_hint(match operation {
                Operation::Protect => format!(
                    "to protect is a right of its own: {} = {{ see = \"plain\", protect = true }} in [roles.{}] of `{}`",
                    rule.rule,
                    self.role().unwrap_or_default(),
                    self.shared.policy.path.display()
                ),
                Operation::Reveal => format!("[roles.…] in `{}` says who may", self.shared.policy.path.display()),
            })),
        }
    }
}

fn no_version_of_tokens() -> Error {
    Error::bad_input("a token goes by no key version: each row of its store says which one sealed it")
        .with_hint("name the rule without a version")
}

impl Drop for Shared {
    /// Nobody can be told any more if it fails; the entry of the access is there.
    fn drop(&mut self) {
        let _ = self.keyring.audit_usage(None, "until the engine was closed");
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("policy", &self.shared.policy.path)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::Direction;
    use crate::keys::KeyUse;
    use crate::kms::MemoryKms;
    use crate::transform::Texts;

    #[tokio::test]
    async fn ff3_1_protects_only_where_the_rule_says_why() {
        const RULE: &str = "treatment = \"encrypt-legacy\"\nformat = \"digits\"\nkey = \"pii\"\ndomain = \"old\"\ntweak = { hex = \"d8e7920afa330a\" }\n";
        let text = format!(
            "version = 1\nkeyring = \"keyring.json\"\n[rules.reads]\n{RULE}[rules.writes]\n{RULE}insecure_legacy = \"the old system reads it\"\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy::parse(&text, &folder.path().join("policy.toml")).unwrap();
        let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
        let kms = "memory:main".parse().unwrap();
        let mut keyring = Keyring::create(&policy.keyring, &kms, &registry).await.unwrap();
        keyring
            .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
            .await
            .unwrap();
        let engine = Engine::new(policy, keyring);
        let [reads, writes] = ["reads", "writes"].map(|rule| rule.parse::<RuleRef>().unwrap());

        let writes = engine.resolve(&writes, Operation::Protect).await.unwrap();
        let (mut protected, mut revealed) = (Texts::default(), Texts::default());
        writes
            .texts(Direction::Encrypt, &[Some("25-989-741")], None, &mut protected)
            .unwrap();

        engine.resolve_all().await.unwrap();
        let by_table = engine.resolved(&reads, Operation::Protect).unwrap_err();
        let error = engine.resolve(&reads, Operation::Protect).await.unwrap_err();
        for error in [error, by_table] {
            assert_eq!(error.kind(), ErrorKind::BadPolicy);
            assert!(error.to_string().contains("only reveals"), "{error}");
            assert!(error.hint().unwrap().to_string().contains("insecure_legacy = "));
        }
        let reads = engine.resolve(&reads, Operation::Reveal).await.unwrap();
        let rows: Vec<Option<&str>> = protected.iter().collect();
        reads.texts(Direction::Decrypt, &rows, None, &mut revealed).unwrap();
        assert_eq!(revealed.iter().next(), Some(Some("25-989-741")));
    }
}
